"""All converted tracks of a node, and the records about them for the transcoder.

The owner of the transcoder's socket drains `records`. While no transcoder runs, packets for it are dropped. A new
transcoder gets every track, each of which continues as a new stream.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Generic

from sfu.engine.contract import Leftover, SinkPacket
from sfu.formats.codecs import Codec
from sfu.peers.context import Context
from sfu.peers.publish.converted_track import ConvertedTrack
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.peers.publish.uptrack import UpTrack
from sfu.rooms.peer_index import Owner, PeerIndex, RoomT
from sfu.transcoding.records import End, Packet, Record

SINK = 2
"""The transcoder's id as a sink in the engine's table; those of `sfu.peers.sinks.tap.Purpose` are lower."""
_MAX_RECORDS = 10_000


class Transcoding(Generic[RoomT]):
    """`is_on`: tracks may be converted here. `is_running`: a transcoder is attached. `drops` counts packets by
    reason.
    """

    def __init__(self, context: Context, peers: PeerIndex[RoomT]) -> None:
        self.is_on = False
        self.is_running = False
        self.records: deque[Record] = deque()
        self.drops: Counter[str] = Counter()
        self._context = context
        self._tracks: dict[int, ConvertedTrack] = {}
        self._peers = peers
        self._of_stream: dict[int, list[ConvertedTrack]] = {}

    def __len__(self) -> int:
        return len(self._tracks)

    def convert(self, room: RoomT, source: UpTrack, codec: Codec, now: int) -> ConvertedTrack:
        """Start the conversion of one of a room's uptracks."""
        track = ConvertedTrack(self._context, source, codec, self._end, now)
        self._tracks[track.number] = track
        self._peers.add(Owner(room, room.participants[source.participant], track.peer))
        self._begin(track, now)
        self._follow(track, now)
        return track

    def _begin(self, track: ConvertedTrack, now: int) -> None:
        begin = track.begin(now)
        if self.is_running:
            self.records.append(begin)

    def _end(self, track: ConvertedTrack) -> None:
        self._copy(track, None)
        del self._tracks[track.number]
        self._peers.remove(track.peer.peer.number)
        track.peer.close()
        if self.is_running:
            self.records.append(End(track.number))

    def follow(self, now: int) -> None:
        """Copy the streams that flow at the moment."""
        for track in self._tracks.values():
            self._follow(track, now)

    def _follow(self, track: ConvertedTrack, now: int) -> None:
        stream = track.flowing(now)
        if stream is not track.stream:
            self._copy(track, stream)

    def _copy(self, track: ConvertedTrack, stream: IngressStream | None) -> None:
        """Copy this stream of a track, and no other, to the transcoder."""
        engine, before = self._context.engine, track.stream
        if before is not None:
            others = self._of_stream[before.number]
            others.remove(track)
            if not others:
                del self._of_stream[before.number]
                if before in track.source.streams:
                    engine.remove_sink_route(before.number, SINK)
        if stream is not None:
            if stream.number not in self._of_stream:
                engine.add_sink_route(stream.number, SINK, stream.number)
            self._of_stream.setdefault(stream.number, []).append(track)
        track.stream = stream

    def packets(self, packets: Iterable[SinkPacket]) -> None:
        """Take the engine's copies for the transcoder."""
        for packet in packets:
            if packet.sink != SINK:
                continue
            for track in self._of_stream.get(packet.stream, ()):
                if not self.is_running:
                    self.drops["gone"] += 1
                elif len(self.records) >= _MAX_RECORDS:
                    self.drops["full"] += 1
                else:
                    record = Packet(track.number, packet.stream, packet.ext_seq, packet.arrival, packet.rtp)
                    self.records.append(record)

    def began(self, now: int) -> None:
        """Hand all tracks to a new transcoder. The caller updates taps."""
        self.is_running = True
        self.records.clear()
        for track in self._tracks.values():
            self._begin(track, now)

    def ended(self) -> None:
        """Note that the transcoder has ended."""
        self.is_running = False
        self.records.clear()

    def converted(self, number: int, rtp: bytes, now: int) -> Leftover | None:
        """Return a packet from the transcoder in the engine's form; None if its track has ended."""
        track = self._tracks.get(number)
        return track.leftover(rtp, now) if track is not None else None
