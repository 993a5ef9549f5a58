"""Transcripts as readable text, as WebVTT (W3C) and as SubRip, the format of most video editors."""

import html

from control.store.transcript import CaptionRow


def as_text(rows: list[CaptionRow]) -> str:
    """Return one line per utterance: time, name, text."""
    lines = []
    for row in rows:
        minute, second = divmod(row.start_ms // 1000, 60)
        lines.append(f"[{minute:02}:{second:02}] {' '.join(row.name.split())}: {' '.join(row.text.split())}\n")
    return "".join(lines)


def as_webvtt(rows: list[CaptionRow]) -> str:
    """Return one cue per utterance, with its speaker as a voice span and the times of its words, if they are known."""
    cues = ["WEBVTT\n"]
    for row in rows:
        end = max(row.end_ms, row.start_ms + 1)
        cues.append(f"{_time(row.start_ms)} --> {_time(end)}\n<v {_escaped(row.name)}>{_timed_text(row, end)}\n")
    return "\n".join(cues)


def _timed_text(row: CaptionRow, end: int) -> str:
    """Return cue text with a timestamp before each word that begins after another (WebVTT, 4.2.2)."""
    if not row.words:
        return _escaped(row.text)
    parts, before = [], row.start_ms
    for text, first, _ in row.words:
        begin = row.start_ms + first
        if before < begin < end:
            parts.append(f"<{_time(begin)}>")
            before = begin
        parts.append(html.escape(text.replace("\n", " "), quote=False))
    return "".join(parts)


def as_subrip(rows: list[CaptionRow]) -> str:
    """Return one numbered cue per utterance, with its speaker before the text."""
    cues = []
    for number, row in enumerate(rows, 1):
        begin, end = _time(row.start_ms), _time(max(row.end_ms, row.start_ms + 1))
        said = f"{' '.join(row.name.split())}: {' '.join(row.text.split())}"
        cues.append(f"{number}\n{begin.replace('.', ',')} --> {end.replace('.', ',')}\n{said}\n")
    return "\n".join(cues)


def _time(ms: int) -> str:
    seconds, ms = divmod(max(ms, 0), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{ms:03}"


def _escaped(text: str) -> str:
    """Return cue text, escaped and on one line, so that it cannot start another cue."""
    return html.escape(" ".join(text.split()), quote=False)
