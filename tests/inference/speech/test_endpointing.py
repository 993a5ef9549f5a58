"""Beginnings and ends of utterances; no sample is lost or duplicated between them."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inference.speech.endpointing import CHUNK, CHUNK_MS, Endpointer, Piece, Thresholds


def chunk(number: int) -> np.ndarray:
    return np.full(CHUNK, number % 30_000, np.int16)


def feed(endpointer: Endpointer, probabilities: list[float]) -> list[Piece]:
    pieces: list[Piece] = []
    for number, probability in enumerate(probabilities):
        pieces += endpointer.push(number * CHUNK, chunk(number), probability)
    return pieces


def audio(pieces: list[Piece]) -> dict[int, np.ndarray]:
    """Each finished utterance's samples as a receiver keeps them."""
    kept: dict[int, list[np.ndarray]] = {}
    done: dict[int, np.ndarray] = {}
    for piece in pieces:
        kept.setdefault(piece.begin, []).append(piece.samples)
        if piece.final:
            done[piece.begin] = np.concatenate(kept[piece.begin])[: piece.end - piece.begin]
            assert len(done[piece.begin]) == piece.end - piece.begin
    return done


def ms(milliseconds: int) -> int:
    return milliseconds // CHUNK_MS


def test_an_utterance_has_its_onset_and_ends_after_a_pause() -> None:
    pieces = feed(Endpointer(), [0.0] * 50 + [0.9] * 60 + [0.0] * 40)
    final = pieces[-1]
    assert final.final and not final.discard
    assert final.begin == (50 - ms(320)) * CHUNK
    assert final.end == (110 + ms(192)) * CHUNK
    assert final.voiced_ms == 60 * CHUNK_MS
    assert len(pieces) == 60 + ms(608)  # the final came as soon as the pause was long enough
    assert list(audio(pieces)) == [final.begin]
    assert audio(pieces)[final.begin][0] == 50 - ms(320)


def test_a_partial_in_the_pause_already_has_the_finals_audio() -> None:
    pieces = feed(Endpointer(), [0.9] * 60 + [0.0] * 40)
    paused = [piece for piece in pieces if piece.paused and not piece.final]
    assert paused
    assert {piece.end for piece in paused} == {pieces[-1].end}


def test_a_short_pause_does_not_end_an_utterance() -> None:
    pieces = feed(Endpointer(), [0.9] * 30 + [0.0] * ms(500) + [0.9] * 30 + [0.0] * 40)
    assert [piece.final for piece in pieces].count(True) == 1


def test_a_click_is_thrown_away() -> None:
    pieces = feed(Endpointer(), [0.0] * 20 + [0.9] * 3 + [0.0] * 40)
    assert pieces[-1].final and pieces[-1].discard


def test_a_long_speech_is_cut_at_a_breath() -> None:
    speech = ([0.9] * 100 + [0.1] * ms(200)) * 6
    finals = [piece for piece in feed(Endpointer(), [*speech, *[0.0] * 40]) if piece.final]
    assert len(finals) > 1
    assert all((piece.end - piece.begin) / 16 <= 20_000 for piece in finals)


def test_a_speech_without_a_breath_is_cut_where_it_is_quietest() -> None:
    probabilities = [0.9] * 900
    probabilities[550] = 0.4
    endpointer = Endpointer()
    pieces = feed(endpointer, probabilities) + endpointer.finish()
    finals = [piece for piece in pieces if piece.final]
    assert finals[0].end == 551 * CHUNK
    assert [piece.begin for piece in finals[1:]] == [piece.end for piece in finals[:-1]]
    assert np.array_equal(np.concatenate(list(audio(pieces).values())), np.concatenate([chunk(n) for n in range(900)]))


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.45, 0.6, 0.95]), st.integers(1, 40)), max_size=40))
def test_utterances_are_ordered_disjoint_whole_and_bounded(runs: list[tuple[float, int]]) -> None:
    limits = Thresholds(cut_from_ms=1600, longest_ms=3200)
    endpointer = Endpointer(limits)
    probabilities = [probability for probability, count in runs for _ in range(count)]
    pieces = feed(endpointer, probabilities) + endpointer.finish()
    assert endpointer.finish() == []
    finals = [piece for piece in pieces if piece.final]
    for earlier, later in itertools.pairwise(finals):
        assert earlier.end <= later.begin
    for begin, samples in audio(pieces).items():
        assert len(samples) <= limits.longest_ms * 16 + limits.lead_ms * 16
        assert np.array_equal(samples[::CHUNK], np.arange(begin // CHUNK, begin // CHUNK + len(samples) // CHUNK))
    spoken = [number for number, probability in enumerate(probabilities) if probability >= limits.on]
    covered = {number for piece in finals for number in range(piece.begin // CHUNK, piece.end // CHUNK)}
    assert covered.issuperset(spoken)
