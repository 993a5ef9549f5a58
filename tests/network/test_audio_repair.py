"""Sound that a browser's uplink loses is asked for again and comes: a Chromium publisher behind an emulated link."""

import asyncio
from pathlib import Path

from parley.client import Room
from sfu.rooms.ingress_stream import IngressStream
from tests.network.behind_link import MS
from tests.sfu.server.harness import Host, eventually, host
from tests.support import sdk_page
from tests.support.call import speaking
from tests.support.chromium import chromium
from tests.support.link_model import LinkSettings
from tests.support.tun_forwarder import emulated_host

LOSS = 0.1
PACKETS = 250


def sound_of(h: Host, participant: str) -> IngressStream | None:
    publish = h.node.rooms["r"].participants[participant].publish
    return next(iter(publish.streams.values()), None) if publish is not None else None


async def sent_by(page: sdk_page.Evaluates) -> tuple[int, int]:
    """Packets of sound that the page has sent for the first time, and again."""
    (row,) = await sdk_page.streams(page, "outbound-rtp")
    return row["packetsSent"] - row["retransmittedPacketsSent"], row["retransmittedPacketsSent"]


async def test_lost_sound_comes_again(tmp_path: Path) -> None:
    link = LinkSettings(delay=20 * MS)
    with emulated_host(link, link, 1) as behind:
        addresses = ("127.0.0.1", behind.server_address)
        async with (
            host(tmp_path, addresses=addresses, signaling_host="0.0.0.0") as h,
            sdk_page.sdk_site(behind.server_address) as site,
            chromium(behind.prefix) as browser,
        ):
            page = await browser.browser.new_page()
            await page.goto(site)
            url = h.signaling_url.replace("127.0.0.1", behind.server_address)
            await sdk_page.join_node(page, url, h.control.token("r", "ann"), {"tone": True})
            await eventually(lambda: (found := sound_of(h, "ann")) is not None and found.packets > 20, 20)
            behind.change(up=LinkSettings(delay=20 * MS, loss=LOSS))
            stream = sound_of(h, "ann")
            assert stream is not None
            came, (sent, _) = stream.packets, await sent_by(page)
            await eventually(lambda: stream.packets - came >= PACKETS, 30)
            behind.change(up=link)
            await asyncio.sleep(0.5)
            came, (until_now, again) = stream.packets - came, await sent_by(page)
        share = came / (until_now - sent)
        print(f"{share:.1%} of {until_now - sent} packets of sound came, {again} were sent again")
        assert again > 0
        assert share > 1 - LOSS / 3


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
            sounds = [entry for entry in subscription.egress.downtracks.values() if entry.kind == "audio"]
            await eventually(lambda: sum(entry.nacks for entry in sounds) > 0, 30)
