"""The engine: what happens to each packet. `create_engine` gives the fastest one that this installation has."""

import os

from sfu.engine.contract import Engine
from sfu.engine.python import PythonEngine

ENGINE_VARIABLE = "PARLEY_ENGINE"


def available_engines() -> list[str]:
    """Return the names of the engines of this installation, the fastest first."""
    return ["python"]


def create_engine(preference: str | None = None) -> Engine:
    """Return a new engine: "python", "compiled", or the fastest for None and "auto".

    Without a preference the environment variable PARLEY_ENGINE decides. ValueError for an unknown name, and for
    "compiled" where it was not built.
    """
    available = available_engines()
    name = preference or os.environ.get(ENGINE_VARIABLE) or "auto"
    if name == "auto":
        name = available[0]
    if name not in available:
        raise ValueError(f"no engine {name!r} here: auto, {', '.join(available)}")
    return PythonEngine()
