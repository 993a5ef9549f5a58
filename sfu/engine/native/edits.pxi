# Edits of the table: peers, streams, routes and sinks.


cdef int clamp_layer(layer) except -1:
    return max(0, min(layer, 255))


@cython.no_gc_clear  # __dealloc__ frees the table
cdef class EngineTable:
    """The part of `sfu.engine.contract.Engine` that edits."""

    cdef State state
    cdef Sources sources
    cdef dict peers
    cdef dict streams
    cdef dict routes
    cdef list uplinks
    cdef int filenos[SOCKETS_MAX]
    cdef bint reads[SOCKETS_MAX]
    cdef int64_t slept
    cdef Peer *any_source[SOCKETS_MAX]

    def __cinit__(self):
        cdef State *state = &self.state
        state.slots = <Slot *>calloc(SLOT_COUNT, sizeof(Slot))
        state.reading = <Reading *>calloc(1, sizeof(Reading))
        state.read_bytes = <uint8_t *>malloc(MESSAGES_READ * MESSAGE_STRIDE)
        state.arena = <uint8_t *>malloc(ARENA_BYTES)
        state.arena_size = ARENA_BYTES
        state.entries = <OutEntry *>malloc(ARENA_ENTRIES * sizeof(OutEntry))
        state.entry_capacity = ARENA_ENTRIES
        state.filenos = self.filenos
        state.feedback_pace = 1
        self.sources.capacity = 64
        self.sources.entries = <Source *>calloc(64, sizeof(Source))
        if state.slots == NULL or state.arena == NULL or state.entries == NULL or self.sources.entries == NULL:
            raise MemoryError
        if state.reading == NULL or state.read_bytes == NULL:
            raise MemoryError
        prepare_reading(state)
        self.peers = {}
        self.streams = {}
        self.routes = {}
        self.uplinks = []

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
        free(state.reading)
        free(state.read_bytes)
        free(state.arena)
        free(state.entries)
        free(state.arrivals.items)
        free(state.sinks.items)
        free(state.switches.items)
        free(state.leftovers.items)
        free(state.matched.items)
        free(state.told.items)
        free(state.holding.items)
        free(self.sources.entries)

    def set_peer(self, entry):
        cdef PeerHandle handle = self.peers.get(entry.peer)
        cdef RouteHandle route
        if handle is None:
            handle = self.peers[entry.peer] = PeerHandle(entry.peer)
        memset(handle.peer.extensions, NO_TYPE, sizeof(handle.peer.extensions))
        for identifier, extension in entry.receive_extensions.items():
            if 0 < identifier < 256 and extension in ELEMENTS:
                handle.peer.extensions[<int>identifier] = ELEMENTS.index(extension)
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
            route.route.newest_sent = route.route.first_seq - 1
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

    def answer_checks(self, peer, check):
        cdef Peer *entry = (<PeerHandle>self.peers[peer]).peer
        cdef Checks *checks = NULL
        if check is not None:
            confine(check)
            checks = <Checks *>calloc(1, sizeof(Checks))
            if checks == NULL:
                raise MemoryError
            try:
                checks_set(checks, check)
            except:
                free(checks)
                raise
        free(entry.checks)
        entry.checks = checks

    def checked_at(self, peer):
        cdef Checks *checks = (<PeerHandle>self.peers[peer]).peer.checks
        return checks.at if checks != NULL else 0

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
            raise ValueError(f"an engine serves at most {SOCKETS_MAX} sockets")
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
        del self.peers[peer]

    def add_stream(self, entry):
        cdef PeerHandle handle = self.peers[entry.peer]
        cdef StreamHandle known = self.streams.get(entry.stream)
        cdef Ssrc *other
        for ssrc in (entry.ssrc, entry.rtx_ssrc):
            other = ssrc_of(handle.peer, ssrc) if ssrc is not None else NULL
            if other != NULL and other.stream.stream != entry.stream:
                raise ValueError(f"peer {entry.peer} has SSRC {ssrc} under stream {other.stream.stream}")
        if known is not None and (known.peer is not handle or known.stream.ssrc != entry.ssrc):
            self.remove_stream(entry.stream)
            known = None
        if known is None:
            known = StreamHandle(handle, entry)
            known.stream.overflows = self.state.overflows
            self.streams[entry.stream] = handle.streams[entry.stream] = known
        else:
            known.withdraw()
        known.take_entry(entry)

    def remove_stream(self, stream):
        cdef StreamHandle handle = self.streams.pop(stream)
        cdef Stream *removed = handle.stream
        cdef int64_t k
        del handle.peer.streams[stream]
        handle.withdraw()
        runs_forget_stream(&self.state, removed)
        while removed.routes.count:
            route_forget(&self.state, <Route *>removed.routes.items[removed.routes.count - 1], removed)
        while removed.former.count:
            route_forget(&self.state, <Route *>removed.former.items[removed.former.count - 1], removed)
            removed.former.count -= 1
        for k in range(removed.capacity):
            if removed.ring[k] != NULL:
                packet_release(&self.state, removed.ring[k])
                removed.ring[k] = NULL

    def progress(self, stream):
        return (<StreamHandle>self.streams[stream]).progress

    def set_permitted(self, stream, permitted):
        cdef Stream *entry = (<StreamHandle>self.streams[stream]).stream
        cdef Route *route
        cdef int k
        entry.permitted = permitted
        if not entry.permitted:
            entry.keyframe = -1
            for k in range(entry.routes.count):
                route = <Route *>entry.routes.items[k]
                if route.pending == entry:
                    route.held = -1

    def set_playout_delay(self, stream, delay):
        cdef Stream *entry = (<StreamHandle>self.streams[stream]).stream
        write_delay(entry.playout_delay, delay)

    def set_peer_playout_delay(self, peer, delay):
        cdef PeerHandle handle = self.peers[peer]
        cdef RouteHandle route
        write_delay(handle.playout_delay, delay)
        for route in handle.routes.values():
            route.delay_playout()

    def set_shed(self, stream, shed):
        (<StreamHandle>self.streams[stream]).stream.is_shed = shed

    def set_route(self, entry):
        cdef PeerHandle handle = self.peers[entry.peer]
        cdef RouteHandle known = self.routes.get(entry.route)
        cdef RouteHandle other
        cdef int64_t first_out, first_rtx
        if not 0 <= entry.first_seq < 1 << 15:
            raise ValueError("a route's first seq must be below 2**15")
        for other in handle.routes.values():
            if other.entry.ssrc == entry.ssrc and other is not known:
                raise ValueError(f"peer {entry.peer} gets SSRC {entry.ssrc} from route {other.entry.route}")
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
        cdef Stream *stream
        if pending is None:
            route_stop(&self.state, entry)
            return False
        stream = (<StreamHandle>self.streams[pending.stream]).stream
        if entry.pending != stream:
            entry.held = -1
        route_withdraw(entry)
        entry.source_at_keyframe = pending.at_keyframe
        entry.source_has_offset = pending.timestamp_offset is not None
        entry.source_offset = (pending.timestamp_offset or 0) & 0xFFFFFFFF
        entry.source_temporal = clamp_layer(pending.max_temporal)
        entry.source_spatial = clamp_layer(pending.max_spatial)
        entry.source_once_flowing = pending.once_flowing
        entry.source_reach = min(pending.reach, OPEN_END)
        entry.floor = stream.newest + 1
        if entry.source_at_keyframe and not stream.is_audio:
            entry.floor = map_carried(&entry.map, stream)
        if cached(stream, entry.held) == NULL:
            entry.held = -1
            route_hold(entry, stream)
        entry.pending = stream
        if pointers_find(&stream.routes, entry) < 0:
            if not pointers_add(&stream.routes, entry):
                raise MemoryError
            if stream.run != NULL and stream.run.is_started:
                # That run goes to the earlier routes; packets that arrive now must not join it.
                stream.run = NULL
        return entry.held >= 0

    def remove_route(self, route):
        cdef RouteHandle handle = self.routes.pop(route)
        cdef PeerHandle peer = handle.peer
        runs_forget_route(&self.state, handle.route)
        route_detach(&self.state, handle.route)
        del peer.routes[route]
        peer.indexes[handle.entry.ssrc] = map_next_out(&handle.route.map)
        if handle.entry.rtx_ssrc is not None:
            peer.indexes[handle.entry.rtx_ssrc] = handle.route.rtx_next

    def route_state(self, route):
        cdef Route *entry = (<RouteHandle>self.routes[route]).route
        return RouteState(
            entry.stream.stream if entry.stream != NULL else -1,
            entry.map.segment.rewrite.timestamp_offset if entry.map.is_open else 0,
            entry.packets,
            entry.octets,
            entry.last_seq,
            entry.last_timestamp,
            entry.last_arrival,
            entry.retransmitted,
            max(entry.last_seq - entry.newest_sent, 0),
        )

    def payload(self, stream, ext_seq):
        cdef Packet *packet = cached((<StreamHandle>self.streams[stream]).stream, ext_seq)
        if packet == NULL or packet.payload_size == 0:
            return None
        return packet.payload_type, (<char *>packet.data)[packet.payload_at : packet.payload_at + packet.payload_size]

    def add_sink_route(self, stream, sink, handle):
        cdef Stream *tapped = (<StreamHandle>self.streams[stream]).stream
        cdef SinkEntry *sinks
        self._remove_sink(tapped, sink)
        sinks = <SinkEntry *>realloc(tapped.sinks, (tapped.sink_count + 1) * sizeof(SinkEntry))
        if sinks == NULL:
            raise MemoryError
        tapped.sinks = sinks
        tapped.sinks[tapped.sink_count] = SinkEntry(sink, handle)
        tapped.sink_count += 1

    def remove_sink_route(self, stream, sink):
        if not self._remove_sink((<StreamHandle>self.streams[stream]).stream, sink):
            raise KeyError(sink)

    cdef bint _remove_sink(self, Stream *stream, int64_t sink):
        cdef int k
        for k in range(stream.sink_count):
            if stream.sinks[k].sink == sink:
                stream.sink_count -= 1
                memmove(&stream.sinks[k], &stream.sinks[k + 1], (stream.sink_count - k) * sizeof(SinkEntry))
                return True
        return False

    def copy_audio(self, peer, int copies):
        if not 0 <= copies <= COPIES_MAX:
            raise ValueError(f"at most {COPIES_MAX} copies")
        (<PeerHandle>self.peers[peer]).peer.copies = copies

    def set_budget(self, peer, bits_per_second):
        cdef Peer *entry
        if bits_per_second is not None and bits_per_second <= 0:
            raise ValueError("a budget must be positive or None")
        entry = (<PeerHandle>self.peers[peer]).peer
        if bits_per_second is None:
            entry.rate = 0
            entry.is_paced = entry.queued > 0
        else:
            if not entry.is_paced:
                entry.clear_at = 0
            entry.rate = bits_per_second
            entry.is_paced = True
        self.state.release_at = 0
