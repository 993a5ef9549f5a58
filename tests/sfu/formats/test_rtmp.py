"""RTMP: whatever the form of chunks, and however they are cut, the same messages; nonsense is refused, and bounded."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import amf0
from sfu.formats.rtmp import HANDSHAKE_BYTES, ChunkReader, Kind, Message, Publisher, Refused, chunks, command

MESSAGES = st.builds(
    Message, st.sampled_from([8, 9, 18, 20]), st.integers(0, 2**32 - 1), st.integers(0, 3), st.binary(max_size=400)
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=9), inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(MESSAGES, max_size=5), st.lists(st.integers(0, 3000), max_size=8))
def test_messages_come_back_however_they_are_cut(messages: list[Message], cuts: list[int]) -> None:
    data = b"".join(chunks(message, 128) for message in messages)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    reader = ChunkReader()
    assert [one for start, end in pairwise(edges) for one in reader.feed(data[start:end])] == messages


def test_short_headers_repeat_what_was_said_before() -> None:
    reader = ChunkReader()
    first = bytes((0x04,)) + b"\0\0\x0a" + b"\0\0\2" + b"\x09" + b"\1\0\0\0" + b"ab"
    second = bytes((0x44,)) + b"\0\0\x14" + b"\0\0\1" + b"\x08" + b"c"
    third = bytes((0x84,)) + b"\0\0\x05" + b"d"
    fourth = bytes((0xC4,)) + b"e"
    assert reader.feed(first + second + third + fourth) == [
        Message(9, 10, 1, b"ab"),
        Message(8, 30, 1, b"c"),
        Message(8, 35, 1, b"d"),
        Message(8, 40, 1, b"e"),
    ]


def test_chunk_sizes_change_and_messages_are_given_up() -> None:
    reader = ChunkReader()
    size = chunks(Message(Kind.SET_CHUNK_SIZE, 0, 0, (300).to_bytes(4, "big")))
    begun = chunks(Message(Kind.VIDEO, 7, 1, bytes(500)), 300)[:200]
    assert reader.feed(size + begun) == []
    rest = chunks(Message(Kind.VIDEO, 7, 1, bytes(500)), 300)[200:312]
    abort = chunks(Message(Kind.ABORT, 0, 0, (4).to_bytes(4, "big")))
    whole = Message(Kind.AUDIO, 8, 1, b"x" * 450)
    assert reader.feed(rest + abort + chunks(whole, 300)) == [whole]


@given(st.binary(max_size=2000))
def test_nonsense_is_refused_or_waits(data: bytes) -> None:
    reader = ChunkReader()
    try:
        reader.feed(data)
    except ValueError:
        return
    assert len(reader._buffer) <= len(data)


def test_a_message_that_is_too_large_is_refused_at_its_header() -> None:
    header = bytes((4,)) + bytes(3) + b"\xff\xff\xff" + b"\x09" + bytes(4)
    with pytest.raises(ValueError, match="too large"):
        ChunkReader().feed(header)


@given(st.lists(VALUES, max_size=4))
def test_values_come_back(values: list[amf0.Value]) -> None:
    assert amf0.decode(amf0.encode(*values)) == values


@given(st.binary(max_size=300))
def test_other_bytes_are_values_or_refused(data: bytes) -> None:
    try:
        amf0.decode(data)
    except ValueError:
        return


class Server:
    """The other end, by the book."""

    def __init__(self, *, refuses: str = "") -> None:
        self.names: list[str] = []
        self.media: list[Message] = []
        self._refuses = refuses
        self._hello = b""
        self._reader: ChunkReader | None = None

    def receive(self, data: bytes) -> bytes:
        if self._reader is None:
            self._hello += data
            if len(self._hello) < 1 + HANDSHAKE_BYTES:
                return b""
            self._reader = ChunkReader()
            return b"\3" + bytes(HANDSHAKE_BYTES) + self._hello[1:]
        return b"".join(self._answer(message) for message in self._skip_echo(data))

    def _skip_echo(self, data: bytes) -> list[Message]:
        assert self._reader is not None
        rest, self._hello = (data[HANDSHAKE_BYTES:], b"") if self._hello else (data, b"")
        return self._reader.feed(rest)

    def _answer(self, message: Message) -> bytes:
        if message.kind != Kind.COMMAND:
            self.media.append(message)
            return b""
        name, number, *rest = amf0.decode(message.data)
        self.names.append(str(name))
        if name == "connect":
            assert isinstance(rest[0], dict)
            assert rest[0]["app"] == "live"
            return chunks(command("_result", number, {}, {"code": "NetConnection.Connect.Success"}), 128)
        if name == "createStream":
            return chunks(command("_result", number, None, 1))
        if name == "publish":
            assert rest[1] == "key"
            status: dict[str, amf0.Value] = {"level": "status", "code": "NetStream.Publish.Start"}
            if self._refuses:
                status = {"level": "error", "code": "NetStream.Publish.BadName", "description": self._refuses}
            return chunks(command("onStatus", 0, None, status, stream=1))
        return b""


def introduced(server: Server) -> Publisher:
    publisher = Publisher("live", "rtmp://host/live", "key")
    said = publisher.begin()
    while said:
        said = publisher.receive(server.receive(said))
    return publisher


def test_a_publisher_introduces_itself_and_sends() -> None:
    server = Server()
    publisher = introduced(server)
    assert publisher.is_publishing
    assert server.names == ["connect", "releaseStream", "FCPublish", "createStream", "publish"]
    server.receive(publisher.media(Kind.VIDEO, 5, b"picture"))
    assert server.media == [Message(Kind.VIDEO, 5, 1, b"picture")]
    server.receive(publisher.end())
    assert server.names[-2:] == ["FCUnpublish", "deleteStream"]


def test_a_refusal_says_why_in_the_servers_words() -> None:
    with pytest.raises(Refused, match="taken by somebody else"):
        introduced(Server(refuses="taken by somebody else"))
