# sfu.machines.congestion.feedback_analyser in C: sent packets, matched with the peer's feedback, and summed up.

cdef extern from "stdlib.h" nogil:
    void qsort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *) noexcept)

cdef int64_t OBSERVED_AGE = 10000000000
cdef int64_t FIRST_WINDOW_NS = 500000000
cdef int64_t WINDOW_NS = 150000000
cdef int64_t LOSS_WINDOW_NS = 250000000
cdef int64_t LONGEST_LOSS_WINDOW_NS = 1000000000
cdef int64_t LOSS_PACKETS = 10
cdef int64_t CLOCK_JUMP_NS = 3000000000
cdef int64_t CALM_NS = 5000000
cdef int64_t PROBED_NS = 2000000000
cdef int64_t PERIOD_NS = 30000000000
cdef int64_t UNWRAPPED_MAX = <int64_t>1 << 35


cdef Link *link_new() noexcept nogil:
    """Return a link of which nothing is known; NULL without memory."""
    cdef Link *link = <Link *>calloc(1, sizeof(Link))
    cdef int k
    if link == NULL:
        return NULL
    link.entries = <Remembered *>malloc(OBSERVED_MIN * sizeof(Remembered))
    if link.entries == NULL:
        free(link)
        return NULL
    link.capacity = OBSERVED_MIN
    for k in range(OBSERVED_MIN):
        link.entries[k].key = -1
    link.newest = link.newest_key = -1
    link.window = FIRST_WINDOW_NS
    trend_begin(&link.trend)
    return link


cdef void link_free(Link *link) noexcept nogil:
    if link != NULL:
        free(link.entries)
        free(link)


cdef bint link_grow(Link *link) noexcept nogil:
    """Double the capacity; return False without memory."""
    cdef int64_t capacity = 2 * link.capacity
    cdef int64_t k
    cdef Remembered *entries = <Remembered *>malloc(capacity * sizeof(Remembered))
    if entries == NULL:
        return False
    for k in range(capacity):
        entries[k].key = -1
    for k in range(link.capacity):
        if link.entries[k].key >= 0:
            entries[link.entries[k].key & (capacity - 1)] = link.entries[k]
    free(link.entries)
    link.entries = entries
    link.capacity = capacity
    return True


cdef int64_t unwrap(Unwrapped *unwrapped, uint64_t value, int bits) noexcept nogil:
    """See sfu.formats.unwrap."""
    cdef uint64_t ahead
    if unwrapped.newest > UNWRAPPED_MAX or unwrapped.newest < -UNWRAPPED_MAX:
        unwrapped.known = False  # centuries away: somebody is testing our limits
    if not unwrapped.known:
        unwrapped.known = True
        unwrapped.newest = value
        return unwrapped.newest
    ahead = (value - <uint64_t>unwrapped.newest) & ((<uint64_t>1 << bits) - 1)
    if ahead < <uint64_t>1 << (bits - 1):
        unwrapped.newest += ahead
        return unwrapped.newest
    return unwrapped.newest + <int64_t>ahead - (<int64_t>1 << bits)


cdef inline Remembered *link_place(const Link *link, int64_t key) noexcept nogil:
    return &link.entries[key & (link.capacity - 1)]


cdef void link_sent(
    State *state, Link *link, int transport_seq, uint32_t ssrc, int64_t index, int size, int kind
) noexcept nogil:
    """Remember a sent packet; the newest OBSERVED_MAX are kept until they are acknowledged or old."""
    cdef int64_t key, k
    cdef Remembered *entry
    if (transport_seq >= 0) != link.is_numbered:
        link.is_numbered = not link.is_numbered
        for k in range(link.capacity):
            link.entries[k].key = -1
        link.first_unclaimed = OPEN_END
    if transport_seq >= 0:
        key = unwrap(&link.transport, transport_seq, 16)
        link.newest = link.transport.newest
    else:
        key = link.unnumbered
        link.unnumbered += 1
    entry = link_place(link, key)
    while entry.key >= 0 and entry.key != key and link.capacity < OBSERVED_MAX:
        if state.now - entry.at > OBSERVED_AGE or not link_grow(link):
            break
        entry = link_place(link, key)
    entry.key = key
    entry.at = state.now
    entry.ssrc = ssrc
    entry.seq = index & 0xFFFF
    entry.size = size
    entry.kind = kind
    entry.cluster = -1
    entry.lost = False
    link.newest_key = key
    link.newest_at = state.now
    if link.unclaimed == 0:
        link.first_unclaimed = OPEN_END
        link.unclaimed_first = state.now
    link.first_unclaimed = min(link.first_unclaimed, key)
    link.unclaimed += 1
    link.unclaimed_size += size
    link.unclaimed_last = state.now


cdef void link_mark(Link *link, int64_t cluster) noexcept nogil:
    """Assign the unassigned packets to this probe."""
    cdef int64_t key
    cdef Remembered *entry
    for key in range(max(link.first_unclaimed, link.newest_key - link.capacity + 1), link.newest_key + 1):
        entry = link_place(link, key)
        if entry.key == key:
            entry.cluster = cluster


cdef void link_match(State *state, Link *link, int64_t key, bint arrived, int64_t arrival) noexcept nogil:
    """Note the fate of a packet, unless the packet is unknown or its fate was reported before."""
    cdef Remembered *entry
    cdef Matched *matched
    if key < 0:
        return
    entry = link_place(link, key)
    if entry.key != key or link.newest_at - entry.at > OBSERVED_AGE or (not arrived and entry.lost):
        return
    matched = <Matched *>grown_next(state, &state.matched, sizeof(Matched))
    if matched == NULL:
        return
    matched.order = state.matched.count
    matched.sent = entry.at
    matched.arrived = arrived
    matched.arrival = arrival
    matched.size = entry.size
    matched.kind = entry.kind
    matched.cluster = entry.cluster
    matched.was_lost = entry.lost
    if arrived:
        entry.key = -1
    else:
        entry.lost = True


cdef int compare_arrivals(const void *left, const void *right) noexcept nogil:
    cdef const Matched *one = <const Matched *>left
    cdef const Matched *other = <const Matched *>right
    if one.arrival != other.arrival:
        return -1 if one.arrival < other.arrival else 1
    return -1 if one.order < other.order else 1


cdef bint window_sample(Link *link, int64_t arrival, int size, double *sample) noexcept nogil:
    """See sfu.machines.congestion.arrival_windows; return True when a window is full."""
    cdef bint is_full = False
    cdef int64_t gap
    if not link.has_last or arrival < link.last:
        link.has_last = True
        link.last = arrival
        link.bytes = size
        link.elapsed = 0
        return False
    gap = arrival - link.last
    link.last = arrival
    link.elapsed += gap
    if gap > link.window:
        link.bytes = 0
        link.elapsed %= link.window
    if link.elapsed >= link.window:
        sample[0] = link.bytes * 8 * 1e6 / link.window
        is_full = True
        link.bytes = 0
        link.elapsed -= link.window
        link.window = WINDOW_NS
    link.bytes += size
    return is_full


cdef void group_begin(Link *link, int64_t sent, int64_t arrival, int size, int64_t now) noexcept nogil:
    link.current = Group(True, sent, sent, arrival, arrival, now, size)


cdef void groups_reset(Link *link) noexcept nogil:
    link.current.exists = link.previous.exists = False
    link.reordered = 0


cdef bint group_is_new(const Group *group, int64_t sent, int64_t arrival) noexcept nogil:
    cdef int64_t between = arrival - group.arrived
    cdef bint is_burst = between - (sent - group.sent) < 0 and 0 <= between <= 5000000
    if is_burst and arrival - group.first_arrived < 100000000 and sent != group.sent:
        return False
    return sent - group.first_sent > 5000000


cdef bint group_delta(Link *link, int64_t sent, int64_t arrival, int size, int64_t now, Delta *delta) noexcept nogil:
    """See sfu.machines.congestion.packet_groups; return True when there is a delta."""
    cdef Group *current = &link.current
    cdef Group *previous = &link.previous
    cdef bint is_complete = False
    if not current.exists:
        group_begin(link, sent, arrival, size, now)
        return False
    if sent < current.first_sent:
        return False
    if not group_is_new(current, sent, arrival):
        current.sent = max(current.sent, sent)
        current.arrived = max(current.arrived, arrival)
        current.size += size
        current.system = now
        return False
    if previous.exists:
        delta.sending = current.sent - previous.sent
        delta.arrival = current.arrived - previous.arrived
        delta.size = current.size - previous.size
        delta.at = arrival
        if delta.arrival - (current.system - previous.system) >= CLOCK_JUMP_NS:
            groups_reset(link)
            return False
        if delta.arrival < 0:
            link.reordered += 1
            if link.reordered >= 3:
                groups_reset(link)
            return False
        link.reordered = 0
        is_complete = True
    previous[0] = current[0]
    group_begin(link, sent, arrival, size, now)
    return is_complete


cdef bint losses_add(Link *link, const Matched *matched, int count, Lost *window) noexcept nogil:
    """See sfu.machines.congestion.loss_windows; return True when a window is complete."""
    cdef int k
    cdef int64_t duration, single
    cdef bint is_copied
    for k in range(count):
        is_copied = matched[k].kind == SENT_COPIED_AUDIO
        if matched[k].was_lost:
            link.losses.lost -= 1
            link.copied_losses.lost -= is_copied
            continue
        if link.losses.packets == 0:
            link.first_sent = matched[k].sent
        link.last_sent = max(link.last_sent, matched[k].sent)
        link.losses.packets += 1
        link.copied_losses.packets += is_copied
        link.loss_bytes += matched[k].size
        if not matched[k].arrived:
            link.losses.lost += 1
            link.copied_losses.lost += is_copied
    duration = link.last_sent - link.first_sent
    single = link.losses.packets - link.copied_losses.packets
    if link.losses.packets < LOSS_PACKETS or duration < LOSS_WINDOW_NS:
        return False
    if 0 < single < LOSS_PACKETS and duration < LONGEST_LOSS_WINDOW_NS:
        return False
    window.packets = link.losses.packets
    window.lost = link.losses.lost
    if single >= LOSS_PACKETS:
        window.packets = single
        window.lost -= link.copied_losses.lost
    window.lost = max(window.lost, <int64_t>0)
    window.rate = link.loss_bytes * 8e9 / duration
    link.losses.packets = link.losses.lost = link.loss_bytes = 0
    link.copied_losses.packets = link.copied_losses.lost = 0
    return True


cdef int match_transport(State *state, Link *link, message) except -1:
    """Match transport-wide feedback."""
    cdef int64_t seq = message.base_seq
    cdef int64_t time
    if link.newest < 0:
        return 0
    time = unwrap(&link.references, <uint64_t>(<int64_t>message.reference_time & 0xFFFFFF), 24) * 64000000
    for delta in message.deltas:
        if delta is None:
            link_match(state, link, link.newest - ((link.newest - seq) & 0xFFFF), False, 0)
        else:
            time += <int64_t>delta * 250000
            link_match(state, link, link.newest - ((link.newest - seq) & 0xFFFF), True, time)
        seq += 1
    return 0


cdef int match_streams(State *state, Link *link, message) except -1:
    """Match RFC 8888 feedback by going through the remembered packets, so that results are in order of sending."""
    cdef int64_t key, index
    cdef Remembered *entry
    cdef object seconds = unwrap(&link.reports, message.timestamp, 32)  # of any size, like `made`
    made = seconds * 1000000000 // 65536
    streams = [(stream.ssrc, stream.base_seq, stream.packets) for stream in message.streams]
    for key in range(max(<int64_t>0, link.newest_key - link.capacity + 1), link.newest_key + 1):
        entry = link_place(link, key)
        for ssrc, base, packets in streams if entry.key == key else ():
            index = (entry.seq - <int64_t>base) & 0xFFFF
            if entry.ssrc != <uint32_t>ssrc or index >= len(packets):
                continue
            packet = packets[index]
            if packet is None:
                link_match(state, link, key, False, 0)
            elif packet.offset is not None:
                link_match(state, link, key, True, made - packet.offset * 1000000000 // 1024)
    return 0
