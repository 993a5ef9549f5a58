"""Transport-wide feedback from engines to publishers: it contains exactly the arrivals of the packets."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.engine import available_engines, create_engine
from sfu.engine.contract import Datagram, Engine, PeerEntry, StreamEntry
from sfu.formats import rtcp, rtp
from sfu.formats.rtp import RtpPacket
from sfu.formats.transport_feedback import TICK_NS, TransportFeedback
from tests.sfu.engine.table import AUDIO, MILLISECOND, RECEIVED

SOURCE = ("10.0.0.1", 40_001)


def acknowledging(engine: Engine) -> Engine:
    engine.set_peer(PeerEntry(1, receive_extensions=RECEIVED))
    engine.set_unprotected(1)
    engine.set_address(1, SOURCE, 0)
    engine.admit_source(1, SOURCE, 0)
    engine.add_stream(StreamEntry(7, 1, 31, AUDIO))
    engine.acknowledge(1, 99)
    return engine


def come(engine: Engine, *numbered: tuple[int, int], took: Sequence[int] = ()) -> None:
    """Let packets come: transport-wide seq, arrival. Those that say when they were sent `took` that long (ns)."""
    batch = []
    for seq, (transport_seq, arrival) in enumerate(numbered):
        extensions: tuple[tuple[int, bytes], ...] = ((3, (transport_seq & 0xFFFF).to_bytes(2, "big")),)
        if seq < len(took):
            stamp = (arrival - took[seq] << 18) // 1_000_000_000 & 0xFFFFFF
            extensions += ((2, stamp.to_bytes(3, "big")),)
        packet = RtpPacket(111, seq & 0xFFFF, seq * 960, 31, b"sound", extensions=extensions)
        batch.append(Datagram(rtp.serialize(packet), SOURCE, 0, arrival))
    engine.process(batch, 0)


def told(engine: Engine, now: int) -> list[TransportFeedback]:
    messages: list[TransportFeedback] = []
    for datagram in engine.feedback(now):
        assert datagram.destination == SOURCE
        for packet in rtcp.parse(datagram.data):
            assert isinstance(packet, TransportFeedback)
            messages.append(packet)
    return messages


def test_is_due_a_while_after_the_first_packet(engine: Engine) -> None:
    acknowledging(engine)
    assert engine.next_feedback() is None
    come(engine, (10, 100 * MILLISECOND), (12, 110 * MILLISECOND))
    assert engine.next_feedback() == 150 * MILLISECOND
    assert told(engine, 149 * MILLISECOND) == []
    (message,) = told(engine, 150 * MILLISECOND)
    assert (message.sender_ssrc, message.media_ssrc, message.feedback_count) == (99, 31, 0)
    assert list(message.arrivals()) == [(10, 100 * MILLISECOND), (11, None), (12, 110 * MILLISECOND)]
    assert engine.next_feedback() is None


def test_is_due_at_once_when_much_has_come(engine: Engine) -> None:
    acknowledging(engine)
    come(engine, *((seq, seq * MILLISECOND // 10) for seq in range(200)))
    assert engine.next_feedback() == 199 * MILLISECOND // 10


def test_comes_more_rarely_where_there_is_little_time(engine: Engine) -> None:
    acknowledging(engine)
    engine.pace_feedback(4)
    come(engine, *((seq, 100 * MILLISECOND) for seq in range(300)))
    assert engine.next_feedback() == 300 * MILLISECOND
    engine.pace_feedback(1)
    come(engine, (300, 101 * MILLISECOND))
    assert engine.next_feedback() == 101 * MILLISECOND


def test_nothing_is_told_to_who_did_not_ask(engine: Engine) -> None:
    acknowledging(engine)
    engine.set_peer(PeerEntry(2, receive_extensions=RECEIVED))
    engine.remove_peer(1)
    assert engine.feedback(10**12) == []
    assert engine.next_feedback() is None


PATTERNS = st.lists(
    st.tuples(st.sampled_from([1, 1, 1, 1, 2, 3, 9, 40, 700, 2100, -1, -3, 0]), st.integers(-2, 400).map(abs)),
    min_size=1,
    max_size=700,
)


@settings(max_examples=60, deadline=None)
@given(patterns=st.lists(PATTERNS, min_size=1, max_size=3), start=st.integers(0, 0xFFFF))
def test_engines_write_the_same_and_lose_nothing(patterns: list[list[tuple[int, int]]], start: int) -> None:
    engines = [acknowledging(create_engine(name)) for name in available_engines()]
    seq, now = start, 10**15
    for pattern in patterns:
        came: dict[int, int] = {}
        numbered = []
        for ahead, wait in pattern:
            seq, now = seq + ahead, now + wait * TICK_NS // 2
            numbered.append((seq, now))
            came.setdefault(seq & 0xFFFF, now // TICK_NS * TICK_NS)
        for engine in engines:
            come(engine, *numbered)
        assert len({engine.next_feedback() for engine in engines}) == 1
        said = [engine.feedback(now + 10**9) for engine in engines]
        assert all(entry == said[0] for entry in said)
        messages = [packet for datagram in said[0] for packet in rtcp.parse(datagram.data)]
        modulus = 64 * MILLISECOND << 24
        arrivals = {
            number: arrival
            for message in messages
            if isinstance(message, TransportFeedback)
            for number, arrival in message.arrivals()
            if arrival is not None
        }
        assert {number: arrival % modulus for number, arrival in arrivals.items()} == {
            number: arrival % modulus for number, arrival in came.items()
        }


WINDOWS = st.lists(
    st.tuples(st.lists(st.integers(0, 500), max_size=8), st.integers(1, 12), st.integers(1, 12_000), st.booleans()),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(windows=WINDOWS)
def test_engines_hide_the_same_queues(windows: list[tuple[list[int], int, int, bool]]) -> None:
    engines = [acknowledging(create_engine(name)) for name in available_engines()]
    seq, now = 0, 10**15
    for delays, packets, apart, hides in windows:
        numbered = [(seq + k, now + k * apart * MILLISECOND) for k in range(packets)]
        seq, now = seq + packets, numbered[-1][1] + 60 * MILLISECOND
        for engine in engines:
            engine.hide_queue(1, hides)
            come(engine, *numbered, took=[delay * MILLISECOND for delay in delays])
        said = [engine.feedback(now) for engine in engines]
        assert all(entry == said[0] for entry in said)
        told = [engine.take_uplinks() for engine in engines]
        assert all(entry == told[0] for entry in told)


def test_a_hidden_queue_is_not_told(engine: Engine) -> None:
    acknowledging(engine)
    numbered = [(seq, 10**12 + seq * 50 * MILLISECOND) for seq in range(5)]
    shown = []
    for place, (seq, arrival) in enumerate(numbered):
        engine.hide_queue(1, place >= 2)
        come(engine, (seq, arrival), took=[(20, 60, 60, 90, 120)[place] * MILLISECOND])
        (message,) = told(engine, arrival + 50 * MILLISECOND)
        shown += [at for _, at in message.arrivals() if at is not None]
    queues = [(peer, round(window.queueing / MILLISECOND)) for peer, window in engine.take_uplinks()]
    assert queues == [(1, 40), (1, 40), (1, 70), (1, 100)]
    assert engine.take_uplinks() == []
    modulus = 64 * MILLISECOND << 24
    hidden = [(arrival - at) % modulus // MILLISECOND for (_, arrival), at in zip(numbered, shown, strict=True)]
    assert hidden == [0, 0, 0, 30, 60]
