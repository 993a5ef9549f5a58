"""Writes the JSON Schemas of events into docs/events, a file for each kind and version. A test compares them."""

import json
from pathlib import Path

from control.events.catalogue import KINDS, ONLY_WEBHOOKS, event_schema

FOLDER = Path(__file__).parent / "events"


def texts() -> dict[str, str]:
    """Return the texts of the files by name."""
    kinds = KINDS | ONLY_WEBHOOKS
    return {
        f"{name}.v{kind.version}.json": json.dumps(event_schema(name, kind), indent=2) + "\n"
        for name, kind in sorted(kinds.items())
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
