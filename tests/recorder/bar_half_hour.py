"""Half an hour with clocks that drift apart by 600 ppm, jitter, 1 % loss, and somebody whose clock lies.

    .venv/bin/pytest -q -s tests/recorder/bar_half_hour.py

The recorder gets it as fast as it can take it.
"""

import asyncio
import os
import random

import numpy as np

from recorder import manifest as manifests
from sfu.api.sink_records import MissedRecord, PacketRecord, RecordingEnded
from sfu.formats.codecs import Codec
from tests.recorder.conftest import Attached
from tests.recorder.media import Stream, opus, video
from tests.recorder.sink_server import begun
from tests.recorder.test_lip_sync import OPENED_AT, beeps, flashes, jittered

SECONDS = 60 * int(os.environ.get("BAR_MINUTES", "30"))
FPS = 25
_BATCH = 2000
PEOPLE = {
    "ada": ({"drift": 300e-6, "ntp_offset": 5.0}, {"drift": -300e-6, "ntp_offset": 90.0}),
    "bob": ({"drift": 0.03, "ntp_offset": 1e6}, {"drift": -0.02, "ntp_offset": -1e6}),
}


def streams() -> list[Stream]:
    """Each person's flashes and beeps are on whole seconds."""
    pictures = video(Codec.VP8, FPS * 20, fps=FPS, flash_every=FPS)
    sounds = opus(1000, beep_every=50)
    found = []
    for number, (who, (camera, microphone)) in enumerate(PEOPLE.items()):
        common = {"opened_at": OPENED_AT, "participant": who, "start": 2.0}
        found += [
            Stream(codec=Codec.VP8, frames=pictures * (SECONDS // 20), fps=FPS, track=f"cam-{who}",
                   handle=2 * number + 1, ssrc=11 + number, **common, **camera),
            Stream(codec=Codec.OPUS, frames=sounds * (SECONDS // 20), fps=50, track=f"mic-{who}",
                   handle=2 * number + 2, ssrc=21 + number, **common, **microphone),
        ]  # fmt: skip
    return found


def lossy(records: list, share: float) -> list:
    """Replace a share of the packets of sound and picture by the sfu's report that they will not come."""
    dice = random.Random(7)
    return [
        MissedRecord(record.handle, record.ext_seq, 1)
        if isinstance(record, PacketRecord) and index > 1000 and dice.random() < share
        else record
        for index, record in enumerate(records)
    ]


async def test_half_an_hour_stays_together(attached: Attached) -> None:
    people = streams()
    await attached.sfu.send(begun(opened_at=OPENED_AT), *(stream.opened() for stream in people))
    records = lossy(jittered([r for s in people for r in s.records()], 3), 0.01)
    for at in range(0, len(records), _BATCH):
        await attached.sfu.send(*records[at : at + _BATCH])
    await attached.sfu.send(RecordingEnded(recording="rec1", room="room1"))
    manifest = await attached.manifest(seconds=600)
    root = attached.config.recordings_dir
    assert isinstance(manifest, manifests.Manifest)
    for who in PEOPLE:
        tracks = {track.media: track for track in manifest.tracks if track.participant == who}
        seen = np.array(await asyncio.to_thread(flashes, root, tracks["video"]))
        heard = np.array(await asyncio.to_thread(beeps, root, tracks["audio"]))
        apart = np.array([np.min(np.abs(heard - at)) for at in seen])
        apart = apart[apart < 0.5]  # a lost beep is nobody's clock
        lengths = {media: track.duration_ms for media, track in tracks.items()}
        print(f"\n{who}: {apart.size} flashes, at most {apart.max() * 1000:.0f} ms from their beeps, lengths {lengths}")
        wrong = max(abs(length - SECONDS * 1000) for length in lengths.values())
        if who == "ada":
            assert apart.size > 0.6 * SECONDS and apart.max() <= 0.040 and wrong < 100
        assert wrong < 2100, "no clock is believed further than two seconds from the arrivals of its frames"
