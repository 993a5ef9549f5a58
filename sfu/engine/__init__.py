"""The engine: what happens to each packet. `create_engine` gives the fastest one that this installation has."""

import importlib
import os
from collections.abc import Callable

from sfu.engine.contract import Engine
from sfu.engine.python import PythonEngine

ENGINE_VARIABLE = "PARLEY_SFU_ENGINE"


_TO_BUILD = "a C compiler and Python's headers (Debian: gcc, python3-dev), then install Parley anew"
"""Instructions for the compiled engine, which the installation builds where it can."""


def _wanted(error: ImportError) -> str:
    """Return why the compiled engine did not load."""
    if error.name == "sfu.engine.compiled":
        return _TO_BUILD
    if isinstance(error, ModuleNotFoundError):  # a build of an older tree imports modules that have moved
        return f"to be built anew: install Parley again ({error})"
    return str(error)


def _find_engines() -> tuple[dict[str, Callable[[], Engine]], str]:
    """Return the engines, and what the fast one needs if it is missing: the Python engine then serves."""
    wants = ""
    engines: dict[str, Callable[[], Engine]] = {}
    try:
        engines["compiled"] = importlib.import_module("sfu.engine.compiled").CompiledEngine
    except ImportError as error:
        wants = _wanted(error)
    engines["python"] = PythonEngine
    return engines, wants


_ENGINES, _WANTS = _find_engines()


def available_engines() -> list[str]:
    """Return the names of the engines of this installation, the fastest first."""
    return list(_ENGINES)


def engine_notice(engine: Engine) -> str:
    """Return a line for the log: the engine in use, and how to get the compiled one."""
    if engine.name == "python":
        if not _WANTS:
            return f"engine: plain Python (asked for; {available_engines()[0]} is here, too)"
        return f"engine: plain Python; the compiled one, several times as fast, needs {_WANTS}"
    return f"engine: {engine.name}"


def create_engine(preference: str | None = None) -> Engine:
    """Return a new engine: "python", "compiled", or the fastest for None and "auto".

    Without a preference the environment variable PARLEY_SFU_ENGINE decides. ValueError for an unknown name, and for
    "compiled" where it was not built.
    """
    name = preference or os.environ.get(ENGINE_VARIABLE) or "auto"
    if name == "auto":
        name = available_engines()[0]
    if name not in _ENGINES:
        raise ValueError(f"no engine {name!r} here: auto, {', '.join(_ENGINES)}")
    return _ENGINES[name]()
