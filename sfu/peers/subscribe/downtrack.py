"""One outgoing stream of a subscriber: a slot that points at an uptrack, and the engine's route for it."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sfu.api.signaling_values import WantedTrack
from sfu.engine.contract import Engine, RouteEntry, RouteSource
from sfu.formats.codecs import Codec
from sfu.formats.rtcp import SenderReport
from sfu.machines.negotiation.subscribe import OfferedSlot
from sfu.machines.repair.repeated_nacks import RepeatedNacks
from sfu.peers.context import Context
from sfu.peers.layers.layer_choice import choose_layer
from sfu.peers.layers.layer_options import ALL_LAYERS, Layer, name_of
from sfu.peers.publish.ingress_stream import REACH_NS, IngressStream
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.subscribe.slot_assignment import Wish

_EARLY_REPORTS = 5  # a second apart, to sync a track that begins
_LARGEST_BYTES, _HEADER_BYTES = 1200, 40
_LEAST_FRAMES, _LEAST_FRAME_RATE = 5, 8.0  # minimum for a picture with which audio is kept in sync
_MEASURED_PACKETS = 30
_CLOCK_RATES = {"audio": 48_000, "video": 90_000}


@dataclass(frozen=True, slots=True)
class SlotEncoding:
    """The agreed payload types of a slot's m-section: one per codec, and the RTX payload type of each."""

    payload_types: Mapping[Codec, int]
    rtx_payload_types: Mapping[int, int]


class DownTrack:
    """The sending side of the uptrack shown in a slot. `route` is its id in the engine's table."""

    def __init__(self, context: Context, peer: int, slot: OfferedSlot, *, managed: bool = True) -> None:
        """A `managed` video waits to be granted layers; others take the best that flows."""
        self.mid = slot.mid
        self.kind = slot.kind
        self.ssrc = slot.ssrc
        self.cname = slot.msid
        self.route = context.number()
        self.peer = peer
        self.uptrack: UpTrack | None = None
        self.wish: Wish | None = None
        self.publisher: PublishPeer | None = None
        self.stream: IngressStream | None = None
        self.encoding: SlotEncoding | None = None
        self.wanted = WantedTrack(track="")
        self.wanted_rid: str | None = None
        self.wanted_layer = ALL_LAYERS
        self.waiting = False
        self.granted: IngressStream | None = None
        self.layer = ALL_LAYERS
        self.paused = False
        self.repeated_nacks = RepeatedNacks()
        self.nacks = 0
        self.plis = 0
        self.fraction_lost = 0
        self.jitter = 0
        self._engine: Engine = context.engine
        self._touched = context.touched
        self._entry = _entry_of(slot, self.route, peer)
        self._in_table = False
        self._connected = False
        self._repairs_from = 0
        self._measured_packets = self._measured_octets = 0
        self._packet_size = _LARGEST_BYTES
        # Kept over switches and pauses, so that raised offsets do not add up.
        self._origin: int | None = None
        self.managed = managed
        self._needs_grant = managed and context.observer is not None and slot.kind == "video"
        self._may_begin = False
        self._has_begun = False
        self.early_reports = 0
        """The number of sender reports that should still come soon, since the track has just begun."""

    def can_carry(self, uptrack: UpTrack) -> bool:
        """Return True if the subscriber decodes the uptrack's codec, or has not answered yet."""
        return self.encoding is None or uptrack.codec in self.encoding.payload_types

    def agree(self, encoding: SlotEncoding, now: int) -> None:
        """Take the subscriber's agreement about this slot; its track starts, or starts again."""
        if encoding == self.encoding:
            return
        self.encoding = encoding
        if self.uptrack is not None:
            self._enter_table(self.uptrack)
            self.stream = None
            self.choose(now)

    def show(self, uptrack: UpTrack, publisher: PublishPeer, wanted: WantedTrack, now: int) -> None:
        """Point the slot at an uptrack."""
        self.clear()
        self.uptrack = uptrack
        self.wish = Wish(uptrack.shown_as, uptrack.participant)
        self.publisher = publisher
        self.wanted = wanted
        uptrack.watchers.add(self)
        if self.encoding is not None:
            self._enter_table(uptrack)
            self.choose(now)

    def clear(self) -> None:
        """Stop at once; numbering continues when the slot shows something again."""
        if self.uptrack is not None:
            self.uptrack.watchers.discard(self)
        if self._in_table:
            self._stop()
        self.uptrack = self.publisher = self.stream = self.wish = self.granted = self.wanted_rid = self._origin = None
        self.layer = self.wanted_layer = ALL_LAYERS
        self.waiting = self.paused = self._may_begin = self._has_begun = False
        self.early_reports = 0

    @property
    def layer_name(self) -> str:
        """The carried layer: a rid, the layers of one stream ("L1T3"), or both; "" if there is neither."""
        if self.uptrack is None or self.stream is None:
            return ""
        return f"{self.stream.rid} {name_of(self.uptrack.layers, self.layer)}".strip()

    @property
    def clock_rate(self) -> int:
        """The clock rate of outgoing RTP timestamps."""
        return self.uptrack.payload.clock_rate if self.uptrack is not None else _CLOCK_RATES[self.kind]

    @property
    def awaits_picture(self) -> bool:
        """True if nothing is carried until a keyframe arrives."""
        return self.stream is None or self.waiting

    @property
    def in_table(self) -> bool:
        """True if the engine knows its route."""
        return self._in_table

    def _enter_table(self, uptrack: UpTrack) -> None:
        assert self.encoding is not None
        ours = self.encoding.payload_types
        mapping = {
            number: ours[payload.codec] for number, payload in uptrack.media.payloads.items() if payload.codec in ours
        }
        self._engine.set_route(
            replace(self._entry, payload_types=mapping, rtx_payload_types=self.encoding.rtx_payload_types)
        )
        self._in_table = True

    def connect(self, now: int) -> None:
        """Start, now that the peer can receive. Any earlier, a keyframe would have been wasted."""
        self._connected = True
        self.choose(now)

    def choose(self, now: int) -> None:
        """Choose, or choose again, the layer to carry; a change waits for its keyframe."""
        if self.uptrack is None or not self._in_table or not self._connected:
            return
        if self.paused or (self._needs_grant and self.granted is None and not self._may_begin):
            return
        best = choose_layer(self.uptrack.streams, self.stream, now, self.granted)
        if best is not None and best is not self.stream:
            self._switch(best, now)

    def _switch(self, best: IngressStream, now: int, *, at_once: bool = False) -> None:
        """Carry `best` from its next keyframe on. With `at_once`, the current layer is dropped immediately."""
        # A change that is cancelled before it happens needs no keyframe: the current layer continues.
        stays = self.stream is not None and best is self._carried()
        source = self._source(best, self._offset_to(best), at_keyframe=self.kind == "video" and not stays)
        if at_once and not stays:
            self._stop()
        has_keyframe = self._engine.switch_route(self.route, source)
        self.stream = best
        self.waiting = True
        if not stays and not (has_keyframe and best.flows(now)):
            self._ask(now)

    def _source(self, stream: IngressStream, offset: int | None, *, at_keyframe: bool) -> RouteSource:
        carried = self._carried() if at_keyframe else None
        return RouteSource(
            stream.number,
            offset,
            at_keyframe,
            max_temporal=self.layer.temporal,
            max_spatial=self.layer.spatial,
            once_flowing=carried is not None,
            # Without alignment of the two layers, the engine cannot tell which of two pictures is later.
            reach=REACH_NS if offset is not None or not self._has_begun else 0,
        )

    def _carried(self) -> IngressStream | None:
        """Return the layer that the engine carries, which may not be the awaited one."""
        if self.uptrack is None:
            return None
        number = self._engine.route_state(self.route).stream
        return next((stream for stream in self.uptrack.streams if stream.number == number), None)

    @property
    def awaits_track(self) -> bool:
        """True if nothing has been decided yet about its track."""
        return self._needs_grant and self.granted is None and not self.paused

    def begin(self, now: int, *, fits: bool) -> None:
        """Allow, or not, the first stream of a track that has sent nothing yet, before there are layers to grant.

        Encoders begin with a keyframe, and not all of them send another when asked.
        """
        self._may_begin = fits
        self.choose(now)

    def grant(self, stream: IngressStream, now: int, *, at_once: bool, layer: Layer = ALL_LAYERS) -> None:
        """Allow this stream, up to a layer.

        `at_once`: the link is congested, so a higher layer must not continue until the keyframe.
        """
        self.paused = False
        self.granted = stream
        before = self.stream
        self._allow_layers(layer, now)
        if self.uptrack is None or not self._in_table or not self._connected:
            return
        lower = before is not None and before is not stream and before.bits_per_second > stream.bits_per_second
        if at_once and lower and stream.active(now):
            self._switch(stream, now, at_once=True)
        else:
            self.choose(now)

    def _allow_layers(self, layer: Layer, now: int) -> None:
        """Go down at the next frame. Go up in temporal layers at a frame that allows it, in spatial layers at a
        requested keyframe.
        """
        before, self.layer = self.layer, layer
        if layer == before or self.stream is None or not self._in_table:
            return
        is_other = self.waiting and self.stream is not self._carried()
        offset = self._offset_to(self.stream) if is_other else None
        self._engine.switch_route(self.route, self._source(self.stream, offset, at_keyframe=is_other))
        if layer.spatial > before.spatial:
            self._ask(now)

    def pause(self) -> None:
        """Send nothing until a layer is granted, since none fits."""
        if not self.paused and self._in_table:
            self._stop()
        self.paused = True
        self.granted = self.stream = None
        self.waiting = self._may_begin = False

    def resume(self, now: int) -> None:
        """Resume a paused audio track; grants decide about videos."""
        self.paused = False
        self.choose(now)

    def _stop(self) -> None:
        self._engine.switch_route(self.route, None)
        self._repairs_from = self._engine.route_state(self.route).last_seq + 1

    def still_useful(self, seqs: Sequence[int]) -> list[int]:
        """Return the NACK's `seqs` that were sent since the route was last stopped. Older ones are of no use: the next
        packets begin with a keyframe, and most of the older losses come from the congestion that stopped the route.
        """
        newest = self._engine.route_state(self.route).last_seq
        return [seq for seq in seqs if newest - ((newest - seq) & 0xFFFF) >= self._repairs_from]

    def packet_size(self) -> int:
        """Return the approximate size of recent packets, in bytes on the link."""
        state = self._engine.route_state(self.route)
        packets, octets = state.packets - self._measured_packets, state.octets - self._measured_octets
        if packets >= _MEASURED_PACKETS:
            self._packet_size = octets // packets + _HEADER_BYTES
            self._measured_packets, self._measured_octets = state.packets, state.octets
        return self._packet_size

    def _offset_to(self, best: IngressStream) -> int | None:
        """Align the layers of a track on its timeline, from their first reports on; before that, by elapsed time."""
        if self.uptrack is None or (aligned := self.uptrack.timeline.offset_of(best.clock)) is None:
            return None
        if self._origin is None:
            self._origin = self._found_origin(self.uptrack)
        return (self._origin + aligned) & 0xFFFF_FFFF if self._origin is not None else None

    def _found_origin(self, uptrack: UpTrack) -> int | None:
        """Return how far the carried stream is ahead of its track's timeline."""
        carried = self._carried()
        aligned = uptrack.timeline.offset_of(carried.clock) if carried is not None else None
        return self._engine.route_state(self.route).timestamp_offset - aligned if aligned is not None else None

    def stream_gone(self, number: int) -> None:
        """Note that a stream left the table."""
        if self.stream is not None and self.stream.number == number:
            self.stream = None

    def switched(self, stream: int) -> bool:
        """Note that the engine switched the route to `stream`; return True if the track begins with it."""
        if self.stream is None or self.stream.number != stream:
            return False
        begins = not self._has_begun
        if begins:
            self.early_reports = _EARLY_REPORTS
        self.waiting = False
        self._has_begun = True
        return begins

    def sender_report(self, now: int) -> SenderReport | None:
        """Return the SR to send now, on our NTP clock; None if nothing is carried or no SR has arrived.

        Also None for a picture with few frames or from a thin uplink, except on plain transports: receivers delay audio
        until the picture of the same time has arrived, and keep that delay when pictures stop.
        """
        if self.stream is None or self.publisher is None or self.waiting:
            return None
        if self.managed and self.kind == "video":
            is_choppy = self.stream.is_choppy(_LEAST_FRAMES, _LEAST_FRAME_RATE)
            if is_choppy or self.publisher.uplink.may_be_thin(now):
                return None
        state = self._engine.route_state(self.route)
        if state.stream != self.stream.number or state.packets == 0:
            return None
        report = self.stream.clock.report(self.ssrc, state.timestamp_offset, state.packets, state.octets, now)
        return replace(report, ntp=self.publisher.clock.to_own(report.ntp)) if report is not None else None

    def request_keyframe(self, now: int) -> None:
        """Pass on the subscriber's PLI or FIR; the stream throttles requests."""
        self.plis += 1
        self._ask(now)

    def _ask(self, now: int) -> None:
        if self.stream is not None and self.publisher is not None:
            self.stream.request_keyframe(now)
            self._touched.add(self.publisher.peer.number)


def _entry_of(slot: OfferedSlot, route: int, peer: int) -> RouteEntry:
    """Return the route of a slot without an agreement yet."""
    return RouteEntry(
        route,
        peer,
        slot.ssrc,
        {},
        secrets.randbelow(1 << 15),
        rtx_ssrc=slot.rtx_ssrc,
        mid=slot.mid,
        is_audio=slot.kind == "audio",
    )
