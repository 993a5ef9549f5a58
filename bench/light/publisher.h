/* A peer's published tracks: frames of given packet sizes, stamped with the time at which each packet is sent. */
#ifndef LIGHT_PUBLISHER_H
#define LIGHT_PUBLISHER_H
#include "peer.h"

#include <errno.h>

enum { PACKET_BYTES = 1500, STAMP_BYTES = 8 };

/* Extension ids of an offer of ours: 0 for what was not agreed on. */
typedef struct {
    uint32_t ssrc, rtx_ssrc;
    uint8_t payload_type, rtx_payload_type, is_video, mid_id, transport_seq_id, audio_level_id;
    char mid[8];
    uint32_t clock_rate;
} track_description;

struct source {
    track_description about;
    peer *on;
    uint64_t index, rtx_index; /* 48 bits: rollover counter and seq */
    uint32_t timestamp, picture_id;
    uint64_t packets, octets;
    atomic_int keyframe_wanted;
    int64_t last_sent_at;
    struct {
        uint64_t index;
        int size;
        uint8_t data[PACKET_BYTES];
    } *history;
};

/* The peer's transport-wide seq: shared by its tracks, as pairs of them share `on`. */
static inline uint32_t next_transport_seq(peer *on) { return on->highest_seq++ & 0xFFFF; }

static int write_header(source *of, uint8_t *out, uint32_t ssrc, int payload_type, uint64_t index, int marker) {
    int at = 16, mid_bytes = (int)strlen(of->about.mid);
    out[0] = 0x90;
    out[1] = marker << 7 | payload_type;
    put16(out + 2, index);
    put32(out + 4, of->timestamp);
    put32(out + 8, ssrc);
    if (of->about.mid_id) {
        out[at++] = of->about.mid_id << 4 | (mid_bytes - 1);
        memcpy(out + at, of->about.mid, mid_bytes);
        at += mid_bytes;
    }
    if (of->about.transport_seq_id) {
        out[at++] = of->about.transport_seq_id << 4 | 1;
        put16(out + at, next_transport_seq(of->on));
        at += 2;
    }
    if (of->about.audio_level_id) {
        out[at++] = of->about.audio_level_id << 4;
        out[at++] = 0x80 | 20;
    }
    for (; at % 4; at++)
        out[at] = 0;
    put16(out + 12, 0xBEDE);
    put16(out + 14, at / 4 - 4);
    return at;
}

static int write_vp8(source *of, uint8_t *out, int begins, int keyframe) {
    static const uint8_t header[10] = {0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x00, 0x05, 0xD0, 0x02}; /* 1280 × 720 */
    out[0] = 0x80 | (begins ? 0x10 : 0);
    out[1] = 0x80;
    put16(out + 2, 0x8000 | (of->picture_id & 0x7FFF));
    if (!begins)
        return 4;
    memcpy(out + 4, header, sizeof header);
    if (!keyframe)
        out[4] |= 1;
    return 4 + sizeof header;
}

static int send_sealed(source *of, const uint8_t *plain, int size, int header, uint64_t index) {
    uint8_t data[PACKET_BYTES + 32];
    memcpy(data, plain, size);
    int sealed = rtp_seal(&of->on->out, data, size, header, index);
    for (int tries = 0; send(of->on->fd, data, sealed, 0) < 0 && errno == ENOBUFS && tries < 100;)
        tries++;
    return sealed;
}

/* Sends one frame; `sizes` are of the protected packets. */
static void send_frame(source *of, const int *sizes, int count, uint32_t timestamp) {
    pthread_mutex_lock(&of->on->lock);
    int keyframe = of->about.is_video && atomic_exchange(&of->keyframe_wanted, 0);
    int overhead = of->on->out.is_gcm ? GCM_TAG : CM_TAG;
    of->timestamp = timestamp;
    for (int k = 0; k < count; k++) {
        uint64_t index = of->index++;
        uint8_t *data = of->history[index % HISTORY].data;
        int header = write_header(of, data, of->about.ssrc, of->about.payload_type, index,
                                  of->about.is_video ? k == count - 1 : 0);
        int at = header + (of->about.is_video ? write_vp8(of, data + header, k == 0, keyframe) : 0);
        int size = sizes[k] - overhead;
        if (size < at + STAMP_BYTES)
            size = at + STAMP_BYTES;
        if (size > PACKET_BYTES)
            size = PACKET_BYTES;
        memset(data + at, 0xA5, size - at);
        int64_t stamp = clock_nanoseconds(CLOCK_REALTIME);
        memcpy(data + size - STAMP_BYTES, &stamp, STAMP_BYTES);
        of->history[index % HISTORY].index = index;
        of->history[index % HISTORY].size = size;
        of->octets += size - header;
        of->packets++;
        send_sealed(of, data, size, header, index);
    }
    of->picture_id++;
    of->last_sent_at = clock_nanoseconds(CLOCK_REALTIME);
    pthread_mutex_unlock(&of->on->lock);
}

/* Answers a NACK, by RTX (RFC 4588) or, without, by the packet itself. The peer's lock is held. */
static void resend(source *of, uint32_t seq) {
    uint64_t index = (of->index & ~0xFFFFull) | seq;
    if (index >= of->index)
        index -= 0x10000;
    if (of->history[index % HISTORY].index != index)
        return;
    const uint8_t *data = of->history[index % HISTORY].data;
    int size = of->history[index % HISTORY].size, header = rtp_header_bytes(data, size);
    if (!of->about.rtx_ssrc) {
        send_sealed(of, data, size, header, index);
        return;
    }
    uint8_t out[PACKET_BYTES];
    uint32_t kept = of->timestamp;
    of->timestamp = get32(data + 4);
    int at = write_header(of, out, of->about.rtx_ssrc, of->about.rtx_payload_type, of->rtx_index, data[1] >> 7);
    of->timestamp = kept;
    if (at + 2 + size - header > PACKET_BYTES)
        return;
    put16(out + at, seq);
    memcpy(out + at + 2, data + header, size - header);
    send_sealed(of, out, at + 2 + size - header, at, of->rtx_index++);
}

/* A sender report with an empty CNAME, now. */
static int sender_report(const source *of, uint8_t *out) {
    int64_t now = clock_nanoseconds(CLOCK_REALTIME);
    uint64_t seconds = now / 1000000000 + 2208988800u, fraction = ((uint64_t)(now % 1000000000) << 32) / 1000000000;
    out[0] = 0x80;
    out[1] = 200;
    put16(out + 2, 6);
    put32(out + 4, of->about.ssrc);
    put32(out + 8, seconds);
    put32(out + 12, fraction);
    put32(out + 16, of->timestamp + (uint32_t)((now - of->last_sent_at) / 1000 * of->about.clock_rate / 1000000));
    put32(out + 20, of->packets);
    put32(out + 24, of->octets);
    static const uint8_t names[12] = {0x81, 202, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0};
    memcpy(out + 28, names, sizeof names);
    put32(out + 32, of->about.ssrc);
    return 28 + sizeof names;
}

#endif
