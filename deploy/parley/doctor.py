"""Checks of a machine and its configured stores, as the parts would use them. They change nothing."""

import asyncio
import resource
import secrets
import shutil
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import aiohttp
import asyncpg
import redis.asyncio as redis
from cryptography import x509

from control.database_pooling import check_sessions
from foundation.etcd import Etcd
from foundation.failures import describe
from foundation.hot_settings import LIVE_SETTINGS_PREFIX, etcd_config
from foundation.settings import Settings, SettingsError
from objects.opening import open_store
from parley import part_configs
from parley.network import port_in_use
from sfu.formats import stun
from sfu.formats.ntp import NTP_UNIX_SECONDS

Weight = Literal["ok", "note", "bad"]
_STORE_SECONDS = 5.0
_DISK_BYTES = 5 * 1024**3
_BUFFER_BYTES = 2 * 1024**2
_DESCRIPTORS = 4096
_CERTIFICATE_DAYS = 14
_CLOCK_SECONDS = 2.0
_POSTGRESQL = 150_000


class Finding(NamedTuple):
    """The result of a check: its weight, its subject and a sentence."""

    weight: Weight
    what: str
    said: str


async def look(settings: Settings, stun_server: str | None = None, ntp_server: str | None = None) -> list[Finding]:
    """Return all findings. External STUN and NTP servers are asked only if they are given."""
    try:
        check_settings(settings)
    except SettingsError as error:
        return [Finding("bad", "settings", str(error))]
    found = [Finding("ok", "settings", "all parts accept them")]
    for check in (_certificate, _disk, _limits, _ports):
        found += check(settings)
    found += [*await _names(settings), *await _stores(settings)]
    if stun_server is not None:
        found.append(await _seen_from_outside(settings, stun_server))
    if ntp_server is not None:
        found.append(await _clock(ntp_server))
    return found


def check_settings(settings: Settings) -> None:
    """Convert the settings for all parts, as their start does; raises SettingsError."""
    # `parley up` creates these if they are missing.
    made: dict[str, object] = {} if settings["tls_certificate"] else {"https_port": -1}
    made |= {} if settings["node_secret"] else {"node_secret": "x" * 32}
    part_configs.check(settings.replaced(**made))


async def _names(settings: Settings) -> list[Finding]:
    """Check the names to which browsers send media, and TURN servers."""
    found = []
    loop = asyncio.get_running_loop()
    for host in settings["public_hosts"]:
        try:
            answers = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        except OSError as error:
            found.append(Finding("bad", f"public_hosts: {host}", f"does not resolve: {describe(error)}"))
        else:
            addresses = sorted({str(answer[4][0]) for answer in answers})
            found.append(Finding("ok", f"public_hosts: {host}", ", ".join(addresses)))
    for url in settings["turn_urls"]:
        scheme, _, rest = url.partition(":")
        host, _, port = rest.partition("?")[0].rpartition(":")
        if "transport=udp" in url:
            continue
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                tls = ssl.create_default_context() if scheme == "turns" else None
                _, writer = await asyncio.open_connection(host, int(port), ssl=tls)
            writer.close()
            found.append(Finding("ok", url, "accepts connections"))
        except (OSError, ValueError) as error:
            found.append(Finding("bad", url, describe(error)))
    return found


def _certificate(settings: Settings) -> list[Finding]:
    path: Path | None = settings["tls_certificate"]
    if path is None:
        return [Finding("note", "certificate", "none configured: the gateway must have one, or browsers warn")]
    made = x509.load_pem_x509_certificate(path.read_bytes())
    left = (made.not_valid_after_utc - datetime.now(UTC)).days
    weight: Weight = "ok" if left >= _CERTIFICATE_DAYS else "bad"
    return [Finding(weight, "certificate", f"{path}: {left} days left")]


def _disk(settings: Settings) -> list[Finding]:
    found = []
    for name in ("data_dir", "recordings_dir"):
        place: Path = settings[name]
        there = next(one for one in (place, *place.parents) if one.exists())
        free = shutil.disk_usage(there).free
        weight: Weight = "ok" if free >= _DISK_BYTES else "bad"
        found.append(Finding(weight, name, f"{place}: {free / 1024**3:.1f} GiB free"))
    return found


def _limits(_: Settings) -> list[Finding]:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    found = [Finding("ok" if hard >= _DESCRIPTORS else "bad", "descriptors", f"at most {hard} (LimitNOFILE, ulimits)")]
    for name in ("rmem_max", "wmem_max"):
        with suppress(OSError, ValueError):
            size = int(Path("/proc/sys/net/core", name).read_text())
            weight: Weight = "ok" if size >= _BUFFER_BYTES else "note"
            found.append(Finding(weight, f"net.core.{name}", f"{size} bytes; bursts need {_BUFFER_BYTES}"))
    return found


def _ports(settings: Settings) -> list[Finding]:
    """Check the ports that `parley up` would bind; a running server uses them already."""
    found = []
    for name, kind in (
        ("http_port", socket.SOCK_STREAM),
        ("https_port", socket.SOCK_STREAM),
        ("sfu_udp_port", socket.SOCK_DGRAM),
    ):
        if settings[name] > 0 and port_in_use("", settings[name], kind):
            found.append(Finding("note", name, f"{settings[name]} is in use, perhaps by this server"))
    return found


async def _stores(settings: Settings) -> list[Finding]:
    asked = [("PostgreSQL", settings["database_url"], _postgresql), ("Redis", settings["redis_url"], _redis)]
    asked += [("etcd", settings["etcd_urls"], _etcd), ("Kafka", settings["kafka_brokers"], _kafka)]
    asked += [("MongoDB", settings["mongodb_url"], _mongodb), ("mail", settings["smtp_host"], _mail)]
    asked += [("object store", settings["s3_endpoint"], _objects), ("control", settings["control_url"], _control)]

    async def ask(name: str, work: Callable[[Settings], Awaitable[str]]) -> Finding:
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                return Finding("ok", name, await work(settings))
        except Exception as error:  # any error that a client raises is a finding
            return Finding("bad", name, describe(error))

    return list(await asyncio.gather(*(ask(name, work) for name, value, work in asked if value)))


async def _postgresql(settings: Settings) -> str:
    await check_sessions(settings["database_url"])
    connection = await asyncpg.connect(settings["database_url"])
    try:
        number = int(await connection.fetchval("SHOW server_version_num"))
        if number < _POSTGRESQL:
            raise OSError(f"version {number // 10000} is older than 15")
        if not await connection.fetchval("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'"):
            raise OSError("pg_trgm is missing: install PostgreSQL's contrib package")
        if not await connection.fetchval("SELECT has_database_privilege(current_database(), 'CREATE')"):
            raise OSError("this account is not allowed to create tables")
        if await connection.fetchval("SELECT pg_is_in_recovery()"):
            raise OSError("this is a standby")
        ahead = abs(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8") - time.time())
        if ahead > _CLOCK_SECONDS:
            raise OSError(f"its clock differs by {ahead:.0f} s")
        return f"version {number // 10000}"
    finally:
        await connection.close()


async def _redis(settings: Settings) -> str:
    client = redis.from_url(settings["redis_url"])
    try:
        await client.ping()
    finally:
        await client.aclose()
    return "answers"


async def _etcd(settings: Settings) -> str:
    config = etcd_config(settings)
    assert config is not None
    etcd = Etcd(config)
    try:
        found = await etcd.under(LIVE_SETTINGS_PREFIX)
    finally:
        await etcd.close()
    if found.stale:
        raise OSError("it has no quorum")
    return "answers"


async def _kafka(settings: Settings) -> str:
    # Imported only if it is configured, because it is an extra.
    from control.events.kafka_producers import Producers  # noqa: PLC0415

    access = part_configs.kafka_access(settings)
    assert access is not None
    producers = Producers(access)
    try:
        await producers.current()
    finally:
        await producers.close()
    return "accepts this account"


async def _mongodb(settings: Settings) -> str:
    # Imported only if it is configured, because it is an extra.
    from control.ai.mongo_results import MongoResults  # noqa: PLC0415

    results = MongoResults(settings["mongodb_url"])
    try:
        if (trouble := await results.trouble()) is not None:
            raise OSError(trouble)
    finally:
        await results.close()
    return "accepts this account"


async def _objects(settings: Settings) -> str:
    store = open_store(part_configs.s3_config(settings), settings["recordings_dir"], "recordings/")
    await asyncio.to_thread(store.check)
    return "stores, returns and deletes an object"


async def _mail(settings: Settings) -> str:
    _, writer = await asyncio.open_connection(settings["smtp_host"], settings["smtp_port"])
    writer.close()
    return "accepts connections"


async def _control(settings: Settings) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{settings['control_url']}/internal/v1/nodes") as answer,
    ):
        if answer.status not in (200, 401, 404):
            raise OSError(f"answers {answer.status}")
    return "answers"


async def _seen_from_outside(settings: Settings, server: str) -> Finding:
    """Ask a STUN server from the media port, or from another port if that is in use."""
    host, _, port = server.rpartition(":")
    transaction = secrets.token_bytes(12)
    request = struct.pack("!HHI12s", stun.BINDING, 0, 0x2112A442, transaction)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock, suppress(OSError):
        sock.setblocking(False)
        with suppress(OSError):
            sock.bind(("", settings["sfu_udp_port"]))
        loop = asyncio.get_running_loop()
        async for answer in _answers(loop, sock, request, (socket.gethostbyname(host), int(port))):
            message = stun.parse(answer)
            if message.transaction_id == transaction and message.xor_mapped_address is not None:
                return _judged(settings, str(message.xor_mapped_address[0]))
    return Finding(
        "bad", "UDP outside", f"{server} does not answer: UDP does not leave this machine, or replies do not return"
    )


def _judged(settings: Settings, address: str) -> Finding:
    public = set()
    for name in settings["public_hosts"]:
        with suppress(OSError):
            public |= {str(answer[4][0]) for answer in socket.getaddrinfo(name, None)}
    if address in public:
        return Finding("ok", "UDP outside", f"seen as {address}, which is announced to browsers")
    return Finding("bad", "UDP outside", f"seen as {address}, which is not in public_hosts")


async def _answers(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, request: bytes, server: tuple[str, int]
) -> AsyncIterator[bytes]:
    for _ in range(3):
        await loop.sock_sendto(sock, request, server)
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                yield await loop.sock_recv(sock, 1500)


async def _clock(server: str) -> Finding:
    """Ask an NTP server (RFC 5905) once."""
    loop = asyncio.get_running_loop()
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sock:
            sock.setblocking(False)
            async for answer in _answers(loop, sock, b"\x1b" + bytes(47), (socket.gethostbyname(server), 123)):
                seconds, fraction = struct.unpack("!II", answer[40:48])
                ahead = time.time() - (seconds - NTP_UNIX_SECONDS + fraction / 2**32)
                weight: Weight = "ok" if abs(ahead) < _CLOCK_SECONDS else "bad"
                return Finding(weight, "clock", f"{ahead:+.2f} s against {server}")
    except (OSError, struct.error) as error:
        return Finding("note", "clock", f"{server}: {describe(error)}")
    return Finding("note", "clock", f"{server} does not answer")
