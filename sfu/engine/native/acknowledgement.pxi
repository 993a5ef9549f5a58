# sfu.machines.repair.twcc_receiver in C, and the writing half of sfu.formats.transport_feedback.


cdef void acknowledger_free(Acknowledger *entry) noexcept nogil:
    if entry != NULL:
        free(entry.pending.items)
        free(entry)


cdef void acknowledge_arrival(
    State *state, Acknowledger *entry, unsigned transport_seq, int stamp, int size, int64_t arrival, uint32_t media_ssrc,
    bint is_ours
) noexcept nogil:
    """Take a packet's arrival, including duplicates and padding. `is_ours`: we dropped the packets missing before
    it. `stamp` is its abs-send-time, negative if it has none.
    """
    cdef int64_t seq = unwrap(&entry.seqs, transport_seq, 16)
    cdef Acknowledged *came
    cdef bint resumes
    if not entry.has_base:
        entry.has_base = True
        entry.base = seq
        entry.newest = -1
    if seq < entry.base - LATE_MAX or entry.pending.count >= PENDING_MAX:
        return
    uplink_received(&entry.delay, stamp, arrival, size)
    resumes = is_ours and seq > entry.newest + 1 and entry.newest >= 0
    entry.newest = max(entry.newest, seq)
    entry.media_ssrc = media_ssrc
    came = <Acknowledged *>grown_next(state, &entry.pending, sizeof(Acknowledged))
    if came == NULL:
        return
    came.seq = seq
    came.arrival = arrival
    came.order = entry.pending.count
    came.resumes = resumes
    if not entry.is_due:
        entry.is_due = True
        entry.deadline = arrival + FEEDBACK_NS * state.feedback_pace
    elif entry.pending.count >= EARLY_PACKETS * state.feedback_pace:
        entry.deadline = min(entry.deadline, arrival)
    if not state.acknowledges or entry.deadline < state.feedback_at:
        state.acknowledges = True
        state.feedback_at = entry.deadline


cdef int by_seq(const void *left, const void *right) noexcept nogil:
    cdef const Acknowledged *one = <const Acknowledged *>left
    cdef const Acknowledged *other = <const Acknowledged *>right
    if one.seq != other.seq:
        return -1 if one.seq < other.seq else 1
    return -1 if one.order < other.order else 1


cdef int pending_in_order(Acknowledger *entry) noexcept nogil:
    """Sort the packets to report by seq, with only the first of duplicates; return their number."""
    cdef Acknowledged *items = <Acknowledged *>entry.pending.items
    cdef int count = 1, k
    qsort(items, entry.pending.count, sizeof(Acknowledged), by_seq)
    for k in range(1, entry.pending.count):
        if items[k].seq != items[count - 1].seq:
            items[count] = items[k]
            count += 1
    return count


cdef bint told_arrivals(Acknowledger *entry, int count, UplinkRecord *window) noexcept nogil:
    """Turn the arrivals of the sorted packets into those to tell; return True if policy has to know the window."""
    cdef Acknowledged *items = <Acknowledged *>entry.pending.items
    cdef int64_t until = items[0].arrival
    cdef int k
    cdef bint is_told
    for k in range(1, count):
        until = max(until, items[k].arrival)
    window.until = until
    window.size = entry.delay.size
    entry.delay.size = 0
    is_told = uplink_end_window(&entry.delay, until, &window.queueing)
    for k in range(count):
        items[k].arrival -= uplink_hidden(&entry.delay, items[k].arrival)
    return is_told


cdef inline int64_t ticks(int64_t arrival) noexcept nogil:
    """Return an arrival in units of 250 µs, rounded down."""
    cdef int64_t whole = arrival // 250000
    return whole - 1 if whole * 250000 > arrival else whole


cdef int fitting(const Acknowledged *came, int count, int64_t start) noexcept nogil:
    """Return the number of packets that one message can report from `start` on."""
    cdef int taken = 1
    cdef int64_t delta
    while taken < min(count, RECEIVED_MAX) and came[taken].seq - start < SPAN_MAX and not came[taken].resumes:
        delta = ticks(came[taken].arrival) - ticks(came[taken - 1].arrival)
        if delta < -0x8000 or delta > 0x7FFF:
            break
        taken += 1
    return taken


cdef int write_chunks(const uint8_t *symbols, int count, uint8_t *out) noexcept nogil:
    """Write status chunks: runs where they are shorter, else vectors of symbols; return their size."""
    cdef int at = 0, size = 0, run, k, width, bits, end
    cdef unsigned chunk
    while at < count:
        run = 1
        while at + run < count and symbols[at + run] == symbols[at]:
            run += 1
        width = 14
        end = min(count, at + 14)
        for k in range(at, end):
            if symbols[k] == 2:
                width = 7
        if run >= width or at + run == count:
            chunk = symbols[at] << 13 | run
            at += run
        else:
            bits = 14 // width
            chunk = 0x8000 if width == 14 else 0xC000
            end = min(count, at + width)
            for k in range(at, end):
                chunk |= symbols[k] << (14 - bits - bits * (k - at))
            at = end
        store16(out + size, chunk)
        size += 2
    return size


cdef int write_feedback(Acknowledger *entry, const Acknowledged *came, int count, int64_t start, uint8_t *out) noexcept nogil:
    """Write a message about `count` packets as RTCP; return its size."""
    cdef uint8_t symbols[SPAN_MAX + 1]
    cdef uint8_t deltas[2 * RECEIVED_MAX]
    cdef int span = <int>(came[count - 1].seq - start) + 1
    cdef int told = 0, size, k, padding
    cdef int64_t previous = ticks(came[0].arrival), delta, tick
    cdef int64_t reference = previous >> 8
    previous = reference << 8
    memset(symbols, 0, span)
    for k in range(count):
        tick = ticks(came[k].arrival)
        delta = tick - previous
        previous = tick
        if 0 <= delta <= 255:
            symbols[came[k].seq - start] = 1
            deltas[told] = <uint8_t>delta
            told += 1
        else:
            symbols[came[k].seq - start] = 2
            store16(deltas + told, <unsigned>delta & 0xFFFF)
            told += 2
    store32(out + 4, entry.ssrc)
    store32(out + 8, entry.media_ssrc)
    store16(out + 12, <unsigned>start & 0xFFFF)
    store16(out + 14, span)
    store32(out + 16, (<uint32_t>reference & 0xFFFFFF) << 8 | <uint32_t>entry.count)
    entry.count = (entry.count + 1) & 0xFF
    size = 20 + write_chunks(symbols, span, out + 20)
    memcpy(out + size, deltas, told)
    size += told
    padding = -size & 3
    if padding:
        memset(out + size, 0, padding)
        size += padding
        out[size - 1] = padding
    out[0] = 0x80 | (0x20 if padding else 0) | 15
    out[1] = 205
    store16(out + 2, size // 4 - 1)
    return size


cdef int next_feedback_of(Acknowledger *entry, int *done, int count, int64_t *start, uint8_t *out) noexcept nogil:
    """Write the next message about the sorted packets; return its size, 0 if none are left."""
    cdef const Acknowledged *came = <const Acknowledged *>entry.pending.items + done[0]
    cdef int taken, size
    if done[0] == count:
        entry.base = max(entry.base, start[0])
        entry.pending.count = 0
        return 0
    if came[0].seq - start[0] > SPAN_MAX or came[0].resumes:
        start[0] = came[0].seq
    taken = fitting(came, count - done[0], start[0])
    size = write_feedback(entry, came, taken, start[0], out)
    start[0] = came[taken - 1].seq + 1
    done[0] += taken
    return size
