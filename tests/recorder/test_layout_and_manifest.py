"""Paths cannot be subverted, documents are committed completely or not at all, and a rescan finds all files."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from objects.directory import DirectoryStore
from recorder import layout, manifest
from recorder.manifest import Manifest, ManifestFile, ManifestSegment, ManifestTrack, RecordingInfo
from recorder.rescan import rescan

ROOT = Path("/srv/recordings")
HOSTILE = ["", ".", "..", "../x", "a/b", "/etc", "a\x00", "a.b", "a b", "ä", "x" * 129, "a\n"]
INFO = RecordingInfo(
    version=1, recording="r", room="room", state="recording", started_unix_ms=1, opened_at=2, opened_unix_ms=3
)
FILE = ManifestFile(key="r/t.webm", codec="vp8", start_ms=0, duration_ms=9, bytes=3, sha256="aa", frames=2)
MANIFEST = Manifest(
    version=1, recording="r", room="room", state="ready", started_unix_ms=1, ended_unix_ms=2, duration_ms=9, bytes=3,
    instance="recorder-1",
    tracks=[
        ManifestTrack(
            track="t", participant="p", name="Ada", source="camera", media="video", codec="vp8", start_ms=0,
            duration_ms=9, files=[FILE], segments=[ManifestSegment(key="r/t/1-1.webm", bytes=1, sha256="bb")],
            muted=[(1, 2)],
        )
    ],
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_identifier_becomes_no_path(text):
    for make in (
        lambda: layout.recording_dir(ROOT, text),
        lambda: layout.track_dir(ROOT, "r", text),
        lambda: layout.track_dir(ROOT, text, "t"),
        lambda: layout.finished_path(ROOT / "r", text, 1, ".webm"),
    ):
        with pytest.raises(ValueError, match="identifier"):
            make()


@given(st.text(max_size=20))
def test_a_path_is_below_the_root_or_refused(text):
    try:
        path = layout.track_dir(ROOT, text, text)
    except ValueError:
        return
    assert path.parts[:3] == ROOT.parts and len(path.parts) == 5 and ".." not in path.parts


def test_parts_of_tracks_never_collide():
    names = {
        layout.finished_path(ROOT / "r", track, part, ".webm").name for track in ("t", "t-2", "t2") for part in (1, 2)
    }
    assert names == {"t.webm", "t.2.webm", "t-2.webm", "t-2.2.webm", "t2.webm", "t2.2.webm"}


def test_segments_are_found_in_the_order_of_capture(tmp_path):
    for name in ("2-1.jnl", "10-1.jnl", "2-10.jnl", "2-9.jnl", "x.jnl", "2-9.webm", "2-9.jnl.tmp"):
        (tmp_path / name).touch()
    assert [str(name) for name, _ in layout.journals(tmp_path)] == ["2-1", "2-9", "2-10", "10-1"]


def test_documents_round_trip(tmp_path):
    assert manifest.read_info(tmp_path) is None
    assert manifest.read_manifest(tmp_path) is None
    manifest.write_info(tmp_path, INFO)
    manifest.write_manifest(tmp_path, MANIFEST)
    assert manifest.read_info(tmp_path) == INFO
    assert manifest.read_manifest(tmp_path) == MANIFEST
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", "recording.json"]


def test_other_versions_are_refused():
    with pytest.raises(ValueError, match="version 2"):
        manifest.decode_manifest(manifest.encode_manifest(msgspec.structs.replace(MANIFEST, version=2)))
    with pytest.raises(ValueError, match="version 2"):
        manifest.decode_info(msgspec.json.encode(msgspec.structs.replace(INFO, version=2)))


@given(st.binary(max_size=100))
def test_any_bytes_are_a_document_or_a_value_error(data):
    for decode in (manifest.decode_manifest, manifest.decode_info):
        with pytest.raises(ValueError):
            decode(data)


def test_rescan(tmp_path):
    def put(name, info=None, committed=None):
        directory = tmp_path / name
        directory.mkdir()
        if info is not None:
            (directory / "recording.json").write_bytes(msgspec.json.encode(info))
        if committed is not None:
            (directory / "manifest.json").write_bytes(committed)

    put("a", INFO)
    put("b", msgspec.structs.replace(INFO, state="sealing"))
    put("c", msgspec.structs.replace(INFO, state="sealing"), manifest.encode_manifest(MANIFEST))
    put("d", msgspec.structs.replace(INFO, state="sealing"), b"{torn")
    put("e")
    put("f", INFO, manifest.encode_manifest(MANIFEST))  # it has begun again
    put("not an id")
    (tmp_path / "file").touch()
    found = {recording.recording: recording.state for recording in rescan(DirectoryStore(tmp_path))}
    assert found == {
        "a": "recording", "b": "sealing", "c": "ready", "d": "damaged", "e": "damaged", "f": "recording",
    }  # fmt: skip
    assert list(rescan(DirectoryStore(tmp_path / "missing"))) == []
