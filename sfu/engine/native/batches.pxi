# Batches and other calls that turn bytes into bytes, and their results as Python objects.


@cython.no_gc_clear
cdef class BatchEngine(EngineTable):
    """The part of `sfu.engine.contract.Engine` that handles packets."""

    def is_audio(self, datagram):
        cdef sockaddr_storage address
        cdef unsigned size
        cdef Peer *peer
        cdef Ssrc *known
        cdef bytes data = datagram.data
        if len(data) < 12 or <uint8_t>data[0] >> 6 != 2 or not write_address(datagram.source, &address, &size):
            return False
        peer = self._peer_of(&address, datagram.local)
        known = ssrc_of(peer, load32(<const uint8_t *>PyBytes_AS_STRING(data) + 8)) if peer != NULL else NULL
        return known != NULL and known.stream.is_audio

    def process(self, batch, int64_t now):
        cdef int filled = 0
        cdef Slot *slot
        cdef bytes data
        cdef unsigned size
        result = Result()
        chunk = []
        self.state.now = now
        self.state.stray_room = self.state.stray_limit
        for datagram in batch:
            slot = &self.state.slots[filled]
            data = datagram.data
            slot.size = <int>len(data)
            memcpy(slot.data, <const uint8_t *>data, min(len(data), SLOT_BYTES))
            slot.local = datagram.local
            slot.arrival = datagram.arrival
            slot.dropped = datagram.dropped
            slot.peer = NULL
            if write_address(datagram.source, &slot.address, &size):
                slot.peer = self._peer_of(&slot.address, slot.local)
            chunk.append(datagram)
            filled += 1
            if filled == SLOT_COUNT:
                self._receive(filled)
                self._collect_leftovers(result, chunk)
                filled = 0
                chunk = []
        self._receive(filled)
        self._collect_leftovers(result, chunk)
        self._finish(result)
        return result

    def resubmit(self, leftovers, int64_t now):
        cdef PeerHandle handle
        result = Result()
        self.state.now = now
        for leftover in leftovers:
            handle = self.peers.get(leftover.peer)
            if handle is not None and leftover.kind is LeftoverKind.EARLY:
                self._receive_again(handle, leftover, leftover.data)
                self._collect_leftovers(result, [leftover])
            elif handle is not None and leftover.kind is LeftoverKind.UNKNOWN_SSRC:
                self._take_again(handle, leftover, leftover.data)
            else:
                drop(&self.state, DROP_UNKNOWN_SSRC)
        self._finish(result)
        return result

    cdef int _take_again(self, PeerHandle handle, leftover, bytes data) except -1:
        """Process an UNKNOWN_SSRC leftover."""
        cdef Ssrc *known
        cdef Packet *packet
        if len(data) > PACKET_BYTES_MAX or not header_parses(<const uint8_t *>data, <int>len(data)):
            drop(&self.state, DROP_MALFORMED)
            return 0
        known = ssrc_of(handle.peer, load32(<const uint8_t *>PyBytes_AS_STRING(data) + 8))
        if known == NULL:
            drop(&self.state, DROP_UNKNOWN_SSRC)
            return 0
        packet = packet_new(&self.state, <int>len(data) + EQUALISING_MAX)
        if packet == NULL:
            raise MemoryError
        memcpy(packet.data, <const uint8_t *>data, len(data))
        take(&self.state, handle.peer, known, packet, <int>len(data), leftover.arrival)
        packet_release(&self.state, packet)
        return 0

    cdef int _receive_again(self, PeerHandle handle, leftover, bytes data) except -1:
        """Process an EARLY leftover; no slot is in use between batches."""
        cdef Slot *slot = &self.state.slots[0]
        cdef unsigned size
        if len(data) > PACKET_BYTES_MAX:
            drop(&self.state, DROP_MALFORMED)
            return 0
        slot.size = <int>len(data)
        memcpy(slot.data, <const uint8_t *>data, len(data))
        slot.local = leftover.local
        slot.arrival = leftover.arrival
        slot.dropped = 0
        slot.peer = handle.peer
        write_address(leftover.source, &slot.address, &size)
        receive_protected(&self.state, 0)
        return 0

    def retransmit(self, peer, ssrc, seqs, int64_t now, int64_t min_interval):
        cdef PeerHandle handle = self.peers[peer]
        cdef RouteHandle route = None
        cdef RouteHandle entry
        for entry in handle.routes.values():
            if entry.route.ssrc == <uint32_t>ssrc:
                route = entry
        if route is None:
            raise KeyError(ssrc)
        self.state.now = now
        for seq in seqs:
            repeat(&self.state, route.route, <int>seq & 0xFFFF, min_interval)
        return self._collect_output()

    def protect_rtcp(self, peer, bytes compound):
        if not 8 <= len(compound) <= PACKET_BYTES_MAX:
            raise ValueError("an RTCP compound packet has 8 to 1500 bytes")
        self._protect_rtcp(self.peers[peer], compound, <int>len(compound))
        return self._collect_output()

    cdef int _protect_rtcp(self, PeerHandle handle, const uint8_t *compound, int size) except -1:
        """Protect a compound packet for the peer; it is sent along with other output."""
        cdef uint8_t *out
        if not handle.peer.has_keys:
            drop(&self.state, DROP_NO_KEYS)
            return 0
        if not handle.peer.has_destination:
            drop(&self.state, DROP_NO_ADDRESS)
            return 0
        out = reserve_output(&self.state)
        if out == NULL:
            raise MemoryError
        index = self._next_rtcp_index(handle, compound[4:8])
        size = protect_rtcp_packet(&handle.peer.send, compound, size, index, out)
        if size < 0:
            raise ValueError("libcrypto cannot protect RTCP")
        commit_output(&self.state, handle.peer, size, False)
        return 0

    def _next_rtcp_index(self, PeerHandle handle, bytes sender):
        index = handle.rtcp_indexes.get(sender, 0) + 1
        handle.rtcp_indexes[sender] = index
        return index & 0x7FFFFFFF

    def acknowledge(self, peer, ssrc):
        cdef Peer *entry = (<PeerHandle>self.peers[peer]).peer
        acknowledger_free(entry.acknowledger)
        entry.acknowledger = <Acknowledger *>calloc(1, sizeof(Acknowledger))
        if entry.acknowledger == NULL:
            raise MemoryError
        entry.acknowledger.ssrc = ssrc

    def hide_queue(self, peer, bint hides):
        cdef Acknowledger *entry = (<PeerHandle>self.peers[peer]).peer.acknowledger
        if entry != NULL:
            entry.delay.hides = hides

    def take_uplinks(self):
        uplinks, self.uplinks = self.uplinks, []
        return uplinks

    def leave_strays(self, int limit):
        self.state.stray_limit = limit

    def spare_silence(self, bint spares):
        self.state.spares_silence = spares

    def pace_feedback(self, int pace):
        self.state.feedback_pace = pace

    def feedback(self, int64_t now):
        self._acknowledge(now)
        return self._collect_output()

    cdef int _acknowledge(self, int64_t now) except -1:
        cdef PeerHandle handle
        cdef Acknowledger *entry
        self.state.acknowledges = False
        for handle in self.peers.values():
            entry = handle.peer.acknowledger
            if entry == NULL or not entry.is_due:
                continue
            if entry.deadline <= now:
                entry.is_due = False
                self._report_arrivals(handle)
            elif not self.state.acknowledges or entry.deadline < self.state.feedback_at:
                self.state.acknowledges = True
                self.state.feedback_at = entry.deadline
        return 0

    cdef int _report_arrivals(self, PeerHandle handle) except -1:
        cdef uint8_t message[PACKET_BYTES_MAX]
        cdef Acknowledger *entry = handle.peer.acknowledger
        cdef int count = pending_in_order(entry)
        cdef int done = 0, size
        cdef UplinkRecord window
        cdef int64_t start = min(entry.base, (<Acknowledged *>entry.pending.items).seq)
        if told_arrivals(entry, count, &window):
            self.uplinks.append((handle.peer.peer, UplinkWindow(window.until, window.queueing, window.size)))
        while True:
            size = next_feedback_of(entry, &done, count, &start, message)
            if size == 0:
                return 0
            self._protect_rtcp(handle, message, size)

    def next_feedback(self):
        return self.state.feedback_at if self.state.acknowledges else None

    def release(self, int64_t now):
        cdef PeerHandle handle
        cdef int k
        self.state.now = now
        for number in sorted([(<Peer *>self.state.holding.items[k]).peer for k in range(self.state.holding.count)]):
            handle = self.peers[number]
            release_peer(&self.state, handle.peer)
        return self._collect_output()

    def next_release(self):
        cdef int64_t due = next_release_of(&self.state)
        return due if due != OPEN_END else None

    def report_sent(self, peer, wanted):
        cdef Peer *entry = (<PeerHandle>self.peers[peer]).peer
        if wanted and entry.link == NULL:
            entry.link = link_new()
            if entry.link == NULL:
                raise MemoryError
        elif not wanted:
            link_free(entry.link)
            entry.link = NULL

    def fold(self, peer, int64_t longest):
        cdef Link *link = (<PeerHandle>self.peers[peer]).peer.link
        if link != NULL:
            link.folds = longest

    def claim(self, peer, int64_t cluster=-1):
        cdef Link *link = (<PeerHandle>self.peers[peer]).peer.link
        if link == NULL or link.unclaimed == 0:
            return SentSummary(0, 0, 0, 0)
        if cluster >= 0:
            link_mark(link, cluster)
            link.was_probed = True
            link.probed_at = link.unclaimed_last
        summary = SentSummary(link.unclaimed, link.unclaimed_size, link.unclaimed_first, link.unclaimed_last)
        link.unclaimed = link.unclaimed_size = 0
        return summary

    def observe(self, peer, message, int64_t now, *, bint whole=False):
        cdef Link *link = (<PeerHandle>self.peers[peer]).peer.link
        self.state.matched.count = 0
        if link == NULL:
            return None
        if isinstance(message, TransportFeedback):
            match_transport(&self.state, link, message)
        else:
            match_streams(&self.state, link, message)
        return link_observation(&self.state, link, now, whole) if self.state.matched.count else None

    def pad(self, peer, int64_t size, int64_t now):
        cdef PeerHandle handle = self.peers[peer]
        cdef RouteHandle route
        cdef RouteHandle newest = None
        for route in handle.routes.values():
            if not route.route.has_rtx_ssrc or not route.entry.rtx_payload_types or route.route.is_audio:
                continue
            if newest is None or route.route.last_arrival > newest.route.last_arrival:
                newest = route
        self.state.now = now
        if newest is not None:
            pad_route(&self.state, newest.route, size)
        return self._collect_output()

    def last_activity(self, peer):
        return (<PeerHandle>self.peers[peer]).peer.last_activity

    @property
    def drops(self):
        return {reason: self.state.drops[<int>reason] for reason in Drop}

    @property
    def counters(self):
        cdef State *state = &self.state
        return {
            "datagrams_in": state.datagrams_in,
            "bytes_in": state.bytes_in,
            "datagrams_out": state.datagrams_out,
            "bytes_out": state.bytes_out,
            "forwarded": state.forwarded,
            "retransmitted": state.retransmitted,
            "recovered": state.recovered,
        }

    @property
    def packets_in(self):
        return self.state.packets_in

    cdef void _receive(self, int filled):
        cdef int k
        for k in range(filled):
            receive_slot(&self.state, k)

    cdef int _finish(self, result) except -1:
        """Forward all received packets, without a deadline; if this engine serves sockets, leave them to `_look`."""
        end_runs(&self.state)
        if self.state.fileno_count == 0:
            with nogil:
                forward_runs(&self.state, 0)
        result.outgoing = self._collect_output()
        self._collect(result)
        return 0

    cdef list _collect_output(self):
        cdef OutEntry *entry
        cdef int k
        outgoing = []
        for k in range(self.state.entry_count):
            entry = &self.state.entries[k]
            data = PyBytes_FromStringAndSize(<char *>self.state.arena + entry.at, entry.size)
            outgoing.append(Outgoing(data, <object>entry.peer.destination, entry.peer.local))
        self.state.entry_count = 0
        self.state.arena_used = 0
        return outgoing

    cdef int _collect_leftovers(self, result, chunk) except -1:
        """`chunk` holds the datagrams of the slots, None if their bytes came from a socket."""
        cdef LeftoverRecord *record
        cdef Slot *slot
        cdef int k
        for k in range(self.state.leftovers.count):
            record = <LeftoverRecord *>self.state.leftovers.items + k
            slot = &self.state.slots[record.slot]
            if chunk is None:
                source = read_address(&slot.address)
            else:
                source = chunk[record.slot].source
            if chunk is not None and record.kind in (KIND_STUN, KIND_DTLS, KIND_EARLY, KIND_STRAY):
                data = chunk[record.slot].data
            else:
                data = PyBytes_FromStringAndSize(<char *>slot.data, record.size)
            result.leftovers.append(
                Leftover(LEFTOVER_KINDS[record.kind], record.peer, data, source, slot.local, slot.arrival)
            )
        self.state.leftovers.count = 0
        return 0

    cdef int _collect(self, result) except -1:
        cdef State *state = &self.state
        cdef ArrivalRecord *arrival
        cdef SinkRecord *sink
        cdef SwitchRecord *switch
        cdef Peer *peer
        cdef int k
        for k in range(state.arrivals.count):
            arrival = <ArrivalRecord *>state.arrivals.items + k
            result.arrivals.append(
                Arrival(
                    arrival.peer, arrival.stream, arrival.ext_seq, arrival.gap, arrival.arrival, arrival.timestamp, arrival.size,
                    arrival.flags,
                )
            )
        for k in range(state.switches.count):
            switch = <SwitchRecord *>state.switches.items + k
            result.switches.append(Switch(switch.route, switch.stream, switch.ext_seq))
        for k in range(state.sinks.count):
            sink = <SinkRecord *>state.sinks.items + k
            data = PyBytes_FromStringAndSize(
                <char *>sink.packet.data + sink.packet.start, sink.packet.end - sink.packet.start
            )
            result.sink_packets.append(
                SinkPacket(sink.sink, sink.handle, sink.stream, sink.packet.ext_seq, sink.packet.arrival, data)
            )
            packet_release(state, sink.packet)
        for k in range(state.told.count):
            peer = (<Peer **>state.told.items)[k]
            summary = link_tell(peer.link, peer.link.told_arrival, ())
            result.observed.append(Observed(peer.peer, summary, peer.link.told_arrival))
        state.told.count = 0
        state.arrivals.count = state.switches.count = state.sinks.count = 0
        if state.out_of_memory:
            state.out_of_memory = False
            raise MemoryError
        return 0
