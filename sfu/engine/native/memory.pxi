# Packets, growing arrays, and the lists of pointers that form the table.

cdef int PACKET_CLASSES[SIZE_CLASSES]
PACKET_CLASSES[0] = 256
PACKET_CLASSES[1] = 512
PACKET_CLASSES[2] = 1024
PACKET_CLASSES[3] = PACKET_BYTES_MAX + 16


cdef inline void drop(State *state, int reason) noexcept nogil:
    state.drops[reason] += 1


cdef Packet *packet_new(State *state, int size) noexcept nogil:
    """Return a zeroed packet for `size` bytes, NULL without memory."""
    cdef int size_class = 0
    cdef Packet *packet
    while PACKET_CLASSES[size_class] < size:
        size_class += 1
    packet = state.free_packets[size_class]
    if packet != NULL:
        state.free_packets[size_class] = packet.next_free
        state.free_count[size_class] -= 1
    else:
        packet = <Packet *>malloc(sizeof(Packet) + PACKET_CLASSES[size_class])
        if packet == NULL:
            state.out_of_memory = True
            return NULL
    memset(packet, 0, sizeof(Packet))
    packet.size_class = size_class
    packet.refs = 1
    packet.picture_id = packet.tl0 = packet.frame_number = packet.switch_temporal = -1
    packet.picture_mask = 0x7FFF
    packet.inter_picture = True
    return packet


cdef inline void packet_release(State *state, Packet *packet) noexcept nogil:
    packet.refs -= 1
    if packet.refs > 0:
        return
    if state.free_count[packet.size_class] >= 1024:
        free(packet)
        return
    packet.next_free = state.free_packets[packet.size_class]
    state.free_packets[packet.size_class] = packet
    state.free_count[packet.size_class] += 1


cdef void *grown_next(State *state, Grown *grown, size_t size) noexcept nogil:
    """Return room for one more record, NULL without memory."""
    cdef int capacity
    cdef void *items
    if grown.count == grown.capacity:
        capacity = 64 if grown.capacity == 0 else 2 * grown.capacity
        items = realloc(grown.items, capacity * size)
        if items == NULL:
            state.out_of_memory = True
            return NULL
        grown.items = items
        grown.capacity = capacity
    grown.count += 1
    return <char *>grown.items + (grown.count - 1) * size


cdef bint pointers_add(Pointers *pointers, void *item) noexcept nogil:
    cdef int capacity
    cdef void **items
    if pointers.count == pointers.capacity:
        capacity = 4 if pointers.capacity == 0 else 2 * pointers.capacity
        items = <void **>realloc(pointers.items, capacity * sizeof(void *))
        if items == NULL:
            return False
        pointers.items = items
        pointers.capacity = capacity
    pointers.items[pointers.count] = item
    pointers.count += 1
    return True


cdef int pointers_find(Pointers *pointers, void *item) noexcept nogil:
    cdef int k
    for k in range(pointers.count):
        if pointers.items[k] == item:
            return k
    return -1


cdef void pointers_remove(Pointers *pointers, void *item) noexcept nogil:
    """Remove an item, keeping the order of the others."""
    cdef int at = pointers_find(pointers, item)
    if at >= 0:
        pointers.count -= 1
        memmove(pointers.items + at, pointers.items + at + 1, (pointers.count - at) * sizeof(void *))


cdef inline void store16(uint8_t *at, unsigned value) noexcept nogil:
    at[0] = value >> 8 & 0xFF
    at[1] = value & 0xFF


cdef inline void store32(uint8_t *at, uint32_t value) noexcept nogil:
    at[0] = value >> 24
    at[1] = value >> 16 & 0xFF
    at[2] = value >> 8 & 0xFF
    at[3] = value & 0xFF


cdef inline unsigned load16(const uint8_t *at) noexcept nogil:
    return <unsigned>at[0] << 8 | at[1]


cdef inline uint32_t load32(const uint8_t *at) noexcept nogil:
    return <uint32_t>at[0] << 24 | <uint32_t>at[1] << 16 | <uint32_t>at[2] << 8 | at[3]
