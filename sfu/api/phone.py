"""Messages between control and phone, the part that connects telephones with meetings.

    POST /internal/v1/phone/enter   EnterMeeting -> Entered
    POST /internal/v1/phone/report  PhoneReport  -> PhoneOrders

A caller enters a meeting with its PIN; a call that a host placed enters the meeting that it was placed from. Phone
joins the room with the token of the answer, as any client does. It reports every second; calls that are not in `held`
of the answer must end.
"""

from typing import Literal

import msgspec

PhoneDirection = Literal["in", "out"]
PhonePhase = Literal["waiting", "dialling", "ringing", "lobby", "live", "ended"]
PhoneOutcome = Literal["in", "wait", "refused"]
KIND = "phone"
"""The kind of participants that are telephones."""


class EnterMeeting(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a call to join its meeting.

    The first request of a call that came in has the `pin` that was entered. `call` is the call's id, "" for that
    request; with it, the call joins again as the same participant. While `outcome` is "wait", the request is repeated.
    """

    instance: str
    call: str = ""
    pin: str = ""
    caller: str = ""

    def __repr__(self) -> str:
        """Return the call without the PIN, for logs."""
        return f"EnterMeeting({self.call!r})"


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: a token for the room, the request to wait in the lobby, or the code of a refusal.

    A refused call may be tried again if `again` is true. `start_muted` asks the call to begin muted; `consent` is the
    meeting's policy about consent to being recorded.
    """

    outcome: PhoneOutcome
    call: str = ""
    token: str = ""
    signaling_url: str = ""
    start_muted: bool = False
    consent: str = "ask"
    code: str = ""
    again: bool = False

    def __repr__(self) -> str:
        """Return the outcome without the token, for logs."""
        return f"Entered({self.outcome!r}, {self.call!r}, {self.code!r})"


class PhoneState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a call. `reason` is why it ended: busy, declined, no_answer, unreachable, hung_up and others."""

    phase: PhonePhase
    reason: str = ""
    codec: str = ""
    encrypted: bool = False


class PhoneReport(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of a phone process by id, the number of further ones that it can place, and its trunk's state."""

    instance: str
    free: int
    calls: dict[str, PhoneState] = {}
    trunk: str = ""


class DialOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A call to place. `keys` are pressed once it is answered."""

    call: str
    number: str
    keys: str = ""


class PhoneOrders(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of the report that may continue, and calls to place, including those in progress."""

    held: list[str]
    dial: list[DialOrder]
