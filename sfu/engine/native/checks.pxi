# sfu.engine.checks in C: repeated consent checks and their responses (RFC 8489).

cdef enum:
    STUN_HEADER_BYTES = 20
    STUN_COOKIE = 0x2112A442
    STUN_XOR_MAPPED_ADDRESS = 0x0020
    STUN_INTEGRITY = 0x00080014  # with its length
    STUN_INTEGRITY_BYTES = 24
    STUN_FINGERPRINT_BYTES = 8

cdef uint32_t STUN_FINGERPRINT = 0x80280004U  # with its length
cdef uint32_t STUN_FINGERPRINT_XOR = 0x5354554EU


cdef bint checks_set(Checks *checks, check) except -1:
    """Fill in the check to answer."""
    cdef bytes attributes = check.attributes, key = check.key
    cdef sockaddr_storage address
    cdef unsigned size
    if not write_address(check.mapped, &address, &size):
        raise ValueError(f"not an IP literal: {check.mapped[0]!r}")
    memcpy(checks.attributes, <const uint8_t *>attributes, len(attributes))
    checks.attributes_bytes = <int>len(attributes)
    hmac_key(&checks.inner, &checks.outer, key, len(key))
    if address.ss_family == AF_INET:
        memcpy(checks.mapped, &(<sockaddr_in *>&address).sin_port, 2)
        memcpy(checks.mapped + 2, &(<sockaddr_in *>&address).sin_addr, 4)
        checks.mapped_bytes = 6
    else:
        memcpy(checks.mapped, &(<sockaddr_in6 *>&address).sin6_port, 2)
        memcpy(checks.mapped + 2, &(<sockaddr_in6 *>&address).sin6_addr, 16)
        checks.mapped_bytes = 18
    return True


cdef void stun_integrity(const Checks *checks, const uint8_t *data, int size, uint8_t *digest) noexcept nogil:
    """Write the HMAC of a message so far; its length field includes the integrity attribute itself."""
    cdef uint8_t header[STUN_HEADER_BYTES]
    memcpy(header, data, STUN_HEADER_BYTES)
    store16(header + 2, size - STUN_HEADER_BYTES + STUN_INTEGRITY_BYTES)
    hmac_digest(
        &checks.inner, &checks.outer, header, STUN_HEADER_BYTES, data + STUN_HEADER_BYTES, size - STUN_HEADER_BYTES, digest
    )


cdef bint repeats(const Checks *checks, const uint8_t *data, int size) noexcept nogil:
    """Return True if a datagram is the binding request in another transaction; see `stun.is_request_with`."""
    cdef int end = STUN_HEADER_BYTES + checks.attributes_bytes
    cdef int signed_bytes = end + STUN_INTEGRITY_BYTES
    cdef uint8_t digest[20]
    if size != signed_bytes and size != signed_bytes + STUN_FINGERPRINT_BYTES:
        return False
    if load32(data) != <uint32_t>(1 << 16 | size - STUN_HEADER_BYTES) or load32(data + 4) != STUN_COOKIE or size % 4:
        return False
    if memcmp(data + STUN_HEADER_BYTES, checks.attributes, checks.attributes_bytes) != 0:
        return False
    if load32(data + end) != STUN_INTEGRITY:
        return False
    if size != signed_bytes and (
        load32(data + signed_bytes) != STUN_FINGERPRINT
        or load32(data + signed_bytes + 4) != crc32_of(data, signed_bytes) ^ STUN_FINGERPRINT_XOR
    ):
        return False
    stun_integrity(checks, data, end, digest)
    return not tags_differ(digest, data + end + 4, 20)


cdef int write_response(const Checks *checks, const uint8_t *request, uint8_t *out) noexcept nogil:
    """Write the response to a binding request; return its size."""
    cdef int end = STUN_HEADER_BYTES + 6 + checks.mapped_bytes
    cdef int k
    store16(out, 0x0101)
    memcpy(out + 4, request + 4, STUN_HEADER_BYTES - 4)
    store16(out + 20, STUN_XOR_MAPPED_ADDRESS)
    store16(out + 22, 2 + checks.mapped_bytes)
    store16(out + 24, 1 if checks.mapped_bytes == 6 else 2)
    for k in range(2):
        out[26 + k] = checks.mapped[k] ^ request[4 + k]
    for k in range(checks.mapped_bytes - 2):
        out[28 + k] = checks.mapped[2 + k] ^ request[4 + k]
    stun_integrity(checks, out, end, out + end + 4)
    store32(out + end, STUN_INTEGRITY)
    end += STUN_INTEGRITY_BYTES
    store16(out + 2, end + STUN_FINGERPRINT_BYTES - STUN_HEADER_BYTES)
    store32(out + end, STUN_FINGERPRINT)
    store32(out + end + 4, crc32_of(out, end) ^ STUN_FINGERPRINT_XOR)
    return end + STUN_FINGERPRINT_BYTES


cdef bint answer_check(State *state, const Slot *slot) noexcept nogil:
    """Answer a repeated consent check from the address of the peer's media; return whether it is one."""
    cdef Peer *peer = slot.peer
    cdef uint8_t *out
    if peer == NULL or peer.checks == NULL or not peer.has_destination or slot.local != peer.local:
        return False
    if not is_same_address(&slot.address, &peer.address) or not repeats(peer.checks, slot.data, slot.size):
        return False
    out = reserve_output(state)
    if out == NULL:
        return False
    commit_output(state, peer, write_response(peer.checks, slot.data, out), False)
    peer.checks.at = max(peer.checks.at, slot.arrival)
    return True
