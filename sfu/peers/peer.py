"""One peer: ICE-lite, DTLS and SRTP keys, connected to the engine's table. It knows nothing of media or SDP.

Sans-IO after str0m: feed `receive` and `handle_timer`, then drain `datagrams_to_send` and `next_event`. The engine only
knows 5-tuples that ICE has validated, so DTLS and SRTP from other addresses never get here.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sfu.engine.checks import MAX_ATTRIBUTES_BYTES
from sfu.engine.contract import (
    Address,
    ConsentCheck,
    Drop,
    Engine,
    Leftover,
    LeftoverKind,
    Outgoing,
    PeerEntry,
    SrtpKeys,
    SrtpProfile,
)
from sfu.formats.sdp import Candidate
from sfu.machines.dtls.association import Dtls, DtlsState
from sfu.machines.dtls.certificate import DtlsCertificate
from sfu.machines.ice.lite import Credentials, FiveTuple, IceLite, IceReceived, Refusal, generate_credentials
from sfu.machines.negotiation.agreement import LocalTransport, RemoteTransport
from sfu.peers.early_media import EarlyMedia
from sfu.peers.shared_port import SharedPort

CONSENT_LOST = "consent_lost"


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """DTLS is done and the keys are in the engine: media can flow."""


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """The peer has ended. `reason` is CONSENT_LOST or one of Dtls.close_reason."""

    reason: str


PeerEvent = PeerConnected | PeerClosed


class Peer:
    """One ICE, DTLS and SRTP association; `number` is its id in the engine's table."""

    def __init__(
        self,
        number: int,
        engine: Engine,
        certificate: DtlsCertificate,
        now: int,
        *,
        drops: Counter[Drop],
        reached_from: Mapping[Address, Address] | None = None,
        shared_port: SharedPort | None = None,
    ) -> None:
        """`reached_from` maps one of this machine's own addresses to the client behind it (server.tcp_listener).

        `shared_port` receives the paths of this peer, if other workers use the same port.

        `drops` counts unusable packets that came before the keys.
        """
        self.number = number
        self.connected = False
        self.closed = False
        self._engine = engine
        self._certificate = certificate
        self._reached_from = {} if reached_from is None else reached_from
        self._shared_port = shared_port
        self._ice = IceLite(self._credentials(), now)
        self._dtls = Dtls(certificate)
        self._started = False
        self._reached: set[FiveTuple] = set()
        self._left_to_engine: ConsentCheck | None = None
        self._early = EarlyMedia(drops)
        self._datagrams: list[Outgoing] = []
        self._events: deque[PeerEvent] = deque()
        engine.set_peer(PeerEntry(number))

    @property
    def ufrags(self) -> tuple[str, ...]:
        """Our ufrags that checks may name, including the previous one during an ICE restart."""
        return self._ice.ufrags

    @property
    def address(self) -> str:
        """The far end's IP address, that of a client behind our TCP listener too; "" before there is a path."""
        selected = self._ice.selected
        return self._reached_from.get(selected.source, selected.source)[0] if selected is not None else ""

    def _credentials(self) -> Credentials:
        return generate_credentials(self._shared_port.mark if self._shared_port is not None else "")

    def local(self, candidates: Sequence[Candidate]) -> LocalTransport:
        """Return our side's parameters for a description."""
        credentials: Credentials = self._ice.credentials
        return LocalTransport(credentials.ufrag, credentials.pwd, self._certificate.fingerprints, tuple(candidates))

    def set_remote(self, remote: RemoteTransport, now: int) -> None:
        """Take the remote description's credentials and fingerprints; starts DTLS the first time.

        Raises ValueError if the fingerprints are unusable, or change on a running association.
        """
        self._ice.refresh(self._engine.checked_at(self.number))
        self._ice.set_remote(remote.ufrag, remote.pwd)
        self._leave_checks_to_engine()
        if not self._started:
            self._dtls.start(remote.role, remote.fingerprints, now)
            self._started = True
        self._advance_dtls(now)

    def restart_ice(self, ufrag: str | None = None, pwd: str = "") -> None:
        """Create new local credentials, and take the remote's if they came without a description.

        The association and its keys stay (RFC 8445, section 9).
        """
        self._ice.refresh(self._engine.checked_at(self.number))
        self._ice.restart(self._credentials())
        if ufrag is not None:
            self._ice.set_remote(ufrag, pwd)
        self._leave_checks_to_engine()

    def receive(self, leftover: Leftover, now: int) -> Refusal | None:
        """Take STUN, DTLS or early media; return the reason if a STUN message was refused."""
        if self.closed:
            return None
        if leftover.kind == LeftoverKind.STUN:
            return self._receive_stun(leftover, now)
        if leftover.kind == LeftoverKind.DTLS:
            self._dtls.receive(leftover.data, now)
            self._advance_dtls(now)
        if leftover.kind == LeftoverKind.EARLY:
            self._early.hold(leftover)
        return None

    def early_media(self, now: int) -> list[Leftover]:
        """Return media that arrived before the keys, to be resubmitted to the engine once the peer is connected."""
        return self._early.take(now)

    def _leave_checks_to_engine(self) -> None:
        """Let the engine answer checks that only refresh consent."""
        known = self._ice.repeatable()
        check = None
        if known is not None and len(known.attributes) <= MAX_ATTRIBUTES_BYTES:
            source = known.five_tuple.source
            check = ConsentCheck(known.attributes, known.key, self._reached_from.get(source, source))
        if check != self._left_to_engine:
            self._left_to_engine = check
            self._engine.answer_checks(self.number, check)

    def _receive_stun(self, leftover: Leftover, now: int) -> Refusal | None:
        self._ice.refresh(self._engine.checked_at(self.number))
        mapped = self._reached_from.get(leftover.source)
        received = self._ice.receive(leftover.data, leftover.source, leftover.local, now, mapped=mapped)
        self._take(received, leftover, now)
        return received.refused

    def _take(self, received: IceReceived, leftover: Leftover, now: int) -> None:
        if received.response is not None:
            self._datagrams.append(Outgoing(received.response, leftover.source, leftover.local))
        self._dismiss(received.dismissed)
        if received.validated is not None:
            self._engine.admit_source(self.number, received.validated.source, received.validated.local)
            if self._shared_port is not None:
                self._shared_port.came(received.validated)
        if received.selected is not None:
            self._address_media()
        if received.selected is not None or not self.connected:
            self._advance_dtls(now)
        self._send_checks()
        self._leave_checks_to_engine()

    def _dismiss(self, paths: Iterable[FiveTuple]) -> None:
        for path in paths:
            self._engine.dismiss_source(path.source, path.local)
            if self._shared_port is not None:
                self._shared_port.went(path)

    def _address_media(self) -> None:
        selected = self._ice.selected
        if selected is not None:
            self._engine.set_address(self.number, selected.source, selected.local)

    def _send_checks(self) -> None:
        for check in self._ice.checks_to_send():
            self._datagrams.append(Outgoing(check.data, check.five_tuple.source, check.five_tuple.local))

    def take_data(self) -> None:
        """Keep records of data channels for `data`, which must be called after each `receive`."""
        self._dtls.keeps_data = True

    def data(self) -> list[bytes]:
        """Return received records of data channels."""
        return self._dtls.application_data()

    def send_data(self, records: Sequence[bytes], now: int) -> None:
        """Send records of data channels (RFC 8261); before the peer is connected they are lost."""
        if records and self._dtls.send(records, now):
            self._advance_dtls(now)

    def _advance_dtls(self, now: int) -> None:
        """Send DTLS's datagrams; media starts on a pair on which the far end is known to receive (machines.ice)."""
        selected = self._ice.selected
        if selected is not None:
            for data in self._dtls.datagrams_to_send():
                self._datagrams.append(Outgoing(data, selected.source, selected.local))
                if not self.connected:
                    self._reached.add(selected)
        keys = self._dtls.keys
        if keys is not None and not self.connected and self._ice.establish(self._reached, now):
            self._address_media()
            self._engine.set_keys(self.number, SrtpKeys(SrtpProfile(keys.profile), keys.receive, keys.send))
            self.connected = True
            self._events.append(PeerConnected())
        if self._dtls.state is DtlsState.CLOSED:
            self._end(self._dtls.close_reason)

    def _end(self, reason: str) -> None:
        if not self.closed:
            self.closed = True
            self._events.append(PeerClosed(reason))

    def timer(self) -> int | None:
        """Return when `handle_timer` has work next, in ns."""
        if self.closed:
            return None
        consent, handshake = self._ice.timer(), self._dtls.timer()
        if consent is None or handshake is None:
            return consent if handshake is None else handshake
        return min(consent, handshake)

    def handle_timer(self, now: int) -> None:
        """Let DTLS retransmit, and check whether consent has expired."""
        if self.closed:
            return
        self._ice.refresh(self._engine.checked_at(self.number))
        before = self._ice.selected
        self._dismiss(self._ice.handle_timer(now))
        if self._ice.selected != before:
            self._address_media()
        self._dtls.handle_timer(now)
        self._advance_dtls(now)
        self._send_checks()
        self._leave_checks_to_engine()
        if self._ice.expired:
            self._end(CONSENT_LOST)

    def protect_rtcp(self, compound: bytes) -> list[Outgoing]:
        """Return the datagrams that carry an RTCP compound packet to the far end."""
        return self._engine.protect_rtcp(self.number, compound)

    def datagrams_to_send(self) -> list[Outgoing]:
        """Return the datagrams to send now."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    def next_event(self) -> PeerEvent | None:
        return self._events.popleft() if self._events else None

    def close(self, now: int) -> list[Outgoing]:
        """Say goodbye (DTLS close_notify) and leave the engine's table; returns the datagrams for it."""
        if not self.closed:
            self._dtls.close(now)
            self._advance_dtls(now)
            self.closed = True
        self._early.give_up()
        self._dismiss(self._ice.pairs)
        self._engine.remove_peer(self.number)
        self._events.clear()
        return self.datagrams_to_send()
