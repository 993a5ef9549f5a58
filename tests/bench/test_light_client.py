"""The light client of load tests: it only counts authentic packets that came through a real sfu process."""

import asyncio
import secrets
import socket

from bench.light import plain
from bench.light.joining import Participant
from bench.light.library import LightClient
from bench.light.stage import Stage, stage
from sfu.formats.codecs import Codec

LISTENERS = 3


async def test_real_peers_receive_everything_that_is_published() -> None:
    async with stage() as here:
        await here.fill(LISTENERS)
        await here.publisher(Codec.OPUS, Codec.VP8)
        assert await here.steady(LISTENERS)
        window = await here.measure(1.0, LISTENERS)
        assert window.expected > 0
        assert window.totals.media == window.expected
        assert window.totals.unauthentic == window.totals.unexpected == 0
        assert window.totals.feedback > 0
        assert 0 < window.latency(0.5) < 1000
        assert await _events(here, "stun_") == 0


async def test_plain_receivers_with_the_wrong_key_count_nothing() -> None:
    async with stage() as here:
        publisher = await here.publisher(Codec.VP8)
        right = _plain_receiver(here, publisher.participant, wrong=False)
        wrong = _plain_receiver(here, publisher.participant, wrong=True)
        await here.perform(1.0)
        async with asyncio.timeout(20):
            while not here.client.received(right) or not here.client.totals().unauthentic:
                await here.perform(0.2)
        assert here.client.received(wrong) == 0


async def test_who_leaves_is_forgotten_and_stays_counted() -> None:
    async with stage() as here:
        publisher = await here.publisher(Codec.OPUS)
        one = Participant(here.client, here.sfu, here.room)
        await one.join()
        await here.perform(1.0)
        async with asyncio.timeout(20):
            while not here.client.received(one.peer):
                await here.perform(0.2)
        await one.leave()
        assert here.client.totals().audio > 0
        assert publisher.peer


def _plain_receiver(here: Stage, of: str, *, wrong: bool) -> int:
    suite = "AEAD_AES_128_GCM"
    key = secrets.token_bytes(plain.KEY_BYTES[suite])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as entry:
        entry.bind(("127.0.0.1", 0))
        opened = plain.open_receiver(here.sfu, here.room, of, suite=suite, key=key, port=entry.getsockname()[1])
        entry.connect((opened.address, opened.port))
        expected = bytes(len(key)) if wrong else key
        return here.client.add(entry.detach(), plain.settings(suite, receive=expected, send=key))


async def _events(here: Stage, prefix: str) -> float:
    metrics = await asyncio.to_thread(here.sfu.metrics)
    return sum(value for name, value in metrics.items() if f'event="{prefix}' in name)


def test_a_client_without_peers_ends() -> None:
    client = LightClient()
    assert client.totals().media == 0
    client.close()
