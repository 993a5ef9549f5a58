"""One SIP dialog (RFC 3261, section 12) with its session timer (RFC 4028). Times are CLOCK_MONOTONIC ns."""

import secrets
from dataclasses import dataclass, field
from enum import Enum

from sipmessage import Request, Response

from foundation.digest import Account
from phone.sip.messages import Flow, new_tag, option_tags, seconds_in, tag_of, values_of
from phone.sip.transactions import ServerTransaction

MIN_SESSION_SECONDS = 90
SESSION_SECONDS = 1800
_SECOND = 1_000_000_000


class Phase(Enum):
    """Early: not answered. Confirmed: answered. Ended: no request is sent any more."""

    EARLY = "early"
    CONFIRMED = "confirmed"
    ENDED = "ended"


@dataclass(slots=True, eq=False)
class Dialog:
    """The state that both sides share. `local` and `remote` are the values of From and To in our requests."""

    flow: Flow
    call_id: str
    local: str
    remote: str
    target: str
    is_caller: bool
    local_tag: str = field(default_factory=new_tag)
    remote_tag: str = ""
    routes: list[str] = field(default_factory=list)
    phase: Phase = Phase.EARLY
    sequence: int = field(default_factory=lambda: 1 + secrets.randbelow(10_000))
    remote_sequence: int = -1
    invite: ServerTransaction | None = None
    """The INVITE that waits for our answer, or its answer for ACK."""
    offer: ServerTransaction | None = None
    """The re-INVITE or UPDATE whose offer waits for an answer."""
    is_offering: bool = False
    """True while a re-INVITE of ours is on its way."""
    description: str = ""
    """Our latest session description, which refreshes repeat."""
    their_methods: frozenset[str] = frozenset()
    answered_at: int = 0
    session_seconds: int = 0
    """The session interval; 0 without a session timer."""
    we_refresh: bool = False
    peer_has_timer: bool = False
    refreshed_at: int = 0
    cancelled: bool = False
    account: Account | None = None
    """Answers the challenges to our requests in a call that we placed."""

    def next_sequence(self) -> int:
        self.sequence += 1
        return self.sequence

    def note_peer(self, message: Request | Response) -> None:
        """Take the remote target and methods from a message with which the peer creates or refreshes the dialog."""
        if message.contact:
            self.target = str(message.contact[0].uri)
        if message.headers.get("Allow"):
            self.their_methods = frozenset(option.upper() for option in option_tags(message, "Allow"))

    def confirm_as_caller(self, response: Response, flow: Flow) -> None:
        """Take the other side of a call of ours from its answer."""
        self.remote = response.headers.get("To", "") or ""
        self.remote_tag = tag_of(response.to_address)
        self.routes = values_of(response, "Record-Route")[::-1]
        self.flow = flow
        self.note_peer(response)

    def session_headers(self) -> list[tuple[str, str]]:
        """Return the headers of the session timer for a request that refreshes the session."""
        if not self.session_seconds:
            return [("Session-Expires", str(SESSION_SECONDS)), ("Min-SE", str(MIN_SESSION_SECONDS))]
        we_are = "uac" if self.we_refresh else "uas"
        return [("Session-Expires", f"{self.session_seconds};refresher={we_are}"), ("Min-SE", str(MIN_SESSION_SECONDS))]

    def take_timer_of_request(self, request: Request, now: int) -> list[tuple[str, str]]:
        """Agree on the session timer that a request asks for; return the headers of the 2xx response."""
        seconds = seconds_in(request.headers.get("Session-Expires"))
        self.peer_has_timer = "timer" in option_tags(request, "Supported")
        if seconds is None:
            self.session_seconds = 0
            return []
        wished = _refresher(request.headers.get("Session-Expires") or "")
        self.session_seconds = max(seconds, MIN_SESSION_SECONDS)
        self.we_refresh = wished == "uas" or not self.peer_has_timer
        self.refreshed_at = now
        refresher = "uas" if self.we_refresh else "uac"
        headers = [("Session-Expires", f"{self.session_seconds};refresher={refresher}")]
        return headers if self.we_refresh else [*headers, ("Require", "timer")]

    def take_timer_of_response(self, response: Response, now: int) -> None:
        """Take the session timer that the response to a request of ours agrees to."""
        seconds = seconds_in(response.headers.get("Session-Expires"))
        self.session_seconds = max(seconds, MIN_SESSION_SECONDS) if seconds is not None else 0
        self.we_refresh = _refresher(response.headers.get("Session-Expires") or "") != "uas"
        self.refreshed_at = now

    def refresh_at(self) -> int | None:
        """Return the time to refresh the session, if we do."""
        if not self.session_seconds or not self.we_refresh or self.phase is not Phase.CONFIRMED:
            return None
        return self.refreshed_at + self.session_seconds * _SECOND // 2

    def expires_at(self) -> int | None:
        """Return the time at which the session counts as dead because nobody refreshed it (section 10)."""
        if not self.session_seconds or self.phase is not Phase.CONFIRMED:
            return None
        early = min(32, self.session_seconds // 3)
        return self.refreshed_at + (self.session_seconds - early) * _SECOND


def _refresher(value: str) -> str:
    for parameter in value.lower().split(";")[1:]:
        name, _, side = parameter.strip().partition("=")
        if name.strip() == "refresher":
            return side.strip()
    return ""
