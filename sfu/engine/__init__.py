"""The engine, which handles each packet. `create_engine` returns the fastest one in this installation."""

import importlib
import os
from collections.abc import Callable

from sfu.engine.contract import Engine
from sfu.engine.python import PythonEngine

ENGINE_VARIABLE = "PARLEY_SFU_ENGINE"


_TO_BUILD = "a C compiler and Python's headers (Debian: gcc, python3-dev); then install Parley again"
"""Requirements of the compiled engine, which the installation builds if it can."""


def _wanted(error: ImportError) -> str:
    """Return the reason why the compiled engine did not load."""
    if error.name == "sfu.engine.compiled":
        return _TO_BUILD
    if isinstance(error, ModuleNotFoundError):  # a build from an older tree imports modules that have moved
        return f"to be rebuilt: install Parley again ({error})"
    return str(error)


def _find_engines() -> tuple[dict[str, Callable[[], Engine]], str]:
    """Return the engines by name, and the requirements of the compiled one if it is missing."""
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
    """Return the names of this installation's engines, fastest first."""
    return list(_ENGINES)


def engine_notice(engine: Engine) -> str:
    """Return a log line: the engine in use, and how to get the compiled one."""
    if engine.name == "python":
        if not _WANTS:
            return f"engine: plain Python (as configured; {available_engines()[0]} is available)"
        return f"engine: plain Python; the compiled one, several times as fast, needs {_WANTS}"
    return f"engine: {engine.name}"


def create_engine(preference: str | None = None) -> Engine:
    """Return a new engine: "python", "compiled", or the fastest for None and "auto".

    Without a preference the environment variable PARLEY_SFU_ENGINE decides. Raises ValueError for an unknown name, and
    for "compiled" if it was not built.
    """
    name = preference or os.environ.get(ENGINE_VARIABLE) or "auto"
    if name == "auto":
        name = available_engines()[0]
    if name not in _ENGINES:
        raise ValueError(f"no engine {name!r} here: auto, {', '.join(_ENGINES)}")
    return _ENGINES[name]()
