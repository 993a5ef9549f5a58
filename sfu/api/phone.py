"""Messages between control and phone, the part that connects telephones with meetings.

    POST /internal/v1/phone/enter   EnterMeeting -> Entered
    POST /internal/v1/phone/report  PhoneReport  -> PhoneOrders

A caller enters a meeting with its PIN; a call that a host placed enters the meeting that it was placed from. A call
through a trunk of an application (LiveKit's SIP service) enters the room that the application's rules name. Phone
joins the room with the token of the answer, as any client does. It reports every second; calls that are not in `held`
of the answer must end.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal

import msgspec

PhoneDirection = Literal["in", "out"]
PhonePhase = Literal["waiting", "dialling", "ringing", "lobby", "live", "ended"]
PhoneOutcome = Literal["in", "wait", "refused"]
PhoneTransfer = Literal["", "asked", "ongoing", "done", "failed"]
KIND = "phone"
"""The kind of participants that are telephones."""
STATUS_ATTRIBUTE = "sip.callStatus"
"""The attribute of an application's call that says how far it is."""
STATUSES: dict[PhonePhase, str] = {"dialling": "dialing", "ringing": "ringing", "live": "active"}
"""The values of the attribute; the other phases have none."""


def comparable(number: str) -> str:
    """Return a number without separators and plus, for comparison."""
    return "".join(letter for letter in number if letter.isdigit()) or number


def network_of(address: str) -> IPv4Network | IPv6Network:
    """Return the network that a trunk's address stands for, which may be in brackets; raises ValueError."""
    return ip_network(address.replace("[", "").replace("]", ""), strict=False)


class EnterMeeting(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a call to join its meeting.

    The first request of a call that came in has the `pin` that was entered, or the `trunk` of an application, with the
    number that was `called`; if the trunk's rules ask for a PIN, the code is "pin_wanted". `call` is the call's id, ""
    for that request; with it, the call joins again as the same participant. While `outcome` is "wait", the request is
    repeated.
    """

    instance: str
    call: str = ""
    pin: str = ""
    caller: str = ""
    trunk: str = ""
    called: str = ""
    host: str = ""

    def __repr__(self) -> str:
        """Return the call without the PIN, for logs."""
        return f"EnterMeeting({self.call!r})"


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: a token for the room, the request to wait in the lobby, or the code of a refusal.

    A refused call may be tried again if `again` is true. `start_muted` asks the call to begin muted; `consent` is the
    meeting's policy about consent to being recorded. Until a call is answered, only the participant `heard_by` hears
    it, or everybody if that is "". An application gets the keys of its calls as messages (`forwards_keys`), and they
    have no other effect. A call ends after `longest_seconds` in the meeting, unless that is 0.
    """

    outcome: PhoneOutcome
    call: str = ""
    token: str = ""
    signaling_url: str = ""
    start_muted: bool = False
    consent: str = "ask"
    heard_by: str = ""
    forwards_keys: bool = False
    longest_seconds: int = 0
    code: str = ""
    again: bool = False

    def __repr__(self) -> str:
        """Return the outcome without the token, for logs."""
        return f"Entered({self.outcome!r}, {self.call!r}, {self.code!r})"


class PhoneState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a call. `reason` is why it ended: busy, declined, no_answer, unreachable, hung_up and others.

    `status` is the SIP status that refused it, `transfer_status` the one that ended its transfer; 0 if there is none.
    """

    phase: PhonePhase
    reason: str = ""
    codec: str = ""
    encrypted: bool = False
    status: int = 0
    transfer: PhoneTransfer = ""
    transfer_status: int = 0


class PhoneReport(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of a phone process by id, the number of further ones that it can place, and its trunk's state.

    `trunk` is "" if it has none, and places only calls of applications.
    """

    instance: str
    free: int
    calls: dict[str, PhoneState] = {}
    trunk: str = ""


class DialTrunk(msgspec.Struct, frozen=True, kw_only=True):
    """An application's SIP server, through which a call is placed; `port` 0 is the transport's usual one."""

    transport: str
    host: str
    port: int
    caller: str
    domain: str = ""
    display_name: str = ""
    user: str = ""
    password: str = ""
    encrypted: bool = False
    headers: dict[str, str] = {}

    def __repr__(self) -> str:
        """Return the server without the password, for logs."""
        return f"DialTrunk({self.host!r})"


class DialOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A call to place, through phone's own trunk unless `trunk` is given. `keys` are pressed once it is answered.

    A call of an application joins its room at once (`joins_at_once`), and with `dialtone` a tone says there that it
    rings.
    """

    call: str
    number: str
    keys: str = ""
    trunk: DialTrunk | None = None
    ring_seconds: float = 60.0
    joins_at_once: bool = False
    dialtone: bool = False


class InboundTrunk(msgspec.Struct, frozen=True, kw_only=True):
    """An application's calls that come in: to `numbers`, from `addresses` (or networks) and `callers`; empty: any.

    With a `user`, callers must authenticate.
    """

    id: str
    numbers: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    user: str = ""
    password: str = ""
    needs_encryption: bool = False

    def __repr__(self) -> str:
        """Return the trunk without the password, for logs."""
        return f"InboundTrunk({self.id!r})"


class TransferOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A call whose telephone is to call `target` (a URI) instead (RFC 3515)."""

    call: str
    target: str
    headers: dict[str, str] = {}


class PhoneOrders(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of the report that may continue, calls to place, including those in progress, and to transfer.

    `trunks` are all of the applications'.
    """

    held: list[str]
    dial: list[DialOrder]
    transfers: list[TransferOrder] = []
    trunks: list[InboundTrunk] = []
