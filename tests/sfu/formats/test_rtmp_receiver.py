"""Server side of RTMP: it serves our own publisher, however bytes are split; invalid input is refused and bounded."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import amf0
from sfu.formats.rtmp import HANDSHAKE_BYTES, Kind, Message, Publisher, Refused, chunks, command
from sfu.formats.rtmp_receiver import Ended, Media, Published, Receiver

HELLO = bytes((3,)) + bytes(HANDSHAKE_BYTES) + bytes(HANDSHAKE_BYTES)


def connected(key: str = "stream_key?x=1") -> tuple[Publisher, Receiver, list[object]]:
    """Return both sides once the client has asked to publish, and the events."""
    publisher, receiver = Publisher("live", "rtmp://host/live", key), Receiver()
    to_server, events = publisher.begin(), []
    while to_server:
        events += receiver.receive(to_server)
        to_server = publisher.receive(receiver.output())
    return publisher, receiver, events


def test_a_publisher_is_accepted_and_heard_until_it_ends() -> None:
    publisher, receiver, events = connected()
    assert events == [Published("live", "stream_key")]
    assert not publisher.is_publishing
    receiver.accept()
    publisher.receive(receiver.output())
    assert publisher.is_publishing
    sent = [(Kind.VIDEO, 0xFFFFFFFF, b"v" * 9000), (Kind.AUDIO, 7, b"a")]
    data = b"".join(publisher.media(*one) for one in sent) + publisher.media(Kind.DATA, 0, amf0.encode("x"))
    assert receiver.receive(data) == [Media(*one) for one in sent]
    assert receiver.receive(publisher.end() + publisher.media(Kind.AUDIO, 9, b"late")) == [Ended()]


def test_a_refusal_says_why() -> None:
    publisher, receiver, _ = connected()
    receiver.refuse("The meeting has ended.")
    with pytest.raises(Refused, match="The meeting has ended"):
        publisher.receive(receiver.output())


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([command("connect", 1, {"app": "live"}), command("play", 2, None, "x", stream=1)], "play"),
        ([command("publish", 1, None, "key", stream=1)], "without a stream"),
        ([command("connect", 1, {})], "application"),
        ([Message(Kind.DATA, 0, 0, b"")] * 65, "before it publishes"),
    ],
)
def test_what_no_encoder_does_is_refused(messages: list[Message], reason: str) -> None:
    receiver = Receiver()
    receiver.receive(HELLO)
    with pytest.raises(ValueError, match=reason):
        receiver.receive(b"".join(map(chunks, messages)))


def test_little_is_kept_for_a_client_without_a_key() -> None:
    receiver = Receiver()
    data = HELLO + chunks(Message(Kind.DATA, 0, 0, bytes(1 << 20)), 128)
    with pytest.raises(ValueError, match="before it publishes"):
        for at in range(0, 100_000, 10_000):
            receiver.receive(data[at : at + 10_000])


COMMANDS = st.builds(
    lambda name, number, arguments: command(name, number, *arguments),
    st.sampled_from(["connect", "createStream", "publish", "FCPublish", "deleteStream", "closeStream", "x", ""]),
    st.floats(allow_nan=False) | st.none() | st.text(max_size=3),
    st.lists(st.none() | st.text(max_size=5) | st.just({"app": "live"}) | st.booleans(), max_size=3),
)
MESSAGES = st.lists(
    COMMANDS
    | st.builds(Message, st.integers(1, 22), st.integers(0, 2**32 - 1), st.integers(0, 2), st.binary(max_size=40)),
    max_size=12,
)


@given(MESSAGES, st.binary(max_size=60), st.lists(st.integers(0, 5000), max_size=6))
def test_any_client_is_served_or_refused(messages: list[Message], tail: bytes, cuts: list[int]) -> None:
    """Any bytes, however split: events in order, or a ValueError; at most one request to publish."""
    data = HELLO + b"".join(chunks(message, 128) for message in messages) + tail
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    receiver, events = Receiver(), []
    try:
        for start, end in pairwise(edges):
            events += receiver.receive(data[start:end])
            receiver.output()
    except ValueError:
        pass
    asked = [index for index, event in enumerate(events) if isinstance(event, Published)]
    assert len(asked) <= 1
    assert not events or asked == [0]
