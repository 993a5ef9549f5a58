# sfu.engine.route in C: a route's source, and its flips.


cdef inline bint is_above(const Packet *packet, const Rewriting *rewrite) noexcept nogil:
    return packet.temporal > rewrite.max_temporal or packet.spatial > rewrite.max_spatial


cdef inline int marker_under(const Packet *packet, const Rewriting *rewrite) noexcept nogil:
    if packet.end_of_layer and packet.spatial == rewrite.max_spatial:
        return 0x80
    return packet.marker


cdef Packet *cached(const Stream *stream, int64_t ext_seq) noexcept nogil:
    cdef Packet *packet
    if ext_seq < 0:
        return NULL
    packet = stream.ring[ext_seq % stream.capacity]
    return packet if packet != NULL and packet.ext_seq == ext_seq else NULL


cdef void route_withdraw(Route *route) noexcept nogil:
    cdef Stream *pending = route.pending
    route.pending = NULL
    if pending != NULL and pending != route.stream:
        pointers_remove(&pending.routes, route)


cdef void route_leave(State *state, Route *route) noexcept nogil:
    cdef Stream *stream = route.stream
    cdef Stream *former
    cdef int k
    route.stream = NULL
    route.is_ahead = route.is_cut = False
    map_stop(state, &route.map)
    if stream == NULL:
        return
    if route.pending != stream:
        pointers_remove(&stream.routes, route)
    k = 0
    while k < route.former.count:
        former = <Stream *>route.former.items[k]
        if map_carried(&route.map, former) < 0:
            pointers_remove(&route.former, former)
            pointers_remove(&former.former, route)
        else:
            k += 1
    if pointers_find(&route.former, stream) < 0 and map_carried(&route.map, stream) >= 0:
        if not pointers_add(&route.former, stream) or not pointers_add(&stream.former, route):
            state.out_of_memory = True


cdef void route_forget(State *state, Route *route, Stream *stream) noexcept nogil:
    cdef int k
    if route.pending == stream:
        route_withdraw(route)
    if route.stream == stream:
        route_leave(state, route)
    pointers_remove(&route.former, stream)
    for k in range(route.map.count):
        if route.map.closed[k].stream == stream:
            route.map.closed[k].stream = NULL
    if route.map.segment.stream == stream:
        route.map.segment.stream = NULL


cdef void route_detach(State *state, Route *route) noexcept nogil:
    cdef int k
    route_stop(state, route)
    for k in range(route.former.count):
        pointers_remove(&(<Stream *>route.former.items[k]).former, route)
    route.former.count = 0


cdef inline bint route_may_begin(const Route *route, const Packet *packet, const Stream *stream) noexcept nogil:
    if packet.ext_seq < route.floor:
        return False
    if route.stream == stream and packet.ext_seq < route.map.next_ext:
        return False
    if route.source_at_keyframe:
        return packet.is_keyframe
    return route.stream != stream or not route.has_last or packet.timestamp != route.last_packet_timestamp


cdef inline bint route_holds(const Route *route, const Packet *packet, const Stream *stream) noexcept nogil:
    return (
        route.source_once_flowing
        and route.source_at_keyframe
        and route.source_has_offset
        and route.stream != NULL
        and route.stream != stream
        and packet.arrival - route.last_arrival < FLOWS_NS
    )


cdef Packet *route_flips_from(Route *route, Packet *packet, Stream *stream) noexcept nogil:
    cdef Packet *held = cached(stream, route.held)
    cdef int64_t ext_seq
    cdef bint is_next, is_late
    if held == NULL:
        route.held = -1
        if not route_may_begin(route, packet, stream):
            return NULL
        if not route_holds(route, packet, stream):
            return packet
        route.held = packet.ext_seq
        route.held_timestamp = packet.timestamp
        route.held_since = packet.arrival
        route.held_waits = True
        return NULL
    is_next = packet.ext_seq > route.held and packet.timestamp != route.held_timestamp
    is_late = packet.arrival - route.held_since >= LONGEST_HOLD_NS
    if is_next and packet.is_keyframe and not route.held_waits:
        return packet
    if is_next and packet.is_keyframe and not is_late:
        route.held = packet.ext_seq
        route.held_timestamp = packet.timestamp
        return NULL
    if is_late or packet.ext_seq - route.held >= HELD_PACKETS_MAX:
        return held
    for ext_seq in range(route.held, packet.ext_seq):
        if cached(stream, ext_seq) == NULL:
            return NULL
    return held if is_next or not route.held_waits else NULL


cdef inline uint32_t route_no_earlier(const Route *route, uint32_t timestamp, uint32_t wanted) noexcept nogil:
    cdef uint32_t ahead = timestamp + wanted - route.last_timestamp
    if ahead == 0 or ahead >= <uint32_t>1 << 31:
        return route.last_timestamp + 1 - timestamp
    return wanted


cdef inline bint route_begins_frame(const Route *route, const Packet *packet) noexcept nogil:
    return (
        packet.ext_seq == route.map.next_ext and route.has_last and packet.timestamp != route.last_packet_timestamp
    )


cdef inline int64_t room_for_past(const Peer *peer) noexcept nogil:
    if peer.queued >= QUEUE_MAX - CATCH_UP_PACKETS_MAX:
        return -1
    if not peer.is_paced or not peer.rate:
        return CATCH_UP_BYTES_MAX
    return peer.rate // (8000000000LL // CATCH_UP_NS)


cdef const Packet *route_found_keyframe(Route *route, Stream *stream) noexcept nogil:
    """Return the stream's newest keyframe if the pending source may begin with it and all packets since."""
    cdef const Packet *keyframe = cached(stream, stream.keyframe)
    cdef const Packet *newest = cached(stream, stream.newest)
    cdef const Packet *packet
    cdef int64_t room = room_for_past(route.peer)
    cdef int64_t ext_seq
    if (
        keyframe == NULL
        or newest == NULL
        or route.stream == stream
        or keyframe.ext_seq < map_carried(&route.map, stream)
        or route.payload_types[keyframe.payload_type] == NO_TYPE
        or newest.arrival - keyframe.arrival >= route.source_reach
        or newest.ext_seq - keyframe.ext_seq >= CATCH_UP_PACKETS_MAX
    ):
        return NULL
    if route.has_last and route.source_has_offset:
        if route_no_earlier(route, keyframe.timestamp, route.source_offset) != route.source_offset:
            return NULL
    for ext_seq in range(keyframe.ext_seq, newest.ext_seq + 1):
        packet = cached(stream, ext_seq)
        if packet == NULL:
            return NULL
        room -= packet.payload_size
    return keyframe if room >= 0 else NULL


cdef void route_hold(Route *route, Stream *stream) noexcept nogil:
    cdef const Packet *keyframe = route_found_keyframe(route, stream)
    if keyframe != NULL:
        route.held = keyframe.ext_seq
        route.held_timestamp = keyframe.timestamp
        route.held_since = keyframe.arrival
        route.held_waits = route_holds(route, keyframe, stream)


cdef void route_fall_back(State *state, Route *route, const Packet *packet) noexcept nogil:
    cdef Rewriting rewrite = route.map.segment.rewrite
    rewrite.timestamp_offset = route_no_earlier(route, packet.timestamp, route.wanted_offset)
    route.is_ahead = rewrite.timestamp_offset != route.wanted_offset
    map_start(state, &route.map, route.map.segment.stream, route.map.next_ext, &rewrite)


cdef uint32_t route_timestamp_offset(
    Route *route, const Packet *first, const Stream *stream, const Packet *current
) noexcept nogil:
    """Return the offset of timestamps from `first` on; `wanted_offset` is set to the intended one."""
    cdef int64_t elapsed, behind
    if route.source_has_offset:
        route.wanted_offset = route.source_offset
    elif not route.has_last:
        behind = min(<int64_t><uint32_t>(current.timestamp - first.timestamp), max(0, current.ext_seq - first.ext_seq))
        route.wanted_offset = route.first_timestamp + <uint32_t>behind - current.timestamp
        return route.first_timestamp - first.timestamp
    else:
        elapsed = current.arrival - route.last_arrival
        if elapsed < 0:
            elapsed = 0
        # Whole seconds separately, so that no gap overflows.
        elapsed = elapsed // 1000000000 * stream.clock_rate[current.payload_type] + (
            elapsed % 1000000000 * stream.clock_rate[current.payload_type] // 1000000000
        )
        route.wanted_offset = route.last_timestamp + <uint32_t>(elapsed if elapsed > 1 else 1) - current.timestamp
        if first == current:
            return route.wanted_offset
    return route_no_earlier(route, first.timestamp, route.wanted_offset) if route.has_last else route.wanted_offset


cdef void route_change_layers(State *state, Route *route, int temporal, int spatial) noexcept nogil:
    cdef Rewriting rewrite = route.map.segment.rewrite
    if temporal != rewrite.max_temporal or spatial != rewrite.max_spatial:
        rewrite.max_temporal = temporal
        rewrite.max_spatial = spatial
        map_start(state, &route.map, route.map.segment.stream, route.map.next_ext, &rewrite)


cdef inline bint route_lacks_layers(const Route *route) noexcept nogil:
    cdef const Rewriting *rewrite = &route.map.segment.rewrite
    return rewrite.max_temporal < route.target_temporal or rewrite.max_spatial < route.target_spatial


cdef void route_raise_layers(State *state, Route *route, const Packet *packet) noexcept nogil:
    cdef int temporal = route.map.segment.rewrite.max_temporal
    cdef int spatial = route.map.segment.rewrite.max_spatial
    if temporal < packet.temporal <= route.target_temporal and packet.layer_sync:
        temporal = packet.temporal
    if packet.temporal <= temporal and packet.spatial <= spatial:
        temporal = max(temporal, min(packet.switch_temporal, <int>route.target_temporal))
    if spatial < packet.spatial <= route.target_spatial and not packet.inter_picture:
        spatial = packet.spatial
    if packet.is_keyframe:
        temporal = route.target_temporal
        spatial = route.target_spatial
    route_change_layers(state, route, temporal, spatial)


cdef void route_flip(
    State *state, Route *route, const Packet *packet, Stream *stream, const Packet *newest
) noexcept nogil:
    cdef Rewriting rewrite
    cdef const Rewriting *current = &route.map.segment.rewrite
    route.pending = NULL
    route.held = -1
    route.target_temporal = route.source_temporal
    route.target_spatial = route.source_spatial
    if route.stream == stream:
        route_change_layers(
            state,
            route,
            min(current.max_temporal, route.target_temporal),
            min(current.max_spatial, route.target_spatial),
        )
        route_raise_layers(state, route, packet)
        return
    route_leave(state, route)
    route.stream = stream
    memset(&rewrite, 0, sizeof(Rewriting))
    if route.has_last and route.last_frame >= 0 and packet.frame_number >= 0:
        # See sfu.engine.route: a keyframe may arrive after later frames of the stream carried before.
        rewrite.picture_offset = (
            route.last_frame + route.last_rewrite.picture_offset + 1 - packet.frame_number
        ) & 0xFFFF
    elif route.has_last and route.last_picture >= 0 and packet.picture_id >= 0:
        rewrite.picture_offset = (
            route.last_picture + route.last_rewrite.picture_offset + 1 - packet.picture_id
        ) & 0x7FFF
        if route.last_tl0 >= 0 and packet.tl0 >= 0:
            rewrite.tl0_offset = (route.last_tl0 + route.last_rewrite.tl0_offset + 1 - packet.tl0) & 0xFF
    rewrite.timestamp_offset = route_timestamp_offset(route, packet, stream, newest)
    if route.source_once_flowing or not route.source_has_offset:
        route.is_ahead = rewrite.timestamp_offset != route.wanted_offset
    rewrite.max_temporal = route.source_temporal
    rewrite.max_spatial = route.source_spatial
    map_start(state, &route.map, stream, packet.ext_seq, &rewrite)
    route.filtered_timestamp = -1
    route.filtered_picture = -1


cdef void route_filter(State *state, Route *route, const Packet *packet) noexcept nogil:
    cdef Rewriting rewrite
    map_skip(state, &route.map, packet.ext_seq, packet.closes or packet.timestamp == route.filtered_timestamp)
    route.filtered_timestamp = packet.timestamp
    if packet.picture_id >= 0 and packet.codec == CODEC_VP8 and packet.picture_id != route.filtered_picture:
        route.filtered_picture = packet.picture_id
        rewrite = route.map.segment.rewrite
        rewrite.picture_offset = (rewrite.picture_offset - 1) & 0x7FFF
        map_start(state, &route.map, route.map.segment.stream, route.map.next_ext, &rewrite)


cdef inline void route_note(Route *route, const Packet *packet, int64_t out_seq) noexcept nogil:
    route.has_last = True
    route.last_packet_timestamp = packet.timestamp
    route.last_picture = packet.picture_id
    route.last_frame = packet.frame_number
    route.last_tl0 = packet.tl0
    route.last_rewrite = route.map.segment.rewrite
    route.last_seq = out_seq
    route.last_timestamp = packet.timestamp + route.map.segment.rewrite.timestamp_offset
    route.last_arrival = packet.arrival


cdef bint route_may_repeat(Route *route, int64_t out_seq, int64_t now, int64_t min_interval) noexcept nogil:
    cdef Repeated *earlier
    cdef int k
    if route.repeated == NULL:
        route.repeated = <Repeated *>malloc(RETRANSMISSIONS_SIZE * sizeof(Repeated))
        if route.repeated == NULL:
            return False
        for k in range(RETRANSMISSIONS_SIZE):
            route.repeated[k].out_seq = -1
    earlier = &route.repeated[out_seq % RETRANSMISSIONS_SIZE]
    if earlier.out_seq == out_seq and now - earlier.at < min_interval:
        return False
    earlier.out_seq = out_seq
    earlier.at = now
    return True
