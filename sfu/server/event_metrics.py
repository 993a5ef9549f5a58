"""Counters of events, as metrics: each name in `Context.counters` becomes a label of a family, or its own family."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily

_FAMILIES = (
    # The prefix of the names, the family, its text, and the label for the rest of the name.
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
    "retransmissions_over_budget": "Requested packets not sent again, since the budget for retransmissions was spent",
    "retransmissions_outdated": "Requested packets not sent again, since they would have arrived too late",
    "retransmissions_doubled": "Second and third copies of retransmissions, on lossy links",
    "uplinks_shared": "Times that other flows were seen to fill the queue of a publisher's uplink",
    "rtcp_malformed": "RTCP packets that could not be parsed",
    "packets_oversize": "RTP packets of plain senders too large to be forwarded",
    "packets_split": "RTP packets of plain senders that were cut before they were forwarded",
    "arrivals_overlooked": "Arrivals that policy had no time for",
    "leftovers_overlooked": "Packets for policy that were dropped from a full queue",
    "datagrams_for_nobody": "Packets of peers that had just closed",
    "tracks_without_slot": "Tracks not offered, since a described subscription had no slot left",
    "streams_renewed": "Pictures sent as another stream, since their receiver changed its codecs' parameters",
    "data_sent": "Messages of data channels that were passed on, counted per receiver",
    "data_channel_overflowed": "Reliable data channels closed, since their subscriber read too slowly",
    "first_state_awaited": "Participants who waited for their room's first desired state",
    "transcoder_restarts": "Restarts of the transcoder",
    "tcp_accepted": "ICE-TCP connections that were accepted",
    "tcp_accept_failed": "ICE-TCP connections that the kernel could not accept",
    "tcp_refused": "ICE-TCP connections refused, since too many were open",
    "tcp_idle_closed": "ICE-TCP connections closed to make room for others",
    "tcp_silent": "ICE-TCP connections closed, since nothing arrived",
    "tcp_not_ice": "ICE-TCP connections closed, since something other than ICE arrived",
}

NAMES = frozenset(f"parley_sfu_{name}" for name in [*_TEXTS, *(family for _, family, *_ in _FAMILIES)])


def collect(counters: Mapping[str, int]) -> Iterator[CounterMetricFamily]:
    """Return a metric for each known event, and for each other one that was counted."""
    families = {
        prefix: CounterMetricFamily(f"parley_sfu_{name}", text, labels=[label])
        for prefix, name, text, label in _FAMILIES
    }
    others = dict.fromkeys(_TEXTS, 0)
    samples = CounterMetricFamily(
        "parley_sfu_received_samples",
        "Samples of what subscribers receive, one a second each; bad: frozen video, audio with 10% loss",
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
