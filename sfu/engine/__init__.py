"""The engine: what happens to each packet. `create_engine` gives the fastest one that this installation has."""

import contextlib
import importlib
import os
from collections.abc import Callable

from sfu.engine.contract import Engine
from sfu.engine.python import PythonEngine

ENGINE_VARIABLE = "PARLEY_ENGINE"


def _find_engines() -> dict[str, Callable[[], Engine]]:
    engines: dict[str, Callable[[], Engine]] = {}
    # Where it was not built, or without libcrypto, the Python engine serves.
    with contextlib.suppress(ImportError):
        engines["compiled"] = importlib.import_module("sfu.engine.compiled").CompiledEngine
    engines["python"] = PythonEngine
    return engines


_ENGINES = _find_engines()


def available_engines() -> list[str]:
    """Return the names of the engines of this installation, the fastest first."""
    return list(_ENGINES)


def engine_notice(engine: Engine) -> str:
    """Return one line for whoever starts a node: which engine runs, and how to get the fast one."""
    if engine.name == "python":
        reason = "" if len(_ENGINES) == 1 else f" (asked for; {available_engines()[0]} is here, too)"
        hint = "; with a C compiler installed, `pip install` builds the fast one" if len(_ENGINES) == 1 else ""
        return f"engine: plain Python{reason}{hint}"
    return f"engine: {engine.name}"


def create_engine(preference: str | None = None) -> Engine:
    """Return a new engine: "python", "compiled", or the fastest for None and "auto".

    Without a preference the environment variable PARLEY_ENGINE decides. ValueError for an unknown name, and for
    "compiled" where it was not built.
    """
    name = preference or os.environ.get(ENGINE_VARIABLE) or "auto"
    if name == "auto":
        name = available_engines()[0]
    if name not in _ENGINES:
        raise ValueError(f"no engine {name!r} here: auto, {', '.join(_ENGINES)}")
    return _ENGINES[name]()
