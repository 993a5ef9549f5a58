"""TLS between the parts, from the settings."""

import functools
from pathlib import Path

from foundation.part_tls import PartTls
from foundation.settings import Settings, SettingsError


def part_tls(settings: Settings) -> PartTls | None:
    """Return this process's TLS contexts, the same ones in each call; None without encryption. Raises SettingsError."""
    given = [settings[name] for name in ("parts_certificate", "parts_key", "parts_ca")]
    if not any(given):
        return None
    if not all(given):
        raise SettingsError("parts_certificate, parts_key and parts_ca belong together: set all of them, or none")
    try:
        return _contexts(*given)
    except OSError as error:
        raise SettingsError(f"parts_certificate, parts_key, parts_ca: {error.strerror or error}") from error


@functools.cache
def _contexts(certificate: Path, key: Path, authority: Path) -> PartTls:
    return PartTls(certificate, key, authority)
