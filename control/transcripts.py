"""Transcripts as readable text."""

from control.store.understanding import CaptionRow


def as_text(rows: list[CaptionRow]) -> str:
    """Return one line per utterance: time, name, text."""
    lines = []
    for row in rows:
        minute, second = divmod(row.start_ms // 1000, 60)
        lines.append(f"[{minute:02}:{second:02}] {' '.join(row.name.split())}: {' '.join(row.text.split())}\n")
    return "".join(lines)
