"""Transport-wide feedback to a publisher: arrivals of its packets to messages (sfu.formats.transport_feedback).

A packet that comes after it was reported missing is reported again by the next message, as libwebrtc does.

Of packets that we dropped ourselves for want of time nothing is said: a message ends before them and the next begins
after them. "Not received" would be taken for loss on the link and answered with a lower rate; "received" needs a time,
and any that we made up would be taken for the link's. libwebrtc counts what no message speaks of neither as lost nor as
arrived, and takes it off what is in flight when something sent later arrives.
"""

from sfu.formats.transport_feedback import REFERENCE_NS, TICK_NS, TransportFeedback
from sfu.machines.unwrap import Unwrapper

# A message about this many packets stays below 1100 bytes, whatever its pattern.
_MAX_RECEIVED = 400
_MAX_SPAN = 2000
_EARLY = 200  # report at once when so many arrivals have gathered
_MAX_PENDING = 4000
_MAX_LATE = 1000
_REFERENCE_MODULUS = 1 << 24


class TwccReceiver:
    """One per publishing peer. Arrivals are reported every `interval` ns, earlier when many have gathered.

    `pace` times as rarely where there is little time for it.
    """

    def __init__(self, sender_ssrc: int, *, interval: int = 50_000_000) -> None:
        self._sender_ssrc = sender_ssrc
        self._interval = interval
        self._unwrapper = Unwrapper(16)
        self._media_ssrc = 0
        self._base: int | None = None  # first seq that was not reported on
        self._newest = -1
        self._resumed: set[int] = set()  # of those pending: we dropped what is missing before them
        self._pending: dict[int, int] = {}
        self._deadline: int | None = None
        self._feedback_count = 0
        self.pace = 1

    def received(self, transport_seq: int, arrival: int, media_ssrc: int, *, ours: bool = False) -> bool:
        """Take the arrival (ns) of a packet with this 16-bit transport-wide seq, duplicates and padding included.

        `ours`: we dropped what is missing right before it. Return whether `timer` is earlier because of it.
        """
        seq = self._unwrapper.unwrap(transport_seq)
        if self._base is None:
            self._base = seq
        if seq < self._base - _MAX_LATE or len(self._pending) >= _MAX_PENDING:
            return False
        before = self._deadline
        if ours and seq > self._newest + 1 and self._newest >= 0:
            self._resumed.add(seq)
        self._newest = max(self._newest, seq)
        self._media_ssrc = media_ssrc
        self._pending.setdefault(seq, arrival)
        if self._deadline is None:
            self._deadline = arrival + self._interval * self.pace
        elif len(self._pending) >= _EARLY * self.pace:
            self._deadline = min(self._deadline, arrival)
        return self._deadline != before

    def due(self, now: int) -> list[TransportFeedback]:
        """Return the feedback to send now, oldest first."""
        if self._deadline is None or now < self._deadline or self._base is None:
            return []
        self._deadline = None
        seqs = sorted(self._pending)
        messages = []
        start = min(self._base, seqs[0])
        while seqs:
            if seqs[0] - start > _MAX_SPAN or seqs[0] in self._resumed:
                start = seqs[0]
            count = self._fitting(seqs, start)
            messages.append(self._message(start, seqs[:count]))
            start = seqs[count - 1] + 1
            del seqs[:count]
        self._base = max(self._base, start)
        self._pending.clear()
        self._resumed.clear()
        return messages

    def timer(self) -> int | None:
        """Return when `due` has work next, or None."""
        return self._deadline

    def _fitting(self, seqs: list[int], start: int) -> int:
        """Return how many of `seqs` one message from `start` on can report."""
        count = 1
        while count < min(len(seqs), _MAX_RECEIVED) and seqs[count] - start < _MAX_SPAN:
            delta = self._pending[seqs[count]] // TICK_NS - self._pending[seqs[count - 1]] // TICK_NS
            if not -0x8000 <= delta <= 0x7FFF or seqs[count] in self._resumed:
                break
            count += 1
        return count

    def _message(self, start: int, seqs: list[int]) -> TransportFeedback:
        reference = self._pending[seqs[0]] // REFERENCE_NS
        previous = reference * (REFERENCE_NS // TICK_NS)
        deltas: list[int | None] = [None] * (seqs[-1] - start + 1)
        for seq in seqs:
            tick = self._pending[seq] // TICK_NS
            deltas[seq - start] = tick - previous
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
