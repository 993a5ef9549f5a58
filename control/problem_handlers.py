"""Turn what handlers raise into problem+json."""

import logging

import asyncpg
from quart import Quart, Response
from werkzeug.exceptions import HTTPException

from control.problem import Problem, document
from sfu.api.failures import describe

_LOG = logging.getLogger(__name__)
_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.DeadlockDetectedError,
    FileNotFoundError,  # its Unix socket
    ConnectionError,
    TimeoutError,
)
_CODES = {404: "not_found", 405: "method_not_allowed", 408: "timeout", 413: "too_large", 416: "range"}


def handle_problems(app: Quart) -> None:
    """Register handlers for refusals, HTTP errors of the framework, a database that is away, and bugs."""

    async def respond(error: Exception) -> Response:
        return response_to(error)

    for kind in (Problem, HTTPException, *_AWAY, Exception):
        app.register_error_handler(kind, respond)


def response_to(error: Exception) -> Response:
    """Return what the handlers make of an error."""
    if isinstance(error, Problem):
        return problem_response(error)
    if isinstance(error, HTTPException):
        return _of_framework(error)
    if isinstance(error, _AWAY):
        return _unavailable(error)
    return _bug(error)


def _of_framework(error: HTTPException) -> Response:
    status = error.code or 500
    code = _CODES.get(status, "invalid_request" if status < 500 else "internal")
    said = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    return problem_response(Problem(status, code, error.description or error.name, said))


def _unavailable(error: Exception) -> Response:
    _LOG.warning("the database is away: %s", describe(error))
    return problem_response(Problem(503, "database", "The database does not answer.", {"Retry-After": "2"}))


def _bug(error: Exception) -> Response:
    _LOG.error("unhandled error", exc_info=error)
    return problem_response(Problem(500, "internal", "Something went wrong here."))


def problem_response(problem: Problem) -> Response:
    headers = {"Cache-Control": "no-store", **problem.headers}
    body = document(problem.status, problem.code, problem.detail)
    return Response(body, problem.status, headers, content_type="application/problem+json")
