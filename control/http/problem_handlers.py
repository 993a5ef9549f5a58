"""Error responses: everything that handlers raise becomes problem+json."""

import logging

from quart import Quart, Response
from werkzeug.exceptions import HTTPException

from control import database_outage
from control.database import UNAVAILABLE
from control.files.space import is_no_space, no_space
from control.problem import Problem, document
from foundation.failures import describe

_log = logging.getLogger(__name__)
# The framework's own sentences are for people who typed a URL.
_FRAMEWORK_ERRORS = {
    404: ("not_found", "There is no such path."),
    405: ("method_not_allowed", "This path does not allow the method."),
    408: ("timeout", "The request took too long to arrive."),
    413: ("too_large", "The request is too large."),
    416: ("range", "The file does not have this range."),
}


def handle_problems(app: Quart) -> None:
    """Register handlers for problems, HTTP errors of the framework, a full disk, an unreachable database, and bugs."""

    async def respond(error: Exception) -> Response:
        return response_to(error)

    for kind in (Problem, HTTPException, *UNAVAILABLE, Exception):
        app.register_error_handler(kind, respond)


def response_to(error: Exception) -> Response:
    """Return the handlers' response to an error."""
    if isinstance(error, Problem):
        return problem_response(error)
    if isinstance(error, HTTPException):
        return _of_framework(error)
    if is_no_space(error):
        _log.warning("no disk space left: %s", describe(error))
        return problem_response(no_space())
    if isinstance(error, UNAVAILABLE):
        return _unavailable(error)
    return _bug(error)


def _of_framework(error: HTTPException) -> Response:
    status = error.code or 500
    otherwise = ("invalid_request" if status < 500 else "internal", error.description or error.name)
    code, detail = _FRAMEWORK_ERRORS.get(status, otherwise)
    said = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    return problem_response(Problem(status, code, detail, said))


def _unavailable(error: Exception) -> Response:
    database_outage.note(error)
    return problem_response(Problem(503, "database", "The database is not answering.", {"Retry-After": "2"}))


def _bug(error: Exception) -> Response:
    _log.error("unhandled error", exc_info=error)
    return problem_response(Problem(500, "internal", "An internal error occurred."))


def problem_response(problem: Problem) -> Response:
    headers = {"Cache-Control": "no-store", **problem.headers}
    body = document(problem.status, problem.code, problem.detail)
    return Response(body, problem.status, headers, content_type="application/problem+json")
