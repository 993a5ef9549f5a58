# sfu.engine.redundancy and sfu.formats.red in C: unwraps RED, and recovers lost packets from it.

cdef struct Block:
    int payload_type
    int offset
    int at
    int size


cdef int red_blocks(const uint8_t *payload, int size, Block *blocks) noexcept nogil:
    """Return the number of blocks, the primary last; -1 if it is not RED. There must be room for REDUNDANT_MAX + 1."""
    cdef int count = 0, at = 0, k
    while at < size and payload[at] & 0x80:
        if at + 4 > size or count == REDUNDANT_MAX:
            return -1
        blocks[count].payload_type = payload[at] & 0x7F
        blocks[count].offset = load16(payload + at + 1) >> 2
        blocks[count].size = load16(payload + at + 2) & 0x3FF
        count += 1
        at += 4
    if at >= size:
        return -1
    blocks[count].payload_type = payload[at]
    blocks[count].offset = 0
    at += 1
    for k in range(count):
        blocks[k].at = at
        at += blocks[k].size
    if at > size:
        return -1
    blocks[count].at = at
    blocks[count].size = size - at
    return count + 1


cdef inline bint is_plain(const Stream *stream, int payload_type) noexcept nogil:
    """Return True if the block can be forwarded."""
    cdef int codec = stream.codec[payload_type]
    return codec != NO_TYPE and codec != CODEC_RTX and codec != CODEC_RED


cdef bint follows(const Stream *stream, int64_t position, uint32_t timestamp) noexcept nogil:
    """Return True if the timestamp is later than that of the nearest packet before the position."""
    cdef Packet *packet
    cdef int64_t earlier
    cdef uint32_t ahead
    for earlier in range(position - 1, position - 1 - REDUNDANT_MAX, -1):
        packet = cached(stream, earlier) if earlier >= 0 else NULL
        if packet != NULL:
            ahead = timestamp - packet.timestamp
            return 0 < ahead < <uint32_t>1 << 31
    return True


cdef void recover(
    State *state, Stream *stream, const Packet *packet, int64_t ext_seq, const Block *blocks, int count
) noexcept nogil:
    """Recover packets missing right before a packet from its redundant blocks, oldest first."""
    cdef int found = 0, k
    cdef const Block *block
    cdef int64_t position
    if stream.newest < 0:
        return
    for k in range(1, count):
        block = &blocks[count - 1 - k]
        position = ext_seq - k
        if block.offset <= blocks[count - k].offset or not block.size or not is_plain(stream, block.payload_type):
            break
        if position < stream.first or position <= stream.newest - stream.capacity or cached(stream, position) != NULL:
            break
        if not follows(stream, position, packet.timestamp - <uint32_t>block.offset):
            break
        found = k
    for k in range(found, 0, -1):
        recover_block(state, stream, packet, ext_seq - k, &blocks[count - 1 - k])


cdef void recover_block(
    State *state, Stream *stream, const Packet *packet, int64_t ext_seq, const Block *block
) noexcept nogil:
    cdef Packet *lost = packet_new(state, 12 + block.size)
    if lost == NULL:
        return
    lost.arrival = packet.arrival
    lost.timestamp = packet.timestamp - <uint32_t>block.offset
    lost.end = 12 + block.size
    lost.payload_at = 12
    lost.payload_size = block.size
    lost.data[0] = 0x80
    lost.data[1] = block.payload_type
    store16(lost.data + 2, ext_seq & 0xFFFF)
    store32(lost.data + 4, lost.timestamp)
    store32(lost.data + 8, stream.ssrc)
    memcpy(lost.data + 12, packet.data + packet.payload_at + block.at, block.size)
    keep(state, stream, lost, ext_seq, block.payload_type, -1)
    state.recovered += 1
    arrived(state, stream, lost, FLAG_RECOVERED)
    packet_release(state, lost)


cdef void undo_red(Packet *packet, const Block *primary) noexcept nogil:
    """Turn a RED packet into its primary packet, in place, without padding."""
    cdef int k
    cdef int header_bytes = packet.payload_at - packet.start
    memmove(packet.data + packet.start + primary.at, packet.data + packet.start, header_bytes)
    packet.start += primary.at
    packet.payload_at += primary.at
    packet.payload_size = primary.size
    packet.end = packet.payload_at + primary.size
    packet.is_padded = False
    packet.data[packet.start] &= 0xDF
    packet.data[packet.start + 1] = primary.payload_type | packet.marker
    for k in range(PASSED_COUNT):
        packet.passed_at[k] += primary.at


cdef int opened(State *state, Stream *stream, Packet *packet, int64_t ext_seq, int *payload_type) noexcept nogil:
    """Unwrap RED, and recover lost packets from it. Return the reason if the packet may not pass, else -1."""
    cdef Block blocks[REDUNDANT_MAX + 1]
    cdef int count, codec = stream.codec[payload_type[0]]
    if not stream.permitted:
        return DROP_NOT_PERMITTED
    if codec == CODEC_RED and packet.payload_size:
        count = red_blocks(packet.data + packet.payload_at, packet.payload_size, blocks)
        if count < 0:
            return DROP_MALFORMED
        recover(state, stream, packet, ext_seq, blocks, count)
        undo_red(packet, &blocks[count - 1])
        payload_type[0] = blocks[count - 1].payload_type
        return -1 if is_plain(stream, payload_type[0]) else DROP_UNMAPPED_PAYLOAD_TYPE
    return DROP_UNMAPPED_PAYLOAD_TYPE if codec == NO_TYPE or codec == CODEC_RTX else -1
