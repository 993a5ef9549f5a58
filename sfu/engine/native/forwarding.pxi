# sfu.engine.forwarding in C: a run of one stream's packets to all of its routes.


cdef inline void forward_in_order(State *state, Route *route, Packet *packet) noexcept nogil:
    cdef int64_t out_seq
    if packet.payload_size == 0:
        map_skip(state, &route.map, packet.ext_seq, False)
        return
    if route.payload_types[packet.payload_type] == NO_TYPE:
        map_skip(state, &route.map, packet.ext_seq, False)
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
    out_seq = map_place(state, &route.map, packet.ext_seq)
    route_note(route, packet, out_seq)
    emit(state, route, packet, out_seq, &route.map.segment.rewrite, False)


cdef void forward_past(State *state, Route *route, Ingress *ingress, Packet *packet) noexcept nogil:
    cdef Segment *segment
    if packet.payload_size == 0:
        return
    segment = map_find(&route.map, ingress, packet.ext_seq)
    if segment == NULL:
        drop(state, DROP_TOO_LATE)
    elif route.payload_types[packet.payload_type] == NO_TYPE:
        drop(state, DROP_UNMAPPED_PAYLOAD_TYPE)
    elif is_above(packet, &segment.rewrite):
        drop(state, DROP_FILTERED)
    else:
        emit(state, route, packet, segment.first_out + packet.ext_seq - segment.first_ext, &segment.rewrite, False)


cdef void catch_up(
    State *state, Route *route, Ingress *ingress, const Packet *first, const Packet *current
) noexcept nogil:
    cdef int64_t ext_seq
    cdef Packet *packet
    for ext_seq in range(first.ext_seq + 1, ingress.newest + 1):
        packet = cached(ingress, ext_seq)
        if packet == NULL or packet.run > current.run:
            continue
        if packet.run == current.run and packet.run_index > current.run_index:
            continue
        if packet.ext_seq >= route.map.next_ext:
            forward_in_order(state, route, packet)


cdef inline void forward_one(State *state, Route *route, Ingress *ingress, Packet *packet) noexcept nogil:
    cdef SwitchRecord *record
    cdef Packet *first
    if route.pending == ingress and packet.payload_size and route.payload_types[packet.payload_type] != NO_TYPE:
        first = route_flips_from(route, packet, ingress)
        if first != NULL:
            route_flip(state, route, first, ingress)
            record = <SwitchRecord *>grown_next(state, &state.switches, sizeof(SwitchRecord))
            if record != NULL:
                record.route = route.route
                record.stream = ingress.stream
                record.ext_seq = first.ext_seq
            forward_in_order(state, route, first)
            catch_up(state, route, ingress, first, packet)
            return
        if route.ingress == NULL:
            drop(state, DROP_WAITING_FOR_KEYFRAME)
    if route.ingress != ingress:
        return
    if packet.ext_seq >= route.map.next_ext:
        forward_in_order(state, route, packet)
    else:
        forward_past(state, route, ingress, packet)


cdef void forward_late(State *state, Job *job) noexcept nogil:
    """Routes that have left the stream still get what belongs between the packets that they got."""
    cdef Ingress *ingress = job.ingress
    cdef Packet *packet
    cdef Route *route
    cdef int k, j
    for k in range(ingress.former.count):
        route = <Route *>ingress.former.items[k]
        if route.ingress == ingress:
            continue
        for j in range(job.count):
            packet = job.packets[j]
            if packet.is_late and packet.payload_size and map_find(&route.map, ingress, packet.ext_seq) != NULL:
                forward_past(state, route, ingress, packet)


cdef void job_free(State *state, Job *job) noexcept nogil:
    cdef int k
    state.waiting -= job.count
    if job.ingress.run == job:
        job.ingress.run = NULL
    for k in range(job.count):
        packet_release(state, job.packets[k])
    free(job.packets)
    free(job.routes)
    free(job)


cdef inline Route *route_ahead(const Job *job, int turns) noexcept nogil:
    return job.routes[(job.turn + turns) % job.route_count] if turns < job.route_count else NULL


cdef inline void bring_near(const Job *job) noexcept nogil:
    """Have the next routes' structures on their way to the cache: between two packets hundreds of others were in it.

    Each is found by a pointer in the one before, so that they come a route apart.
    """
    cdef Route *route = route_ahead(job, 8)
    if route != NULL:
        prefetch(route, ROUTE_LINES)
        prefetch(&route.payload_types[job.packets[job.first].payload_type], 1)
    route = route_ahead(job, 5)
    if route != NULL:
        prefetch(route.peer, PEER_LINES)
    route = route_ahead(job, 3)
    if route != NULL:
        prefetch(route.peer.link, LINK_LINES)
        prefetch(route.peer.send.rtp, CONTEXT_LINES)
    route = route_ahead(job, 1)
    if route != NULL and route.peer.link != NULL:
        prefetch(link_place(route.peer.link, route.peer.link.newest_key + 1), REMEMBERED_LINES)


cdef bint run_job(State *state, Job *job, int64_t deadline) noexcept nogil:
    """Forward a run route by route; False when the deadline came first. 0 is no deadline.

    A packet that joins the run later begins at the route whose turn it is, and is done when that one's turn comes again.
    """
    cdef Ingress *ingress = job.ingress
    cdef Route *route
    cdef int k, unchecked = 0
    if not job.is_started:
        job.is_started = True
        job.route_count = ingress.routes.count
        if job.route_count:
            job.routes = <Route **>malloc(job.route_count * sizeof(Route *))
            if job.routes == NULL:
                state.out_of_memory = True
                return True
            memcpy(job.routes, ingress.routes.items, job.route_count * sizeof(Route *))
    while job.route_count and job.first < job.count:
        route = job.routes[job.turn % job.route_count]
        bring_near(job)
        job.turn += 1
        for k in range(job.first, job.count if route != NULL else job.first):
            forward_one(state, route, ingress, job.packets[k])
            unchecked += 1
        while job.first < job.count and job.turn - job.packets[job.first].begun_at == job.route_count:
            job.first += 1
        if deadline and unchecked >= UNCHECKED_PACKETS:
            unchecked = 0
            if state.entry_count >= UNSENT_ENTRIES:
                flush_output(state)
            if clock_nanoseconds(CLOCK_MONOTONIC) >= deadline:
                return False
    if ingress.former.count:
        forward_late(state, job)
    return True


cdef Job *first_audio(State *state) noexcept nogil:
    cdef Job *job = state.first_job
    while job != NULL and not job.ingress.is_audio:
        job = job.next
    return job


cdef bint run_jobs(State *state, int64_t deadline) noexcept nogil:
    """Run what has been received: audio first when there is a deadline. False when the deadline came first."""
    cdef Job *job
    cdef Job *before
    while state.first_job != NULL:
        before = NULL
        job = state.first_job
        if deadline:
            while job != NULL and not job.ingress.is_audio:
                before = job
                job = job.next
            if job == NULL:
                before = NULL
                job = state.first_job
        if not run_job(state, job, deadline):
            return False
        if state.sends and job.ingress.is_audio:
            # Not behind video that is yet to be protected.
            flush_output(state)
        if before == NULL:
            state.first_job = job.next
        else:
            before.next = job.next
        if state.last_job == job:
            state.last_job = before
        job_free(state, job)
        if deadline and state.first_job != NULL and clock_nanoseconds(CLOCK_MONOTONIC) >= deadline:
            return False
    return True


cdef void jobs_forget_route(State *state, Route *route) noexcept nogil:
    cdef Job *job = state.first_job
    cdef int k
    while job != NULL:
        for k in range(job.route_count):
            if job.routes[k] == route:
                job.routes[k] = NULL
        job = job.next


cdef void jobs_forget_ingress(State *state, Ingress *ingress) noexcept nogil:
    cdef Job **place = &state.first_job
    cdef Job *job
    state.last_job = NULL
    while place[0] != NULL:
        job = place[0]
        if job.ingress == ingress:
            place[0] = job.next
            job_free(state, job)
        else:
            state.last_job = job
            place = &job.next
