"""Cuts: the parts of a recording in a film, and the mapping of its times to the recording's. All times are in ms."""

from collections.abc import Sequence

Span = tuple[int, int]


class Cuts:
    """`spans` are the parts to include, in order. Raises ValueError if nothing is left."""

    def __init__(self, ranges: Sequence[Span], duration_ms: int) -> None:
        wanted = ranges or [(0, duration_ms)]
        self.spans = [(start, min(end, duration_ms)) for start, end in wanted if start < min(end, duration_ms)]
        if not self.spans:
            raise ValueError("the ranges contain nothing of the recording")
        self.total_ms = sum(end - start for start, end in self.spans)

    def at(self, film_ms: float) -> float:
        """Return the time in the recording that is shown at a time of the film."""
        for start, end in self.spans:
            if film_ms < end - start:
                return start + film_ms
            film_ms -= end - start
        return self.spans[-1][1] - 1

    def within(self, start_ms: int, end_ms: int) -> list[Span]:
        """Return the spans of the film in which a span of the recording is shown."""
        found, before = [], 0
        for start, end in self.spans:
            first, last = max(start, start_ms), min(end, end_ms)
            if first < last:
                found.append((before + first - start, before + last - start))
            before += end - start
        return found

    def film_time(self, ms: int) -> int | None:
        """Return the time in the film of an instant of the recording, None if it is cut."""
        before = 0
        for start, end in self.spans:
            if start <= ms < end:
                return before + ms - start
            before += end - start
        return None
