"""Our own viewer behind an emulated link: it reports exactly what arrived, and is light enough for many runs."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfu.api.join_token import Grants
from sfu.peers.subscribe.subscribe_peer import SubscribePeer
from tests.network.behind_link import UP
from tests.sfu.server.harness import Host, host
from tests.support.crowd import crowd
from tests.support.far_client import far_client
from tests.support.link_model import LinkSettings
from tests.support.tun_forwarder import EmulatedHost, emulated_host
from tests.support.waiting import eventually


@dataclass
class FarCall:
    """Call in which Bob, or another client of ours, watches Ann. `rows` are his observations, ten times a second."""

    h: Host
    link: EmulatedHost
    rows: list[dict[str, Any]]
    viewer: str
    estimates: list[tuple[float, float]] = field(default_factory=list)
    queueing: list[tuple[float, float]] = field(default_factory=list)
    layers: str = ""

    @property
    def shows_pictures(self) -> bool:
        return bool(self.rows) and self.rows[-1]["pictures"] > 0

    @property
    def subscribe_peer(self) -> SubscribePeer | None:
        bob = self.h.node.rooms["r"].participants.get(self.viewer)
        return bob.subscription.subscribe_peer if bob is not None and bob.subscription is not None else None

    @property
    def rate(self) -> float:
        """Return the estimate, or the assumed rate if there is none."""
        subscribe_peer = self.subscribe_peer
        return (
            subscribe_peer.bandwidth.rate
            if subscribe_peer is not None and subscribe_peer.bandwidth is not None
            else 20e6
        )

    @property
    def carried(self) -> str:
        """Return the rid that is being sent, or "-" for none."""
        subscribe_peer = self.subscribe_peer
        streams = (
            [entry.stream for entry in subscribe_peer.downtracks.values() if entry.kind == "video"]
            if subscribe_peer
            else []
        )
        return next((stream.rid for stream in streams if stream is not None), "-")

    async def watch(self, seconds: float) -> None:
        """Record estimate, layer and queue, ten times a second."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            self.estimates.append((now, self.rate))
            self.layers += self.carried
            self.queueing.append((now, await asyncio.to_thread(self.link.queueing)))
            await asyncio.sleep(0.1)

    def longest_gap(self, since: float) -> float:
        """Return the longest time, in seconds, without a complete picture."""
        return max((row["longest"] for row in self.rows if row["at"] - row["longest"] >= since), default=float("inf"))

    def between(self, since: float, until: float, name: str) -> float:
        """Return the growth of a count per second."""
        rows = [row for row in self.rows if since <= row["at"] <= until]
        return float((rows[-1][name] - rows[0][name]) / (rows[-1]["at"] - rows[0]["at"])) if len(rows) > 1 else 0.0


@asynccontextmanager
async def far_call(
    tmp_path: Path,
    settings: LinkSettings,
    seed: int,
    *,
    up: LinkSettings = UP,
    **changes: Any,
) -> AsyncIterator[FarCall]:
    """Yield a call once pictures flow. `changes` apply to the server's configuration."""
    async with far_calls(tmp_path, settings, seed, ["bob"], up=up, **changes) as (call,):
        yield call


@asynccontextmanager
async def far_calls(
    tmp_path: Path,
    settings: LinkSettings,
    seed: int,
    viewers: Sequence[str],
    *,
    up: LinkSettings = UP,
    **changes: Any,
) -> AsyncIterator[list[FarCall]]:
    """Yield a call of each viewer behind one link, all in one room, once pictures flow to all."""
    with emulated_host(settings, up, seed) as link:
        addresses = ("127.0.0.1", link.server_address)
        async with (
            host(tmp_path, addresses=addresses, signaling_host="0.0.0.0", **changes) as h,
            crowd(h.signaling_url, [h.control.token("r", "ann", grants=Grants(subscribe=False))]),
            AsyncExitStack() as stack,
        ):
            url = h.signaling_url.replace("127.0.0.1", link.server_address)
            calls = []
            for viewer in viewers:
                rows = await stack.enter_async_context(far_client(link.prefix, url, h.control.token("r", viewer)))
                calls.append(FarCall(h, link, rows, viewer))
                await eventually(lambda: calls[-1].shows_pictures, 30)
            yield calls
