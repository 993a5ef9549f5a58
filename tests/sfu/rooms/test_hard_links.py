"""Video and audio over links with high loss, little capacity or a short queue, in simulated time."""

from dataclasses import dataclass

import pytest

from tests.sfu.rooms.simulcast_call import Call
from tests.sfu.rooms.stage import MS
from tests.support.link_model import LinkSettings
from tests.support.listening import concealed, frozen

SECONDS = 12
IP_UDP = 28  # bytes


@dataclass(frozen=True, slots=True)
class Bar:
    """At most these shares of time frozen, of sound made up, and of packets lost by the link's queue."""

    settings: LinkSettings
    frozen: float = 0.05
    concealed: float = 0.02
    overflowed: float = 0.01
    settling: float = 8.0


BARS = {
    "2 % loss": Bar(LinkSettings(rate=3_000_000, delay=25 * MS, loss=0.02), concealed=0.01),
    "20 % loss, 3 Mbps": Bar(LinkSettings(rate=3_000_000, delay=25 * MS, loss=0.2), frozen=0.02),
    "20 % loss, 500 kbps": Bar(LinkSettings(rate=500_000, delay=25 * MS, loss=0.2)),
    "600 kbps, queue 50 ms": Bar(LinkSettings(rate=600_000, delay=25 * MS, queue_bytes=3_750), settling=3.0),
}


@pytest.mark.parametrize("name", list(BARS))
def test_a_hard_link_shows_moving_pictures_and_whole_sound(name: str, seeds: range) -> None:
    """In four of five seeds (`--seeds 5`); all of fewer."""
    bar = BARS[name]
    missed = 0
    for seed in seeds:
        call = Call(bar.settings, speaks=True, seed=seed)
        viewer = call.viewer
        viewer.asks, viewer.headers = True, IP_UDP
        call.run(bar.settling)
        began, heard, lost, came = call.stage.now, max(viewer.sounds), viewer.link.overflowed, len(viewer.client.rtp)
        call.run(SECONDS)
        stood = frozen(viewer.pictures, began, call.stage.now)
        made_up = concealed(viewer.sounds, heard, max(viewer.sounds) - 10)
        share = (viewer.link.overflowed - lost) / (len(viewer.client.rtp) - came)
        print(f"{name}, seed {seed}: frozen {stood:.1%}, concealed {made_up:.2%}, lost by the queue {share:.1%}")
        missed += stood > bar.frozen or made_up > bar.concealed or share > bar.overflowed
    assert missed <= len(seeds) // 5
