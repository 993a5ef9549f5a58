"""Admission to a QUIC listener: decides who may begin a connection (RFC 9000, section 8) before it keeps any state.

From its first datagram on, a connection costs most of a millisecond and about 40 kB, and anybody can send one from a
forged address. A few connections may begin at once, which saves them a round trip. Others are answered with Retry,
which keeps no state: only a client that returns with the token has proved its address. Their rate is limited too, which
keeps the loop free for others; a client retries while its token is valid. An invalid token is treated as none.

Sans-IO: takes a datagram and the time, and returns a verdict. The sfu uses it for WebTransport.
"""

import os
from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from aioquic.buffer import Buffer  # type: ignore[attr-defined]  # the library's users import it from here
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE
from aioquic.quic.packet import QuicHeader, QuicPacketType, encode_quic_retry, pull_quic_header
from aioquic.quic.retry import QuicRetryTokenHandler

from foundation.token_bucket import TokenBucket

CONNECTION_ID_BYTES = 8
_UNPROVED_PER_SECOND, _UNPROVED_BURST = 4, 8
_PROVED_PER_SECOND, _PROVED_BURST = 50, 4
_RETRIES_PER_SECOND, _RETRIES_BURST = 1000, 20


class Outcome(StrEnum):
    """Verdicts; the values are the metrics' labels."""

    KNOWN = "quic_known"
    ADMITTED = "quic_admitted"
    PROVED = "quic_admitted_by_retry"
    OTHER_VERSION = "quic_other_version"
    RETRY = "quic_retry_sent"
    BUSY = "quic_dropped_busy"
    FULL = "quic_dropped_full"
    STRAY = "quic_dropped_stray"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The fate of a datagram. `answer` is sent back.

    For a new connection, it holds the ids that the transport parameters name (RFC 9000, section 7.3); `retry_source` is
    None if there was no Retry.
    """

    outcome: Outcome
    answer: bytes = b""
    destination: bytes = b""
    original_destination: bytes = b""
    retry_source: bytes | None = None

    @property
    def is_let_in(self) -> bool:
        """True if the datagram goes to a connection, or to the library, which answers it."""
        return self.outcome in _LET_IN


_LET_IN = frozenset({Outcome.KNOWN, Outcome.ADMITTED, Outcome.PROVED, Outcome.OTHER_VERSION})
_KNOWN = Verdict(Outcome.KNOWN)


class QuicAdmission:
    """Judges the datagrams of one listener that speaks `versions`."""

    def __init__(self, versions: Container[int]) -> None:
        self.tokens = QuicRetryTokenHandler()
        self._versions = versions
        self._unproved = TokenBucket(_UNPROVED_PER_SECOND, _UNPROVED_BURST)
        self._proved = TokenBucket(_PROVED_PER_SECOND, _PROVED_BURST)
        self._retries = TokenBucket(_RETRIES_PER_SECOND, _RETRIES_BURST)

    def judge(
        self, data: bytes, address: tuple[str, int], known: Container[bytes], now: int, *, is_full: bool = False
    ) -> Verdict:
        """Decide what to do with a datagram at `now` (nanoseconds).

        `known` holds the ids of open connections; if `is_full`, no connection may begin.
        """
        if data[:1] < b"\x80" or len(data) < SMALLEST_MAX_DATAGRAM_SIZE:
            destination = data[1 : 1 + CONNECTION_ID_BYTES] if data[:1] < b"\x80" else _long_destination(data)
            return _KNOWN if destination in known else Verdict(Outcome.STRAY)
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=CONNECTION_ID_BYTES)
        except ValueError:
            return Verdict(Outcome.STRAY)
        if header.destination_cid in known:
            return _KNOWN
        if header.version not in self._versions:
            answered = header.packet_type is not QuicPacketType.VERSION_NEGOTIATION and self._retries.take(now)
            return Verdict(Outcome.OTHER_VERSION if answered else Outcome.STRAY)
        if header.packet_type is not QuicPacketType.INITIAL:
            return Verdict(Outcome.STRAY)
        return self._begin(header, address, now, is_full)

    def _begin(self, header: QuicHeader, address: tuple[str, int], now: int, is_full: bool) -> Verdict:
        if is_full:
            return Verdict(Outcome.FULL)
        destination = header.destination_cid
        original = self._proof(header, address, now)
        if original is not None:
            if not self._proved.take(now):
                return Verdict(Outcome.BUSY)
            return Verdict(Outcome.PROVED, b"", destination, original, destination)
        if self._unproved.take(now):
            return Verdict(Outcome.ADMITTED, b"", destination, destination)
        if not self._retries.take(now):
            return Verdict(Outcome.BUSY)
        return Verdict(Outcome.RETRY, self._retry(header, address, now))

    def _proof(self, header: QuicHeader, address: tuple[str, int], now: int) -> bytes | None:
        """Return the id that the client addressed first if its token is ours; else None."""
        if not header.token:
            return None
        try:
            return self.tokens.validate_token(
                address=address, destination_cid=header.destination_cid, token=header.token, now=now / 1e9
            )
        except ValueError:
            return None

    def _retry(self, header: QuicHeader, address: tuple[str, int], now: int) -> bytes:
        source = os.urandom(CONNECTION_ID_BYTES)
        token = self.tokens.create_token(
            address=address,
            original_destination_connection_id=header.destination_cid,
            retry_source_connection_id=source,
            now=now / 1e9,
        )
        return encode_quic_retry(
            version=header.version or 0,
            source_cid=source,
            destination_cid=header.source_cid,
            original_destination_cid=header.destination_cid,
            retry_token=token,
        )


def _long_destination(data: bytes) -> bytes:
    """Return the destination id of a long header (RFC 8999, section 5.1)."""
    return data[6 : 6 + data[5]] if len(data) > 5 else b""
