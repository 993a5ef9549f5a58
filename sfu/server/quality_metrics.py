"""Media quality of all live peers, as quantiles at the time of the scrape: round trips, loss, jitter, estimates.

Gathering it from hundreds of peers takes milliseconds, so it is done in slices, before the scrape is answered.

The label is `share`, since Prometheus reserves `quantile` for summaries.

They are quantiles, not histograms, since the question is how many calls are bad now; a room's figures are in logs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import GaugeMetricFamily, Metric

from sfu.peers.subscribe.subscribe_peer import SubscribePeer
from sfu.rooms.node import Node
from sfu.rooms.participant import Participant
from sfu.server.exposition import Pauses

QUANTILES = (0.5, 0.9, 0.99, 1.0)
LOW_QUANTILES = (0.0, 0.1, 0.5, 0.9)  # of figures for which small values are bad
_SECOND = 1e9


@dataclass(slots=True)
class _Figures:
    """Measurements of peers, in seconds, bits/s and shares; slots by kind and state."""

    round_trips: list[float] = field(default_factory=list)
    jitter: list[float] = field(default_factory=list)
    estimates: list[float] = field(default_factory=list)
    loss: dict[str, list[float]] = field(default_factory=lambda: {"in": [], "out": []})
    slots: dict[tuple[str, str], int] = field(
        default_factory=lambda: {(kind, state): 0 for kind in ("audio", "video") for state in ("shown", "waiting")}
    )

    def add(self, participant: Participant) -> None:
        if participant.publish is not None:
            live = [stream for stream in participant.publish.streams.values() if stream.packets]
            self.loss["in"] += [stream.fraction_lost / 256 for stream in live]
            self.jitter += [stream.jitter / _SECOND for stream in live]
        receiving = participant.subscription or participant.whep_player
        if receiving is not None:
            self._add_subscribe_peer(receiving.subscribe_peer)

    def _add_subscribe_peer(self, subscribe_peer: SubscribePeer) -> None:
        if subscribe_peer.round_trip.measured:
            self.round_trips.append(subscribe_peer.round_trip.smoothed / _SECOND)
        if subscribe_peer.bandwidth is not None:
            self.estimates.append(subscribe_peer.bandwidth.rate)
        for track in subscribe_peer.downtracks.values():
            if track.uptrack is not None:
                self.slots[track.kind, "waiting" if track.stream is None else "shown"] += 1
                self.loss["out"].append(track.fraction_lost / 256)


class QualityMetrics:
    """The quality of one node's media when it was last looked at."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._figures = _Figures()

    async def look(self, pauses: Pauses) -> None:
        """Gather the figures of everybody."""
        figures = _Figures()
        for room in list(self._node.rooms.values()):
            for participant in room.own():
                figures.add(participant)
                await pauses()
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        return _families(self._figures)


def _families(figures: _Figures) -> Iterator[Metric]:
    yield _family("parley_sfu_round_trip_seconds", "Round trips of subscribers", [({}, figures.round_trips)])
    yield _family("parley_sfu_jitter_seconds", "Interarrival jitter of published streams", [({}, figures.jitter)])
    links = ("parley_sfu_estimate_bytes_per_second", "Estimated bandwidth of subscribers' links")
    yield _family(*links, [({}, [rate / 8 for rate in figures.estimates])], LOW_QUANTILES)
    filled = GaugeMetricFamily(
        "parley_sfu_slots",
        "Slots of subscribers by state: carrying a stream, or without one that is sent or fits",
        labels=["kind", "state"],
    )
    for labels, value in figures.slots.items():
        filled.add_metric(labels, value)
    yield filled
    yield _family(
        "parley_sfu_loss_ratio",
        "Share of packets lost in the last report: in, from publishers; out, to subscribers",
        [({"direction": direction}, values) for direction, values in figures.loss.items()],
    )


def _family(
    name: str,
    meaning: str,
    groups: Iterable[tuple[dict[str, str], list[float]]],
    quantiles: tuple[float, ...] = QUANTILES,
) -> Metric:
    given = list(groups)
    family = GaugeMetricFamily(name, f"{meaning}, by quantile", labels=[*given[0][0], "share"])
    for labels, values in given:
        ordered = sorted(values) or [0.0]
        for quantile in quantiles:
            at = min(int(quantile * len(ordered)), len(ordered) - 1)
            family.add_metric([*labels.values(), f"{quantile:g}"], ordered[at])
    return family
