"""A full disk: capture resumes when there is space, the recording reports it, and nothing else stops."""

import errno
import hashlib
import os
import threading

import av
import pytest

from objects import sealed_file
from recorder import matroska
from recorder.trouble import FULL, SILENT
from sfu.api.sink_records import RecordingEnded
from sfu.formats.codecs import Codec
from tests.recorder.media import SECOND, Stream, opus, read_number, video
from tests.recorder.sink_server import begun, by_arrival
from tests.support.waiting import eventually

OPENED_AT = 8 * SECOND
ENDED = RecordingEnded(recording="rec1", room="room1")


class Disk:
    """Stands before `os.write`: takes `room` bytes, half a write at last, then refuses until there is more.

    Of a write of more than `largest` bytes it takes a part, and refuses the rest.
    """

    def __init__(self) -> None:
        self.room: float = float("inf")
        self.largest: float = float("inf")
        self.refused = 0

    def write(self, descriptor: int, data: memoryview) -> int:
        if self.room <= 0:
            self.refused += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if len(data) > self.largest:
            if self.refused:
                self.largest = float("inf")
            self.refused += 1
            os.write(descriptor, data[:7])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part = data if len(data) <= self.room else data[: int(self.room)]
        self.room -= len(part)
        return os.write(descriptor, part)


@pytest.fixture
def disk(monkeypatch) -> Disk:
    disk = Disk()

    class Os:
        write = staticmethod(disk.write)

        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

    monkeypatch.setattr(sealed_file, "os", Os())
    return disk


async def refused(disk: Disk) -> None:
    await eventually(lambda: disk.refused)


async def test_half_a_frame_is_taken_back(attached, disk):
    """The journal still has room: what is closed then holds whole frames only."""
    frames = tuple((data + bytes(1000), keyframe) for data, keyframe in video(Codec.VP8, 150))
    stream = Stream(codec=Codec.VP8, frames=frames, fps=30, track="cam", handle=1, ssrc=1, opened_at=OPENED_AT)
    records = list(stream.records())
    await attached.sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *records[:200])
    await attached.sfu.until(lambda: attached.sfu.durable.get(("cam", 1), 0) > 0)
    disk.largest = 600  # a closing line fits, a frame does not
    await attached.sfu.send(*records[200:])
    await refused(disk)
    await attached.sfu.send(ENDED)
    manifest = await attached.manifest()
    assert manifest.state == "partial"
    assert len(manifest.tracks[0].segments) >= 2
    for segment in manifest.tracks[0].segments:
        data = (attached.config.recordings_dir / segment.key).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (segment.bytes, segment.sha256)
        assert matroska.read_contents(data).end == len(data)


async def test_what_could_not_be_forced_to_disk_is_not_called_durable(attached, monkeypatch):
    microphone = Stream(codec=Codec.OPUS, frames=opus(100), fps=50, track="mic", handle=2, ssrc=2, opened_at=OPENED_AT)
    records = list(microphone.records())
    refusals = 0

    def refuse(_: int) -> None:
        nonlocal refusals
        refusals += 1
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", refuse)
    await attached.sfu.send(begun(opened_at=OPENED_AT), microphone.opened(), *records[:50])
    await eventually(lambda: refusals)
    assert attached.sfu.durable == {}
    monkeypatch.undo()
    await attached.sfu.send(*records[50:], ENDED)
    manifest = await attached.manifest()
    assert manifest.state == "partial"
    assert attached.sfu.durable


async def test_a_disk_that_does_not_answer_is_told_of_too(attached, monkeypatch):
    """A store that is lost in a network blocks who writes to it."""
    microphone = Stream(codec=Codec.OPUS, frames=opus(100), fps=50, track="mic", handle=2, ssrc=2, opened_at=OPENED_AT)
    records = list(microphone.records())
    answers = threading.Event()
    fdatasync = os.fdatasync

    def block(descriptor: int) -> None:
        answers.wait(60)
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", block)
    await attached.sfu.send(begun(opened_at=OPENED_AT), microphone.opened(), *records)
    await attached.sfu.until(lambda: attached.sfu.stalled == {"rec1": SILENT})
    assert attached.sfu.durable == {}
    answers.set()
    await attached.sfu.until(lambda: attached.sfu.stalled == {})
    await attached.sfu.send(ENDED)
    assert (await attached.manifest()).state == "ready"  # nothing was lost, it only took a while


async def test_when_there_is_room_again_that_is_said_too(attached, disk):
    microphone = Stream(codec=Codec.OPUS, frames=opus(300), fps=50, track="mic", handle=2, ssrc=2, opened_at=OPENED_AT)
    records = list(microphone.records())
    await attached.sfu.send(begun(opened_at=OPENED_AT), microphone.opened(), *records[:50])
    await attached.sfu.until(lambda: ("mic", 2) in attached.sfu.durable)
    disk.room = 0
    await attached.sfu.send(*records[50:100])
    await attached.sfu.until(lambda: attached.sfu.stalled == {"rec1": FULL})
    disk.room = float("inf")
    await attached.sfu.send(*records[200:])
    await attached.sfu.until(lambda: attached.sfu.stalled == {})
    await attached.sfu.send(ENDED)
    assert (await attached.manifest()).state == "partial"


@pytest.mark.parametrize("room", [0, 1, 100, 3_000])
async def test_a_full_disk(attached, disk, room):
    camera = Stream(
        codec=Codec.VP8, frames=video(Codec.VP8, 150), fps=30, track="cam", handle=1, ssrc=1, opened_at=OPENED_AT
    )
    microphone = Stream(codec=Codec.OPUS, frames=opus(250), fps=50, track="mic", handle=2, ssrc=2, opened_at=OPENED_AT)
    records = by_arrival(camera.records(), microphone.records())
    half = len(records) // 2
    await attached.sfu.send(begun(opened_at=OPENED_AT), camera.opened(), microphone.opened(), *records[: half // 2])
    done = {("cam", 1): -1, ("mic", 2): -1}
    await attached.sfu.until(lambda: all(attached.sfu.durable.get(key, -1) > at for key, at in done.items()))
    disk.room = room
    await attached.sfu.send(*records[half // 2 : half])
    await refused(disk)
    await attached.sfu.until(lambda: attached.sfu.stalled == {"rec1": FULL})
    disk.room = float("inf")
    await attached.sfu.send(*records[half:], ENDED)
    manifest = await attached.manifest()
    assert manifest.state == "partial"
    tracks = {track.track: track for track in manifest.tracks}
    with av.open(attached.config.recordings_dir / tracks["cam"].files[0].key) as container:
        numbers = [read_number(image.to_ndarray(format="gray")) for image in container.decode(video=0)]
    assert numbers[:30] == list(range(30))
    assert numbers[-30:] == list(range(120, 150))  # what refers to frames that were not kept shows something else
    assert tracks["mic"].files[0].frames > 125
    for track in manifest.tracks:
        for segment in track.segments:
            assert (attached.config.recordings_dir / segment.key).stat().st_size == segment.bytes
