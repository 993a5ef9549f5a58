"""Speech recognition of known words: error rate, batches, windows, invented words."""

import itertools
import random

import numpy as np
import pytest

from inference.speech.guards import refusal
from inference.speech.transcript import compression_ratio, loop_start, window_seconds
from inference.speech.whisper import Clip, WhisperModel
from tests.inference.material import noises, prompt, prompts, silence, word_errors, words

BAR = 0.08


def test_word_error_rate_on_thirty_prompts(whisper: WhisperModel) -> None:
    errors = spoken = 0
    for one in prompts(30):
        heard = whisper.transcribe([Clip(one.samples)])[0]
        assert heard.language == "en", one.name
        assert refusal(heard, voiced_ms=len(one.samples) // 16) is None, (one.name, heard)
        errors += word_errors(one.text, heard.text)
        spoken += len(words(one.text))
    assert spoken > 450
    assert errors / spoken <= BAR, f"{errors} errors in {spoken} words"


def test_a_clip_reads_the_same_alone_and_in_company(whisper: WhisperModel) -> None:
    clips = [Clip(one.samples) for one in prompts(30) if window_seconds(len(one.samples)) == 10][:8]
    assert len(clips) == 8
    together = whisper.transcribe(clips)
    alone = [whisper.transcribe([clip])[0] for clip in clips]
    assert [heard.text for heard in together] == [heard.text for heard in alone]
    assert [heard.tokens for heard in together] == [heard.tokens for heard in alone]


def test_words_are_timed_where_they_are_spoken(whisper: WhisperModel) -> None:
    first, second = prompt("followme/status"), prompt("ss-noservice")
    sound = np.concatenate((first.samples, np.zeros(16_000, np.float32), second.samples))
    heard = whisper.transcribe([Clip(sound, language="en")])[0]
    assert "".join(word.text for word in heard.words).strip() == heard.text
    assert all(one.end_ms <= other.start_ms for one, other in itertools.pairwise(heard.words))
    resumed = heard.words[len(words(first.text))]
    assert resumed.text == " The"
    assert abs(resumed.start_ms - (len(first.samples) + 16_000) // 16) < 300, heard.words


def test_no_words_are_made_of_noise(whisper: WhisperModel) -> None:
    for name, sound in noises():
        for seconds in (1, 3, 9):
            heard = whisper.transcribe([Clip(sound[: seconds * 16_000])])[0]
            assert refusal(heard, voiced_ms=300) is not None, (name, seconds, heard)


def test_a_given_language_is_used(whisper: WhisperModel) -> None:
    spoken = prompts(1)[0].samples[: 8 * 16_000]
    heard = whisper.transcribe([Clip(spoken, language="es")])[0]
    assert (heard.language, heard.detected) == ("es", "en")
    with pytest.raises(ValueError, match="no language 'xx'"):
        whisper.transcribe([Clip(spoken, language="xx")])


def test_a_prior_decides_between_languages(whisper: WhisperModel) -> None:
    spoken = prompts(1)[0].samples[: 8 * 16_000]
    assert whisper.transcribe([Clip(spoken, prior={"es": 1.0, "": 1e-9})])[0].language == "es"
    assert whisper.transcribe([Clip(spoken, prior={"es": 1.0, "": 0.1})])[0].language == "en"


def test_nothing_and_too_much(whisper: WhisperModel) -> None:
    assert whisper.transcribe([]) == []
    whisper.transcribe([Clip(np.zeros(0, np.float32))])
    long = np.concatenate([one.samples for one in prompts(3)] + [silence(10)])
    assert whisper.transcribe([Clip(long)])[0].text


def test_windows() -> None:
    seconds = [window_seconds(int(length * 16_000)) for length in (0, 1, 6, 6.1, 11, 12, 16, 21, 26, 40)]
    assert seconds == [10, 10, 10, 15, 15, 20, 20, 25, 30, 30]


def test_loops_are_found_where_they_begin() -> None:
    chance = random.Random(3)
    for period in range(1, 13):
        loop = [chance.randrange(5, 9) if period > 1 else 5 for _ in range(period)]
        if period > 1:
            loop[0] = 100  # the loop has no shorter period
        assert loop_start([1, 2, 3, *loop * 4]) == 3
        assert loop_start([1, 2, 3, *loop * 3]) is None


def test_repetition_compresses() -> None:
    assert compression_ratio("thank you. " * 40) > 2.4
    assert compression_ratio("All of our representatives are currently busy.") < 2.4
    assert compression_ratio("") == 0
