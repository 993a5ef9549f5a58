"""Certificates in TLS contexts, which follow renewed files without a restart."""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Protocol

from foundation.failures import describe

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 30.0


class Context(Protocol):
    """A user of a certificate: an `ssl.SSLContext`, or aioquic's `QuicConfiguration`."""

    def load_cert_chain(self, certificate: Path, key: Path | None, /) -> None: ...


class FollowedCertificate:
    """A certificate chain and its key, from PEM files, in the contexts that use them.

    With `authority`, a PEM file of certificates, TLS contexts trust what these have signed.
    """

    def __init__(self, certificate: Path, key: Path | None, *contexts: Context, authority: Path | None = None) -> None:
        """Raise OSError if the files cannot be read, or do not fit together."""
        self._certificate, self._key, self._authority = certificate, key, authority
        self._contexts = contexts
        self._seen = self._modified()
        self._load(_trial())
        for context in contexts:
            self._load(context)

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
            self._load(_trial())
            for context in self._contexts:
                self._load(context)
        except OSError as error:
            _log.warning("the renewed certificate cannot be used: %s", describe(error))
        else:
            _log.info("new connections get the renewed certificate %s", self._certificate)

    def _load(self, context: Context) -> None:
        context.load_cert_chain(self._certificate, self._key)
        if self._authority is not None and isinstance(context, ssl.SSLContext):
            context.load_verify_locations(self._authority)

    def _modified(self) -> tuple[int, ...]:
        files = (self._certificate, self._key, self._authority)
        return tuple(path.stat().st_mtime_ns for path in files if path is not None)


def _trial() -> ssl.SSLContext:
    """Return a context for files that may not fit together: half a renewal must not reach contexts in use."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


class ServedCertificate(FollowedCertificate):
    """The certificate of a TLS listener, and the `context` of the listener."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        """Raise OSError if the files cannot be read, or do not fit together."""
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        super().__init__(certificate, key, self.context)
