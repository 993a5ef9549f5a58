"""The engine: what happens to each packet. `create_engine` gives the fastest one that this installation has."""

import os

from sfu.engine.contract import Engine
from sfu.engine.python import PythonEngine

ENGINE_VARIABLE = "PARLEY_ENGINE"


def create_engine(preference: str | None = None) -> Engine:
    """Return a new engine: "python", "compiled", or whichever is fastest for None and "auto".

    Without a preference the environment variable PARLEY_ENGINE decides. ValueError for an unknown name, and for
    "compiled" where it was not built.
    """
    name = preference or os.environ.get(ENGINE_VARIABLE) or "auto"
    if name in ("python", "auto"):
        return PythonEngine()
    raise ValueError(f"no such engine: {name!r} (python, compiled or auto)")
