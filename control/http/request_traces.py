"""Traces of API requests: a span for each, below the browser's span in `traceparent`."""

from quart import Quart, Request, Response, g, request

from foundation import tracing

_PREFIX = "/api/v1/"


def begin(incoming: Request, rule: str, meeting: str = "") -> tracing.Entered:
    """Begin the span of a request and make it current in this task."""
    parent = tracing.read(incoming.headers.get("traceparent", ""))
    return tracing.enter(f"{incoming.method} {rule}", parent, meeting=meeting)


def note(span: tracing.Entered, status: int) -> None:
    """Mark the span of a response with a server error."""
    if status >= 500:
        span.error = str(status)


def install(app: Quart) -> None:
    """Trace the application's requests."""

    @app.before_request
    async def note_beginning() -> None:
        if not request.path.startswith(_PREFIX):
            return
        rule = request.url_rule.rule if request.url_rule is not None else "unknown"
        g.parley_span = begin(request, rule, str((request.view_args or {}).get("meeting", "")))

    @app.after_request
    async def note_answer(response: Response) -> Response:
        if "parley_span" in g:
            note(g.parley_span, response.status_code)
        return response

    @app.teardown_request
    async def note_end(error: BaseException | None) -> None:
        span = g.pop("parley_span", None)
        if span is not None:
            span.leave(type(error).__name__ if error is not None else "")
