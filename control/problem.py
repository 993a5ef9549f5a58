"""Problems: problem+json (RFC 9457) with a stable `code` that programs may rely on."""

from collections.abc import Mapping

import msgspec


class Problem(Exception):
    """Refusal of a request, raised by a handler or anything it calls.

    `detail` is a sentence for people, never a secret.
    """

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Body of every problem response."""

    type: str
    title: str
    status: int
    code: str
    detail: str


TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timed out",
    409: "Conflict",
    410: "Gone",
    412: "Precondition failed",
    413: "Too large",
    415: "Unsupported media type",
    416: "Range not satisfiable",
    422: "Invalid input",
    429: "Too many requests",
    500: "Internal error",
    502: "A server behind this one failed",
    503: "Temporarily unavailable",
    507: "Out of space",
}


def document(status: int, code: str, detail: str) -> bytes:
    """Return the encoded body of a problem."""
    title = TITLES.get(status, "Error")
    return msgspec.json.encode(
        ProblemDocument(type=f"urn:parley:problem:{code}", title=title, status=status, code=code, detail=detail)
    )


def not_found(what: str = "Not found.") -> Problem:
    return Problem(404, "not_found", what)


def forbidden(detail: str = "You are not allowed to do this.") -> Problem:
    return Problem(403, "forbidden", detail)
