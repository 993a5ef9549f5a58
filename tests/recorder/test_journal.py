"""Journals: written data is read back; whatever the bytes, reading ends at the first line that fails its check."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.journal import (
    AnchorLine,
    ClosedLine,
    EndedLine,
    FrameLine,
    JournalHead,
    JournalWriter,
    LossLine,
    MuteLine,
    ProblemLine,
    ReportLine,
    read_closing_line,
    read_head,
    read_journal,
)

HEAD = JournalHead(
    version=1, recording="rec", room="room", participant="p", name="Ada \n Lovelace", track="t", source="camera",
    media="video", codec="vp8", clock_rate=90000, channels=1, ssrc=1, lifetime=2, opened_unix_ms=3, epoch=1, n=1,
    first_ext_seq=1000, timestamp=5000, arrival=10**12, file="1-1.webm", header_bytes=300,
)  # fmt: skip
u32 = st.integers(0, 2**32 - 1)
seqs = st.integers(0, 2**48)
lines = st.one_of(
    st.builds(FrameLine, seqs, seqs, st.integers(-(2**40), 2**40), st.integers(-1, 2**40)),
    st.builds(ReportLine, u32, st.integers(0, 2**64 - 1), st.integers(0, 2**62)),
    st.builds(AnchorLine, st.integers(-(2**40), 2**40), st.integers(0, 2**62)),
    st.builds(LossLine, seqs, st.integers(1, 2**32), st.sampled_from(["expired", "missed"])),
    st.builds(MuteLine, st.booleans(), st.integers(0, 2**62)),
    st.builds(EndedLine, st.sampled_from(["replaced", "left"])),
    st.builds(ProblemLine, st.sampled_from(["No space left on device", "x"])),
    st.builds(ClosedLine, st.integers(0, 2**32), st.integers(0, 2**40), st.just("ab" * 32)),
)


def written(records):
    writer = JournalWriter(HEAD)
    return writer.head() + b"".join(writer.line(record) for record in records)


@given(st.lists(lines, max_size=30))
def test_round_trip(records):
    data = written(records)
    journal = read_journal(data)
    assert journal == (HEAD, records, len(data))
    assert journal.frames() == [record for record in records if isinstance(record, FrameLine)]
    assert journal.closed == (records[-1] if records and isinstance(records[-1], ClosedLine) else None)


@given(st.lists(lines, min_size=1, max_size=20), st.data())
def test_a_torn_journal_reads_up_to_the_tear(records, data):
    whole = written(records)
    cut = data.draw(st.integers(len(JournalWriter(HEAD).head()), len(whole)))
    journal = read_journal(whole[:cut])
    assert journal.lines == records[: len(journal.lines)]
    assert journal.whole_bytes <= cut
    assert len(journal.lines) == whole[:cut].count(b"\n") - 1


@given(st.lists(lines, min_size=2, max_size=10), st.data())
def test_a_damaged_line_hides_itself_and_what_follows(records, data):
    whole = bytearray(written(records))
    at = data.draw(st.integers(len(JournalWriter(HEAD).head()), len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    journal = read_journal(bytes(whole))
    assert journal.lines == records[: len(journal.lines)]
    assert len(journal.lines) < len(records)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_journal_or_a_value_error(data):
    for candidate in (data, JournalWriter(HEAD).head() + data):
        try:
            read_journal(candidate)
        except ValueError:
            assert candidate is data


@given(st.lists(lines, max_size=5), st.binary(max_size=60))
def test_the_closing_line_is_found_from_the_end(records, junk):
    closing = ClosedLine(3, 900, "cd" * 32)
    assert read_closing_line(written([*records, closing])[-512:]) == closing
    assert read_closing_line(junk) is None or junk.count(b"\n")
    assert read_closing_line(written([*records, closing])[:-1]) is None


def test_a_journal_of_another_version_is_refused():
    line = JournalWriter(HEAD).head().replace(b'"version":1', b'"version":9')
    with pytest.raises(ValueError, match="head"):  # its CRC is wrong now
        read_head(line)
    with pytest.raises(ValueError, match="version 9"):
        import msgspec

        read_head(JournalWriter(msgspec.structs.replace(HEAD, version=9)).head())


def test_audio_lines_are_short():
    writer = JournalWriter(HEAD)
    assert len(writer.line(FrameLine(1000, 1000, 5960, -1))) < 24
