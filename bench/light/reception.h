/* Reception from the sockets: authenticates every packet, counts its latency, and handles control packets. */
#ifndef LIGHT_RECEPTION_H
#define LIGHT_RECEPTION_H
#include "schedule.h"
#include "stun.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { MESSAGES = 8, MESSAGE_BYTES = 65536 };
static const int64_t SILENCE_NS = 1000000000, RESUMPTION_NS = 500000000, STILL_NS = 500000000;

typedef struct {
    pthread_mutex_t table; /* guards `peers`, `gone` and `is_changed` */
    peer **peers, **gone;
    int count, capacity, gone_count, is_changed;
    atomic_int stops;
    atomic_ullong received; /* media packets, without duplicates */
    totals of_gone;
    schedule playing;
    uint64_t latencies[3][BUCKETS]; /* audio; video; retransmitted, or soon after a video began */
    uint8_t buffers[MESSAGES][MESSAGE_BYTES];
} client;

static int64_t wall_offset;

static void note_latency(client *self, int kind, const uint8_t *data, int size, int64_t arrival) {
    int64_t stamp;
    memcpy(&stamp, data + size - STAMP_BYTES, STAMP_BYTES);
    int64_t bucket = (arrival - stamp) / 10000;
    self->latencies[kind][bucket < 0 ? 0 : bucket >= BUCKETS ? BUCKETS - 1 : bucket]++;
}

/* Returns the time (ns) since a video's last packet in which a viewer would not have called it still. */
static int64_t time_shown(const stream *on, int64_t arrival) {
    int64_t gap = arrival - on->last_at;
    return on->kind != KIND_VIDEO || gap < 0 || gap > STILL_NS ? 0 : gap;
}

/* Notes a packet; returns whether its stream has just begun, or resumed after a silence. Video may then begin with an
 * old keyframe from a cache, whose age is not a delay. */
static int is_resuming(stream *on, int64_t arrival) {
    if (arrival - on->last_at > SILENCE_NS)
        on->resumed_at = arrival;
    on->last_at = arrival;
    return on->kind == KIND_VIDEO && arrival - on->resumed_at < RESUMPTION_NS;
}

static uint32_t transport_seq_of(const peer *of, const uint8_t *data, int header) {
    int at = 12 + 4 * (data[0] & 15);
    if (!(data[0] & 0x10) || get16(data + at) != 0xBEDE)
        return UINT32_MAX;
    for (at += 4; at < header;) {
        int id = data[at] >> 4, bytes = (data[at] & 15) + 1;
        if (data[at] == 0) {
            at++;
            continue;
        }
        if (id == of->transport_seq_id && bytes == 2 && at + 3 <= header)
            return get16(data + at + 1);
        at += 1 + bytes;
    }
    return UINT32_MAX;
}

static void note_jitter(stream *of, uint32_t timestamp, int64_t arrival) {
    uint32_t rate = of->kind == KIND_AUDIO ? 48 : 90, now = (uint32_t)(arrival / 1000 * rate / 1000);
    int32_t difference = (int32_t)(now - timestamp - of->transit);
    of->transit = now - timestamp;
    difference = difference < 0 ? -difference : difference;
    if (difference < (1 << 20))
        of->jitter += difference - ((of->jitter + 8) >> 4);
}

static void receive_rtp(client *self, peer *of, uint8_t *data, int size, int64_t arrival) {
    int header = rtp_header_bytes(data, size), kind = of->kinds[data[1] & 0x7F];
    if (!header || kind == KIND_NONE) {
        of->counted.unexpected++;
        return;
    }
    stream *on = stream_of(of, get32(data + 8), kind);
    int64_t seq = on != NULL && on->begun ? extend(on->highest, get16(data + 2)) : get16(data + 2);
    int sealed = size;
    size = on == NULL || seq < 0 ? 0 : rtp_open(&of->in, data, size, header, seq);
    if (!size) {
        of->counted.unauthentic++;
        return;
    }
    of->counted.bytes += sealed;
    if (of->transport_seq_id) {
        uint32_t transport_seq = transport_seq_of(of, data, header);
        if (transport_seq != UINT32_MAX)
            note_transport_seq(of, transport_seq, arrival - wall_offset);
    }
    int is_new = note_seq(on, seq), repaired = kind == KIND_RTX;
    if (repaired && size >= header + 2) {
        stream **place = stream_place(of, on->repaired);
        on = place != NULL ? *place : NULL;
        is_new = on != NULL && on->begun && note_seq(on, extend(on->highest, get16(data + header)));
    }
    if (data[0] & 0x20)
        size -= data[size - 1];
    if (!is_new || size < header + STAMP_BYTES) {
        of->counted.duplicates++;
        return;
    }
    if (!of->first_packet_at)
        of->first_packet_at = now_ns();
    *(kind == KIND_AUDIO ? &of->counted.audio : &of->counted.video) += 1;
    of->counted.repaired += repaired;
    if (!repaired)
        note_jitter(on, get32(data + 4), arrival);
    of->counted.shown += time_shown(on, arrival);
    int is_past = is_resuming(on, arrival) || repaired;
    note_latency(self, is_past ? 2 : kind == KIND_VIDEO, data, size, arrival);
    atomic_fetch_add_explicit(&self->received, 1, memory_order_relaxed);
}

static source *source_of(peer *of, uint32_t ssrc) {
    for (int k = 0; k < of->source_count; k++)
        if (of->sources[k]->about.ssrc == ssrc)
            return of->sources[k];
    return NULL;
}

static void take_nack(peer *of, const uint8_t *data, int size) {
    source *about = source_of(of, get32(data + 8));
    for (int at = 12; about != NULL && at + 4 <= size; at += 4) {
        uint32_t seq = get16(data + at), mask = get16(data + at + 2);
        pthread_mutex_lock(&of->lock);
        resend(about, seq);
        for (int k = 0; k < 16; k++)
            if (mask >> k & 1)
                resend(about, (seq + k + 1) & 0xFFFF);
        pthread_mutex_unlock(&of->lock);
    }
}

/* Marks the streams in a report as known: their mid and rid need not be sent any more. */
static void take_report_blocks(peer *of, const uint8_t *data, int size, int at) {
    for (; at + 24 <= size; at += 24) {
        source *about = source_of(of, get32(data + at));
        if (about != NULL)
            about->is_known = 1;
    }
}

static void take_control(peer *of, const uint8_t *data, int size, int64_t arrival) {
    int format = data[0] & 31;
    if (data[1] == 200 || data[1] == 201)
        take_report_blocks(of, data, size, data[1] == 200 ? 28 : 8);
    if (data[1] == 200 && size >= 28) {
        stream **place = stream_place(of, get32(data + 4));
        if (place != NULL && *place != NULL) {
            (*place)->last_sr = get32(data + 10);
            (*place)->last_sr_at = arrival - wall_offset;
        }
    } else if (data[1] == 205 && format == 1 && size >= 12) {
        take_nack(of, data, size);
    } else if (data[1] == 206 && (format == 1 || format == 4) && size >= 12) {
        source *about = source_of(of, get32(data + (format == 4 && size >= 16 ? 12 : 8)));
        if (about != NULL)
            atomic_store(&about->keyframe_wanted, 1);
    }
}

static void receive_rtcp(peer *of, uint8_t *data, int size, int64_t arrival) {
    size = rtcp_open(&of->in, data, size);
    if (!size) {
        of->counted.unauthentic++;
        return;
    }
    of->counted.rtcp++;
    for (int at = 0; at + 8 <= size;) {
        int bytes = 4 * (get16(data + at + 2) + 1);
        if (at + bytes > size)
            return;
        take_control(of, data + at, bytes, arrival);
        at += bytes;
    }
}

static void receive_datagram(client *self, peer *of, uint8_t *data, int size, int64_t arrival) {
    if (is_lost(of))
        return;
    if (size >= 20 && data[0] == 0 && data[1] == 1)
        answer_check(of, data, size);
    else if (size < 20 || data[0] < 128)
        of->counted.checks_answered += size >= 20 && data[0] == 1;
    else if (data[1] >= 192 && data[1] <= 223)
        receive_rtcp(of, data, size, arrival);
    else
        receive_rtp(self, of, data, size, arrival);
}

typedef union {
    struct cmsghdr header;
    uint8_t bytes[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(int))];
} receive_control;

static int segment_bytes(struct msghdr *message) {
    int size = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header))
        if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO)
            memcpy(&size, CMSG_DATA(header), sizeof size);
    return size;
}

static void read_peer(client *self, peer *of) {
    struct mmsghdr messages[MESSAGES];
    struct iovec places[MESSAGES];
    receive_control controls[MESSAGES];
    for (int k = 0; k < MESSAGES; k++) {
        places[k] = (struct iovec){self->buffers[k], MESSAGE_BYTES};
        messages[k].msg_hdr = (struct msghdr){.msg_iov = &places[k], .msg_iovlen = 1, .msg_control = &controls[k],
                                              .msg_controllen = sizeof controls[k]};
    }
    int count = recvmmsg(of->fd, messages, MESSAGES, MSG_DONTWAIT, NULL);
    for (int k = 0; k < count; k++) {
        int size = (int)messages[k].msg_len, each = segment_bytes(&messages[k].msg_hdr);
        int64_t arrival = control_arrival(&messages[k].msg_hdr);
        for (int at = 0; at < size; at += each) {
            if (each <= 0 || each > size - at)
                each = size - at;
            receive_datagram(self, of, self->buffers[k] + at, each, arrival);
        }
    }
}

#endif
