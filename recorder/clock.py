"""Maps a stream's RTP timestamps to the sfu's monotonic clock: pure, used when a recording is finished.

A sender report contains the RTP clock's value when it was sent. Its arrival is an upper bound of that instant, because
the network can only delay it. A stream's map is therefore the line below the arrivals of all its reports that is
closest to them (Moon, Skelly, Towsley: "Estimation and removal of clock skew", 1999). Lines are fitted to ten minutes
each and joined, because clocks drift unevenly. If the streams of a participant clearly share an NTP clock, all their
reports are fitted to one map of that clock, which stabilises audio with its few reports.

An RTP clock may step: a browser counts the samples of a microphone, and while a busy machine delivers none, the count
stops. If the NTP clock and the arrivals agree with each other but not with the RTP clock, a new line begins.

Reports are claims; arrivals are facts. A report more than two seconds away from the frames of its stream is ignored,
and no map deviates further than that: a frame is captured before it arrives, but not long before. A stream without a
credible report uses the arrivals of its frames.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import NamedTuple

SECOND = 1_000_000_000
_WINDOW = 600 * SECOND
_MIN_POINTS = 4
_MIN_SPAN = 20 * SECOND
_MAX_SKEW = 0.005
_SAME_CLOCK = 80_000_000
_MAX_STEP = 50_000_000
_MAX_LAG = 2 * SECOND
_MAX_LEAD = SECOND // 10


class Report(NamedTuple):
    """A sender report: unwrapped RTP timestamp, NTP time (ns), arrival (ns, monotonic)."""

    timestamp: int
    ntp: int
    arrival: int


class StreamClock(NamedTuple):
    """Observations of one stream's clock.

    `anchors` are (unwrapped timestamp, arrival) of frames, at least of one, as if none were late (`lateness`).
    """

    clock_rate: int
    reports: Sequence[Report]
    anchors: Sequence[tuple[int, int]]


class _Claims(NamedTuple):
    """A stream's reports, split where its RTP clock stepped. `steady`: their NTP clock runs evenly."""

    pieces: Sequence[Sequence[Report]]
    steady: bool


class ClockMap:
    """A piecewise-linear map from timestamps to ns of the monotonic clock.

    Beyond its ends it continues at its mean rate. For a short map or one with steps that rate is meaningless, so it
    continues at rate 1.
    """

    def __init__(self, clock_rate: int, knots: Sequence[tuple[int, int]]) -> None:
        """`knots` are (ns of the RTP clock, ns of the monotonic clock), at least one, ascending."""
        self._clock_rate = clock_rate
        self._x = [x for x, _ in knots]
        self._y = [y for _, y in knots]
        self._run, self._rise = self._x[-1] - self._x[0], self._y[-1] - self._y[0]
        if self._run < _MIN_SPAN or abs(self._rise - self._run) > self._run * _MAX_SKEW:
            self._run, self._rise = 1, 1

    def at(self, timestamp: int) -> int:
        """Return the instant of a timestamp."""
        return self._at_ns(timestamp * SECOND // self._clock_rate)

    def _at_ns(self, x: int) -> int:
        i = bisect_right(self._x, x)
        if i in (0, len(self._x)):
            end = min(i, len(self._x) - 1)
            return self._y[end] + (x - self._x[end]) * self._rise // self._run
        x0, x1, y0, y1 = self._x[i - 1], self._x[i], self._y[i - 1], self._y[i]
        return y0 + (x - x0) * (y1 - y0) // (x1 - x0)


class FittedClock(NamedTuple):
    """The accepted clock of a stream. `problem` is a sentence about ignored reports, "" if none were ignored.

    `arrivals` maps through the arrivals of the stream's frames, and limits the result of `claimed`.
    """

    claimed: ClockMap
    arrivals: ClockMap
    problem: str

    def at(self, timestamp: int) -> int:
        """Return the instant of a timestamp: ns of the monotonic clock."""
        came = self.arrivals.at(timestamp)
        return min(max(self.claimed.at(timestamp), came - _MAX_LAG), came + _MAX_LEAD)


def fit(streams: Sequence[StreamClock]) -> list[FittedClock]:
    """Return the clock of each stream of one participant."""
    arrivals = [_through_arrivals(stream) for stream in streams]
    believed = [_believed(stream, came) for stream, came in zip(streams, arrivals, strict=True)]
    return [
        FittedClock(claimed, came, _problem(stream, claimed, came))
        for stream, claimed, came in zip(streams, _claimed(believed), arrivals, strict=True)
    ]


def _through_arrivals(stream: StreamClock) -> ClockMap:
    """Return the map through the arrivals of a stream's frames, which never runs backwards."""
    anchors = sorted((_ns(stream, timestamp), arrival) for timestamp, arrival in stream.anchors)
    return ClockMap(stream.clock_rate, _rising(anchors))


def _rising(knots: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the knots of a map that never runs backwards: each later than all before it, and no lower."""
    xs = [x for x, _ in knots]
    before = [xs[0] - 1, *accumulate(xs, max)]
    highest = accumulate((y for _, y in knots), max)
    return [(x, y) for x, y, last in zip(xs, highest, before, strict=False) if x > last]


def _believed(stream: StreamClock, arrivals: ClockMap) -> StreamClock:
    """Return the stream without the reports that contradict its frames."""
    reports = [r for r in stream.reports if abs(arrivals.at(r.timestamp) - r.arrival) <= _MAX_LAG]
    return stream._replace(reports=reports)


def _problem(stream: StreamClock, claimed: ClockMap, arrivals: ClockMap) -> str:
    reported = max((abs(arrivals.at(r.timestamp) - r.arrival) for r in stream.reports), default=0)
    came = max(arrival - claimed.at(timestamp) for timestamp, arrival in stream.anchors)
    if max(reported, came) <= _MAX_LAG:
        return ""
    seconds = max(reported, came) / SECOND
    return (
        f"its sender's clock was up to {seconds:.1f} s off the arrival of its frames; arrival times were used instead"
    )


def _claimed(streams: Sequence[StreamClock]) -> list[ClockMap]:
    """Return each stream's clock from its sender's reports, or otherwise from its frames' arrivals."""
    claims = [_claims(stream) for stream in streams]
    own = [_own_map(stream, claim) for stream, claim in zip(streams, claims, strict=True)]
    candidates = [i for i, claim in enumerate(claims) if claim.steady]
    if len(candidates) < 2:
        return own
    offsets = {i: _offset(streams[i], own[i]) for i in candidates}
    reference = max(candidates, key=lambda i: len(streams[i].reports))
    sharing = [i for i in candidates if abs(offsets[i] - offsets[reference]) <= _SAME_CLOCK]
    if len(sharing) < 2:
        return own
    shared = ClockMap(SECOND, line_below([(r.ntp, r.arrival) for i in sharing for r in streams[i].reports]))
    for i in sharing:
        own[i] = _through(streams[i], claims[i], shared)
    return own


def line_below(points: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the knots of the piecewise-linear map closest below `points` of (sent, arrived), ns each."""
    ordered = sorted(points)
    windows: list[list[tuple[int, int]]] = [[]]
    for point in ordered:
        if windows[-1] and point[0] - windows[-1][0][0] >= _WINDOW:
            windows.append([])
        windows[-1].append(point)
    if len(windows) > 1 and (len(windows[-1]) < _MIN_POINTS or windows[-1][-1][0] - windows[-1][0][0] < _MIN_SPAN):
        windows[-2].extend(windows.pop())
    knots: list[tuple[int, int]] = []
    for window in windows:
        first, last = window[0][0], window[-1][0]
        delay, skew = _line(window)
        knots.append((first, first + delay))
        if last > first:
            knots.append((last, last + delay + round(skew * (last - first))))
    return _rising(knots)


def _line(points: Sequence[tuple[int, int]]) -> tuple[int, float]:
    """Return (minimum delay at the first point, skew) of the line below: the hull's edge under the points' centre."""
    origin = points[0][0]
    delays = [(x - origin, y - x) for x, y in points]
    skew = 0.0
    if len(delays) >= _MIN_POINTS and delays[-1][0] >= _MIN_SPAN:
        centre = sum(x for x, _ in delays) / len(delays)
        hull = _lower_hull(delays)
        for (x0, d0), (x1, d1) in pairwise(hull):
            if x0 <= centre <= x1:
                skew = max(-_MAX_SKEW, min(_MAX_SKEW, (d1 - d0) / (x1 - x0)))
                break
    return min(d - round(skew * x) for x, d in delays), skew


def _lower_hull(points: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the lower convex hull of points sorted by x (Andrew's monotone chain), one point per x."""
    hull: list[tuple[int, int]] = []
    for point in points:
        if hull and hull[-1][0] == point[0]:
            if hull[-1][1] <= point[1]:
                continue
            hull.pop()
        while len(hull) >= 2 and _turns_down(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _turns_down(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) <= (b[1] - a[1]) * (c[0] - a[0])


def _claims(stream: StreamClock) -> _Claims:
    """Split a stream's reports where its RTP clock stepped but its NTP clock did not (which may be set)."""
    pieces: list[list[Report]] = [[]]
    steady = bool(stream.reports) and all(a.timestamp < b.timestamp for a, b in pairwise(stream.reports))
    for report in stream.reports:
        since = pieces[-1][0] if pieces[-1] else report
        media = (report.timestamp - since.timestamp) * SECOND // stream.clock_rate
        ntp, passed = report.ntp - since.ntp, report.arrival - since.arrival
        if abs(ntp - media) > _MAX_STEP + int(abs(media) * _MAX_SKEW):
            if abs(passed - ntp) < abs(passed - media):
                pieces.append([])
            else:
                steady = False
        pieces[-1].append(report)
    return _Claims(pieces, steady)


def _own_map(stream: StreamClock, claims: _Claims) -> ClockMap:
    if not stream.reports:
        return ClockMap(stream.clock_rate, line_below([(_ns(stream, t), arrival) for t, arrival in stream.anchors]))
    lines = [line_below([(_ns(stream, r.timestamp), r.arrival) for r in piece]) for piece in claims.pieces]
    return _joined(stream, claims, lines)


def _through(stream: StreamClock, claims: _Claims, shared: ClockMap) -> ClockMap:
    lines = [[(_ns(stream, r.timestamp), shared.at(r.ntp)) for r in piece] for piece in claims.pieces]
    return _joined(stream, claims, lines)


def _joined(stream: StreamClock, claims: _Claims, lines: Sequence[Sequence[tuple[int, int]]]) -> ClockMap:
    """Return the map along the lines of a stream's pieces.

    The reports do not show the frame at which the clock stepped; the arrivals of the frames between them do.
    """
    anchors = sorted(stream.anchors)
    knots = list(lines[0])
    for (before, after), line in zip(pairwise(claims.pieces), lines[1:], strict=True):
        begin = bisect_right(anchors, before[-1].timestamp, key=itemgetter(0))
        end = bisect_left(anchors, after[0].timestamp, key=itemgetter(0))
        knots += [(_ns(stream, timestamp), arrival) for timestamp, arrival in anchors[begin:end]]
        knots += line
    return ClockMap(stream.clock_rate, _rising(knots))


def _ns(stream: StreamClock, timestamp: int) -> int:
    return timestamp * SECOND // stream.clock_rate


def _offset(stream: StreamClock, own: ClockMap) -> int:
    """Return the lead of the monotonic clock over the stream's NTP clock, halfway through its reports."""
    report = stream.reports[len(stream.reports) // 2]
    return own.at(report.timestamp) - report.ntp
