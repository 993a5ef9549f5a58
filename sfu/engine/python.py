"""The engine in plain Python: the readable specification, which also runs if nothing was compiled."""

from collections.abc import Iterable, Mapping, Sequence

from sfu.engine.checks import Checks
from sfu.engine.contract import (
    Address,
    ConsentCheck,
    Datagram,
    Drop,
    Leftover,
    LeftoverKind,
    Outgoing,
    PeerEntry,
    Result,
    RouteEntry,
    RouteSource,
    RouteState,
    SrtpKeys,
    StreamEntry,
)
from sfu.engine.forwarding import Forwarder, is_silent
from sfu.engine.packet import Packet, equalise, playout_delay
from sfu.engine.peer_sender import MAX_COPIES, Layouts, PeerSender
from sfu.engine.reception import Peer, Reception
from sfu.engine.route import Route, RoutedStream
from sfu.engine.srtp import check_keys
from sfu.engine.tally import Tally
from sfu.formats import rtcp
from sfu.formats.congestion_feedback import CongestionFeedback
from sfu.formats.transport_feedback import TransportFeedback
from sfu.machines.congestion.feedback_analyser import FeedbackSummary, SentSummary
from sfu.machines.congestion.uplink_delay import UplinkWindow
from sfu.machines.repair.stream_progress import StreamProgress
from sfu.machines.repair.twcc_receiver import TwccReceiver


class PythonEngine:
    """See `sfu.engine.contract.Engine` and `SendSideObserver`."""

    name = "python"

    def __init__(self) -> None:
        self._peers: dict[int, Peer] = {}
        self._sources: dict[tuple[Address, int], Peer] = {}
        self._any_source: dict[int, Peer] = {}
        self._streams: dict[int, tuple[Peer, RoutedStream]] = {}
        self._routes: dict[int, Route] = {}
        self._layouts = Layouts()
        self._tally = Tally()
        self._runs = 0
        self._feedback_pace = 1
        self._spares_silence = False
        self._stray_limit = 0

    def set_peer(self, entry: PeerEntry) -> None:
        peer = self._peers.get(entry.peer)
        if peer is None:
            peer = self._peers[entry.peer] = Peer(entry.peer, PeerSender(self._tally, self._layouts))
        peer.extensions = dict(entry.receive_extensions)
        peer.sender.set_extensions(entry.send_extensions)

    def set_keys(self, peer: int, keys: SrtpKeys) -> None:
        check_keys(keys)
        self._peers[peer].set_keys(keys)

    def set_unprotected(self, peer: int) -> None:
        self._peers[peer].set_unprotected()

    def set_address(self, peer: int, destination: Address, local: int) -> None:
        sender = self._peers[peer].sender
        sender.destination = destination
        sender.local = local

    def answer_checks(self, peer: int, check: ConsentCheck | None) -> None:
        self._peers[peer].checks = Checks(check) if check is not None else None

    def checked_at(self, peer: int) -> int:
        checks = self._peers[peer].checks
        return checks.at if checks is not None else 0

    def admit_source(self, peer: int, source: Address, local: int) -> None:
        entry = self._peers[peer]
        self.dismiss_source(source, local)
        self._sources[(source, local)] = entry
        entry.sources.add((source, local))

    def dismiss_source(self, source: Address, local: int) -> None:
        entry = self._sources.pop((source, local), None)
        if entry is not None:
            entry.sources.discard((source, local))

    def admit_any(self, peer: int, local: int) -> None:
        self._any_source[local] = self._peers[peer]

    def dismiss_any(self, local: int) -> None:
        self._any_source.pop(local, None)

    def remove_peer(self, peer: int) -> None:
        entry = self._peers[peer]
        for route in list(entry.sender.routes.values()):
            self.remove_route(route.entry.route)
        for stream in set(entry.streams()):
            self.remove_stream(stream.entry.stream)
        for key in entry.sources:
            del self._sources[key]
        for local in [local for local, owner in self._any_source.items() if owner is entry]:
            del self._any_source[local]
        del self._peers[peer]

    def add_stream(self, entry: StreamEntry) -> None:
        peer = self._peers[entry.peer]
        for ssrc in (entry.ssrc, entry.rtx_ssrc):
            other = peer.ssrcs.get(ssrc) if ssrc is not None else None
            if other is not None and other[0].entry.stream != entry.stream:
                raise ValueError(f"peer {entry.peer} has SSRC {ssrc} under stream {other[0].entry.stream}")
        known = self._streams.get(entry.stream)
        if known is not None and (known[0] is not peer or known[1].entry.ssrc != entry.ssrc):
            self.remove_stream(entry.stream)
            known = None
        if known is None:
            stream = RoutedStream(entry, self._tally.overflows)
            self._streams[entry.stream] = (peer, stream)
        else:
            stream = known[1]
            peer.unregister(stream)
            stream.update(entry)
        peer.register(stream)

    def remove_stream(self, stream: int) -> None:
        peer, removed = self._streams.pop(stream)
        peer.unregister(removed)
        for route in {*removed.routes, *removed.former}:
            route.forget(removed)
        removed.clear()

    def progress(self, stream: int) -> StreamProgress:
        return self._streams[stream][1].progress

    def set_permitted(self, stream: int, permitted: bool) -> None:
        entry = self._streams[stream][1]
        entry.permitted = permitted
        if not permitted:
            entry.keyframe = -1
            for route in entry.routes:
                route.release_held(entry)

    def set_playout_delay(self, stream: int, delay: int | None) -> None:
        self._streams[stream][1].playout_delay = playout_delay(delay)

    def set_peer_playout_delay(self, peer: int, delay: int | None) -> None:
        self._peers[peer].sender.set_playout_delay(playout_delay(delay))

    def set_shed(self, stream: int, shed: bool) -> None:
        self._streams[stream][1].is_shed = shed

    def set_route(self, entry: RouteEntry) -> None:
        sender = self._peers[entry.peer].sender
        if not 0 <= entry.first_seq < 1 << 15:
            raise ValueError("a route's first seq must be below 2**15")
        known = self._routes.get(entry.route)
        other = sender.routes.get(entry.ssrc)
        if other is not None and other is not known:
            raise ValueError(f"peer {entry.peer} gets SSRC {entry.ssrc} from route {other.entry.route}")
        if known is not None and known.entry.peer == entry.peer and _same_ssrcs(known.entry, entry):
            known.entry = entry
            sender.update_route(known)
            return
        if known is not None:
            self.remove_route(entry.route)
        first_out = sender.first_index(entry.ssrc, entry.first_seq)
        first_rtx = sender.first_index(entry.rtx_ssrc, entry.first_seq) if entry.rtx_ssrc is not None else 0
        route = self._routes[entry.route] = Route(entry, first_out, first_rtx)
        sender.add_route(route)

    def switch_route(self, route: int, pending: RouteSource | None) -> bool:
        entry = self._routes[route]
        if pending is None:
            self._stop(entry)
            return False
        room = self._peers[entry.entry.peer].sender.room()
        return entry.switch(self._streams[pending.stream][1], pending, room)

    def remove_route(self, route: int) -> None:
        entry = self._routes.pop(route)
        self._stop(entry)
        entry.detach()
        self._peers[entry.entry.peer].sender.remove_route(entry)

    def _stop(self, route: Route) -> None:
        """Stop a route, and drop its packets that wait for the peer's budget."""
        route.stop()
        if self._peers[route.entry.peer].sender.forget_queued(route):
            route.free_unsent()

    def route_state(self, route: int) -> RouteState:
        return self._routes[route].state

    def payload(self, stream: int, ext_seq: int) -> tuple[int, bytes] | None:
        packet = self._streams[stream][1].get(ext_seq)
        return (packet.payload_type, packet.payload) if packet is not None and packet.payload else None

    def add_sink_route(self, stream: int, sink: int, handle: int) -> None:
        tapped = self._streams[stream][1]
        tapped.sinks = [entry for entry in tapped.sinks if entry[0] != sink]
        tapped.sinks.append((sink, handle))

    def remove_sink_route(self, stream: int, sink: int) -> None:
        tapped = self._streams[stream][1]
        if all(entry[0] != sink for entry in tapped.sinks):
            raise KeyError(sink)
        tapped.sinks = [entry for entry in tapped.sinks if entry[0] != sink]

    def set_budget(self, peer: int, bits_per_second: int | None) -> None:
        if bits_per_second is not None and bits_per_second <= 0:
            raise ValueError("a budget must be positive or None")
        self._peers[peer].sender.set_budget(bits_per_second)

    def copy_audio(self, peer: int, copies: int) -> None:
        if not 0 <= copies <= MAX_COPIES:
            raise ValueError(f"at most {MAX_COPIES} copies")
        self._peers[peer].sender.copies = copies

    def is_audio(self, datagram: Datagram) -> bool:
        peer = self._peer_of(datagram)
        data = datagram.data
        if peer is None or len(data) < 12 or data[0] >> 6 != 2:
            return False
        known = peer.ssrcs.get(int.from_bytes(data[8:12], "big"))
        return known is not None and known[0].is_audio

    def process(self, batch: Sequence[Datagram], now: int) -> Result:
        result = Result()
        reception = Reception(self._tally, result, self._stray_limit)
        for datagram in batch:
            self._tally.datagrams_in += 1
            self._tally.bytes_in += len(datagram.data)
            self._tally.overflows += datagram.dropped > 0
            reception.receive(datagram, self._peer_of(datagram))
        reception.tell()
        self._forward(reception.runs, result, now)
        return result

    def resubmit(self, leftovers: Sequence[Leftover], now: int) -> Result:
        result = Result()
        reception = Reception(self._tally, result, self._stray_limit)
        for leftover in leftovers:
            peer = self._peers.get(leftover.peer)
            if peer is not None and leftover.kind is LeftoverKind.EARLY:
                again = Datagram(leftover.data, leftover.source, leftover.local, leftover.arrival)
                reception.receive_protected(again, peer)
            elif peer is not None and leftover.kind is LeftoverKind.UNKNOWN_SSRC:
                reception.take_again(peer, leftover)
            else:
                self._tally.drop(Drop.UNKNOWN_SSRC)
        reception.tell()
        self._forward(reception.runs, result, now)
        return result

    def retransmit(self, peer: int, ssrc: int, seqs: Iterable[int], now: int, min_interval: int) -> list[Outgoing]:
        outgoing: list[Outgoing] = []
        self._peers[peer].sender.retransmit(ssrc, seqs, now, min_interval, outgoing)
        return outgoing

    def protect_rtcp(self, peer: int, compound: bytes) -> list[Outgoing]:
        return self._peers[peer].sender.protect_rtcp(compound)

    def acknowledge(self, peer: int, ssrc: int) -> None:
        acknowledger = self._peers[peer].acknowledger = TwccReceiver(ssrc)
        acknowledger.pace = self._feedback_pace

    def hide_queue(self, peer: int, hides: bool) -> None:
        acknowledger = self._peers[peer].acknowledger
        if acknowledger is not None:
            acknowledger.delay.hides = hides

    def take_uplinks(self) -> list[tuple[int, UplinkWindow]]:
        uplinks = []
        for number, peer in self._peers.items():
            if peer.acknowledger is not None:
                uplinks += [(number, window) for window in peer.acknowledger.windows]
                peer.acknowledger.windows.clear()
        return uplinks

    def leave_strays(self, limit: int) -> None:
        self._stray_limit = limit

    def spare_silence(self, spares: bool) -> None:
        self._spares_silence = spares

    def pace_feedback(self, pace: int) -> None:
        self._feedback_pace = pace
        for peer in self._peers.values():
            if peer.acknowledger is not None:
                peer.acknowledger.pace = pace

    def feedback(self, now: int) -> list[Outgoing]:
        outgoing: list[Outgoing] = []
        for peer in self._peers.values():
            for message in peer.acknowledger.due(now) if peer.acknowledger is not None else ():
                outgoing += peer.sender.protect_rtcp(rtcp.serialize([message]))
        return outgoing

    def next_feedback(self) -> int | None:
        times = (peer.acknowledger.timer() for peer in self._peers.values() if peer.acknowledger is not None)
        return min((at for at in times if at is not None), default=None)

    def release(self, now: int) -> list[Outgoing]:
        outgoing: list[Outgoing] = []
        for _, peer in sorted(self._peers.items()):
            if peer.sender.pacer is not None:
                peer.sender.release(now, outgoing)
        return outgoing

    def next_release(self) -> int | None:
        pacers = (peer.sender.pacer for peer in self._peers.values())
        waiting = [pacer.next_release for pacer in pacers if pacer is not None and not pacer.is_empty]
        return min(waiting, default=None)

    def report_sent(self, peer: int, wanted: bool) -> None:
        self._peers[peer].sender.report_sent(wanted)

    def claim(self, peer: int, cluster: int = -1) -> SentSummary:
        analyser = self._peers[peer].sender.analyser
        return analyser.claim(cluster) if analyser is not None else SentSummary(0, 0, 0, 0)

    def fold(self, peer: int, longest: int) -> None:
        sender = self._peers[peer].sender
        sender.folds = longest if sender.analyser is not None else 0

    def observe(
        self, peer: int, message: TransportFeedback | CongestionFeedback, now: int, *, whole: bool = False
    ) -> FeedbackSummary | None:
        analyser = self._peers[peer].sender.analyser
        return analyser.observe(message, now, whole=whole) if analyser is not None else None

    def pad(self, peer: int, size: int, now: int) -> list[Outgoing]:
        outgoing: list[Outgoing] = []
        self._peers[peer].sender.pad(size, now, outgoing)
        return outgoing

    def last_activity(self, peer: int) -> int:
        return self._peers[peer].last_activity

    @property
    def drops(self) -> Mapping[Drop, int]:
        return dict(self._tally.drops)

    @property
    def counters(self) -> Mapping[str, int]:
        return self._tally.counters

    @property
    def packets_in(self) -> int:
        return self._tally.packets_in

    def _peer_of(self, datagram: Datagram) -> Peer | None:
        return self._sources.get((datagram.source, datagram.local)) or self._any_source.get(datagram.local)

    def _forward(self, runs: dict[RoutedStream, list[Packet]], result: Result, now: int) -> None:
        forwarder = Forwarder(self._peers, self._tally, now, result)
        for stream, packets in runs.items():
            if not stream.is_audio:
                equalise(packets)
            self._runs += 1
            for index, packet in enumerate(packets):
                packet.run = self._runs
                packet.run_index = index
            if self._spares_silence and stream.is_audio and is_silent(stream, now):
                forwarder.leave_out(stream, packets)
            else:
                forwarder.forward(stream, packets)


def _same_ssrcs(left: RouteEntry, right: RouteEntry) -> bool:
    return (left.ssrc, left.rtx_ssrc) == (right.ssrc, right.rtx_ssrc)
