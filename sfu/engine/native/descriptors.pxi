# Payload descriptors: sfu.formats.vp8, vp9, h264 and av1 in C, for one packet at a time and without objects.


cdef bint describe(Packet *packet) noexcept nogil:
    """Fill in the packet's descriptor fields; packets that do not parse are left unchanged."""
    cdef const uint8_t *payload = packet.data + packet.payload_at
    cdef int size = packet.payload_size
    if packet.codec == CODEC_VP8:
        return describe_vp8(packet, payload, size)
    if packet.codec == CODEC_VP9:
        return describe_vp9(packet, payload, size)
    if packet.codec == CODEC_H264:
        packet.is_keyframe = h264_begins_keyframe(payload, size)
    elif packet.codec == CODEC_AV1:
        packet.is_keyframe = av1_begins_keyframe(payload, size)
    else:
        packet.is_keyframe = packet.codec != CODEC_RTX
    return True


cdef bint describe_vp8(Packet *packet, const uint8_t *payload, int size) noexcept nogil:
    cdef int offset = 1, extension = 0, picture = -1, tl0 = -1, picture_at = 0, tl0_at = 0, layers = 0
    cdef bint is_long = False
    if payload[0] & 0x80:
        if size < 2:
            return False
        extension = payload[1]
        offset = 2
    if extension & 0x80:
        if offset >= size:
            return False
        picture_at = offset
        picture = payload[offset]
        offset += 1
        if picture & 0x80:
            if offset >= size:
                return False
            is_long = True
            picture = (picture & 0x7F) << 8 | payload[offset]
            offset += 1
    if extension & 0x40:
        if offset >= size:
            return False
        tl0_at = offset
        tl0 = payload[offset]
        offset += 1
    if extension & 0x30:
        if offset >= size:
            return False
        layers = payload[offset]
        offset += 1
    if offset >= size:
        return False
    if extension & 0x20:
        packet.temporal = layers >> 6
        packet.layer_sync = layers & 0x20 != 0
    take_picture(packet, picture, picture_at, is_long, tl0, tl0_at)
    packet.is_keyframe = payload[0] & 0x17 == 0x10 and not payload[offset] & 0x01
    return True


cdef void take_picture(Packet *packet, int picture, int picture_at, bint is_long, int tl0, int tl0_at) noexcept nogil:
    if picture < 0:
        return
    packet.picture_id = picture
    packet.picture_at = picture_at
    packet.picture_mask = 0x7FFF if is_long else 0x7F
    if tl0 >= 0:
        packet.tl0 = tl0
        packet.tl0_at = tl0_at


cdef bint describe_vp9(Packet *packet, const uint8_t *payload, int size) noexcept nogil:
    cdef int first = payload[0], offset = 1, picture = -1, tl0 = -1, picture_at = 0, tl0_at = 0, layers = 0, diffs = 0
    cdef bint is_long = False, is_flexible = first & 0x10 != 0
    if first & 0x80:
        if offset >= size:
            return False
        picture_at = offset
        picture = payload[offset]
        offset += 1
        if picture & 0x80:
            if offset >= size:
                return False
            is_long = True
            picture = (picture & 0x7F) << 8 | payload[offset]
            offset += 1
    if first & 0x20:
        if offset >= size:
            return False
        layers = payload[offset]
        offset += 1
        if not is_flexible:
            if offset >= size:
                return False
            tl0_at = offset
            tl0 = payload[offset]
            offset += 1
    if is_flexible and first & 0x40:
        while True:
            if diffs == 3 or offset >= size:
                return False
            diffs += 1
            offset += 1
            if not payload[offset - 1] & 0x01:
                break
    if first & 0x02:
        offset = vp9_structure_end(payload, size, offset)
    if offset < 0 or offset >= size:
        return False
    packet.temporal = layers >> 5
    packet.layer_sync = layers & 0x10 != 0
    packet.spatial = layers >> 1 & 0x07
    packet.inter_picture = first & 0x40 != 0
    packet.end_of_layer = first & 0x04 != 0
    take_picture(packet, picture, picture_at, is_long, tl0, tl0_at)
    packet.is_keyframe = first & 0x48 == 0x08 and packet.spatial == 0
    return True


cdef int vp9_structure_end(const uint8_t *payload, int size, int offset) noexcept nogil:
    """Return the offset after a scalability structure, -1 if it is truncated."""
    cdef int head, pictures, k
    if offset >= size:
        return -1
    head = payload[offset]
    offset += 1
    if head & 0x10:
        offset += 4 * ((head >> 5) + 1)
        if offset > size:
            return -1
    if head & 0x08:
        if offset >= size:
            return -1
        pictures = payload[offset]
        offset += 1
        for k in range(pictures):
            if offset >= size:
                return -1
            offset += 1 + (payload[offset] >> 2 & 0x03)
    return offset


cdef inline bint h264_unit_begins(const uint8_t *unit, int size) noexcept nogil:
    """Return True for an SPS, or the first slice of an IDR picture."""
    cdef int kind = unit[0] & 0x1F
    return kind == 7 or (kind == 5 and size > 1 and unit[1] >= 0x80)


cdef bint h264_begins_keyframe(const uint8_t *payload, int size) noexcept nogil:
    cdef int kind = payload[0] & 0x1F, offset = 1, length
    cdef bint found = False
    if 1 <= kind <= 23:
        return h264_unit_begins(payload, size)
    if kind == 28:
        kind = payload[1] & 0x1F if size >= 3 else 0
        if not 1 <= kind <= 23 or payload[1] & 0xC0 == 0xC0 or not payload[1] & 0x80:
            return False
        return kind == 7 or (kind == 5 and payload[2] >= 0x80)
    if kind != 24 or size < 2:
        return False
    while offset < size:
        if offset + 2 > size:
            # A length of one byte, as a slice of the bytes would have it.
            length = payload[offset]
        else:
            length = <int>load16(payload + offset)
        if length == 0 or offset + 2 + length > size:
            return False
        if not 1 <= payload[offset + 2] & 0x1F <= 23:
            return False
        found = found or h264_unit_begins(payload + offset + 2, length)
        offset += 2 + length
    return found


cdef bint av1_begins_keyframe(const uint8_t *payload, int size) noexcept nogil:
    cdef int first, count, elements = 0, offset = 1, shift, first_kind = -1
    cdef int64_t length
    cdef bint complete
    if size < 2:
        return False
    first = payload[0]
    count = first >> 4 & 0x03
    while offset < size:
        if count and elements == count - 1:
            length = size - offset
        else:
            length = 0
            complete = False
            for shift in range(5):
                if offset >= size:
                    return False
                length |= <int64_t>(payload[offset] & 0x7F) << 7 * shift
                offset += 1
                if payload[offset - 1] < 0x80:
                    complete = True
                    break
            if not complete or length >= <int64_t>1 << 32 or offset + length > size:
                return False
        if elements == 0 and length > 0:
            first_kind = payload[offset] >> 3 & 0x0F
        elements += 1
        offset += <int>length
    if count and elements != count:
        return False
    if first & 0x88 == 0x88:
        return False
    return first & 0x08 != 0 or (not first & 0x80 and first_kind == 1)
