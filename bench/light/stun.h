/* Consent checks (RFC 7675): the binding request that Python wrote, with a new transaction id each time; and responses
 * to checks of a full agent. */
#ifndef LIGHT_STUN_H
#define LIGHT_STUN_H
#include "peer.h"

/* Appends MESSAGE-INTEGRITY and FINGERPRINT, for which `out` needs 32 more bytes; returns the size. */
static int stun_finish(const sha1_state *inner, const sha1_state *outer, uint8_t *out, int size) {
    put16(out + 2, size - 20 + 24);
    put16(out + size, 0x0008);
    put16(out + size + 2, 20);
    hmac_digest(inner, outer, out, size, NULL, 0, out + size + 4);
    size += 24;
    put16(out + 2, size - 20 + 8);
    put16(out + size, 0x8028);
    put16(out + size + 2, 4);
    put32(out + size + 4, crc32_of(out, size) ^ 0x5354554E);
    return size + 8;
}

/* Writes a consent check; `out` needs room for `check_bytes` and 32 more; returns the size. */
static int stun_check(peer *of, int64_t now, uint8_t *out) {
    memcpy(out, of->check, of->check_bytes);
    memcpy(out + 8, &now, 8);
    memcpy(out + 16, &of->ssrc, 4);
    return stun_finish(&of->check_inner, &of->check_outer, out, of->check_bytes);
}

/* Answers a binding request with its source address (RFC 8489, section 14.2); IPv4 only. */
static void answer_check(peer *of, const uint8_t *request, int size) {
    uint8_t out[128] = {0x01, 0x01};
    struct sockaddr_in from;
    socklen_t bytes = sizeof from;
    if (!of->answers_checks || size < 20 || getpeername(of->fd, (struct sockaddr *)&from, &bytes) != 0)
        return;
    memcpy(out + 4, request + 4, 16);
    put16(out + 20, 0x0020);
    put16(out + 22, 8);
    put16(out + 24, 0x0001);
    put16(out + 26, ntohs(from.sin_port) ^ 0x2112);
    put32(out + 28, ntohl(from.sin_addr.s_addr) ^ 0x2112A442);
    send(of->fd, out, stun_finish(&of->answer_inner, &of->answer_outer, out, 32), MSG_DONTWAIT);
}

#endif
