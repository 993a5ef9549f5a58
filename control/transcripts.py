"""What was said, as text to read."""

from control.store.understanding import CaptionRow


def as_text(rows: list[CaptionRow]) -> str:
    """Return a line for each utterance: time, name, words."""
    lines = []
    for row in rows:
        minute, second = divmod(row.start_ms // 1000, 60)
        lines.append(f"[{minute:02}:{second:02}] {' '.join(row.name.split())}: {' '.join(row.text.split())}\n")
    return "".join(lines)
