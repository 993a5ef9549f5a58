"""Requests by route, as rates, errors and durations; the route is the declared rule, never the path that was asked."""

import time

from prometheus_client import Counter, Gauge, Histogram
from quart import Quart, Response, g, request

_REQUESTS = Counter("control_http_requests_total", "Requests answered", ["method", "route", "status"])
_SECONDS = Histogram(
    "control_http_request_seconds",
    "Time to the answer's head",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_OPEN = Gauge("control_http_requests_open", "Requests under way")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def install(app: Quart) -> None:
    """Count every request of the application."""

    @app.before_request
    async def begin() -> None:
        g.parley_began = time.perf_counter()
        _OPEN.inc()

    @app.after_request
    async def count(response: Response) -> Response:
        rule = request.url_rule
        route = rule.rule if rule is not None else "unknown"
        method = request.method if request.method in _METHODS else "other"
        _REQUESTS.labels(method, route, str(response.status_code)).inc()
        began = g.get("parley_began")
        if began is not None:
            _SECONDS.labels(route).observe(time.perf_counter() - began)
        return response

    @app.teardown_request
    async def end(_: BaseException | None) -> None:
        if g.pop("parley_began", None) is not None:
            _OPEN.dec()
