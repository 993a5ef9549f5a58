# Incoming transport-wide feedback: sfu.formats.transport_feedback and sfu.engine.reception in C.


cdef inline int chunk_symbols(unsigned chunk, int *width) noexcept nogil:
    """Return the number of symbols in a status chunk, and their size in bits; 0 bits for a run."""
    if not chunk & 0x8000:
        width[0] = 0
        return chunk & 0x1FFF
    width[0] = 2 if chunk & 0x4000 else 1
    return 7 if chunk & 0x4000 else 14


cdef inline int chunk_symbol(unsigned chunk, int width, int k) noexcept nogil:
    if width == 0:
        return chunk >> 13 & 3
    return chunk >> (14 - width * (k + 1)) & width * 2 - 1


cdef int feedback_deltas(const uint8_t *body, int size) noexcept nogil:
    """Return the offset of a message's receive deltas; -1 if it is malformed. `body` follows the RTCP header."""
    cdef int count, told = 0, at = 16, needed = 0, width, held, k, symbol
    cdef unsigned chunk
    if size < 16:
        return -1
    count = load16(body + 10)
    if count == 0 or count > REPORTED_MAX:
        return -1
    while told < count:
        if at + 2 > size:
            return -1
        chunk = load16(body + at)
        at += 2
        held = min(chunk_symbols(chunk, &width), count - told)
        for k in range(held):
            symbol = chunk_symbol(chunk, width, k)
            if symbol == 3:
                return -1
            needed += symbol
        told += held
    return at if at + needed <= size else -1


cdef void match_feedback(State *state, Link *link, const uint8_t *body, int deltas) noexcept nogil:
    """Match a well-formed message, as `match_transport` does with a parsed one."""
    cdef int64_t seq = load16(body + 8)
    cdef int count = load16(body + 10), told = 0, at = 16, width, held, k, symbol
    cdef int64_t time, key
    cdef unsigned chunk
    if link.newest < 0:
        return
    time = unwrap(&link.references, load32(body + 12) >> 8, 24) * 64000000
    while told < count:
        chunk = load16(body + at)
        at += 2
        held = min(chunk_symbols(chunk, &width), count - told)
        for k in range(held):
            symbol = chunk_symbol(chunk, width, k)
            key = link.newest - ((link.newest - seq) & 0xFFFF)
            if symbol == 0:
                link_match(state, link, key, False, 0)
            else:
                time += <int64_t>(body[deltas] if symbol == 1 else <int16_t>load16(body + deltas)) * 250000
                deltas += symbol
                link_match(state, link, key, True, time)
            seq += 1
        told += held


cdef bint fold_feedback(State *state, Peer *peer, const uint8_t *packet, int size, int64_t arrival) noexcept nogil:
    """Take an RTCP packet if it is valid transport-wide feedback; return False to leave it to policy."""
    cdef Link *link = peer.link
    cdef int deltas
    cdef Peer **place
    if packet[0] & 0x1F != 15 or packet[1] != 205:
        return False
    if packet[0] & 0x20:
        if packet[size - 1] == 0 or packet[size - 1] > size - 4:
            return False
        size -= packet[size - 1]
    deltas = feedback_deltas(packet + 4, size - 4)
    if deltas < 0:
        return False
    state.matched.count = 0
    link.told_arrival = arrival
    match_feedback(state, link, packet + 4, deltas)
    if state.matched.count == 0:
        return True
    if (not link_reduce(state, link, arrival) or arrival - link.told_at >= link.folds) and not link.is_told:
        place = <Peer **>grown_next(state, &state.told, sizeof(Peer *))
        if place != NULL:
            place[0] = peer
            link.is_told = True
    state.matched.count = 0
    return True


cdef bint fold_report(Link *link, const uint8_t *packet, int size, int64_t arrival) noexcept nogil:
    """Return True if an RTCP packet is a receiver report that, like the one before, reports no loss."""
    cdef int count = packet[0] & 0x1F, k
    cdef bint is_clear = True, was_clear = link.was_clear
    if packet[1] != 201 or packet[0] & 0x20 or count == 0 or 8 + 24 * count > size:
        return False
    for k in range(count):
        is_clear = is_clear and packet[12 + 24 * k] == 0
    if is_clear and was_clear and arrival - link.reported_at < link.folds:
        return True
    link.was_clear = is_clear
    link.reported_at = arrival
    return False


cdef bint is_whole(const uint8_t *data, int size) noexcept nogil:
    """Return True if the lengths of a compound packet's parts are consistent."""
    cdef int at = 0
    while at < size:
        if size - at < 4 or data[at] >> 6 != 2:
            return False
        at += 4 * (<int>load16(data + at + 2) + 1)
    return at == size


cdef bint says_something(const uint8_t *data, int size) noexcept nogil:
    """Return True if a compound packet has more than a sign of life (reports without blocks, and names)."""
    cdef int at = 0
    if size > 0 and not is_whole(data, size):
        return True
    while at < size:
        if data[at + 1] != 202 and not (data[at] == 0x80 and data[at + 1] == 201):
            return True
        at += 4 * (<int>load16(data + at + 2) + 1)
    return False


cdef int fold_compound(State *state, Peer *peer, uint8_t *data, int size, int64_t arrival) noexcept nogil:
    """Remove calm feedback and reports from a compound packet; return its remaining size."""
    cdef Link *link = peer.link
    cdef int at = 0, kept = 0, bytes_of
    if link == NULL or link.folds == 0 or (link.was_probed and arrival - link.probed_at < PROBED_NS):
        return size
    if not is_whole(data, size):
        return size
    while at < size:
        bytes_of = 4 * (<int>load16(data + at + 2) + 1)
        if not fold_feedback(state, peer, data + at, bytes_of, arrival) and not fold_report(link, data + at, bytes_of, arrival):
            memmove(data + kept, data + at, bytes_of)
            kept += bytes_of
        at += bytes_of
    return kept
