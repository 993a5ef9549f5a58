# The engine itself: edits of the table, batches, and what they turned into as Python objects.


cdef int clamp_layer(layer) except -1:
    return max(0, min(layer, 255))


@cython.no_gc_clear  # __dealloc__ takes the table apart
cdef class CompiledEngine:
    """See `sfu.engine.contract.Engine`, and `sfu.engine.pump.DirectEngine` for what goes beyond it."""

    name = "compiled"

    cdef State state
    cdef Sources sources
    cdef dict peers
    cdef dict streams
    cdef dict routes
    cdef int filenos[SOCKETS_MAX]
    cdef bint reads[SOCKETS_MAX]
    cdef Peer *any_source[SOCKETS_MAX]

    def __cinit__(self):
        cdef State *state = &self.state
        state.slots = <Slot *>calloc(SLOT_COUNT, sizeof(Slot))
        state.arena = <uint8_t *>malloc(ARENA_BYTES)
        state.arena_size = ARENA_BYTES
        state.entries = <OutEntry *>malloc(ARENA_ENTRIES * sizeof(OutEntry))
        state.entry_capacity = ARENA_ENTRIES
        state.filenos = self.filenos
        self.sources.capacity = 64
        self.sources.entries = <Source *>calloc(64, sizeof(Source))
        if state.slots == NULL or state.arena == NULL or state.entries == NULL or self.sources.entries == NULL:
            raise MemoryError
        self.peers = {}
        self.streams = {}
        self.routes = {}

    def __dealloc__(self):
        cdef State *state = &self.state
        cdef Packet *packet
        cdef int k
        if self.peers is not None:
            for number in list(self.peers):
                self.remove_peer(number)
        for k in range(SIZE_CLASSES):
            while state.free_packets[k] != NULL:
                packet = state.free_packets[k]
                state.free_packets[k] = packet.next_free
                free(packet)
        free(state.slots)
        free(state.arena)
        free(state.entries)
        free(state.arrivals.items)
        free(state.sinks.items)
        free(state.switches.items)
        free(state.leftovers.items)
        free(self.sources.entries)

    def set_peer(self, entry):
        cdef PeerHandle handle = self.peers.get(entry.peer)
        cdef RouteHandle route
        if handle is None:
            handle = self.peers[entry.peer] = PeerHandle(entry.peer)
        memset(handle.peer.extensions, NO_TYPE, sizeof(handle.peer.extensions))
        for identifier, extension in entry.receive_extensions.items():
            if 0 < identifier < 256 and (extension in PASSED or extension is Extension.TRANSPORT_SEQ):
                handle.peer.extensions[<int>identifier] = PASSED.index(extension) if extension in PASSED else 4
        handle.send_extensions = dict(entry.send_extensions)
        for route in handle.routes.values():
            route.lay_out()

    def set_keys(self, peer, keys):
        cdef PeerHandle handle
        check_keys(keys)
        handle = self.peers[peer]
        handle.set_keys(keys)
        self._renumber(handle)

    def set_unprotected(self, peer):
        cdef PeerHandle handle = self.peers[peer]
        handle.set_unprotected()
        self._renumber(handle)

    cdef int _renumber(self, PeerHandle handle) except -1:
        """Begin packet indexes anew, for new keys."""
        cdef RouteHandle route
        for route in handle.routes.values():
            map_renumber(&self.state, &route.route.map, route.route.first_seq)
            route.route.rtx_next = route.route.first_seq
            free(route.route.repeated)
            route.route.repeated = NULL
            route.lay_out()
        return 0

    def set_address(self, peer, destination, local):
        cdef PeerHandle handle = self.peers[peer]
        if not write_address(destination, &handle.peer.address, &handle.peer.address_bytes):
            raise ValueError(f"not an IP literal: {destination[0]!r}")
        handle.destination = (destination[0], destination[1])
        handle.peer.destination = <PyObject *>handle.destination
        handle.peer.local = local
        handle.peer.has_destination = True
        handle.peer.refuses_runs = False

    def admit_source(self, peer, source, local):
        cdef PeerHandle handle = self.peers[peer]
        cdef sockaddr_storage address
        cdef unsigned size
        if not write_address(source, &address, &size):
            raise ValueError(f"not an IP literal: {source[0]!r}")
        self.dismiss_source(source, local)
        if not source_put(&self.sources, &address, local, handle.peer):
            raise MemoryError
        handle.sources.add((source, local))

    def dismiss_source(self, source, local):
        cdef PeerHandle handle
        cdef Peer *peer
        cdef sockaddr_storage address
        cdef unsigned size
        if not write_address(source, &address, &size):
            return
        peer = source_find(&self.sources, &address, local)
        if peer != NULL:
            source_remove(&self.sources, &address, local)
            handle = self.peers[peer.peer]
            handle.sources.discard((source, local))

    def admit_any(self, peer, local):
        cdef PeerHandle handle = self.peers[peer]
        if not 0 <= local < SOCKETS_MAX:
            raise ValueError(f"an engine serves {SOCKETS_MAX} sockets at most")
        self.any_source[<int>local] = handle.peer

    def dismiss_any(self, local):
        if 0 <= local < SOCKETS_MAX:
            self.any_source[<int>local] = NULL

    cdef Peer *_peer_of(self, const sockaddr_storage *address, int local) noexcept nogil:
        cdef Peer *peer = source_find(&self.sources, address, local)
        if peer == NULL and 0 <= local < SOCKETS_MAX:
            peer = self.any_source[local]
        return peer

    def remove_peer(self, peer):
        cdef PeerHandle handle = self.peers[peer]
        cdef int local
        for local in range(SOCKETS_MAX):
            if self.any_source[local] == handle.peer:
                self.any_source[local] = NULL
        for route in list(handle.routes):
            self.remove_route(route)
        for stream in list(handle.streams):
            self.remove_stream(stream)
        for source, local in list(handle.sources):
            self.dismiss_source(source, local)
        while handle.peer.queued:
            queue_free(&self.state, queue_pop(&self.state, handle.peer))
        del self.peers[peer]

    def add_stream(self, entry):
        cdef PeerHandle handle = self.peers[entry.peer]
        cdef StreamHandle known = self.streams.get(entry.stream)
        cdef Ssrc *other
        for ssrc in (entry.ssrc, entry.rtx_ssrc):
            other = ssrc_of(handle.peer, ssrc) if ssrc is not None else NULL
            if other != NULL and other.ingress.stream != entry.stream:
                raise ValueError(f"peer {entry.peer} has SSRC {ssrc} under stream {other.ingress.stream}")
        if known is not None and (known.peer is not handle or known.ingress.ssrc != entry.ssrc):
            self.remove_stream(entry.stream)
            known = None
        if known is None:
            known = StreamHandle(handle, entry)
            self.streams[entry.stream] = handle.streams[entry.stream] = known
        else:
            known.withdraw()
        known.take_entry(entry)

    def remove_stream(self, stream):
        cdef StreamHandle handle = self.streams.pop(stream)
        cdef Ingress *ingress = handle.ingress
        cdef int64_t k
        del handle.peer.streams[stream]
        handle.withdraw()
        jobs_forget_ingress(&self.state, ingress)
        while ingress.routes.count:
            route_forget(&self.state, <Route *>ingress.routes.items[ingress.routes.count - 1], ingress)
        while ingress.former.count:
            route_forget(&self.state, <Route *>ingress.former.items[ingress.former.count - 1], ingress)
            ingress.former.count -= 1
        for k in range(ingress.capacity):
            if ingress.ring[k] != NULL:
                packet_release(&self.state, ingress.ring[k])
                ingress.ring[k] = NULL

    def set_permitted(self, stream, permitted):
        (<StreamHandle>self.streams[stream]).ingress.permitted = permitted

    def set_route(self, entry):
        cdef PeerHandle handle = self.peers[entry.peer]
        cdef RouteHandle known = self.routes.get(entry.route)
        cdef RouteHandle other
        cdef int64_t first_out, first_rtx
        if not 0 <= entry.first_seq < 1 << 15:
            raise ValueError("a route's first seq is below 2**15")
        for other in handle.routes.values():
            if other.entry.ssrc == entry.ssrc and other is not known:
                raise ValueError(f"peer {entry.peer} gets SSRC {entry.ssrc} by route {other.entry.route}")
        if known is not None:
            if known.peer is handle and (known.entry.ssrc, known.entry.rtx_ssrc) == (entry.ssrc, entry.rtx_ssrc):
                known.update(entry)
                return
            self.remove_route(entry.route)
        first_out = handle.indexes.get(entry.ssrc, entry.first_seq)
        first_rtx = handle.indexes.get(entry.rtx_ssrc, entry.first_seq) if entry.rtx_ssrc is not None else 0
        other = RouteHandle(handle, entry, first_out, first_rtx)
        self.routes[entry.route] = handle.routes[entry.route] = other

    def switch_route(self, route, pending):
        cdef RouteHandle handle = self.routes[route]
        cdef Route *entry = handle.route
        cdef Ingress *ingress
        if pending is None:
            route_withdraw(entry)
            route_leave(&self.state, entry)
            return
        ingress = (<StreamHandle>self.streams[pending.stream]).ingress
        route_withdraw(entry)
        entry.source_at_keyframe = pending.at_keyframe
        entry.source_has_offset = pending.timestamp_offset is not None
        entry.source_offset = (pending.timestamp_offset or 0) & 0xFFFFFFFF
        entry.source_temporal = clamp_layer(pending.max_temporal)
        entry.source_spatial = clamp_layer(pending.max_spatial)
        entry.floor = ingress.newest + 1
        if entry.source_at_keyframe and not ingress.is_audio:
            entry.floor = map_carried(&entry.map, ingress)
        entry.pending = ingress
        if pointers_find(&ingress.routes, entry) < 0 and not pointers_add(&ingress.routes, entry):
            raise MemoryError

    def remove_route(self, route):
        cdef RouteHandle handle = self.routes.pop(route)
        cdef PeerHandle peer = handle.peer
        jobs_forget_route(&self.state, handle.route)
        route_detach(&self.state, handle.route)
        del peer.routes[route]
        peer.indexes[handle.entry.ssrc] = map_next_out(&handle.route.map)
        if handle.entry.rtx_ssrc is not None:
            peer.indexes[handle.entry.rtx_ssrc] = handle.route.rtx_next

    def route_state(self, route):
        cdef Route *entry = (<RouteHandle>self.routes[route]).route
        return RouteState(
            entry.ingress.stream if entry.ingress != NULL else -1,
            entry.map.segment.rewrite.timestamp_offset if entry.map.is_open else 0,
            entry.packets,
            entry.octets,
            entry.last_seq,
            entry.last_timestamp,
            entry.last_arrival,
            entry.retransmitted,
        )

    def add_sink_route(self, stream, sink, handle):
        cdef Ingress *ingress = (<StreamHandle>self.streams[stream]).ingress
        cdef SinkEntry *sinks
        self._remove_sink(ingress, sink)
        sinks = <SinkEntry *>realloc(ingress.sinks, (ingress.sink_count + 1) * sizeof(SinkEntry))
        if sinks == NULL:
            raise MemoryError
        ingress.sinks = sinks
        ingress.sinks[ingress.sink_count] = SinkEntry(sink, handle)
        ingress.sink_count += 1

    def remove_sink_route(self, stream, sink):
        if not self._remove_sink((<StreamHandle>self.streams[stream]).ingress, sink):
            raise KeyError(sink)

    cdef bint _remove_sink(self, Ingress *ingress, int64_t sink):
        cdef int k
        for k in range(ingress.sink_count):
            if ingress.sinks[k].sink == sink:
                ingress.sink_count -= 1
                memmove(&ingress.sinks[k], &ingress.sinks[k + 1], (ingress.sink_count - k) * sizeof(SinkEntry))
                return True
        return False

    def set_budget(self, peer, bits_per_second):
        cdef Peer *entry
        if bits_per_second is not None and bits_per_second <= 0:
            raise ValueError("a budget is positive, or None")
        entry = (<PeerHandle>self.peers[peer]).peer
        if bits_per_second is None:
            entry.rate = 0
            entry.is_paced = entry.queued > 0
        else:
            if not entry.is_paced:
                entry.clear_at = 0
            entry.rate = bits_per_second
            entry.is_paced = True

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
        return known != NULL and known.ingress.is_audio

    def process(self, batch, int64_t now):
        cdef int filled = 0
        cdef Slot *slot
        cdef bytes data
        cdef unsigned size
        result = Result()
        chunk = []
        self.state.now = now
        for datagram in batch:
            slot = &self.state.slots[filled]
            data = datagram.data
            slot.size = <int>len(data)
            memcpy(slot.data, <const uint8_t *>data, min(len(data), SLOT_BYTES))
            slot.local = datagram.local
            slot.arrival = datagram.arrival
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

    def resubmit(self, leftover, int64_t now):
        cdef PeerHandle handle = self.peers.get(leftover.peer)
        cdef bytes data = leftover.data
        cdef Ssrc *known = NULL
        cdef Packet *packet
        result = Result()
        self.state.now = now
        if handle is None or leftover.kind is not LeftoverKind.UNKNOWN_SSRC:
            drop(&self.state, DROP_UNKNOWN_SSRC)
            return result
        if len(data) > PACKET_BYTES_MAX or not header_parses(<const uint8_t *>data, <int>len(data)):
            drop(&self.state, DROP_MALFORMED)
            return result
        known = ssrc_of(handle.peer, load32(<const uint8_t *>PyBytes_AS_STRING(data) + 8))
        if known == NULL:
            drop(&self.state, DROP_UNKNOWN_SSRC)
            return result
        packet = packet_new(&self.state, <int>len(data) + EQUALISING_MAX)
        if packet == NULL:
            raise MemoryError
        memcpy(packet.data, <const uint8_t *>data, len(data))
        take(&self.state, handle.peer, known, packet, <int>len(data), leftover.arrival)
        packet_release(&self.state, packet)
        self._finish(result)
        return result

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
        cdef PeerHandle handle = self.peers[peer]
        cdef uint8_t out[PACKET_BYTES_MAX + 64]
        cdef int size
        if not handle.peer.has_keys:
            drop(&self.state, DROP_NO_KEYS)
            return []
        if not handle.peer.has_destination:
            drop(&self.state, DROP_NO_ADDRESS)
            return []
        if not 8 <= len(compound) <= PACKET_BYTES_MAX:
            raise ValueError("an RTCP compound packet has 8 to 1500 bytes")
        sender = compound[4:8]
        index = self._next_rtcp_index(handle, sender)
        size = protect_rtcp_packet(&handle.peer.send, compound, <int>len(compound), index, out)
        if size < 0:
            raise ValueError("libcrypto cannot protect RTCP")
        self.state.datagrams_out += 1
        self.state.bytes_out += size
        return [Outgoing(PyBytes_FromStringAndSize(<char *>out, size), handle.destination, handle.peer.local)]

    def _next_rtcp_index(self, PeerHandle handle, bytes sender):
        index = handle.rtcp_indexes.get(sender, 0) + 1
        handle.rtcp_indexes[sender] = index
        return index & 0x7FFFFFFF

    def release(self, int64_t now):
        self._release(now, 0)
        return self._collect_output()

    cdef int _release(self, int64_t now, int64_t deadline) except -1:
        """Release what is due, until the deadline; 0 is none. Who has had its turn is due later than who has not."""
        cdef PeerHandle handle
        self.state.now = now
        if not self.state.queued:
            return 0
        due = []
        for handle in self.peers.values():
            if handle.peer.queued and pacer_next(handle.peer) <= now:
                due.append((handle.peer.peer, handle))
        for _, handle in sorted(due):
            release_peer(&self.state, handle.peer)
            if deadline and clock_nanoseconds(CLOCK_MONOTONIC) >= deadline:
                break
        return 0

    def next_release(self):
        cdef PeerHandle handle
        due = None
        if not self.state.queued:
            return None
        for handle in self.peers.values():
            if handle.peer.is_paced and handle.peer.queued and (due is None or pacer_next(handle.peer) < due):
                due = pacer_next(handle.peer)
        return due

    def report_sent(self, peer, wanted):
        cdef Peer *entry = (<PeerHandle>self.peers[peer]).peer
        entry.reports_sent = wanted
        if not wanted:
            entry.sent_count = 0

    def sent(self, peer):
        cdef Peer *entry = (<PeerHandle>self.peers[peer]).peer
        cdef SentRecord *sent
        cdef int k
        records = []
        for k in range(entry.sent_count):
            sent = &entry.sent[(entry.sent_first + k) % entry.sent_capacity]
            records.append(SentPacket(sent.transport_seq, sent.ssrc, sent.seq, sent.size, sent.at, SENT_KINDS[sent.kind]))
        entry.sent_count = 0
        return records

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
        }

    def receive_and_forward(self, filenos, int64_t now, int64_t deadline, unread=()):
        """Read what waits at the sockets but those `unread`, forward and send until `deadline`; `outgoing` of the result is empty."""
        cdef State *state = &self.state
        cdef int64_t until = clock_nanoseconds(CLOCK_MONOTONIC)
        cdef int64_t ahead = now - until
        cdef bint complete = False
        result = Result()
        self._attach(filenos)
        for local in unread:
            self.reads[<int>local] = False
        state.sends = True
        while not complete and until < deadline - ahead:
            # In slices, so that audio that comes meanwhile need not wait for the deadline.
            self._read(result)
            with nogil:
                until = clock_nanoseconds(CLOCK_MONOTONIC)
                state.now = until + ahead
                until = min(deadline - ahead, until + SLICE_NS)
                complete = run_jobs(state, until)
                flush_output(state)
        state.sends = False
        self._collect(result)
        return result

    cdef int _read(self, result) except -1:
        """Receive what waits at the sockets, as far as there is room."""
        cdef State *state = &self.state
        cdef int local, rounds, received
        for local in range(state.fileno_count):
            for rounds in range(RECEIVE_ROUNDS):
                if state.waiting > BACKLOG_MAX:
                    break
                with nogil:
                    received = self._receive_from(local)
                self._collect_leftovers(result, None)
                if received < SLOT_COUNT:
                    break
        end_runs(state)
        return 0

    def release_directly(self, filenos, int64_t now):
        """Send what pacing lets go by `now`, but not for so long that audio would wait: the rest stays due."""
        self._attach(filenos)
        self.state.sends = True
        self._release(now, clock_nanoseconds(CLOCK_MONOTONIC) + RELEASE_SLICE_NS)
        flush_output(&self.state)
        self.state.sends = False

    @property
    def backlog(self):
        """Whether packets wait that were received already."""
        return self.state.first_job != NULL

    @property
    def sent_directly(self):
        """Datagrams and bytes that the kernel took from this engine directly, and drops of the others."""
        drops = {reason: self.state.send_drops[<int>reason] for reason in Drop if self.state.send_drops[<int>reason]}
        return self.state.sent_datagrams, self.state.sent_bytes, drops

    cdef int _attach(self, filenos) except -1:
        cdef int k
        if len(filenos) > SOCKETS_MAX:
            raise ValueError(f"an engine serves {SOCKETS_MAX} sockets at most")
        for k in range(len(filenos)):
            self.filenos[k] = filenos[k]
            self.reads[k] = filenos[k] >= 0
        self.state.fileno_count = <int>len(filenos)
        return 0

    cdef int _receive_from(self, int local) noexcept nogil:
        cdef State *state = &self.state
        cdef int k
        cdef int received = receive_messages(state, local, 0, SLOT_COUNT) if self.reads[local] else 0
        for k in range(received):
            state.slots[k].peer = self._peer_of(&state.slots[k].address, local)
            receive_slot(state, k)
        return received

    cdef void _receive(self, int filled):
        cdef int k
        for k in range(filled):
            receive_slot(&self.state, k)

    cdef int _finish(self, result) except -1:
        """Forward what was received, whatever it takes."""
        end_runs(&self.state)
        with nogil:
            run_jobs(&self.state, 0)
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
        """`chunk` holds the datagrams of the slots, None when their bytes came from a socket."""
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
            if chunk is not None and record.kind in (KIND_STUN, KIND_DTLS):
                data = chunk[record.slot].data
            else:
                data = PyBytes_FromStringAndSize(<char *>slot.data, record.size)
            result.leftovers.append(
                Leftover(LeftoverKind(record.kind), record.peer, data, source, slot.local, slot.arrival)
            )
        self.state.leftovers.count = 0
        return 0

    cdef int _collect(self, result) except -1:
        cdef State *state = &self.state
        cdef ArrivalRecord *arrival
        cdef SinkRecord *sink
        cdef SwitchRecord *switch
        cdef int k
        for k in range(state.arrivals.count):
            arrival = <ArrivalRecord *>state.arrivals.items + k
            result.arrivals.append(
                Arrival(
                    arrival.peer, arrival.stream, arrival.ext_seq, arrival.arrival, arrival.timestamp, arrival.size,
                    arrival.flags, arrival.transport_seq, arrival.level,
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
        state.arrivals.count = state.switches.count = state.sinks.count = 0
        if state.out_of_memory:
            state.out_of_memory = False
            raise MemoryError
        return 0
