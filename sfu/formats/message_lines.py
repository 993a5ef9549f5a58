"""Messages on a stream of bytes: JSON texts, each ended by a line feed, which JSON never contains unescaped."""


class LineReader:
    """Gathers bytes into lines."""

    def __init__(self, limit: int) -> None:
        """Accept lines of at most `limit` bytes."""
        self._limit = limit
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are now complete, without empty ones; raises ValueError if one is too long."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if max(map(len, (*lines, self._rest))) > self._limit:
            self._rest = b""
            raise ValueError("a line is too long")
        return [line for line in lines if line]


def line(text: str) -> bytes:
    """Return a JSON text as a line."""
    return text.encode() + b"\n"
