"""Events of calls that the SIP user agent tells its owner."""

from typing import NamedTuple

from phone.sip.dialog import Dialog


class Invited(NamedTuple):
    """A call comes in. Without an offer, our answer contains the offer."""

    dialog: Dialog
    offer: str
    caller: str
    called: str
    host: str
    """The caller's server, as it names it."""


class Confirmed(NamedTuple):
    """The caller has our answer; `description` is theirs if the answer was an offer."""

    dialog: Dialog
    description: str


class Progress(NamedTuple):
    """A call of ours rings (180), or sends audio before it is answered (183)."""

    dialog: Dialog
    code: int
    description: str


class Answered(NamedTuple):
    """A call of ours, or an offer of ours within a call, was answered."""

    dialog: Dialog
    description: str


class Offered(NamedTuple):
    """A new offer within a call; `accept_offer` or `refuse_offer` follows. Without one, our answer is the offer."""

    dialog: Dialog
    description: str


class Pressed(NamedTuple):
    """A key, told by an INFO request."""

    dialog: Dialog
    key: str


class Ended(NamedTuple):
    """A call has ended. `code` is the status that refused it, 0 if it was hung up, 408 if the peer is silent."""

    dialog: Dialog
    code: int


class Transferred(NamedTuple):
    """The outcome of a transfer (RFC 3515): the status of the call that the peer placed instead, or of its refusal."""

    dialog: Dialog
    code: int


Event = Invited | Confirmed | Progress | Answered | Offered | Pressed | Ended | Transferred
