"""The way of frequent reads past Quart: GET on a fixed path whose answer is a Struct goes straight to its handler.

Quart's contexts, hooks and tasks cost more than such a request's own work. What is declared holds here too: access,
limits, ETags, problems, metrics and traces come from the same code; any other request goes the usual way.
"""

import time
from collections.abc import MutableMapping
from typing import Any

from quart import Request, Response
from werkzeug.datastructures import Headers

from control import endpoint, pages, request_metrics, request_traces
from control.endpoint import Endpoint
from control.problem_handlers import response_to
from control.proxy.signaling import Receive, Send
from control.services import Services


class Direct:
    """ASGI: serves what it can, and leaves the rest to `others`."""

    def __init__(self, services: Services, endpoints: list[Endpoint], others: Any) -> None:
        self._services = services
        self._others = others
        self._rules = {
            one.rule: one
            for one in endpoints
            if one.method == "GET" and one.answer is not None and one.body is None and "<" not in one.rule
        }

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        declared = self._rules.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if declared is None:
            await self._others(scope, receive, send)
            return
        began = time.perf_counter()
        request = _request(scope)
        span = request_traces.begin(request, declared.rule)
        request_metrics.begin()
        try:
            try:
                response = await endpoint.serve(self._services, declared, request, {})
            except Exception as error:
                response = response_to(error)
            request_metrics.count("GET", declared.rule, response.status_code, began)
            request_traces.note(span, response)
            await _send(response, send)
        finally:
            request_metrics.end()
            span.leave("")


def _request(scope: MutableMapping[str, Any]) -> Request:
    headers = Headers()
    for name, value in scope["headers"]:
        headers.add(name.decode("latin1"), value.decode("latin1"))
    return Request(
        scope["method"],
        scope["scheme"],
        scope["path"],
        scope["query_string"],
        headers,
        scope.get("root_path", ""),
        scope["http_version"],
        scope,  # type: ignore[arg-type]  # a TypedDict there
        send_push_promise=_no_push,
    )


async def _no_push(path: str, headers: Headers) -> None:
    """Nothing is pushed."""


async def _send(response: Response, send: Send) -> None:
    headers = response.headers
    for name, value in pages.COMMON_HEADERS.items():
        headers.setdefault(name, value)
    body = await response.get_data(as_text=False)
    fields = [(name.lower().encode("latin1"), str(value).encode("latin1")) for name, value in headers]
    await send({"type": "http.response.start", "status": response.status_code, "headers": fields})
    await send({"type": "http.response.body", "body": body, "more_body": False})
