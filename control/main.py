"""The control process: opens all services and listeners, and closes them in reverse order."""

import asyncio
import functools
import gc
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from control import first_admin, internal, malloc_tuning, reconcile
from control.app import Application
from control.config import ControlConfig
from control.database_pooling import check_sessions
from control.events import relay, webhooks
from control.http import listeners, server
from control.jobs import egress_uploads, minutes, notifications
from control.jobs.file_jobs import FileJobs
from control.jobs.worker import Worker
from control.migrations import migrate
from control.placement import balancing, failover, node_memory
from control.recurring import every
from control.runtime_settings import RuntimeSettings
from control.services import Services, open_services
from control.twirp import page_progress
from control.twirp.workers import AgentDoor
from foundation.background import cancel_all, keep_running
from foundation.failures import describe
from foundation.followed_certificate import ServedCertificate

_log = logging.getLogger(__name__)
_DATABASE_WAIT_SECONDS = 30.0
_PAGES_SECONDS = 10.0
_REMIND_SECONDS = 30.0
_UPLOADS = 2
"""Files that are uploaded at the same time."""


@dataclass(slots=True)
class Addresses:
    """Bound addresses, as `host:port`, for configured ports of 0."""

    http: list[str] = field(default_factory=list)
    https: list[str] = field(default_factory=list)
    internal: str = ""


@dataclass(frozen=True, slots=True)
class _Bound:
    """Listening sockets."""

    plain: list[socket.socket]
    secure: list[socket.socket]
    private: socket.socket


async def run(
    config: ControlConfig,
    ready: Callable[[], None],
    addresses: Addresses | None = None,
    runtime: RuntimeSettings | None = None,
) -> None:
    """Serve until cancelled. `ready` is called once all listeners accept connections.

    Raises OSError if an address cannot be bound or the database does not answer, MigrationError if the database does
    not fit this release. `addresses` is filled in before `ready`. While no account exists, the one-time link for the
    first administrator is in `first-admin-link` of the data directory.
    """
    malloc_tuning.hold_threshold()
    async with AsyncExitStack() as stack:
        bound = _bind(stack, config)
        _note(addresses or Addresses(), bound)
        await _prepare_database(config)
        services = await open_services(config, runtime)
        stack.push_async_callback(services.close)
        await services.runtime.look(services.pool)
        await node_memory.recall(services)
        await _announce_first_admin(services)
        await _serve(services, bound, ready)


def _bind(stack: AsyncExitStack, config: ControlConfig) -> _Bound:
    return _Bound(
        plain=[_bound(stack, config, address) for address in config.http_binds],
        secure=[_bound(stack, config, address) for address in config.https_binds],
        private=_bound(stack, config, config.internal_bind),
    )


def _bound(stack: AsyncExitStack, config: ControlConfig, address: str) -> socket.socket:
    sock = listeners.bind(address, shared=config.share_ports)
    stack.callback(sock.close)
    return sock


def _note(addresses: Addresses, bound: _Bound) -> None:
    addresses.http = [listeners.address_of(sock) for sock in bound.plain]
    addresses.https = [listeners.address_of(sock) for sock in bound.secure]
    addresses.internal = listeners.address_of(bound.private)


async def _prepare_database(config: ControlConfig) -> None:
    """Wait for the database to answer, and migrate it if this process owns it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _DATABASE_WAIT_SECONDS
    while True:
        try:
            if not config.embedded:
                await check_sessions(config.database_dsn)
            pending = await migrate(config.database_dsn, dry_run=not config.embedded)
            break
        except (OSError, asyncpg.CannotConnectNowError) as error:
            if loop.time() > deadline:
                raise
            _log.info("waiting for the database: %s", describe(error))
            await asyncio.sleep(0.25)
    if pending and not config.embedded:
        raise OSError(f"the database lacks {len(pending)} migrations: run `parley migrate` first")


async def _announce_first_admin(services: Services) -> None:
    link = await first_admin.prepare(services.config, services.pool)
    if link is not None:
        _log.warning(
            "no account exists yet; the link for the first administrator is in %s",
            first_admin.link_file(services.config),
        )


async def _serve(services: Services, bound: _Bound, ready: Callable[[], None]) -> None:
    application = Application(services)
    stop = asyncio.Event()
    certificate = _certificate(services.config)
    servers = _servers(services, application, bound, stop, certificate)
    workers = _workers(services, application.agents)
    if certificate is not None:
        workers.append(asyncio.create_task(keep_running("certificate", certificate.run)))
    gc.freeze()  # exclude long-lived objects from garbage collection, which blocked all requests for 70 ms every second
    ready()
    try:
        # A process without a listener is useless, so it stops; a worker that fails is restarted.
        done, _ = await asyncio.wait(servers, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        raise RuntimeError("a listener stopped unexpectedly")
    finally:
        asyncio.get_running_loop().set_exception_handler(_quiet)
        application.signaling.close_all()
        application.agents.close_all()
        stop.set()
        await asyncio.wait(servers)
        await cancel_all((*servers, *workers))


def _certificate(config: ControlConfig) -> ServedCertificate | None:
    """Return the certificate of HTTPS, None without HTTPS."""
    if not config.https_binds:
        return None
    assert config.certificate is not None
    return ServedCertificate(config.certificate, config.private_key)


def _workers(services: Services, agents: AgentDoor) -> list[asyncio.Task[None]]:
    """Return the background work, by name."""
    of_files = FileJobs(services.pool, services.media, services.inference, services.images)
    for_files = Worker(services.pool, of_files.handlers(), results=services.results)
    for_minutes = Worker(services.pool, minutes.handlers(services))
    for_uploads = [
        Worker(services.pool, egress_uploads.handlers(services), ending=egress_uploads.failed) for _ in range(_UPLOADS)
    ]
    for_notifications = Worker(services.pool, notifications.handlers(services))
    places = services.places
    deliveries = webhooks.Enqueuer(services.pool)
    works: dict[str, Callable[[], Awaitable[None]]] = {
        "relay to webhooks": functools.partial(relay.run, services.config.database_dsn, places.webhooks, deliveries),
        "gauges of the database": services.gauges.run,
        "readiness": services.readiness.watch,
        "webhooks": webhooks.Deliveries(services.pool, services.outgoing, services.livekit_keys).run,
        "jobs of agents": agents.run,
        "registry": services.registry.run,
        "memory of nodes": functools.partial(node_memory.run, services),
        "failover": functools.partial(failover.run, services),
        "jobs of files": for_files.run,
        "minutes": for_minutes.run,
        "notifications": for_notifications.run,
        "reminders": functools.partial(every, _REMIND_SECONDS, functools.partial(notifications.remind, services)),
        **{f"upload {number}": worker.run for number, worker in enumerate(for_uploads, 1)},
        "web pages": functools.partial(every, _PAGES_SECONDS, functools.partial(page_progress.look, services)),
        **reconcile.works(services),
    }
    if services.config.balance_rooms:
        works["balancing"] = functools.partial(balancing.run, services)
    if places.kafka is not None and services.kafka is not None:
        to_kafka = functools.partial(relay.run, services.config.database_dsn, places.kafka, services.kafka)
        works["relay to Kafka"] = to_kafka
    return [asyncio.create_task(keep_running(name, work)) for name, work in works.items()]


def _servers(
    services: Services,
    application: Application,
    bound: _Bound,
    stop: asyncio.Event,
    certificate: ServedCertificate | None,
) -> list[asyncio.Task[None]]:
    """Return the servers of plain HTTP, HTTPS and the internal listener, whose callers are trusted."""
    config = services.config
    serve = functools.partial(server.serve, stop=stop, drain_seconds=config.drain_seconds)
    serving = [
        serve(application, bound.plain, is_gateway=config.is_gateway),
        serve(
            internal.create_app(services),
            [bound.private],
            is_gateway=lambda _: True,
            tls=None if config.tls is None else config.tls.server,
        ),
    ]
    if certificate is not None:
        serving.append(serve(application, bound.secure, is_gateway=config.is_gateway, tls=certificate.context))
    return [asyncio.create_task(one) for one in serving]


def _quiet(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report errors as usual, except for open connections that were cancelled, which Python 3.11 logs as errors."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)
