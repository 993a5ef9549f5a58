"""Registration at a trunk (RFC 3261, section 10): kept up, and repeated after failures. Times are ns."""

import secrets
from collections.abc import Callable

from sipmessage import Response

from phone.sip.messages import Flow, new_tag, seconds_in
from phone.sip.user_agent import UserAgent

_SECOND = 1_000_000_000
_WISHED_SECONDS = 300
_FIRST_PAUSE, _LONGEST_PAUSE = 2, 120


class Registration:
    """The registration of one account. `state` is "registering", "registered" or the reason of the latest failure."""

    def __init__(self, agent: UserAgent, domain: str, user: str, flow: Callable[[], Flow | None]) -> None:
        self.state = "registering"
        self._agent = agent
        self._domain, self._address = domain, f"<sip:{user}@{domain}>"
        self._flow = flow
        self._call_id = new_tag() + new_tag()
        self._tag = new_tag()
        self._sequence = secrets.randbelow(10_000)
        self._due = 0
        self._pause = _FIRST_PAUSE
        self._is_asking = False

    @property
    def is_registered(self) -> bool:
        return self.state == "registered"

    def timer(self) -> int | None:
        """Return the time at which to call `handle_timer` next; None while a request is on its way."""
        return None if self._is_asking else self._due

    def handle_timer(self, now: int) -> None:
        """Register if it is due."""
        if not self._is_asking and now >= self._due:
            self._ask(_WISHED_SECONDS, now)

    def renew(self, now: int) -> None:
        """Register again soon."""
        if not self._is_asking:
            self._due = now + _FIRST_PAUSE * _SECOND

    def end(self, now: int) -> None:
        """Take the registration back."""
        if self.is_registered:
            self._ask(0, now)

    def _ask(self, seconds: int, now: int) -> None:
        flow = self._flow()
        if flow is None:
            self._fail("the trunk's address is unknown", now)
            return
        self._is_asking = True
        headers = [
            ("From", f"{self._address};tag={self._tag}"),
            ("To", self._address),
            ("Call-ID", self._call_id),
            ("Contact", f"<{self._agent.contact(flow)}>"),
            ("Expires", str(seconds)),
        ]
        self._agent.request(
            "REGISTER",
            f"sip:{self._domain}",
            flow,
            headers,
            next_sequence=self._next,
            on_response=self._take,
            on_failure=lambda at: self._fail("no answer", at),
            now=now,
        )

    def _take(self, response: Response, now: int) -> None:
        if response.code < 200:
            return
        if response.code >= 300:
            self._fail(f"refused with {response.code}", now)
            return
        self._is_asking = False
        self._pause = _FIRST_PAUSE
        self.state = "registered"
        given = [one.parameters.get("expires") for one in response.contact if one.parameters.get("expires")]
        seconds = seconds_in(given[0]) if given else seconds_in(response.headers.get("Expires"))
        self._due = now + max(10, (seconds or _WISHED_SECONDS) * 4 // 5) * _SECOND

    def _fail(self, reason: str, now: int) -> None:
        self._is_asking = False
        self.state = reason
        self._due = now + self._pause * _SECOND
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence
