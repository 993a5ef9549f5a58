"""Transactions of SIP (RFC 3261, section 17, with the accepted state of RFC 6026): they repeat what UDP may lose.

Times are CLOCK_MONOTONIC ns. Over TCP and TLS nothing is repeated.
"""

from collections.abc import Callable
from enum import Enum

from sipmessage import Request, Response

from phone.sip.messages import Flow

_MS = 1_000_000
T1, T2, T4 = 500 * _MS, 4000 * _MS, 5000 * _MS
TIMEOUT = 64 * T1

Send = Callable[[Flow, bytes], None]


class State(Enum):
    """The states of both kinds of transactions; a terminated one is forgotten."""

    CALLING = "calling"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


class ClientTransaction:
    """A request of ours. `on_response` gets each response but repeated ones; `on_failure` a timeout.

    After a 2xx response to INVITE, `on_response` also gets its repetitions: the dialog acknowledges them.
    """

    def __init__(
        self,
        method: str,
        branch: str,
        flow: Flow,
        data: bytes,
        send: Send,
        *,
        on_response: Callable[[Response, int], None],
        on_failure: Callable[[int], None],
        now: int,
    ) -> None:
        self.method, self.branch, self.flow = method, branch, flow
        self.state = State.CALLING
        self.acknowledgement: Callable[[Response], bytes] | None = None
        """Makes the ACK of a refused INVITE (section 17.1.1.3)."""
        self._data, self._send = data, send
        self._on_response, self._on_failure = on_response, on_failure
        self._interval = T1
        self._repeat_at: int | None = None if flow.is_reliable else now + T1
        self._end_at: int | None = now + TIMEOUT
        send(flow, data)

    @property
    def is_invite(self) -> bool:
        return self.method == "INVITE"

    def timer(self) -> int | None:
        """Return the time at which to call `handle_timer` next."""
        return min((at for at in (self._repeat_at, self._end_at) if at is not None), default=None)

    def receive(self, response: Response, now: int) -> None:
        """Take a response with this transaction's branch and method."""
        if response.code < 200:
            self._take_provisional(response, now)
        elif self.is_invite and response.code < 300:
            if self.state in (State.CALLING, State.PROCEEDING):
                self._repeat_at, self._end_at = None, now + TIMEOUT
                self.state = State.ACCEPTED
            if self.state is State.ACCEPTED:
                self._on_response(response, now)
        elif self.is_invite:
            if self.state is State.ACCEPTED:
                return
            if self.acknowledgement is not None:
                self._send(self.flow, self.acknowledgement(response))
            self._complete(response, now, TIMEOUT)
        else:
            self._complete(response, now, T4)

    def _take_provisional(self, response: Response, now: int) -> None:
        if self.state not in (State.CALLING, State.PROCEEDING):
            return
        self.state = State.PROCEEDING
        if self.is_invite:
            self._repeat_at = self._end_at = None  # hanging up limits how long it rings
        elif self._repeat_at is not None:
            self._interval = T2
        self._on_response(response, now)

    def _complete(self, response: Response, now: int, wait: int) -> None:
        if self.state is State.COMPLETED:
            return
        self.state = State.COMPLETED
        self._repeat_at = None
        self._end_at = now + (0 if self.flow.is_reliable else wait)
        self._on_response(response, now)

    def handle_timer(self, now: int) -> None:
        """Repeat the request, or end."""
        if self._end_at is not None and now >= self._end_at:
            waited = self.state in (State.CALLING, State.PROCEEDING)
            self.state = State.TERMINATED
            self._repeat_at = self._end_at = None
            if waited:
                self._on_failure(now)
        elif self._repeat_at is not None and now >= self._repeat_at:
            self._send(self.flow, self._data)
            doubled = self._interval * 2
            self._interval = doubled if self.is_invite else min(doubled, T2)
            self._repeat_at = now + self._interval

    def end_by(self, at: int) -> None:
        """Wait for the final response until `at`, and no longer."""
        self._end_at = at


class ServerTransaction:
    """A request of the other side: repeats our response when the request is repeated, or until it is acknowledged."""

    def __init__(self, request: Request, flow: Flow, send: Send, now: int) -> None:
        self.request, self.flow = request, flow
        self.state = State.PROCEEDING
        self.code = 0
        self._send = send
        self._last: bytes | None = None
        self._interval = T1
        self._repeat_at: int | None = None
        self._end_at: int | None = None

    @property
    def is_invite(self) -> bool:
        return self.request.method == "INVITE"

    def timer(self) -> int | None:
        """Return the time at which to call `handle_timer` next."""
        return min((at for at in (self._repeat_at, self._end_at) if at is not None), default=None)

    def respond(self, code: int, data: bytes, now: int) -> None:
        """Send a response, unless a final one was sent."""
        if self.state is not State.PROCEEDING:
            return
        self.code, self._last = code, data
        self._send(self.flow, data)
        if code < 200:
            return
        if self.is_invite:
            self.state = State.ACCEPTED if code < 300 else State.COMPLETED
            # A 2xx is repeated over every transport, since proxies may change transports (section 13.3.1.4).
            if code < 300 or not self.flow.is_reliable:
                self._repeat_at = now + self._interval
            self._end_at = now + TIMEOUT
        else:
            self.state = State.COMPLETED
            self._end_at = now + (0 if self.flow.is_reliable else TIMEOUT)

    def repeated(self) -> None:
        """Take a repetition of the request."""
        if self._last is not None:
            self._send(self.flow, self._last)

    def acknowledged(self, now: int) -> None:
        """Take the ACK of a final response to INVITE."""
        self._repeat_at = None
        if self.state is State.COMPLETED:
            self._end_at = now + (0 if self.flow.is_reliable else T4)

    @property
    def waits_for_ack(self) -> bool:
        return self._repeat_at is not None or (self.state is State.COMPLETED and self.is_invite)

    def handle_timer(self, now: int) -> None:
        """Repeat the response, or end."""
        if self._end_at is not None and now >= self._end_at:
            self.state = State.TERMINATED
            self._repeat_at = self._end_at = None
        elif self._repeat_at is not None and now >= self._repeat_at:
            self.repeated()
            self._interval = min(self._interval * 2, T2)
            self._repeat_at = now + self._interval
