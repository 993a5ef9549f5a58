"""How media fares over all live peers, as quantiles at the time of the scrape: round trips, loss and jitter.

Quantiles instead of histograms: what is asked is how many are badly off now, and a room's own figures are in logs.
"""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from sfu.rooms.node import Node

QUANTILES = (0.5, 0.9, 0.99, 1.0)
_SECOND = 1e9


def collect(node: Node) -> Iterator[Metric]:
    """Yield the families of one node."""
    round_trips: list[float] = []
    loss: dict[str, list[float]] = {"in": [], "out": []}
    jitter: list[float] = []
    for participant in (each for room in node.rooms.values() for each in room.participants.values()):
        if participant.publish is not None:
            live = [stream for stream in participant.publish.streams.values() if stream.packets]
            loss["in"] += [stream.fraction_lost / 256 for stream in live]
            jitter += [stream.jitter / _SECOND for stream in live]
        receiving = participant.subscription or participant.playback
        if receiving is not None:
            egress = receiving.egress
            if egress.round_trip.measured:
                round_trips.append(egress.round_trip.smoothed / _SECOND)
            loss["out"] += [
                track.fraction_lost / 256 for track in egress.downtracks.values() if track.uptrack is not None
            ]
    yield _family("parley_sfu_round_trip_seconds", "Round trips of subscribers", [({}, round_trips)])
    yield _family("parley_sfu_jitter_seconds", "Interarrival jitter of published streams", [({}, jitter)])
    yield _family(
        "parley_sfu_loss_ratio",
        "Packets lost of the last report: in, from publishers; out, to subscribers",
        [({"direction": direction}, values) for direction, values in loss.items()],
    )


def _family(name: str, meaning: str, groups: Iterable[tuple[dict[str, str], list[float]]]) -> Metric:
    given = list(groups)
    family = GaugeMetricFamily(name, f"{meaning}, by quantile", labels=[*given[0][0], "quantile"])
    for labels, values in given:
        ordered = sorted(values) or [0.0]
        for quantile in QUANTILES:
            at = min(int(quantile * len(ordered)), len(ordered) - 1)
            family.add_metric([*labels.values(), f"{quantile:g}"], ordered[at])
    return family
