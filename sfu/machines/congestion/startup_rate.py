"""The first measured rate of a link, from the first pictures: a paced keyframe is a free probe.

libwebrtc probes at the start of a call with padding. A newcomer to an sfu gets a keyframe of every picture at once, so
there is media to measure with. Runs of packets sent back to back are treated as probe clusters. Unlike those they may
also lower the rate, if a queue grows until their end. This phase is over when two runs have filled the link, or after a
few seconds.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sfu.machines.congestion.send_history import PacketResult, SentKind

_GAP_NS = 20_000_000  # a machine with hundreds of newcomers cannot check each more often
_MIN_PACKETS = 8
_MIN_SPAN_NS = 10_000_000
_MAX_PACKETS = 32
_AGREEMENT = 1.5
_SATURATED = 0.9
_TARGET = 0.95
_MAX_RATIO = 2.0
_STANDS = 0.7  # of the run's longest delay: a receiver that was only busy has its longest delay earlier
_LASTS_NS = 3_000_000_000
_SOUND = (SentKind.AUDIO, SentKind.COPIED_AUDIO)


class StartupRun(NamedTuple):
    """A measured rate in bits/s. `fills`: the link was full; `grown` is the growth of its queue meanwhile (ns)."""

    rate: float
    fills: bool = False
    grown: int = 0


class StartupRate:
    """The start phase, fed with every result; `is_over` once it can tell nothing more."""

    def __init__(self) -> None:
        self.is_over = False
        self._began: int | None = None
        self._run: list[PacketResult] = []
        self._filled: StartupRun | None = None

    def update(self, results: Sequence[PacketResult], now: int) -> StartupRun | None:
        """Take results in order of sending; return the measurement of the newest run of packets, if it was long
        enough.
        """
        found = None
        for result in results:
            if result.kind in _SOUND or result.arrival is None:
                continue
            if self._began is None:
                self._began = now
            if self._run and not 0 <= result.sent - self._run[-1].sent <= _GAP_NS:
                self._run.clear()
            self._run.append(result)
            if len(self._run) == _MAX_PACKETS:
                found = self._confirm(self._measure()) or found
        found = self._confirm(self._measure()) or found
        if self._began is not None and (now - self._began >= _LASTS_NS or (found is not None and found.fills)):
            self.is_over = True
        return found

    def _confirm(self, run: StartupRun | None) -> StartupRun | None:
        """Return a run that filled the link only once two agree; a busy machine may have delayed a single one."""
        before, self._filled = self._filled, run if run is not None and run.fills else self._filled
        if run is None or not run.fills:
            return run
        if before is None or max(run.rate, before.rate) > _AGREEMENT * min(run.rate, before.rate):
            return None
        return StartupRun(max(run.rate, before.rate), fills=True, grown=run.grown + before.grown)

    def _measure(self) -> StartupRun | None:
        """Measure the run under way and begin the next."""
        run = self._run
        if len(run) < _MIN_PACKETS or run[-1].sent - run[0].sent < _MIN_SPAN_NS:
            return None
        self._run = []
        arrivals = [result.arrival for result in run if result.arrival is not None]
        receiving = max(arrivals) - min(arrivals)
        if receiving <= 0:
            return None
        size = sum(result.size for result in run)
        sent = (size - run[-1].size) * 8e9 / (run[-1].sent - run[0].sent)
        received = (size - run[0].size) * 8e9 / receiving
        if received > _MAX_RATIO * sent:
            return None
        if received >= _SATURATED * sent:
            return StartupRun(min(sent, received))
        delays = [arrival - result.sent for arrival, result in zip(arrivals, run, strict=True)]
        grown, longest = delays[-1] - delays[0], max(delays) - delays[0]
        return StartupRun(_TARGET * received, fills=grown > 0 and grown >= _STANDS * longest, grown=grown)
