"""Liveness, readiness and metrics. None of them waits for a store."""

import ipaddress

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from quart import Response

from control.api.types import Health
from control.auth.access import Access
from control.endpoint import Call, Endpoints, answer
from control.problem import not_found
from foundation.node_secret import carries_node_secret

endpoints = Endpoints("operation")


@endpoints.route("GET", "/health/live", Access.PUBLIC, answer=Health, limited=False)
async def get_liveness(call: Call) -> Health:
    """Return 200 while the process serves requests."""
    return Health(status="ok")


@endpoints.route("GET", "/health/ready", Access.PUBLIC, answer=Health, limited=False)
async def get_readiness(call: Call) -> Response:
    """Report the unusable dependencies within a second: 503 if the database is one, otherwise `degraded`."""
    standing = await call.services.readiness.look()
    return answer(Health(status=standing.status, down=standing.down), 503 if standing.status == "down" else 200)


endpoints.alias(endpoints.of(get_readiness), "GET", "/health", "get_health")


@endpoints.route("GET", "/metrics", Access.PUBLIC, content_type="text/plain")
async def get_metrics(call: Call) -> Response:
    """Return Prometheus metrics, only to this machine and to holders of the node secret."""
    if not _may_read_metrics(call):
        raise not_found()
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def _may_read_metrics(call: Call) -> bool:
    if carries_node_secret(call.request.headers.get("Authorization", ""), call.services.config.node_secret):
        return True
    if "X-Forwarded-For" in call.request.headers or "Forwarded" in call.request.headers:
        return False
    try:
        return ipaddress.ip_address(call.address).is_loopback
    except ValueError:
        return False
