"""Sender reports of routes: the publisher's own clock mapping, carried over to each route.

A publisher's SR pairs its NTP clock with its RTP clock. A route's SR keeps the NTP side, so that audio and video of one
participant stay aligned at every subscriber, and shifts the RTP side by the route's timestamp offset. Both sides are
advanced by the time since the publisher's SR came, so a report may be sent at any moment.
"""

from sfu.formats.rtcp import SenderReport


class SourceClock:
    """The newest SR of one incoming stream."""

    def __init__(self, clock_rate: int) -> None:
        raise NotImplementedError

    def update(self, report: SenderReport, arrival: int) -> None:
        raise NotImplementedError

    @property
    def known(self) -> bool:
        """Whether an SR has come."""
        raise NotImplementedError

    def report(self, ssrc: int, timestamp_offset: int, packets: int, octets: int, now: int) -> SenderReport | None:
        """Return the SR of a route (its `ssrc`, offset and counts) at `now`; None before the publisher's first SR."""
        raise NotImplementedError

    def offset_to(self, other: "SourceClock") -> int | None:
        """Return how many RTP units to add to this stream's timestamps (mod 2**32) so that they continue `other`'s:
        equal NTP instants get equal timestamps. None unless both are known. Layers of one track align this way."""
        raise NotImplementedError
