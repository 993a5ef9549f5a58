"""The presence of one phone in a room: publishes what it says, and receives the voices of the others."""

import asyncio
import contextlib
import logging
import math
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from websockets.exceptions import WebSocketException

from foundation.background import cancel_all
from foundation.failures import describe
from parley_client import AudioLevel, Codec, Source, messages
from parley_client.feed import Feed
from parley_client.media import OPUS_RATE
from parley_client.messages import Grants
from parley_client.publishing import Publication
from parley_client.room import DataReceived, Room, SignalingRefused
from phone import dtmf
from phone.media.audio_codecs import OpusSound, OpusSpeech, Samples, rms
from phone.media.playout import Playout
from sfu.api.phone import STATUS_ATTRIBUTE

_log = logging.getLogger(__name__)
Notice = Literal["joined", "muted-by-host", "unmuted-by-host", "hand-lowered", "recording"]
LOST = "lost"
_FULL_SCALE = 32_768.0
_SILENT = 127
_VOICE_LEVEL = 50
_CONSENT_TEXT = "phone"
_FRAME = OPUS_RATE // 50
_MOST_VOICES = 16


class RoomPresence:
    """A participant. `rate` is the sampling rate of the phone; `notify` is called with what its caller should know.

    `tls` is for a node that uses mutual TLS. `muted` is the phone's own wish. What a host muted stays muted until a
    host undoes it. Only the participant `heard_by` hears the phone, unless that is "". `status` says in an attribute
    how far the call is, unless that is "". `press` gets keys that participants send.
    """

    def __init__(
        self,
        rate: int,
        notify: Callable[[Notice], None],
        *,
        muted: bool = False,
        heard_by: str = "",
        status: str = "",
        press: Callable[[str], None] = lambda _: None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.muted = muted
        self._heard_by = heard_by
        self._status = status
        self._press = press
        self.muted_by_host = False
        self.hand_raised = False
        self.has_consented = False
        self.is_joined = False
        self._rate = rate
        self._tls = tls
        self._notify = notify
        self._room: Room | None = None
        self._publication: Publication | None = None
        self._encoder = OpusSpeech(rate)
        self._samples = 0
        self._playouts: dict[str, Playout] = {}
        self._following: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def change_rate(self, rate: int) -> None:
        """Continue at another sampling rate, since the phone changed its codec."""
        if rate != self._rate:
            self._rate = rate
            self._encoder = OpusSpeech(rate)
            self._playouts = {track: self._new_playout() for track in self._playouts}

    async def run(self, url: str, token: str) -> str:
        """Be in the room until the presence ends; return the code of the reason, LOST if joining again may help."""
        room = Room(url, token=token, codecs=frozenset({Codec.OPUS}), tls=self._tls, data=bool(self._status))
        try:
            async with room:
                with room.messages() as told, room.data() as data:
                    self._spawn(self._take_keys(room, data))
                    await self._arrive(room)
                    async for message in told:
                        await self._take(room, message)
        except SignalingRefused as refused:
            return refused.code
        except (OSError, TimeoutError, WebSocketException) as error:
            _log.info("a phone lost its room: %s", describe(error))
        finally:
            self._room = self._publication = None
            self.is_joined = False
            await cancel_all([*self._following.values(), *self._tasks])
            self._following.clear()
            self._playouts.clear()
        code = room.state.errors[-1].code if room.state.errors and room.state.errors[-1].fatal else ""
        return "moved" if room.state.moved is not None else code or LOST

    async def _arrive(self, room: Room) -> None:
        info = room.state.info
        assert info is not None
        self._room = room
        self._take_grants(info.grants, notify=False)
        if self._heard_by:
            await room.send(messages.Permit(everyone=False, to=(messages.Permitted(participant=self._heard_by),)))
        await self._publish(room, info.grants)
        if self._status:
            await self._describe(room)
        for track in info.tracks:
            self._follow(room, track.track, track.media, track.participant)
        if self.hand_raised:
            await room.send(messages.Hand(raised=True))
        self.is_joined = True
        self._notify("joined")
        if self.has_consented:
            await self._send_consent(room)
        elif info.recording.active:
            self._notify("recording")

    async def _publish(self, room: Room, grants: Grants) -> None:
        if self._publication is not None or Source.MICROPHONE not in grants.publish:
            return
        (self._publication,) = await room.publish((Source.MICROPHONE, Codec.OPUS))
        if self.muted:
            await room.send(messages.MediaControl(track=self._publication.track, muted=True))

    async def _take(self, room: Room, message: messages.ServerMessage) -> None:
        match message:
            case messages.TrackPublished():
                self._follow(room, message.track.track, message.track.media, message.track.participant)
            case messages.TrackUnpublished():
                task = self._following.pop(message.track, None)
                if task is not None:
                    await cancel_all([task])
                self._playouts.pop(message.track, None)
            case messages.GrantsChanged():
                self._take_grants(message.grants, notify=True)
                if self._publication is None and Source.MICROPHONE in message.grants.publish:
                    # Publishing waits for an answer, which this loop must not hold up.
                    self._spawn(self._publish_later(room, message.grants))
            case messages.ParticipantUpdated() if self._is_me(room, message.participant.participant):
                if self.hand_raised and not message.participant.hand:
                    self.hand_raised = False
                    self._notify("hand-lowered")
            case messages.RecordingChanged() if message.state.active and not self.has_consented:
                self._notify("recording")
            case _:
                pass

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_keys(self, room: Room, data: Feed[DataReceived]) -> None:
        async for message in data:
            room.heard.clear()
            if key := dtmf.key_in(message):
                self._press(key)

    async def _publish_later(self, room: Room, grants: Grants) -> None:
        with contextlib.suppress(OSError, TimeoutError, WebSocketException):
            await self._publish(room, grants)

    def _take_grants(self, grants: Grants, *, notify: bool) -> None:
        is_muted = grants.mutes(Source.MICROPHONE)
        if notify and is_muted != self.muted_by_host:
            self._notify("muted-by-host" if is_muted else "unmuted-by-host")
        self.muted_by_host = is_muted

    @staticmethod
    def _is_me(room: Room, participant: str) -> bool:
        return room.state.info is not None and room.state.info.participant == participant

    def _follow(self, room: Room, track: str, media: str, participant: str) -> None:
        if media == "audio" and track not in self._following and not self._is_me(room, participant):
            self._following[track] = asyncio.create_task(self._receive(room, track))

    async def _receive(self, room: Room, track: str) -> None:
        """Feed the jitter buffer of a track."""
        loop = asyncio.get_running_loop()
        with room.frames(track) as feed:
            async for frame in feed:
                if frame.codec is not Codec.OPUS:
                    continue
                playout = self._playouts.get(track)
                if playout is None:
                    if len(self._playouts) >= _MOST_VOICES:
                        self._playouts.pop(next(iter(self._playouts)))
                    playout = self._playouts[track] = self._new_playout()
                playout.push(frame.timestamp, frame.data, loop.time())

    def _new_playout(self) -> Playout:
        return Playout(OpusSound(self._rate), OPUS_RATE, self._rate)

    def voices(self, count: int, now: float) -> list[Samples]:
        """Return the next `count` samples of everybody who is heard."""
        found = [playout.pull(count, now) for playout in self._playouts.values()]
        return [voice for voice in found if voice is not None]

    def say(self, samples: Samples | None) -> None:
        """Send 20 ms of what the phone says, unless it is silent or muted."""
        publication = self._publication
        self._samples += _FRAME
        if samples is None or publication is None or self.muted or self.muted_by_host:
            return
        level = _level(samples)
        publication.send_frame(self._encoder.encode(samples), self._samples, level=level)

    async def mute(self, muted: bool) -> None:
        """Mute or unmute the phone for everybody."""
        self.muted = muted
        if self._room is not None and self._publication is not None:
            await self._room.send(messages.MediaControl(track=self._publication.track, muted=muted))

    async def raise_hand(self, raised: bool) -> None:
        """Raise or lower the phone's hand."""
        self.hand_raised = raised
        if self._room is not None:
            await self._room.send(messages.Hand(raised=raised))

    async def tell(self, status: str) -> None:
        """Say how far the call is."""
        if self._status and status != self._status:
            self._status = status
            if self._room is not None:
                await self._describe(self._room)

    async def _describe(self, room: Room) -> None:
        await room.send(messages.Describe(attributes={STATUS_ATTRIBUTE: self._status}))

    async def let_everybody_hear(self) -> None:
        """Let all participants hear the phone, since the call was answered."""
        if self._heard_by:
            self._heard_by = ""
            if self._room is not None:
                await self._room.send(messages.Permit(everyone=True))

    async def send_key(self, key: str) -> None:
        """Send a key of the phone as a message to everybody."""
        if self._room is not None:
            await self._room.send_data(dtmf.message_of(key), topic=dtmf.TOPIC)

    async def consent(self) -> None:
        """Agree to recording and captions."""
        self.has_consented = True
        if self._room is not None:
            await self._send_consent(self._room)

    @staticmethod
    async def _send_consent(room: Room) -> None:
        await room.send(messages.Consent(text=_CONSENT_TEXT, recording=True, captions=True))


def _level(samples: Samples) -> AudioLevel:
    loudness = rms(samples)
    level = _SILENT if loudness == 0 else min(max(round(-20 * math.log10(loudness / _FULL_SCALE)), 0), _SILENT)
    return AudioLevel(level, voice=level < _VOICE_LEVEL)
