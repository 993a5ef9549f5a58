# SRTP and SRTCP (RFC 3711, RFC 7714) on libcrypto, with the index estimation and the windows of libsrtp.


cdef void crypto_clear(Crypto *crypto) noexcept nogil:
    crypto_context_free(crypto.rtp)
    crypto_context_free(crypto.rtcp)
    memset(crypto, 0, sizeof(Crypto))


cdef bint crypto_setup(Crypto *crypto, keys, bint encrypts) except -1:
    """`keys` are RTP key, salt and authentication key, then the same for RTCP; GCM has no authentication keys."""
    cdef bytes key = keys[0], salt = keys[1], authentication = keys[2]
    cdef bytes rtcp_key = keys[3], rtcp_salt = keys[4], rtcp_authentication = keys[5]
    crypto_clear(crypto)
    crypto.is_gcm = len(authentication) == 0
    crypto.tag_bytes = 16 if crypto.is_gcm else 10
    crypto.rtp = crypto_context_new()
    crypto.rtcp = crypto_context_new()
    if crypto.rtp == NULL or crypto.rtcp == NULL:
        raise MemoryError
    # Counter mode uses encryption in both directions.
    encrypts = encrypts or not crypto.is_gcm
    if crypto_key(crypto.rtp, crypto.is_gcm, encrypts, key, <int>len(key)) != 1:
        raise ValueError("libcrypto refuses an SRTP key")
    if crypto_key(crypto.rtcp, crypto.is_gcm, encrypts, rtcp_key, <int>len(rtcp_key)) != 1:
        raise ValueError("libcrypto refuses an SRTP key")
    memcpy(crypto.salt, <const uint8_t *>salt, len(salt))
    memcpy(crypto.rtcp_salt, <const uint8_t *>rtcp_salt, len(rtcp_salt))
    if not crypto.is_gcm:
        hmac_key(&crypto.inner, &crypto.outer, authentication, len(authentication))
        hmac_key(&crypto.rtcp_inner, &crypto.rtcp_outer, rtcp_authentication, len(rtcp_authentication))
    return True


cdef inline void make_iv(const uint8_t *salt, bint is_gcm, uint32_t ssrc, uint64_t index, uint8_t *iv) noexcept nogil:
    cdef int at = 2 if is_gcm else 4
    cdef int k
    memcpy(iv, salt, 16)
    for k in range(4):
        iv[at + k] ^= ssrc >> 24 - 8 * k & 0xFF
    for k in range(6):
        iv[at + 4 + k] ^= index >> 40 - 8 * k & 0xFF


cdef int protect_rtp(
    Crypto *crypto, uint8_t *packet, int header_bytes, const uint8_t *payload, int size, uint32_t ssrc, uint64_t index
) noexcept nogil:
    """Protect the bytes after a header in place; return the datagram's size, -1 if libcrypto fails."""
    cdef uint8_t iv[16]
    cdef uint8_t rollover[4]
    if crypto.is_plain:
        memcpy(packet + header_bytes, payload, size)
        return header_bytes + size
    make_iv(crypto.salt, crypto.is_gcm, ssrc, index, iv)
    if crypto.is_gcm:
        if not gcm_seal(crypto.rtp, iv, packet, header_bytes, payload, size, packet + header_bytes):
            return -1
        return header_bytes + size + 16
    if not ctr_apply(crypto.rtp, iv, payload, size, packet + header_bytes):
        return -1
    store32(rollover, <uint32_t>(index >> 16))
    hmac_tag(&crypto.inner, &crypto.outer, packet, header_bytes + size, rollover, 4, packet + header_bytes + size)
    return header_bytes + size + 10


cdef int protect_rtcp_packet(
    Crypto *crypto, const uint8_t *compound, int size, uint32_t index, uint8_t *out
) noexcept nogil:
    """Return the datagram's size, -1 if libcrypto fails. `compound` must have at least 8 bytes."""
    cdef uint8_t iv[16]
    cdef uint8_t authenticated[12]
    if crypto.is_plain:
        memcpy(out, compound, size)
        return size
    memcpy(out, compound, 8)
    make_iv(crypto.rtcp_salt, crypto.is_gcm, load32(compound + 4), index, iv)
    if crypto.is_gcm:
        memcpy(authenticated, compound, 8)
        store32(authenticated + 8, index | 0x80000000U)
        if not gcm_seal(crypto.rtcp, iv, authenticated, 12, compound + 8, size - 8, out + 8):
            return -1
        store32(out + size + 16, index | 0x80000000U)
        return size + 20
    if not ctr_apply(crypto.rtcp, iv, compound + 8, size - 8, out + 8):
        return -1
    store32(out + size, index | 0x80000000U)
    hmac_tag(&crypto.rtcp_inner, &crypto.rtcp_outer, out, size + 4, NULL, 0, out + size + 4)
    return size + 14


cdef Window *window_of(Peer *peer, uint32_t ssrc) noexcept nogil:
    cdef int k
    for k in range(peer.window_count):
        if peer.windows[k].ssrc == ssrc:
            return peer.windows[k]
    return NULL


cdef Window *window_make(Peer *peer, uint32_t ssrc) noexcept nogil:
    """Return the SSRC's window, a new one if there is none; NULL without memory."""
    cdef Window *window = window_of(peer, ssrc)
    cdef Window **windows
    cdef int capacity
    if window != NULL:
        return window
    if peer.window_count == peer.window_capacity:
        capacity = 4 if peer.window_capacity == 0 else 2 * peer.window_capacity
        windows = <Window **>realloc(peer.windows, capacity * sizeof(Window *))
        if windows == NULL:
            return NULL
        peer.windows = windows
        peer.window_capacity = capacity
    window = <Window *>calloc(1, sizeof(Window))
    if window == NULL:
        return NULL
    window.ssrc = ssrc
    peer.windows[peer.window_count] = window
    peer.window_count += 1
    return window


cdef void window_forget(Peer *peer, int at) noexcept nogil:
    free(peer.windows[at])
    peer.window_count -= 1
    peer.windows[at] = peer.windows[peer.window_count]


cdef void window_note(Peer *peer, Window *window) noexcept nogil:
    """Mark a stranger as the newest, and remove the oldest if there are too many."""
    cdef int k, oldest = -1, strangers = 0
    if window.registered:
        return
    peer.window_clock += 1
    window.used = peer.window_clock
    for k in range(peer.window_count):
        if not peer.windows[k].registered:
            strangers += 1
            if oldest < 0 or peer.windows[k].used < peer.windows[oldest].used:
                oldest = k
    if strangers > STRANGERS_MAX:
        window_forget(peer, oldest)


cdef inline int64_t estimate_index(uint64_t newest, unsigned seq, uint64_t *index) noexcept nogil:
    """Guess a packet's index as libsrtp does (RFC 3711, appendix A); return its distance from the newest."""
    cdef uint64_t rollover = newest >> 16
    cdef int newest_seq = newest & 0xFFFF
    cdef int ahead = <int>seq - newest_seq
    if newest <= 0x8000:
        index[0] = seq
        return ahead
    if newest_seq < 0x8000:
        if ahead > 0x8000:
            rollover -= 1
            ahead -= 0x10000
    elif newest_seq - 0x8000 > <int>seq:
        rollover += 1
        ahead += 0x10000
    index[0] = rollover << 16 | seq
    return ahead


cdef inline bint window_refuses(Window *window, int64_t ahead) noexcept nogil:
    cdef uint64_t at
    if ahead > 0:
        return False
    if ahead <= -WINDOW_BITS:
        return True
    at = (window.newest + ahead) % WINDOW_BITS
    return window.bits[at >> 6] >> (at & 63) & 1


cdef inline void window_add(Window *window, int64_t ahead) noexcept nogil:
    cdef uint64_t at
    cdef int64_t k
    if ahead >= WINDOW_BITS:
        memset(window.bits, 0, sizeof(window.bits))
    else:
        for k in range(1, ahead + 1):
            at = (window.newest + k) % WINDOW_BITS
            window.bits[at >> 6] &= ~(<uint64_t>1 << (at & 63))
    if ahead > 0:
        window.newest += ahead
        ahead = 0
    at = (window.newest + ahead) % WINDOW_BITS
    window.bits[at >> 6] |= <uint64_t>1 << (at & 63)


cdef int unprotect_rtp(
    Peer *peer, const uint8_t *data, int size, int header_bytes, uint8_t *out
) noexcept nogil:
    """Unprotect to `out`, including the checked header; return the packet's size, or -1 - reason."""
    cdef Crypto *crypto = &peer.receive
    cdef uint32_t ssrc = load32(data + 8)
    cdef Window *window = window_of(peer, ssrc)
    cdef uint64_t newest = window.newest if window != NULL else 0
    cdef uint64_t index = 0
    cdef int64_t ahead = estimate_index(newest, load16(data + 2), &index)
    cdef int end = size - crypto.tag_bytes
    cdef uint8_t iv[16]
    cdef uint8_t rollover[4]
    cdef uint8_t tag[20]
    if crypto.is_plain:
        if out != data:
            memcpy(out, data, size)
        return size
    if window != NULL and window_refuses(window, ahead):
        return -1 - DROP_REPLAY
    make_iv(crypto.salt, crypto.is_gcm, ssrc, index, iv)
    if out != data:
        memcpy(out, data, header_bytes)
    if crypto.is_gcm:
        if not gcm_open(crypto.rtp, iv, out, header_bytes, data + header_bytes, end - header_bytes, data + end,
                        out + header_bytes):
            return -1 - DROP_AUTHENTICATION
    else:
        store32(rollover, <uint32_t>(index >> 16))
        hmac_tag(&crypto.inner, &crypto.outer, data, end, rollover, 4, tag)
        if tags_differ(tag, data + end, 10):
            return -1 - DROP_AUTHENTICATION
        if not ctr_apply(crypto.rtp, iv, data + header_bytes, end - header_bytes, out + header_bytes):
            return -1 - DROP_MALFORMED
    if window == NULL:
        window = window_make(peer, ssrc)
        if window == NULL:
            return -1 - DROP_MALFORMED
    window_add(window, ahead)
    window_note(peer, window)
    return end


cdef int unprotect_rtcp_packet(Peer *peer, uint8_t *data, int size) noexcept nogil:
    """Unprotect in place; return the compound packet's size, or -1 - reason."""
    cdef Crypto *crypto = &peer.receive
    cdef int trailer = 4 + crypto.tag_bytes
    cdef int end = size - trailer
    cdef int index_at = size - 4 if crypto.is_gcm else end
    cdef uint32_t word, index, ssrc
    cdef Window *window
    cdef int64_t at
    cdef uint8_t iv[16]
    cdef uint8_t authenticated[12]
    cdef uint8_t tag[20]
    if crypto.is_plain:
        return size if 8 <= size <= PACKET_BYTES_MAX else -1 - DROP_MALFORMED
    if end < 8 or size > PACKET_BYTES_MAX:
        return -1 - DROP_MALFORMED
    word = load32(data + index_at)
    if not word & 0x80000000U:
        return -1 - DROP_MALFORMED
    index = word & 0x7FFFFFFF
    ssrc = load32(data + 4)
    window = window_of(peer, ssrc)
    if window != NULL:
        at = index - window.rtcp_start
        if at < 0 or (at < 128 and window.rtcp_bits[at >> 6] >> (at & 63) & 1):
            return -1 - DROP_REPLAY
    make_iv(crypto.rtcp_salt, crypto.is_gcm, ssrc, index, iv)
    if crypto.is_gcm:
        memcpy(authenticated, data, 8)
        store32(authenticated + 8, word)
        if not gcm_open(crypto.rtcp, iv, authenticated, 12, data + 8, end - 8, data + end, data + 8):
            return -1 - DROP_AUTHENTICATION
    else:
        hmac_tag(&crypto.rtcp_inner, &crypto.rtcp_outer, data, end + 4, NULL, 0, tag)
        if tags_differ(tag, data + end + 4, 10):
            return -1 - DROP_AUTHENTICATION
        if not ctr_apply(crypto.rtcp, iv, data + 8, end - 8, data + 8):
            return -1 - DROP_MALFORMED
    if window == NULL:
        window = window_make(peer, ssrc)
        if window == NULL:
            return -1 - DROP_MALFORMED
    rtcp_window_add(window, index)
    window_note(peer, window)
    return end


cdef void rtcp_window_add(Window *window, uint32_t index) noexcept nogil:
    cdef int64_t at = index - window.rtcp_start
    cdef int64_t shift = at - 127
    cdef int k
    if shift > 0:
        window.rtcp_start += shift
        for k in range(2):
            if shift >= 128:
                window.rtcp_bits[k] = 0
        if shift < 64:
            window.rtcp_bits[0] = window.rtcp_bits[0] >> shift | window.rtcp_bits[1] << 64 - shift
            window.rtcp_bits[1] >>= shift
        elif shift < 128:
            window.rtcp_bits[0] = window.rtcp_bits[1] >> shift - 64
            window.rtcp_bits[1] = 0
        at = 127
    window.rtcp_bits[at >> 6] |= <uint64_t>1 << (at & 63)
