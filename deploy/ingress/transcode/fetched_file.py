"""Content of a URL as a file, for FFmpeg. Ingress fetches it, since this process has no network."""

import os
import socket
from typing import Any

import msgspec

from ingress.transcode.contract import Fetch, Fetched

_MAX_ANSWER = 16 * 1024
_MAX_SKIPPED = 256 * 1024
"""The most bytes that a seek reads and discards instead of sending a new request."""


class Broker:
    """The socket (SEQPACKET) to ingress. `open` has the signature that PyAV requires of `io_open`."""

    def __init__(self, ingress: socket.socket) -> None:
        self._socket = ingress

    def open(self, url: str, flags: int, options: dict[str, Any]) -> "FetchedFile":
        """Return the content of a URL; raises OSError."""
        return FetchedFile(self, url)

    def fetch(self, url: str, offset: int) -> tuple[Fetched, int]:
        """Request content; return the response, and a descriptor to read the content from. Raises OSError."""
        self._socket.send(msgspec.json.encode(Fetch(url=url, offset=offset)))
        data, descriptors, _, _ = socket.recv_fds(self._socket, _MAX_ANSWER, 1)
        if not data:
            raise OSError("ingress has ended")
        answer = msgspec.json.decode(data, type=Fetched)
        if answer.error or not descriptors:
            raise OSError(answer.error or "nothing was fetched")
        return answer, descriptors[0]


class FetchedFile:
    """A file that can be read from the beginning, and from any offset if its server supports ranges."""

    def __init__(self, broker: Broker, url: str) -> None:
        self._broker = broker
        self._url = url
        self._at = self._wanted = 0
        self._about, self._descriptor = broker.fetch(url, 0)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end. Raises OSError if the content is incomplete."""
        if self._wanted != self._at:
            self._move()
        data = os.read(self._descriptor, size)
        self._at += len(data)
        self._wanted = self._at
        if not data and 0 <= self._at < self._about.size:
            raise OSError("the connection ended before the content was complete")
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the offset of the next read. Raises OSError if `whence` needs the size and that is unknown."""
        if whence == os.SEEK_END:
            if self._about.size < 0:
                raise OSError("the size is unknown")
            offset += self._about.size
        elif whence == os.SEEK_CUR:
            offset += self._wanted
        self._wanted = offset
        return offset

    def tell(self) -> int:
        return self._wanted

    def seekable(self) -> bool:
        return self._about.seekable

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _move(self) -> None:
        if self._wanted < self._at or self._wanted - self._at > _MAX_SKIPPED:
            self.close()
            self._about, self._descriptor = self._broker.fetch(self._url, self._wanted)
            self._at = self._wanted
            return
        while self._at < self._wanted:
            data = os.read(self._descriptor, self._wanted - self._at)
            if not data:
                return
            self._at += len(data)
