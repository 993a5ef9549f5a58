"""Calls of ours, and what we ask within calls of either direction: refreshes and transfers."""

from dataclasses import dataclass, field

from sipmessage import Response

from phone.sip.dialog import Dialog, Phase
from phone.sip.dialogs import Dialogs, Headers
from phone.sip.events import Answered, Progress, Transferred
from phone.sip.messages import ALLOW, SDP, compose, has_description, new_branch, tag_of, text_of
from phone.sip.requests import Exchange, Requests
from phone.sip.transactions import State


@dataclass(slots=True)
class _Call:
    """The exchange of a call of ours that is not answered yet."""

    exchange: Exchange
    dialog: Dialog
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    """The ACKs of 2xx responses, by the tag of To: a proxy that forks may answer several times."""


class Outgoing:
    """Calls that we place."""

    def __init__(self, dialogs: Dialogs, requests: Requests) -> None:
        self._dialogs = dialogs
        self._requests = requests
        self._calls: dict[Dialog, _Call] = {}

    def dial(self, dialog: Dialog, description: str, headers: Headers, now: int) -> None:
        """Place the call of a new dialog, with further headers."""
        dialog.description = description
        self._dialogs.add(dialog)
        everything = [
            *self._dialogs.identity(dialog),
            self._dialogs.contact_header(dialog),
            *dialog.session_headers(),
            *headers,
            ("Allow", ALLOW),
            ("Supported", "timer"),
            ("User-Agent", self._dialogs.name),
            ("Content-Type", SDP),
        ]
        call = _Call(
            Exchange(
                "INVITE",
                dialog.target,
                dialog.flow,
                everything,
                description.encode(),
                dialog.next_sequence,
                lambda response, at: self._take_answer(call, response, at),
                lambda at: self._dialogs.end(dialog, 408),
                self._requests.account_of(dialog),
            ),
            dialog,
        )
        self._calls[dialog] = call
        self._requests.start(call.exchange, now)

    def give_up(self, dialog: Dialog, now: int) -> None:
        """Cancel a call that is not answered yet."""
        call = self._calls.get(dialog)
        dialog.cancelled = True
        if call is None or call.exchange.transaction is None:
            self._dialogs.forget(dialog)
        elif call.exchange.transaction.state is State.PROCEEDING:
            self._requests.cancel(call.exchange, dialog, now)

    def _take_answer(self, call: _Call, response: Response, now: int) -> None:
        dialog = call.dialog
        if response.code < 200:
            if dialog.cancelled and call.exchange.transaction is not None:
                self._requests.cancel(call.exchange, dialog, now)
            elif dialog.phase is Phase.EARLY and response.code > 100:
                described = text_of(response) if has_description(response) else ""
                self._dialogs.events.append(Progress(dialog, response.code, described))
        elif response.code < 300:
            self._take_success(call, response, now)
        elif dialog.phase is not Phase.ENDED:
            self._dialogs.end(dialog, response.code)

    def _take_success(self, call: _Call, response: Response, now: int) -> None:
        dialog, tag = call.dialog, tag_of(response.to_address)
        if tag in call.acknowledged:
            self._dialogs.send(dialog.flow, call.acknowledged[tag])
            return
        if len(call.acknowledged) >= 8:
            return
        if dialog.phase is Phase.EARLY and not dialog.cancelled:
            dialog.confirm_as_caller(response, dialog.flow)
            dialog.phase, dialog.answered_at = Phase.CONFIRMED, now
            dialog.take_timer_of_response(response, now)
            call.acknowledged[tag] = self._acknowledge(dialog, call.exchange)
            self._dialogs.events.append(Answered(dialog, text_of(response)))
            return
        # Another branch of a forked call, or one that was answered while it was cancelled.
        other = Dialog(dialog.flow, dialog.call_id, dialog.local, "", dialog.target, is_caller=True)
        other.local_tag, other.sequence = dialog.local_tag, dialog.sequence
        other.confirm_as_caller(response, dialog.flow)
        other.phase = Phase.CONFIRMED
        call.acknowledged[tag] = self._acknowledge(other, call.exchange)
        self._requests.say_bye(other, now)
        if dialog.cancelled and dialog.phase is Phase.EARLY:
            self._dialogs.end(dialog, 487)

    def _acknowledge(self, dialog: Dialog, exchange: Exchange) -> bytes:
        """Send ACK for a 2xx response (section 13.2.2.4) and return it, for repetitions."""
        headers = [
            self._dialogs.via(dialog.flow, new_branch()),
            ("Max-Forwards", "70"),
            *self._dialogs.identity(dialog),
        ]
        headers += [("CSeq", f"{exchange.sequence} ACK"), *exchange.credentials]
        data = compose(f"ACK {dialog.target} SIP/2.0", headers)
        self._dialogs.send(dialog.flow, data)
        return data

    def refresh(self, dialog: Dialog, now: int) -> None:
        """Refresh a session: by UPDATE if the peer knows it, else by re-INVITE with the same description."""
        headers = [self._dialogs.contact_header(dialog), *dialog.session_headers(), ("Supported", "timer")]
        dialog.refreshed_at = now - dialog.session_seconds * 250_000_000  # a failure is repeated before it expires
        method = "UPDATE" if "UPDATE" in dialog.their_methods else "INVITE"
        body = dialog.description.encode() if method == "INVITE" else b""
        if body:
            headers.append(("Content-Type", SDP))
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
                if has_description(response):
                    self._dialogs.events.append(Answered(dialog, text_of(response)))
            elif response.code in {408, 481}:
                self._dialogs.end(dialog, response.code)

        def failed(_at: int) -> None:
            dialog.is_offering = False
            self._dialogs.end(dialog, 408)

        exchange = self._requests.ask_within(
            dialog, method, headers, body, on_response=take, on_failure=failed, now=now
        )

    def transfer(self, dialog: Dialog, target: str, headers: Headers, now: int) -> None:
        """Ask the peer to call a URI instead (RFC 3515); `Transferred` tells the outcome."""

        def take(response: Response, _at: int) -> None:
            if response.code >= 300:
                self._dialogs.events.append(Transferred(dialog, response.code))

        def failed(_at: int) -> None:
            self._dialogs.events.append(Transferred(dialog, 408))

        us = self._dialogs.contact(dialog.flow)
        everything = [("Refer-To", f"<{target}>"), ("Referred-By", f"<{us}>"), *headers]
        everything.append(self._dialogs.contact_header(dialog))
        self._requests.ask_within(dialog, "REFER", everything, on_response=take, on_failure=failed, now=now)

    def forget_ended(self) -> None:
        """Forget the exchanges of calls that have ended."""
        self._calls = {dialog: call for dialog, call in self._calls.items() if dialog.phase is not Phase.ENDED}
