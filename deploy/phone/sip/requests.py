"""Requests of ours: their transactions, and the answers to challenges."""

from collections.abc import Callable
from dataclasses import dataclass

from sipmessage import Response

from foundation import digest
from foundation.digest import Account
from phone.sip.dialog import Dialog
from phone.sip.dialogs import Dialogs, Headers
from phone.sip.messages import Flow, branch_of, compose, new_branch
from phone.sip.transactions import TIMEOUT, ClientTransaction, State


@dataclass(slots=True, eq=False)
class Exchange:
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


class Requests:
    """`account` answers challenges, but for calls that we placed, which have their own."""

    def __init__(self, dialogs: Dialogs, account: Account | None) -> None:
        self.transactions: dict[tuple[str, str], ClientTransaction] = {}
        self._dialogs = dialogs
        self._account = account

    def receive(self, response: Response, now: int) -> None:
        """Take a response."""
        client = self.transactions.get((branch_of(response), response.cseq.method))
        if client is None:
            self._dialogs.refused["unknown_response"] += 1
        else:
            client.receive(response, now)

    def ask(
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
        """Send a request outside of dialogs; `headers` have From, To and Call-ID."""
        everything = [*headers, ("User-Agent", self._dialogs.name)]
        self.start(
            Exchange(method, uri, flow, everything, b"", next_sequence, on_response, on_failure, self._account), now
        )

    def ask_within(
        self,
        dialog: Dialog,
        method: str,
        headers: Headers = (),
        body: bytes = b"",
        *,
        on_response: Callable[[Response, int], None],
        on_failure: Callable[[int], None],
        now: int,
    ) -> Exchange:
        """Send a request within a dialog."""
        everything = [*self._dialogs.identity(dialog), *headers, ("User-Agent", self._dialogs.name)]
        exchange = Exchange(
            method, dialog.target, dialog.flow, everything, body, dialog.next_sequence, on_response, on_failure,
            self.account_of(dialog),
        )  # fmt: skip
        self.start(exchange, now)
        return exchange

    def account_of(self, dialog: Dialog) -> Account | None:
        return dialog.account if dialog.is_caller else self._account

    def say_bye(self, dialog: Dialog, now: int) -> None:
        """Hang up; the outcome changes nothing."""
        self.ask_within(dialog, "BYE", on_response=ignore_response, on_failure=ignore_failure, now=now)

    def cancel(self, exchange: Exchange, dialog: Dialog, now: int) -> None:
        """Send CANCEL for an INVITE, unless that was done (RFC 3261, section 9.1)."""
        if exchange.transaction is None or (exchange.branch, "CANCEL") in self.transactions:
            return
        headers = [self._dialogs.via(exchange.flow, exchange.branch), ("Max-Forwards", "70")]
        headers += [*self._dialogs.identity(dialog), ("CSeq", f"{exchange.sequence} CANCEL")]
        data = compose(f"CANCEL {exchange.uri} SIP/2.0", headers)
        exchange.transaction.end_by(now + TIMEOUT)
        self.transactions[exchange.branch, "CANCEL"] = ClientTransaction(
            "CANCEL",
            exchange.branch,
            exchange.flow,
            data,
            self._dialogs.send,
            on_response=ignore_response,
            on_failure=ignore_failure,
            now=now,
        )

    def start(self, exchange: Exchange, now: int) -> None:
        """Send a request, with the credentials that it has so far."""
        exchange.sequence = exchange.next_sequence()
        exchange.attempts += 1
        branch = new_branch()
        via = self._dialogs.via(exchange.flow, branch)
        headers = [via, ("Max-Forwards", "70"), *exchange.headers, ("CSeq", f"{exchange.sequence} {exchange.method}")]
        data = compose(f"{exchange.method} {exchange.uri} SIP/2.0", [*headers, *exchange.credentials], exchange.body)
        transaction = ClientTransaction(
            exchange.method,
            branch,
            exchange.flow,
            data,
            self._dialogs.send,
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
        self.transactions[branch, exchange.method] = transaction

    def _take_response(self, exchange: Exchange, response: Response, now: int) -> None:
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
                self.start(exchange, now)
                return
        exchange.on_response(response, now)

    def timers(self) -> list[int | None]:
        return [one.timer() for one in self.transactions.values()]

    def handle_timer(self, now: int) -> None:
        """Repeat and end what is due."""
        for client in list(self.transactions.values()):
            client.handle_timer(now)
        self.transactions = {key: one for key, one in self.transactions.items() if one.state is not State.TERMINATED}


def ignore_response(_response: Response, _now: int) -> None:
    """Take the response to a request whose outcome changes nothing."""


def ignore_failure(_now: int) -> None:
    """Take the failure of a request whose outcome changes nothing."""
