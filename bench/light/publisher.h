/* A peer's published tracks: frames of given packet sizes; each packet is stamped with its send time. */
#ifndef LIGHT_PUBLISHER_H
#define LIGHT_PUBLISHER_H
#include "peer.h"

#include <errno.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { PACKET_BYTES = 1500, STAMP_BYTES = 8, REPAIR_AGAIN_NS = 10000000, RUN_PACKETS = 64, RUN_BYTES = 60000 };

/* A track's parameters; the id of an extension that was not negotiated is 0. */
typedef struct {
    uint32_t ssrc, rtx_ssrc;
    uint8_t payload_type, rtx_payload_type, is_video, mid_id, transport_seq_id, audio_level_id, rid_id, rrid_id,
        send_time_id, red_payload_type, has_temporal_layers;
    uint16_t width, height;
    char mid[8], rid[8];
    uint32_t clock_rate;
} track_description;

struct source {
    track_description about;
    peer *on;
    uint64_t index, rtx_index; /* 48 bits: rollover counter and seq */
    uint32_t timestamp, picture_id;
    uint64_t packets, octets;
    atomic_int keyframe_wanted, is_resting, level; /* `level`: audio level of RFC 6464 */
    uint8_t is_known, tl0_picture, temporal, temporal_before, redundant[256];
    int redundant_bytes;
    uint32_t redundant_timestamp;
    int64_t last_sent_at;
    struct {
        uint64_t index;
        int64_t repaired_at;
        int size;
        uint8_t data[PACKET_BYTES];
    } *history;
};

/* Returns the next transport-wide seq, which the peer's tracks share. */
static inline uint32_t next_transport_seq(peer *on) { return on->highest_seq++ & 0xFFFF; }

static int write_text(uint8_t *out, int at, int id, const char *text) {
    int bytes = (int)strlen(text);
    if (!id || !bytes)
        return at;
    out[at] = id << 4 | (bytes - 1);
    memcpy(out + at + 1, text, bytes);
    return at + 1 + bytes;
}

/* Writes an RTP header; returns its size. Like libwebrtc, it sends mid and rid until a report shows that the remote
 * side knows the SSRC. */
static int write_header(source *of, uint8_t *out, uint32_t ssrc, int payload_type, uint64_t index, int marker) {
    int at = 16, is_repair = ssrc != of->about.ssrc;
    out[0] = 0x90;
    out[1] = marker << 7 | payload_type;
    put16(out + 2, index);
    put32(out + 4, of->timestamp);
    put32(out + 8, ssrc);
    if (!of->is_known || is_repair) {
        at = write_text(out, at, of->about.mid_id, of->about.mid);
        at = write_text(out, at, is_repair ? of->about.rrid_id : of->about.rid_id, of->about.rid);
    }
    if (of->about.send_time_id) {
        uint64_t now = now_ns();
        uint32_t time = now / 1000000000 % 64 << 18 | ((now % 1000000000) << 18) / 1000000000;
        out[at++] = of->about.send_time_id << 4 | 2;
        out[at++] = time >> 16;
        put16(out + at, time);
        at += 2;
    }
    if (of->about.transport_seq_id) {
        out[at++] = of->about.transport_seq_id << 4 | 1;
        put16(out + at, next_transport_seq(of->on));
        at += 2;
    }
    if (of->about.audio_level_id) {
        out[at++] = of->about.audio_level_id << 4;
        out[at++] = atomic_load(&of->level) | (atomic_load(&of->level) < 127 ? 0x80 : 0);
    }
    for (; at % 4; at++)
        out[at] = 0;
    put16(out + 12, 0xBEDE);
    put16(out + 14, at / 4 - 4);
    return at;
}

/* Writes a VP8 payload descriptor (RFC 7741) and frame header; returns the size. Temporal layers alternate as in
 * libwebrtc: 0, 2, 1, 2; the first two after a 0 refer to it alone. */
static int write_vp8(source *of, uint8_t *out, int begins, int keyframe) {
    int is_sync = of->temporal && of->temporal_before != 1;
    uint8_t header[10] = {0x10, 0, 0, 0x9D, 0x01, 0x2A};
    int at = 4;
    out[0] = 0x80 | (begins ? 0x10 : 0);
    out[1] = of->about.has_temporal_layers ? 0xE0 : 0x80;
    put16(out + 2, 0x8000 | (of->picture_id & 0x7FFF));
    if (of->about.has_temporal_layers) {
        out[at++] = of->tl0_picture;
        out[at++] = of->temporal << 6 | is_sync << 5;
    }
    if (!begins)
        return at;
    header[6] = of->about.width;
    header[7] = of->about.width >> 8;
    header[8] = of->about.height;
    header[9] = of->about.height >> 8;
    memcpy(out + at, header, sizeof header);
    if (!keyframe)
        out[at] |= 1;
    return at + sizeof header;
}

/* Writes RED headers and the previous sound if it is not too old (RFC 2198); returns the size. */
static int write_redundant(source *of, uint8_t *out) {
    uint32_t offset = of->timestamp - of->redundant_timestamp;
    int at = 0;
    if (of->redundant_bytes && offset < 1 << 14) {
        out[at++] = 0x80 | of->about.payload_type;
        put16(out + at, offset << 2 | of->redundant_bytes >> 8);
        out[at + 2] = of->redundant_bytes;
        at += 3;
    } else {
        of->redundant_bytes = 0;
    }
    out[at++] = of->about.payload_type;
    memcpy(out + at, of->redundant, of->redundant_bytes);
    return at + of->redundant_bytes;
}

/* Packets of one size that are sent with one call and split by the kernel (UDP GSO), which saves most of the cost. */
typedef struct {
    int size, bytes, count;
    uint8_t data[RUN_BYTES];
} run;

static void send_run(peer *on, run *all) {
    char control[CMSG_SPACE(sizeof(uint16_t))] = {0};
    struct iovec piece = {all->data, all->bytes};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (all->count > 1) {
        uint16_t size = all->size;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){.cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof size)};
        memcpy(CMSG_DATA(header), &size, sizeof size);
    }
    for (int tries = 0; all->count && sendmsg(on->fd, &message, 0) < 0 && errno == ENOBUFS && tries < 100;)
        tries++;
    all->count = all->bytes = 0;
}

/* Protects a packet and adds it to a run; if its size differs, the earlier packets are sent first. */
static void add_sealed(source *of, run *all, const uint8_t *plain, int size, int header, uint64_t index) {
    uint8_t data[PACKET_BYTES + 32];
    if (is_lost(of->on))
        return;
    memcpy(data, plain, size);
    int sealed = rtp_seal(&of->on->out, data, size, header, index);
    if (sealed != all->size || all->count == RUN_PACKETS || all->bytes + sealed > RUN_BYTES)
        send_run(of->on, all);
    memcpy(all->data + all->bytes, data, sealed);
    all->size = sealed;
    all->bytes += sealed;
    all->count++;
}

static void send_sealed(source *of, const uint8_t *plain, int size, int header, uint64_t index) {
    run alone;
    alone.size = alone.bytes = alone.count = 0;
    add_sealed(of, &alone, plain, size, header, index);
    send_run(of->on, &alone);
}

/* Makes one packet and adds it to the run `all`; `size` is its size with protection and without redundancy. */
static void make_packet(source *of, run *all, int size, int begins, int ends, int keyframe) {
    uint64_t index = of->index++;
    uint8_t *data = of->history[index % HISTORY].data;
    int is_red = of->about.red_payload_type != 0;
    int header = write_header(of, data, of->about.ssrc, is_red ? of->about.red_payload_type : of->about.payload_type,
                              index, of->about.is_video && ends);
    int at = header, payload = size - header - (of->on->out.is_gcm ? GCM_TAG : CM_TAG);
    if (is_red)
        at += write_redundant(of, data + at);
    else if (of->about.is_video)
        at += write_vp8(of, data + at, begins, keyframe);
    size = is_red ? at + payload : header + payload;
    if (size < at + STAMP_BYTES)
        size = at + STAMP_BYTES;
    if (size > PACKET_BYTES)
        size = PACKET_BYTES;
    memset(data + at, 0xA5, size - at);
    int64_t stamp = clock_nanoseconds(CLOCK_REALTIME);
    memcpy(data + size - STAMP_BYTES, &stamp, STAMP_BYTES);
    if (is_red) {
        of->redundant_bytes = size - at < (int)sizeof of->redundant ? size - at : 0;
        of->redundant_timestamp = of->timestamp;
        memcpy(of->redundant, data + at, of->redundant_bytes);
    }
    of->history[index % HISTORY].index = index;
    of->history[index % HISTORY].size = size;
    of->history[index % HISTORY].repaired_at = 0;
    of->octets += size - header;
    of->packets++;
    add_sealed(of, all, data, size, header, index);
}

/* Sends a frame or a part of one in one burst; `keyframe` is set if it starts a keyframe. */
static void send_burst(source *of, const int *sizes, int count, uint32_t timestamp, int begins, int ends, int keyframe,
                       int temporal) {
    pthread_mutex_lock(&of->on->lock);
    of->timestamp = timestamp;
    if (begins) {
        of->temporal_before = of->temporal;
        of->temporal = keyframe ? 0 : temporal;
        of->tl0_picture += of->temporal == 0;
    }
    run all;
    all.size = all.bytes = all.count = 0;
    for (int k = 0; k < count; k++)
        make_packet(of, &all, sizes[k], begins && k == 0, ends && k == count - 1, keyframe);
    send_run(of->on, &all);
    of->picture_id += ends;
    of->last_sent_at = clock_nanoseconds(CLOCK_REALTIME);
    pthread_mutex_unlock(&of->on->lock);
}

/* Returns whether libwebrtc would retransmit now: it limits retransmissions to its target bit rate, and does not repeat
 * one before the last can have arrived. */
static int may_repair(source *of, uint64_t index) {
    peer *on = of->on;
    int64_t now = now_ns(), drained = on->repair_bits - (now - on->repair_bits_at) / 1000 * on->repair_rate / 1000000;
    int bits = 8 * of->history[index % HISTORY].size;
    if (!on->repair_rate)
        return 1;
    if (now - of->history[index % HISTORY].repaired_at < REPAIR_AGAIN_NS)
        return 0;
    on->repair_bits = drained < 0 ? 0 : drained;
    on->repair_bits_at = now;
    if (on->repair_bits + bits > on->repair_rate)
        return 0;
    on->repair_bits += bits;
    of->history[index % HISTORY].repaired_at = now;
    return 1;
}

/* Answers a NACK with RTX (RFC 4588) or, if it was not negotiated, with the packet itself. The peer's lock is held. */
static void resend(source *of, uint32_t seq) {
    uint64_t index = (of->index & ~0xFFFFull) | seq;
    if (index >= of->index)
        index -= 0x10000;
    if (of->history[index % HISTORY].index != index)
        return;
    if (!may_repair(of, index)) {
        of->on->counted.repairs_refused++;
        return;
    }
    of->on->counted.repairs_sent++;
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

/* Writes a sender report for now, with an empty CNAME; returns its size. */
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
