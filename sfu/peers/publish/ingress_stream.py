"""One SSRC of a publisher: what is to be asked of it (repairs, keyframes) and reported about it."""

from sfu.engine.contract import Arrival, ArrivalFlag
from sfu.formats.codecs import Codec
from sfu.formats.rtcp import Nack, Packet, PictureLoss, ReportBlock, SenderReport
from sfu.machines.repair.keyframe_requests import KeyframeRequests
from sfu.machines.repair.nack import GiveUp, NackGenerator
from sfu.machines.repair.receive_statistics import ReceiveStatistics
from sfu.machines.repair.red_reports import RedReports
from sfu.machines.repair.repair_budget import RepairBudget
from sfu.machines.repair.sender_reports import SourceClock
from sfu.peers.publish.nack_round_trip import NackRoundTrip

_RATE_WINDOW_NS = 1_000_000_000
_ACTIVE_NS = 2_000_000_000
_OWED_AGAIN_NS = 50_000_000
# Plain integers: an IntFlag's operators cost more than all else that happens to a packet here.
_DUPLICATE, _KEYFRAME = int(ArrivalFlag.DUPLICATE), int(ArrivalFlag.KEYFRAME)
_REPAIRED, _PADDING = int(ArrivalFlag.REPAIRED), int(ArrivalFlag.PADDING)
_RECOVERED, _OVERFLOWED = int(ArrivalFlag.RECOVERED), int(ArrivalFlag.OVERFLOWED)


class IngressStream:
    """State of one incoming stream; `number` is its id in the engine's table, `rid` its layer's name or "".

    `stalled` is set by the room, which sees the track's other layers. `after_keyframe` is whether no frame has come
    since the newest keyframe. `pixels` and `lines` (the shorter side, since phones are turned) are the size of its
    pictures as its last keyframe told it, 0 where that is not known. `cost` is what the room takes its bitrate for,
    `told_cost` what another node does, 0 where that is not known; `share` the part of it that comes here: less than 1
    where such a node was asked for lower layers only.
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
    ) -> None:
        self.number = number
        self.ssrc = ssrc
        self.codec = codec
        self.rid = rid
        self.pixels = self.lines = 0
        self.cost = self.told_cost = 0.0
        self.share = 1.0
        self.clock = SourceClock(clock_rate)
        self.bits_per_second = 0.0
        self.last_arrival = 0
        self.packets = 0
        self.frames = 0
        self.frame_rate = 0.0
        self.stalled = False
        self.after_keyframe = False
        self.plis_sent = 0
        self.oversize = 0
        self.fraction_lost = 0
        self.jitter = 0
        self._clock_rate = clock_rate
        self._red_reports = RedReports() if in_red else None
        self._nack_round_trip = nack_round_trip or NackRoundTrip()
        self._budget = budget or RepairBudget()
        self._nack = NackGenerator() if nacks else None
        self._statistics = ReceiveStatistics(ssrc, clock_rate)
        self._keyframes = None if codec.is_audio else KeyframeRequests()
        self._window_start = self._window_bytes = self._window_frames = 0
        self._timestamp = self._timestamp_before = -1
        self._timestamp_at = 0
        self._keyframe_owed_at: int | None = None

    def arrived(self, arrival: Arrival) -> bool:
        """Take a packet that the engine saw; whether `timer` may be earlier because of it."""
        flags = int(arrival.flags)
        if flags & _DUPLICATE or arrival.ext_seq < 0:
            return False
        self.packets += 1
        at = arrival.arrival
        keyframe = bool(flags & _KEYFRAME)
        missing = self._nack.missing if self._nack is not None else 0
        ours = bool(flags & _OVERFLOWED) and self.packets > 1 and arrival.ext_seq > self._statistics.highest + 1
        if ours and self._keyframes is not None and self._keyframe_owed_at is None:
            self._keyframe_owed_at = at
        if self._nack is not None:
            self._nack.received(arrival.ext_seq, at, keyframe, ours=ours)
        repaired = bool(flags & (_REPAIRED | _RECOVERED))
        if flags & _REPAIRED:
            self._nack_round_trip.retransmitted(self.number, arrival.ext_seq, at)
        self._statistics.received(arrival.ext_seq, at, arrival.timestamp, repaired=repaired, ours=ours)
        if keyframe and self._keyframes is not None:
            self._keyframes.keyframe(at)
            self._keyframe_owed_at = None
        self.after_keyframe = keyframe or (self.after_keyframe and arrival.timestamp == self._timestamp)
        if not repaired and arrival.timestamp != self._timestamp and not flags & _PADDING:
            self._timestamp_before = self._timestamp
            self._timestamp, self._timestamp_at = arrival.timestamp, at
            self.frames += 1
            self._window_frames += 1
        self._measure(at, arrival.size)
        return ours or (self._nack is not None and self._nack.missing > missing)

    def _measure(self, at: int, size: int) -> None:
        self.last_arrival = at
        self._window_bytes += size
        elapsed = at - self._window_start
        if elapsed >= _RATE_WINDOW_NS:
            is_whole = elapsed < 2 * _RATE_WINDOW_NS
            self.bits_per_second = self._window_bytes * 8e9 / elapsed if is_whole else 0.0
            self.frame_rate = self._window_frames * 1e9 / elapsed if is_whole else 0.0
            self._window_start = at
            self._window_bytes = self._window_frames = 0

    @property
    def measured_at(self) -> int:
        """The end of the window that `bits_per_second` and `frame_rate` measure."""
        return self._window_start

    def ended(self) -> None:
        """The publisher said goodbye to this SSRC (BYE); packets that come all the same revive it."""
        self.packets = 0
        self.bits_per_second = 0.0

    def active(self, now: int) -> bool:
        """Return True if packets have come lately, and as regularly as those of the track's other layers."""
        return self.packets > 0 and not self.stalled and now - self.last_arrival < _ACTIVE_NS

    def sender_report(self, report: SenderReport, arrival: int) -> SenderReport:
        """Take a report; returns it as it is meant."""
        last = self._timestamp if self._timestamp_at <= arrival else self._timestamp_before
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
        if self._nack is not None:
            nacks = self._budget.nacks
            missing = self._nack.due(now, self._nack_round_trip.smoothed, nacks.share(now))
            if missing:
                nacks.take(len(missing))
                self._nack_round_trip.asked(self.number, missing, now)
                packets.append(Nack(sender_ssrc, self.ssrc, tuple(seq & 0xFFFF for seq in missing)))
            if any(lost.reason in (GiveUp.TRIES, GiveUp.AGE, GiveUp.OVERFLOW) for lost in self._nack.given_up()):
                self.request_keyframe(now)
        if self._keyframe_owed_at is not None and now >= self._keyframe_owed_at:
            self._ask_for_owed_keyframe(now)
        if self._keyframes is not None and self._keyframes.due(now):
            self.plis_sent += 1
            packets.append(PictureLoss(sender_ssrc, self.ssrc))
        return packets

    def _ask_for_owed_keyframe(self, now: int) -> None:
        """After a loss of ours: those of a node that lost packets of all its streams come one by one."""
        if self._budget.keyframes.grant(1, now):
            self._keyframe_owed_at = None
            self.request_keyframe(now)
        else:
            self._keyframe_owed_at = now + _OWED_AGAIN_NS

    def report_block(self, now: int) -> ReportBlock | None:
        block = self._statistics.report_block(now)
        if block is not None:
            self.fraction_lost = block.fraction_lost
            self.jitter = block.jitter * 1_000_000_000 // self._clock_rate
        return block

    def timer(self) -> int | None:
        """Return when `feedback` has something next."""
        times = (
            self._nack.timer() if self._nack is not None else None,
            self._keyframes.timer() if self._keyframes is not None else None,
            self._keyframe_owed_at,
        )
        return min((at for at in times if at is not None), default=None)
