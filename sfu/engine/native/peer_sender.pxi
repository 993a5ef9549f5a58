# sfu.engine.peer_sender in C: stamps, pacing, repairs.


cdef inline uint8_t *reserve_output(State *state) noexcept nogil:
    """Return room for a datagram at the end of the arena, NULL without memory. A full arena is sent, or grows."""
    cdef uint8_t *arena
    cdef OutEntry *entries
    if state.sends:
        if state.arena_used + OUTPUT_MARGIN > ARENA_BYTES or state.entry_count == ARENA_ENTRIES:
            flush_output(state)
        return state.arena + state.arena_used
    if state.arena_used + OUTPUT_MARGIN > ARENA_BYTES and state.arena_used + OUTPUT_MARGIN > state.arena_size:
        arena = <uint8_t *>realloc(state.arena, 2 * state.arena_size)
        if arena == NULL:
            state.out_of_memory = True
            return NULL
        state.arena = arena
        state.arena_size *= 2
    if state.entry_count == state.entry_capacity:
        entries = <OutEntry *>realloc(state.entries, 2 * state.entry_capacity * sizeof(OutEntry))
        if entries == NULL:
            state.out_of_memory = True
            return NULL
        state.entries = entries
        state.entry_capacity *= 2
    return state.arena + state.arena_used


cdef inline void commit_output(State *state, Peer *peer, int size, bint is_paced) noexcept nogil:
    cdef OutEntry *entry = &state.entries[state.entry_count]
    cdef int64_t since
    entry.peer = peer
    entry.at = state.arena_used
    entry.size = size
    state.entry_count += 1
    state.arena_used += size
    state.datagrams_out += 1
    state.bytes_out += size
    if is_paced and peer.is_paced and peer.rate:
        since = state.now - LATE_NS if peer.queued else state.now
        peer.clear_at = max(peer.clear_at, since) + size * 8000000000LL // peer.rate


cdef inline unsigned next_transport_seq(Peer *peer, const Route *route) noexcept nogil:
    cdef unsigned seq
    if not route.transport_id:
        return 0
    seq = peer.transport_seq
    peer.transport_seq = (seq + 1) & 0xFFFF
    return seq


cdef inline bint make_stamps(State *state, Route *route) noexcept nogil:
    """Allocate room for stamps if there is none yet; return False without memory."""
    cdef int k
    if route.stamps != NULL:
        return True
    route.stamps = <Stamp *>malloc(STAMPS_SIZE * sizeof(Stamp))
    if route.stamps == NULL:
        state.out_of_memory = True
        return False
    for k in range(STAMPS_SIZE):
        route.stamps[k].out_seq = -1
    return True


cdef inline int unsendable(const Peer *peer, int payload_type) noexcept nogil:
    """Return the reason why a packet cannot be sent to the peer, -1 if it can."""
    if payload_type == NO_TYPE:
        return DROP_UNMAPPED_PAYLOAD_TYPE
    if not peer.has_keys:
        return DROP_NO_KEYS
    if not peer.has_destination:
        return DROP_NO_ADDRESS
    return -1


cdef inline bint identify(
    State *state, Route *route, int64_t out_seq, int repair_kind, Identity *identity
) noexcept nogil:
    """Complete the identity of a packet whose payload type is in `identity`; return False if a repair's is forgotten.

    A packet index may be used for one packet only, so a repeat without RTX has the stamps of its first send.
    """
    cdef Peer *peer = route.peer
    cdef int rtx_payload_type = route.rtx_payload_types[identity.payload_type]
    cdef Stamp *sent = &route.stamps[out_seq % STAMPS_SIZE] if route.stamps != NULL else NULL
    identity.ssrc = route.ssrc
    identity.index = out_seq
    identity.stamp = send_time(state.now)
    if not repair_kind:
        identity.transport_seq = next_transport_seq(peer, route)
        if route.keeps_stamps and make_stamps(state, route):
            route.stamps[out_seq % STAMPS_SIZE] = Stamp(out_seq, identity.stamp, identity.transport_seq)
        return True
    if route.has_rtx_ssrc and rtx_payload_type != NO_TYPE:
        identity.payload_type = rtx_payload_type
        identity.ssrc = route.rtx_ssrc
        identity.index = route.rtx_next
        identity.prefix = 2
        route.rtx_next += 1
        identity.transport_seq = next_transport_seq(peer, route)
        return True
    if sent == NULL or sent.out_seq != out_seq:
        return False
    identity.stamp = sent.send_time
    identity.transport_seq = sent.transport_seq
    return True


cdef inline int write_protected(
    Route *route, Packet *packet, int64_t out_seq, const Rewriting *rewrite, const Identity *identity, uint8_t *out
) noexcept nogil:
    """Write the protected datagram; return its size, -1 if libcrypto fails."""
    cdef int prefix = identity.prefix
    cdef int payload_size = packet.payload_size + packet.equalising
    cdef const uint8_t *payload = packet.data + packet.payload_at
    cdef bint renumbers = packet.picture_id >= 0 and (rewrite.picture_offset or rewrite.tl0_offset)
    cdef int header_bytes = write_header(
        out, route, packet, marker_under(packet, rewrite) | identity.payload_type, identity.index & 0xFFFF,
        packet.timestamp + rewrite.timestamp_offset, identity.ssrc, identity.stamp, identity.transport_seq,
        rewrite.picture_offset,
    )
    if prefix or renumbers:
        # The changed payload is written where it is then protected in place.
        if prefix:
            store16(out + header_bytes, out_seq & 0xFFFF)
        memcpy(out + header_bytes + prefix, payload, payload_size)
        if renumbers:
            rewrite_payload(out + header_bytes + prefix, packet, rewrite)
        payload = out + header_bytes
    return protect_rtp(
        &route.peer.send, out, header_bytes, payload, payload_size + prefix, identity.ssrc, identity.index
    )


cdef inline void count_sent(
    State *state, Route *route, const Packet *packet, const Identity *identity, int size, int kind
) noexcept nogil:
    """`kind` is the counter of a repair, 0 for a first send."""
    cdef Peer *peer = route.peer
    cdef int transport_seq = identity.transport_seq if route.transport_id else -1
    if not kind:
        route.packets += 1
        route.octets += packet.payload_size
        state.forwarded += 1
    elif kind == SENT_RTX:
        route.retransmitted += 1
        state.retransmitted += 1
    if peer.link != NULL and (not kind or identity.prefix):
        if not kind:
            kind = (SENT_COPIED_AUDIO if peer.copies else SENT_AUDIO) if route.is_audio else SENT_VIDEO
        link_sent(state, peer.link, transport_seq, identity.ssrc, identity.index, size, kind)


cdef bint send_numbered(
    State *state, Route *route, Packet *packet, int64_t out_seq, const Rewriting *rewrite, int repair_kind
) noexcept nogil:
    """Protect and send now; `repair_kind` is the counter of a repair, 0 for a first send. Return False if it is
    dropped.
    """
    cdef Identity identity
    cdef int size, reason
    cdef uint8_t *out
    identity.payload_type = route.payload_types[packet.payload_type]
    identity.prefix = 0
    reason = unsendable(route.peer, identity.payload_type)
    if reason >= 0:
        drop(state, reason)
        return False
    out = reserve_output(state)
    if out == NULL:
        drop(state, DROP_SEND_BUFFER)
        return False
    if not identify(state, route, out_seq, repair_kind, &identity):
        drop(state, DROP_RTX_UNKNOWN)
        return False
    size = write_protected(route, packet, out_seq, rewrite, &identity, out)
    if size < 0:
        drop(state, DROP_SEND_ERROR)
        return False
    if out_seq > route.newest_sent:
        route.newest_sent = out_seq
    commit_output(state, route.peer, size, True)
    count_sent(state, route, packet, &identity, size, repair_kind)
    return True


cdef inline int64_t pacer_opens(const Peer *peer) noexcept nogil:
    return peer.clear_at - BURST_NS if peer.rate else 0


cdef inline int64_t pacer_next(const Peer *peer) noexcept nogil:
    """Return when waiting packets are released, which is later than necessary, so that they form a run."""
    return pacer_opens(peer) + QUANTUM_NS if peer.rate else 0


cdef int64_t next_release_of(const State *state) noexcept nogil:
    """Return when the first waiting packets are released, OPEN_END if none wait."""
    cdef int64_t due = OPEN_END
    cdef const Peer *peer
    cdef int k
    for k in range(state.holding.count):
        peer = <const Peer *>state.holding.items[k]
        if peer.is_paced:
            due = min(due, pacer_next(peer))
    return due


cdef bint queue_push(
    State *state, Peer *peer, Route *route, Packet *packet, int64_t out_seq, const Rewriting *rewrite, bint is_repair
) noexcept nogil:
    cdef Queue *queue = &peer.repairs if is_repair else &peer.media
    cdef Queued *entry
    if peer.queued >= QUEUE_MAX:
        return False
    entry = <Queued *>malloc(sizeof(Queued))
    if entry == NULL:
        return False
    entry.next = NULL
    entry.route = route
    entry.packet = packet
    entry.out_seq = out_seq
    entry.rewrite = rewrite[0]
    entry.is_repair = is_repair
    if not peer.queued and not pointers_add(&state.holding, peer):
        free(entry)
        return False
    state.release_at = min(state.release_at, pacer_next(peer))
    packet.refs += 1
    route.refs += 1
    if queue.last != NULL:
        queue.last.next = entry
    else:
        queue.first = entry
    queue.last = entry
    peer.queued += 1
    return True


cdef inline void uncount_queued(State *state, Peer *peer) noexcept nogil:
    """Note that a packet no longer waits for a peer."""
    peer.queued -= 1
    if not peer.queued:
        pointers_remove(&state.holding, peer)


cdef Queued *queue_pop(State *state, Peer *peer) noexcept nogil:
    cdef Queue *queue = &peer.repairs if peer.repairs.first != NULL else &peer.media
    cdef Queued *entry = queue.first
    queue.first = entry.next
    if queue.first == NULL:
        queue.last = NULL
    uncount_queued(state, peer)
    return entry


cdef void queue_free(State *state, Queued *entry) noexcept nogil:
    packet_release(state, entry.packet)
    route_release(entry.route)
    free(entry)


cdef int queue_forget(State *state, Queue *queue, const Route *route) noexcept nogil:
    """Drop a route's waiting packets; return their number."""
    cdef Queued **place = &queue.first
    cdef Queued *entry
    cdef int count = 0
    queue.last = NULL
    while place[0] != NULL:
        entry = place[0]
        if entry.route == route:
            place[0] = entry.next
            uncount_queued(state, entry.route.peer)
            drop(state, DROP_STOPPED)
            queue_free(state, entry)
            count += 1
        else:
            queue.last = entry
            place = &entry.next
    return count


cdef void route_stop(State *state, Route *route) noexcept nogil:
    cdef int count
    route_withdraw(route)
    route_leave(state, route)
    count = queue_forget(state, &route.peer.repairs, route) + queue_forget(state, &route.peer.media, route)
    if count and map_next_out(&route.map) > route.newest_sent + 2:
        map_rewind(&route.map, route.newest_sent)
        route.last_seq = route.map.next_out - 1


cdef void route_release(Route *route) noexcept nogil:
    route.refs -= 1
    if route.refs == 0:
        free(route.map.closed)
        free(route.stamps)
        free(route.repeated)
        free(route.former.items)
        free(route)


cdef void send_copies(State *state, Route *route) noexcept nogil:
    """Send the packets before a route's newest one again."""
    cdef int64_t newest = route.newest_sent
    cdef int64_t out_seq
    cdef Segment *segment
    cdef Packet *packet
    for out_seq in range(newest - 1, newest - 1 - route.peer.copies, -1):
        segment = map_find_out(&route.map, out_seq)
        packet = NULL
        if segment != NULL and segment.stream != NULL:
            packet = cached(segment.stream, segment.first_ext + out_seq - segment.first_out)
        if packet == NULL or packet.payload_size == 0 or is_above(packet, &segment.rewrite):
            continue
        if state.now - packet.arrival > COPY_UNTIL_NS:
            continue
        if route_may_repeat(route, out_seq, state.now, COPIES_APART_NS):
            send_numbered(state, route, packet, out_seq, &segment.rewrite, SENT_RTX)


cdef inline void emit(
    State *state, Route *route, Packet *packet, int64_t out_seq, const Rewriting *rewrite, bint is_repair
) noexcept nogil:
    cdef Peer *peer = route.peer
    cdef bint waits
    if peer.is_paced and not route.is_audio:
        waits = peer.repairs.first != NULL or (not is_repair and peer.media.first != NULL)
        if waits or pacer_opens(peer) > state.now:
            if not queue_push(state, peer, route, packet, out_seq, rewrite, is_repair):
                drop(state, DROP_QUEUE_FULL)
            return
    send_numbered(state, route, packet, out_seq, rewrite, SENT_RTX if is_repair else 0)
    if peer.copies and route.is_audio and not is_repair and out_seq == route.newest_sent:
        send_copies(state, route)


cdef void release_peer(State *state, Peer *peer) noexcept nogil:
    cdef Queued *entry
    if not peer.is_paced or pacer_next(peer) > state.now:
        return
    while peer.queued and pacer_opens(peer) <= state.now:
        entry = queue_pop(state, peer)
        send_numbered(
            state, entry.route, entry.packet, entry.out_seq, &entry.rewrite, SENT_RTX if entry.is_repair else 0
        )
        queue_free(state, entry)
    if not peer.queued and not peer.rate:
        peer.is_paced = False


cdef bint release_due(State *state, int64_t deadline) noexcept nogil:
    """Release due packets, each peer's in turn; return False if the deadline came before all had their turn.

    Before `release_at` nothing is due, so that not all peers are looked at each time.
    """
    cdef int64_t following = OPEN_END
    cdef Peer *peer
    cdef int k
    if state.release_at > state.now:
        return True
    for k in range(state.holding.count):
        if not state.holding.count:
            break
        state.release_turn = (state.release_turn + 1) % state.holding.count
        peer = <Peer *>state.holding.items[state.release_turn]
        if pacer_next(peer) <= state.now:
            release_peer(state, peer)
            if state.entry_count >= UNSENT_ENTRIES:
                flush_output(state)
            if not peer.queued:  # no longer among them
                state.release_turn -= 1
            if clock_nanoseconds(CLOCK_MONOTONIC) >= deadline:
                return False
        if peer.queued:
            following = min(following, pacer_next(peer))
    state.release_at = following
    return True


cdef bint send_blank(State *state, Route *route) noexcept nogil:
    """Send a packet of padding alone over RTX, where it leaves no gap in the media; return False if it is dropped."""
    cdef Peer *peer = route.peer
    cdef Packet blank
    cdef int payload_type = NO_TYPE
    cdef int k, header_bytes, size, reason
    cdef int64_t index
    cdef unsigned transport_seq
    cdef uint8_t *out
    for k in range(128):
        if route.rtx_payload_types[k] != NO_TYPE:
            payload_type = route.rtx_payload_types[k]
            break
    reason = unsendable(peer, payload_type)
    if reason >= 0:
        drop(state, reason)
        return False
    out = reserve_output(state)
    if out == NULL:
        drop(state, DROP_SEND_BUFFER)
        return False
    memset(&blank, 0, sizeof(Packet))
    blank.equalising = PADDING_BYTES
    index = route.rtx_next
    route.rtx_next += 1
    transport_seq = next_transport_seq(peer, route)
    header_bytes = write_header(
        out, route, &blank, payload_type, index & 0xFFFF, route.last_timestamp, route.rtx_ssrc, send_time(state.now),
        transport_seq, 0,
    )
    memset(out + header_bytes, 0, PADDING_BYTES - 1)
    out[header_bytes + PADDING_BYTES - 1] = PADDING_BYTES
    size = protect_rtp(&peer.send, out, header_bytes, out + header_bytes, PADDING_BYTES, route.rtx_ssrc, index)
    if size < 0:
        drop(state, DROP_SEND_ERROR)
        return False
    commit_output(state, peer, size, True)
    if peer.link != NULL:
        link_sent(
            state, peer.link, <int>transport_seq if route.transport_id else -1, route.rtx_ssrc, index, size,
            SENT_PADDING,
        )
    return True


cdef void pad_route(State *state, Route *route, int64_t size) noexcept nogil:
    """Send at least `size` bytes over RTX: the route's newest packets again, newest first, then starting over; padding
    alone if none of them is cached.

    Packets that still wait are left out. Nothing is sent before the first packet of media.
    """
    cdef int64_t newest = min(map_next_out(&route.map) - 1, route.newest_sent)
    cdef int64_t out_seq
    cdef uint64_t before
    cdef Segment *segment
    cdef Packet *packet
    cdef bint found = route.packets > 0
    while found and size > 0:
        found = False
        for out_seq in range(newest, newest - PADDING_PACKETS, -1):
            segment = map_find_out(&route.map, out_seq)
            if segment == NULL or segment.stream == NULL:
                continue
            packet = cached(segment.stream, segment.first_ext + out_seq - segment.first_out)
            if packet == NULL or packet.payload_size == 0 or is_above(packet, &segment.rewrite):
                continue
            found = True
            before = state.bytes_out
            if not send_numbered(state, route, packet, out_seq, &segment.rewrite, SENT_PADDING):
                return
            size -= <int64_t>(state.bytes_out - before)
            if size <= 0:
                return
    while route.packets and size > 0:
        before = state.bytes_out
        if not send_blank(state, route):
            return
        size -= <int64_t>(state.bytes_out - before)


cdef void repeat(State *state, Route *route, unsigned seq, int64_t min_interval) noexcept nogil:
    """Answer a NACK for one seq, unless its packet still waits: a copy that overtook others would look like the end of
    a gap.
    """
    cdef int64_t newest = map_next_out(&route.map) - 1
    cdef int64_t out_seq = newest - ((newest - seq) & 0xFFFF)
    cdef Segment *segment = map_find_out(&route.map, out_seq)
    cdef Packet *packet = NULL
    if segment != NULL and segment.stream != NULL:
        packet = cached(segment.stream, segment.first_ext + out_seq - segment.first_out)
    if packet == NULL or packet.payload_size == 0 or is_above(packet, &segment.rewrite):
        drop(state, DROP_RTX_UNKNOWN)
    elif out_seq > route.newest_sent or not route_may_repeat(route, out_seq, state.now, min_interval):
        drop(state, DROP_RTX_TOO_SOON)
    else:
        emit(state, route, packet, out_seq, &segment.rewrite, True)
