"""A participant as Parley's page would join: a microphone, a camera, one large tile and several small ones.

All three layers are always sent, unless `rests` is set: then layers that nobody watches pause, as the server requests.
"""

from bench.light.camera import CAMERA_MID, MICROPHONE_MID, REPAIR_RATE, meeting_offer, meeting_tracks, sends_red
from bench.light.handshake import Handshake
from bench.light.joining import Participant
from bench.light.library import LightClient
from bench.light.performer import Performer
from bench.light.recording import RIDS
from bench.light.tiles import Size, Tiles
from bench.light.websocket import WebSocket
from bench.sfu_process import SfuProcess
from sfu.api import signaling, signaling_values
from sfu.api.join_token import Source

CHECK_MS = 2500
"""Interval of libwebrtc's checks of a working connection."""


class MeetingParticipant(Participant):
    """A participant who, after `enter`, publishes with `performer` and watches with `tiles`."""

    needed = (
        *Participant.needed,
        b'"kind":"room-info"',
        b'"kind":"track-unpublished"',
        b'"kind":"speakers"',
        b'"kind":"layers"',
    )
    performer: Performer | None = None

    def __init__(
        self, client: LightClient, sfu: SfuProcess, room: str, *, tiles: int, loss: float = 0.0, rests: bool = False
    ) -> None:
        super().__init__(client, sfu, room, loss=loss, check_ms=CHECK_MS)
        self.tiles = Tiles(tiles)
        self._rests = rests

    async def enter(self, *, publishes: bool = True) -> None:
        """Join; if the person `publishes`, offer a camera and a microphone, which send nothing yet."""
        await self.join(publishes=publishes)
        if not publishes:
            return
        handshake = Handshake(self._certificate)
        tracks = meeting_tracks()
        answer = await self._open_publish_peer(
            handshake,
            meeting_offer(handshake.local, tracks),
            [
                signaling_values.OfferedTrack(mid=MICROPHONE_MID, source=Source.MICROPHONE),
                signaling_values.OfferedTrack(mid=CAMERA_MID, source=Source.CAMERA),
            ],
            repair_rate=REPAIR_RATE,
        )
        self.performer = Performer(self._client, self.publish_peer, sends_red(tracks, answer.sdp))

    async def _handle(self, message: signaling.ServerMessage, socket: WebSocket) -> None:
        match message:
            case signaling.RoomInfo():
                self._add(message.tracks)
            case signaling.TrackPublished():
                self._add([message.track])
            case signaling.TrackUnpublished():
                self.tiles.remove(message.track)
            case signaling.Speakers():
                self.tiles.listen_to(speaker.participant for speaker in message.speakers)
            case signaling.Layers() if self._rests and self.performer is not None:
                for layer, rid in enumerate(RIDS):
                    self.performer.rest(layer, rests=rid not in message.active)
                return
            case _:
                await super()._handle(message, socket)
                return
        changed = [_wish(track, size) for track, size in self.tiles.changes().items()]
        if changed:
            socket.send(signaling.encode(signaling.Subscribe(tracks=changed)))

    def _add(self, tracks: list[signaling_values.TrackInfo]) -> None:
        for track in tracks:
            if track.source is Source.CAMERA and track.participant != self.participant:
                self.tiles.add(track.participant, track.track)


def _wish(track: str, size: Size | None) -> signaling_values.WantedTrack:
    width, height = size or (0, 0)
    return signaling_values.WantedTrack(track=track, on=size is not None, width=width, height=height)
