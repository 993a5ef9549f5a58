"""Datagrams on a TCP connection (RFC 4571, for ICE-TCP RFC 6544, section 3), each after two bytes of length.

No node accepts a datagram longer than MAX_FRAME_BYTES; the connection must be closed on a longer frame.
"""

MAX_FRAME_BYTES = 2048
_LENGTH_BYTES = 2


def frame(datagram: bytes) -> bytes:
    """Return the datagram as a frame; raises ValueError if it is too long."""
    if len(datagram) > MAX_FRAME_BYTES:
        raise ValueError("a datagram is too long for a frame")
    return len(datagram).to_bytes(_LENGTH_BYTES, "big") + datagram


class Deframer:
    """Assembles one connection's bytes into datagrams."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the datagrams that are now complete, without empty frames; raises ValueError if one is too long."""
        stream = self._rest + data
        datagrams = []
        at = 0
        while at + _LENGTH_BYTES <= len(stream):
            length = int.from_bytes(stream[at : at + _LENGTH_BYTES], "big")
            if length > MAX_FRAME_BYTES:
                raise ValueError("a frame is too long")
            end = at + _LENGTH_BYTES + length
            if end > len(stream):
                break
            if length:
                datagrams.append(stream[at + _LENGTH_BYTES : end])
            at = end
        self._rest = stream[at:]
        return datagrams
