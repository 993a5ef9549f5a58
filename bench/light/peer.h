/* State of a peer, and of the streams that it receives. */
#ifndef LIGHT_PEER_H
#define LIGHT_PEER_H
#include "srtp.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    SEEN = 2048,        /* recent seqs of a stream, for duplicates and NACK */
    ARRIVALS = 2048,    /* recent transport-wide seqs */
    STREAM_SLOTS = 256, /* hash slots of a peer for SSRCs; a power of two */
    HISTORY = 512,      /* packets that a publisher keeps for retransmission */
    BUCKETS = 50000,    /* of 10 µs each; the last one has all longer latencies */
    TICK_NS = 5000000,
};

enum { KIND_NONE, KIND_AUDIO, KIND_VIDEO, KIND_RTX };

typedef struct {
    uint32_t ssrc, repaired; /* `repaired`: SSRC of the stream that an RTX stream repairs */
    uint8_t kind, begun;
    int64_t first, highest, unique;
    int64_t last_at, resumed_at; /* receive times: of the last packet, and of the first after a long silence */
    int64_t reported_expected, reported_unique;
    uint32_t jitter, transit, last_sr;
    int64_t last_sr_at;
    uint64_t seen[SEEN / 64];
    uint8_t asked[SEEN]; /* requests per seq */
    int64_t nacked_at;
} stream;

typedef struct {
    uint64_t audio, video, repaired, duplicates, bytes, unauthentic, unexpected, rtcp, lost, nacks, expected, feedback,
        checks_answered, lost_audio, expected_audio, repairs_sent, repairs_refused, bursts, late_bursts, shown;
} totals;

/* A source of packets; see publisher.h. */
typedef struct source source;

typedef struct {
    int fd, is_active;
    pthread_mutex_t lock; /* of sending, by the publishing and the receiving thread */
    srtp_direction in, out;
    uint32_t rtcp_index, ssrc;
    uint8_t kinds[128]; /* by payload type */
    uint8_t transport_seq_id, gives_feedback, gives_reports;
    uint32_t remb; /* bits/s to claim if no feedback is sent, 0: none */
    stream *streams[STREAM_SLOTS];
    source *sources[8];
    int source_count;
    totals counted;
    int64_t first_packet_at, checked_at, check_every, reported_at, feedback_every, feedback_at;
    /* transport-wide feedback */
    int64_t arrivals[ARRIVALS];
    int64_t highest_seq, reported_seq;
    int has_arrivals;
    uint8_t feedback_count;
    /* the binding request of consent checks, up to its MESSAGE-INTEGRITY */
    uint8_t check[256];
    int check_bytes;
    sha1_state check_inner, check_outer;
    /* responses to the remote side's requests, if it is a full agent */
    sha1_state answer_inner, answer_outer;
    int answers_checks;
    uint32_t loss, dice; /* `loss`: datagrams lost of 2^32, in each direction */
    uint32_t repair_rate; /* bits/s, 0: no limit */
    int64_t repair_bits, repair_bits_at;
} peer;

/* Returns whether the link loses the next datagram. */
static inline int is_lost(peer *of) {
    if (!of->loss)
        return 0;
    of->dice ^= of->dice << 13; /* xorshift32 */
    of->dice ^= of->dice >> 17;
    of->dice ^= of->dice << 5;
    return of->dice < of->loss;
}

static inline int64_t now_ns(void) { return clock_nanoseconds(CLOCK_MONOTONIC); }

static inline stream **stream_place(peer *of, uint32_t ssrc) {
    uint32_t at = (ssrc * 2654435761u) >> 24;
    for (int k = 0; k < STREAM_SLOTS; k++, at++) {
        stream **place = &of->streams[at & (STREAM_SLOTS - 1)];
        if (*place == NULL || (*place)->ssrc == ssrc)
            return place;
    }
    return NULL;
}

static stream *stream_of(peer *of, uint32_t ssrc, int kind) {
    stream **place = stream_place(of, ssrc);
    if (place == NULL)
        return NULL;
    if (*place == NULL) {
        *place = calloc(1, sizeof **place);
        (*place)->ssrc = ssrc;
        (*place)->kind = kind;
    }
    return *place;
}

/* Returns the 64-bit value of a 16-bit seq that is nearest to the highest. */
static inline int64_t extend(int64_t highest, uint32_t seq) {
    return highest + (int16_t)(seq - (uint32_t)(highest & 0xFFFF));
}

static inline int is_seen(const stream *of, int64_t seq) { return of->seen[(seq % SEEN) / 64] >> (seq % 64) & 1; }

/* Stores a seq; returns whether it is new. */
static int note_seq(stream *of, int64_t seq) {
    if (!of->begun) {
        of->begun = 1;
        of->first = of->highest = seq;
        memset(of->seen, 0xFF, sizeof of->seen); /* earlier packets do not count as missing */
    } else if (seq > of->highest) {
        if (seq - of->highest >= SEEN)
            memset(of->seen, 0, sizeof of->seen);
        else /* missing until they arrive */
            for (int64_t k = of->highest + 1; k < seq; k++) {
                of->seen[(k % SEEN) / 64] &= ~(1ull << (k % 64));
                of->asked[k % SEEN] = 0;
            }
        of->highest = seq;
    } else if (of->highest - seq >= SEEN || is_seen(of, seq)) {
        return 0;
    }
    of->seen[(seq % SEEN) / 64] |= 1ull << (seq % 64);
    of->asked[seq % SEEN] = 0;
    of->unique++;
    return 1;
}

#endif
