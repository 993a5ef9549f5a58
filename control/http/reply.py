"""What an endpoint answers, before a framework makes a response of it: the direct way sends it as it is."""

import msgspec
from quart import Response


class Reply(msgspec.Struct):
    """A status, header fields by their lower-case names, and the whole body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def response(self) -> Response:
        """Return it for Quart."""
        kind = self.headers.pop("content-type", None)
        return Response(self.body, self.status, self.headers, content_type=kind)
