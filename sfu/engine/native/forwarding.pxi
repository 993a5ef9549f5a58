# sfu.engine.forwarding in C: a run of one stream's packets to all of its routes.


cdef void note_cut(State *state, const Stream *stream, const Packet *packet) noexcept nogil:
    """Tell policy that watchers of the stream need a keyframe."""
    cdef ArrivalRecord *record = <ArrivalRecord *>grown_next(state, &state.arrivals, sizeof(ArrivalRecord))
    if record != NULL:
        record[0] = ArrivalRecord(
            stream.peer.peer, stream.stream, packet.ext_seq, 0, packet.arrival, packet.timestamp, 0, FLAG_CUT
        )


cdef inline bint is_left_out(State *state, Route *route, const Packet *packet) noexcept nogil:
    """Return True if a packet must be left out, before it gets a number: the peer's queue is full, or has been since
    the last keyframe. Once there is room for one, policy is told.
    """
    cdef bint has_room, begins
    if not route.is_cut:
        route.is_cut = route.peer.is_paced and route.peer.queued >= QUEUE_MAX
        route.has_asked = False
        if route.is_cut:
            drop(state, DROP_QUEUE_FULL)
        return route.is_cut
    has_room = room_for_past(route.peer) >= 0
    begins = packet.ext_seq == route.stream.keyframe
    if has_room and begins:
        route.is_cut = False
        return False
    if has_room and not route.has_asked:
        note_cut(state, route.stream, packet)
    route.has_asked = (route.has_asked or has_room) and not begins
    drop(state, DROP_WAITING_FOR_KEYFRAME)
    return True


cdef inline void forward_in_order(State *state, Route *route, Packet *packet) noexcept nogil:
    cdef int64_t out_seq
    if packet.payload_size == 0:
        map_skip(state, &route.map, packet.ext_seq, packet.closes)
        return
    if route.payload_types[packet.payload_type] == NO_TYPE:
        map_skip(state, &route.map, packet.ext_seq, packet.closes)
        drop(state, DROP_UNMAPPED_PAYLOAD_TYPE)
        return
    if route.is_ahead and route_begins_frame(route, packet):
        route_fall_back(state, route, packet)
    if route_lacks_layers(route):
        route_raise_layers(state, route, packet)
    if is_above(packet, &route.map.segment.rewrite):
        route_filter(state, route, packet)
        drop(state, DROP_FILTERED)
        return
    if not route.is_audio and is_left_out(state, route, packet):
        map_skip(state, &route.map, packet.ext_seq, packet.closes)
        return
    out_seq = map_place(state, &route.map, packet.ext_seq, packet.closes)
    route_note(route, packet, out_seq)
    emit(state, route, packet, out_seq, &route.map.segment.rewrite, False)


cdef void forward_past(State *state, Route *route, Stream *stream, Packet *packet) noexcept nogil:
    cdef Segment *segment
    if packet.payload_size == 0:
        return
    segment = map_find(&route.map, stream, packet.ext_seq)
    if segment == NULL:
        drop(state, DROP_TOO_LATE)
    elif route.payload_types[packet.payload_type] == NO_TYPE:
        drop(state, DROP_UNMAPPED_PAYLOAD_TYPE)
    elif is_above(packet, &segment.rewrite):
        drop(state, DROP_FILTERED)
    else:
        emit(state, route, packet, segment.first_out + packet.ext_seq - segment.first_ext, &segment.rewrite, False)


cdef int catch_up(
    State *state, Route *route, Stream *stream, const Packet *first, const Packet *current
) noexcept nogil:
    """Return of how many packets it was the turn."""
    cdef int64_t ext_seq
    cdef Packet *packet
    cdef int count = 0
    for ext_seq in range(first.ext_seq + 1, stream.newest + 1):
        packet = cached(stream, ext_seq)
        if packet == NULL or packet.run > current.run:
            continue
        if packet.run == current.run and packet.run_index > current.run_index:
            continue
        if packet.ext_seq >= route.map.next_ext:
            forward_in_order(state, route, packet)
            count += 1
    return count


cdef inline int forward_one(State *state, Route *route, Stream *stream, Packet *packet) noexcept nogil:
    """Return of how many packets it was the turn."""
    cdef SwitchRecord *record
    cdef Packet *first
    if route.pending == stream and packet.payload_size and route.payload_types[packet.payload_type] != NO_TYPE:
        first = route_flips_from(route, packet, stream)
        if first != NULL:
            route_flip(state, route, first, stream, packet)
            record = <SwitchRecord *>grown_next(state, &state.switches, sizeof(SwitchRecord))
            if record != NULL:
                record.route = route.route
                record.stream = stream.stream
                record.ext_seq = first.ext_seq
            forward_in_order(state, route, first)
            return 1 + catch_up(state, route, stream, first, packet)
        if route.stream == NULL:
            drop(state, DROP_WAITING_FOR_KEYFRAME)
    if route.stream != stream:
        return 1
    if packet.ext_seq >= route.map.next_ext:
        forward_in_order(state, route, packet)
    else:
        forward_past(state, route, stream, packet)
    return 1


cdef inline void leave_out(State *state, Route *route, const Stream *stream, const Packet *packet) noexcept nogil:
    """Close the numbering over a packet that is not forwarded."""
    if route.stream == stream and packet.ext_seq >= route.map.next_ext:
        map_skip(state, &route.map, packet.ext_seq, packet.closes)


cdef void forward_late(State *state, Run *run) noexcept nogil:
    """Routes that have left the stream still get late packets that belong between those that they got."""
    cdef Stream *stream = run.stream
    cdef Packet *packet
    cdef Route *route
    cdef int k, j
    for k in range(stream.former.count):
        route = <Route *>stream.former.items[k]
        if route.stream == stream:
            continue
        for j in range(run.count):
            packet = run.packets[j]
            if packet.is_late and packet.payload_size and map_find(&route.map, stream, packet.ext_seq) != NULL:
                forward_past(state, route, stream, packet)


cdef void run_free(State *state, Run *run) noexcept nogil:
    cdef int k
    state.waiting -= run.count
    if run.stream.run == run:
        run.stream.run = NULL
    for k in range(run.count):
        packet_release(state, run.packets[k])
    free(run.packets)
    free(run.routes)
    free(run)


cdef inline Route *route_ahead(const Run *run, int turns) noexcept nogil:
    return run.routes[(run.turn + turns) % run.route_count] if turns < run.route_count else NULL


cdef inline void bring_near(const Run *run) noexcept nogil:
    """Prefetch the next routes' structures, since between two packets hundreds of others pass through the cache.

    Each structure is found by a pointer in the previous one, so they are fetched one route apart.
    """
    cdef Route *route = route_ahead(run, 8)
    if route != NULL:
        prefetch(route, ROUTE_LINES)
        prefetch(&route.payload_types[run.packets[run.first].payload_type], 1)
    route = route_ahead(run, 5)
    if route != NULL:
        prefetch(route.peer, PEER_LINES)
    route = route_ahead(run, 3)
    if route != NULL:
        prefetch(route.peer.link, LINK_LINES)
        prefetch(route.peer.send.rtp, CONTEXT_LINES)
    route = route_ahead(run, 1)
    if route != NULL and route.peer.link != NULL:
        prefetch(link_place(route.peer.link, route.peer.link.newest_key + 1), REMEMBERED_LINES)


cdef int left_out_of(State *state, Run *run, bint is_stale) noexcept nogil:
    """Return how many of the run's first packets are left out: all of a stale run, otherwise those before a keyframe.

    Policy is told again of a keyframe that was useless, since it or earlier packets of its stream were too late.
    """
    cdef Stream *stream = run.stream
    cdef Packet *packet
    cdef bint was_cut = stream.is_cut
    cdef int k
    if is_stale:
        stream.is_cut = True
    if not stream.is_cut:
        return 0
    for k in range(run.count):
        packet = run.packets[k]
        if packet.is_keyframe and not packet.is_late and not is_stale:
            stream.is_cut = False
            return k
        if packet.is_keyframe or not was_cut:
            note_cut(state, stream, packet)
            was_cut = True
        drop(state, DROP_STALE if is_stale else DROP_WAITING_FOR_KEYFRAME)
    return run.count


cdef inline bint is_silent(const State *state, const Stream *stream) noexcept nogil:
    """Return True if a stream tells levels, and nobody has spoken in it for a while."""
    return stream.progress.heard_at > 0 and state.now - stream.progress.spoke_at > SILENCE_NS


cdef inline bint is_late(const State *state, const Run *run) noexcept nogil:
    """Return True if a run has waited for too long."""
    return state.now - run.came_at > (STALE_AFTER_STOP_NS if state.now < state.caught_up_at else STALE_NS)


cdef bint forward_run(State *state, Run *run, int64_t deadline) noexcept nogil:
    """Forward a run route by route; return False if the deadline came first. 0 is no deadline.

    A packet that joins the run later begins at the current route, and is done when that route's turn comes again.
    """
    cdef Stream *stream = run.stream
    cdef Route *route
    cdef int k, unchecked = 0
    if not run.is_started:
        run.is_started = True
        run.route_count = stream.routes.count
        if run.route_count == 0:
            stream.is_cut = False  # newcomers begin with a keyframe
        elif stream.is_audio:
            if state.spares_silence and is_silent(state, stream):
                run.left_out = run.count
                state.drops[DROP_SILENT] += run.count
        else:
            run.left_out = left_out_of(state, run, deadline != 0 and is_late(state, run))
        if run.route_count:
            run.routes = <Route **>malloc(run.route_count * sizeof(Route *))
            if run.routes == NULL:
                state.out_of_memory = True
                return True
            memcpy(run.routes, stream.routes.items, run.route_count * sizeof(Route *))
    while run.route_count and run.first < run.count:
        route = run.routes[run.turn % run.route_count]
        bring_near(run)
        run.turn += 1
        for k in range(run.first, run.count if route != NULL else run.first):
            if k < run.left_out:
                leave_out(state, route, stream, run.packets[k])
            else:
                unchecked += forward_one(state, route, stream, run.packets[k])
        while run.first < run.count and run.turn - run.packets[run.first].begun_at == run.route_count:
            run.first += 1
        if deadline and unchecked >= UNCHECKED_PACKETS:
            unchecked = 0
            if state.entry_count >= UNSENT_ENTRIES:
                flush_output(state)
            if clock_nanoseconds(CLOCK_MONOTONIC) >= deadline:
                return False
    if stream.former.count:
        forward_late(state, run)
    return True


cdef inline bint has_runs(const State *state) noexcept nogil:
    return state.sounds.first != NULL or state.others.first != NULL


cdef inline Runs *next_runs(State *state, bint audio_first) noexcept nogil:
    """Return the queue whose first run is next: in order of arrival, or audio first."""
    cdef Run *sound = state.sounds.first
    cdef Run *other = state.others.first
    if sound == NULL or (other != NULL and not audio_first and other.number < sound.number):
        return &state.others
    return &state.sounds


cdef inline void end_first(State *state, Runs *queue) noexcept nogil:
    """Free a queue's first run."""
    cdef Run *run = queue.first
    queue.first = run.next
    if queue.last == run:
        queue.last = NULL
    run_free(state, run)


cdef bint forward_runs(State *state, int64_t deadline) noexcept nogil:
    """Forward all runs, if there is a deadline audio first, then what the pacers release. Return False if the deadline
    came first.

    Stale runs are dropped before that: audio alone may take all the time. What the pacers release is older than new
    video; behind it, it would wait without end while there is too little time, and nobody would notice.
    """
    cdef bint is_released = deadline == 0
    cdef Runs *queue
    cdef Run *run = state.others.first
    while deadline and run != NULL and not run.is_started and is_late(state, run):
        if not forward_run(state, run, deadline):
            return False
        end_first(state, &state.others)
        run = state.others.first
    while has_runs(state) or not is_released:
        if not is_released and state.sounds.first == NULL:
            is_released = True
            if not release_due(state, deadline):
                return False
            continue
        queue = next_runs(state, deadline != 0)
        run = queue.first
        if not forward_run(state, run, deadline):
            return False
        if state.sends and run.stream.is_audio:
            # Not after video that has yet to be protected.
            flush_output(state)
        end_first(state, queue)
        if deadline and has_runs(state) and clock_nanoseconds(CLOCK_MONOTONIC) >= deadline:
            return False
    return True


cdef void run_forget_route(Run *run, const Route *route) noexcept nogil:
    cdef int k
    while run != NULL:
        for k in range(run.route_count):
            if run.routes[k] == route:
                run.routes[k] = NULL
        run = run.next


cdef void runs_forget_route(State *state, const Route *route) noexcept nogil:
    run_forget_route(state.sounds.first, route)
    run_forget_route(state.others.first, route)


cdef void runs_forget_stream(State *state, Stream *stream) noexcept nogil:
    cdef Runs *queue = &state.sounds if stream.is_audio else &state.others
    cdef Run **place = &queue.first
    cdef Run *run
    queue.last = NULL
    while place[0] != NULL:
        run = place[0]
        if run.stream == stream:
            place[0] = run.next
            if state.open_run == run:
                state.open_run = run.next
            run_free(state, run)
        else:
            queue.last = run
            place = &run.next
