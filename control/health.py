"""Liveness, readiness and metrics."""

import asyncio
import hmac
import ipaddress

from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from quart import Response

from control.api.types import Health
from control.auth.access import Access
from control.database import UNAVAILABLE
from control.endpoint import Call, Endpoints, answer
from control.problem import not_found
from control.services import Services
from control.store import outbox

endpoints = Endpoints("operation")
_STORE_SECONDS = 0.8  # probes wait for a second
_BACKLOG = Gauge("control_outbox_backlog", "Events that are not published yet")


@endpoints.route("GET", "/health/live", Access.PUBLIC, answer=Health)
async def get_liveness(call: Call) -> Health:
    """Answer while the process serves at all."""
    return Health(status="ok")


@endpoints.route("GET", "/health", Access.PUBLIC, answer=Health)
async def get_health(call: Call) -> Response:
    """Answer like `/health/ready`."""
    return await _readiness(call.services)


@endpoints.route("GET", "/health/ready", Access.PUBLIC, answer=Health)
async def get_readiness(call: Call) -> Response:
    """Name what is down: 503 when the database is, 200 and `degraded` for what can be done without."""
    return await _readiness(call.services)


@endpoints.route("GET", "/metrics", Access.PUBLIC, content_type="text/plain")
async def get_metrics(call: Call) -> Response:
    """Return Prometheus metrics to this machine, and to whoever holds the node secret."""
    if not _may_read_metrics(call):
        raise not_found()
    async with call.services.pool.acquire() as connection:
        _BACKLOG.set(await outbox.backlog(connection))
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)


async def _readiness(services: Services) -> Response:
    down: dict[str, str] = {}
    database = await _database(services)
    if database is not None:
        down["postgresql"] = database
    redis = await services.live.ping()
    if redis is not None:
        down["redis"] = "does not answer"
    for node in sorted(services.nodes.unreachable):
        down[node] = "does not answer"
    trouble = await services.archive.trouble(_STORE_SECONDS)
    if trouble is not None:
        down["recordings"] = trouble.detail
    results = await services.results.trouble()
    if results is not None:
        down["mongodb"] = results
    status = 503 if database is not None else 200
    return answer(Health(status="down" if database else "degraded" if down else "ok", down=down), status)


async def _database(services: Services) -> str | None:
    try:
        async with asyncio.timeout(2), services.pool.acquire() as connection:
            await connection.fetchval("SELECT 1")
    except TimeoutError:
        return "does not answer in time"
    except UNAVAILABLE:
        return "does not answer"
    return None


def _may_read_metrics(call: Call) -> bool:
    expected = f"Bearer {call.services.config.node_secret}".encode()
    given = call.request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
    if hmac.compare_digest(given, expected):
        return True
    if "X-Forwarded-For" in call.request.headers or "Forwarded" in call.request.headers:
        return False
    try:
        return ipaddress.ip_address(call.address).is_loopback
    except ValueError:
        return False
