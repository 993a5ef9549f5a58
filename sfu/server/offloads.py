"""Offloads of the network cards with the node's addresses, read with ethtool's ioctl (Linux; no privileges needed).

The engine passes unsegmented runs of packets to the kernel wherever the kernel accepts them, even if the card cannot
segment: most of the cost is the way through the kernel's layers, and segmentation comes last. These readings change
nothing. They are for the log and the metrics, so that operators see which features of a card are off.
"""

import array
import fcntl
import socket
import struct
import sys
from collections.abc import Iterable, Mapping

import ifaddr

FEATURES = ("tx-udp-segmentation", "tx-checksumming", "tx-scatter-gather", "rx-gro")
_SIOCETHTOOL = 0x8946
_GET_STRINGS, _GET_SET_SIZES, _GET_FEATURES = 0x1B, 0x37, 0x3A  # linux/ethtool.h
_SET_OF_FEATURES = 4
_NAME_BYTES = 32
_REQUEST = struct.Struct("@16sP16x")  # struct ifreq with a pointer
_SIZES = struct.Struct("@IIQI")
_STRINGS = struct.Struct("@III")
_HEAD = struct.Struct("@II")
_BLOCK = struct.Struct("@IIII")  # available, requested, active, never changed


def of_addresses(addresses: Iterable[str]) -> dict[str, dict[str, bool]]:
    """Return which of FEATURES are on, by interface; interfaces without this information are left out."""
    wanted = set(addresses)
    found = {}
    for adapter in ifaddr.get_adapters():
        own = {entry.ip if isinstance(entry.ip, str) else entry.ip[0] for entry in adapter.ips}
        if own & wanted:
            features = of_interface(adapter.name)
            if features:
                found[adapter.name] = {name: features[name] for name in FEATURES if name in features}
    return found


def of_interface(name: str) -> dict[str, bool]:
    """Return all features of an interface by ethtool's names; none if the system does not report them.

    `tx-checksumming` stands for any of the cards' checksum features.
    """
    if not sys.platform.startswith("linux"):
        return {}
    try:
        names = _names(name)
        blocks = -(-len(names) // 32)
        answer = _ask(name, _HEAD.pack(_GET_FEATURES, blocks) + bytes(_BLOCK.size * blocks))
    except OSError:
        return {}
    active = [_BLOCK.unpack_from(answer, _HEAD.size + _BLOCK.size * block)[2] for block in range(blocks)]
    features = {text: bool(active[number // 32] >> number % 32 & 1) for number, text in enumerate(names) if text}
    features["tx-checksumming"] = any(on for text, on in features.items() if text.startswith("tx-checksum-ip"))
    return features


def switched_off(offloads: Mapping[str, Mapping[str, bool]]) -> str:
    """Return the FEATURES that are off, by interface, as text for the log; "" if all are on."""
    rows = ((name, [row for row in FEATURES if not features.get(row, False)]) for name, features in offloads.items())
    return "; ".join(f"{name}: {', '.join(off)}" for name, off in rows if off)


def _names(interface: str) -> list[str]:
    sizes = _ask(interface, _SIZES.pack(_GET_SET_SIZES, 0, 1 << _SET_OF_FEATURES, 0))
    count = _SIZES.unpack_from(sizes)[3]
    answer = _ask(interface, _STRINGS.pack(_GET_STRINGS, _SET_OF_FEATURES, count) + bytes(_NAME_BYTES * count))
    begins = range(_STRINGS.size, _STRINGS.size + _NAME_BYTES * count, _NAME_BYTES)
    return [answer[at : at + _NAME_BYTES].split(b"\0")[0].decode(errors="replace") for at in begins]


def _ask(interface: str, request: bytes) -> bytes:
    buffer = array.array("B", request)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as entry:
        fcntl.ioctl(entry, _SIOCETHTOOL, _REQUEST.pack(interface.encode()[:15], buffer.buffer_info()[0]))
    return buffer.tobytes()
