"""Requests of the other side: calls that come in, and what peers ask within calls of either direction."""

import re
from collections.abc import Callable

from sipmessage import Request

from foundation.digest import Gatekeeper
from phone.sip.dialog import MIN_SESSION_SECONDS, Dialog, Phase
from phone.sip.dialogs import Dialogs, Headers
from phone.sip.events import Confirmed, Invited, Offered, Pressed, Transferred
from phone.sip.messages import (
    ALLOW,
    SDP,
    Flow,
    branch_of,
    has_description,
    new_tag,
    note_source,
    number_in,
    option_tags,
    respond,
    seconds_in,
    tag_of,
    text_of,
    values_of,
)
from phone.sip.transactions import ServerTransaction, State

Gate = Callable[[Flow, str, str], Gatekeeper | bool]
"""Returns for the source, the called and the calling number whether a request may enter, or who checks that."""
_SUPPORTED = frozenset({"timer"})
_MAX_TRANSACTIONS = 4000
_DIGIT = re.compile(r"(?im)^\s*signal\s*=\s*([0-9*#a-d])\s*$")
_KEY = re.compile(r"[0-9*#A-D]")
_STATUS = re.compile(r"SIP/2\.0 +(\d{3})\b")


class Incoming:
    """`gate` decides who may send requests outside of dialogs."""

    def __init__(self, dialogs: Dialogs, gate: Gate) -> None:
        self.transactions: dict[tuple[str, str], ServerTransaction] = {}
        self._dialogs = dialogs
        self._gate = gate

    def receive(self, request: Request, flow: Flow, now: int) -> None:
        """Take a request."""
        note_source(request, flow)
        if request.method == "ACK":
            self._take_ack(request, now)
            return
        key = _key(request)
        known = self.transactions.get(key)
        if known is not None:
            known.repeated()
            return
        if len(self.transactions) >= _MAX_TRANSACTIONS:
            self._dialogs.refused["transactions"] += 1
            return
        transaction = ServerTransaction(request, flow, self._dialogs.send, now)
        self.transactions[key] = transaction
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
            self._respond(transaction, 200, now, [("Accept", SDP), ("Supported", "timer")])
        elif request.method in {"BYE", "INFO", "UPDATE"}:
            self._respond(transaction, 481, now)
        else:
            self._dialogs.refused["method"] += 1
            self._respond(transaction, 405, now)

    def _may_enter(self, transaction: ServerTransaction, now: int) -> bool:
        """Return whether the sender of a request outside of dialogs is trusted or has authenticated; else refuse."""
        request = transaction.request
        gate = self._gate(transaction.flow, number_in(request.to_address), number_in(request.from_address))
        if isinstance(gate, bool):
            if not gate:
                self._dialogs.refused["source"] += 1
                self._respond(transaction, 403, now)
            return gate
        given = request.headers.get("Authorization")
        right = gate.check(given, request.method, now) if given is not None else None
        if right:
            return True
        if given is not None and right is False:
            self._dialogs.refused["credentials"] += 1
        challenges = gate.challenges(now, is_stale=given is not None and right is None)
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
        if request.body and not has_description(request):
            self._respond(transaction, 415, now, [("Accept", SDP)])
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
        self._dialogs.add(dialog)
        self._respond(transaction, 100, now)
        called = number_in(request.to_address)
        caller, host = number_in(request.from_address), str(request.from_address.uri.host)[:253]
        self._dialogs.events.append(Invited(dialog, text_of(request), caller, called, host))

    def _take_in_dialog(self, transaction: ServerTransaction, now: int) -> None:
        request = transaction.request
        dialog = self._dialogs.find(request.call_id, tag_of(request.to_address))
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
                self._dialogs.end(dialog, 0)
            case "INVITE" | "UPDATE":
                self._take_offer(dialog, transaction, now)
            case "INFO":
                self._take_info(dialog, transaction, now)
            case "NOTIFY":
                self._take_notice(dialog, transaction, now)
            case "OPTIONS":
                self._respond(transaction, 200, now, [("Accept", SDP)])
            case _:
                self._dialogs.refused["method"] += 1
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
            self._respond(
                transaction,
                200,
                now,
                [self._dialogs.contact_header(dialog), *dialog.take_timer_of_request(request, now)],
            )
        elif request.body and not has_description(request):
            self._respond(transaction, 415, now, [("Accept", SDP)])
        else:
            dialog.note_peer(request)
            dialog.offer = transaction
            self._dialogs.events.append(Offered(dialog, text_of(request)))

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
            self._dialogs.events.append(Pressed(dialog, key))

    def _take_notice(self, dialog: Dialog, transaction: ServerTransaction, now: int) -> None:
        """Take what the peer tells about the call that it places for a transfer (RFC 3515, section 2.4.4)."""
        request = transaction.request
        found = _STATUS.match(text_of(request)[:200])
        if (request.headers.get("Event") or "").partition(";")[0].strip().lower() != "refer":
            self._respond(transaction, 489, now)
            return
        self._respond(transaction, 200, now)
        if found is not None and int(found[1]) >= 200:
            self._dialogs.events.append(Transferred(dialog, int(found[1])))

    def _take_cancel(self, transaction: ServerTransaction, now: int) -> None:
        request = transaction.request
        invite = self.transactions.get((_key(request)[0], "INVITE"))
        if invite is None:
            self._respond(transaction, 481, now)
            return
        self._respond(transaction, 200, now)
        dialog = next((one for one in self._dialogs.all() if one.invite is invite), None)
        if dialog is not None and dialog.phase is Phase.EARLY:
            self._respond(invite, 487, now, tag=dialog.local_tag)
            self._dialogs.end(dialog, 487)

    def _take_ack(self, request: Request, now: int) -> None:
        transaction = self.transactions.get((_key(request)[0], "INVITE"))
        dialog = self._dialogs.find(request.call_id, tag_of(request.to_address))
        if transaction is not None:  # of a refusal, or of a peer that keeps the branch
            transaction.acknowledged(now)
        if dialog is None or dialog.invite is None or request.cseq.sequence != dialog.invite.request.cseq.sequence:
            return
        if dialog.invite.state is State.ACCEPTED:
            dialog.invite.acknowledged(now)
            dialog.invite = None
            self._dialogs.events.append(Confirmed(dialog, text_of(request) if has_description(request) else ""))

    # Answers of ours

    def ring(self, dialog: Dialog, now: int) -> None:
        """Tell the caller that the call was received."""
        if dialog.invite is not None:
            self._respond(dialog.invite, 180, now, [self._dialogs.contact_header(dialog)], tag=dialog.local_tag)

    def answer(self, dialog: Dialog, description: str, now: int) -> None:
        """Answer a call."""
        if dialog.invite is None or dialog.phase is not Phase.EARLY:
            return
        dialog.phase, dialog.answered_at, dialog.description = Phase.CONFIRMED, now, description
        headers = [self._dialogs.contact_header(dialog), *dialog.take_timer_of_request(dialog.invite.request, now)]
        headers += [("Allow", ALLOW), ("Supported", "timer"), ("Content-Type", SDP)]
        self._respond(dialog.invite, 200, now, headers, description.encode(), tag=dialog.local_tag)

    def reject(self, dialog: Dialog, code: int, now: int) -> None:
        """Refuse a call with a status."""
        if dialog.invite is not None and dialog.phase is Phase.EARLY:
            self._respond(dialog.invite, code, now, tag=dialog.local_tag)
        self._dialogs.forget(dialog)

    def accept_offer(self, dialog: Dialog, description: str, now: int) -> None:
        """Answer the offer within a call."""
        transaction, dialog.offer = dialog.offer, None
        if transaction is None:
            return
        dialog.description = description
        headers = [self._dialogs.contact_header(dialog), *dialog.take_timer_of_request(transaction.request, now)]
        headers += [("Allow", ALLOW), ("Supported", "timer"), ("Content-Type", SDP)]
        if transaction.is_invite:
            dialog.invite = transaction
        self._respond(transaction, 200, now, headers, description.encode())

    def refuse_offer(self, dialog: Dialog, now: int) -> None:
        """Refuse the offer within a call, which continues as before."""
        transaction, dialog.offer = dialog.offer, None
        if transaction is not None:
            self._respond(transaction, 488, now)

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
        response = respond(transaction.request, code, [*headers, *extra, ("Server", self._dialogs.name)], body, tag=tag)
        transaction.respond(code, response, now)

    def timers(self) -> list[int | None]:
        return [one.timer() for one in self.transactions.values()]

    def handle_timer(self, now: int) -> None:
        """Repeat and end what is due."""
        for server in list(self.transactions.values()):
            server.handle_timer(now)
        self.transactions = {key: one for key, one in self.transactions.items() if one.state is not State.TERMINATED}


def _key(request: Request) -> tuple[str, str]:
    via = request.via[0]
    branch = branch_of(request) or f"{request.call_id} {request.cseq.sequence} {tag_of(request.from_address)}"
    return f"{branch} {via.host}:{via.port}", request.method
