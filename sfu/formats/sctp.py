"""SCTP packets (RFC 9260): checks before they are passed to an implementation of SCTP.

`parse` splits a packet into its chunks and checks every declared length, including those of parameters, gap blocks and
stream numbers. The checksum is not verified, since DTLS has authenticated the packet (RFC 8261).
"""

from typing import NamedTuple

DATA = 0
INIT = 1
INIT_ACK = 2
SACK = 3
HEARTBEAT = 4
HEARTBEAT_ACK = 5
ABORT = 6
SHUTDOWN = 7
ERROR = 9
RECONFIG = 130  # RFC 6525
FORWARD_TSN = 192  # RFC 3758

_OUTGOING_RESET = 13
_RESET_RESPONSE = 16
_ADD_OUTGOING = 17
_HEADER_BYTES = 12
_CHUNK_BYTES = 4
_INIT_BYTES = 16
_MIN_VALUE_BYTES = {DATA: 13, INIT: _INIT_BYTES, INIT_ACK: _INIT_BYTES, SACK: 12, SHUTDOWN: 4, FORWARD_TSN: 4}
_PARAMETERS_AT = {INIT: 16, INIT_ACK: 16, HEARTBEAT: 0, HEARTBEAT_ACK: 0, ABORT: 0, ERROR: 0, RECONFIG: 0}
_MIN_RECONFIG_BYTES = {_OUTGOING_RESET: 12, _RESET_RESPONSE: 8, _ADD_OUTGOING: 8}


class Chunk(NamedTuple):
    """One chunk; `value` is its content after the header, without padding."""

    kind: int
    flags: int
    value: bytes


def parse(packet: bytes) -> list[Chunk]:
    """Return the chunks of a packet; raises ValueError if a length is wrong, or if there are none."""
    if len(packet) < _HEADER_BYTES + _CHUNK_BYTES:
        raise ValueError("too short for SCTP")
    chunks = []
    start = _HEADER_BYTES
    while start < len(packet):
        length = int.from_bytes(packet[start + 2 : start + 4], "big")
        if length < _CHUNK_BYTES or start + length > len(packet):
            raise ValueError("a chunk's length is wrong")
        chunk = Chunk(packet[start], packet[start + 1], packet[start + _CHUNK_BYTES : start + length])
        _check(chunk)
        chunks.append(chunk)
        start += (length + 3) & ~3
    if len(chunks) > 1 and any(chunk.kind in (INIT, INIT_ACK) for chunk in chunks):
        raise ValueError("an INIT must be the only chunk")  # RFC 9260, section 4.3
    return chunks


def tsn(data: Chunk) -> int:
    """Return the TSN of a DATA chunk."""
    return int.from_bytes(data.value[:4], "big")


def streams(chunk: Chunk) -> list[int]:
    """Return the streams named in a DATA or FORWARD TSN chunk, or in the reset requests of a RE-CONFIG."""
    if chunk.kind == DATA:
        return [int.from_bytes(chunk.value[4:6], "big")]
    if chunk.kind == FORWARD_TSN:
        return _numbers(chunk.value, 4, 4)
    if chunk.kind == RECONFIG:
        requests = [value for kind, value in _parameters(chunk.value) if kind == _OUTGOING_RESET]
        return [stream for value in requests for stream in _numbers(value, 12, 2)]
    return []


def highest_gap(sack: Chunk) -> int:
    """Return the distance from a SACK's cumulative TSN to its highest acknowledged one, 0 without gap blocks."""
    count = int.from_bytes(sack.value[8:10], "big")
    return max(_numbers(sack.value, 14, 4)[:count], default=0) if count else 0


def _check(chunk: Chunk) -> None:
    kind, _, value = chunk
    if len(value) < _MIN_VALUE_BYTES.get(kind, 0):
        raise ValueError("a chunk is too short")
    if kind == FORWARD_TSN and len(value) % 4:
        raise ValueError("a FORWARD TSN ends within a stream")
    if kind == SACK:
        _check_sack(value)
    if kind in _PARAMETERS_AT:
        for number, parameter in _parameters(value[_PARAMETERS_AT[kind] :]):
            if kind == RECONFIG:
                _check_reconfig(number, parameter)


def _check_sack(value: bytes) -> None:
    gaps, duplicates = int.from_bytes(value[8:10], "big"), int.from_bytes(value[10:12], "big")
    if len(value) != 12 + 4 * gaps + 4 * duplicates:
        raise ValueError("a SACK's length does not match its counts")
    before = 0
    for at in range(12, 12 + 4 * gaps, 4):
        start, end = int.from_bytes(value[at : at + 2], "big"), int.from_bytes(value[at + 2 : at + 4], "big")
        if not before < start <= end:
            raise ValueError("the gaps of a SACK are not in order")
        before = end


def _check_reconfig(kind: int, value: bytes) -> None:
    if len(value) < _MIN_RECONFIG_BYTES.get(kind, 0) or (kind == _OUTGOING_RESET and len(value) % 2):
        raise ValueError("a parameter of a RE-CONFIG is too short")


def _parameters(value: bytes) -> list[tuple[int, bytes]]:
    found = []
    start = 0
    while start < len(value):
        length = int.from_bytes(value[start + 2 : start + 4], "big")
        if start + 4 > len(value) or length < 4 or start + length > len(value):
            raise ValueError("a parameter's length is wrong")
        found.append((int.from_bytes(value[start : start + 2], "big"), value[start + 4 : start + length]))
        start += (length + 3) & ~3
    return found


def _numbers(value: bytes, start: int, step: int) -> list[int]:
    """Return the 16-bit numbers at `start` and at every `step` bytes after it."""
    return [int.from_bytes(value[at : at + 2], "big") for at in range(start, len(value) - 1, step)]
