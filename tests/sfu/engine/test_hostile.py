"""Hostile input: an engine always returns, and counts everything that it does not forward."""

import random

import pylibsrtp
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.engine import available_engines, create_engine
from sfu.engine.contract import Datagram, Drop, Engine, StreamEntry
from tests.sfu.engine.table import AUDIO, VIDEO_VP9, Publisher, one_to_one


def tables() -> list[tuple[Engine, Publisher]]:
    entries = []
    for name in available_engines():
        engine = create_engine(name)
        publisher, subscriber = one_to_one(engine)
        engine.add_stream(StreamEntry(2, 1, 21, VIDEO_VP9, 22))
        engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
        subscriber.add_route(2)
        subscriber.add_route(3, rtx_ssrc=None, is_audio=True)
        entries.append((engine, publisher))
    return entries


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=8))
def test_arbitrary_datagrams(contents: list[bytes]) -> None:
    for engine, publisher in tables():
        batch = [Datagram(data, publisher.source, 0, 0) for data in contents]
        result = engine.process(batch, 0)
        assert len(result.leftovers) + sum(engine.drops.values()) == len(batch)


Headers = st.tuples(
    st.integers(0x80, 0xBF),  # version 2: padding, extension, CSRC count
    st.sampled_from([96, 97, 98, 99, 111, 96 | 128, 120]),
    st.integers(0, 0xFFFF),
    st.sampled_from([11, 12, 21, 22, 31, 99]),
    st.binary(max_size=120),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(Headers, min_size=1, max_size=12))
def test_arbitrary_packets_under_good_keys(headers: list[tuple[int, int, int, int, bytes]]) -> None:
    """An authenticated publisher may send anything, too."""
    for engine, publisher in tables():
        batch = []
        for first, second, seq, ssrc, rest in headers:
            data = bytes([first, second]) + seq.to_bytes(2, "big") + bytes(4) + ssrc.to_bytes(4, "big") + rest
            try:
                batch.append(Datagram(publisher.srtp.protect(data), publisher.source, 0, 0))
            except pylibsrtp.Error:  # it refuses to protect what claims more than it holds
                continue
        result = engine.process(batch, 0)
        refused = sum(engine.drops[reason] for reason in (Drop.MALFORMED, Drop.REPLAY, Drop.AUTHENTICATION))
        counted = sum(engine.progress(stream).packets for stream in (1, 2, 3))
        assert counted + len(result.leftovers) + refused <= len(batch) == engine.counters["datagrams_in"]


def test_truncation_at_every_length() -> None:
    for engine, publisher in tables():
        randoms = random.Random(3)
        whole = randoms.randbytes(90)
        for size in range(90):
            engine.process([Datagram(bytes([0x90, 96]) + whole[:size], publisher.source, 0, 0)], 0)
            engine.process([Datagram(bytes([0x80, 200]) + whole[:size], publisher.source, 0, 0)], 0)
        assert sum(engine.drops.values()) == 180


def test_oversized() -> None:
    for engine, publisher in tables():
        engine.process(
            [Datagram(bytes([0x80, second]) + bytes(3000), publisher.source, 0, 0) for second in (96, 200)], 0
        )
        assert engine.drops[Drop.MALFORMED] == 2
