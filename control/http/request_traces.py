"""Traces of API requests. Each request starts its own trace, which only links to the caller's (`traceparent`).

So every trace has one root, and callers do not decide what is recorded. The response names a recorded trace in
`traceresponse` (W3C Trace Context, level 2), which the gateway logs.
"""

from quart import Quart, Response, g, request

from control.http.request_metrics import METHODS
from control.identifiers import is_meeting_id
from foundation import tracing

_PREFIX = "/api/v1/"


def install(app: Quart) -> None:
    """Trace the application's requests."""

    @app.before_request
    async def note_beginning() -> None:
        if not request.path.startswith(_PREFIX):
            return
        rule = request.url_rule.rule if request.url_rule is not None else "unknown"
        meeting = str((request.view_args or {}).get("meeting", ""))
        method = request.method if request.method in METHODS else "_OTHER"
        g.parley_span = tracing.enter(
            f"{method} {rule}",
            {
                "http.request.method": method,
                "http.route": rule,
                "meeting": meeting if is_meeting_id(meeting) else "",
            },
            kind="server",
            caller=tracing.read(request.headers.get("traceparent", "")),
        )

    @app.after_request
    async def note_answer(response: Response) -> Response:
        if "parley_span" in g and g.parley_span.traceparent:
            g.parley_span.note({"http.response.status_code": response.status_code})
            response.headers["traceresponse"] = g.parley_span.traceparent
            if response.status_code >= 500:
                g.parley_span.error = str(response.status_code)
        return response

    @app.teardown_request
    async def note_end(error: BaseException | None) -> None:
        span = g.pop("parley_span", None)
        if span is not None:
            span.leave(type(error).__name__ if error is not None else "")
