"""A segment torn anywhere: the sealed part is complete, and capture continues right after the file's content."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from objects.recording_keys import new_key
from objects.sealed_file import PLAIN, Files
from recorder import matroska, recovery
from recorder.container_header import segment_header
from recorder.finishing import Stopped, finish
from recorder.journal import JournalHead, JournalWriter, read_journal
from recorder.manifest import RecordingInfo
from recorder.segment_cache import SegmentCache
from recorder.segment_file import SegmentFile
from sfu.api.sink_records import RecordingEnded
from sfu.formats.codecs import Codec
from sfu.frames.assembler import Frame
from tests.recorder.conftest import running, wait_for_manifest
from tests.recorder.media import SECOND, Stream, opus, video
from tests.recorder.sink_server import SinkServer, begun

OPENED_AT = 8 * SECOND
INFO = RecordingInfo(
    version=1, recording="rec", room="room", state="sealing", started_unix_ms=0, opened_at=0, opened_unix_ms=0
)
FRAMES = 12
KEY = new_key()
FILES = st.sampled_from([PLAIN, Files({KEY.id: KEY.key})])


def head(first_ext_seq=100, n=1, epoch=1):
    return JournalHead(
        version=1, recording="rec", room="room", participant="p", name="Ada", track="cam", source="camera",
        media="video", codec="vp8", clock_rate=90000, channels=1, ssrc=1, lifetime=2, opened_unix_ms=0, epoch=epoch,
        n=n, first_ext_seq=first_ext_seq, timestamp=3000 * first_ext_seq,
        arrival=SECOND + (first_ext_seq - 100) * SECOND // 30, file=f"{epoch}-{n}.webm",
        header_bytes=len(HEADER), width=192, height=128,
    )  # fmt: skip


HEADER = segment_header(Codec.VP8, b"", 192, 128, 1)


def write(directory, closed=False, files=PLAIN):
    """Write a segment whose frames have two packets each; return its frames' data."""
    segment = SegmentFile(directory, head(), Codec.VP8, HEADER, files)
    data = [frame for frame, _ in video(Codec.VP8, 60)[:FRAMES]]
    for index, frame in enumerate(data):
        seq = 100 + 2 * index
        arrival = SECOND + index * SECOND // 30
        segment.write(Frame(300_000 + 3000 * index, frame, index == 0, seq, seq + 1, arrival, 192, 128, True))
    if closed:
        segment.close()
    segment.sync()
    segment.release()
    return data


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(lost_media=st.integers(0, 3000), lost_lines=st.integers(0, 200), junk=st.binary(max_size=20), files=FILES)
def test_a_segment_torn_anywhere(tmp_path_factory, lost_media, lost_lines, junk, files):
    root = tmp_path_factory.mktemp("torn")
    track = root / "rec" / "cam"
    data = write(track, files=files)
    media, journal = track / "1-1.webm", track / "1-1.jnl"
    media.write_bytes(media.read_bytes()[: media.stat().st_size - lost_media] + junk)
    journal.write_bytes(journal.read_bytes()[: journal.stat().st_size - lost_lines])
    sealed = recovery.seal(root / "rec", files=files)
    assert len(sealed) == 1
    assert recovery.seal(root / "rec", files=files) == []
    read = read_journal(files.read(journal))
    blocks = matroska.read_contents(whole := files.read(media)).blocks
    assert read.closed is not None
    assert read.closed.frames == len(blocks) <= len(read.frames())
    assert read.closed.bytes == len(whole)
    sure = len(blocks) - bool(junk)  # the junk can be as long as the part torn off the last block
    assert [whole[b.start : b.end] for b in blocks[: max(0, sure)]] == data[: max(0, sure)]
    points = recovery.resume_points(root / "rec", files=files)
    if blocks:
        (point,) = points.values()
        assert point.last_ext_seq == 100 + 2 * len(blocks) - 1
        assert point.header == HEADER
        assert not point.ended
    else:
        assert points == {}
    manifest = finish(root, INFO, "recorder-1", 0, threading.Event(), cache=SegmentCache(root, files=files))
    assert manifest.state == ("ready" if blocks else "empty")
    assert sum(file.frames for t in manifest.tracks for file in t.files) == len(blocks)
    assert all(files is PLAIN or b"Ada" not in path.read_bytes() for path in root.rglob("*") if path.is_file())


def test_a_closed_segment_is_left_alone(tmp_path):
    track = tmp_path / "rec" / "cam"
    write(track, closed=True)
    before = [(path.name, path.read_bytes()) for path in sorted(track.iterdir())]
    assert recovery.seal(tmp_path / "rec") == []
    assert [(path.name, path.read_bytes()) for path in sorted(track.iterdir())] == before


def test_a_damaged_file_makes_a_recording_partial(tmp_path):
    track = tmp_path / "rec" / "cam"
    write(track, closed=True)
    media = track / "1-1.webm"
    media.write_bytes(media.read_bytes()[:-500])
    manifest = finish(tmp_path, INFO, "recorder-1", 0, threading.Event())
    assert manifest.state == "partial"
    assert "1-1.webm has only" in manifest.problems[0]


def test_what_is_damaged_does_not_keep_the_rest_from_being_finished(tmp_path):
    """Of three segments one is missing, one has a head that does not check."""
    track = tmp_path / "rec" / "cam"
    write(track, closed=True)
    for n, damage in ((2, "missing"), (3, "head")):
        journal = (track / "1-1.jnl").read_bytes()
        lines = journal.split(b"\n", 1)
        other = JournalWriter(head(first_ext_seq=100 + 100 * n, n=n)).head() + lines[1]
        (track / f"1-{n}.jnl").write_bytes(other if damage == "missing" else b"x" + other)
    manifest = finish(tmp_path, INFO, "recorder-1", 0, threading.Event())
    assert manifest.state == "partial"
    assert manifest.tracks[0].files[0].frames == FRAMES
    assert [problem for problem in manifest.problems if "1-2" in problem]
    assert [problem for problem in manifest.problems if "1-3" in problem]


def test_finishing_stops_when_it_is_told_to(tmp_path):
    write(tmp_path / "rec" / "cam", closed=True)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        finish(tmp_path, INFO, "recorder-1", 0, stop)
    assert not list((tmp_path / "rec").glob("*.webm*"))


async def test_a_recorder_that_is_stopped_goes_on_at_its_next_start(config):
    stream = Stream(codec=Codec.OPUS, frames=opus(300), fps=50, track="mic", handle=1, ssrc=5, opened_at=OPENED_AT)
    records = list(stream.records())
    half = len(records) // 2
    async with SinkServer(config.sink_socket) as sfu:
        async with running(config):
            await sfu.attached()
            await sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *records[:half])
            await sfu.until(lambda: sfu.durable.get(("mic", 5), 0) > 0)
        await sfu.until(lambda: not sfu.is_attached)
        reached = sfu.durable["mic", 5]
        async with running(config):
            await sfu.attached(2)
            rest = [r for r in records if getattr(r, "ext_seq", reached + 1) > reached]
            await sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *rest)
            await sfu.send(RecordingEnded(recording="rec1", room="room1"))
            manifest = await wait_for_manifest(config.recordings_dir / "rec1")
    assert manifest.state == "ready"
    assert manifest.tracks[0].files[0].frames == 300
    assert {segment.key.split("/")[-1].split("-")[0] for segment in manifest.tracks[0].segments} == {"1", "2"}


async def test_several_recordings_at_once(attached):
    streams = [
        Stream(
            codec=Codec.OPUS, frames=opus(100 + 10 * n), fps=50, track=f"mic{n}", handle=n, ssrc=n, opened_at=OPENED_AT,
            recording=f"rec{n}",
        )
        for n in range(1, 6)
    ]  # fmt: skip
    for stream in streams:
        await attached.sfu.send(begun(stream.recording, opened_at=OPENED_AT), stream.opened())
    longest = max(len(stream.frames) for stream in streams)
    sources = [list(stream.records()) for stream in streams]
    for index in range(longest + 10):
        await attached.sfu.send(*(source[index] for source in sources if index < len(source)))
    for stream in streams:
        await attached.sfu.send(RecordingEnded(recording=stream.recording, room="room1"))
    for stream in streams:
        manifest = await attached.manifest(stream.recording)
        assert [(t.track, t.files[0].frames) for t in manifest.tracks] == [(stream.track, len(stream.frames))]
