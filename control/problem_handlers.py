"""Turn what handlers raise into problem+json."""

import logging

import asyncpg
from quart import Quart, Response
from werkzeug.exceptions import HTTPException

from control.problem import Problem, document

_LOG = logging.getLogger(__name__)
_CODES = {404: "not_found", 405: "method_not_allowed", 408: "timeout", 413: "too_large", 416: "range"}


def handle_problems(app: Quart) -> None:
    """Register handlers for refusals, HTTP errors of the framework, a database that is away, and bugs."""

    @app.errorhandler(Problem)
    async def refuse(problem: Problem) -> Response:
        return problem_response(problem)

    @app.errorhandler(HTTPException)
    async def http_error(error: HTTPException) -> Response:
        status = error.code or 500
        code = _CODES.get(status, "invalid_request" if status < 500 else "internal")
        return problem_response(Problem(status, code, error.description or error.name))

    async def unavailable(error: Exception) -> Response:
        _LOG.warning("the database is away: %s", error)
        return problem_response(Problem(503, "database", "The database does not answer.", {"Retry-After": "2"}))

    for kind in (
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
    ):
        app.register_error_handler(kind, unavailable)

    @app.errorhandler(Exception)
    async def bug(error: Exception) -> Response:
        _LOG.error("unhandled error", exc_info=error)
        return problem_response(Problem(500, "internal", "Something went wrong here."))


def problem_response(problem: Problem) -> Response:
    headers = {"Cache-Control": "no-store", **problem.headers}
    body = document(problem.status, problem.code, problem.detail)
    return Response(body, problem.status, headers, content_type="application/problem+json")
