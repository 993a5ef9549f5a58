"""The ports on which a running `parley up` listens, for commands beside it: a file in its runtime directory."""

import contextlib
import json
from pathlib import Path

from foundation.settings import Settings

_PORTS = ("http_port", "internal_port", "sfu_http_port", "recorder_port", "inference_port")


def note(settings: Settings) -> None:
    """Write the ports; raises OSError."""
    _file(settings).write_text(json.dumps({name: settings[name] for name in _PORTS}))


def forget(settings: Settings) -> None:
    """Remove the file, at the end of the server."""
    _file(settings).unlink(missing_ok=True)


def follow(settings: Settings) -> Settings:
    """Return the settings with the ports of the server in their runtime directory, unless they name others."""
    noted: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError):  # no server runs, or it is just being started
        noted = json.loads(_file(settings).read_text())
    unnamed = {name for name in _PORTS if settings.source(name) == "default" or settings[name] == 0}
    return settings.replaced(**{name: port for name, port in noted.items() if name in unnamed})


def _file(settings: Settings) -> Path:
    runtime: Path = settings["runtime_dir"]
    return runtime / "ports.json"
