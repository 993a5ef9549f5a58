"""One outgoing stream: its source, its switch to the next source, and the numbering of its packets.

A switch ("flip") happens within a batch, at the first packet of a suitable frame of the `pending` source, which policy
has set. From then on this is the route's current source; its timestamps, picture ids and numbering continue the old
one's.
"""

from typing import TypeAlias

from sfu.engine.contract import RouteEntry, RouteSource, RouteState
from sfu.engine.layout import Layout
from sfu.engine.packet import Packet
from sfu.engine.sequence_map import Rewrite, Segment, SequenceMap
from sfu.engine.stream import Stream

RoutedStream: TypeAlias = Stream["Route"]
"""A stream, with the routes that carry it."""
SILENCE = 3_000_000_000
"""The time (ns) without speech after which a microphone counts as silent: longer than a pause within speech."""
STAMPS = 256
"""The number of packets whose stamps are remembered if there is no RTX, so that a NACK gets the same bytes."""
RETRANSMISSIONS = 256
"""The number of recent repairs whose times are remembered."""
FLOWS = 200_000_000
"""The time for which a source counts as flowing after its last packet, in nanoseconds."""
LONGEST_HOLD = 1_000_000_000
"""The time for which a keyframe is held if only keyframes follow it, or waits for missing packets, in nanoseconds."""
HELD_PACKETS = 32
"""The maximum number of a keyframe's packets that are held; every cache holds at least as many."""
CATCH_UP_PACKETS = 512
"""The maximum number of past packets with which a route begins: half of a peer's queue."""
_MASK32 = 0xFFFFFFFF


class Pending:
    """The next source, and the stream position before which a flip to it is useless.

    `held` is the first packet of the keyframe to flip to at a later packet, `held_since` the arrival of the first one.
    With `waits`, the current source continues beside it until the frame after it begins.
    """

    __slots__ = ("floor", "held", "held_since", "source", "stream", "waits")

    def __init__(self, stream: RoutedStream, source: RouteSource, floor: int) -> None:
        self.stream = stream
        self.source = source
        self.floor = floor
        self.held: Packet | None = None
        self.held_since = 0
        self.waits = False

    def hold(self, keyframe: Packet | None, *, waits: bool = False) -> None:
        """Flip to this keyframe later; None means the next one."""
        self.held = keyframe
        self.held_since = keyframe.arrival if keyframe is not None else 0
        self.waits = waits


class Route:
    """State of a RouteEntry. `stream` is the current source; `base` is derived from the SRTP keys and the SSRC.

    A route `is_cut` from a packet that the peer's full queue had no room for until a keyframe that it has room for;
    `has_asked` means that policy knows that there is room for one.
    """

    def __init__(self, entry: RouteEntry, first_out: int, first_rtx: int) -> None:
        self.entry = entry
        self.layout = Layout({}, "")
        self.map: SequenceMap[RoutedStream] = SequenceMap(first_out)
        self.stream: RoutedStream | None = None
        self.pending: Pending | None = None
        self.base = self.rtx_base = 0
        self.rtx_next = first_rtx
        self.packets = self.octets = self.retransmitted = 0
        self.last: Packet | None = None
        self.last_rewrite = Rewrite()
        self.last_seq = self.newest_sent = first_out - 1
        self.last_timestamp = self.last_arrival = 0
        self.stamps: list[tuple[int, int, int] | None] | None = None
        self.retransmissions: list[tuple[int, int] | None] | None = None
        self.is_cut = self.has_asked = False
        self._former: set[RoutedStream] = set()
        self._target = Rewrite()
        self._filtered_timestamp = self._filtered_picture = -1
        # The intended offset of timestamps, if they had to be raised.
        self._wanted_offset: int | None = None

    @property
    def state(self) -> RouteState:
        segment = self.map.segment
        return RouteState(
            stream=self.stream.entry.stream if self.stream is not None else -1,
            timestamp_offset=segment.rewrite.timestamp_offset if segment is not None else 0,
            packets=self.packets,
            octets=self.octets,
            last_seq=self.last_seq,
            last_timestamp=self.last_timestamp,
            last_arrival=self.last_arrival,
            retransmitted=self.retransmitted,
            waiting=max(self.last_seq - self.newest_sent, 0),
        )

    def switch(self, stream: RoutedStream, source: RouteSource, room: int) -> bool:
        """Make `stream` the next source; return True if the keyframe to begin with is in the cache.

        Packets since that keyframe may have at most `room` bytes in total.
        """
        before = self.pending
        self._withdraw()
        floor = stream.newest + 1
        if source.at_keyframe and not stream.is_audio:
            # A keyframe whose first packet is repaired late can still be flipped to, since the rest is in the cache.
            floor = self.map.carried(stream)
        pending = self.pending = Pending(stream, source, floor)
        held = before.held if before is not None and before.stream is stream else None
        if before is not None and held is not None and stream.get(held.ext_seq) is held:
            pending.held, pending.held_since, pending.waits = held, before.held_since, before.waits
        elif (keyframe := self._found_keyframe(stream, source, room)) is not None:
            pending.hold(keyframe, waits=self._holds(source, keyframe, stream))
        if self not in stream.routes:
            stream.routes.append(self)
        return pending.held is not None

    def _found_keyframe(self, stream: RoutedStream, source: RouteSource, room: int) -> Packet | None:
        """Return the stream's newest keyframe if the route may begin with it and all packets since."""
        keyframe, newest = stream.get(stream.keyframe), stream.get(stream.newest)
        if (
            keyframe is None
            or newest is None
            or self.stream is stream
            or keyframe.ext_seq < self.map.carried(stream)
            or keyframe.payload_type not in self.entry.payload_types
            or newest.arrival - keyframe.arrival >= source.reach
            or newest.ext_seq - keyframe.ext_seq >= CATCH_UP_PACKETS
        ):
            return None
        if self.last is not None and source.timestamp_offset is not None:
            offset = source.timestamp_offset & _MASK32
            if self._no_earlier(keyframe.timestamp, offset) != offset:
                # The receiver has seen later pictures of the track.
                return None
        for ext_seq in range(keyframe.ext_seq, newest.ext_seq + 1):
            packet = stream.get(ext_seq)
            if packet is None:
                return None
            room -= len(packet.payload)
        return keyframe if room >= 0 else None

    def stop(self) -> None:
        """Carry nothing, at once."""
        self._withdraw()
        self._leave()

    def free_unsent(self) -> None:
        """Reuse the numbers of packets that will not be sent, except one."""
        if self.map.next_out > self.newest_sent + 2:
            self.map.rewind(self.newest_sent)
            self.last_seq = self.map.next_out - 1

    def forget(self, stream: RoutedStream) -> None:
        """Detach from a stream that leaves the table."""
        if self.pending is not None and self.pending.stream is stream:
            self._withdraw()
        if self.stream is stream:
            self._leave()
        self._former.discard(stream)

    def release_held(self, stream: RoutedStream) -> None:
        """Release the held keyframe of `stream`, since no packets will follow it."""
        if self.pending is not None and self.pending.stream is stream:
            self.pending.hold(None)

    def detach(self) -> None:
        """Leave the streams that the route has carried; it has been stopped and is being removed."""
        for stream in self._former:
            stream.former.remove(self)
        self._former.clear()

    def flips_from(self, packet: Packet, stream: RoutedStream) -> Packet | None:
        """Return the packet at which to flip to the pending source, whose `packet` is being processed; None for not
        yet.
        """
        pending = self.pending
        if pending is None:
            return None
        held = pending.held
        if held is not None and stream.get(held.ext_seq) is held:
            return self._flips_from_held(pending, held, packet, stream)
        pending.held = None
        if not self._may_begin(pending, packet, stream):
            return None
        if not self._holds(pending.source, packet, stream):
            return packet
        pending.hold(packet, waits=True)
        return None

    @staticmethod
    def _flips_from_held(pending: Pending, held: Packet, packet: Packet, stream: RoutedStream) -> Packet | None:
        is_late = packet.arrival - pending.held_since >= LONGEST_HOLD
        is_next = packet.ext_seq > held.ext_seq and packet.timestamp != held.timestamp
        if is_next and packet.is_keyframe and not pending.waits:
            return packet
        if is_next and packet.is_keyframe and not is_late:
            # The encoder spends its budget on keyframes again.
            pending.held = packet
            return None
        if is_late or packet.ext_seq - held.ext_seq >= HELD_PACKETS:
            return held
        may_flip = is_next or not pending.waits
        is_whole = may_flip and all(stream.get(ext_seq) for ext_seq in range(held.ext_seq, packet.ext_seq))
        return held if is_whole else None

    def _may_begin(self, pending: Pending, packet: Packet, stream: RoutedStream) -> bool:
        """Return True if `packet` of the pending source begins a frame that can be flipped to."""
        if packet.ext_seq < pending.floor:
            return False
        if self.stream is stream and packet.ext_seq < self.map.next_ext:
            # It already has its number, or a place that is kept for it.
            return False
        if pending.source.at_keyframe:
            return packet.is_keyframe
        # If only layers change, they do so at the beginning of a frame.
        return self.stream is not stream or self.last is None or packet.timestamp != self.last.timestamp

    def _holds(self, source: RouteSource, packet: Packet, stream: RoutedStream) -> bool:
        """Return True if the current stream continues beside the keyframe that begins with `packet`."""
        return (
            source.once_flowing
            and source.at_keyframe
            and source.timestamp_offset is not None
            and self.stream is not None
            and self.stream is not stream
            and packet.arrival - self.last_arrival < FLOWS
        )

    def flip(self, packet: Packet, stream: RoutedStream, current: Packet) -> None:
        """Make the pending source the current one from `packet` on, which may have arrived before the `current`
        packet.
        """
        pending = self.pending
        assert pending is not None
        source = pending.source
        self.pending = None
        self._target = Rewrite(max_temporal=source.max_temporal, max_spatial=source.max_spatial)
        if self.stream is stream:
            self._change_layers(packet)
            return
        self._leave()
        self.stream = stream
        picture_offset, tl0_offset = self._picture_offsets(packet)
        timestamp_offset, wanted = self._timestamp_offsets(packet, stream, current, source.timestamp_offset)
        if source.once_flowing or source.timestamp_offset is None:
            self._await_offset(wanted, timestamp_offset)
        rewrite = Rewrite(
            timestamp_offset,
            picture_offset,
            tl0_offset,
            source.max_temporal,
            source.max_spatial,
        )
        self.map.start(stream, packet.ext_seq, rewrite)
        self._filtered_timestamp = self._filtered_picture = -1

    def is_ahead(self, packet: Packet) -> bool:
        """Return True if `packet` begins a frame at which raised timestamps may fall back.

        If packets are missing before it, it may not be its frame's first, nor the one before it its frame's last.
        """
        return (
            self._wanted_offset is not None
            and packet.ext_seq == self.map.next_ext
            and self.last is not None
            and packet.timestamp != self.last.timestamp
        )

    @property
    def has_settled(self) -> bool:
        """True if timestamps have their intended offset."""
        return self._wanted_offset is None

    def fall_back(self, packet: Packet) -> Segment[RoutedStream]:
        """Raise timestamps only as far as necessary to keep them from going back."""
        segment, wanted = self.map.segment, self._wanted_offset
        assert segment is not None
        assert wanted is not None
        offset = self._no_earlier(packet.timestamp, wanted)
        self._await_offset(wanted, offset)
        return self.map.change(segment.rewrite._replace(timestamp_offset=offset))

    def _await_offset(self, wanted: int, offset: int) -> None:
        self._wanted_offset = wanted if offset != wanted else None

    def raise_layers(self, packet: Packet) -> Segment[RoutedStream]:
        """Carry the wanted higher layers if the packet begins a frame that refers to no filtered one."""
        segment = self.map.segment
        assert segment is not None
        rewrite = segment.rewrite
        temporal, spatial = rewrite.max_temporal, rewrite.max_spatial
        if temporal < packet.temporal <= self._target.max_temporal and packet.layer_sync:
            temporal = packet.temporal
        if packet.temporal <= temporal and packet.spatial <= spatial:
            temporal = max(temporal, min(packet.switch_temporal, self._target.max_temporal))
        if spatial < packet.spatial <= self._target.max_spatial and not packet.inter_picture:
            spatial = packet.spatial
        if packet.is_keyframe:
            temporal, spatial = self._target.max_temporal, self._target.max_spatial
        if (temporal, spatial) != (rewrite.max_temporal, rewrite.max_spatial):
            return self.map.change(rewrite._replace(max_temporal=temporal, max_spatial=spatial))
        return segment

    def lacks_layers(self, rewrite: Rewrite) -> bool:
        """Return True if fewer layers are carried than wanted."""
        return rewrite.max_temporal < self._target.max_temporal or rewrite.max_spatial < self._target.max_spatial

    def filter(self, packet: Packet) -> None:
        """Skip a packet of a layer that is not carried, without leaving a gap in the numbering."""
        # Packets missing between two packets of a filtered frame belong to that frame too.
        self.map.skip(packet.ext_seq, whole_gap=packet.closes or packet.timestamp == self._filtered_timestamp)
        self._filtered_timestamp = packet.timestamp
        segment = self.map.segment
        assert segment is not None
        # VP8 receivers wait for missing picture ids. In VP9 the distances between ids have a meaning and must stay.
        if packet.picture_id >= 0 and packet.is_compacted and packet.picture_id != self._filtered_picture:
            self._filtered_picture = packet.picture_id
            rewrite = segment.rewrite
            self.map.change(rewrite._replace(picture_offset=(rewrite.picture_offset - 1) & 0x7FFF))

    def note(self, packet: Packet, rewrite: Rewrite, out_seq: int) -> None:
        """Remember the newest packet in order, after which the next source continues."""
        self.last = packet
        self.last_rewrite = rewrite
        self.last_seq = out_seq
        self.last_timestamp = (packet.timestamp + rewrite.timestamp_offset) & _MASK32
        self.last_arrival = packet.arrival

    def may_retransmit(self, out_seq: int, now: int, min_interval: int) -> bool:
        """Return True if `out_seq` has not just been retransmitted, and note that it is now."""
        if self.retransmissions is None:
            self.retransmissions = [None] * RETRANSMISSIONS
        at = out_seq % RETRANSMISSIONS
        earlier = self.retransmissions[at]
        if earlier is not None and earlier[0] == out_seq and now - earlier[1] < min_interval:
            return False
        self.retransmissions[at] = (out_seq, now)
        return True

    def _change_layers(self, packet: Packet) -> None:
        segment = self.map.segment
        assert segment is not None
        rewrite = segment.rewrite
        temporal = min(rewrite.max_temporal, self._target.max_temporal)
        spatial = min(rewrite.max_spatial, self._target.max_spatial)
        if (temporal, spatial) != (rewrite.max_temporal, rewrite.max_spatial):
            self.map.change(rewrite._replace(max_temporal=temporal, max_spatial=spatial))
        self.raise_layers(packet)

    def _withdraw(self) -> None:
        pending = self.pending
        self.pending = None
        if pending is not None and pending.stream is not self.stream:
            pending.stream.routes.remove(self)

    def _leave(self) -> None:
        stream = self.stream
        self.stream = self._wanted_offset = None
        self.is_cut = False
        self.map.stop()
        if stream is None:
            return
        if self.pending is None or self.pending.stream is not stream:
            stream.routes.remove(self)
        for former in [former for former in self._former if self.map.carried(former) < 0]:
            self._former.remove(former)
            former.former.remove(self)
        if stream not in self._former and self.map.carried(stream) >= 0:
            self._former.add(stream)
            stream.former.append(self)

    def _picture_offsets(self, packet: Packet) -> tuple[int, int]:
        last = self.last
        if last is not None and last.frame_number >= 0 and packet.frame_number >= 0:
            # Streams are paced separately: a keyframe may arrive after later frames of the other and seem outdated.
            return (last.frame_number + self.last_rewrite.picture_offset + 1 - packet.frame_number) & 0xFFFF, 0
        if last is None or last.picture_id < 0 or packet.picture_id < 0:
            return 0, 0
        picture = last.picture_id + self.last_rewrite.picture_offset + 1
        tl0 = last.tl0 + self.last_rewrite.tl0_offset + 1
        has_tl0 = last.tl0 >= 0 and packet.tl0 >= 0
        return (picture - packet.picture_id) & 0x7FFF, (tl0 - packet.tl0) & 0xFF if has_tl0 else 0

    def _timestamp_offsets(
        self, first: Packet, stream: RoutedStream, current: Packet, wanted: int | None
    ) -> tuple[int, int]:
        """Return the offset of timestamps from `first` on, and the intended offset.

        The timestamp of `current` continues with the elapsed time. Frames before it get timestamps close together, so
        that receivers show them at once and do not stay behind.
        """
        if wanted is None and self.last is None:
            behind = min((current.timestamp - first.timestamp) & _MASK32, max(0, current.ext_seq - first.ext_seq))
            start = self.entry.first_timestamp
            return (start - first.timestamp) & _MASK32, (start + behind - current.timestamp) & _MASK32
        if wanted is None:
            clock_rate = stream.payloads[current.payload_type].clock_rate
            elapsed = max(0, current.arrival - self.last_arrival) * clock_rate // 1_000_000_000
            wanted = (self.last_timestamp + max(1, elapsed) - current.timestamp) & _MASK32
            return wanted if first is current else self._no_earlier(first.timestamp, wanted), wanted
        wanted &= _MASK32
        return wanted if self.last is None else self._no_earlier(first.timestamp, wanted), wanted

    def _no_earlier(self, timestamp: int, wanted: int) -> int:
        """Return the wanted offset, raised if `timestamp` would otherwise not follow the last one."""
        ahead = (timestamp + wanted - self.last_timestamp) & _MASK32
        if ahead == 0 or ahead >= 1 << 31:
            return (self.last_timestamp + 1 - timestamp) & _MASK32
        return wanted & _MASK32
