"""One stream: transcoded by a process of its own, and sent to the room's node over SRTP.

The transport on the node is opened once it is known whether the stream has audio and video. If the node stops sending
feedback, because it failed or the room has moved, a new transport is opened.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any

import msgspec

from foundation.background import cancel_all
from foundation.backoff import Backoff
from foundation.control_requests import ControlUnavailable
from foundation.failures import describe
from foundation.media_units import Unit, UnitKind
from ingress import metrics
from ingress.control_client import ControlClient
from ingress.rtp_sender import RtpSender
from ingress.transcode.contract import State
from ingress.transcoder import Transcoder
from sfu.api.ingress import NOBODY, CloseStream, OpenedStream, OpenStream, StreamPhase, StreamProtocol, StreamState

_log = logging.getLogger(__name__)
MAX_BITS_PER_SECOND = 30_000_000
MAX_SECONDS = 24 * 3600.0
_LOOK_SECONDS = 0.05
_SILENT_SECONDS = 6.0
_KEYFRAME_SECONDS = 0.5
_SECOND_TRACK_SECONDS = 0.5
"""The wait for the second track, before the stream counts as audio only or video only."""
_NOTHING_SECONDS = 10.0
_CONTENT = frozenset({"url", "srt", "page"})
"""Protocols that bring a container, whose tracks only the transcoding process knows."""
_MAX_LAG_US = 2_000_000
_MAX_WAITING = 8 << 20
_MEASURED_SECONDS = 2.0
_TOO_FAST_SECONDS = 5.0
_AHEAD_US = 40_000
_HELD_SECONDS = 0.5
"""The longest time for which audio is held until the video of the same time is transcoded, which takes longer."""
_KEPT_US = 1_500_000
"""The length of media that is kept until the transport is open, so that it begins with the stream's first keyframe."""


class Failed(Exception):
    """The stream cannot continue; the text is shown to hosts."""


class Stream:
    """A stream; `stream` is the id of its key. The caller closes `transcoder`."""

    def __init__(
        self, stream: str, protocol: StreamProtocol, instance: str, control: ControlClient, transcoder: Transcoder
    ) -> None:
        self.stream = stream
        self.attempts = 0
        self.lost = 0
        """The packets of an SRT stream that never arrived."""
        self._protocol = protocol
        self._instance = instance
        self._control = control
        self._transcoder = transcoder
        self._phase: StreamPhase = "connecting"
        self._since = time.time()
        self._error = ""
        self._tracks = State()
        self._known = asyncio.Event()
        self._knows_all = asyncio.Event()
        self._sender: RtpSender | None = None
        self._datagrams: asyncio.DatagramTransport | None = None
        self._held: deque[tuple[float, Unit]] = deque()
        self._kept: deque[Unit] = deque()
        self._video_us: int | None = None
        self._zero: int | None = None
        self._arrived_us = 0
        self._dropping = False
        self._dropped = 0
        self._bytes = self._pictures = 0
        self._measured = (time.monotonic(), 0, 0)
        self._rates = (0, 0.0)
        self._fast_since: float | None = None

    def state(self) -> StreamState:
        bits, pictures = self._rates
        return StreamState(
            phase=self._phase,
            since=round(self._since * 1000),
            protocol=self._protocol,
            bits_per_second=bits,
            width=self._tracks.width,
            height=self._tracks.height,
            frames_per_second=round(pictures, 1),
            dropped=self._dropped + self._tracks.skipped + self.lost,
            attempts=self.attempts,
            error=self._error,
        )

    async def run(self, feed: Coroutine[Any, Any, None] | None = None) -> None:
        """Transcode and send the stream until it ends. `feed` calls `put`, unless the stream is read from a URL. Raises
        Failed.
        """
        work = [self._carry(), self._take_units(), *([feed] if feed is not None else [])]
        tasks = [asyncio.create_task(one) for one in work]
        metrics.STREAMS.labels(self._protocol).inc()
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            metrics.STREAMS.labels(self._protocol).dec()
            await cancel_all(tasks)

    def put(self, unit: Unit) -> None:
        """Take a unit of the stream. If the transcoder is behind, video is skipped up to the next keyframe."""
        self._bytes += len(unit.data)
        metrics.BYTES.labels(self._protocol).inc(len(unit.data))
        if unit.kind is UnitKind.VIDEO_SETUP:
            self._learn(video=True)
        elif unit.kind is UnitKind.AUDIO_SETUP:
            self._learn(audio=True)
        elif unit.kind is UnitKind.VIDEO:
            self._pictures += 1
            self._arrived_us = unit.us
            if self._is_left_out(unit):
                self._dropped += 1
                metrics.DROPPED.labels("busy").inc()
                return
        if self._transcoder.waiting > _MAX_WAITING:
            raise Failed("The server is too busy for this stream.")
        self._transcoder.put(unit)

    def _is_left_out(self, unit: Unit) -> bool:
        lag = 0 if self._video_us is None else unit.us - self._video_us
        if self._transcoder.waiting > _MAX_WAITING // 2 or lag > _MAX_LAG_US:
            self._dropping = True
        elif self._dropping and unit.keyframe:
            self._dropping = False
        # Keyframes are always decoded, so that video continues even if the transcoder never catches up.
        return self._dropping and not unit.keyframe

    def _learn(self, **tracks: bool) -> None:
        self._tracks = msgspec.structs.replace(self._tracks, **tracks)
        self._known.set()
        if self._tracks.video and self._tracks.audio:
            self._knows_all.set()

    async def _take_units(self) -> None:
        """Send what the process makes; return when the content of a URL has ended. Raises Failed."""
        while (unit := await self._transcoder.read()) is not None:
            match unit.kind:
                case UnitKind.STATE:
                    self._take_state(msgspec.json.decode(unit.data, type=State))
                case UnitKind.VIDEO:
                    self._time(unit.us)
                    self._video_us = unit.us
                    if self._protocol in _CONTENT:
                        self._pictures += 1
                    if self._protocol == "url":
                        self._bytes += len(unit.data)
                    self._send(unit)
                case UnitKind.AUDIO:
                    self._time(unit.us)
                    self._held.append((time.monotonic(), unit))
                case _:
                    pass
            self._release()
        if not self._tracks.ended:
            raise Failed("The process that decodes the stream has ended.")

    def _time(self, us: int) -> None:
        """Note the Unix time of media time 0, according to the unit with the least delay."""
        captured = time.time_ns() - us * 1000
        self._zero = captured if self._zero is None else min(self._zero, captured)

    def _take_state(self, state: State) -> None:
        if state.error:
            raise Failed(state.error)
        known: dict[str, Any] = {"width": state.width, "height": state.height, "skipped": state.skipped}
        if self._protocol in _CONTENT and (state.video or state.audio):
            known |= {"video": state.video, "audio": state.audio, "ended": state.ended}
            self._known.set()
            self._knows_all.set()
        self._tracks = msgspec.structs.replace(self._tracks, **known)

    def _release(self) -> None:
        """Send held audio whose video has been sent, or that has waited long enough."""
        now = time.monotonic()
        while self._held:
            held, unit = self._held[0]
            ahead = self._tracks.video and (self._video_us is None or unit.us > self._video_us + _AHEAD_US)
            if ahead and now - held < _HELD_SECONDS:
                return
            self._held.popleft()
            self._send(unit)

    def _send(self, unit: Unit) -> None:
        """Send a unit, or keep it while there is no transport."""
        if self._sender is None:
            self._kept.append(unit)
            if unit.us - self._kept[0].us > _KEPT_US:
                self._kept.clear()
            return
        make = self._sender.video if unit.kind is UnitKind.VIDEO else self._sender.audio
        self._transmit(make(unit.us, unit.data, time.time_ns()))

    def _send_kept(self) -> None:
        """Send what was kept, from the latest keyframe on; request one if there is none."""
        kept, self._kept = [*self._kept], deque()
        keyframes = [index for index, unit in enumerate(kept) if unit.kind is UnitKind.VIDEO and unit.keyframe]
        if self._tracks.video and not keyframes:
            self._transcoder.ask_keyframe()
            kept = [unit for unit in kept if unit.kind is UnitKind.AUDIO]
        begin = kept[keyframes[-1]].us if keyframes else 0
        for unit in kept[keyframes[-1] :] if keyframes else kept:
            if unit.us >= begin:
                self._send(unit)

    def _transmit(self, datagrams: list[bytes]) -> None:
        if self._datagrams is not None and not self._datagrams.is_closing():
            for datagram in datagrams:
                self._datagrams.sendto(datagram)

    async def _carry(self) -> None:
        """Keep a transport open, and send to it."""
        try:
            async with asyncio.timeout(_NOTHING_SECONDS):
                await self._known.wait()
        except TimeoutError as error:
            raise Failed("The stream has neither video nor audio that is supported.") from error
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SECOND_TRACK_SECONDS):
                await self._knows_all.wait()
        begun = time.monotonic()
        backoff = Backoff(2.0, 0.2)
        while True:
            opened = await self._open()
            if opened is not None:
                try:
                    await self._send_to(opened, begun)
                finally:
                    await self._close(opened.transport)
                self._enter("retrying", "The media server does not answer.")
                backoff.reset()
            self.attempts += 1
            await backoff.wait()

    async def _open(self) -> OpenedStream | None:
        """Return an open transport, None if a retry may succeed. Raises Failed."""
        wish = OpenStream(
            stream=self.stream, instance=self._instance, video=self._tracks.video, audio=self._tracks.audio
        )
        try:
            opened = await self._control.open(wish)
        except ControlUnavailable as error:
            self._enter("retrying", str(error))
            return None
        if not opened.code:
            return opened
        if not opened.again:
            metrics.REFUSED.labels(opened.code).inc()
            raise Failed(opened.detail)
        self._enter("waiting" if opened.code == NOBODY else "retrying", opened.detail)
        return None

    async def _close(self, transport: str) -> None:
        self._sender = None
        if self._datagrams is not None:
            self._datagrams.close()
            self._datagrams = None
        with contextlib.suppress(ControlUnavailable):
            wish = CloseStream(stream=self.stream, instance=self._instance, transport=transport)
            await asyncio.shield(self._control.end(wish))

    async def _send_to(self, opened: OpenedStream, begun: float) -> None:
        """Send to a transport until its node does not answer media with feedback. Raises Failed."""
        assert opened.srtp is not None
        sender = RtpSender(opened.srtp, self._zero)
        loop = asyncio.get_running_loop()
        try:
            self._datagrams, _ = await loop.create_datagram_endpoint(
                lambda: _Feedback(sender, self._transmit), remote_addr=(opened.address, opened.port)
            )
        except OSError as error:
            raise Failed(f"The media server cannot be reached: {describe(error)}.") from error
        self._sender = sender
        self._send_kept()
        self._enter("live", "")
        opened_at = time.monotonic()
        asked = float("-inf")
        _log.info("stream %s is live", self.stream)
        while sender.unanswered < _SILENT_SECONDS * 1e9:
            await asyncio.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            self._transmit(sender.reports(time.time_ns()))
            self._release()
            if sender.keyframe_wanted and now - asked >= _KEYFRAME_SECONDS:
                sender.keyframe_wanted, asked = False, now
                self._transcoder.ask_keyframe()
            self._measure(now)
            if now - begun > MAX_SECONDS:
                raise Failed("The stream has reached the longest duration, 24 hours.")
        _log.info("the node of stream %s stopped responding after %.0f s", self.stream, time.monotonic() - opened_at)

    def _measure(self, now: float) -> None:
        before, size, pictures = self._measured
        elapsed = now - before
        if elapsed >= _MEASURED_SECONDS:
            self._rates = (round((self._bytes - size) * 8 / elapsed), (self._pictures - pictures) / elapsed)
            self._measured = (now, self._bytes, self._pictures)
            if self._rates[0] <= MAX_BITS_PER_SECOND:
                self._fast_since = None
            elif self._fast_since is None:
                self._fast_since = before
        if self._fast_since is not None and now - self._fast_since > _TOO_FAST_SECONDS:
            raise Failed(f"The stream exceeds {MAX_BITS_PER_SECOND // 1_000_000} Mbit/s.")

    def _enter(self, phase: StreamPhase, error: str) -> None:
        if phase != self._phase:
            self._phase, self._since = phase, time.time()
        self._error = error


class _Feedback(asyncio.DatagramProtocol):
    """The node's feedback about a transport."""

    def __init__(self, sender: RtpSender, transmit: Any) -> None:
        self._sender = sender
        self._transmit = transmit

    def datagram_received(self, data: bytes, addr: Any) -> None:
        resent = self._sender.receive(data, time.time_ns())
        metrics.RESENT.inc(len(resent))
        self._transmit(resent)

    def error_received(self, exc: Exception) -> None:
        """Ignore network errors: the lack of feedback ends the transport."""
