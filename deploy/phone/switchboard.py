"""All calls of one phone process: answers and places them, reports them to control, and follows its orders."""

import asyncio
import contextlib
import functools
import logging
import re
import secrets
import socket
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import NamedTuple

from foundation.background import cancel_all, keep_running
from foundation.control_requests import keep_reporting
from foundation.digest import Account, Gatekeeper
from foundation.failures import describe
from foundation.followed_certificate import ServedCertificate
from phone import metrics
from phone.call import Call, Inbound, MediaSocket
from phone.config import PhoneConfig
from phone.control_client import ControlClient
from phone.inbound_trunks import InboundTrunks
from phone.media import description
from phone.media.description import Key, Unacceptable
from phone.prompts import Prompts
from phone.sip.dialog import Dialog
from phone.sip.events import (
    Answered,
    Confirmed,
    Ended,
    Event,
    Invited,
    Offered,
    Pressed,
    Progress,
    Transferred,
)
from phone.sip.messages import Flow, in_uri
from phone.sip.registration import Registration
from phone.sip.sockets import SipSockets, local_address
from phone.sip.user_agent import UserAgent
from sfu.api.phone import DialOrder, DialTrunk, InboundTrunk, PhoneReport, PhoneState, TransferOrder

_log = logging.getLogger(__name__)
_RESOLVE_SECONDS = 60.0
_KEEPALIVE_SECONDS = 25.0
_ENDED_KEPT = _RESOLVED_KEPT = 200
_REASONS = {
    0: "hung_up",
    403: "refused",
    404: "no_such_number",
    408: "no_answer",
    410: "no_such_number",
    480: "no_answer",
    484: "no_such_number",
    486: "busy",
    487: "cancelled",
    488: "incompatible",
    600: "busy",
    603: "declined",
    604: "no_such_number",
}
"""The reasons that calls ended, by the status that refused them; others are `unreachable`."""


class _Way(NamedTuple):
    """The way of a call of ours: where to send it, in whose name, and with what."""

    flow: Flow
    caller: str
    callee_domain: str
    caller_domain: str
    account: Account | None
    encrypted: bool
    display_name: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class _Leg:
    """A call with its socket, its descriptions and, from `Switchboard._connect` on, its dialog."""

    dialog: Dialog

    def __init__(self, call: Call, media: MediaSocket, address: str, port: int) -> None:
        self.call, self.media = call, media
        self.address, self.port = address, port
        self.session = secrets.randbits(31)
        self.version = 0
        self.key: Key | None = None
        """The key of our latest offer."""
        self.task: asyncio.Task[None] | None = None
        self.keys = ""
        self.rings_until = 0.0
        self.is_answered = False

    def offer(self, *, encrypted: bool) -> str:
        """Return our next offer, and keep its key."""
        self.version += 1
        text, self.key = description.offer(self.address, self.port, self.session, self.version, encrypted=encrypted)
        return text

    def answer(self, stream: description.Stream) -> str:
        """Return our answer to an offered stream."""
        self.version += 1
        return description.answer(stream, self.address, self.port, self.session, self.version)


class Switchboard:
    """The calls of this process."""

    def __init__(self, config: PhoneConfig, control: ControlClient) -> None:
        self._config = config
        self._control = control
        self._prompts = Prompts(config.language, config.prompts)
        self._sockets = SipSockets(self._take_message, self._admits, self._take_loss)
        trunk = config.trunk
        self._agent = UserAgent(self._local, gate=self._gate, account=trunk.account if trunk is not None else None)
        self._gatekeeper = Gatekeeper(config.login) if config.login is not None else None
        self._inbound = InboundTrunks()
        self._resolved: dict[str, str] = {}
        """The addresses of applications' servers, by name."""
        self._registration = (
            Registration(self._agent, trunk.domain, trunk.account.user, self._trunk_flow)
            if trunk is not None and trunk.registers and trunk.account is not None
            else None
        )
        self._trunk_addresses: list[str] = []
        self._legs: dict[Dialog, _Leg] = {}
        self._ended: dict[str, PhoneState] = {}
        self._next_port = 0
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The SIP port of UDP and TCP."""
        return self._sockets.port

    async def run(self, listening: asyncio.Event) -> None:
        """Serve until cancelled, then hang up all calls. Raises OSError if a port is taken."""
        config = self._config
        certificate = ServedCertificate(config.certificate, config.private_key) if config.certificate else None
        await self._resolve()
        await self._sockets.open(
            config.host, config.port, config.tls_port, certificate.context if certificate is not None else None
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(keep_running("SIP timers", self._keep_time))
                reporting = functools.partial(keep_reporting, self._report, "calls")
                tasks.create_task(keep_running("report of calls", reporting))
                tasks.create_task(keep_running("address of the trunk", self._keep_resolving))
                if self._registration is not None:
                    tasks.create_task(keep_running("keepalives to the trunk", self._keep_open))
                if certificate is not None:
                    tasks.create_task(keep_running("certificate of SIP", certificate.run))
                listening.set()
        finally:
            await self._stop()

    async def _stop(self) -> None:
        legs = list(self._legs.values())
        await cancel_all([leg.task for leg in legs if leg.task is not None])
        for leg in legs:
            self._hang_up(leg)
        if self._registration is not None:
            self._registration.end(time.monotonic_ns())
        self._flush()
        await self._sockets.close()

    # SIP

    def _admits(self, host: str) -> bool:
        if self._config.login is not None or self._is_trusted(host) or self._inbound.admits(host):
            return True
        return any(host in (dialog.flow.host, self._resolved.get(dialog.flow.host)) for dialog in self._legs)

    def _gate(self, flow: Flow, called: str, caller: str) -> Gatekeeper | bool:
        """Decide who may call: those whom an application's trunk admits, else those whom the settings do."""
        trunk = self._inbound.match(flow.host, called, caller)
        if trunk is not None:
            return self._inbound.gate(trunk)
        return self._is_trusted(flow.host) or self._gatekeeper or False

    def _is_trusted(self, host: str) -> bool:
        trunk = self._config.trunk
        if host in self._trunk_addresses or (trunk is not None and host == trunk.host):
            return True  # a flow has the trunk's name only if we connected to it
        with contextlib.suppress(ValueError):
            address = ip_address(host)
            return any(address in network for network in self._config.allowed)
        return False

    def _local(self, flow: Flow) -> tuple[str, int]:
        trunk = self._config.trunk
        is_trunk = trunk is not None and flow.host == trunk.host and bool(self._trunk_addresses)
        host = self._trunk_addresses[0] if is_trunk else self._resolved.get(flow.host, flow.host)
        port = self._config.tls_port if flow.transport == "tls" else self.port
        try:
            address = local_address(host, flow.port)
            if port < 0:
                port = self._sockets.local_port(flow, address)
        except OSError:
            address, port = "127.0.0.1", max(port, 0)
        return self._config.address or address, port

    def _take_loss(self, flow: Flow) -> None:
        """Register again when the connection to the trunk is lost, since calls come in through it."""
        if self._registration is not None and flow == self._trunk_flow():
            self._registration.renew(time.monotonic_ns())
            self._wake.set()

    def _trunk_flow(self) -> Flow | None:
        trunk = self._config.trunk
        if trunk is None:
            return None
        if trunk.transport == "tls":  # the certificate names the host
            return Flow("tls", trunk.host, trunk.port)
        return Flow(trunk.transport, self._trunk_addresses[0], trunk.port) if self._trunk_addresses else None

    async def _keep_resolving(self) -> None:
        while True:
            await asyncio.sleep(_RESOLVE_SECONDS)
            await self._resolve()

    async def _keep_open(self) -> None:
        """Keep the way from the trunk open through a NAT, whose memory is shorter than a registration."""
        while True:
            await asyncio.sleep(_KEEPALIVE_SECONDS)
            flow = self._trunk_flow()
            if flow is not None:
                self._sockets.send(flow, b"\r\n\r\n")

    async def _resolve(self) -> None:
        """Look up the addresses of the trunk, from which calls are accepted; keep known ones if that fails."""
        trunk = self._config.trunk
        if trunk is None:
            return
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(trunk.host, trunk.port, type=socket.SOCK_DGRAM)
        except OSError as error:
            _log.warning("the trunk %s cannot be found: %s", trunk.host, describe(error))
            return
        self._trunk_addresses = list(dict.fromkeys(str(one[4][0]) for one in found))

    def _take_message(self, data: bytes, flow: Flow) -> None:
        self._agent.receive(data, flow, time.monotonic_ns())
        self._settle()
        self._wake.set()

    def _settle(self) -> None:
        """Handle what the agent tells, send what it gives, and look at its timers again."""
        while self._agent.events:
            self._handle(self._agent.events.popleft())
        self._flush()
        for reason, count in self._agent.refused.items():
            metrics.REFUSED.labels(reason).inc(count)
        self._agent.refused.clear()

    def _flush(self) -> None:
        while self._agent.output:
            self._sockets.send(*self._agent.output.popleft())

    async def _keep_time(self) -> None:
        while True:
            self._wake.clear()
            timers = [self._agent.timer(), self._registration.timer() if self._registration is not None else None]
            due = min((at for at in timers if at is not None), default=None)
            delay = 1.0 if due is None else min(max(0.005, (due - time.monotonic_ns()) / 1e9), 1.0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            now = time.monotonic_ns()
            self._agent.handle_timer(now)
            if self._registration is not None and self._config.trunk is not None:
                self._registration.handle_timer(now)
                metrics.REGISTERED.labels(self._config.trunk.host).set(self._registration.is_registered)
            self._give_up_ringing()
            self._settle()

    def _give_up_ringing(self) -> None:
        for leg in list(self._legs.values()):
            if not leg.is_answered and leg.rings_until and time.monotonic() > leg.rings_until:
                leg.call.reason = "no_answer"
                self._hang_up(leg)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Invited):
            task = asyncio.create_task(self._answer(event))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        leg = self._legs.get(event.dialog)
        if leg is None:
            return
        match event:
            case Confirmed(description=text) if text:
                self._take_answer(leg, text)
            case Progress(code=code, description=text):
                leg.call.note("ringing")
                _log.info("call %s rings (%d)", leg.call.id, code)
                if text:
                    self._take_early_answer(leg, text)
            case Answered(description=text):
                self._take_answer(leg, text)
            case Transferred(code=code):
                self._take_transfer(leg, code)
            case Offered(description=text):
                self._take_offer(leg, text)
            case Pressed(key=key):
                leg.call.press(key)
            case Ended(code=code):
                leg.call.status = code if code >= 300 else 0
                self._end(leg, _REASONS.get(code, "unreachable"))
            case _:
                pass

    # Calls that come in

    async def _answer(self, invited: Invited) -> None:
        """Answer a call, or refuse it."""
        dialog = invited.dialog
        if len(self._legs) >= self._config.calls:
            metrics.REFUSED.labels("full").inc()
            self._reject(dialog, 486)
            return
        trunk = self._inbound.match(dialog.flow.host, invited.called, invited.caller)
        needs_encryption = trunk is not None and trunk.needs_encryption
        try:
            stream = description.take_offer(invited.offer) if invited.offer else None
            if needs_encryption and stream is not None and stream.theirs is None:
                raise Unacceptable("the trunk is only for encrypted calls")
        except Unacceptable as error:
            _log.info("a call from %s is refused: %s", _shortened(invited.caller), error)
            metrics.REFUSED.labels("incompatible").inc()
            self._reject(dialog, 488)
            return
        try:
            leg = await self._open(
                dialog.flow,
                lambda media: self._call_in(media, invited, trunk, hang_up=lambda: self._hang_up(leg)),
            )
        except OSError as error:
            _log.warning("a call cannot be answered: %s", describe(error))
            self._reject(dialog, 503)
            return
        self._connect(leg, dialog)
        if stream is None:
            text = leg.offer(encrypted=self._config.encrypt or needs_encryption)
        else:
            leg.call.agree(stream)
            text = leg.answer(stream)
        self._agent.answer(dialog, text, time.monotonic_ns())
        _log.info("answered a call from %s", _shortened(invited.caller))
        if stream is not None:
            self._begin(leg)
        self._settle()

    def _reject(self, dialog: Dialog, code: int) -> None:
        self._agent.reject(dialog, code, time.monotonic_ns())
        self._settle()

    def _call_in(
        self, media: MediaSocket, invited: Invited, trunk: InboundTrunk | None, *, hang_up: Callable[[], None]
    ) -> Call:
        return Call(
            "in",
            self._config.instance,
            self._control,
            self._prompts,
            media,
            hang_up=hang_up,
            caller=invited.caller,
            inbound=Inbound(trunk.id, invited.called, invited.host) if trunk is not None else None,
            tls=self._config.tls.client if self._config.tls is not None else None,
        )

    async def _open(self, flow: Flow, make: Callable[[MediaSocket], Call]) -> _Leg:
        """Open the socket of a call, which has no dialog yet; raises OSError."""
        media = MediaSocket()
        self._next_port += 2
        port = await media.open(self._config.host, self._config.media_ports, self._next_port)
        address, _ = self._local(flow)
        return _Leg(make(media), media, address, port)

    def _connect(self, leg: _Leg, dialog: Dialog) -> None:
        leg.dialog = dialog
        self._legs[dialog] = leg
        metrics.CALLS.labels(leg.call.direction).inc()

    def _begin(self, leg: _Leg) -> None:
        if leg.task is None:
            leg.task = asyncio.create_task(leg.call.run())

    def _take_offer(self, leg: _Leg, text: str) -> None:
        """Answer an offer within a call: hold, resume, another codec or address."""
        now = time.monotonic_ns()
        if not text:
            self._agent.accept_offer(leg.dialog, leg.offer(encrypted=self._config.encrypt), now)
            return
        try:
            stream = description.take_offer(text)
        except Unacceptable as error:
            _log.info("an offer within a call is refused: %s", error)
            self._agent.refuse_offer(leg.dialog, now)
            return
        leg.call.agree(stream)
        self._agent.accept_offer(leg.dialog, leg.answer(stream), now)

    def _take_answer(self, leg: _Leg, text: str) -> None:
        """Take the answer to an offer of ours; the first one begins the call."""
        try:
            leg.call.agree(description.take_answer(text, leg.key))
        except Unacceptable as error:
            _log.info("an answer cannot be used: %s", error)
            self._agent.hang_up(leg.dialog, time.monotonic_ns())
            self._end(leg, "incompatible")
            return
        self._begin(leg)
        leg.is_answered = True
        leg.call.answered(leg.keys)

    def _take_early_answer(self, leg: _Leg, text: str) -> None:
        """Take the answer that the peer sends before the call is answered, to be heard while it rings (183)."""
        try:
            leg.call.agree(description.take_answer(text, leg.key))
        except Unacceptable as error:
            _log.info("audio before the answer cannot be used: %s", error)
            return
        self._begin(leg)

    # Calls of ours

    async def _dial(self, order: DialOrder) -> None:
        """Place a call."""
        way = await self._application_way(order.trunk) if order.trunk is not None else self._own_way()
        if way is None:
            self._ended[order.call] = PhoneState(
                phase="ended", reason="no_trunk" if order.trunk is None else "unreachable"
            )
            return
        try:
            leg = await self._open(
                way.flow, lambda media: self._call_out(media, order, hang_up=lambda: self._hang_up(leg))
            )
        except OSError as error:
            _log.warning("a call cannot be placed: %s", describe(error))
            self._ended[order.call] = PhoneState(phase="ended", reason="failed")
            return
        text = leg.offer(encrypted=way.encrypted)
        dialog = self._agent.dial(
            f"sip:{order.number}@{way.callee_domain}",
            way.flow,
            f"sip:{way.caller}@{way.caller_domain}",
            text,
            time.monotonic_ns(),
            display_name=way.display_name,
            headers=way.headers,
            account=way.account,
        )
        self._connect(leg, dialog)
        leg.keys = order.keys
        leg.rings_until = time.monotonic() + order.ring_seconds
        _log.info("call %s is placed to %s", order.call, _shortened(order.number))
        if order.joins_at_once:
            self._begin(leg)
        self._settle()

    def _call_out(self, media: MediaSocket, order: DialOrder, *, hang_up: Callable[[], None]) -> Call:
        return Call(
            "out",
            self._config.instance,
            self._control,
            self._prompts,
            media,
            hang_up=hang_up,
            call=order.call,
            dialtone=order.dialtone,
            tls=self._config.tls.client if self._config.tls is not None else None,
        )

    def _own_way(self) -> _Way | None:
        """Return the way through our own trunk."""
        trunk, flow = self._config.trunk, self._trunk_flow()
        if trunk is None or flow is None:
            return None
        caller = trunk.caller or (trunk.account.user if trunk.account is not None else "parley")
        return _Way(flow, caller, trunk.domain, trunk.domain, trunk.account, self._config.encrypt)

    async def _application_way(self, trunk: DialTrunk) -> _Way | None:
        """Return the way through an application's server; None if it cannot be found."""
        port = trunk.port or (5061 if trunk.transport == "tls" else 5060)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(trunk.host, port, type=socket.SOCK_DGRAM)
        except OSError as error:
            _log.warning("the server %s of a trunk cannot be found: %s", trunk.host, describe(error))
            return None
        address = str(found[0][4][0])
        self._resolved[trunk.host] = address
        while len(self._resolved) > _RESOLVED_KEPT:
            del self._resolved[next(iter(self._resolved))]
        domain = in_uri(trunk.host) + (f":{trunk.port}" if trunk.port else "")
        host = trunk.host if trunk.transport == "tls" else address  # the certificate names the host
        return _Way(
            Flow(trunk.transport, host, port),
            trunk.caller,
            domain,
            trunk.domain or domain,
            Account(trunk.user, trunk.password) if trunk.user else None,
            trunk.encrypted,
            trunk.display_name,
            tuple(trunk.headers.items()),
        )

    def _transfer(self, leg: _Leg, order: TransferOrder) -> None:
        if leg.call.transfer != "ongoing":
            leg.call.transfer, leg.call.transfer_status = "ongoing", 0
            self._agent.transfer(leg.dialog, order.target, tuple(order.headers.items()), time.monotonic_ns())
            self._settle()

    def _take_transfer(self, leg: _Leg, code: int) -> None:
        """Take the outcome of a transfer; a call whose telephone has reached somebody else ends here."""
        if leg.call.transfer != "ongoing":
            return
        leg.call.transfer, leg.call.transfer_status = ("done" if code < 300 else "failed"), code
        if code < 300:
            leg.call.reason = "transferred"
            self._hang_up(leg)

    # The end

    def _hang_up(self, leg: _Leg) -> None:
        """Hang up, unless the call is over."""
        if leg.dialog in self._legs:
            self._agent.hang_up(leg.dialog, time.monotonic_ns())
            self._end(leg, leg.call.reason or "ended")
            self._settle()

    def _end(self, leg: _Leg, reason: str) -> None:
        """Forget a call whose dialog is over."""
        if self._legs.pop(leg.dialog, None) is None:
            return
        call = leg.call
        call.reason, call.phase = call.reason or reason, "ended"
        if call.id:
            self._ended[call.id] = call.state()
            while len(self._ended) > _ENDED_KEPT:
                del self._ended[next(iter(self._ended))]
        metrics.CALLS.labels(call.direction).dec()
        metrics.ENDED.labels(call.direction, call.reason).inc()
        _log.info("a call has ended: %s", call.reason)
        leg.media.close()
        if leg.task is not None:
            leg.task.cancel()

    # Control

    async def _report(self) -> None:
        """Report to control, and follow its orders."""
        running = {leg.call.id: leg for leg in self._legs.values() if leg.call.id}
        told = self._ended | {call: leg.call.state() for call, leg in running.items()}
        trunk = ""
        if self._config.trunk is not None:
            trunk = self._registration.state if self._registration is not None else "ready"
        free = max(0, self._config.calls - len(self._legs))
        orders = await self._control.report(
            PhoneReport(instance=self._config.instance, free=free, calls=told, trunk=trunk)
        )
        for call, state in told.items():
            if self._ended.get(call) is state:
                del self._ended[call]
        for call, leg in running.items():
            if call not in orders.held:
                leg.call.reason = leg.call.reason or "ended"
                self._hang_up(leg)
        self._inbound.update(orders.trunks)
        for transfer in orders.transfers:
            if transfer.call in running and running[transfer.call].dialog in self._legs:
                self._transfer(running[transfer.call], transfer)
        known = {leg.call.id for leg in self._legs.values()} | self._ended.keys()
        for order in orders.dial:
            if order.call not in known:
                await self._dial(order)


def _shortened(number: str) -> str:
    """Return a number without its middle, for logs."""
    return re.sub(r"(?<=...).(?=...)", "*", number)
