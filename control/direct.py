"""Bypass of Quart for frequent reads: a GET of a fixed path that returns a Struct goes straight to its handler.

Quart's contexts, hooks and tasks cost more than the request's own work. Access, limits, ETags, problems, metrics and
traces come from the same code as on the usual path, which all other requests take.
"""

import time
from collections.abc import Iterable, MutableMapping
from typing import Any

from quart import Request
from werkzeug.datastructures import Headers

from control import endpoint, pages
from control.endpoint import Endpoint
from control.http import request_metrics, request_traces
from control.http.problem_handlers import response_to
from control.http.reply import Reply
from control.proxy.signaling import Receive, Send
from control.services import Services

_COMMON = [(name.lower().encode(), value.encode()) for name, value in pages.COMMON_HEADERS.items()]


class Direct:
    """ASGI application: serves the requests it can, and leaves the rest to `others`."""

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
            status, fields, body = await self._answer(declared, request)
            request_metrics.count("GET", declared.rule, status, began)
            request_traces.note(span, status)
            await send({"type": "http.response.start", "status": status, "headers": fields})
            await send({"type": "http.response.body", "body": body, "more_body": False})
        finally:
            request_metrics.end()
            span.leave("")

    async def _answer(self, declared: Endpoint, request: Request) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        try:
            reply = await endpoint.serve(self._services, declared, request, {})
        except Exception as error:
            reply = response_to(error)
        if isinstance(reply, Reply):
            fields = [(name.encode("latin1"), value.encode("latin1")) for name, value in reply.headers.items()]
            fields.append((b"content-length", b"%d" % len(reply.body)))
            return reply.status, fields + _COMMON, reply.body
        for name, value in pages.COMMON_HEADERS.items():
            reply.headers.setdefault(name, value)
        fields = [(name.lower().encode("latin1"), str(value).encode("latin1")) for name, value in reply.headers]
        return reply.status_code, fields, await reply.get_data(as_text=False)


class _Fields(Headers):
    """Header fields in a dict: werkzeug's scan all fields on each lookup."""

    def __init__(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        super().__init__()
        self._list = [(name.decode("latin1"), value.decode("latin1")) for name, value in fields]
        self._first: dict[str, str] = dict(reversed(self._list))

    def get(self, key: str, default: Any = None, type: Any = None) -> Any:  # type: ignore[override]  # of 4 overloads
        value = self._first.get(key.lower())
        return super().get(key, default, type) if type is not None else default if value is None else value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._first


def _request(scope: MutableMapping[str, Any]) -> Request:
    return Request(
        scope["method"],
        scope["scheme"],
        scope["path"],
        scope["query_string"],
        _Fields(scope["headers"]),
        scope.get("root_path", ""),
        scope["http_version"],
        scope,  # type: ignore[arg-type]  # a TypedDict there
        send_push_promise=_no_push,
    )


async def _no_push(path: str, headers: Headers) -> None:
    """Push nothing."""
