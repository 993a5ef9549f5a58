"""Pieces of live utterances become complete windows, in order, without withdrawn or discarded audio."""

from hypothesis import given
from hypothesis import strategies as st

from inference.analysis.voice_windows import VoiceWindows
from inference.messages import Speech
from inference.synthetic.assess import LEAST_WINDOW_MS, WINDOW_MS

BYTES = 32  # of a millisecond
CHUNK_MS = 32


def piece(number: int, total_ms: int, *, begin: int = 16, final: bool = False, **fields: object) -> Speech:
    """The piece of a chunk; its bytes tell its number."""
    values = {
        "handle": 1, "begin": begin, "start_ms": 500, "end_ms": 500 + total_ms, "samples": total_ms * 16,
        "voiced_ms": total_ms, "pcm": b"" if final else bytes([number % 256]) * CHUNK_MS * BYTES, "final": final,
    }  # fmt: skip
    return Speech(**(values | fields))


def utter(windows: VoiceWindows, chunks: int, kept_ms: int | None = None, **fields: object) -> list:
    found = []
    for number in range(chunks):
        found += windows.add(piece(number, (number + 1) * CHUNK_MS, **fields))
    total = chunks * CHUNK_MS if kept_ms is None else kept_ms
    return found + windows.add(piece(0, total, final=True, **fields))


@given(st.integers(0, 700), st.integers(0, 6))
def test_windows_cover_an_utterance_but_for_a_short_rest(chunks: int, taken_back: int) -> None:
    kept = max(0, chunks - taken_back) * CHUNK_MS
    found = utter(VoiceWindows(), chunks, kept)
    sound = b"".join(bytes([number % 256]) * CHUNK_MS * BYTES for number in range(chunks))
    at = 500
    for start, end, data in found:
        assert start == at
        assert LEAST_WINDOW_MS <= end - start <= WINDOW_MS
        assert data == sound[(start - 500) * BYTES : (end - 500) * BYTES]
        at = end
    assert at - 500 <= max(kept, chunks * CHUNK_MS // WINDOW_MS * WINDOW_MS)
    assert kept - (at - 500) < LEAST_WINDOW_MS


def test_what_is_no_speech_gives_no_rest_and_tracks_do_not_mix() -> None:
    windows = VoiceWindows()
    assert utter(windows, 60, discard=True) == []
    one = [windows.add(piece(number, 3000, handle=1, begin=7)) for number in range(100)]
    assert not any(one)
    windows.forget(1)
    assert windows.add(piece(0, 0, handle=1, begin=7, final=True)) == []
    assert len(utter(windows, 125, handle=2)) == 1


def test_an_utterance_that_never_ended_is_replaced() -> None:
    windows = VoiceWindows()
    windows.add(piece(0, CHUNK_MS, begin=1))
    assert len(utter(windows, 125, begin=2)) == 1
