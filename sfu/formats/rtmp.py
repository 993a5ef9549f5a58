"""RTMP (Adobe's Real Time Messaging Protocol, 1.0): handshake, chunks, and the machine of who publishes. Without I/O.

Chunks are written with full headers only; all kinds are read. Media stay in the form of FLV's tags (sfu.formats.flv).
"""

import secrets
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from sfu.formats import amf0
from sfu.formats.amf0 import Value

VERSION = 3
HANDSHAKE_BYTES = 1536
_DEFAULT_CHUNK = 128
_OWN_CHUNK = 60_000
_MAX_CHUNK = 1 << 24
MAX_MESSAGE = 8 << 20
_MAX_WAITING = 16 << 20
"""The bound on all messages of which only a part has come."""
_MAX_STREAMS = 64
_EXTENDED = 0xFFFFFF
_COMMANDS, _MEDIA = 3, 4
"""The chunk streams that are written; 2 is that of control messages."""
_CONTROL = 2
_HEADERS = (11, 7, 3, 0)


class Kind(IntEnum):
    SET_CHUNK_SIZE = 1
    ABORT = 2
    ACKNOWLEDGEMENT = 3
    USER_CONTROL = 4
    WINDOW_SIZE = 5
    SET_PEER_BANDWIDTH = 6
    AUDIO = 8
    VIDEO = 9
    DATA = 18
    COMMAND = 20


class Message(NamedTuple):
    """A message; `timestamp` is in ms, modulo 2**32. `stream` is 0 for messages about the connection."""

    kind: int
    timestamp: int
    stream: int
    data: bytes


@dataclass(slots=True)
class _ChunkStream:
    """The header of a chunk stream's last message, and what has come of the one that is arriving."""

    kind: int
    length: int
    timestamp: int
    stream: int
    delta: int = 0
    extended: bool = False
    data: bytearray | None = None


class _Header(NamedTuple):
    size: int
    form: int
    stream: int


class ChunkReader:
    """Puts messages together from chunks. Raises ValueError for what is no RTMP, or too large."""

    def __init__(self) -> None:
        self._chunk = _DEFAULT_CHUNK
        self._buffer = bytearray()
        self._streams: dict[int, _ChunkStream] = {}

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes; return the messages that are complete. Those about chunks are obeyed, and not returned."""
        self._buffer += data
        messages = []
        at = 0
        while (end := self._chunk_end(at)) is not None:
            message = self._take(at, end)
            at = end
            if message is None:
                continue
            if message.kind == Kind.SET_CHUNK_SIZE:
                self._chunk = self._size(message.data)
            elif message.kind == Kind.ABORT:
                self._abort(int.from_bytes(message.data[:4], "big"))
            else:
                messages.append(message)
        del self._buffer[:at]
        return messages

    def _size(self, data: bytes) -> int:
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 or not 0 < size <= _MAX_CHUNK:
            raise ValueError("RTMP chunk size is out of range")
        return size

    def _abort(self, stream: int) -> None:
        if stream in self._streams:
            self._streams[stream].data = None

    def _basic(self, at: int) -> _Header | None:
        """Return the length of a basic header, the form of the message header, and the chunk stream."""
        if len(self._buffer) <= at:
            return None
        first = self._buffer[at]
        low = first & 0x3F
        size = {0: 2, 1: 3}.get(low, 1)
        if len(self._buffer) < at + size:
            return None
        further = int.from_bytes(self._buffer[at + 1 : at + size], "little")
        return _Header(size, first >> 6, 64 + further if size > 1 else low)

    def _chunk_end(self, at: int) -> int | None:
        """Return where the chunk at `at` ends, None if it has not arrived yet."""
        basic = self._basic(at)
        if basic is None:
            return None
        known = self._streams.get(basic.stream)
        fixed = at + basic.size
        after = fixed + _HEADERS[basic.form]
        if len(self._buffer) < after:
            return None
        if basic.form < 3:
            extended = int.from_bytes(self._buffer[fixed : fixed + 3], "big") == _EXTENDED
        elif known is None:
            raise ValueError("RTMP chunk without a header before it")
        else:
            extended = known.extended
        length = int.from_bytes(self._buffer[fixed + 3 : fixed + 6], "big") if basic.form < 2 else -1
        if length < 0:
            if known is None:
                raise ValueError("RTMP chunk without a header before it")
            length = known.length
        if length > MAX_MESSAGE:
            raise ValueError("RTMP message is too large")
        come = len(known.data) if known is not None and known.data is not None and basic.form == 3 else 0
        end = after + (4 if extended else 0) + min(self._chunk, length - come)
        return end if len(self._buffer) >= end else None

    def _take(self, at: int, end: int) -> Message | None:
        """Take one chunk; return the message that it completes."""
        basic = self._basic(at)
        assert basic is not None
        at += basic.size
        header = bytes(self._buffer[at : at + _HEADERS[basic.form]])
        at += len(header)
        stream = self._streams.get(basic.stream)
        if basic.form < 3:
            stream = self._begin(basic, stream, header)
        assert stream is not None
        given = int.from_bytes(header[:3], "big") if header else -1
        if stream.extended:
            given, at = int.from_bytes(self._buffer[at : at + 4], "big"), at + 4
        if stream.data is None:
            self._stamp(stream, basic.form, given)
            stream.data = bytearray()
        stream.data += self._buffer[at:end]
        if len(stream.data) < stream.length:
            if sum(len(one.data) for one in self._streams.values() if one.data is not None) > _MAX_WAITING:
                raise ValueError("RTMP messages that are not complete are too large")
            return None
        data, stream.data = bytes(stream.data), None
        return Message(stream.kind, stream.timestamp, stream.stream, data)

    def _begin(self, basic: _Header, stream: _ChunkStream | None, header: bytes) -> _ChunkStream:
        """Return the chunk stream with a new message's header."""
        extended = int.from_bytes(header[:3], "big") == _EXTENDED
        length, kind = int.from_bytes(header[3:6], "big"), header[6] if basic.form < 2 else 0
        if stream is None:
            if basic.form == 2 or len(self._streams) >= _MAX_STREAMS:
                raise ValueError("RTMP has too many chunk streams, or a chunk without a header before it")
            stream = self._streams[basic.stream] = _ChunkStream(kind, length, 0, 0)
        stream.extended, stream.data = extended, None
        if basic.form < 2:
            stream.kind, stream.length = kind, length
        if basic.form == 0:
            stream.stream = int.from_bytes(header[7:11], "little")
        return stream

    def _stamp(self, stream: _ChunkStream, form: int, given: int) -> None:
        """Set the time of a new message: absolute, a difference, or the last difference again."""
        if form == 0:
            stream.timestamp, stream.delta = given, 0
            return
        if form < 3:
            stream.delta = given
        stream.timestamp = (stream.timestamp + stream.delta) % (1 << 32)


def chunks(message: Message, size: int = _OWN_CHUNK) -> bytes:
    """Return a message as chunks of at most `size` bytes."""
    of_connection = _COMMANDS if message.kind >= Kind.DATA else _CONTROL
    channel = _MEDIA if message.stream else of_connection
    timestamp = message.timestamp % (1 << 32)
    extended = timestamp.to_bytes(4, "big") if timestamp >= _EXTENDED else b""
    out = bytearray((channel,))
    out += min(timestamp, _EXTENDED).to_bytes(3, "big") + len(message.data).to_bytes(3, "big")
    out += bytes((message.kind,)) + message.stream.to_bytes(4, "little") + extended
    out += message.data[:size]
    for at in range(size, len(message.data), size):
        out += bytes((0xC0 | channel,)) + extended + message.data[at : at + size]
    return bytes(out)


def command(name: str, *arguments: Value, stream: int = 0) -> Message:
    """Return a command, or an answer to one."""
    return Message(Kind.COMMAND, 0, stream, amf0.encode(name, *arguments))


class Refused(Exception):
    """The server does not take the stream; the text is its own."""


class Publisher:
    """The client's side of a connection that publishes one stream.

    Send what `begin` returns, then what `receive` returns for each piece that comes; once `is_publishing`, what `media`
    returns. `key` is secret: it is in no error.
    """

    def __init__(self, app: str, tc_url: str, key: str) -> None:
        self.is_publishing = False
        self._app, self._tc_url, self._key = app, tc_url, key
        self._hello = bytearray()
        self._reader: ChunkReader | None = None
        self._stream = 0
        self._received = 0
        self._acknowledged = 0
        self._window = 0

    def begin(self) -> bytes:
        """Return the beginning of the handshake."""
        return bytes((VERSION,)) + bytes(8) + secrets.token_bytes(HANDSHAKE_BYTES - 8)

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the server, and return what to answer. Raises Refused, and ValueError for what is no RTMP."""
        if self._reader is not None:
            return self._read(self._reader, data)
        self._hello += data
        if self._hello and self._hello[0] != VERSION:
            raise ValueError("the server does not speak RTMP")
        if len(self._hello) < 1 + 2 * HANDSHAKE_BYTES:
            return b""
        self._reader = ChunkReader()
        rest = bytes(self._hello[1 + 2 * HANDSHAKE_BYTES :])
        answer = bytes(self._hello[1 : 1 + HANDSHAKE_BYTES])
        answer += chunks(Message(Kind.SET_CHUNK_SIZE, 0, 0, _OWN_CHUNK.to_bytes(4, "big")))
        about: dict[str, Value] = {
            "app": self._app,
            "type": "nonprivate",
            "flashVer": "FMLE/3.0 (compatible; Parley)",
            "tcUrl": self._tc_url,
        }
        answer += chunks(command("connect", 1, about))
        return answer + self._read(self._reader, rest)

    def media(self, kind: Kind, timestamp: int, data: bytes) -> bytes:
        """Return a message with media, or data about them."""
        return chunks(Message(kind, timestamp, self._stream, data))

    def end(self) -> bytes:
        """Return what ends the stream in an orderly way."""
        if not self.is_publishing:
            return b""
        unpublished = command("FCUnpublish", 6, None, self._key)
        return chunks(unpublished) + chunks(command("deleteStream", 7, None, self._stream))

    def _read(self, reader: ChunkReader, data: bytes) -> bytes:
        self._received += len(data)
        answer = b"".join(self._take(message) for message in reader.feed(data))
        if self._window and self._received - self._acknowledged >= self._window // 2:
            self._acknowledged = self._received
            counted = (self._received % (1 << 32)).to_bytes(4, "big")
            answer += chunks(Message(Kind.ACKNOWLEDGEMENT, 0, 0, counted))
        return answer

    def _take(self, message: Message) -> bytes:
        if message.kind == Kind.WINDOW_SIZE:
            self._window = int.from_bytes(message.data[:4], "big")
        elif message.kind == Kind.USER_CONTROL and message.data[:2] == b"\0\6":  # a ping
            return chunks(Message(Kind.USER_CONTROL, 0, 0, b"\0\7" + message.data[2:6]))
        elif message.kind == Kind.COMMAND:
            return self._answer(amf0.decode(message.data))
        return b""

    def _answer(self, values: list[Value]) -> bytes:
        name, number = (*values, None, None)[:2]
        if name == "_error":
            raise Refused(_description(values) or "the server refused")
        if name == "onStatus":
            return self._status(values)
        if name == "_result" and number == 1:
            asked = command("releaseStream", 2, None, self._key), command("FCPublish", 3, None, self._key)
            return b"".join(map(chunks, (*asked, command("createStream", 4, None))))
        if name == "_result" and number == 4:
            stream = values[3] if len(values) > 3 else None
            if not isinstance(stream, float) or not 0 < stream < 1 << 31:
                raise ValueError("the server gave no stream")
            self._stream = int(stream)
            return chunks(command("publish", 5, None, self._key, "live", stream=self._stream))
        return b""

    def _status(self, values: list[Value]) -> bytes:
        about = values[3] if len(values) > 3 else None
        code = about.get("code") if isinstance(about, dict) else None
        if code == "NetStream.Publish.Start":
            self.is_publishing = True
        elif isinstance(about, dict) and about.get("level") == "error":
            raise Refused(_description(values) or str(code))
        return b""


def _description(values: list[Value]) -> str:
    """Return what a server says about a refusal."""
    about = next((one for one in values[2:] if isinstance(one, dict)), {})
    words = about.get("description") or about.get("code") or ""
    return str(words)[:200]
