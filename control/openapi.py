"""OpenAPI 3.1 document, generated from the declared endpoints and their types."""

import inspect
import re
from typing import Any

import msgspec

from control.auth.access import Access
from control.endpoint import Endpoint
from control.events import catalogue
from control.openapi_examples import example_of
from control.problem import ProblemDocument

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_DELIVERY_HEADERS = {
    "X-Parley-Event": "The kind",
    "X-Parley-Delivery": "The id of the delivery, the same in each attempt",
    "X-Parley-Signature": "t=<Unix seconds>,v1=<HMAC-SHA256 of `<t>.<body>` with the secret, in hex>; a second v1 with"
    " the old secret for a day after a rotation",
}
_NUMBER = {"type": "integer", "minimum": 0}
_LIMIT_HEADERS = {
    "RateLimit-Limit": "Requests that the caller may make per minute",
    "RateLimit-Remaining": "Requests that remain in this minute",
    "RateLimit-Reset": "Seconds until the minute ends",
    "Retry-After": "Seconds until a request can succeed",
}
_OF_BODIES = {413: "The body is too large", 415: "The body has an unsupported type"}
_REF = "#/components/schemas/{name}"


def document(endpoints: list[Endpoint], version: str) -> dict[str, Any]:
    """Return the document as JSON values."""
    kinds = {kind for endpoint in endpoints for kind in (endpoint.answer, endpoint.body) if kind is not None}
    kinds |= {kind for endpoint in endpoints for kind in endpoint.others.values()}
    kinds.add(ProblemDocument)
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template=_REF)
    for component in components.values():
        if component.get("type") == "object":
            component["examples"] = [example_of(component, components)]
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        path = _PARAMETER.sub(r"{\1}", endpoint.rule)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Parley", "version": version},
        "paths": paths,
        "webhooks": _webhooks(),
        "components": {
            "schemas": components,
            "headers": {name: {"description": text, "schema": _NUMBER} for name, text in _LIMIT_HEADERS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-parley-access"},
            },
        },
    }


def _webhooks() -> dict[str, Any]:
    """Return the deliveries of webhooks, by event kind."""
    headers = [
        {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
        for name, text in _DELIVERY_HEADERS.items()
    ]
    described = {}
    for name, kind in sorted((catalogue.KINDS | catalogue.ONLY_WEBHOOKS).items()):
        schema = catalogue.inlined(catalogue.event_schema(name, kind))
        operation = {
            "operationId": f"on_{name.replace('.', '_')}",
            "tags": ["events"],
            "summary": f"{name}, version {kind.version}",
            "parameters": headers,
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": {"2XX": {"description": "Received. After any other status, the delivery is retried"}},
        }
        described[name] = {"post": operation}
    return described


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    text = inspect.getdoc(endpoint.handler) or ""
    summary, _, description = text.partition("\n")
    operation: dict[str, Any] = {
        "operationId": endpoint.operation,
        "tags": [endpoint.tag],
        "summary": summary,
        "parameters": [*_path_parameters(endpoint.rule), *_query_parameters(endpoint.query)],
        "responses": {str(endpoint.status): _answer(endpoint), "default": _problem()},
    }
    for status, kind in endpoint.others.items():
        operation["responses"][str(status)] = _json("Other success", kind)
    if endpoint.redirects:
        location = {"schema": {"type": "string", "format": "uri"}}
        operation["responses"]["302"] = {"description": "Redirect to the resource", "headers": {"Location": location}}
    if description.strip():
        operation["description"] = description.strip()
    if endpoint.body is not None:
        types = ["application/json", *(["application/merge-patch+json"] if endpoint.method == "PATCH" else [])]
        content = {kind: {"schema": _ref(endpoint.body)} for kind in types}
        operation["requestBody"] = {"required": True, "content": content}
    if endpoint.takes_file:
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    if endpoint.body is not None or endpoint.takes_file:
        operation["responses"] |= {str(status): _problem(what) for status, what in _OF_BODIES.items()}
    if endpoint.query is not None or endpoint.body is not None:
        operation["responses"]["400"] = _problem("A value is invalid")
    if "<" in endpoint.rule:
        operation["responses"]["404"] = _problem("It does not exist, or the caller may not see it")
    if endpoint.access not in {Access.PUBLIC, Access.ANYONE, Access.MEETING}:
        # An API key must have the scope; routes without a scope accept no API keys.
        operation["security"] = [{"bearer": [endpoint.scope] if endpoint.scope else []}, {"session": []}]
        operation["responses"] |= {"401": _problem("Not signed in"), "403": _problem("The caller lacks the permission")}
    if endpoint.limited:
        told = {name: {"$ref": f"#/components/headers/{name}"} for name in _LIMIT_HEADERS if name != "Retry-After"}
        operation["responses"][str(endpoint.status)]["headers"] = told
        refused = _problem("Too many requests")
        refused["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
        operation["responses"]["429"] = refused
    if endpoint.tag == "older paths":
        operation["deprecated"] = True
    return operation


def _path_parameters(rule: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(rule)
    ]


def _query_parameters(query: type[msgspec.Struct] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    _, components = msgspec.json.schema_components([query], ref_template=_REF)
    schema = components[query.__name__]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": kind}
        for name, kind in schema["properties"].items()
    ]


def _answer(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.answer is not None:
        return _json("Done", endpoint.answer)
    answer: dict[str, Any] = {"description": "Done"}
    if endpoint.status != 204:
        answer["content"] = {endpoint.content_type: {}}
    return answer


def _json(text: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _ref(kind)}}}


def _problem(what: str = "Refused") -> dict[str, Any]:
    return {
        "description": what,
        "content": {"application/problem+json": {"schema": _ref(ProblemDocument)}},
    }


def _ref(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}
