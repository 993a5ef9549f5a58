/* Consent checks (RFC 7675): the binding request that Python wrote, with a new transaction id each time. */
#ifndef LIGHT_STUN_H
#define LIGHT_STUN_H
#include "peer.h"

static uint32_t crc32_of(const uint8_t *data, int size) {
    uint32_t crc = 0xFFFFFFFFu;
    for (int k = 0; k < size; k++) {
        crc ^= data[k];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
    }
    return ~crc;
}

static void hmac_sha1(const sha1_state *inner, const sha1_state *outer, const uint8_t *data, int size, uint8_t *digest) {
    sha1_state state = *inner;
    crypto.sha1_update(&state, data, size);
    crypto.sha1_final(digest, &state);
    state = *outer;
    crypto.sha1_update(&state, digest, 20);
    crypto.sha1_final(digest, &state);
}

/* `out` has room for `check_bytes` and 32 more; returns the size. */
static int stun_check(peer *of, int64_t now, uint8_t *out) {
    int size = of->check_bytes;
    memcpy(out, of->check, size);
    memcpy(out + 8, &now, 8);
    memcpy(out + 16, &of->ssrc, 4);
    put16(out + 2, size - 20 + 24);
    put16(out + size, 0x0008);
    put16(out + size + 2, 20);
    hmac_sha1(&of->check_inner, &of->check_outer, out, size, out + size + 4);
    size += 24;
    put16(out + 2, size - 20 + 8);
    put16(out + size, 0x8028);
    put16(out + size + 2, 4);
    put32(out + size + 4, crc32_of(out, size) ^ 0x5354554E);
    return size + 8;
}

#endif
