"""Sound lost on a browser's uplink is repaired: a Chromium publisher behind an emulated link."""

import asyncio
from pathlib import Path
from typing import Any

from parley_client import Room
from sfu.formats.codecs import Codec
from sfu.peers.publish.ingress_stream import IngressStream
from tests.network.behind_link import MS
from tests.sfu.server.harness import Host, host
from tests.support import sdk_page
from tests.support.bidi import firefox
from tests.support.call import speaking
from tests.support.chromium import LOOPBACK_FLAG, chromium
from tests.support.link_model import LinkSettings
from tests.support.tun_forwarder import emulated_host
from tests.support.waiting import eventually

LOSS = 0.1
PACKETS = 250


def sound_of(h: Host, participant: str) -> IngressStream | None:
    publish = h.node.rooms["r"].participants[participant].publish
    return next(iter(publish.streams.values()), None) if publish is not None else None


async def sent_by(page: sdk_page.Evaluates) -> tuple[int, int]:
    """Packets of sound that the page has sent for the first time, and again."""
    (row,) = await sdk_page.streams(page, "outbound-rtp")
    return row["packetsSent"] - row["retransmittedPacketsSent"], row["retransmittedPacketsSent"]


async def sound_in(page: sdk_page.Evaluates) -> dict[str, Any]:
    """The sound that the page hears."""
    rows = await sdk_page.streams(page)
    return next((row for row in rows if row["kind"] == "audio" and row["packetsReceived"]), {})


async def test_lost_sound_comes_in_later_packets_or_again(tmp_path: Path) -> None:
    """Losses are filled from RED, the rest by NACK; who listens gets plain Opus."""
    link = LinkSettings(delay=20 * MS)
    with emulated_host(link, link, 1) as behind:
        addresses = ("127.0.0.1", behind.server_address)
        async with (
            host(tmp_path, addresses=addresses, signaling_host="0.0.0.0") as h,
            sdk_page.sdk_site(behind.server_address) as site,
            chromium(behind.prefix) as browser,
            chromium(flags=[LOOPBACK_FLAG]) as listening,
            firefox(behind.prefix) as frida,
        ):
            url = h.signaling_url.replace("127.0.0.1", behind.server_address)
            page, bob = await browser.browser.new_page(), await listening.browser.new_page()
            await page.goto(site)
            await bob.goto(site)
            await frida.navigate(site)
            await sdk_page.join_node(bob, url, h.control.token("r", "bob"))
            await sdk_page.join_node(frida, url, h.control.token("r", "frida"))
            await sdk_page.join_node(page, url, h.control.token("r", "ann"), {"tone": True})
            await eventually(lambda: (found := sound_of(h, "ann")) is not None and found.packets > 20, 30)
            (uptrack,) = h.node.rooms["r"].uptracks.values()
            assert next(iter(uptrack.media.payloads.values())).codec is Codec.RED
            behind.change(up=LinkSettings(delay=20 * MS, loss=LOSS))
            stream = sound_of(h, "ann")
            assert stream is not None
            heard = [await sound_in(listener) for listener in (bob, frida)]
            came, (sent, _) = stream.packets, await sent_by(page)
            await eventually(lambda: stream.packets - came >= PACKETS, 30)
            behind.change(up=link)
            await asyncio.sleep(0.5)
            came, (until_now, again) = stream.packets - came, await sent_by(page)
            recovered = h.node.context.engine.counters["recovered"]
            now_heard = [await sound_in(listener) for listener in (bob, frida)]
        # Padding, which audio without RTX carries too, is not sent again: only audible packets count.
        print(f"{came} of {until_now - sent} packets came, {recovered} in later ones, {again} were sent again")
        assert recovered > 0
        for before, after in zip(heard, now_heard, strict=True):
            assert after["codec"] == "audio/opus"
            samples = after["totalSamplesReceived"] - before.get("totalSamplesReceived", 0)
            lost = concealed(after) - concealed(before)
            print(f"{lost / samples:.2%} of {samples} samples concealed")
            assert samples > PACKETS * 960 / 2
            assert lost / samples < LOSS / 3


def concealed(row: dict[str, Any]) -> int:
    """Samples that were made up where there should have been sound."""
    return int(row.get("concealedSamples", 0)) - int(row.get("silentConcealedSamples", 0))


async def test_a_viewer_asks_for_sound_that_it_lost(tmp_path: Path) -> None:
    link = LinkSettings(delay=20 * MS)
    with emulated_host(LinkSettings(delay=20 * MS, loss=LOSS), link, 1) as behind:
        addresses = ("127.0.0.1", behind.server_address)
        async with (
            host(tmp_path, addresses=addresses, signaling_host="0.0.0.0") as h,
            sdk_page.sdk_site(behind.server_address) as site,
            chromium(behind.prefix) as browser,
            Room(h.signaling_url, token=h.control.token("r", "ann")) as ann,
            speaking(ann),
        ):
            page = await browser.browser.new_page()
            await page.goto(site)
            url = h.signaling_url.replace("127.0.0.1", behind.server_address)
            await sdk_page.join_node(page, url, h.control.token("r", "bob"))
            subscription = h.node.rooms["r"].participants["bob"].subscription
            assert subscription is not None
            sounds = [entry for entry in subscription.subscribe_peer.downtracks.values() if entry.kind == "audio"]
            await eventually(lambda: sum(entry.nacks for entry in sounds) > 0, 30)
