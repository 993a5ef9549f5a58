"""Decides whether a transcript is speech or something that Whisper made up on noise or silence."""

import re

from inference.speech.transcript import Transcript

NO_SPEECH = 0.6
NO_SPEECH_LOGPROB = -0.4
"""With a no-speech probability above NO_SPEECH, a text must be surer than this to stand."""
LEAST_LOGPROB = -1.2
MOST_COMPRESSION = 2.4
_SHORT_MS = 1500
_SHORT_NO_SPEECH = 0.3
_WORD = re.compile(r"\w")
_NOT_WORD = re.compile(r"[^\w ]+")
# What Whisper says when nobody does (its training subtitles' closing lines): needs more than a moment of voice.
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
    """Return why `transcript` of a clip with `voiced_ms` of voice is not to be shown, or None when it stands."""
    if not _WORD.search(transcript.text):
        return "no_words"
    if transcript.looped or transcript.compression > MOST_COMPRESSION:
        return "repetition"
    if transcript.logprob < LEAST_LOGPROB:
        return "low_confidence"
    if transcript.no_speech > NO_SPEECH and transcript.logprob < NO_SPEECH_LOGPROB:
        return "no_speech"
    plain = _NOT_WORD.sub(" ", transcript.text.casefold())
    stock = " ".join(plain.split()) in _STOCK
    if stock and voiced_ms < _SHORT_MS and transcript.no_speech > _SHORT_NO_SPEECH:
        return "stock_phrase"
    return None
