"""DTLS-SRTP (RFC 5764) of one peer over OpenSSL's memory BIO: no socket, no task.

DTLS 1.2 (RFC 6347); a DTLS 1.3 hello falls back to it. The remote certificate's fingerprint is checked inside the
handshake, so that a wrong one ends it with an alert, and again before keys are exposed. On the client side, `takeover`
replaces OpenSSL if the server's certificate uses a curve that OpenSSL does not accept.

Retransmission: OpenSSL's timer uses the wall clock and starts at a second. Therefore the last flight is also repeated
here, byte for byte, by the caller's clock; the other side sees an ordinary duplicate. This does not replace OpenSSL's
own retransmission with fresh record numbers, which is needed if the other side got the flight and its answer was lost.
Our server answers such repeats with its last flight, so two of our associations need no wall clock.
"""

import contextlib
from collections.abc import Sequence
from enum import Enum

from OpenSSL import SSL, crypto

from sfu.formats.sdp import Fingerprint
from sfu.machines.dtls.certificate import DtlsCertificate, matches
from sfu.machines.dtls.context import context_of
from sfu.machines.dtls.messages import CERTIFICATE, Assembler, Message
from sfu.machines.dtls.records import CHANGE_CIPHER_SPEC, HANDSHAKE, Record, is_client_hello, is_sane, pack, records
from sfu.machines.dtls.srtp import EXPORTER_LABEL, PROFILES, DtlsKeys, profile_by_number, split
from sfu.machines.dtls.takeover import FingerprintMismatchError, TakenOver, is_needed
from sfu.machines.negotiation.agreement import DtlsRole

__all__ = ["MTU", "Dtls", "DtlsKeys", "DtlsState"]

MTU = 1200
HANDSHAKE_NS = 30_000_000_000
MAX_HELD = 8
MAX_HELD_BYTES = 2048
MAX_HANDSHAKE_BYTES = 128 * 1024

_FIRST_REPEAT_NS = 250_000_000
_MAX_REPEAT_NS = 4_000_000_000
_FINAL_REPEAT_NS = 50_000_000
_MIN_TIMER_NS = 1_000_000
_HASHES = ("sha-256", "sha-384", "sha-512")
_BAD_CERTIFICATE = 42
_HANDSHAKE_FAILURE = 40


class DtlsState(Enum):
    NEW = "new"
    HANDSHAKING = "handshaking"
    CONNECTED = "connected"
    CLOSED = "closed"


class Dtls:
    """One association. It must get only datagrams from 5-tuples that ICE has validated."""

    def __init__(self, certificate: DtlsCertificate) -> None:
        self.keeps_data = False
        """True if application data is kept for `application_data`; else it is dropped."""
        self._certificate = certificate
        self._state = DtlsState.NEW
        self._role = DtlsRole.SERVER
        self._connection: SSL.Connection | None = None
        self._fingerprints: tuple[Fingerprint, ...] = ()
        self._keys: DtlsKeys | None = None
        self._reason = ""
        self._mismatch = False
        self._dropped = 0
        self._held: list[bytes] = []
        self._handshake_bytes = 0
        self._outgoing: list[bytes] = []
        self._application: list[bytes] = []
        self._flight: list[bytes] = []
        self._deadline = 0
        self._repeat_due: int | None = None
        self._repeat_interval = _FIRST_REPEAT_NS
        self._final_repeated = 0
        self._openssl_due: int | None = None
        self._assembler: Assembler | None = None
        self._server_messages: list[Message] = []
        self._taken_over: TakenOver | None = None
        self._taken_flight = False

    @property
    def state(self) -> DtlsState:
        return self._state

    @property
    def role(self) -> DtlsRole:
        """Our role once started."""
        return self._role

    @property
    def close_reason(self) -> str:
        """The reason why the state is CLOSED.

        One of closed_locally, closed_by_remote, fingerprint_mismatch, no_srtp_profile, handshake_failure,
        handshake_timeout, protocol_error.
        """
        return self._reason

    @property
    def keys(self) -> DtlsKeys | None:
        """The SRTP keys while CONNECTED, else None."""
        return self._keys

    @property
    def dropped(self) -> int:
        """Datagrams dropped as malformed or over a bound."""
        return self._dropped

    def start(self, role: DtlsRole, fingerprints: Sequence[Fingerprint], now: int) -> None:
        """Begin: a client sends its hello, a server waits for one. Datagrams that were held are processed now.

        Raises ValueError if started twice or without a usable fingerprint (sha-256, sha-384, sha-512).
        """
        if self._state is not DtlsState.NEW:
            raise ValueError("the association was started before")
        self._fingerprints = tuple(one for one in fingerprints if one.algorithm in _HASHES)
        if not self._fingerprints:
            raise ValueError("no usable fingerprint")
        self._role = role
        self._connection = self._connect(role)
        self._state = DtlsState.HANDSHAKING
        self._deadline = now + HANDSHAKE_NS
        if role is DtlsRole.CLIENT:
            self._assembler = Assembler()
            self._advance(self._connection, now)
        held, self._held = self._held, []
        for data in held:
            self.receive(data, now)

    def receive(self, data: bytes, now: int) -> None:
        """Take a datagram; before `start` a few are held, since the answer may arrive later than the hello."""
        if self._state is DtlsState.NEW and len(self._held) < MAX_HELD and len(data) <= MAX_HELD_BYTES:
            self._held.append(data)
            return
        try:
            found = records(data)
        except ValueError:
            found = []
        if self._state in (DtlsState.NEW, DtlsState.CLOSED) or not found or not is_sane(data, found):
            self._dropped += 1
            return
        if self._state is DtlsState.HANDSHAKING and not self._admits(data, found):
            self._dropped += 1
            return
        if self._state is DtlsState.CONNECTED and self._repeats_flight(found, now):
            self._outgoing += self._flight
        if self._assembler is not None:
            self._look_for_takeover(self._assembler, data, found, now)
        if self._taken_over is not None:
            self._advance_taken_over(self._taken_over, data, found, now)
        elif self._connection is not None:
            self._connection.bio_write(data)
            self._advance(self._connection, now)

    def datagrams_to_send(self) -> list[bytes]:
        """Return the datagrams to send now, each at most MTU bytes."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def application_data(self) -> list[bytes]:
        """Return the contents of application data records since the last call; only a few are kept."""
        received, self._application = self._application, []
        return received

    def send(self, data: Sequence[bytes], now: int) -> bool:
        """Send each item as one application data record (RFC 8261); return False if there is no usable association.

        Each must leave room for the record's header within MTU. A taken-over association carries no application data.
        """
        connection = self._connection
        if self._state is not DtlsState.CONNECTED or connection is None:
            return False
        try:
            for entry in data:
                connection.send(entry)
        except SSL.Error:
            self._close("protocol_error")
            return False
        self._collect(connection, now)
        return True

    def timer(self) -> int | None:
        """Return when `handle_timer` has work next, in ns, or None."""
        if self._state is not DtlsState.HANDSHAKING:
            return None
        return min(due for due in (self._deadline, self._repeat_due, self._openssl_due) if due is not None)

    def handle_timer(self, now: int) -> None:
        """Repeat the flight when due; a handshake that takes longer than HANDSHAKE_NS is closed (handshake_timeout)."""
        if self._state is not DtlsState.HANDSHAKING:
            return
        if now >= self._deadline:
            self._close("handshake_timeout")
            return
        if self._connection is not None and self._openssl_due is not None and now >= self._openssl_due:
            try:
                self._connection.DTLSv1_handle_timeout()
            except SSL.Error:
                self._close("handshake_timeout")
                return
            self._flight = self._collect(self._connection, now) or self._flight
        if self._repeat_due is not None and now >= self._repeat_due:
            if self._taken_over is not None:
                self._flight = self._taken_over.flight() or self._flight
            # Datagrams that have not been fetched yet, for lack of an address, need no repetition.
            self._outgoing = self._outgoing or list(self._flight)
            self._repeat_interval = min(2 * self._repeat_interval, _MAX_REPEAT_NS)
            self._repeat_due = now + self._repeat_interval

    def close(self, now: int) -> None:
        """Send close_notify and close."""
        if self._state is DtlsState.CONNECTED:
            self._say_goodbye(now)
        if self._state is not DtlsState.CLOSED:
            self._close("closed_locally")

    def _connect(self, role: DtlsRole) -> SSL.Connection:
        connection = SSL.Connection(context_of(self._certificate), None)
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        connection.set_ciphertext_mtu(MTU)
        if role is DtlsRole.CLIENT:
            connection.set_connect_state()
        else:
            connection.set_accept_state()
        return connection

    def _verify(self, _: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
        """Accept by fingerprint alone, whatever OpenSSL's verdict on the chain (RFC 8122, section 6)."""
        if depth > 0 or matches(certificate.to_cryptography(), self._fingerprints):
            return True
        self._mismatch = True
        return False

    def _admits(self, data: bytes, found: list[Record]) -> bool:
        """Return True if a datagram may be part of the handshake: a server expects a hello first, and floods are
        rejected.
        """
        if self._role is DtlsRole.SERVER and not self._flight and not is_client_hello(data, found):
            return False
        self._handshake_bytes += len(data)
        return self._handshake_bytes <= MAX_HANDSHAKE_BYTES

    def _advance(self, connection: SSL.Connection, now: int) -> None:
        """Let OpenSSL process its input."""
        try:
            if self._state is DtlsState.HANDSHAKING:
                connection.do_handshake()
                self._begin_flight(self._collect(connection, now), now)
                self._complete(connection, now)
            while self._state is DtlsState.CONNECTED:
                data = connection.recv(2**14)
                if self.keeps_data:
                    self._application = [*self._application[1 - MAX_HELD :], data]
        except SSL.WantReadError:
            written = self._collect(connection, now)
            if self._state is DtlsState.HANDSHAKING:
                self._begin_flight(written, now)
        except SSL.ZeroReturnError:
            self._say_goodbye(now)
            self._close("closed_by_remote")
        except SSL.Error:
            self._collect(connection, now)
            reason = "handshake_failure" if self._state is DtlsState.HANDSHAKING else "protocol_error"
            self._close("fingerprint_mismatch" if self._mismatch else reason)

    def _complete(self, connection: SSL.Connection, now: int) -> None:
        certificate = connection.get_peer_certificate(as_cryptography=True)
        profile = PROFILES.get(connection.get_selected_srtp_profile())
        if certificate is None or not matches(certificate, self._fingerprints):
            self._say_goodbye(now)
            self._close("fingerprint_mismatch")
        elif profile is None:
            self._say_goodbye(now)
            self._close("no_srtp_profile")
        else:
            material = connection.export_keying_material(EXPORTER_LABEL, profile.material_bytes)
            self._connected(split(material, profile, self._role))

    def _connected(self, keys: DtlsKeys) -> None:
        self._keys = keys
        self._state = DtlsState.CONNECTED
        self._repeat_due = self._openssl_due = None
        self._assembler = None
        self._server_messages.clear()

    def _collect(self, connection: SSL.Connection, now: int) -> list[bytes]:
        """Move OpenSSL's output to the outgoing datagrams, and return it."""
        written = []
        try:
            while True:
                written.append(connection.bio_read(2**16))
        except SSL.WantReadError:
            pass
        datagrams = pack(b"".join(written), MTU)
        self._outgoing += datagrams
        if self._state is DtlsState.HANDSHAKING:
            remaining = connection.DTLSv1_get_timeout()
            self._openssl_due = None if remaining is None else now + max(int(remaining * 1e9), _MIN_TIMER_NS)
        return datagrams

    def _begin_flight(self, datagrams: list[bytes], now: int) -> None:
        """Remember a new flight for its repetition."""
        if datagrams:
            self._flight = datagrams
            self._repeat_interval = _FIRST_REPEAT_NS
            self._repeat_due = now + self._repeat_interval

    def _look_for_takeover(self, assembler: Assembler, data: bytes, found: list[Record], now: int) -> None:
        """Read the server's first flight along with OpenSSL until its certificate is seen."""
        try:
            self._server_messages += assembler.add(data, found)
            certificate = next((one for one in self._server_messages if one.kind == CERTIFICATE), None)
            if certificate is None:
                return
            self._assembler = None
            if not is_needed(certificate.body):
                return
        except ValueError:
            self._assembler = None  # OpenSSL judges it
            return
        first = records(self._flight[0])[0]
        seq = int.from_bytes(self._flight[0][first.start + 17 : first.start + 19], "big")
        (hello, *_) = [message for one in self._flight for message in Assembler(seq).add(one, records(one))]
        last = records(self._flight[-1])[-1]
        next_record = int.from_bytes(self._flight[-1][last.start + 5 : last.start + 11], "big") + 1
        self._taken_over = TakenOver(self._certificate, self._fingerprints, hello, assembler, next_record)
        self._connection = self._openssl_due = None

    def _advance_taken_over(self, taken: TakenOver, data: bytes, found: list[Record], now: int) -> None:
        try:
            messages, self._server_messages = self._server_messages, []
            if messages:
                taken.take_messages(messages)
            taken.take(data, found)
        except ValueError as error:
            mismatch = isinstance(error, FingerprintMismatchError)
            self._outgoing.append(taken.alert(2, _BAD_CERTIFICATE if mismatch else _HANDSHAKE_FAILURE))
            self._close("fingerprint_mismatch" if mismatch else "handshake_failure")
            return
        if taken.closed_by_remote:
            self._say_goodbye(now)
            self._close("closed_by_remote")
        elif taken.finished and self._state is DtlsState.HANDSHAKING:
            profile = profile_by_number(taken.srtp_profile)
            if profile is None:
                self._say_goodbye(now)
                self._close("no_srtp_profile")
            else:
                self._connected(split(taken.export(EXPORTER_LABEL, profile.material_bytes), profile, self._role))
        elif not self._taken_flight and (flight := taken.flight()):
            self._taken_flight = True
            self._outgoing += flight
            self._begin_flight(flight, now)

    def _repeats_flight(self, found: list[Record], now: int) -> bool:
        """Return True if a client repeats its last flight, since it missed ours (RFC 6347, section 4.2.4)."""
        if self._role is not DtlsRole.SERVER or now - self._final_repeated < _FINAL_REPEAT_NS:
            return False
        if not any(record.content_type in (HANDSHAKE, CHANGE_CIPHER_SPEC) for record in found):
            return False
        self._final_repeated = now
        return True

    def _say_goodbye(self, now: int) -> None:
        if self._taken_over is not None:
            self._outgoing.append(self._taken_over.alert(1, 0))
        elif self._connection is not None:
            with contextlib.suppress(SSL.Error):
                self._connection.shutdown()
            self._collect(self._connection, now)

    def _close(self, reason: str) -> None:
        self._state = DtlsState.CLOSED
        self._reason = reason
        self._keys = None
        self._connection = self._taken_over = self._assembler = None
        self._flight.clear()
        self._held.clear()
        self._server_messages.clear()
