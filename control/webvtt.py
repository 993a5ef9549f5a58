"""WebVTT (W3C) from captions: one cue per utterance, its speaker as a voice span."""

import html

from control.api.conversation_types import CaptionLine


def render(lines: list[CaptionLine]) -> str:
    cues = ["WEBVTT\n"]
    for line in lines:
        end = max(line.end_ms, line.start_ms + 1)
        cues.append(f"{_time(line.start_ms)} --> {_time(end)}\n<v {_annotation(line.name)}>{_text(line.text)}\n")
    return "\n".join(cues)


def _time(ms: int) -> str:
    seconds, ms = divmod(max(ms, 0), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{ms:03}"


def _text(text: str) -> str:
    """Return cue text, escaped and on one line, so that nothing in it starts a cue."""
    return html.escape(" ".join(text.split()), quote=False)


def _annotation(name: str) -> str:
    return html.escape(" ".join(name.split()), quote=False)
