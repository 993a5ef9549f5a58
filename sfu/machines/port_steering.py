"""Steering of a UDP port that several workers share: a classic BPF program that selects a datagram's worker.

Linux runs it on each datagram to a group of sockets with SO_REUSEPORT (SO_ATTACH_REUSEPORT_CBPF, Linux 4.5). It needs
no privileges, and returns the worker's number in the group.

* An ICE check names the worker by the first character of our user fragment. All other datagrams are identified by their
* source. Classic BPF has no tables, so the known sources form a search tree in code: their addresses and ports, hashed
* to 32 bits and sorted, with neighbours of one worker merged into one range. Datagrams from an unknown source go to any
* worker, which hands them on or drops them.

A program has at most 4,096 instructions, two for each range. With two workers about half of the sources begin a range.
"""

import bisect
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

MAX_WORKERS = 52
MAX_INSTRUCTIONS = 4096
_SPARE = 64
"""Instructions reserved for the far jumps of a tree."""
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_INSTRUCTION = struct.Struct("=HBBI")
INSTRUCTION_BYTES = _INSTRUCTION.size
_NETWORK = -0x100000 & 0xFFFFFFFF  # SKF_NET_OFF: offsets from the IP header
_ANYWHERE = 0xFFFFFFFF
"""Not a socket's number, so the kernel selects one by its own hash."""
_MIX = 0x9E3779B1
_LD_BYTE, _LD_HALF, _LD_WORD = 0x30, 0x28, 0x20  # absolute
_LD_BYTE_X, _LD_HALF_X = 0x50, 0x48  # from X on
_LDX_HEADER = 0xB1  # X = 4 * (byte & 15)
_LDX_NUMBER, _TAX, _TXA = 0x01, 0x07, 0x87
_ADD, _ADD_X, _MUL, _AND, _SUB = 0x04, 0x0C, 0x24, 0x54, 0x14
_STORE, _LOADX_STORED = 0x02, 0x61
_JEQ, _JGT, _JGE, _JA = 0x15, 0x25, 0x35, 0x05
_RET, _RET_A = 0x06, 0x16
_COOKIE = 0x2112A442
_USERNAME = 0x0006
_ATTRIBUTES = 4
"""The number of attributes searched for the user name; browsers send it first."""

Source = tuple[str, int]
Instruction = tuple[int, int, int, int]


def mark(worker: int) -> str:
    """Return the prefix of a worker's user fragments."""
    return _LETTERS[worker]


def worker_of(ufrag: str) -> int:
    """Return the worker named by a user fragment of ours, -1 if none."""
    return _LETTERS.find(ufrag[:1]) if ufrag else -1


def key_of(source: Source) -> int:
    """Return the 32 bits by which the program identifies a source."""
    host, port = source
    address = IPv6Address(host).packed if ":" in host else IPv4Address(host).packed
    key = 0
    for word in struct.unpack(f">{len(address) // 4}I", address):
        key = (key + word) * _MIX & 0xFFFFFFFF
    return (key + port) * _MIX & 0xFFFFFFFF


def program(family: int, owners: Sequence[tuple[int, int]], limit: int = MAX_INSTRUCTIONS) -> bytes:
    """Return the instructions (struct sock_filter) for the sockets of an address family.

    `owners` maps keys of sources (`key_of`) to workers. Sources that do not fit into `limit` instructions are left out,
    beginning with the last.
    """
    head = [*_check(), *(_key_of_ipv6() if family == socket.AF_INET6 else _key_of_ipv4())]
    room = limit - len(head) - _SPARE
    count = len(owners)
    if _size(owners) > room:
        count = bisect.bisect(range(len(owners)), room, key=lambda some: _size(owners[:some])) - 1
    return b"".join(_INSTRUCTION.pack(*one) for one in [*head, *_tree(_ranges(owners[: max(count, 0)]))])


def _size(owners: Sequence[tuple[int, int]]) -> int:
    """Return the number of instructions of their tree, without its few far jumps."""
    return 2 * len(_ranges(owners)) - 1


def _check() -> list[Instruction]:
    """Return instructions that select the worker of an ICE request; anything else continues after them."""
    found: list[Instruction] = [
        (_LD_BYTE_X, 0, 0, 4),
        (_SUB, 0, 0, ord("A")),
        (_JGT, 0, 1, 25),
        (_SUB, 0, 0, ord("a") - ord("Z") - 1),
        (_RET_A, 0, 0, 0),
    ]
    step: list[Instruction] = [
        (_LD_HALF_X, 0, 0, 2),
        (_ADD, 0, 0, 3),
        (_AND, 0, 0, 0xFFFC),
        (_ADD, 0, 0, 4),
        (_ADD_X, 0, 0, 0),
        (_TAX, 0, 0, 0),
    ]
    search: list[Instruction] = []
    for number in range(_ATTRIBUTES):
        search.append((_LD_HALF_X, 0, 0, 0))
        behind = (_ATTRIBUTES - 1 - number) * (2 + len(step)) + len(step)
        search.append((_JEQ, behind + 1, 0, _USERNAME))
        search += step
    search.append((_RET, 0, 0, _ANYWHERE))
    whole = [*search, *found]
    begin: list[Instruction] = [
        (_LD_HALF, 0, 0, 0),
        (_JEQ, 0, 4, 0x0001),  # a binding request
        (_LD_WORD, 0, 0, 4),
        (_JEQ, 0, 2, _COOKIE),
        (_LDX_NUMBER, 0, 0, 20),
        (_JA, 0, 0, 1),
        (_JA, 0, 0, len(whole)),
    ]
    return [*begin, *whole]


def _key_of_ipv4() -> list[Instruction]:
    return [
        (_LDX_HEADER, 0, 0, _NETWORK),
        (_LD_WORD, 0, 0, (_NETWORK + 12) & 0xFFFFFFFF),
        (_MUL, 0, 0, _MIX),
        (_STORE, 0, 0, 0),
        (_LD_HALF_X, 0, 0, _NETWORK),
        *_mixed(),
    ]


def _key_of_ipv6() -> list[Instruction]:
    key: list[Instruction] = [(_LD_WORD, 0, 0, (_NETWORK + 8) & 0xFFFFFFFF), (_MUL, 0, 0, _MIX), (_STORE, 0, 0, 0)]
    for at in (12, 16, 20):
        key += [(_LD_WORD, 0, 0, (_NETWORK + at) & 0xFFFFFFFF), *_mixed(), (_STORE, 0, 0, 0)]
    return [*key, (_LD_HALF, 0, 0, (_NETWORK + 40) & 0xFFFFFFFF), *_mixed()]


def _mixed() -> list[Instruction]:
    """A = (A + what was stored) * _MIX."""
    return [(_LOADX_STORED, 0, 0, 0), (_ADD_X, 0, 0, 0), (_MUL, 0, 0, _MIX)]


def _ranges(owners: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the beginning and the worker of each range; the first begins at 0."""
    ranges: list[tuple[int, int]] = []
    for key, owner in sorted(owners):
        if not ranges or ranges[-1][1] != owner:
            ranges.append((key if ranges else 0, owner))
    return ranges or [(0, _ANYWHERE)]


def _tree(ranges: Sequence[tuple[int, int]]) -> list[Instruction]:
    if len(ranges) == 1:
        return [(_RET, 0, 0, ranges[0][1])]
    middle = len(ranges) // 2
    below, above = _tree(ranges[:middle]), _tree(ranges[middle:])
    if len(below) <= 255:
        return [(_JGE, len(below), 0, ranges[middle][0]), *below, *above]
    return [(_JGE, 0, 1, ranges[middle][0]), (_JA, 0, 0, len(below)), *below, *above]
