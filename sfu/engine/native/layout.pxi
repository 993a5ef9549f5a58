# sfu.engine.layout in C: headers of outgoing packets, and renumbered payloads.

cdef uint8_t no_playout_delay[PLAYOUT_BYTES]
memcpy(no_playout_delay, <const uint8_t *>(<bytes>NO_PLAYOUT_DELAY), PLAYOUT_BYTES)


cdef inline bint is_told(const uint8_t *playout_delay) noexcept nogil:
    """Return True unless the value is zeros, which stand for no value: even that of no delay has a longest one."""
    return playout_delay[0] | playout_delay[1] | playout_delay[2]


cdef inline const uint8_t *delay_told(const Route *route, const Packet *packet) noexcept nogil:
    """Return our playout delay of a packet without its publisher's own, NULL for none."""
    cdef const uint8_t *longer = &packet.playout_delay[0]
    if not route.passed_id[PLAYOUT_PLACE] or packet.passed_size[PLAYOUT_PLACE] or not packet.payload_size:
        return NULL
    if memcmp(route.playout_delay, longer, PLAYOUT_BYTES) > 0:
        longer = &route.playout_delay[0]
    return longer if is_told(longer) else NULL


cdef inline uint32_t send_time(int64_t now) noexcept nogil:
    # now * 2**18 / 10**9 without overflow: seconds and the rest separately.
    return <uint32_t>(
        ((now // 1000000000 << 18) + ((now % 1000000000 << 18) // 1000000000)) & 0xFFFFFF
    )


cdef inline uint8_t *put_element(uint8_t *at, bint one_byte, int identifier, const uint8_t *value, int size) noexcept nogil:
    if one_byte:
        at[0] = identifier << 4 | size - 1
        at += 1
    else:
        at[0] = identifier
        at[1] = size
        at += 2
    memcpy(at, value, size)
    return at + size


cdef inline bint takes_one_byte(const Route *route, const Packet *packet, const uint8_t *delay) noexcept nogil:
    """Return True if all passed elements fit the one-byte form (RFC 8285, section 4.2)."""
    cdef int k
    if delay != NULL and route.passed_id[PLAYOUT_PLACE] >= 15:
        return False
    if route.send_time_id >= 15 or route.transport_id >= 15:
        return False
    if route.mid_id and route.mid_size and (route.mid_id >= 15 or route.mid_size > 16):
        return False
    for k in range(PASSED_COUNT):
        if route.passed_id[k] and packet.passed_size[k] and (route.passed_id[k] >= 15 or packet.passed_size[k] > 16):
            return False
    return True


cdef inline int write_header(
    uint8_t *out, const Route *route, const Packet *packet, int second, unsigned seq, uint32_t timestamp, uint32_t ssrc,
    uint32_t stamp, unsigned transport_seq, unsigned frame_offset
) noexcept nogil:
    """Write the header of an outgoing packet; return its size."""
    cdef const uint8_t *delay = delay_told(route, packet)
    cdef bint one_byte = takes_one_byte(route, packet, delay)
    cdef uint8_t *at = out + 16
    cdef uint8_t value[4]
    cdef int k, words
    cdef int first = 0xA0 if packet.equalising else 0x80
    out[0] = first | 0x10
    out[1] = second
    store16(out + 2, seq)
    store32(out + 4, timestamp)
    store32(out + 8, ssrc)
    if route.send_time_id:
        store32(value, stamp << 8)
        at = put_element(at, one_byte, route.send_time_id, value, 3)
    if route.transport_id:
        store16(value, transport_seq)
        at = put_element(at, one_byte, route.transport_id, value, 2)
    if route.mid_id and route.mid_size:
        at = put_element(at, one_byte, route.mid_id, route.mid, route.mid_size)
    for k in range(PASSED_COUNT):
        if k == PLAYOUT_PLACE and delay != NULL:
            at = put_element(at, one_byte, route.passed_id[k], delay, PLAYOUT_BYTES)
        elif route.passed_id[k] and packet.passed_size[k]:
            at = put_element(at, one_byte, route.passed_id[k], packet.data + packet.passed_at[k], packet.passed_size[k])
            if k == DESCRIPTOR_PLACE and packet.frame_number >= 0:
                store16(at - packet.passed_size[k] + 1, (packet.frame_number + frame_offset) & 0xFFFF)
    if at == out + 16:
        out[0] = first
        return 12
    while (at - out) & 3:
        at[0] = 0
        at += 1
    words = <int>(at - out - 16) >> 2
    store16(out + 12, 0xBEDE if one_byte else 0x1000)
    store16(out + 14, words)
    return 16 + 4 * words


cdef inline void rewrite_payload(uint8_t *payload, const Packet *packet, const Rewriting *rewrite) noexcept nogil:
    cdef unsigned picture = (packet.picture_id + rewrite.picture_offset) & packet.picture_mask
    if packet.picture_mask == 0x7F:
        payload[packet.picture_at] = picture
    else:
        store16(payload + packet.picture_at, picture | 0x8000)
    if packet.tl0 >= 0:
        payload[packet.tl0_at] = (packet.tl0 + rewrite.tl0_offset) & 0xFF
