"""A node without sockets, and clients that exchange bytes with it in simulated time."""

import itertools
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pylibsrtp import Policy, Session

from sfu.api import signaling
from sfu.api.desired_state import DesiredState
from sfu.api.facts import AnyFact
from sfu.api.join_token import AUDIENCE, Grants, JoinClaims, Source
from sfu.engine import create_engine
from sfu.engine.contract import Datagram
from sfu.formats import rtcp
from sfu.formats.data_message import MAX_PASSED_ON_BYTES, DataMessage
from sfu.formats.data_message import parse as parse_data
from sfu.formats.data_message import serialize as serialize_data
from sfu.formats.rtp import RtpPacket, is_rtcp, parse, serialize
from sfu.formats.sdp import Fingerprint
from sfu.machines.dtls.association import Dtls, DtlsState
from sfu.machines.dtls.certificate import DtlsCertificate, generate_certificate
from sfu.machines.ice.client import IceClient
from sfu.machines.ice.lite import Credentials, generate_credentials, lite_candidates
from sfu.machines.negotiation.agreement import DtlsRole
from sfu.peers.context import Context, Limits
from sfu.peers.data_channels import DataChannels, DataItem, Sent
from sfu.peers.outbox import SessionClose
from sfu.rooms.dialect import Dialect
from sfu.rooms.node import Membership, Node

SFU = ("192.0.2.1", 8810)
MS = 1_000_000
SECOND = 1000 * MS
CERTIFICATE = generate_certificate()
NODE_CERTIFICATE = generate_certificate()


@dataclass
class Person:
    """A participant with its session and received messages."""

    membership: Membership
    session: int
    told: list[signaling.Message] = field(default_factory=list)
    closed: int | None = None

    def of(self, kind: type, check: Callable[..., bool] = lambda _: True) -> list:  # type: ignore[type-arg]
        return [message for message in self.told if isinstance(message, kind) and check(message)]

    def last(self, kind: type):  # type: ignore[no-untyped-def]
        return self.of(kind)[-1]


class Stage:
    """The node, its clients' addresses, and the clock. Without a choice, the engine is that which servers use."""

    def __init__(self, engine: str | None = None, **limits: int) -> None:
        self.now = 1000 * SECOND
        context = Context(create_engine(engine), NODE_CERTIFICATE, lite_candidates([SFU]), limits=Limits(**limits))
        context.unix_offset = 1_700_000_000 * SECOND
        self.node = Node(context)
        self.people: dict[int, Person] = {}
        self.clients: dict[tuple[str, int], RtcClient] = {}
        self.facts: list[AnyFact] = []
        self.lose: Callable[[bytes], bool] = lambda _: False
        self.lateness: Callable[[], int] = lambda: 0  # ns by which the node's next timer is late, as on a busy machine
        self._late_until = 0

    def join(
        self,
        who: str,
        grants: Grants | None = None,
        room: str = "r",
        dialect: Dialect | None = None,
        desired: DesiredState | None = None,
        kind: str = "",
    ) -> Person:
        claims = JoinClaims(
            aud=AUDIENCE,
            jti=secrets.token_hex(4),
            iat=0,
            exp=0,
            room=room,
            participant=who,
            name=who.title(),
            grants=grants or Grants(),
            kind=kind,
        )
        session = len(self.people) + 1
        waiting = Person.__new__(Person)
        self.people[session] = waiting
        waiting.told, waiting.session, waiting.closed = [], session, None
        waiting.membership = self.node.join(claims, session, self.now, dialect=dialect, desired=desired)
        self.deliver()
        return waiting

    def say(self, person: Person, message: signaling.ClientMessage) -> None:
        """Process a participant's message; raises Refused, as the node does for the server."""
        try:
            self.node.handle(person.session, message, self.now)
        finally:
            self.deliver()

    def deliver(self) -> None:
        """Deliver messages and datagrams until none is in flight."""
        outbox = self.node.context.outbox
        while True:
            for item in outbox.to_sessions:
                person = self.people[item[0]]
                if isinstance(item, SessionClose):
                    person.closed = item.code
                else:
                    person.told.append(item[1])
            self.node.told(outbox.to_sessions, self.now)
            outbox.to_sessions.clear()
            self.facts += outbox.facts
            outbox.facts.clear()
            datagrams, outbox.datagrams = outbox.datagrams, []
            for data, destination, _ in datagrams:
                client = self.clients.get(destination)
                if client is not None:
                    client.receive(data, self.now)
            batch = [
                Datagram(data, address, 0, self.now)
                for address, client in self.clients.items()
                for data in client.datagrams_to_send(self.now)
                if not self.lose(data)
            ]
            if batch:
                result = self.node.context.engine.process(batch, self.now)
                outbox.datagrams += result.outgoing
                self.node.receive(result, self.now)
            elif not outbox.datagrams and not outbox.to_sessions:
                return

    def run(self, nanoseconds: int, step: int = 10 * MS) -> None:
        """Advance time in small steps."""
        end = self.now + nanoseconds
        while self.now < end:
            self.now = min(end, self.now + step)
            for client in self.clients.values():
                client.handle_timer(self.now)
            at = self.node.timer()
            if at is not None and at <= self.now and self._late_until <= self.now:
                self.node.handle_timer(self.now)
                self._late_until = self.now + self.lateness()
            engine = self.node.context.engine
            self.node.context.outbox.send([*engine.release(self.now), *engine.feedback(self.now)])
            self.deliver()

    def connect(
        self, local: Credentials, sdp: str, *, data: bool = False, begins_with: Iterable[RtpPacket] = ()
    ) -> "RtcClient":
        """Connect to a description of the node: ICE check and DTLS handshake.

        Packets in `begins_with` are sent with the end of the handshake.
        """
        address = ("198.51.100.7", 10_000 + len(self.clients))
        client = RtcClient(local, sdp, CERTIFICATE, self.now, begins_with)
        if data:
            client.open_data()
        self.clients[address] = client
        self.run(500 * MS)
        assert client.ready
        return client


class RtcClient:
    """One peer of a client: ICE, DTLS and SRTP. It keeps the RTP and RTCP that it receives."""

    def __init__(
        self,
        local: Credentials,
        sdp: str,
        certificate: DtlsCertificate,
        now: int,
        begins_with: Iterable[RtpPacket] = (),
    ) -> None:
        remote = Credentials(value_of(sdp, "ice-ufrag"), value_of(sdp, "ice-pwd"))
        algorithm, digest = value_of(sdp, "fingerprint").split(" ", 1)
        self._ice = IceClient(local, remote, [SFU], 1, now)
        self._dtls = Dtls(certificate)
        self._fingerprint = Fingerprint(algorithm, digest)
        self._role = DtlsRole.SERVER if value_of(sdp, "setup") == "active" else DtlsRole.CLIENT
        self._begins_with = tuple(begins_with)
        self._send: Session | None = None
        self._receive: Session | None = None
        self._outgoing: list[bytes] = []
        self.silent = False
        self.deaf = False  # whether it accepts no data
        self.data: DataChannels | None = None
        self.came: list[DataItem] = []
        self.rtp: list[RtpPacket] = []
        self.rtcp: list[rtcp.Packet] = []

    @property
    def ready(self) -> bool:
        return self._send is not None

    def open_data(self) -> None:
        self.data = DataChannels(longest=MAX_PASSED_ON_BYTES)
        self._dtls.keeps_data = True

    def say(self, payload: bytes, now: int, *names: str, topic: str = "", reliable: bool = True) -> Sent:
        """Send a data message."""
        return self.send_data(serialize_data(DataMessage(payload, topic, names)), now, reliable=reliable)

    def send_data(self, data: bytes, now: int, *, reliable: bool = True) -> Sent:
        assert self.data is not None
        return self.data.send(DataItem(data, reliable), now)

    def heard(self, *, reliable: bool = True) -> list[tuple[str, bytes]]:
        """Return the senders and messages of one channel."""
        messages = [parse_data(entry.data) for entry in self.came if entry.reliable is reliable]
        return [(message.names[0], message.payload) for message in messages]

    def receive(self, data: bytes, now: int) -> None:
        if self.silent:
            return
        if data[0] < 4:
            self._ice.receive(data, SFU, now)
            if self._ice.selected and self._dtls.state is DtlsState.NEW:
                self._dtls.start(self._role, [self._fingerprint], now)
        elif data[0] < 64:
            self._dtls.receive(data, now)
            if self.data is not None and not self.deaf:
                self.came += self.data.receive(self._dtls.application_data(), now)
        elif self._receive is not None:
            if is_rtcp(data):
                self.rtcp += rtcp.parse(self._receive.unprotect_rtcp(data))
            else:
                self.rtp.append(parse(self._receive.unprotect(data)))
        keys = self._dtls.keys
        if keys is not None and self._send is None:
            profile = {1: Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 7: Policy.SRTP_PROFILE_AEAD_AES_128_GCM}[keys.profile]
            self._send = Session(Policy(keys.send, Policy.SSRC_ANY_OUTBOUND, 0, profile))
            self._receive = Session(Policy(keys.receive, Policy.SSRC_ANY_INBOUND, 0, profile))
            self.send(*self._begins_with)
            if self.data is not None:
                self.data.agree(True, now)
                self.data.connect(now)

    def datagrams_to_send(self, now: int) -> list[bytes]:
        if self.silent:
            return []
        if self.data is not None and self.ready:
            self._dtls.send(self.data.records_to_send(), now)
        outgoing = [check.data for check in self._ice.datagrams_to_send(now)]
        outgoing += self._dtls.datagrams_to_send()
        outgoing += self._outgoing
        self._outgoing = []
        return outgoing

    def handle_timer(self, now: int) -> None:
        self._ice.handle_timer(now)
        self._dtls.handle_timer(now)
        if self.data is not None:
            self.data.handle_timer(now)

    def send(self, *packets: RtpPacket) -> None:
        assert self._send is not None
        self._outgoing += [self._send.protect(serialize(packet)) for packet in packets]

    def send_rtcp(self, packets: Iterable[rtcp.Packet]) -> None:
        assert self._send is not None
        self._outgoing.append(self._send.protect_rtcp(rtcp.serialize(packets)))

    def feedback(self, kind: type) -> list:  # type: ignore[type-arg]
        return [packet for packet in self.rtcp if isinstance(packet, kind)]


def value_of(sdp: str, attribute: str) -> str:
    """Return the first value of an attribute."""
    return next(line.split(":", 1)[1] for line in sdp.split("\r\n") if line.startswith(f"a={attribute}:"))


def description(local: Credentials, sections: Iterable[str], setup: str) -> str:
    """Return a client's description of these m-sections (text without transport lines)."""
    fingerprint = CERTIFICATE.fingerprints[0]
    texts = list(sections)
    names = mids_of(texts)
    mids = " ".join(name for name, text in zip(names, texts, strict=True) if not text.startswith("m=application 0"))
    head = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mids}\r\n"
    transport = (
        f"c=IN IP4 0.0.0.0\r\na=ice-ufrag:{local.ufrag}\r\na=ice-pwd:{local.pwd}\r\n"
        f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}\r\na=setup:{setup}\r\na=rtcp-mux\r\n"
    )
    body = ""
    for name, text in zip(names, texts, strict=True):
        first, rest = text.split("\r\n", 1)
        body += f"{first}\r\n{transport}a=mid:{name}\r\n{rest}"
    return head + body


def mids_of(sections: Iterable[str]) -> list[str]:
    """Return the mids of m-sections: media are numbered, data channels are "data"."""
    numbers = itertools.count()
    return ["data" if text.startswith("m=application") else str(next(numbers)) for text in sections]


AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=sendonly\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 nack\r\n"
    "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
    "a=ssrc:1001 cname:x\r\n"
)
IN_RED = AUDIO.replace("SAVPF 111", "SAVPF 63 111") + "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n"
VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 120 121\r\na=sendonly\r\na=rtpmap:120 VP8/90000\r\na=rtcp-fb:120 nack\r\n"
    "a=rtcp-fb:120 nack pli\r\na=rtcp-fb:120 transport-cc\r\na=rtpmap:121 rtx/90000\r\na=fmtp:121 apt=120\r\n"
    "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    "a=rtcp-fb:120 goog-remb\r\na=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n"
    "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n"
    "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
)
VIDEO_SSRC = "a=ssrc-group:FID 2001 2002\r\na=ssrc:2001 cname:x\r\na=ssrc:2002 cname:x\r\n"
SIMULCAST = "a=rid:q send\r\na=rid:f send\r\na=simulcast:send q;f\r\n"
KEYFRAME = bytes.fromhex("10 50009d012a40016800") + bytes(100)
DELTA = bytes.fromhex("10 51") + bytes(100)


def publish(
    stage: Stage,
    person: Person,
    sections: Iterable[str] = (AUDIO, VIDEO + VIDEO_SSRC),
    *,
    setup: str = "actpass",
    begins_with: Iterable[RtpPacket] = (),
) -> RtcClient:
    """Publish these m-sections and return the connected client."""
    local = generate_credentials()
    offer = description(local, sections, setup)
    stage.say(person, signaling.Offer(peer="publish", sdp=offer, id=1))
    return stage.connect(local, person.last(signaling.Answer).sdp, begins_with=begins_with)


def subscribe(stage: Stage, person: Person, client: RtcClient | None = None, *, data: bool = False) -> RtcClient:
    """Answer the newest subscribe offer, with or without data channels; connect if not yet connected."""
    offer = person.last(signaling.Offer)
    local = generate_credentials() if client is None else client._ice._local
    lines = []
    for section in offer.sdp.split("\r\nm=")[1:]:
        text = "m=" + section.strip("\r\n")
        if text.startswith("m=application"):
            lines.append(f"m=application {9 if data else 0} UDP/DTLS/SCTP webrtc-datachannel\r\na=sctp-port:5000\r\n")
            continue
        keep = ("m=", "a=rtpmap", "a=fmtp", "a=rtcp-fb", "a=extmap:")
        lines.append("\r\n".join(line for line in text.split("\r\n") if line.startswith(keep)) + "\r\na=recvonly\r\n")
    answer = description(local, lines, "active")
    stage.say(person, signaling.Answer(peer="subscribe", sdp=answer, id=offer.id))
    return client if client is not None else stage.connect(local, offer.sdp, data=data)


def audio(seq: int, ssrc: int = 1001, level: int | None = None) -> RtpPacket:
    extensions = ((2, bytes([0x80 | level])),) if level is not None else ()
    return RtpPacket(111, seq & 0xFFFF, seq * 960 & 0xFFFFFFFF, ssrc, b"opus", extensions=extensions)


def video(
    seq: int, payload: bytes = DELTA, ssrc: int = 2001, *, rid: str = "", mid: str = "", sent: int | None = None
) -> RtpPacket:
    """Return a packet of a picture; `sent` is the time (ns) that it says it was sent."""
    extensions: tuple[tuple[int, bytes], ...] = ((3, (seq & 0xFFFF).to_bytes(2, "big")),)
    if sent is not None:
        extensions += ((4, ((sent << 18) // SECOND & 0xFFFFFF).to_bytes(3, "big")),)
    if rid:
        extensions += ((10, rid.encode()),)
    if mid:
        extensions += ((1, mid.encode()),)
    return RtpPacket(120, seq & 0xFFFF, seq * 3000 & 0xFFFFFFFF, ssrc, payload, marker=True, extensions=extensions)


MICROPHONE, CAMERA = Source.MICROPHONE, Source.CAMERA
