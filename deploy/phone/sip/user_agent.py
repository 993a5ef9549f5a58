"""The SIP user agent: takes messages and the time, and gives messages to send and events about calls.

It answers and places calls, takes new offers within them (hold, resume), refreshes sessions, registers, and proves who
it is to challengers. A message without meaning is answered or dropped as RFC 3261 says; it raises nothing.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sipmessage import Request, Response

from phone.sip import digest
from phone.sip.dialog import MIN_SESSION_SECONDS, Dialog, Phase
from phone.sip.digest import Account, Gatekeeper
from phone.sip.messages import (
    Flow,
    branch_of,
    compose,
    new_branch,
    new_tag,
    note_source,
    number_in,
    option_tags,
    parse,
    respond,
    seconds_in,
    tag_of,
    values_of,
)
from phone.sip.transactions import TIMEOUT, ClientTransaction, ServerTransaction, State

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"
_SUPPORTED = frozenset({"timer"})
_MAX_TRANSACTIONS = 4000
_SDP = "application/sdp"
_DIGIT = re.compile(r"(?im)^\s*signal\s*=\s*([0-9*#a-d])\s*$")
_KEY = re.compile(r"[0-9*#A-D]")
Headers = Sequence[tuple[str, str]]


class Invited(NamedTuple):
    """A call comes in. Without an offer, our answer contains the offer."""

    dialog: Dialog
    offer: str
    caller: str
    called: str


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


Event = Invited | Confirmed | Progress | Answered | Offered | Pressed | Ended


@dataclass(slots=True, eq=False)
class _Exchange:
    """A request of ours with its answers to challenges."""

    method: str
    uri: str
    flow: Flow
    headers: Headers
    body: bytes
    next_sequence: Callable[[], int]
    on_response: Callable[[Response, int], None]
    on_failure: Callable[[int], None]
    account: Account | None
    sequence: int = 0
    credentials: tuple[tuple[str, str], ...] = ()
    attempts: int = 0
    transaction: ClientTransaction | None = None

    @property
    def branch(self) -> str:
        return self.transaction.branch if self.transaction is not None else ""


@dataclass(slots=True)
class _Call:
    """The exchange of a call of ours that is not answered yet."""

    exchange: _Exchange
    dialog: Dialog
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    """The ACKs of 2xx responses, by the tag of To: a proxy that forks may answer several times."""


class UserAgent:
    """`local` returns the host and port under which a remote address reaches us.

    Callers for whom `is_trusted` is false must authenticate; without a gatekeeper they are refused. `account` answers
    challenges. `refused` counts messages by the reason of their refusal.
    """

    def __init__(
        self,
        local: Callable[[Flow], tuple[str, int]],
        *,
        is_trusted: Callable[[Flow], bool] = lambda _: True,
        gatekeeper: Gatekeeper | None = None,
        account: Account | None = None,
        name: str = "Parley",
    ) -> None:
        self.events: deque[Event] = deque()
        self.output: deque[tuple[Flow, bytes]] = deque()
        self.refused: Counter[str] = Counter()
        self._local = local
        self._is_trusted = is_trusted
        self._gatekeeper = gatekeeper
        self._account = account
        self._name = name
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._servers: dict[tuple[str, str], ServerTransaction] = {}
        self._dialogs: dict[tuple[str, str], Dialog] = {}
        self._calls: dict[Dialog, _Call] = {}

    def __len__(self) -> int:
        return len(self._dialogs)

    # What comes in

    def receive(self, data: bytes, flow: Flow, now: int) -> None:
        """Take a message."""
        try:
            message = parse(data)
        except ValueError:
            self.refused["malformed"] += 1
            return
        if isinstance(message, Response):
            client = self._clients.get((branch_of(message), message.cseq.method))
            if client is None:
                self.refused["unknown_response"] += 1
            else:
                client.receive(message, now)
            return
        note_source(message, flow)
        if message.method == "ACK":
            self._take_ack(message, now)
            return
        key = _key(message)
        known = self._servers.get(key)
        if known is not None:
            known.repeated()
            return
        if len(self._servers) >= _MAX_TRANSACTIONS:
            self.refused["transactions"] += 1
            return
        transaction = ServerTransaction(message, flow, self._send, now)
        self._servers[key] = transaction
        self._take_request(transaction, now)

    def _take_request(self, transaction: ServerTransaction, now: int) -> None:
        request = transaction.request
        unknown = option_tags(request, "Require") - _SUPPORTED
        if request.method == "CANCEL":
            self._take_cancel(transaction, now)
        elif unknown:
            self._respond(transaction, 420, now, [("Unsupported", ", ".join(sorted(unknown)))])
        elif tag_of(request.to_address):
            self._take_in_dialog(transaction, now)
        elif not self._may_enter(transaction, now):
            return
        elif request.method == "INVITE":
            self._take_invite(transaction, now)
        elif request.method == "OPTIONS":
            self._respond(transaction, 200, now, [("Accept", _SDP), ("Supported", "timer")])
        elif request.method in {"BYE", "INFO", "UPDATE"}:
            self._respond(transaction, 481, now)
        else:
            self.refused["method"] += 1
            self._respond(transaction, 405, now)

    def _may_enter(self, transaction: ServerTransaction, now: int) -> bool:
        """Return whether the sender of a request outside of dialogs is trusted or has authenticated; else refuse."""
        if self._is_trusted(transaction.flow):
            return True
        request = transaction.request
        if self._gatekeeper is None:
            self.refused["source"] += 1
            self._respond(transaction, 403, now)
            return False
        given = request.headers.get("Authorization")
        right = self._gatekeeper.check(given, request.method, now) if given is not None else None
        if right:
            return True
        if given is not None and right is False:
            self.refused["credentials"] += 1
        challenges = self._gatekeeper.challenges(now, is_stale=given is not None and right is None)
        self._respond(transaction, 401, now, [("WWW-Authenticate", one) for one in challenges])
        return False

    def _take_invite(self, transaction: ServerTransaction, now: int) -> None:
        request = transaction.request
        if not request.contact:
            self._respond(transaction, 400, now)
            return
        seconds = seconds_in(request.headers.get("Session-Expires"))
        if seconds is not None and seconds < MIN_SESSION_SECONDS:
            self._respond(transaction, 422, now, [("Min-SE", str(MIN_SESSION_SECONDS))])
            return
        if request.body and not _has_description(request):
            self._respond(transaction, 415, now, [("Accept", _SDP)])
            return
        dialog = Dialog(
            transaction.flow,
            request.call_id,
            request.headers.get("To", "") or "",
            request.headers.get("From", "") or "",
            str(request.contact[0].uri),
            is_caller=False,
            remote_tag=tag_of(request.from_address),
            routes=values_of(request, "Record-Route"),
            remote_sequence=request.cseq.sequence,
            invite=transaction,
        )
        dialog.local += f";tag={dialog.local_tag}"
        dialog.note_peer(request)
        self._dialogs[dialog.call_id, dialog.local_tag] = dialog
        self._respond(transaction, 100, now)
        called = number_in(request.to_address)
        self.events.append(Invited(dialog, _text(request), number_in(request.from_address), called))

    def _take_in_dialog(self, transaction: ServerTransaction, now: int) -> None:
        request = transaction.request
        dialog = self._dialogs.get((request.call_id, tag_of(request.to_address)))
        if dialog is None or dialog.phase is Phase.ENDED or tag_of(request.from_address) != dialog.remote_tag:
            self._respond(transaction, 481, now)
            return
        if request.cseq.sequence <= dialog.remote_sequence:
            self._respond(transaction, 500, now)
            return
        dialog.remote_sequence = request.cseq.sequence
        match request.method:
            case "BYE":
                self._respond(transaction, 200, now)
                if dialog.invite is not None and dialog.phase is Phase.EARLY:
                    self._respond(dialog.invite, 487, now, tag=dialog.local_tag)
                self._end(dialog, 0)
            case "INVITE" | "UPDATE":
                self._take_offer(dialog, transaction, now)
            case "INFO":
                self._take_info(dialog, transaction, now)
            case "OPTIONS":
                self._respond(transaction, 200, now, [("Accept", _SDP)])
            case _:
                self.refused["method"] += 1
                self._respond(transaction, 405, now)

    def _take_offer(self, dialog: Dialog, transaction: ServerTransaction, now: int) -> None:
        request = transaction.request
        seconds = seconds_in(request.headers.get("Session-Expires"))
        if seconds is not None and seconds < MIN_SESSION_SECONDS:
            self._respond(transaction, 422, now, [("Min-SE", str(MIN_SESSION_SECONDS))])
        elif dialog.is_offering or (dialog.phase is Phase.EARLY and request.method == "INVITE"):
            self._respond(transaction, 491, now)
        elif dialog.offer is not None:
            self._respond(transaction, 500, now, [("Retry-After", "1")])
        elif request.method == "UPDATE" and not request.body:
            dialog.note_peer(request)
            self._respond(transaction, 200, now, [*self._contact(dialog), *dialog.take_timer_of_request(request, now)])
        elif request.body and not _has_description(request):
            self._respond(transaction, 415, now, [("Accept", _SDP)])
        else:
            dialog.note_peer(request)
            dialog.offer = transaction
            self.events.append(Offered(dialog, _text(request)))

    def _take_info(self, dialog: Dialog, transaction: ServerTransaction, now: int) -> None:
        request = transaction.request
        kind = (request.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
        text = request.body[:200].decode("utf-8", "replace")
        if kind == "application/dtmf-relay":
            found = _DIGIT.search(text)
            key = found[1].upper() if found else ""
        elif kind == "application/dtmf":
            key = text.strip().upper()
        else:
            self._respond(transaction, 415, now, [("Accept", "application/dtmf-relay, application/dtmf")])
            return
        self._respond(transaction, 200, now)
        if _KEY.fullmatch(key):
            self.events.append(Pressed(dialog, key))

    def _take_cancel(self, transaction: ServerTransaction, now: int) -> None:
        request = transaction.request
        invite = self._servers.get((_key(request)[0], "INVITE"))
        if invite is None:
            self._respond(transaction, 481, now)
            return
        self._respond(transaction, 200, now)
        dialog = next((one for one in self._dialogs.values() if one.invite is invite), None)
        if dialog is not None and dialog.phase is Phase.EARLY:
            self._respond(invite, 487, now, tag=dialog.local_tag)
            self._end(dialog, 487)

    def _take_ack(self, request: Request, now: int) -> None:
        transaction = self._servers.get((_key(request)[0], "INVITE"))
        dialog = self._dialogs.get((request.call_id, tag_of(request.to_address)))
        if transaction is not None:  # of a refusal, or of a peer that keeps the branch
            transaction.acknowledged(now)
        if dialog is None or dialog.invite is None or request.cseq.sequence != dialog.invite.request.cseq.sequence:
            return
        if dialog.invite.state is State.ACCEPTED:
            dialog.invite.acknowledged(now)
            dialog.invite = None
            self.events.append(Confirmed(dialog, _text(request) if _has_description(request) else ""))

    # Calls that come in

    def ring(self, dialog: Dialog, now: int) -> None:
        """Tell the caller that the call was received."""
        if dialog.invite is not None:
            self._respond(dialog.invite, 180, now, self._contact(dialog), tag=dialog.local_tag)

    def answer(self, dialog: Dialog, description: str, now: int) -> None:
        """Answer a call."""
        if dialog.invite is None or dialog.phase is not Phase.EARLY:
            return
        dialog.phase, dialog.answered_at, dialog.description = Phase.CONFIRMED, now, description
        headers = [*self._contact(dialog), *dialog.take_timer_of_request(dialog.invite.request, now)]
        headers += [("Allow", ALLOW), ("Supported", "timer"), ("Content-Type", _SDP)]
        self._respond(dialog.invite, 200, now, headers, description.encode(), tag=dialog.local_tag)

    def reject(self, dialog: Dialog, code: int, now: int) -> None:
        """Refuse a call with a status."""
        if dialog.invite is not None and dialog.phase is Phase.EARLY:
            self._respond(dialog.invite, code, now, tag=dialog.local_tag)
        self._forget(dialog)

    def accept_offer(self, dialog: Dialog, description: str, now: int) -> None:
        """Answer the offer within a call."""
        transaction, dialog.offer = dialog.offer, None
        if transaction is None:
            return
        dialog.description = description
        headers = [*self._contact(dialog), *dialog.take_timer_of_request(transaction.request, now)]
        headers += [("Allow", ALLOW), ("Supported", "timer"), ("Content-Type", _SDP)]
        if transaction.is_invite:
            dialog.invite = transaction
        self._respond(transaction, 200, now, headers, description.encode())

    def refuse_offer(self, dialog: Dialog, now: int) -> None:
        """Refuse the offer within a call, which continues as before."""
        transaction, dialog.offer = dialog.offer, None
        if transaction is not None:
            self._respond(transaction, 488, now)

    # Calls of ours

    def dial(self, uri: str, flow: Flow, caller: str, description: str, now: int) -> Dialog:
        """Call a URI through `flow`; `caller` is the URI of From."""
        dialog = Dialog(flow, f"{new_tag()}{new_tag()}", f"<{caller}>", f"<{uri}>", uri, is_caller=True)
        dialog.local += f";tag={dialog.local_tag}"
        dialog.description = description
        self._dialogs[dialog.call_id, dialog.local_tag] = dialog
        headers = [
            *self._identity(dialog),
            *self._contact(dialog),
            *dialog.session_headers(),
            ("Allow", ALLOW),
            ("Supported", "timer"),
            ("User-Agent", self._name),
            ("Content-Type", _SDP),
        ]
        call = _Call(
            _Exchange(
                "INVITE",
                uri,
                flow,
                headers,
                description.encode(),
                dialog.next_sequence,
                lambda response, at: self._take_answer(call, response, at),
                lambda at: self._end(dialog, 408),
                self._account,
            ),
            dialog,
        )
        self._calls[dialog] = call
        self._start(call.exchange, now)
        return dialog

    def _take_answer(self, call: _Call, response: Response, now: int) -> None:
        dialog = call.dialog
        if response.code < 200:
            if dialog.cancelled and call.exchange.transaction is not None:
                self._cancel(call, now)
            elif dialog.phase is Phase.EARLY and response.code > 100:
                described = _text(response) if _has_description(response) else ""
                self.events.append(Progress(dialog, response.code, described))
        elif response.code < 300:
            self._take_success(call, response, now)
        elif dialog.phase is not Phase.ENDED:
            self._end(dialog, response.code)

    def _take_success(self, call: _Call, response: Response, now: int) -> None:
        dialog, tag = call.dialog, tag_of(response.to_address)
        if tag in call.acknowledged:
            self._send(dialog.flow, call.acknowledged[tag])
            return
        if len(call.acknowledged) >= 8:
            return
        if dialog.phase is Phase.EARLY and not dialog.cancelled:
            dialog.confirm_as_caller(response, dialog.flow)
            dialog.phase, dialog.answered_at = Phase.CONFIRMED, now
            dialog.take_timer_of_response(response, now)
            call.acknowledged[tag] = self._acknowledge(dialog, call.exchange)
            self.events.append(Answered(dialog, _text(response)))
            return
        # Another branch of a forked call, or one that was answered while it was cancelled.
        other = Dialog(dialog.flow, dialog.call_id, dialog.local, "", dialog.target, is_caller=True)
        other.local_tag, other.sequence = dialog.local_tag, dialog.sequence
        other.confirm_as_caller(response, dialog.flow)
        other.phase = Phase.CONFIRMED
        call.acknowledged[tag] = self._acknowledge(other, call.exchange)
        self._say_bye(other, now)
        if dialog.cancelled and dialog.phase is Phase.EARLY:
            self._end(dialog, 487)

    def _acknowledge(self, dialog: Dialog, exchange: _Exchange) -> bytes:
        """Send ACK for a 2xx response (section 13.2.2.4) and return it, for repetitions."""
        headers = [self._via(dialog.flow, new_branch()), ("Max-Forwards", "70"), *self._identity(dialog)]
        headers += [("CSeq", f"{exchange.sequence} ACK"), *exchange.credentials]
        data = compose(f"ACK {dialog.target} SIP/2.0", headers)
        self._send(dialog.flow, data)
        return data

    def _cancel(self, call: _Call, now: int) -> None:
        """Send CANCEL, unless that was done (section 9.1)."""
        exchange = call.exchange
        if exchange.transaction is None or (exchange.branch, "CANCEL") in self._clients:
            return
        headers = [self._via(exchange.flow, exchange.branch), ("Max-Forwards", "70"), *self._identity(call.dialog)]
        data = compose(f"CANCEL {exchange.uri} SIP/2.0", [*headers, ("CSeq", f"{exchange.sequence} CANCEL")])
        exchange.transaction.end_by(now + TIMEOUT)
        self._clients[exchange.branch, "CANCEL"] = ClientTransaction(
            "CANCEL",
            exchange.branch,
            exchange.flow,
            data,
            self._send,
            on_response=_ignore_response,
            on_failure=_ignore_failure,
            now=now,
        )

    def hang_up(self, dialog: Dialog, now: int) -> None:
        """End a call of either side, in any phase. No event follows."""
        if dialog.phase is Phase.CONFIRMED:
            self._say_bye(dialog, now)
            self._forget(dialog)
        elif dialog.phase is Phase.EARLY and dialog.is_caller:
            call = self._calls.get(dialog)
            dialog.cancelled = True
            if call is None or call.exchange.transaction is None:
                self._forget(dialog)
            elif call.exchange.transaction.state is State.PROCEEDING:
                self._cancel(call, now)
        elif dialog.phase is Phase.EARLY:
            self.reject(dialog, 480, now)

    def _say_bye(self, dialog: Dialog, now: int) -> None:
        self._request(dialog, "BYE", [], b"", on_response=_ignore_response, on_failure=_ignore_failure, now=now)

    def _refresh(self, dialog: Dialog, now: int) -> None:
        """Refresh a session: by UPDATE if the peer knows it, else by re-INVITE with the same description."""
        headers = [*self._contact(dialog), *dialog.session_headers(), ("Supported", "timer")]
        dialog.refreshed_at = now - dialog.session_seconds * 250_000_000  # a failure is repeated before it expires
        method = "UPDATE" if "UPDATE" in dialog.their_methods else "INVITE"
        body = dialog.description.encode() if method == "INVITE" else b""
        if body:
            headers.append(("Content-Type", _SDP))
        dialog.is_offering = method == "INVITE"

        def take(response: Response, at: int) -> None:
            if response.code < 200:
                return
            dialog.is_offering = False
            if response.code < 300:
                if method == "INVITE":
                    self._acknowledge(dialog, exchange)
                dialog.note_peer(response)
                dialog.take_timer_of_response(response, at)
                if _has_description(response):
                    self.events.append(Answered(dialog, _text(response)))
            elif response.code in {408, 481}:
                self._end(dialog, response.code)

        def failed(_at: int) -> None:
            dialog.is_offering = False
            self._end(dialog, 408)

        exchange = self._request(dialog, method, headers, body, on_response=take, on_failure=failed, now=now)

    # Requests of ours

    def request(
        self,
        method: str,
        uri: str,
        flow: Flow,
        headers: Headers,
        *,
        next_sequence: Callable[[], int],
        on_response: Callable[[Response, int], None],
        on_failure: Callable[[int], None],
        now: int,
    ) -> None:
        """Send a request outside of dialogs; `headers` have From, To and Call-ID. Challenges are answered."""
        exchange = _Exchange(
            method, uri, flow, [*headers, ("User-Agent", self._name)], b"", next_sequence, on_response, on_failure,
            self._account,
        )  # fmt: skip
        self._start(exchange, now)

    def _request(
        self,
        dialog: Dialog,
        method: str,
        headers: Headers,
        body: bytes,
        *,
        on_response: Callable[[Response, int], None],
        on_failure: Callable[[int], None],
        now: int,
    ) -> _Exchange:
        """Send a request within a dialog."""
        everything = [*self._identity(dialog), *headers, ("User-Agent", self._name)]
        exchange = _Exchange(
            method, dialog.target, dialog.flow, everything, body, dialog.next_sequence, on_response, on_failure,
            self._account,
        )  # fmt: skip
        self._start(exchange, now)
        return exchange

    def _start(self, exchange: _Exchange, now: int) -> None:
        exchange.sequence = exchange.next_sequence()
        exchange.attempts += 1
        branch = new_branch()
        via = self._via(exchange.flow, branch)
        headers = [via, ("Max-Forwards", "70"), *exchange.headers, ("CSeq", f"{exchange.sequence} {exchange.method}")]
        data = compose(f"{exchange.method} {exchange.uri} SIP/2.0", [*headers, *exchange.credentials], exchange.body)
        transaction = ClientTransaction(
            exchange.method,
            branch,
            exchange.flow,
            data,
            self._send,
            on_response=lambda response, at: self._take_response(exchange, response, at),
            on_failure=exchange.on_failure,
            now=now,
        )
        sequence = exchange.sequence
        identity = [header for header in exchange.headers if header[0] in {"From", "Call-ID", "Route"}]

        def acknowledgement(response: Response) -> bytes:
            to = ("To", response.headers.get("To", "") or "")
            return compose(
                f"ACK {exchange.uri} SIP/2.0", [via, ("Max-Forwards", "70"), *identity, to, ("CSeq", f"{sequence} ACK")]
            )

        transaction.acknowledgement = acknowledgement
        exchange.transaction = transaction
        self._clients[branch, exchange.method] = transaction

    def _take_response(self, exchange: _Exchange, response: Response, now: int) -> None:
        if response.code in {401, 407} and exchange.account is not None and exchange.attempts < 3:
            name = "WWW-Authenticate" if response.code == 401 else "Proxy-Authenticate"
            try:
                challenge = digest.choose(response.headers.getlist(name))
            except ValueError:
                challenge = None
            if challenge is not None and (exchange.attempts == 1 or challenge.is_stale):
                answer = digest.answer(challenge, exchange.account, exchange.method, exchange.uri)
                header = "Authorization" if response.code == 401 else "Proxy-Authorization"
                exchange.credentials = ((header, answer),)
                self._start(exchange, now)
                return
        exchange.on_response(response, now)

    def _identity(self, dialog: Dialog) -> list[tuple[str, str]]:
        routes = [("Route", route) for route in dialog.routes]
        return [*routes, ("From", dialog.local), ("To", dialog.remote), ("Call-ID", dialog.call_id)]

    def _via(self, flow: Flow, branch: str) -> tuple[str, str]:
        host, port = self._local(flow)
        return "Via", f"SIP/2.0/{flow.transport.upper()} {_in_uri(host)}:{port};branch={branch};rport"

    def _contact(self, dialog: Dialog) -> list[tuple[str, str]]:
        return [("Contact", f"<{self.contact(dialog.flow)}>")]

    def contact(self, flow: Flow) -> str:
        """Return our URI as a remote address reaches it."""
        host, port = self._local(flow)
        transport = "" if flow.transport == "udp" else f";transport={flow.transport}"
        return f"sip:parley@{_in_uri(host)}:{port}{transport}"

    # Time

    def timer(self) -> int | None:
        """Return the time at which to call `handle_timer` next."""
        times = [one.timer() for one in self._clients.values()]
        times += [one.timer() for one in self._servers.values()]
        for dialog in self._dialogs.values():
            times += [dialog.refresh_at(), dialog.expires_at()]
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: int) -> None:
        """Repeat, refresh and end what is due."""
        for client in list(self._clients.values()):
            client.handle_timer(now)
        for server in list(self._servers.values()):
            server.handle_timer(now)
        for dialog in list(self._dialogs.values()):
            self._look_after(dialog, now)
        self._clients = {key: one for key, one in self._clients.items() if one.state is not State.TERMINATED}
        self._servers = {key: one for key, one in self._servers.items() if one.state is not State.TERMINATED}

    def _look_after(self, dialog: Dialog, now: int) -> None:
        refresh_at, expires_at = dialog.refresh_at(), dialog.expires_at()
        if dialog.invite is not None and dialog.invite.state is State.TERMINATED:
            # Our answer was never acknowledged (section 13.3.1.4).
            dialog.invite = None
            self._say_bye(dialog, now)
            self._end(dialog, 408)
        elif expires_at is not None and now >= expires_at:
            self._say_bye(dialog, now)
            self._end(dialog, 408)
        elif refresh_at is not None and now >= refresh_at and not dialog.is_offering and dialog.offer is None:
            self._refresh(dialog, now)

    def _respond(
        self,
        transaction: ServerTransaction,
        code: int,
        now: int,
        headers: Headers = (),
        body: bytes = b"",
        *,
        tag: str = "",
    ) -> None:
        tag = tag or (new_tag() if code > 100 else "")
        extra = [("Allow", ALLOW)] if code in {200, 405} and not body else []
        response = respond(transaction.request, code, [*headers, *extra, ("Server", self._name)], body, tag=tag)
        transaction.respond(code, response, now)

    def _end(self, dialog: Dialog, code: int) -> None:
        if dialog.phase is not Phase.ENDED:
            self._forget(dialog)
            if not dialog.cancelled:
                self.events.append(Ended(dialog, code))

    def _forget(self, dialog: Dialog) -> None:
        dialog.phase = Phase.ENDED
        self._dialogs.pop((dialog.call_id, dialog.local_tag), None)
        self._calls.pop(dialog, None)

    def _send(self, flow: Flow, data: bytes) -> None:
        self.output.append((flow, data))


def _ignore_response(_response: Response, _now: int) -> None:
    """Take the response to a request whose outcome changes nothing."""


def _ignore_failure(_now: int) -> None:
    """Take the failure of a request whose outcome changes nothing."""


def _key(request: Request) -> tuple[str, str]:
    via = request.via[0]
    branch = branch_of(request) or f"{request.call_id} {request.cseq.sequence} {tag_of(request.from_address)}"
    return f"{branch} {via.host}:{via.port}", request.method


def _has_description(message: Request | Response) -> bool:
    kind = (message.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    return bool(message.body) and kind == _SDP


def _text(message: Request | Response) -> str:
    return message.body.decode("utf-8", "replace")


def _in_uri(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
