"""Somebody in a meeting as our page has it: a microphone and a camera of their own, one large tile and small ones.

Who speaks is shown large. All three layers are always sent, unless `rests`: then those that nobody watches rest, as the
server tells.
"""

import random
import time

from bench.light.camera import CAMERA_MID, MICROPHONE_MID, RED, REPAIR_RATE, meeting_offer, meeting_tracks
from bench.light.handshake import Handshake
from bench.light.joining import Participant
from bench.light.library import LightClient, Performance
from bench.light.recording import AUDIO_NS, RIDS, evenly, recording
from bench.light.websocket import WebSocket
from bench.sfu_process import SfuProcess
from sfu.api import signaling, signaling_values
from sfu.api.join_token import Source
from sfu.formats.sdp import parse

LARGE, SMALL = (1280, 720), (320, 180)
SPEAKING, SILENT = 20, 127
CHECK_MS = 2500
"""How often libwebrtc checks a connection that works."""

_Size = tuple[int, int]


class MeetingParticipant(Participant):
    """A participant who publishes and watches. `begin` starts camera and microphone, once joined."""

    needed = (
        *Participant.needed,
        b'"kind":"room-info"',
        b'"kind":"track-unpublished"',
        b'"kind":"speakers"',
        b'"kind":"layers"',
    )

    def __init__(
        self,
        client: LightClient,
        sfu: SfuProcess,
        room: str,
        *,
        tiles: int,
        loss: float = 0.0,
        rests: bool = False,
    ) -> None:
        super().__init__(client, sfu, room, loss=loss, check_ms=CHECK_MS)
        self.room = room
        self.microphone = 0
        self.layers: list[int] = []
        self._tiles = tiles
        self._rests = rests
        self._cameras: dict[str, str] = {}
        self.large = ""
        self._shown: dict[str, _Size | None] = {}

    async def enter(self) -> None:
        """Join, and offer camera and microphone, which send nothing yet."""
        await self.join(publishes=True)
        handshake = Handshake(self._certificate)
        answer = await self._open_publish_peer(
            handshake,
            meeting_offer(handshake.local),
            [
                signaling_values.OfferedTrack(mid=MICROPHONE_MID, source=Source.MICROPHONE),
                signaling_values.OfferedTrack(mid=CAMERA_MID, source=Source.CAMERA),
            ],
            repair_rate=REPAIR_RATE,
        )
        sound, _ = parse(answer.sdp).media
        tracks = meeting_tracks(red=sound.formats[0] == str(RED))
        self.microphone = self._client.track(self.publish_peer, tracks.microphone)
        self.layers = [self._client.track(self.publish_peer, layer) for layer in tracks.layers]
        self.speak(loud=False)

    def begin(self, in_ns: int = 0) -> None:
        """Send, so much later, from anywhere in the recording on."""
        recorded = recording()
        at = time.monotonic_ns() + in_ns
        self._client.begin(Performance([self.microphone], evenly([[size] for size in recorded.audio], AUDIO_NS), at))
        frames = [k for k, burst in enumerate(recorded.bursts) if burst.begins and burst.layer == 0]
        self._client.begin(Performance(self.layers, recorded, at), first=random.choice(frames))

    def end(self) -> None:
        """Send nothing more."""
        self._client.end(self.publish_peer)

    def speak(self, *, loud: bool) -> None:
        """Speak, or be silent."""
        self._client.speak(self.microphone, SPEAKING if loud else SILENT)

    def wanted_layers(self) -> list[int]:
        """Return which layers the tiles are large enough for, one for each."""
        return [RIDS.index("f") if size == LARGE else RIDS.index("q") for size in self._shown.values() if size]

    async def _handle(self, message: signaling.ServerMessage, socket: WebSocket) -> None:
        match message:
            case signaling.RoomInfo():
                self._add(message.tracks)
            case signaling.TrackPublished():
                self._add([message.track])
            case signaling.TrackUnpublished():
                self._shown.pop(message.track, None)
                self._cameras = {who: track for who, track in self._cameras.items() if track != message.track}
            case signaling.Speakers():
                self._listen_to([speaker.participant for speaker in message.speakers])
            case signaling.Layers() if self._rests:
                for rid, source in zip(RIDS, self.layers, strict=False):
                    self._client.rest(source, rests=rid not in message.active)
                return
            case _:
                await super()._handle(message, socket)
                return
        self._look(socket)

    def _add(self, tracks: list[signaling_values.TrackInfo]) -> None:
        for track in tracks:
            if track.source is Source.CAMERA and track.participant != self.participant:
                self._cameras[track.participant] = track.track

    def _listen_to(self, speakers: list[str]) -> None:
        for speaker in speakers:
            if speaker in self._cameras:
                self.large = speaker
                return

    def _look(self, socket: WebSocket) -> None:
        """Tell what has changed of the tiles and their sizes."""
        if self.large not in self._cameras:
            self.large = next(iter(self._cameras), "")
        others = [who for who in self._cameras if who != self.large]
        sizes: dict[str, _Size | None] = {self._cameras[who]: None for who in others[self._tiles - 1 :]}
        sizes |= {self._cameras[who]: SMALL for who in others[: self._tiles - 1]}
        if self.large:
            sizes[self._cameras[self.large]] = LARGE
        changed = [_wish(track, size) for track, size in sizes.items() if self._shown.get(track, ()) != size]
        self._shown = sizes
        if changed:
            socket.send(signaling.encode(signaling.Subscribe(tracks=changed)))


def _wish(track: str, size: _Size | None) -> signaling_values.WantedTrack:
    width, height = size or (0, 0)
    return signaling_values.WantedTrack(track=track, on=size is not None, width=width, height=height)
