"""One SSRC of a publisher: requests for it (retransmissions, keyframes) and reports about it."""

from collections.abc import Sequence

from sfu.engine.contract import Arrival, ArrivalFlag, Progress
from sfu.formats.codecs import Codec
from sfu.formats.rtcp import Nack, Packet, PictureLoss, ReportBlock, SenderReport
from sfu.machines.repair.keyframe_requests import KeyframeRequests
from sfu.machines.repair.nack import GiveUp, NackGenerator
from sfu.machines.repair.receive_statistics import ReceiveStatistics
from sfu.machines.repair.red_reports import RedReports
from sfu.machines.repair.repair_budget import RepairBudget
from sfu.machines.repair.sender_reports import SourceClock
from sfu.machines.repair.stream_progress import StreamProgress
from sfu.machines.repair.thin_uplink import ThinUplink
from sfu.machines.repair.uplink_repairs import UplinkRepairs
from sfu.peers.publish.nack_round_trip import NackRoundTrip

REACH_NS = 2_000_000_000
"""The maximum age of a keyframe that a subscriber may begin with; after an older one, too many packets would follow."""
_FLOWS_NS = 200_000_000
_ACTIVE_NS = 2_000_000_000
_SCREEN_LAG_NS = 4_000_000_000
_OWED_AGAIN_NS = 50_000_000
_KEYFRAMES_NS = 500_000_000
_SPARING_KEYFRAMES_NS = 3_000_000_000  # a large one takes that long on an uplink of 500 kbit/s
_FUTILE_FROM = 4
_FUTILE_NS = 1_000_000_000
_FUTILE_KEYFRAMES_NS = 10_000_000_000
_FLOODED_FROM = 1 / 3
_FLOODED_PACKETS = 8
_TOGETHER_NS = 300_000_000  # libwebrtc's encoders make one keyframe of all layers in this time
# Plain integers: an IntFlag's operators are slow.
_KEYFRAME, _REPAIRED, _OVERFLOWED = int(ArrivalFlag.KEYFRAME), int(ArrivalFlag.REPAIRED), int(ArrivalFlag.OVERFLOWED)
_CUT, _RESUMED = int(ArrivalFlag.CUT), int(ArrivalFlag.RESUMED)
_NEEDS_KEYFRAME = (GiveUp.TRIES, GiveUp.AGE, GiveUp.OVERFLOW, GiveUp.THIN)


class IngressStream:
    """State of one incoming stream; `number` is its id in the engine's table, `rid` its layer's name or "".

    `progress` is the engine's count of what has arrived. `stalled` is set by the room, which sees the track's other
    layers. `pixels` and `lines` (the shorter side, since phones are turned) are the picture size in its last
    keyframe, 0 if unknown; it began to arrive at `keyframe_at`, -1 if none has. `cost` is its bitrate as measured
    by the room, `told_cost` by another node, 0 if unknown. `share` is the part of it that arrives here: less than 1
    if such a node was asked for lower layers only. `told_oversize` is the number of oversize packets already
    reported. `layers` are the streams of its track, which share their keyframes; if it `is_screen`, those of one
    picture may come seconds apart.
    """

    def __init__(
        self,
        number: int,
        ssrc: int,
        codec: Codec,
        clock_rate: int,
        *,
        rid: str = "",
        nacks: bool = True,
        in_red: bool = False,
        nack_round_trip: NackRoundTrip | None = None,
        budget: RepairBudget | None = None,
        uplink: ThinUplink | None = None,
        progress: Progress | None = None,
        layers: Sequence["IngressStream"] = (),
        is_screen: bool = False,
    ) -> None:
        self.number = number
        self.progress = progress or StreamProgress()
        self.ssrc = ssrc
        self.codec = codec
        self.rid = rid
        self.pixels = self.lines = 0
        self.cost = self.told_cost = 0.0
        self.share = 1.0
        self.clock = SourceClock(clock_rate)
        self.stalled = False
        self.keyframe_at = -1
        self.plis_sent = 0
        self.told_oversize = 0
        self.fraction_lost = 0
        self.jitter = 0
        self._clock_rate = clock_rate
        self._red_reports = RedReports() if in_red else None
        self._nack_round_trip = nack_round_trip or NackRoundTrip()
        self._budget = budget or RepairBudget()
        self._uplink = uplink or ThinUplink()
        self._uplink_repairs = None if codec.is_audio else UplinkRepairs()  # sound may displace pictures
        self._nack = NackGenerator() if nacks else None
        self._statistics = ReceiveStatistics(ssrc, self.progress)
        self._keyframes = None if codec.is_audio else KeyframeRequests(interval=_KEYFRAMES_NS)
        self._ended_packets = self._ended_measured = 0
        self._keyframe_owed_at: int | None = None
        self._owed_asked_at = -_TOGETHER_NS
        self._highest_then = self._received_then = 0  # of `progress`, as the last keyframe began
        self._flooded_until = 0
        self._layers = layers
        self._is_screen = is_screen
        self._was_unread = False

    def arrived(self, arrival: Arrival) -> bool:
        """Take a packet that the engine saw; return True if it may move `timer` forward."""
        flags, at, gap = int(arrival.flags), arrival.arrival, arrival.gap
        if flags & _CUT:  # told of already when it came
            self._keyframe_owed_at = self._keyframe_owed_at or at
            return True
        ours = gap > 0 and bool(flags & _OVERFLOWED)
        if ours and self._keyframes is not None and self._keyframe_owed_at is None and not self._was_unread:
            self._keyframe_owed_at = at
        if flags & _OVERFLOWED:
            self._was_unread = False
        if self._nack is not None and gap:
            self._nack.missed(arrival.ext_seq - gap, arrival.ext_seq, at, ours=ours)
        elif self._nack is not None:
            self._nack.came(arrival.ext_seq, at)
        if flags & _REPAIRED:
            self._nack_round_trip.retransmitted(self.number, arrival.ext_seq, at)
        if flags & _KEYFRAME and self._keyframes is not None:
            self._keyframes.keyframe(at)
            self._keyframe_owed_at = None
            self.keyframe_at = at
            self._highest_then, self._received_then = self.progress.highest, self.progress.received
        return gap > 0 or bool(flags & _RESUMED)

    @property
    def packets(self) -> int:
        """Packets that have arrived since the last BYE."""
        return self.progress.packets - self._ended_packets

    @property
    def bits_per_second(self) -> float:
        return 0.0 if self._has_no_rate else self.progress.bits_per_second

    @property
    def frame_rate(self) -> float:
        return 0.0 if self._has_no_rate else self.progress.frame_rate

    @property
    def temporal_layers(self) -> int:
        return self.progress.temporal_layers

    def is_choppy(self, frames: int, rate: float) -> bool:
        """Return True if it has had fewer than `frames` so far, or has fewer than `rate` a second."""
        return not self._has_no_rate and (self.progress.frames < frames or 0 < self.progress.frame_rate < rate)

    @property
    def _has_no_rate(self) -> bool:
        return self.progress.measured_at == self._ended_measured

    @property
    def last_arrival(self) -> int:
        return self.progress.last_arrival

    def ended(self) -> None:
        """Note that the publisher ended this SSRC (BYE); later packets revive it."""
        self._ended_packets, self._ended_measured = self.progress.packets, self.progress.measured_at

    def leave_unread(self) -> None:
        """Note that the stream is not read from now on, so a keyframe would be useless."""
        self._keyframe_owed_at = None
        if self._keyframes is not None:
            self._keyframes.cancel()

    def read_again(self) -> None:
        """Note that the stream was left unread on purpose until now; subscribers that want it will ask for a
        keyframe.
        """
        self._was_unread = True

    def active(self, now: int) -> bool:
        """Return True if packets have arrived lately, and as regularly as those of the track's other layers."""
        progress = self.progress
        arrival = progress.last_arrival
        if self._is_screen and now - arrival >= _ACTIVE_NS:
            newest = max((layer.progress.last_arrival for layer in self._layers), default=arrival)
            arrival = newest if newest - arrival < _SCREEN_LAG_NS else arrival
        return progress.packets > self._ended_packets and now - arrival < _ACTIVE_NS and not self.stalled

    def flows(self, now: int) -> bool:
        """Return True if the next packet is about to arrive, and subscribers that wait for it need not ask for a
        keyframe.
        """
        return now - self.progress.last_arrival < _FLOWS_NS

    def sender_report(self, report: SenderReport, arrival: int) -> SenderReport:
        """Take a report; return it corrected."""
        progress = self.progress
        last = progress.timestamp if progress.timestamp_at <= arrival else progress.timestamp_before
        if self._red_reports is not None and last >= 0:
            report = self._red_reports.meant(report, last)
        self.clock.update(report, arrival)
        self._statistics.sender_report(report, arrival)
        return report

    def request_keyframe(self, now: int) -> None:
        """Ask for a keyframe (video), throttled."""
        if self._keyframes is not None:
            self._keyframes.request(now)

    def feedback(self, sender_ssrc: int, now: int) -> list[Packet]:
        """Return the NACK and PLI that are due."""
        packets: list[Packet] = []
        if self._keyframes is not None:
            self._spare_uplink(self._keyframes, now)
        if self._nack is not None:
            missing = self._nack.due(now, self._nack_round_trip.smoothed, self._repairs_allowed(now))
            if missing:
                self._budget.nacks.take(len(missing))
                if self._uplink_repairs is not None:
                    self._uplink_repairs.take(len(missing))
                self._nack_round_trip.asked(self.number, missing, now)
                packets.append(Nack(sender_ssrc, self.ssrc, tuple(seq & 0xFFFF for seq in missing)))
            if any(lost.reason in _NEEDS_KEYFRAME for lost in self._nack.given_up()):
                self.request_keyframe(now)
        if self._keyframe_owed_at is not None and now >= self._keyframe_owed_at:
            self._ask_for_owed_keyframe(now)
        if self._keyframes is not None and self._keyframes.due(now):
            self.plis_sent += 1
            packets.append(PictureLoss(sender_ssrc, self.ssrc))
        return packets

    def _repairs_allowed(self, now: int) -> int:
        """Return how many packets the node's budget and the stream's uplink allow to request."""
        allowed = self._budget.nacks.share(now)
        if self._uplink_repairs is None:
            return allowed
        return min(allowed, self._uplink_repairs.allowed(self.progress.received))

    def _spare_uplink(self, keyframes: KeyframeRequests, now: int) -> None:
        """Have a picture on a thin uplink go without repairs, and on a thin or flooded one with few keyframes. Ask
        seldom for those of a layer that is not sent: browsers then make keyframes of the track's other layers.
        """
        is_thin = self._uplink.is_thin(now)
        is_futile = keyframes.unanswered >= _FUTILE_FROM and now - self.progress.last_arrival >= _FUTILE_NS
        keyframes.interval = _FUTILE_KEYFRAMES_NS if is_futile else _KEYFRAMES_NS
        if self._loses_much:
            self._flooded_until = now + _SPARING_KEYFRAMES_NS
        if is_thin or now < self._flooded_until:
            keyframes.interval = max(keyframes.interval, _SPARING_KEYFRAMES_NS)
        if is_thin and self._nack is not None:
            self._nack.give_up_all(GiveUp.THIN)

    @property
    def _loses_much(self) -> bool:
        """True if much of what was sent since the last keyframe is lost: a new one, as large, would be lost, too, with
        all that is sent beside it.
        """
        sent = self.progress.highest - self._highest_then
        received = self.progress.received - self._received_then
        return self.keyframe_at >= 0 and sent >= _FLOODED_PACKETS and sent - received > sent * _FLOODED_FROM

    def _ask_for_owed_keyframe(self, now: int) -> None:
        """Ask for a keyframe after a loss of our own; a node that lost packets of all its streams spreads its
        requests.
        """
        is_made_anyway = any(now - layer._owed_asked_at < _TOGETHER_NS for layer in self._layers)
        if is_made_anyway or self._budget.keyframes.grant(1, now):
            if not is_made_anyway:
                self._owed_asked_at = now
            self._keyframe_owed_at = None
            self.request_keyframe(now)
        else:
            self._keyframe_owed_at = now + _OWED_AGAIN_NS

    def report_block(self, now: int) -> ReportBlock | None:
        block = self._statistics.report_block(now)
        self.fraction_lost = block.fraction_lost if block is not None else 0
        if block is not None:
            self.jitter = block.jitter * 1_000_000_000 // self._clock_rate
        return block

    def timer(self) -> int | None:
        """Return when `feedback` next has something to send, in ns."""
        times = (
            self._nack.timer() if self._nack is not None else None,
            self._keyframes.timer() if self._keyframes is not None else None,
            self._keyframe_owed_at,
        )
        return min((at for at in times if at is not None), default=None)
