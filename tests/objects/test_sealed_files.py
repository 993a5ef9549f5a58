"""Encrypted files and objects: what was written is read, and nothing else is taken for it."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from objects import sealed_format as form
from objects.directory import DirectoryStore
from objects.recording_keys import DIRECTORY, KeyMissing, OperatorKeys, fingerprint, new_key, parse_keys, rewrap
from objects.sealed_file import Files, files_of
from objects.sealed_format import CHUNK, NotAuthentic, open_whole, seal_whole, stored_size
from objects.sealed_store import SealedStore

KEY = new_key()
FILES = Files({KEY.id: KEY.key})
OURS, OTHER = os.urandom(32), os.urandom(32)
SIZES = st.one_of(
    st.integers(0, 3), st.integers(0, 4).flatmap(lambda n: st.integers(max(0, n * CHUNK - 2), n * CHUNK + 2))
)
FIXTURES = [HealthCheck.function_scoped_fixture]


def content_of(size: int) -> bytes:
    return (b"%08d" * (size // 8 + 1) % tuple(range(size // 8 + 1)))[:size]


@settings(suppress_health_check=FIXTURES, deadline=None, max_examples=40)
@given(size=SIZES, start=st.integers(0, 4 * CHUNK), length=st.integers(0, 2 * CHUNK))
def test_any_range_is_read(tmp_path: Path, size: int, start: int, length: int) -> None:
    content = content_of(size)
    stored = FILES.sealed(content)
    assert len(stored) == stored_size(size) and form.content_size(len(stored)) == size
    assert open_whole(stored, lambda _: KEY.key) == content
    (tmp_path / "one").write_bytes(stored)
    with FILES.open(tmp_path / "one") as file:
        file.seek(start)
        assert file.read(length) == content[start : start + length]


@settings(suppress_health_check=FIXTURES, deadline=None, max_examples=40)
@given(acts=st.lists(st.tuples(st.integers(0, 70 * CHUNK), SIZES), max_size=12), seed=st.integers(0, 255))
def test_a_muxer_may_write_anywhere(tmp_path: Path, acts: list[tuple[int, int]], seed: int) -> None:
    expected = io.BytesIO()
    with FILES.writer(tmp_path / "one") as file:
        for number, (position, size) in enumerate(acts):
            for one in (file, expected):
                one.seek(position)
                one.write(bytes([seed ^ number]) * size)
        view = file.reading()
        view.seek(5)
        assert view.read(3 * CHUNK) == expected.getvalue()[5 : 5 + 3 * CHUNK]
    assert FILES.read(tmp_path / "one") == expected.getvalue()


@settings(suppress_health_check=FIXTURES, deadline=None, max_examples=60)
@given(data=st.data())
def test_nothing_damaged_is_taken_for_content(tmp_path: Path, data: st.DataObject) -> None:
    content = content_of(data.draw(SIZES))
    stored = bytearray(seal_whole(KEY.id, KEY.key, content))
    if data.draw(st.booleans()):
        stored[data.draw(st.integers(0, len(stored) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del stored[data.draw(st.integers(form.HEADER_BYTES, len(stored) - 1)) :]
    if form.read_header(bytes(stored)) is None or stored[7:8] == form.RECORDS:
        return  # whoever may write can replace it altogether, which signatures of recordings show
    with pytest.raises(OSError):
        FILES.sealed(open_whole(bytes(stored), FILES._key_of))
    chunks = [bytes(stored[form.place(n) : form.place(n + 1)]) for n in range(-(-len(content) // CHUNK))]
    if len(chunks) > 2:
        swapped = bytes(stored[: form.HEADER_BYTES]) + b"".join([chunks[1], chunks[0], *chunks[2:]])
        with pytest.raises(OSError):
            open_whole(swapped, FILES._key_of)


@settings(suppress_health_check=FIXTURES, deadline=None, max_examples=60)
@given(pieces=st.lists(st.binary(max_size=300), max_size=12), cut=st.integers(0, 4000), junk=st.binary(max_size=40))
def test_a_kill_costs_the_last_record(tmp_path_factory, pieces: list[bytes], cut: int, junk: bytes) -> None:
    assume(form.MAGIC not in junk)  # a header with another key is no remainder of a write
    path = tmp_path_factory.mktemp("killed") / "one"
    appender = FILES.appender(path)
    for piece in pieces:
        appender.write(piece)
    appender.close()
    stored = path.read_bytes()
    path.write_bytes(stored[:cut] + junk)
    if form.read_header(path.read_bytes()) is None:
        return
    left = FILES.read(path)
    assert b"".join(pieces).startswith(left)
    whole = [record for record in form.read_records(stored, FILES._key_of) if record.end <= cut]
    assert left == b"".join(record.content for record in whole)
    FILES.truncate(path, kept := len(left) // 2)
    FILES.append(path, b"more")
    assert FILES.read(path) == left[:kept] + b"more"


@given(stored=st.binary(max_size=200), kind=st.sampled_from([form.CHUNKS, form.RECORDS]))
def test_any_bytes_are_read_or_refused(stored: bytes, kind: bytes) -> None:
    made = form.new_header(kind, KEY.id).encode() + stored
    if kind == form.RECORDS:
        assert open_whole(made, FILES._key_of) == b""
    else:
        with pytest.raises(NotAuthentic):
            open_whole(made, FILES._key_of)


def test_a_full_disk_leaves_whole_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appender = FILES.appender(tmp_path / "one")
    appender.write(b"first")
    with monkeypatch.context() as full:
        write = os.write
        full.setattr(os, "write", lambda to, data: write(to, data[:7]) if len(data) > 7 else _no_space())
        with pytest.raises(OSError, match="space"):
            appender.write(b"lost")
    appender.write(b"second")
    appender.close()
    assert FILES.read(tmp_path / "one") == b"firstsecond"


def _no_space() -> int:
    raise OSError(28, "no space left")


def test_the_key_of_a_recording(tmp_path: Path) -> None:
    """It is wrapped, comes back after the loss of its file, is wrapped again, and ends with the recording."""
    operator = OperatorKeys([OURS], encrypts=True)
    directory = tmp_path / "rec1"
    files = files_of(directory, operator, is_new=True)
    directory.mkdir()
    assert not (directory / DIRECTORY).exists()
    files.appender(directory / "one").close()
    (wrapped,) = (directory / DIRECTORY).iterdir()
    wrapped.unlink()
    (directory / "two").write_bytes(files.sealed(b"content"))
    assert OURS not in wrapped.read_bytes() and files.keys != {}
    # With the setting off again, and without its key.
    assert files_of(directory, OperatorKeys([OTHER, OURS])).read(directory / "two") == b"content"
    closed = files_of(directory, OperatorKeys([OTHER], encrypts=True), is_new=True)
    for use in (lambda: closed.read(directory / "two"), lambda: closed.sealed(b"x")):
        with pytest.raises(KeyMissing, match=f"rec1 is encrypted; it needs the operator's key {fingerprint(OURS)}"):
            use()
    # Bound to its recording.
    (tmp_path / "rec2").mkdir()
    (directory / DIRECTORY).rename(tmp_path / "rec2" / DIRECTORY)
    with pytest.raises(OSError, match="belongs to another recording"):
        files_of(tmp_path / "rec2", operator)
    (tmp_path / "rec2" / DIRECTORY).rename(directory / DIRECTORY)
    # Rotated, without a change of the media.
    media = (directory / "two").read_bytes()
    store = DirectoryStore(tmp_path)
    assert [rewrap(store, OperatorKeys([OTHER, OURS]), "rec1") for _ in range(2)] == [1, 0]
    content = SealedStore(store, OperatorKeys([OTHER]))
    assert content.read("rec1/two", 3, 7) == b"tent" and (directory / "two").read_bytes() == media
    assert content.info("rec1/two").size == 7 and content.local_path("rec1/two") is None
    content.put("rec1/legal.hold", b"admin")
    assert b"admin" not in (directory / "legal.hold").read_bytes() and content.read("rec1/legal.hold", 0, 5) == b"admin"
    content.put("rec3/legal.hold", b"host")
    assert content.local_path("rec3/legal.hold") == tmp_path / "rec3/legal.hold"
    content.remove_all("rec1/")
    (directory / DIRECTORY).parent.mkdir()
    (directory / "two").write_bytes(media)  # as a copy of the disk
    with pytest.raises(OSError, match=r"its key rec1/.* is missing"):
        content.read("rec1/two", 0, 7)


@pytest.mark.parametrize(("text", "problem"), [("AAAA", "has 3 bytes"), ("A" * 43 + "=, é", "key 2 is not Base64")])
def test_keys_are_checked(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_keys(text)
