"""Metrics of requests by route: rates, errors and durations. The label is the declared route, not the path."""

import functools
import time

from prometheus_client import Counter, Gauge, Histogram
from quart import Quart, Response, g, request

_REQUESTS = Counter("parley_control_http_requests_total", "Requests answered", ["method", "route", "status"])
_SECONDS = Histogram(
    "parley_control_http_request_seconds",
    "Time to the response head",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_OPEN = Gauge("parley_control_http_requests_open", "Requests in progress")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@functools.cache
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return _REQUESTS.labels(method, route, str(status)), _SECONDS.labels(route)


def install(app: Quart) -> None:
    """Instrument every request of the application."""

    @app.before_request
    async def note_beginning() -> None:
        g.parley_began = time.perf_counter()
        _OPEN.inc()

    @app.after_request
    async def note_answer(response: Response) -> Response:
        rule = request.url_rule
        method = request.method if request.method in METHODS else "other"
        requests, seconds = _series(method, rule.rule if rule is not None else "unknown", response.status_code)
        requests.inc()
        seconds.observe(time.perf_counter() - g.parley_began)
        return response

    @app.teardown_request
    async def note_end(_: BaseException | None) -> None:
        if g.pop("parley_began", None) is not None:
            _OPEN.dec()
