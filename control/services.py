"""Services for handlers, opened once per process and closed in reverse order."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import aiohttp

from control.ai.results import AiResults, DatabaseResults
from control.ai.translator import Translator
from control.background import BackgroundTasks
from control.config import ControlConfig
from control.database import Pool, open_pool
from control.database_gauges import DatabaseGauges
from control.database_probe import DatabaseProbe
from control.events import outgoing
from control.events.bus import RemoteBus
from control.files.archive import Archive
from control.files.images import Images
from control.files.media_store import MediaStore
from control.http.limits import Limits
from control.identity import keys
from control.identity.oidc import OidcClient
from control.identity.passcodes import Passcodes
from control.identity.passwords import Passwords
from control.identity.sealing import Seal
from control.identity.tokens import Tokens
from control.latest import Latest
from control.live_state import LiveState
from control.livekit_keys import LiveKitKeys
from control.mail import Mailer
from control.nodes.inference_client import InferenceClient
from control.nodes.node_client import NodeClient
from control.nodes.node_socket import NodeSocket
from control.readiness import Check, Readiness
from control.registry.membership import Registry
from control.registry.opening import open_registry
from control.runtime_settings import RuntimeSettings
from control.store import event_places
from control.store.event_places import Places
from foundation.part_tls import part_connector
from objects.opening import open_recordings, open_store
from objects.threads import Objects, threads
from sfu.api.phone import InboundTrunk

_POOL_CLOSE_SECONDS = 0.3
_TASKS_CLOSE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Services:
    runtime: RuntimeSettings
    pool: Pool
    keys: keys.Keys
    tokens: Tokens
    passwords: Passwords
    passcodes: Passcodes
    live: LiveState
    limits: Limits
    http: aiohttp.ClientSession
    """For providers of identities and models."""
    parts_http: aiohttp.ClientSession
    registry: Registry
    nodes: NodeClient
    archive: Archive
    mail: Mailer
    media: MediaStore
    tasks: BackgroundTasks
    inference: InferenceClient
    results: AiResults
    translator: Translator
    oidc: dict[str, OidcClient]
    outgoing: aiohttp.ClientSession
    store_threads: ThreadPoolExecutor
    totp_seal: Seal
    broadcast_seal: Seal
    ingress_seal: Seal
    livekit_keys: LiveKitKeys
    inbound_trunks: Latest[list[InboundTrunk]]
    dispatches_changed: asyncio.Event
    """Set when a dispatch of an agent has been made or ended by this process."""
    images: Images
    probe: DatabaseProbe
    readiness: Readiness
    places: Places
    gauges: DatabaseGauges
    kafka: RemoteBus | None

    @property
    def config(self) -> ControlConfig:
        """The current configuration; the fields of live settings can change between two requests."""
        return self.runtime.config

    async def close(self) -> None:
        await self.tasks.close(_TASKS_CLOSE_SECONDS)
        await self.translator.close()
        await self.readiness.close()
        if self.kafka is not None:
            await self.kafka.close()
        self.probe.close()
        await self.nodes.close()
        await self.registry.close()
        await self.outgoing.close()
        await self.http.close()
        await self.parts_http.close()
        await self.live.close()
        await self.results.close()
        self.passwords.close()
        self.store_threads.shutdown(wait=False, cancel_futures=True)
        try:
            await asyncio.wait_for(self.pool.close(), _POOL_CLOSE_SECONDS)
        except TimeoutError:
            self.pool.terminate()


async def open_services(config: ControlConfig, runtime: RuntimeSettings | None = None) -> Services:
    """Open all services of `config`; raises OSError or asyncpg.PostgresError if the database is unreachable."""
    loaded = keys.load(config.data_dir, may_create=config.embedded)
    pool = await open_pool(config.database_dsn)
    live = LiveState(config.redis_url)
    pool_of_stores = threads()
    media, recordings = open_stores(config, pool_of_stores)
    patient = aiohttp.ClientTimeout(total=None, connect=5)
    http = aiohttp.ClientSession(timeout=patient, cookie_jar=aiohttp.DummyCookieJar())
    parts_http = aiohttp.ClientSession(
        connector=part_connector(config.tls),
        timeout=patient,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        ws_response_class=NodeSocket,
    )
    registry = open_registry(config, parts_http)
    passwords = Passwords()
    nodes = NodeClient(config, pool, parts_http, registry)
    files = MediaStore(media)
    archive = Archive(recordings, config.recordings_dir)
    results = open_results(config, pool)
    probe = DatabaseProbe(config.database_dsn)
    places = event_places.places(kafka=config.kafka is not None)
    gauges = DatabaseGauges(pool, places)
    kafka = open_kafka(config)
    return Services(
        runtime=runtime or RuntimeSettings(config),
        pool=pool,
        keys=loaded,
        tokens=Tokens(loaded),
        passwords=passwords,
        passcodes=Passcodes(passwords),
        live=live,
        limits=Limits(live),
        http=http,
        parts_http=parts_http,
        registry=registry,
        nodes=nodes,
        archive=archive,
        mail=Mailer(config.smtp, config.data_dir / "mail"),
        images=Images(),
        totp_seal=Seal(loaded.derive("totp secret")),
        broadcast_seal=Seal(loaded.derive("broadcast key")),
        ingress_seal=Seal(loaded.derive("ingress")),
        livekit_keys=LiveKitKeys(pool, config.livekit_keys, Seal(loaded.derive("livekit key"))),
        inbound_trunks=Latest(),
        dispatches_changed=asyncio.Event(),
        media=files,
        tasks=BackgroundTasks(),
        oidc={one.name: OidcClient(one, _redirect_uri(config, one.name), http) for one in config.oidc},
        inference=InferenceClient(config.inference_url, config.node_secret, parts_http),
        results=results,
        translator=Translator(config.translation_model),
        outgoing=outgoing.session(config.allow_private_webhooks),
        store_threads=pool_of_stores,
        probe=probe,
        readiness=Readiness(
            Check("postgresql", probe.ask, essential=True, logged=True),
            Check("redis", live.ping),
            Check("files", files.trouble),
            Check("recordings", archive.detail_of_trouble),
            Check("mongodb", results.trouble),
            Check("etcd", registry.trouble, logged=True),
            Check("nodes", nodes.trouble, logged=True),
            *(() if kafka is None else (Check("kafka", _of_kafka(gauges, kafka), logged=True),)),
        ),
        places=places,
        gauges=gauges,
        kafka=kafka,
    )


def open_kafka(config: ControlConfig) -> RemoteBus | None:
    """Return the bus to Kafka, None if it is not configured."""
    if config.kafka is None:
        return None
    # Imported only if configured: it is an optional extra.
    from control.events.kafka_bus import KafkaBus  # noqa: PLC0415

    return KafkaBus(config.kafka)


def _of_kafka(gauges: DatabaseGauges, bus: RemoteBus) -> Callable[[], Awaitable[str | None]]:
    """Return a check of Kafka: whether events wait for it, and whether its brokers answer."""

    async def ask() -> str | None:
        return gauges.trouble_of_kafka() or await bus.trouble()

    return ask


def open_results(config: ControlConfig, pool: Pool) -> AiResults:
    """Return the store of AI results."""
    if config.mongodb_url is None:
        return DatabaseResults(pool)
    # Imported only if configured: it is an optional extra.
    from control.ai.mongo_results import MongoResults  # noqa: PLC0415

    return MongoResults(config.mongodb_url)


def open_stores(config: ControlConfig, pool: ThreadPoolExecutor) -> tuple[Objects, Objects]:
    """Return the stores of uploaded files and of recordings."""
    media_dir = config.media_dir or config.data_dir / "media"
    spool = media_dir / ".spool"
    media = open_store(config.s3, media_dir, "media/")
    recordings = open_recordings(config.s3, config.recordings_dir, config.operator_keys)
    return Objects(media, spool, pool), Objects(recordings, spool, pool)


def _redirect_uri(config: ControlConfig, provider: str) -> str:
    return f"{config.link_origin}/api/v1/auth/oidc/{provider}/callback"
