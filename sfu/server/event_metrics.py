"""Counters of events, as metrics: names of `Context.counters` become a family with a label, or one of their own."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily

_FAMILIES = (
    # Prefix of the names, the family, its text and the label that tells the rest of the name.
    ("stun_", "stun_refused", "STUN messages that were not accepted, by reason", "reason"),
    ("peer_", "peers_closed", "Peers that closed, by reason", "reason"),
    ("data_dropped_", "data_dropped", "Messages of data channels that were not passed on, by reason", "reason"),
    ("data_association_", "data_associations_closed", "Associations of data channels that broke, by reason", "reason"),
    ("tcp_dropped_", "tcp_dropped", "Datagrams dropped on ICE-TCP connections, by reason", "reason"),
    ("quic_", "quic", "Datagrams and connections of WebTransport, by outcome", "outcome"),
)
_SAMPLES = {f"{kind}_{state}_samples": (kind, state) for kind in ("audio", "video") for state in ("good", "bad")}
_TEXTS = {
    "nacks_sent": "Packets requested from publishers",
    "plis_sent": "Keyframes requested from publishers",
    "nacks_received": "Packets that subscribers requested",
    "plis_received": "Keyframes that subscribers requested",
    "retransmissions_over_budget": "Requested packets not sent again, since the budget of retransmissions was spent",
    "retransmissions_outdated": "Requested packets not sent again, since they would have come too late",
    "retransmissions_doubled": "Packets sent again twice, on links that lose many",
    "rtcp_malformed": "RTCP packets that could not be parsed",
    "packets_oversize": "RTP packets of plain senders too large to be forwarded",
    "packets_split": "RTP packets of plain senders that were cut before they were forwarded",
    "arrivals_overlooked": "Arrivals that policy had no time for",
    "leftovers_overlooked": "Packets for policy that were dropped from a full queue",
    "datagrams_for_nobody": "Packets of peers that had just gone",
    "tracks_without_slot": "Tracks not offered, since a described subscription had no slot left",
    "data_sent": "Messages of data channels that were passed on, for each receiver",
    "data_channel_overflowed": "Reliable data channels closed, since their subscriber read too slowly",
    "first_state_awaited": "Participants who waited for their room's first desired state",
    "transcoder_restarts": "Restarts of the transcoder",
    "tcp_accepted": "ICE-TCP connections that were accepted",
    "tcp_accept_failed": "ICE-TCP connections that the kernel could not give",
    "tcp_refused": "ICE-TCP connections refused, since too many were open",
    "tcp_idle_closed": "ICE-TCP connections closed to make room for others",
    "tcp_silent": "ICE-TCP connections closed, since nothing came",
    "tcp_not_ice": "ICE-TCP connections closed, since something other than ICE came",
}

NAMES = frozenset(f"parley_sfu_{name}" for name in [*_TEXTS, *(family for _, family, *_ in _FAMILIES)])


def collect(counters: Mapping[str, int]) -> Iterator[CounterMetricFamily]:
    """Return a metric for each event that is known, and for each further one that was counted."""
    families = {
        prefix: CounterMetricFamily(f"parley_sfu_{name}", text, labels=[label])
        for prefix, name, text, label in _FAMILIES
    }
    others = dict.fromkeys(_TEXTS, 0)
    samples = CounterMetricFamily(
        "parley_sfu_received_samples",
        "Looks at what subscribers receive, once a second each; bad: frozen video, sound that loses a tenth",
        labels=["kind", "state"],
    )
    for name, labels in _SAMPLES.items():
        samples.add_metric(labels, counters.get(name, 0))
    for name, value in sorted(counters.items()):
        if name in _SAMPLES:
            continue
        prefix = next((prefix for prefix in families if name.startswith(prefix)), None)
        if prefix is None:
            others[name] = value
        else:
            families[prefix].add_metric([name.removeprefix(prefix)], value)
    yield from families.values()
    yield samples
    for name, value in others.items():
        yield CounterMetricFamily(f"parley_sfu_{name}", _TEXTS.get(name, f"Events: {name}"), value=value)
