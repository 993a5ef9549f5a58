"""Datagrams on a TCP connection (RFC 4571, as ICE-TCP uses it: RFC 6544, section 3): two bytes of length, then as many.

No node takes a datagram longer than MAX_FRAME_BYTES: close the connection on a longer frame.
"""

MAX_FRAME_BYTES = 2048
_LENGTH_BYTES = 2


def frame(datagram: bytes) -> bytes:
    """Return the datagram as a frame; ValueError when it is too long."""
    if len(datagram) > MAX_FRAME_BYTES:
        raise ValueError("a datagram is too long for a frame")
    return len(datagram).to_bytes(_LENGTH_BYTES, "big") + datagram


class Deframer:
    """Gathers one connection's bytes into datagrams."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the datagrams that are complete now; empty frames are passed over. ValueError when one is too long."""
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
