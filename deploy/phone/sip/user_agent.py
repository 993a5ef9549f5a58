"""The SIP user agent: takes messages and the time, and gives messages to send and events about calls.

It answers and places calls, takes new offers within them (hold, resume), refreshes and transfers them, registers, and
proves who it is to challengers. A message without meaning is answered or dropped as RFC 3261 says; it raises nothing.
"""

from collections.abc import Callable

from sipmessage import Response

from foundation.digest import Account
from phone.sip.dialog import Dialog, Phase
from phone.sip.dialogs import Dialogs, Headers
from phone.sip.incoming import Gate, Incoming
from phone.sip.messages import Flow, new_tag, parse
from phone.sip.outgoing import Outgoing
from phone.sip.requests import Requests
from phone.sip.transactions import State


class UserAgent:
    """`local` returns the host and port under which a remote address reaches us.

    `gate` decides who may call. `account` answers challenges outside of calls, and within those that came in.
    `refused` counts messages by the reason of their refusal.
    """

    def __init__(
        self,
        local: Callable[[Flow], tuple[str, int]],
        *,
        gate: Gate = lambda _flow, _called, _caller: True,
        account: Account | None = None,
        name: str = "Parley",
    ) -> None:
        self._dialogs = Dialogs(local, name)
        self._requests = Requests(self._dialogs, account)
        self._incoming = Incoming(self._dialogs, gate)
        self._outgoing = Outgoing(self._dialogs, self._requests)
        self.events = self._dialogs.events
        self.output = self._dialogs.output
        self.refused = self._dialogs.refused
        self.contact = self._dialogs.contact
        self.request = self._requests.ask
        self.ring = self._incoming.ring
        self.answer = self._incoming.answer
        self.reject = self._incoming.reject
        self.accept_offer = self._incoming.accept_offer
        self.refuse_offer = self._incoming.refuse_offer

    def __len__(self) -> int:
        return len(self._dialogs)

    def receive(self, data: bytes, flow: Flow, now: int) -> None:
        """Take a message."""
        try:
            message = parse(data)
        except ValueError:
            self.refused["malformed"] += 1
            return
        if isinstance(message, Response):
            self._requests.receive(message, now)
        else:
            self._incoming.receive(message, flow, now)

    def dial(
        self,
        uri: str,
        flow: Flow,
        caller: str,
        description: str,
        now: int,
        *,
        display_name: str = "",
        headers: Headers = (),
        account: Account | None = None,
    ) -> Dialog:
        """Call a URI through `flow`; `caller` is the URI of From, and `account` answers challenges."""
        name = f'"{display_name}" ' if display_name else ""
        dialog = Dialog(flow, f"{new_tag()}{new_tag()}", f"{name}<{caller}>", f"<{uri}>", uri, is_caller=True)
        dialog.local += f";tag={dialog.local_tag}"
        dialog.account = account
        self._outgoing.dial(dialog, description, headers, now)
        return dialog

    def hang_up(self, dialog: Dialog, now: int) -> None:
        """End a call of either side, in any phase. No event follows."""
        if dialog.phase is Phase.CONFIRMED:
            self._requests.say_bye(dialog, now)
            self._dialogs.forget(dialog)
        elif dialog.phase is Phase.EARLY and dialog.is_caller:
            self._outgoing.give_up(dialog, now)
        elif dialog.phase is Phase.EARLY:
            self._incoming.reject(dialog, 480, now)

    def transfer(self, dialog: Dialog, target: str, headers: Headers, now: int) -> None:
        """Ask the peer of an answered call to call a URI instead; `Transferred` tells the outcome."""
        self._outgoing.transfer(dialog, target, headers, now)

    def timer(self) -> int | None:
        """Return the time at which to call `handle_timer` next."""
        times = [*self._requests.timers(), *self._incoming.timers()]
        for dialog in self._dialogs.all():
            times += [dialog.refresh_at(), dialog.expires_at()]
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: int) -> None:
        """Repeat, refresh and end what is due."""
        self._requests.handle_timer(now)
        self._incoming.handle_timer(now)
        for dialog in self._dialogs.all():
            self._look_after(dialog, now)
        self._outgoing.forget_ended()

    def _look_after(self, dialog: Dialog, now: int) -> None:
        refresh_at, expires_at = dialog.refresh_at(), dialog.expires_at()
        if dialog.invite is not None and dialog.invite.state is State.TERMINATED:
            # Our answer was never acknowledged (RFC 3261, section 13.3.1.4).
            dialog.invite = None
            self._requests.say_bye(dialog, now)
            self._dialogs.end(dialog, 408)
        elif expires_at is not None and now >= expires_at:
            self._requests.say_bye(dialog, now)
            self._dialogs.end(dialog, 408)
        elif refresh_at is not None and now >= refresh_at and not dialog.is_offering and dialog.offer is None:
            self._outgoing.refresh(dialog, now)
