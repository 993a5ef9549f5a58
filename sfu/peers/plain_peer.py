"""One plain RTP or SRTP association: like `Peer`, but with configured keys and addresses instead of ICE and DTLS.

It is connected from the beginning and ends only when it is closed. RTCP goes to its own port if it has one.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass

from sfu.api.plain_transport import SrtpKey
from sfu.engine.contract import Address, Leftover, Outgoing, PeerEntry, SrtpKeys, SrtpProfile
from sfu.machines.ice.lite import Refusal
from sfu.peers.context import Context
from sfu.peers.peer import PeerClosed, PeerEvent

PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": SrtpProfile.AES128_CM_HMAC_SHA1_80,
    "AEAD_AES_128_GCM": SrtpProfile.AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": SrtpProfile.AEAD_AES_256_GCM,
}
KEY_BYTES = {
    SrtpProfile.AES128_CM_HMAC_SHA1_80: 30,
    SrtpProfile.AEAD_AES_128_GCM: 28,
    SrtpProfile.AEAD_AES_256_GCM: 44,
}
"""Master key and master salt (RFC 3711, RFC 7714)."""


def with_key(srtp: SrtpKey) -> SrtpKey:
    """Return the parameters, with a fresh random key if they have none."""
    if srtp.key:
        return srtp
    key = secrets.token_bytes(KEY_BYTES[PROFILES[srtp.suite]])
    return SrtpKey(suite=srtp.suite, key=base64.b64encode(key).decode())


def srtp_keys(ours: SrtpKey, theirs: SrtpKey) -> SrtpKeys:
    """Return the engine's keys for sending and receiving; raises ValueError if they are unusable."""
    if ours.suite != theirs.suite:
        raise ValueError("both directions must use the same suite")
    profile = PROFILES[ours.suite]
    return SrtpKeys(profile, receive=_key(theirs, profile), send=_key(ours, profile))


def _key(srtp: SrtpKey, profile: SrtpProfile) -> bytes:
    try:
        key = base64.b64decode(srtp.key, validate=True)
    except binascii.Error as error:
        raise ValueError("an SRTP key must be base64") from error
    if len(key) != KEY_BYTES[profile]:
        raise ValueError(f"{srtp.suite} takes a key and salt of {KEY_BYTES[profile]} bytes")
    return key


@dataclass(frozen=True, slots=True)
class PlainAddress:
    """The far end: the addresses of its media and of its RTCP, and our sockets for each."""

    media: Address
    rtcp: Address
    local: int
    rtcp_local: int


class PlainPeer:
    """`number` is its id in the engine's table. Without `keys` it exchanges plain RTP; `sockets` are closed with it."""

    connected = True
    ufrags: tuple[str, ...] = ()

    def __init__(self, context: Context, keys: SrtpKeys | None, sockets: tuple[int, ...] = ()) -> None:
        engine = context.engine
        number = self.number = context.number()
        self.closed = False
        self.is_protected = keys is not None
        self._context = context
        self._engine = engine
        self._sockets = sockets
        self._rtcp: tuple[Address, int] | None = None
        self._address: Address | None = None
        self._events: list[PeerEvent] = []
        engine.set_peer(PeerEntry(number))
        if keys is None:
            engine.set_unprotected(number)
        else:
            engine.set_keys(number, keys)

    @property
    def address(self) -> Address | None:
        """The destination of media, or of reports if no media is sent; None while unknown."""
        return self._address

    def set_address(self, address: PlainAddress) -> None:
        """Send to this address and take packets from it; raises ValueError if another peer does."""
        ends = {(address.media, address.local), (address.rtcp, address.rtcp_local)}
        far_ends = self._context.far_ends
        if any(far_ends.get(end, self.number) != self.number for end in ends):
            raise ValueError("another transport has this address")
        far_ends.update(dict.fromkeys(ends, self.number))
        self._address = address.media
        self._engine.set_address(self.number, address.media, address.local)
        self._rtcp = (address.rtcp, address.rtcp_local)
        self._engine.admit_source(self.number, address.media, address.local)
        if (address.rtcp, address.rtcp_local) != (address.media, address.local):
            self._engine.admit_source(self.number, address.rtcp, address.rtcp_local)

    def report_to(self, address: Address, local: int) -> None:
        """Send RTCP to this address from now on."""
        if self._address is None:
            self._address = address
            self._engine.set_address(self.number, address, local)
        self._rtcp = (address, local)

    def protect_rtcp(self, compound: bytes) -> list[Outgoing]:
        """Return the datagrams that carry an RTCP compound packet to the far end."""
        protected = self._engine.protect_rtcp(self.number, compound)
        if self._rtcp is None:
            return protected
        destination, local = self._rtcp
        return [Outgoing(entry.data, destination, local) for entry in protected]

    def receive(self, leftover: Leftover, now: int) -> Refusal | None:
        """Ignore the datagram: STUN and DTLS are not used here."""
        return None

    def early_media(self, now: int) -> list[Leftover]:
        """Return nothing, since the keys are known from the start."""
        return []

    def timer(self) -> int | None:
        return None

    def handle_timer(self, now: int) -> None:
        """Nothing is due."""

    def datagrams_to_send(self) -> list[Outgoing]:
        return []

    def next_event(self) -> PeerEvent | None:
        return self._events.pop(0) if self._events else None

    def give_up(self, reason: str) -> None:
        """Have the peer closed, since the far end is the wrong one."""
        if not self.closed:
            self.closed = True
            self._events.append(PeerClosed(reason))

    def close(self, now: int) -> list[Outgoing]:
        """Leave the engine's table."""
        self.closed = True
        self._engine.remove_peer(self.number)
        self._context.outbox.sockets_to_shut.extend(self._sockets)
        for local in self._sockets:
            self._context.resizers.pop(local, None)
        for taken in [key for key, number in self._context.far_ends.items() if number == self.number]:
            del self._context.far_ends[taken]
        return []
