"""Prometheus metrics of the node, read at each scrape."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from sfu.api.fact_reporter import FactReporter
from sfu.engine.contract import Drop
from sfu.engine.pump import Pump
from sfu.machines.shedding import LAST_STEP
from sfu.server import event_metrics
from sfu.server.driver import Driver
from sfu.server.quality_metrics import QualityMetrics
from sfu.server.signaling_server import SignalingServer
from sfu.server.standalone_api import StandaloneApi


class NodeMetrics(Collector):
    """Collects metrics from the parts of one node."""

    def __init__(
        self,
        driver: Driver,
        pump: Pump,
        quality: QualityMetrics,
        *,
        signaling: SignalingServer,
        standalone: StandaloneApi,
        facts: FactReporter,
        fact_outcomes: Mapping[str, int],
        offloads: Mapping[str, Mapping[str, bool]],
    ) -> None:
        self._node = driver.node
        self._overload = driver.overload
        self._pump = pump
        self._quality = quality
        self._signaling = signaling
        self._standalone = standalone
        self._facts = facts
        self._fact_outcomes = fact_outcomes
        self._offloads = offloads

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._population()
        yield from self._media()
        yield from self._engine()
        yield from self._refusals()
        yield from self._sinks()
        yield from self._quality.collect()
        yield GaugeMetricFamily("parley_sfu_facts_waiting", "Facts not yet acknowledged", value=self._facts.waiting)
        outcomes = CounterMetricFamily("parley_sfu_facts", "Facts for control, by outcome", labels=["outcome"])
        for outcome, number in self._fact_outcomes.items():
            outcomes.add_metric([outcome], number)
        yield outcomes

    def _population(self) -> Iterator[Metric]:
        rooms = self._node.rooms.values()
        participants = sum(len(room.own()) for room in rooms)
        tracks = sum(len(room.uptracks) for room in rooms)
        yield GaugeMetricFamily("parley_sfu_rooms", "Live rooms", value=len(rooms))
        yield GaugeMetricFamily("parley_sfu_participants", "Participants in rooms", value=participants)
        yield GaugeMetricFamily("parley_sfu_tracks", "Published tracks", value=tracks)
        yield GaugeMetricFamily("parley_sfu_peers", "Peers", value=len(self._node.peers))
        yield GaugeMetricFamily("parley_sfu_sessions", "Signaling sockets", value=len(self._signaling))

    def _media(self) -> Iterator[Metric]:
        for name, value in self._pump.counters.items():
            yield CounterMetricFamily(f"parley_sfu_{name}", f"Media path: {name}", value=value)
        yield GaugeMetricFamily(
            "parley_sfu_shedding", f"Work left out under overload, 0 (none) to {LAST_STEP}", value=self._overload.step
        )
        shared = self._node.context.shared_port
        if shared is not None:
            yield CounterMetricFamily(
                "parley_sfu_handed_on", "Datagrams handed to the worker that they are for", value=shared.handed_on
            )
        waited = self._overload.waited / 1e9
        yield GaugeMetricFamily(
            "parley_sfu_standing_wait_seconds", "Shortest wait of any datagram read in the last window", value=waited
        )
        behind = self._overload.behind / 1e9
        yield GaugeMetricFamily(
            "parley_sfu_policy_wait_seconds", "Wait for policy at the last window's end", value=behind
        )
        buffers = self._pump.receive_buffers()
        yield GaugeMetricFamily("parley_sfu_receive_buffer_held_bytes", "Bytes waiting to be read", value=buffers.held)
        yield GaugeMetricFamily("parley_sfu_receive_buffer_bytes", "Size of the receive buffers", value=buffers.room)
        yield CounterMetricFamily(
            "parley_sfu_receive_buffer_drops", "Datagrams dropped from full receive buffers", value=buffers.dropped
        )
        marks = CounterMetricFamily(
            "parley_sfu_marked_datagrams", "Received datagrams with an ECN mark, by mark", labels=["mark"]
        )
        for mark, datagrams in self._pump.marks.items():
            marks.add_metric([mark], datagrams)
        yield marks
        offloads = GaugeMetricFamily(
            "parley_sfu_interface_offload",
            "Offloads of network cards at the node's start: 1 if on",
            labels=["interface", "feature"],
        )
        for interface, features in self._offloads.items():
            for feature, is_on in features.items():
                offloads.add_metric([interface, feature], is_on)
        yield offloads
        drops = CounterMetricFamily("parley_sfu_drops", "Packets dropped, by reason", labels=["reason"])
        engine, own = self._pump.drops, self._node.context.drops
        for reason in Drop:
            drops.add_metric([reason.name.lower()], engine.get(reason, 0) + own[reason])
        yield drops
        yield from event_metrics.collect(self._node.context.counters)

    def _engine(self) -> Iterator[Metric]:
        times = self._pump.times
        total = times.total / 1e9
        yield CounterMetricFamily("parley_sfu_engine_seconds", "Time spent forwarding, with the kernel", value=total)
        steps = HistogramMetricFamily("parley_sfu_engine_step_seconds", "Duration of a turn of forwarding")
        buckets = [("+Inf" if bound is None else str(bound / 1e9), float(count)) for bound, count in times.cumulative()]
        steps.add_metric([], buckets, total)
        yield steps

    def _refusals(self) -> Iterator[Metric]:
        signaling = CounterMetricFamily(
            "parley_sfu_signaling_refused", "Signaling requests refused, by reason", labels=["reason"]
        )
        for reason, value in sorted(self._signaling.refused.items()):
            signaling.add_metric([reason], value)
        yield signaling
        http = CounterMetricFamily("parley_sfu_http_refused", "WHIP and WHEP refusals, by reason", labels=["reason"])
        for reason, value in sorted(self._standalone.refused.items()):
            http.add_metric([reason], value)
        yield http

    def _sinks(self) -> Iterator[Metric]:
        records = GaugeMetricFamily("parley_sfu_sink_queue_records", "Records queued for a sink", labels=["sink"])
        size = GaugeMetricFamily("parley_sfu_sink_queue_bytes", "Bytes queued for a sink", labels=["sink"])
        for sink in self._node.sinks.attached.values():
            label = sink.purpose.name.lower()
            records.add_metric([label], len(sink.queue))
            size.add_metric([label], sink.queue.bytes)
        yield records
        yield size
        dropped = CounterMetricFamily("parley_sfu_sink_dropped", "Packets that a sink missed", labels=["sink"])
        for purpose, missed in self._node.sinks.dropped().items():
            dropped.add_metric([purpose.name.lower()], missed)
        yield dropped
        stalled = sum(room.taps.is_stalled for room in self._node.rooms.values())
        yield GaugeMetricFamily(
            "parley_sfu_recordings_stalled", "Running recordings that are not being stored", value=stalled
        )
        budget = self._node.sinks.replay_budget
        yield GaugeMetricFamily(
            "parley_sfu_replay_bytes", "Bytes kept until a recorder has them on disk", value=budget.bytes
        )
        yield CounterMetricFamily(
            "parley_sfu_replay_given_up",
            "Packets kept for a recorder and dropped for lack of memory",
            value=budget.given_up,
        )
        transcoding = self._node.transcoding
        yield GaugeMetricFamily("parley_sfu_converted_tracks", "Tracks being converted", value=len(transcoding))
        drops = CounterMetricFamily(
            "parley_sfu_transcoder_drops", "Packets that were not converted, by reason", labels=["reason"]
        )
        for reason, count in sorted(transcoding.drops.items()):
            drops.add_metric([reason], count)
        yield drops
        yield GaugeMetricFamily("parley_sfu_taps", "Streams copied to sinks", value=len(self._node.sinks.taps))
