"""Record of a viewer's layer by server, publisher and viewer, for a test that failed."""

import time
from collections.abc import Iterator

from sfu.peers.subscribe.downtrack import DownTrack
from sfu.rooms.node import Node
from tests.support import sdk_page

_SENT = (
    "rid",
    "active",
    "frameWidth",
    "frameHeight",
    "framesPerSecond",
    "framesEncoded",
    "targetBitrate",
    "qualityLimitationReason",
    "encoderImplementation",
    "totalEncodeTime",
    "pliCount",
)
_RECEIVED = ("frameHeight", "framesPerSecond", "framesReceived", "framesDecoded", "keyFramesDecoded", "packetsLost")


async def account(node: Node, publisher: sdk_page.Evaluates, viewer: sdk_page.Evaluates) -> str:
    """Describe every video of the room `r`: each incoming layer, the grants for bob, the counters of both pages."""
    lines = [*_of_server(node)]
    for page, direction, told in ((publisher, "outbound-rtp", _SENT), (viewer, "inbound-rtp", _RECEIVED)):
        for row in await sdk_page.streams(page, direction):
            if row["kind"] == "video":
                lines.append(f"{direction} {row['codec']}: " + ", ".join(f"{key} {row.get(key)}" for key in told))
    return "\n".join(dict.fromkeys(lines))


def _of_server(node: Node) -> Iterator[str]:
    now = time.monotonic_ns()
    room = node.rooms["r"]
    for uptrack in room.published():
        for stream in () if uptrack.is_audio else uptrack.streams:
            yield (
                f"in {stream.rid}: {'active' if stream.active(now) else 'not active'}, stalled {stream.stalled}, "
                f"{stream.bits_per_second:.0f} b/s, cost {stream.cost:.0f}, {stream.pixels} pixels, "
                f"{stream.lines} lines, last packet {(now - stream.last_arrival) / 1e6:.0f} ms ago, "
                f"{stream.plis_sent} PLIs sent"
            )
    subscription = room.participants["bob"].subscription
    if subscription is None:
        return
    if (link := subscription.subscribe_peer.bandwidth) is not None:
        yield f"link: estimate {link.rate:.0f}, wanted {link.wanted:.0f}, queue {link.queueing / 1e6:.0f} ms"
    yield from (_of_slot(slot) for slot in subscription.subscribe_peer.downtracks.values() if slot.kind == "video")


def _of_slot(slot: DownTrack) -> str:
    rid = slot.stream.rid if slot.stream is not None else None
    granted = slot.granted.rid if slot.granted is not None else None
    return (
        f"out {slot.mid}: wanted {slot.wanted.width}x{slot.wanted.height}, granted {granted}, "
        f"carries {rid}, waiting {slot.waiting}, paused {slot.paused}"
    )
