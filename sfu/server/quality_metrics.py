"""How media fares over all live peers, as quantiles at the time of the scrape: round trips, loss, jitter, estimates.

Quantiles instead of histograms: what is asked is how many are badly off now, and a room's own figures are in logs.
"""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from sfu.rooms.node import Node

QUANTILES = (0.5, 0.9, 0.99, 1.0)
LOW_QUANTILES = (0.0, 0.1, 0.5, 0.9)  # of what is bad when it is small
_SECOND = 1e9


def collect(node: Node) -> Iterator[Metric]:
    """Yield the families of one node."""
    round_trips: list[float] = []
    loss: dict[str, list[float]] = {"in": [], "out": []}
    jitter: list[float] = []
    estimates: list[float] = []
    slots = {(kind, state): 0 for kind in ("audio", "video") for state in ("shown", "waiting")}
    for participant in (each for room in node.rooms.values() for each in room.own()):
        if participant.publish is not None:
            live = [stream for stream in participant.publish.streams.values() if stream.packets]
            loss["in"] += [stream.fraction_lost / 256 for stream in live]
            jitter += [stream.jitter / _SECOND for stream in live]
        receiving = participant.subscription or participant.playback
        if receiving is not None:
            egress = receiving.egress
            if egress.round_trip.measured:
                round_trips.append(egress.round_trip.smoothed / _SECOND)
            if egress.bandwidth is not None:
                estimates.append(egress.bandwidth.rate)
            for track in egress.downtracks.values():
                if track.uptrack is not None:
                    slots[track.kind, "waiting" if track.stream is None else "shown"] += 1
            loss["out"] += [
                track.fraction_lost / 256 for track in egress.downtracks.values() if track.uptrack is not None
            ]
    yield _family("parley_sfu_round_trip_seconds", "Round trips of subscribers", [({}, round_trips)])
    yield _family("parley_sfu_jitter_seconds", "Interarrival jitter of published streams", [({}, jitter)])
    links = ("parley_sfu_estimate_bits_per_second", "What subscribers' links are taken to carry")
    yield _family(*links, [({}, estimates)], LOW_QUANTILES)
    filled = GaugeMetricFamily(
        "parley_sfu_slots",
        "Slots of subscribers by what they have: a stream, or none that is sent or fits",
        labels=["kind", "state"],
    )
    for labels, value in slots.items():
        filled.add_metric(labels, value)
    yield filled
    yield _family(
        "parley_sfu_loss_ratio",
        "Packets lost of the last report: in, from publishers; out, to subscribers",
        [({"direction": direction}, values) for direction, values in loss.items()],
    )


def _family(
    name: str,
    meaning: str,
    groups: Iterable[tuple[dict[str, str], list[float]]],
    quantiles: tuple[float, ...] = QUANTILES,
) -> Metric:
    given = list(groups)
    family = GaugeMetricFamily(name, f"{meaning}, by quantile", labels=[*given[0][0], "quantile"])
    for labels, values in given:
        ordered = sorted(values) or [0.0]
        for quantile in quantiles:
            at = min(int(quantile * len(ordered)), len(ordered) - 1)
            family.add_metric([*labels.values(), f"{quantile:g}"], ordered[at])
    return family
