"""Addresses of SRT listeners, srt://host:port?streamid=…&passphrase=…&latency=…, and their secrets apart from them."""

from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

_DEFAULT_LATENCY_MS, _LATENCIES_MS = 500, range(20, 8001)
_PASSPHRASES, _MAX_STREAM_ID = range(10, 80), 512
"""SRT's limits, in bytes."""
_PARAMETERS = frozenset({"streamid", "passphrase", "latency", "mode"})


class SrtSecrets(NamedTuple):
    """The secrets of a target."""

    stream_id: str = ""
    passphrase: str = ""

    def key(self) -> str:
        """Return them as the key of an output, "" if there are none."""
        return urlencode({"streamid": self.stream_id, "passphrase": self.passphrase}) if any(self) else ""


class SrtTarget(NamedTuple):
    """A listener, in order: `host` may be a name. `latency_ms` is that of the receiver."""

    host: str
    port: int
    latency_ms: int
    secrets: SrtSecrets

    def url(self) -> str:
        """Return the address without the secrets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"srt://{host}:{self.port}?latency={self.latency_ms}"


def srt_target(url: str, stream_id: str | None = None) -> SrtTarget:
    """Parse an address; `stream_id` overrides that in it. Raises ValueError with a sentence for users."""
    parts = urlsplit(url)
    given = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    if parts.scheme != "srt" or not parts.hostname or not parts.port or parts.path.strip("/"):
        raise ValueError("The address must have the form srt://host:port.")
    if given.keys() - _PARAMETERS or given.get("mode", "caller") != "caller":
        raise ValueError(f"An SRT address may have {', '.join(sorted(_PARAMETERS))}. The mode is caller.")
    latency = given.get("latency", str(_DEFAULT_LATENCY_MS))
    if not latency.isascii() or not latency.isdecimal() or int(latency) not in _LATENCIES_MS:
        raise ValueError(f"The latency must be from {_LATENCIES_MS[0]} to {_LATENCIES_MS[-1]} ms.")
    secrets = SrtSecrets(stream_id or given.get("streamid", ""), given.get("passphrase", ""))
    if secrets.passphrase and len(secrets.passphrase.encode()) not in _PASSPHRASES:
        raise ValueError(f"A passphrase has {_PASSPHRASES[0]} to {_PASSPHRASES[-1]} characters.")
    if len(secrets.stream_id.encode()) > _MAX_STREAM_ID:
        raise ValueError(f"A stream id has at most {_MAX_STREAM_ID} bytes.")
    return SrtTarget(parts.hostname, parts.port, int(latency), secrets)


def read_srt_secrets(key: str) -> SrtSecrets:
    """Return the secrets in the key of an output."""
    found = parse_qs(key)
    return SrtSecrets(found.get("streamid", [""])[0], found.get("passphrase", [""])[0])
