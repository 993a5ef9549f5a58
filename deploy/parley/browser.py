"""The browser that opens web pages for egresses, on the machine of ingress."""

import shutil

_NAMES = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")


def find(named: str | None) -> str | None:
    """Return the path of the browser that an operator names, or else of one on PATH; None if there is none."""
    return next((path for name in ([named] if named else _NAMES) if (path := shutil.which(name)) is not None), None)
