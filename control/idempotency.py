"""Idempotency-Key: a POST repeated with the same key and body gets the first response, without further effect."""

import hashlib
from collections.abc import Awaitable, Callable

from quart import Request, Response

from control.problem import Problem
from control.services import Services
from control.store import idempotency

HEADER = "Idempotency-Key"
_MAX_ANSWER = 64 * 1024


async def once(services: Services, request: Request, user: str, work: Callable[[], Awaitable[Response]]) -> Response:
    """Run `work` unless this account's key was used; raises Problem 409 or 422. Errors are not stored."""
    key = request.headers[HEADER]
    if not 1 <= len(key) <= 200 or not key.isascii() or not key.isprintable():
        raise Problem(400, "invalid_request", "An Idempotency-Key has 1 to 200 printable characters.")
    body = await request.get_data()
    assert isinstance(body, bytes)
    request_hash = hashlib.sha256(f"{request.method} {request.full_path}\n".encode() + body).digest()
    async with services.pool.acquire() as connection:
        kept = await idempotency.claim(connection, user, key, request_hash)
    if kept is not None:
        if kept.request_hash != request_hash:
            raise Problem(422, "idempotency_key", "This key was used for another request.")
        if kept.status is None or kept.answer is None:
            raise Problem(
                409, "in_progress", "The first request with this key is still in progress.", {"Retry-After": "1"}
            )
        headers = {"Cache-Control": "no-store", "Idempotent-Replay": "true"}
        return Response(kept.answer, kept.status, headers, content_type="application/json")
    try:
        response = await work()
        answer = await response.get_data(as_text=False)
    except BaseException:
        async with services.pool.acquire() as connection:
            await idempotency.release(connection, user, key)
        raise
    async with services.pool.acquire() as connection:
        if response.status_code < 300 and len(answer) <= _MAX_ANSWER:
            await idempotency.keep(connection, user, key, response.status_code, answer)
        else:
            await idempotency.release(connection, user, key)
    return response
