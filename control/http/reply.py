"""Reply of an endpoint before the framework makes a response of it; the direct path sends it unchanged."""

import msgspec
from quart import Response


class Reply(msgspec.Struct):
    """A status, header fields by their lower-case names, and the whole body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def response(self) -> Response:
        """Return the reply as Quart's response."""
        kind = self.headers.pop("content-type", None)
        return Response(self.body, self.status, self.headers, content_type=kind)
