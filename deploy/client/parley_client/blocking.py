"""The client for programs without asyncio: the same methods, which block until they have a result.

An event loop runs in a background thread and receives media. Frames may be sent from any thread.
"""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import av

from parley_client import api, media, room
from parley_client.background_loop import BackgroundLoop
from parley_client.blocking_rest import BlockingRest
from parley_client.publishing import Publication
from sfu.api import signaling
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec


class Api:
    """A session with one server; a context manager. `rest` has every operation of the REST API."""

    def __init__(self, base: str, *, bearer: str | None = None, verify_tls: bool = True) -> None:
        """`bearer` is an API key or a participant token; signing in replaces it."""
        self._loop = BackgroundLoop()
        self._api = api.Api(base, bearer=bearer, verify_tls=verify_tls)
        self._verify_tls = verify_tls
        self.rest = BlockingRest(self._api.rest, self._loop)

    def __enter__(self) -> "Api":
        self._loop.run(self._api.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._loop.run(self._api.__aexit__(kind, error, trace))
        finally:
            self._loop.close()

    def login(self, username: str, password: str) -> None:
        """Sign in."""
        self._loop.run(self._api.login(username, password))

    def join(self, meeting: str, name: str | None = None, **options: Any) -> "Room":
        """Join a meeting; use the result in a `with` statement. `options` are those of Room."""
        joined = self._loop.run(self._api.join(meeting, name))
        options = {"verify_tls": self._verify_tls} | options
        return Room(room.Room(self._api.signaling_url(joined), token=joined.token, **options), self._loop)


class Room:
    """A participant's presence in a room; a context manager that leaves at the end."""

    def __init__(self, wrapped: room.Room, loop: BackgroundLoop) -> None:
        self._room = wrapped
        self._loop = loop

    def __enter__(self) -> "Room":
        self._loop.run(self._room.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.run(self._room.__aexit__(kind, error, trace))

    @property
    def state(self) -> room.RoomState:
        """The state received from the server. The background thread may change it at any time."""
        return self._room.state

    def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until `condition` holds after a message; raises SignalingRefused or TimeoutError."""
        self._loop.run(self._room.until(condition, seconds))

    def publish(self, *tracks: tuple[Source | str, Codec | str]) -> "list[Sending]":
        """Publish tracks (see `parley_client.Room.publish`); return when media can be sent."""
        return [Sending(one, self._loop) for one in self._loop.run(self._room.publish(*tracks))]

    def chat(self, text: str, to: str | None = None) -> None:
        """Send a chat message to everybody, or to a participant."""
        self._loop.run(self._room.chat(text, to))

    def send_data(self, payload: bytes, *names: str, topic: str = "") -> None:
        """Send a reliable data message; needs `data=True`."""
        self._loop.run(self._room.send_data(payload, *names, topic=topic))

    def messages(self) -> Iterator[signaling.ServerMessage]:
        """Yield further signaling messages until the connection ends."""
        with self._room.messages() as feed:
            yield from self._loop.each(feed)

    def frames(self, track: str) -> Iterator[av.AudioFrame | av.VideoFrame]:
        """Yield the decoded frames of a remote track until the connection ends."""
        yield from self._loop.each(media.decoded_frames(self._room, track))


class Sending:
    """A published track that takes PyAV frames."""

    def __init__(self, publication: Publication, loop: BackgroundLoop) -> None:
        self._loop = loop
        self.publication = publication
        self._sender = media.AudioSender(publication) if publication.codec.is_audio else media.VideoSender(publication)

    def send(self, frame: av.AudioFrame | av.VideoFrame) -> None:
        """Encode and send a frame now; the caller keeps the pace."""

        async def send() -> None:
            self._sender.send(frame)  # type: ignore[arg-type]  # of the publication's kind

        self._loop.run(send())
