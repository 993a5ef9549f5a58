"""Traces of API requests: a span for each, below the browser's span in `traceparent`."""

from quart import Quart, Response, g, request

from foundation import tracing

_PREFIX = "/api/v1/"


def install(app: Quart) -> None:
    """Trace the application's requests."""

    @app.before_request
    async def note_beginning() -> None:
        if not request.path.startswith(_PREFIX):
            return
        rule = request.url_rule.rule if request.url_rule is not None else "unknown"
        parent = tracing.read(request.headers.get("traceparent", ""))
        meeting = str((request.view_args or {}).get("meeting", ""))
        g.parley_span = tracing.enter(f"{request.method} {rule}", parent, meeting=meeting)

    @app.after_request
    async def note_answer(response: Response) -> Response:
        if "parley_span" in g and response.status_code >= 500:
            g.parley_span.error = str(response.status_code)
        return response

    @app.teardown_request
    async def note_end(error: BaseException | None) -> None:
        span = g.pop("parley_span", None)
        if span is not None:
            span.leave(type(error).__name__ if error is not None else "")
