"""The sfu as one coroutine: `run` serves until it is cancelled."""

import asyncio
import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiohttp import web
from prometheus_client import REGISTRY, CollectorRegistry

from foundation.background import cancel_all, keep_running
from foundation.etcd import Etcd, EtcdConfig
from sfu.api.fact_reporter import FactReporter
from sfu.api.facts import AnyFact
from sfu.engine import create_engine, engine_notice
from sfu.engine.pump import Pump
from sfu.engine.send_side_observer import SendSideObserver
from sfu.engine.sockets import Sockets
from sfu.machines.dtls.certificate import generate_certificate
from sfu.machines.ice.lite import lite_candidates
from sfu.peers.context import Context, Limits
from sfu.peers.shared_port import MAX_HANDED, SharedPort
from sfu.rooms.admission import Admission
from sfu.rooms.node import Node
from sfu.server import offloads, presence_api
from sfu.server.addresses import local_addresses, resolve
from sfu.server.cascade_links import CascadeLinks
from sfu.server.config import SfuConfig
from sfu.server.control_client import ControlClient
from sfu.server.desired_puller import DesiredPuller
from sfu.server.driver import Driver
from sfu.server.extra_listeners import ExtraListeners
from sfu.server.first_state import FirstState
from sfu.server.flight_files import FlightFiles
from sfu.server.garbage import search_now_and_then, sparing_survivors
from sfu.server.http_api import HttpApi
from sfu.server.key_ring import KeyRing
from sfu.server.load_meter import LoadMeter
from sfu.server.metrics import NodeMetrics
from sfu.server.plain_sockets import FarEnds, PlainSockets
from sfu.server.port_link import PortLink
from sfu.server.presence import Presence
from sfu.server.quality_metrics import QualityMetrics
from sfu.server.registration import Registration
from sfu.server.remote_calls import RemoteCallsApi
from sfu.server.signaling_server import SignalingServer
from sfu.server.sink_server import SinkServer
from sfu.server.standalone_api import StandaloneApi
from sfu.server.transcoder import Transcoder
from sfu.server.transports_api import TransportsApi

FAREWELL_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Tuning:
    """Settings that can change while a node runs; before that, they are its initial values."""

    def __init__(self) -> None:
        self._participants: int | None = None
        self._context: Context | None = None

    def serve(self, context: Context) -> None:
        """Note that a node with this context has started."""
        self._context = context
        if self._participants is not None:
            self.limit_participants(self._participants)

    def limit_participants(self, count: int) -> None:
        """Set the maximum number of participants in a room; nobody is removed. Raises ValueError below one."""
        if count < 1:
            raise ValueError("a room must allow at least one participant")
        self._participants = count
        if self._context is not None:
            self._context.limits = dataclasses.replace(self._context.limits, participants=count)


async def run(config: SfuConfig, ready: Callable[[], None], tuning: Tuning | None = None) -> None:
    """Serve UDP, signaling, HTTP and sinks; call `ready` once all of them answer, and return after cancellation.

    Raises OSError if a port or the sink socket cannot be bound.
    """
    server = SfuServer(config)
    try:
        await server.start()
        if tuning is not None and server.driver is not None:
            tuning.serve(server.driver.node.context)
        with sparing_survivors():
            ready()
            await server.serve()
    finally:
        try:
            await server.drain()
        finally:
            await server.stop()


class SfuServer:
    """One sfu process with all its parts. Its ports are known after `start`."""

    def __init__(self, config: SfuConfig) -> None:
        self._config = config
        self._control = ControlClient(config.control_url, config.node_secret, config.tls)
        self.presence = Presence(config, self._control)
        self._fact_outcomes: Counter[str] = Counter()
        self._facts = FactReporter(
            config.control_url,
            config.node_secret,
            config.node,
            count=self._count_facts,
            boot=self.presence.boot,
            tls=config.tls,
        )
        self._registration: Registration | None = None
        self._keys = KeyRing(Admission(), self._control)
        self._tasks: list[asyncio.Task[None]] = []
        self._sockets: Sockets | None = None
        self._listeners: ExtraListeners | None = None
        self._signaling: SignalingServer | None = None
        self._sinks: SinkServer | None = None
        self._first_state: FirstState | None = None
        self._links: CascadeLinks | None = None
        self._port_link: PortLink | None = None
        self._runner: web.AppRunner | None = None
        self.driver: Driver | None = None
        self.transcoder: Transcoder | None = None
        self._stopped = False
        self.udp_port = 0
        self.signaling_port = 0
        self.http_port = 0

    async def start(self) -> None:
        """Bind everything and start serving; raises OSError if something cannot be bound."""
        config = self._config
        public = await resolve(config.public_addresses)
        share = config.port_share
        inherited = share.sockets if share is not None else ()
        sockets = self._sockets = Sockets(config.addresses or local_addresses(), config.udp_port, inherited)
        self.udp_port = sockets.port
        listeners = self._listeners = ExtraListeners(config, sockets.addresses)
        driver, pump = self._compose(sockets, listeners, public)
        self.driver = driver
        plain = PlainSockets(driver, sockets, public, config.plain_ports)
        transports = TransportsApi(driver, plain, FarEnds(config.plain_networks))
        links = self._links = CascadeLinks(driver, plain, config.node, config.node_secret, config.tls)
        driver.to_links = links.send
        states = self._first_state = FirstState(driver.node, self._control)
        signaling = self._signaling = SignalingServer(
            driver, self._keys, (config.node, self.presence.boot), states, self._control
        )
        standalone = StandaloneApi(driver, self._keys, states)
        quality = QualityMetrics(driver.node)
        registry = self._registry(driver, pump, quality, signaling, standalone)
        http = HttpApi(
            driver, standalone, registry, quality, config.node_secret, transports=transports, links=links, states=states
        )
        presence_api.add_to(http, self.presence)
        http.add_private("POST", "/node/v1/rooms/{room}/calls", RemoteCallsApi(driver).serve)
        puller = DesiredPuller(driver, self._control, config.desired_state_seconds)
        driver.to_sessions = signaling.deliver
        driver.to_facts = self._report
        driver.to_opened = (puller.opened, links.opened)
        self._open_sinks(driver)
        self._share_port(driver)
        self.signaling_port = await signaling.start(
            config.signaling_host, config.signaling_port, None if config.tls is None else config.tls.server
        )
        self.http_port = await self._start_http(http.app)
        for work in await listeners.open(driver.node.context, signaling.attend):
            self._spawn("certificate of WebTransport", work)
        self.presence.webtransport = listeners.webtransport_endpoint
        load = LoadMeter(driver.node, pump, driver.overload)
        self.presence.serve(driver, load.read, self.signaling_port, self.http_port)
        driver.start()
        self._spawn("facts", self._facts.run)
        self._spawn("states of new rooms", puller.run_opened)
        self._spawn("states of all rooms", puller.run_periodic)
        self._spawn("keys", self._keys.pull_first)
        self._spawn("garbage", lambda: search_now_and_then(driver.is_calm))
        if config.etcd is not None:
            self._register(config.etcd)
        http.ready = lambda: self._registration is None or self._registration.has_begun

    def _report(self, facts: Iterable[AnyFact]) -> None:
        if self._signaling is not None:
            self._signaling.attendances.take(facts)
        for fact in facts:
            self._facts.report(fact)

    def _count_facts(self, outcome: str, number: int) -> None:
        self._fact_outcomes[outcome] += number

    def _registry(
        self,
        driver: Driver,
        pump: Pump,
        quality: QualityMetrics,
        signaling: SignalingServer,
        standalone: StandaloneApi,
    ) -> CollectorRegistry:
        """Return the figures for /metrics, of the node and of the process."""
        registry = CollectorRegistry()
        node = NodeMetrics(
            driver,
            pump,
            quality,
            signaling=signaling,
            standalone=standalone,
            facts=self._facts,
            fact_outcomes=self._fact_outcomes,
            offloads=self._offloads(),
        )
        registry.register(node)
        registry.register(REGISTRY)
        return registry

    def _offloads(self) -> Mapping[str, Mapping[str, bool]]:
        """Return and log the offloads of the network cards with the node's addresses."""
        addresses = [host for host, _ in self._sockets.addresses] if self._sockets is not None else []
        found = offloads.of_addresses(addresses)
        if off := offloads.switched_off(found):
            _log.info("network offloads that are off: %s", off)
        return found

    def _open_sinks(self, driver: Driver) -> None:
        """Serve sinks, convert audio, and keep dumps of flight recorders, as configured."""
        config = self._config
        if config.sink_socket is not None:
            self._sinks = SinkServer(driver)
            self._sinks.start(config.sink_socket)
            driver.to_sinks = self._sinks.flush
        if config.transcode_sound:
            transcoder = self.transcoder = Transcoder(driver)
            driver.to_transcoder = transcoder.flush
            driver.node.transcoding.is_on = True
            self._spawn("transcoder", transcoder.run)
        if config.flight_dir is not None:
            flights = FlightFiles(config.flight_dir)
            driver.to_flights = flights.put
            self._spawn("flight recorders", flights.run)

    def _share_port(self, driver: Driver) -> None:
        """Exchange announcements of paths with the other workers on a shared port."""
        share, context = self._config.port_share, driver.node.context
        if share is not None and context.shared_port is not None:
            link = self._port_link = PortLink(share, context.shared_port, context, driver)
            driver.to_workers = link.flush
            self._spawn("shared port", link.run)

    def _compose(self, sockets: Sockets, listeners: ExtraListeners, public: tuple[str, ...]) -> tuple[Driver, Pump]:
        config = self._config
        announced = [(address, sockets.port) for address in public]
        engine = create_engine(config.engine)
        _log.info("%s", engine_notice(engine))
        context = Context(
            engine,
            generate_certificate(),
            lite_candidates(sockets.addresses, announced) + listeners.candidates(public),
            node=config.node,
            reached_from=listeners.far_ends,
            unix_offset=time.time_ns() - time.monotonic_ns(),
            observer=engine if config.estimate_bandwidth and isinstance(engine, SendSideObserver) else None,
            limits=Limits(
                audio_slots=config.audio_slots,
                participants=config.max_participants,
                transports=config.max_transports,
                resume_ns=int(config.resume_seconds * 1e9),
            ),
        )
        if config.port_share is not None:
            context.shared_port = SharedPort(config.port_share.worker, context.drops)
            engine.leave_strays(MAX_HANDED)
        pump = Pump(engine, sockets)
        return Driver(Node(context), pump, sockets), pump

    def _register(self, etcd: EtcdConfig) -> None:
        self._registration = Registration(Etcd(etcd), etcd.lease_seconds, self.presence.record)
        self.presence.changed = self._registration.changed
        self._spawn("registration", self._registration.run)

    async def _start_http(self, app: web.Application) -> int:
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        tls = self._config.tls
        site = web.TCPSite(
            self._runner,
            self._config.http_host,
            self._config.http_port,
            ssl_context=None if tls is None else tls.lenient_server,
        )
        await site.start()
        return int(self._runner.addresses[0][1])

    def _spawn(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(keep_running(name, work)))

    async def serve(self) -> None:
        """Run until cancelled."""
        await asyncio.Event().wait()

    async def drain(self) -> None:
        """Wait for meetings to end, or hand them over, as configured; another cancellation ends the wait."""
        if self._config.drain_seconds is not None and self.driver is not None:
            await self.presence.hand_over(self._config.drain_seconds)

    async def stop(self) -> None:
        """Close the sessions of clients and sinks, deliver the last facts, and close everything; once."""
        if self._stopped:
            return
        self._stopped = True
        await self.presence.close()
        if self._registration is not None:
            await self._registration.end()
        if self.driver is not None:
            # Without draining, the entire machine stops; else other nodes will soon take the remaining rooms.
            self.driver.node.shut_down(self.driver.now(), back_soon=self._config.drain_seconds is not None)
            self.driver.flush()
        if self._signaling is not None and self._listeners is not None:
            await asyncio.gather(self._signaling.stop(), self._listeners.close_signaling())
        if self._runner is not None:
            await self._runner.cleanup()
        if self._first_state is not None:
            await self._first_state.stop()
        if self._sinks is not None:
            self._sinks.stop()
        if self._links is not None:
            await self._links.stop()
        if self.driver is not None:
            await self._facts.drained(FAREWELL_SECONDS)
            self.driver.stop()
        await cancel_all(self._tasks)
        self._close_media()
        await self._control.close()

    def _close_media(self) -> None:
        if self._listeners is not None:
            self._listeners.close_media()
        for media in (self._port_link, self._sockets):
            if media is not None:
                media.close()
