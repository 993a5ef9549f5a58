# sfu.engine.reception in C: turns slots of received bytes into packets in caches, and leftovers for policy.


cdef Ssrc *ssrc_of(Peer *peer, uint32_t ssrc) noexcept nogil:
    cdef int k
    for k in range(peer.ssrc_count):
        if peer.ssrcs[k].ssrc == ssrc:
            return &peer.ssrcs[k]
    return NULL


cdef void leave(State *state, int kind, int slot, int size) noexcept nogil:
    cdef LeftoverRecord *record = <LeftoverRecord *>grown_next(state, &state.leftovers, sizeof(LeftoverRecord))
    cdef Peer *peer = state.slots[slot].peer
    if record != NULL:
        record.kind = kind
        record.peer = peer.peer if peer != NULL else -1
        record.slot = slot
        record.size = size
        if kind != KIND_RTCP or not only_reports(state.slots[slot].data, size):
            state.is_urgent = True


cdef bint only_reports(const uint8_t *compound, int size) noexcept nogil:
    """Return True if RTCP has only what policy may get a moment later: SR, RR and SDES."""
    cdef int at = 0
    while at + 4 <= size:
        if not 200 <= compound[at + 1] <= 202:
            return False
        at += 4 + 4 * <int>load16(compound + at + 2)
    return True


cdef void receive_slot(State *state, int number) noexcept nogil:
    """Process a datagram: its first byte shows its kind."""
    cdef Slot *slot = &state.slots[number]
    cdef int first = slot.data[0] if slot.size > 0 else 255
    state.datagrams_in += 1
    state.bytes_in += slot.size
    if slot.dropped:
        state.overflows += 1
    if 128 <= first <= 191:
        if slot.peer == NULL and state.stray_room > 0:
            state.stray_room -= 1
            leave(state, KIND_STRAY, number, slot.size)
        elif slot.peer == NULL:
            drop(state, DROP_UNKNOWN_SOURCE)
        else:
            receive_protected(state, number)
    elif first <= 3:
        if not answer_check(state, slot):
            leave(state, KIND_STUN, number, slot.size)
    elif 20 <= first <= 63:
        leave(state, KIND_DTLS, number, slot.size)
    else:
        drop(state, DROP_NOT_WEBRTC)


cdef void receive_protected(State *state, int number) noexcept nogil:
    """Distinguish RTCP from RTP by the second byte; packets that arrive before the keys are left to policy
    unchanged.
    """
    cdef Slot *slot = &state.slots[number]
    cdef int size
    if not slot.peer.has_keys:
        if slot.size > PACKET_BYTES_MAX:
            drop(state, DROP_MALFORMED)
        else:
            leave(state, KIND_EARLY, number, slot.size)
    elif slot.size > 1 and 192 <= slot.data[1] <= 223:
        size = unprotect_rtcp_packet(slot.peer, slot.data, slot.size)
        if size < 0:
            drop(state, -1 - size)
            return
        slot.peer.last_activity = max(slot.peer.last_activity, slot.arrival)
        size = fold_compound(state, slot.peer, slot.data, size, slot.arrival)
        if says_something(slot.data, size):
            leave(state, KIND_RTCP, number, size)
    else:
        receive_rtp(state, number)


cdef int protected_header(const uint8_t *data, int size) noexcept nogil:
    """Return the header's size if it is within `size` bytes, else -1. Unless it returns -1, the packet has 12 bytes."""
    cdef int offset
    if size < 12:
        return -1
    offset = 12 + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        if offset + 4 > size:
            return -1
        offset += 4 + 4 * <int>load16(data + offset + 2)
    return offset if offset <= size else -1


cdef void receive_rtp(State *state, int number) noexcept nogil:
    cdef Slot *slot = &state.slots[number]
    cdef Peer *peer = slot.peer
    cdef Ssrc *known
    cdef Packet *packet
    cdef int header_bytes = -1, size
    if slot.size <= PACKET_BYTES_MAX:
        header_bytes = protected_header(slot.data, slot.size - peer.receive.tag_bytes)
    if header_bytes < 0:
        drop(state, DROP_MALFORMED)
        return
    known = ssrc_of(peer, load32(slot.data + 8))
    if known == NULL:
        size = unprotect_rtp(peer, slot.data, slot.size, header_bytes, slot.data)
        if size < 0:
            drop(state, -1 - size)
            return
        slot.peer.last_activity = max(peer.last_activity, slot.arrival)
        if not header_parses(slot.data, size):
            drop(state, DROP_MALFORMED)
        else:
            leave(state, KIND_UNKNOWN_SSRC, number, size)
        return
    if known.stream.is_shed:
        known.stream.overflows = -1
        drop(state, DROP_SHED)
        return
    if state.sends and state.waiting > BACKLOG_MAX and not known.stream.is_audio:
        known.stream.overflows = -1
        known.stream.is_cut = known.stream.routes.count > 0
        drop(state, DROP_BACKLOG_FULL)
        return
    # Room for `equalise`: a plain packet has no tag, whose room could be used.
    packet = packet_new(state, slot.size + EQUALISING_MAX if peer.receive.is_plain else slot.size)
    if packet == NULL:
        drop(state, DROP_MALFORMED)
        return
    size = unprotect_rtp(peer, slot.data, slot.size, header_bytes, packet.data)
    if size < 0:
        drop(state, -1 - size)
    else:
        peer.last_activity = max(peer.last_activity, slot.arrival)
        take(state, peer, known, packet, size, slot.arrival)
    packet_release(state, packet)


cdef bint header_parses(const uint8_t *data, int size) noexcept nogil:
    """Return True if an unprotected packet with a known header size is valid RTP."""
    cdef int at[ELEMENTS_READ]
    cdef int length[ELEMENTS_READ]
    cdef uint8_t nothing[256]
    memset(nothing, NO_TYPE, 256)
    return parse_header(data, size, nothing, at, length) >= 0


cdef int parse_elements(
    const uint8_t *data, int offset, int end, bint one_byte, const uint8_t *extensions, int *at, int *length
) noexcept nogil:
    """Find elements of header extensions between `offset` and `end` (RFC 8285); return -1 if one exceeds the end."""
    cdef int identifier, size_of, name
    while offset < end:
        identifier = data[offset]
        offset += 1
        if identifier == 0:
            continue
        if one_byte:
            if identifier < 0x10 or identifier >= 0xF0:
                break
            size_of = (identifier & 0x0F) + 1
            identifier >>= 4
        else:
            if offset == end:
                return -1
            size_of = data[offset]
            offset += 1
        if offset + size_of > end:
            return -1
        name = extensions[identifier]
        if name < ELEMENTS_READ and size_of:
            at[name] = offset
            length[name] = size_of
        offset += size_of
    return 0


cdef int parse_header(
    const uint8_t *data, int size, const uint8_t *extensions, int *at, int *length
) noexcept nogil:
    """Return the offset of the payload, -1 if the packet is not RTP.

    `at` and `length` receive the places of the elements of PASSED, then of the transport-wide seq and the send time;
    length 0 means none.
    """
    cdef int offset, end, profile, padding, k
    for k in range(ELEMENTS_READ):
        length[k] = 0
    end = protected_header(data, size)
    if end < 0:
        return -1
    if data[0] & 0x10:
        offset = 12 + 4 * (data[0] & 0x0F)
        profile = load16(data + offset)
        if profile == 0xBEDE or profile & 0xFFF0 == 0x1000:
            if parse_elements(data, offset + 4, end, profile == 0xBEDE, extensions, at, length) < 0:
                return -1
    if data[0] & 0x20:
        padding = data[size - 1] if size > end else 0
        if not 0 < padding <= size - end:
            return -1
    return end


cdef void take(State *state, Peer *peer, Ssrc *known, Packet *packet, int size, int64_t arrival) noexcept nogil:
    """Take a packet of a registered stream: `packet.data` holds `size` unprotected bytes."""
    cdef int at[ELEMENTS_READ]
    cdef int length[ELEMENTS_READ]
    cdef int payload_at = parse_header(packet.data, size, peer.extensions, at, length)
    cdef int k, level, transport_seq = -1, stamp = -1
    cdef bint is_ours
    if payload_at < 0:
        drop(state, DROP_MALFORMED)
        return
    packet.arrival = arrival
    packet.timestamp = load32(packet.data + 4)
    packet.marker = packet.data[1] & 0x80
    packet.end = size
    packet.payload_at = payload_at
    packet.payload_size = size - payload_at - (packet.data[size - 1] if packet.data[0] & 0x20 else 0)
    packet.is_padded = packet.data[0] & 0x20 != 0
    for k in range(PASSED_COUNT):
        packet.passed_at[k] = at[k]
        packet.passed_size[k] = length[k]
    if length[0]:
        level = packet.data[at[0]]
        progress_hear(known.stream.progress, level & 0x7F, level & 0x80 != 0, arrival)
    if length[4] >= 2:
        transport_seq = load16(packet.data + at[4])
    if length[5] == 3:
        stamp = packet.data[at[5]] << 16 | load16(packet.data + at[5] + 1)
    is_ours = admit(state, known, packet)
    if peer.acknowledger != NULL and transport_seq >= 0:
        acknowledge_arrival(
            state, peer.acknowledger, transport_seq, stamp, size, arrival, known.stream.ssrc, is_ours
        )


cdef void undo_rtx(const Stream *stream, Packet *packet, int repairs) noexcept nogil:
    """Turn an RTX packet into its original, in place (RFC 4588, section 4)."""
    cdef int k
    cdef int header_bytes = packet.payload_at
    cdef unsigned seq = load16(packet.data + packet.payload_at)
    memmove(packet.data + 2, packet.data, header_bytes)
    packet.start = 2
    packet.data[3] = repairs | packet.marker
    store16(packet.data + 4, seq)
    store32(packet.data + 10, stream.ssrc)
    packet.payload_at += 2
    packet.payload_size -= 2
    for k in range(PASSED_COUNT):
        packet.passed_at[k] += 2


cdef int admit_rtx(State *state, const Stream *stream, Packet *packet) noexcept nogil:
    """Unwrap RTX; return the original's payload type, -1 if there is none."""
    cdef int payload_type = packet.data[1] & 0x7F
    cdef int repairs = stream.repairs[payload_type]
    if stream.codec[payload_type] != CODEC_RTX or repairs == NO_TYPE or stream.codec[repairs] == NO_TYPE:
        drop(state, DROP_UNMAPPED_PAYLOAD_TYPE)
        return -1
    if packet.payload_size < 2:  # padding repairs nothing
        return -1
    undo_rtx(stream, packet, repairs)
    return repairs


cdef bint admit(State *state, Ssrc *known, Packet *packet) noexcept nogil:
    """Number a packet, and cache it if it is new. Return whether it is the first after a loss of our own."""
    cdef Stream *stream = known.stream
    cdef int payload_type = packet.data[1] & 0x7F
    cdef int refusal, flags = 0
    cdef unsigned seq
    cdef int64_t ext_seq, ahead
    if known.is_rtx:
        flags = FLAG_REPAIRED
        payload_type = admit_rtx(state, stream, packet)
        if payload_type < 0:
            return False
    if packet.payload_size == 0:
        flags |= FLAG_PADDING
    seq = load16(packet.data + packet.start + 2)
    ext_seq = seq
    if stream.newest >= 0:
        ahead = (seq - stream.newest) & 0xFFFF
        ext_seq = stream.newest + ahead if ahead < 0x8000 else stream.newest + ahead - 0x10000
    if ext_seq < stream.first or ext_seq <= stream.newest - stream.capacity:
        drop(state, DROP_TOO_LATE)
        return False
    if cached(stream, ext_seq) != NULL:
        drop(state, DROP_DUPLICATE)
        return False
    refusal = opened(state, stream, packet, ext_seq, &payload_type)
    keep(state, stream, packet, ext_seq, payload_type, refusal)
    arrived(state, stream, packet, flags)
    return packet.closes


cdef void arrived(State *state, Stream *stream, const Packet *packet, int flags) noexcept nogil:
    """Count a new packet, and report it if policy may have to react at once."""
    cdef ArrivalRecord *record
    cdef int size = packet.end - packet.start
    state.packets_in += 1
    if not stream.progress.packets or packet.arrival - stream.progress.last_arrival >= RESUMED_NS:
        flags |= FLAG_RESUMED
    if packet.is_keyframe and not stream.is_audio:
        flags |= FLAG_KEYFRAME
    if packet.closes:
        flags |= FLAG_OVERFLOWED
    progress_take(stream.progress, packet, size, stream.clock_rate[packet.payload_type], flags)
    if not packet.gap and not packet.is_late and not flags & ~FLAG_PADDING:
        return
    record = <ArrivalRecord *>grown_next(state, &state.arrivals, sizeof(ArrivalRecord))
    if record != NULL:
        record.peer = stream.peer.peer
        record.stream = stream.stream
        record.ext_seq = packet.ext_seq
        record.gap = packet.gap
        record.arrival = packet.arrival
        record.timestamp = packet.timestamp
        record.size = size
        record.flags = flags


cdef inline void note_keyframe(Stream *stream, const Packet *packet) noexcept nogil:
    cdef bint is_same = stream.keyframe >= 0 and packet.timestamp == stream.keyframe_timestamp
    if is_same == (packet.ext_seq < stream.keyframe):
        stream.keyframe = packet.ext_seq
        stream.keyframe_timestamp = packet.timestamp


cdef inline void tell_playout_delay(const Stream *stream, Packet *packet) noexcept nogil:
    """Give a packet the playout delay of its stream; a keyframe says that there is none."""
    cdef bint is_keyframe = stream.keyframe >= 0 and packet.timestamp == stream.keyframe_timestamp
    memcpy(packet.playout_delay, stream.playout_delay, PLAYOUT_BYTES)
    if is_keyframe and not is_told(packet.playout_delay):
        memcpy(packet.playout_delay, no_playout_delay, PLAYOUT_BYTES)


cdef void keep(
    State *state, Stream *stream, Packet *packet, int64_t ext_seq, int payload_type, int refusal
) noexcept nogil:
    """Cache a new packet for its receivers; one that may not pass (`refusal`) is kept empty, to hold its number."""
    cdef Packet **place = &stream.ring[ext_seq % stream.capacity]
    packet.ext_seq = ext_seq
    packet.payload_type = payload_type
    packet.codec = stream.codec[payload_type]
    if refusal >= 0:
        drop(state, refusal)
        packet.payload_size = 0
    if packet.payload_size:
        describe(packet)
        if packet.codec == CODEC_AV1 and packet.passed_size[DESCRIPTOR_PLACE]:
            describe_dependencies(state, stream, packet)
    packet.is_late = ext_seq < stream.newest
    packet.gap = max(0, ext_seq - stream.newest - 1) if stream.newest >= 0 else 0
    packet.closes = ext_seq > stream.newest and stream.overflows != state.overflows
    if packet.closes:
        stream.overflows = state.overflows
    stream.newest = max(stream.newest, ext_seq)
    if packet.is_keyframe and not stream.is_audio:
        note_keyframe(stream, packet)
    if not stream.is_audio:
        tell_playout_delay(stream, packet)
    if place[0] != NULL:
        packet_release(state, place[0])
    place[0] = packet
    packet.refs += 1
    stream.oldest = max(min(stream.oldest, ext_seq), stream.newest - stream.capacity + 1)
    forget_older(state, stream, packet.arrival - CACHE_NS)
    add_to_run(state, stream, packet)
    if refusal < 0:
        copy_to_sinks(state, stream, packet)


cdef void forget_older(State *state, Stream *stream, int64_t horizon) noexcept nogil:
    """Drop packets from before `horizon`, up to the first later one; the newest stays."""
    cdef Packet *packet
    while stream.oldest < stream.newest:
        packet = cached(stream, stream.oldest)
        if packet != NULL:
            if packet.arrival >= horizon:
                break
            stream.ring[stream.oldest % stream.capacity] = NULL
            stream.first = stream.oldest + 1
            packet_release(state, packet)
        stream.oldest += 1


cdef void add_to_run(State *state, Stream *stream, Packet *packet) noexcept nogil:
    cdef Run *run = stream.run
    cdef Runs *queue
    cdef Packet **packets
    cdef int capacity
    if run == NULL or (run.is_started and run.count >= JOINED_MAX):
        run = <Run *>calloc(1, sizeof(Run))
        if run == NULL:
            state.out_of_memory = True
            return
        state.runs += 1
        run.number = state.runs
        run.stream = stream
        run.came_at = state.now
        stream.run = run
        queue = &state.sounds if stream.is_audio else &state.others
        if queue.last != NULL:
            queue.last.next = run
        else:
            queue.first = run
        queue.last = run
        if state.open_run == NULL and not stream.is_audio:
            state.open_run = run
    if run.count == run.capacity:
        capacity = 16 if run.capacity == 0 else 2 * run.capacity
        packets = <Packet **>realloc(run.packets, capacity * sizeof(Packet *))
        if packets == NULL:
            state.out_of_memory = True
            return
        run.packets = packets
        run.capacity = capacity
    packet.run = run.number
    packet.run_index = run.count
    packet.begun_at = run.turn
    packet.refs += 1
    run.packets[run.count] = packet
    run.count += 1
    state.waiting += 1


cdef void copy_to_sinks(State *state, Stream *stream, Packet *packet) noexcept nogil:
    cdef SinkRecord *record
    cdef int k
    for k in range(stream.sink_count):
        record = <SinkRecord *>grown_next(state, &state.sinks, sizeof(SinkRecord))
        if record != NULL:
            record.sink = stream.sinks[k].sink
            record.handle = stream.sinks[k].handle
            record.stream = stream.stream
            record.packet = packet
            packet.refs += 1


cdef void end_runs(State *state) noexcept nogil:
    """End the batch's runs: later packets begin new ones, but audio joins its stream's run that is under way or
    waits.
    """
    cdef Run *run = state.open_run
    while run != NULL:
        if not run.is_closed:
            run.is_closed = True
            run.stream.run = NULL
            equalise(run)
        run = run.next
    state.open_run = NULL


cdef void equalise(Run *run) noexcept nogil:
    """Pad the packets of each frame to one length where little is missing; see sfu.engine.packet."""
    cdef Packet *packet
    cdef int start = 0, end, k, longest, missing
    for end in range(1, run.count + 1):
        if end < run.count and run.packets[end].timestamp == run.packets[start].timestamp:
            continue
        longest = 0
        for k in range(start, end):
            longest = max(longest, <int>run.packets[k].payload_size)
        for k in range(start, end):
            packet = run.packets[k]
            missing = longest - packet.payload_size
            if 0 < missing <= EQUALISING_MAX and packet.payload_size and not packet.is_padded:
                packet.equalising = missing
                # The publisher's tag followed the payload, so there is room.
                memset(packet.data + packet.payload_at + packet.payload_size, 0, missing)
                packet.data[packet.payload_at + packet.payload_size + missing - 1] = missing
        start = end
