/* SRTP and SRTCP of the light client (RFC 3711, RFC 7714): contexts keyed once, every packet authenticated. */
#ifndef LIGHT_SRTP_H
#define LIGHT_SRTP_H
#define _GNU_SOURCE
#include "../../sfu/engine/native/system.h"

/* Session keys of one direction, derived by Python (RFC 3711, section 4.3). */
typedef struct {
    uint8_t rtp_key[16], rtp_salt[16], rtp_auth[20];
    uint8_t rtcp_key[16], rtcp_salt[16], rtcp_auth[20];
} session_keys;

typedef struct {
    evp_context *cipher;
    uint8_t salt[16];
    sha1_state inner, outer;
} srtp_side;

typedef struct {
    int is_gcm;
    srtp_side rtp, rtcp;
} srtp_direction;

enum { GCM_TAG = 16, CM_TAG = 10, SRTCP_INDEX = 4 };

static void side_init(srtp_side *side, int is_gcm, int sends, const uint8_t *key, const uint8_t *salt,
                      const uint8_t *authentication) {
    side->cipher = crypto_context_new();
    crypto_key(side->cipher, is_gcm, sends || !is_gcm, key, 16);
    memcpy(side->salt, salt, sizeof side->salt);
    if (!is_gcm)
        hmac_key(&side->inner, &side->outer, authentication, 20);
}

static void direction_init(srtp_direction *direction, int is_gcm, int sends, const session_keys *keys) {
    direction->is_gcm = is_gcm;
    side_init(&direction->rtp, is_gcm, sends, keys->rtp_key, keys->rtp_salt, keys->rtp_auth);
    side_init(&direction->rtcp, is_gcm, sends, keys->rtcp_key, keys->rtcp_salt, keys->rtcp_auth);
}

static void direction_free(srtp_direction *direction) {
    crypto_context_free(direction->rtp.cipher);
    crypto_context_free(direction->rtcp.cipher);
}

static inline void put16(uint8_t *at, uint32_t value) {
    at[0] = value >> 8;
    at[1] = value;
}

static inline void put32(uint8_t *at, uint32_t value) {
    put16(at, value >> 16);
    put16(at + 2, value);
}

static inline uint32_t get16(const uint8_t *at) { return at[0] << 8 | at[1]; }

static inline uint32_t get32(const uint8_t *at) { return get16(at) << 16 | get16(at + 2); }

/* `index` has 48 bits for RTP (rollover counter and seq) and 31 for RTCP. */
static inline void srtp_iv(const srtp_side *side, int is_gcm, uint32_t ssrc, uint64_t index, uint8_t *iv) {
    uint8_t varying[16] = {0};
    int ssrc_at = is_gcm ? 2 : 4;
    put32(varying + ssrc_at, ssrc);
    put16(varying + ssrc_at + 4, index >> 32);
    put32(varying + ssrc_at + 6, index);
    for (int k = 0; k < 16; k++)
        iv[k] = side->salt[k] ^ varying[k];
}

/* Returns the size of the RTP header with its extension, 0 if this is no RTP packet. */
static inline int rtp_header_bytes(const uint8_t *data, int size) {
    int bytes = 12 + 4 * (data[0] & 15);
    if (size < bytes)
        return 0;
    if (data[0] & 0x10) {
        if (size < bytes + 4)
            return 0;
        bytes += 4 + 4 * get16(data + bytes + 2);
    }
    return bytes <= size ? bytes : 0;
}

/* Decrypts a packet in place; returns the size of the plain packet, 0 if it is not authentic. */
static int rtp_open(srtp_direction *in, uint8_t *data, int size, int header, uint64_t index) {
    uint8_t iv[16], rollover[4], tag[CM_TAG];
    int tag_bytes = in->is_gcm ? GCM_TAG : CM_TAG, plain = size - tag_bytes;
    if (plain < header)
        return 0;
    srtp_iv(&in->rtp, in->is_gcm, get32(data + 8), index, iv);
    if (in->is_gcm)
        return gcm_open(in->rtp.cipher, iv, data, header, data + header, plain - header, data + plain, data + header)
                   ? plain : 0;
    put32(rollover, index >> 16);
    hmac_tag(&in->rtp.inner, &in->rtp.outer, data, plain, rollover, 4, tag);
    if (tags_differ(tag, data + plain, CM_TAG))
        return 0;
    ctr_apply(in->rtp.cipher, iv, data + header, plain - header, data + header);
    return plain;
}

/* Encrypts a packet in place; returns the size of the protected packet. `data` needs room for the tag. */
static int rtp_seal(srtp_direction *out, uint8_t *data, int size, int header, uint64_t index) {
    uint8_t iv[16], rollover[4];
    srtp_iv(&out->rtp, out->is_gcm, get32(data + 8), index, iv);
    if (out->is_gcm) {
        gcm_seal(out->rtp.cipher, iv, data, header, data + header, size - header, data + header);
        return size + GCM_TAG;
    }
    ctr_apply(out->rtp.cipher, iv, data + header, size - header, data + header);
    put32(rollover, index >> 16);
    hmac_tag(&out->rtp.inner, &out->rtp.outer, data, size, rollover, 4, data + size);
    return size + CM_TAG;
}

static int rtcp_open(srtp_direction *in, uint8_t *data, int size) {
    uint8_t iv[16], associated[12], tag[CM_TAG];
    int trailer = SRTCP_INDEX + (in->is_gcm ? GCM_TAG : CM_TAG), plain = size - trailer;
    if (plain < 8)
        return 0;
    const uint8_t *word = data + (in->is_gcm ? size - SRTCP_INDEX : plain);
    srtp_iv(&in->rtcp, in->is_gcm, get32(data + 4), get32(word) & 0x7FFFFFFF, iv);
    if (in->is_gcm) {
        memcpy(associated, data, 8);
        memcpy(associated + 8, word, SRTCP_INDEX);
        return gcm_open(in->rtcp.cipher, iv, associated, 12, data + 8, plain - 8, data + plain, data + 8) ? plain : 0;
    }
    hmac_tag(&in->rtcp.inner, &in->rtcp.outer, data, plain + SRTCP_INDEX, NULL, 0, tag);
    if (tags_differ(tag, data + plain + SRTCP_INDEX, CM_TAG))
        return 0;
    ctr_apply(in->rtcp.cipher, iv, data + 8, plain - 8, data + 8);
    return plain;
}

static int rtcp_seal(srtp_direction *out, uint8_t *data, int size, uint32_t index) {
    uint8_t iv[16], associated[12];
    srtp_iv(&out->rtcp, out->is_gcm, get32(data + 4), index, iv);
    if (out->is_gcm) {
        memcpy(associated, data, 8);
        put32(associated + 8, index | 0x80000000u);
        gcm_seal(out->rtcp.cipher, iv, associated, 12, data + 8, size - 8, data + 8);
        put32(data + size + GCM_TAG, index | 0x80000000u);
        return size + GCM_TAG + SRTCP_INDEX;
    }
    ctr_apply(out->rtcp.cipher, iv, data + 8, size - 8, data + 8);
    put32(data + size, index | 0x80000000u);
    hmac_tag(&out->rtcp.inner, &out->rtcp.outer, data, size + SRTCP_INDEX, NULL, 0, data + size + SRTCP_INDEX);
    return size + SRTCP_INDEX + CM_TAG;
}

#endif
