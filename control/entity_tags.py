"""ETags of JSON answers (RFC 9110, section 8.8.3): a hash of the answer as this caller sees it."""

import hashlib

import msgspec
from quart import Request, Response

from control.problem import Problem


def of(body: bytes) -> str:
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def conditional(request: Request, result: msgspec.Struct, status: int) -> Response:
    """Return the answer with its ETag, or 304 when the caller has it already."""
    body = msgspec.json.encode(result)
    tag = of(body)
    headers = {"Cache-Control": "private, no-cache", "ETag": tag}
    if status == 200 and _matches(request.headers.get("If-None-Match"), tag):
        return Response(b"", 304, headers)
    return Response(body, status, headers, content_type="application/json")


def check(request: Request, current: msgspec.Struct) -> None:
    """Raise Problem 412 when If-Match names another state than the current one."""
    given = request.headers.get("If-Match")
    if given is not None and not _matches(given, of(msgspec.json.encode(current))):
        raise Problem(412, "changed_meanwhile", "Somebody changed this meanwhile; read it again.")


def _matches(given: str | None, tag: str) -> bool:
    if given is None:
        return False
    return given.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in given.split(",")}
