"""Guards against text that Whisper invents on noise or silence."""

import re

from inference.speech.transcript import Transcript

NO_SPEECH = 0.6
NO_SPEECH_LOGPROB = -0.4
"""Lowest mean log probability of a text to show if its no-speech probability is above NO_SPEECH."""
LEAST_LANGUAGE = 0.3
LANGUAGE_LOGPROB = -0.4
"""Lowest mean log probability if the likeliest language is below LEAST_LANGUAGE, as with distant voices."""
LEAST_LOGPROB = -1.2
MOST_COMPRESSION = 2.4
_SHORT_MS = 1500
_SHORT_NO_SPEECH = 0.3
_WORD = re.compile(r"\w")
_NOT_WORD = re.compile(r"[^\w ]+")
# Whisper's output when nobody speaks, e.g. last lines of its training subtitles: needs more than a moment of voice.
_STOCK = frozenset(
    (
        "you", "thank you", "thank you very much", "thanks", "thanks for watching", "thank you for watching", "bye",
        "bye bye", "okay", "so", "the", "oh", "hmm", "mm", "uh", "please subscribe", "music", "gracias", "merci",
        "subtitles by the amara org community", "untertitel der amara org community", "sous titrage st 501",
        "subtítulos realizados por la comunidad de amara org", "谢谢", "谢谢大家", "字幕by索兰娅",
        "ご視聴ありがとうございました",
    )
)  # fmt: skip


def refusal(transcript: Transcript, voiced_ms: int) -> str | None:
    """Return why `transcript` of a clip with `voiced_ms` of voice must not be shown, or None if it may be shown."""
    sureness = transcript.logprob
    plain = " ".join(_NOT_WORD.sub(" ", transcript.text.casefold()).split())
    reasons = {
        "no_words": not _WORD.search(transcript.text),
        "repetition": transcript.looped or transcript.compression > MOST_COMPRESSION,
        "low_confidence": sureness < LEAST_LOGPROB,
        "no_speech": transcript.no_speech > NO_SPEECH and sureness < NO_SPEECH_LOGPROB,
        "no_language": transcript.detected_probability < LEAST_LANGUAGE and sureness < LANGUAGE_LOGPROB,
        "stock_phrase": plain in _STOCK and voiced_ms < _SHORT_MS and transcript.no_speech > _SHORT_NO_SPEECH,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)
