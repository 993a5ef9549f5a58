"""Our own viewer behind a downlink with 10 % loss: the short form of the bars."""

import time
from pathlib import Path

from tests.network.behind_link import down
from tests.network.behind_link_ours import far_call


async def test_of_ten_percent_loss_hardly_any_sound_is_missing(tmp_path: Path) -> None:
    async with far_call(tmp_path, down(loss=0.1), 1) as call:
        await call.watch(2)
        begin = time.monotonic()
        await call.watch(4)
        share = call.between(begin, time.monotonic(), "sound") / 50
        pictures = call.between(begin, time.monotonic(), "pictures")
        subscribe_peer = call.subscribe_peer
        assert subscribe_peer is not None
        times = subscribe_peer.audio_copies.times
    print(f"{share:.1%} of the sound, each packet sent {times} times, {pictures:.0f} pictures a second")
    assert share > 0.95
    assert pictures > 15
    assert times > 1
