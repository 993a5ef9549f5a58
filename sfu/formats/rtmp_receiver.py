"""Server side of an RTMP connection on which a client publishes one stream. Without I/O.

Chunks, messages and commands are those of sfu.formats.rtmp. Clients that want to play are refused.
"""

import secrets
from typing import NamedTuple

from sfu.formats import amf0
from sfu.formats.amf0 import Value
from sfu.formats.rtmp import HANDSHAKE_BYTES, VERSION, ChunkReader, Kind, Message, chunks, command

_WINDOW = 5_000_000
_CHUNK = 4096
_STREAM = 1
_MAX_EARLY_MESSAGES = 64
"""The number of messages that a client may send before it publishes."""
_MAX_EARLY_BYTES = 1 << 15
"""More than encoders send before they publish. Whoever has no key must not fill our memory."""
_MAX_NAME = 1000
_DYNAMIC = 2
"""The limit type in Set Peer Bandwidth; clients are known to accept this one."""


class Published(NamedTuple):
    """A client wants to publish. `key` is the stream's name, a secret, without its query."""

    app: str
    key: str


class Media(NamedTuple):
    """An FLV tag's body. `timestamp` is in ms, modulo 2**32."""

    kind: Kind
    timestamp: int
    data: bytes


class Ended(NamedTuple):
    """The client has ended its stream."""


Event = Published | Media | Ended


class Receiver:
    """The server's protocol state. Pass received bytes to it, then send what `output` returns.

    Answer `Published` with `accept` or `refuse`. After a ValueError, or `refuse`, close the connection.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._has_greeted = False
        self._reader: ChunkReader | None = None
        self._output = bytearray()
        self._app = ""
        self._early = 0
        self._has_stream = self._is_publishing = self._has_ended = False
        self._received = self._acknowledged = 0
        self._window = 0

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes of the client. Raises ValueError for anything that is not RTMP, or exceeds a limit."""
        if not self._is_publishing and self._received > _MAX_EARLY_BYTES:
            raise ValueError("the client sends too much before it publishes")
        self._received += len(data)
        if self._reader is None:
            self._buffer += data
            if self._buffer and self._buffer[0] != VERSION:
                raise ValueError("the client does not speak RTMP")
            self._shake_hands()
            if self._reader is None:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        events = [event for message in self._reader.feed(data) if (event := self._take(message)) is not None]
        if self._window and self._received - self._acknowledged >= self._window // 2:
            self._acknowledged = self._received
            counted = (self._received % (1 << 32)).to_bytes(4, "big")
            self._send(Message(Kind.ACKNOWLEDGEMENT, 0, 0, counted))
        return events

    def output(self) -> bytes:
        """Return the bytes to send, once."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def accept(self) -> None:
        """Let the client send its stream."""
        self._send(Message(Kind.USER_CONTROL, 0, 0, b"\0\0" + _STREAM.to_bytes(4, "big")))  # the stream begins
        self._status("status", "NetStream.Publish.Start", "Publishing.")

    def refuse(self, reason: str) -> None:
        """Refuse the stream with a reason that encoders show or log."""
        self._status("error", "NetStream.Publish.BadName", reason)

    def _shake_hands(self) -> None:
        """Answer the client's part of the handshake; its echo is not compared (section 5.2)."""
        if not self._has_greeted and len(self._buffer) > HANDSHAKE_BYTES:
            theirs = bytes(self._buffer[1 : 1 + HANDSHAKE_BYTES])
            ours = bytes(8) + secrets.token_bytes(HANDSHAKE_BYTES - 8)
            self._output += bytes((VERSION,)) + ours + theirs
            self._has_greeted = True
        if len(self._buffer) > 2 * HANDSHAKE_BYTES:
            del self._buffer[: 1 + 2 * HANDSHAKE_BYTES]
            self._reader = ChunkReader()

    def _take(self, message: Message) -> Event | None:
        if not self._is_publishing:
            self._early += 1
            if self._early > _MAX_EARLY_MESSAGES:
                raise ValueError("the client sends too many messages before it publishes")
        match message.kind:
            case Kind.WINDOW_SIZE:
                self._window = int.from_bytes(message.data[:4], "big")
            case Kind.USER_CONTROL if message.data[:2] == b"\0\6":  # a ping
                self._send(Message(Kind.USER_CONTROL, 0, 0, b"\0\7" + message.data[2:6]))
            case Kind.COMMAND:
                return self._obey(amf0.decode(message.data))
            case Kind.AUDIO | Kind.VIDEO if self._is_publishing and not self._has_ended and message.data:
                return Media(Kind(message.kind), message.timestamp, message.data)
            case _:
                pass  # metadata is ignored: the streams contain the same values
        return None

    def _obey(self, values: list[Value]) -> Event | None:
        name, number, about, first = (*values, None, None, None, None)[:4]
        match name:
            case "connect":
                self._connect(number, about)
            case "createStream":
                self._has_stream = True
                self._send(command("_result", number, None, _STREAM))
            case "FCPublish":
                self._send(command("onFCPublish", 0, None, {"code": "NetStream.Publish.Start"}))
            case "publish":
                return self._publish(first)
            case "play" | "play2":
                raise ValueError("the client wants to play a stream, which is not supported")
            case "FCUnpublish" | "deleteStream" | "closeStream" if self._is_publishing and not self._has_ended:
                self._has_ended = True
                return Ended()
            case _:
                pass
        return None

    def _connect(self, number: Value, about: Value) -> None:
        app = about.get("app") if isinstance(about, dict) else None
        if self._app or not isinstance(app, str) or not 0 < len(app) <= _MAX_NAME:
            raise ValueError("the client connects without an application name, or twice")
        self._app = app
        self._send(Message(Kind.WINDOW_SIZE, 0, 0, _WINDOW.to_bytes(4, "big")))
        self._send(Message(Kind.SET_PEER_BANDWIDTH, 0, 0, _WINDOW.to_bytes(4, "big") + bytes((_DYNAMIC,))))
        self._send(Message(Kind.SET_CHUNK_SIZE, 0, 0, _CHUNK.to_bytes(4, "big")))
        server: dict[str, Value] = {"fmsVer": "FMS/3,0,1,123", "capabilities": 31.0}
        status: dict[str, Value] = {
            "level": "status",
            "code": "NetConnection.Connect.Success",
            "description": "Connected.",
            "objectEncoding": 0.0,
        }
        self._send(command("_result", number, server, status))

    def _publish(self, key: Value) -> Event:
        if not self._app or not self._has_stream or self._is_publishing:
            raise ValueError("the client publishes without a stream, or twice")
        if not isinstance(key, str) or len(key) > _MAX_NAME:
            raise ValueError("the client publishes without a stream key")
        self._is_publishing = True
        return Published(self._app.partition("?")[0].strip("/"), key.partition("?")[0])

    def _status(self, level: str, code: str, description: str) -> None:
        about: dict[str, Value] = {"level": level, "code": code, "description": description}
        self._send(command("onStatus", 0, None, about, stream=_STREAM))

    def _send(self, message: Message) -> None:
        self._output += chunks(message, _CHUNK)
