"""State of calls of both directions: the dialogs, what is to be sent, and the headers that name us and the peer."""

from collections import Counter, deque
from collections.abc import Callable, Sequence

from phone.sip.dialog import Dialog, Phase
from phone.sip.events import Ended, Event
from phone.sip.messages import Flow, in_uri

Headers = Sequence[tuple[str, str]]


class Dialogs:
    """`local` returns the host and port under which a remote address reaches us; `name` is the product's."""

    def __init__(self, local: Callable[[Flow], tuple[str, int]], name: str) -> None:
        self.events: deque[Event] = deque()
        self.output: deque[tuple[Flow, bytes]] = deque()
        self.refused: Counter[str] = Counter()
        self.name = name
        self._local = local
        self._known: dict[tuple[str, str], Dialog] = {}

    def __len__(self) -> int:
        return len(self._known)

    def all(self) -> list[Dialog]:
        return list(self._known.values())

    def add(self, dialog: Dialog) -> None:
        self._known[dialog.call_id, dialog.local_tag] = dialog

    def find(self, call_id: str, tag: str) -> Dialog | None:
        return self._known.get((call_id, tag))

    def end(self, dialog: Dialog, code: int) -> None:
        """Forget a call, and tell that it has ended, unless we cancelled it."""
        if dialog.phase is not Phase.ENDED:
            self.forget(dialog)
            if not dialog.cancelled:
                self.events.append(Ended(dialog, code))

    def forget(self, dialog: Dialog) -> None:
        dialog.phase = Phase.ENDED
        self._known.pop((dialog.call_id, dialog.local_tag), None)

    def send(self, flow: Flow, data: bytes) -> None:
        self.output.append((flow, data))

    @staticmethod
    def identity(dialog: Dialog) -> list[tuple[str, str]]:
        """Return the headers of a request that say to which dialog it belongs."""
        routes = [("Route", route) for route in dialog.routes]
        return [*routes, ("From", dialog.local), ("To", dialog.remote), ("Call-ID", dialog.call_id)]

    def via(self, flow: Flow, branch: str) -> tuple[str, str]:
        host, port = self._local(flow)
        return "Via", f"SIP/2.0/{flow.transport.upper()} {in_uri(host)}:{port};branch={branch};rport"

    def contact(self, flow: Flow) -> str:
        """Return our URI as a remote address reaches it."""
        host, port = self._local(flow)
        transport = "" if flow.transport == "udp" else f";transport={flow.transport}"
        return f"sip:parley@{in_uri(host)}:{port}{transport}"

    def contact_header(self, dialog: Dialog) -> tuple[str, str]:
        return "Contact", f"<{self.contact(dialog.flow)}>"
