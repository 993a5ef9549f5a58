"""Transport-wide feedback to a publisher: turns arrivals of its packets into messages (sfu.formats.transport_feedback).

This code runs in the Python engine, and is the specification of the compiled one.

A packet that arrives after it was reported missing is reported again in the next message, as in libwebrtc.

Messages leave out packets that we dropped ourselves under overload: one message ends before them and the next begins
after them. "Not received" would be taken for loss on the link and answered with a lower rate. "Received" needs a time,
and an invented one would be taken for the link's. libwebrtc counts packets that no message mentions as neither lost nor
arrived, and no longer as in flight once a later packet arrives.

Arrivals are told without what `UplinkDelay` hides of the delay.
"""

from typing import NamedTuple

from sfu.formats.transport_feedback import REFERENCE_NS, TICK_NS, TransportFeedback
from sfu.formats.unwrap import Unwrapper
from sfu.machines.congestion.uplink_delay import UplinkDelay, UplinkWindow

# A message about this many packets stays below 1100 bytes, whatever its pattern.
MAX_RECEIVED = 400
MAX_SPAN = 2000
EARLY_PACKETS = 200  # report at once when this many arrivals have gathered
MAX_PENDING = 4000
MAX_LATE = 1000
INTERVAL_NS = 50_000_000
_REFERENCE_MODULUS = 1 << 24


class _Came(NamedTuple):
    """A packet to report; `resumes`: we dropped the missing packets before it."""

    seq: int
    arrival: int
    resumes: bool


class TwccReceiver:
    """The feedback to one publishing peer. Arrivals are reported every `interval` ns, or earlier if many have gathered.

    It reports only every `pace` intervals while the node is overloaded. `windows` holds what policy has to know about
    the delay.
    """

    def __init__(self, sender_ssrc: int, *, interval: int = INTERVAL_NS) -> None:
        self._sender_ssrc = sender_ssrc
        self._interval = interval
        self._unwrapper = Unwrapper(16)
        self._media_ssrc = 0
        self._base: int | None = None  # the first seq without a report
        self._newest = -1
        self._pending: list[_Came] = []
        self._deadline: int | None = None
        self._feedback_count = 0
        self.pace = 1
        self.delay = UplinkDelay()
        self.windows: list[UplinkWindow] = []

    def received(
        self,
        transport_seq: int,
        arrival: int,
        media_ssrc: int,
        *,
        ours: bool = False,
        stamp: int | None = None,
        size: int = 0,
    ) -> bool:
        """Take the arrival (ns) of a packet with this 16-bit transport-wide seq, including duplicates and padding.

        `ours`: we dropped the missing packets right before it. `stamp` is its abs-send-time, `size` its bytes. Returns
        True if `timer` is earlier because of it.
        """
        seq = self._unwrapper.unwrap(transport_seq)
        if self._base is None:
            self._base = seq
        if seq < self._base - MAX_LATE or len(self._pending) >= MAX_PENDING:
            return False
        self.delay.received(stamp, arrival, size)
        before = self._deadline
        resumes = ours and seq > self._newest + 1 and self._newest >= 0
        self._newest = max(self._newest, seq)
        self._media_ssrc = media_ssrc
        self._pending.append(_Came(seq, arrival, resumes))
        if self._deadline is None:
            self._deadline = arrival + self._interval * self.pace
        elif len(self._pending) >= EARLY_PACKETS * self.pace:
            self._deadline = min(self._deadline, arrival)
        return self._deadline != before

    def due(self, now: int) -> list[TransportFeedback]:
        """Return the feedback to send now, oldest first."""
        if self._deadline is None or now < self._deadline or self._base is None:
            return []
        self._deadline = None
        came = self._told_times(self._in_order())
        messages = []
        start = min(self._base, came[0].seq)
        while came:
            if came[0].seq - start > MAX_SPAN or came[0].resumes:
                start = came[0].seq
            count = _fitting(came, start)
            messages.append(self._message(start, came[:count]))
            start = came[count - 1].seq + 1
            del came[:count]
        self._base = max(self._base, start)
        self._pending.clear()
        return messages

    def _in_order(self) -> list[_Came]:
        """Return the packets to report by seq, only the first of duplicates."""
        came: list[_Came] = []
        for entry in sorted(self._pending, key=lambda entry: entry.seq):
            if not came or came[-1].seq != entry.seq:
                came.append(entry)
        return came

    def _told_times(self, came: list[_Came]) -> list[_Came]:
        """Return the packets with the times of arrival to tell."""
        window = self.delay.end_window(max(entry.arrival for entry in came))
        if window is not None:
            self.windows.append(window)
        return [entry._replace(arrival=entry.arrival - self.delay.hidden(entry.arrival)) for entry in came]

    def timer(self) -> int | None:
        """Return when `due` has work next, or None."""
        return self._deadline

    def _message(self, start: int, came: list[_Came]) -> TransportFeedback:
        reference = came[0].arrival // REFERENCE_NS
        previous = reference * (REFERENCE_NS // TICK_NS)
        deltas: list[int | None] = [None] * (came[-1].seq - start + 1)
        for entry in came:
            tick = entry.arrival // TICK_NS
            deltas[entry.seq - start] = tick - previous
            previous = tick
        count = self._feedback_count
        self._feedback_count = (count + 1) & 0xFF
        half = _REFERENCE_MODULUS // 2
        return TransportFeedback(
            self._sender_ssrc,
            self._media_ssrc,
            start & 0xFFFF,
            (reference + half) % _REFERENCE_MODULUS - half,
            count,
            tuple(deltas),
        )


def _fitting(came: list[_Came], start: int) -> int:
    """Return the number of packets that one message can report from `start` on."""
    count = 1
    while count < min(len(came), MAX_RECEIVED) and came[count].seq - start < MAX_SPAN and not came[count].resumes:
        delta = came[count].arrival // TICK_NS - came[count - 1].arrival // TICK_NS
        if not -0x8000 <= delta <= 0x7FFF:
            break
        count += 1
    return count
