# Mapping of addresses to peers: an open-addressing hash table over (address, port, local socket).

cdef struct Source:
    uint64_t high
    uint64_t low
    uint64_t place
    Peer *peer

cdef struct Sources:
    Source *entries
    int capacity
    int used


cdef void source_key(const sockaddr_storage *address, int local, Source *key) noexcept nogil:
    cdef const sockaddr_in *four
    cdef const sockaddr_in6 *six
    cdef uint32_t bits
    if address.ss_family == AF_INET:
        four = <const sockaddr_in *>address
        memcpy(&bits, &four.sin_addr, 4)
        key.high = 0
        key.low = <uint64_t>0xFFFF << 32 | bits
        key.place = <uint64_t>local << 16 | four.sin_port
    else:
        six = <const sockaddr_in6 *>address
        memcpy(&key.high, &six.sin6_addr, 8)
        memcpy(&key.low, <const uint8_t *>&six.sin6_addr + 8, 8)
        key.place = <uint64_t>local << 16 | six.sin6_port


cdef inline bint is_same_address(const sockaddr_storage *left, const sockaddr_storage *right) noexcept nogil:
    cdef Source one, other
    source_key(left, 0, &one)
    source_key(right, 0, &other)
    return one.low == other.low and one.place == other.place and one.high == other.high


cdef inline int source_at(const Sources *sources, const Source *key) noexcept nogil:
    """Return the place of the key, or the place to insert it."""
    cdef uint64_t mixed = (key.low ^ key.high * 0x9E3779B97F4A7C15ULL ^ key.place << 24) * 0xD6E8FEB86659FD93ULL
    cdef int at = (mixed >> 32) & (sources.capacity - 1)
    cdef Source *entry
    while True:
        entry = &sources.entries[at]
        if entry.peer == NULL:
            return at
        if entry.low == key.low and entry.place == key.place and entry.high == key.high:
            return at
        at = (at + 1) & (sources.capacity - 1)


cdef Peer *source_find(const Sources *sources, const sockaddr_storage *address, int local) noexcept nogil:
    cdef Source key
    source_key(address, local, &key)
    return sources.entries[source_at(sources, &key)].peer


cdef bint source_put(Sources *sources, const sockaddr_storage *address, int local, Peer *peer) noexcept nogil:
    cdef Source key
    cdef Source *old = sources.entries
    cdef int capacity = sources.capacity, k
    if 2 * (sources.used + 1) > capacity:
        sources.entries = <Source *>calloc(2 * capacity, sizeof(Source))
        if sources.entries == NULL:
            sources.entries = old
            return False
        sources.capacity = 2 * capacity
        for k in range(capacity):
            if old[k].peer != NULL:
                sources.entries[source_at(sources, &old[k])] = old[k]
        free(old)
    source_key(address, local, &key)
    k = source_at(sources, &key)
    if sources.entries[k].peer == NULL:
        sources.used += 1
    key.peer = peer
    sources.entries[k] = key
    return True


cdef void source_remove(Sources *sources, const sockaddr_storage *address, int local) noexcept nogil:
    """Remove a key, and move those after it to their places."""
    cdef Source key
    cdef int at
    source_key(address, local, &key)
    at = source_at(sources, &key)
    if sources.entries[at].peer == NULL:
        return
    sources.entries[at].peer = NULL
    sources.used -= 1
    at = (at + 1) & (sources.capacity - 1)
    while sources.entries[at].peer != NULL:
        key = sources.entries[at]
        sources.entries[at].peer = NULL
        sources.entries[source_at(sources, &key)] = key
        at = (at + 1) & (sources.capacity - 1)
