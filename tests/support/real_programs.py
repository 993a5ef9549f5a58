"""Real systems for tests, instead of emulators, if `make real` has got them."""

import os
from pathlib import Path

FOLDER = Path(os.environ.get("PARLEY_REAL_HOME", Path(__file__).parents[2] / "build" / "real"))


def found(name: str) -> Path | None:
    """Return the program or the folder of a system, None if it was not got."""
    path = FOLDER / name
    return path if path.exists() else None
