"""The certificate of a TLS listener, which follows renewed files without a restart."""

import asyncio
import logging
import ssl
from pathlib import Path

from foundation.failures import describe

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 30.0


class ServedCertificate:
    """A certificate chain and its key, from PEM files, and the TLS `context` of the listeners that serve it."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        """Raise OSError if the files cannot be read, or do not fit together."""
        self._files = (certificate, key)
        self._seen = self._modified()
        self.context = _context(*self._files)

    async def run(self) -> None:
        """Follow the files until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.refresh()

    def refresh(self) -> None:
        """Load changed files. If they cannot be used, new connections keep the previous certificate."""
        try:
            modified = self._modified()
            if modified == self._seen:
                return
            self._seen = modified
            _context(*self._files)  # half a renewal must not reach the context that is in use
            self.context.load_cert_chain(*self._files)
        except OSError as error:
            _log.warning("the renewed certificate cannot be used: %s", describe(error))
        else:
            _log.info("new connections get the renewed certificate %s", self._files[0])

    def _modified(self) -> tuple[int, ...]:
        return tuple(path.stat().st_mtime_ns for path in self._files if path is not None)


def _context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context
