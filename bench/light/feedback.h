/* RTCP of a receiving peer: transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01), NACK
 * (RFC 4585), receiver reports (RFC 3550) and, if it sends no transport-wide feedback, REMB. */
#ifndef LIGHT_FEEDBACK_H
#define LIGHT_FEEDBACK_H
#include "peer.h"

enum { MAX_RTCP = 1200, MAX_REPORTED = 400, NACK_WINDOW = 500, NACK_AGAIN_NS = 50000000, NACK_TRIES = 10 };

static inline int rtcp_header(uint8_t *at, int count, int type, int bytes) {
    at[0] = 0x80 | count;
    at[1] = type;
    put16(at + 2, bytes / 4 - 1);
    return bytes;
}

/* Stores the arrival time of a transport-wide seq. */
static void note_transport_seq(peer *of, uint32_t seq, int64_t at) {
    int64_t extended = of->has_arrivals ? extend(of->highest_seq, seq) : seq;
    if (!of->has_arrivals) {
        of->has_arrivals = 1;
        of->highest_seq = extended - 1;
        of->reported_seq = extended;
    }
    if (extended < of->reported_seq)
        return;
    for (int64_t k = of->highest_seq + 1; k < extended && k > extended - ARRIVALS; k++)
        of->arrivals[k % ARRIVALS] = 0;
    if (extended > of->highest_seq)
        of->highest_seq = extended;
    of->arrivals[extended % ARRIVALS] = at;
    if (of->highest_seq - of->reported_seq >= ARRIVALS)
        of->reported_seq = of->highest_seq - ARRIVALS + 1;
}

static int status_chunks(const uint8_t *symbols, int count, uint8_t *out) {
    int size = 0;
    for (int at = 0; at < count; size += 2) {
        int run = 1;
        while (at + run < count && symbols[at + run] == symbols[at])
            run++;
        if (run >= 7 || at + run == count) {
            put16(out + size, symbols[at] << 13 | run);
            at += run;
            continue;
        }
        uint32_t chunk = 0xC000;
        for (int k = 0; k < 7; k++, at++)
            chunk |= (at < count ? symbols[at] : 0) << (12 - 2 * k);
        put16(out + size, chunk);
    }
    return size;
}

/* Writes one message about the packets since the last one; returns its size, 0 if there were none. */
static int transport_feedback(peer *of, uint32_t media_ssrc, uint8_t *out) {
    uint8_t symbols[MAX_REPORTED], deltas[2 * MAX_REPORTED];
    int64_t base = of->reported_seq, end = of->highest_seq + 1, before = 0;
    int count = 0, delta_bytes = 0, size = 20, started = 0;
    while (base < end && of->arrivals[base % ARRIVALS] == 0)
        base++;
    if (!of->has_arrivals || base >= end)
        return 0;
    before = of->arrivals[base % ARRIVALS] / 64000000 * 256;
    rtcp_header(out, 15, 205, 0);
    put16(out + 12, base);
    put32(out + 16, (uint32_t)(before / 256) << 8 | of->feedback_count++);
    for (; base < end && count < MAX_REPORTED; base++, count++) {
        int64_t arrival = of->arrivals[base % ARRIVALS], delta = arrival / 250000 - before;
        if (arrival == 0 || delta < -32768 || delta > 32767) {
            if (arrival != 0 && started)
                break; /* the rest is for the next message */
            symbols[count] = 0;
            continue;
        }
        started = 1;
        symbols[count] = delta >= 0 && delta <= 255 ? 1 : 2;
        if (symbols[count] == 1)
            deltas[delta_bytes++] = delta;
        else {
            put16(deltas + delta_bytes, delta);
            delta_bytes += 2;
        }
        before += delta;
    }
    of->reported_seq = base;
    put32(out + 4, of->ssrc);
    put32(out + 8, media_ssrc);
    put16(out + 14, count);
    size += status_chunks(symbols, count, out + size);
    memcpy(out + size, deltas, delta_bytes);
    for (size += delta_bytes; size % 4; size++)
        out[size] = 0;
    put16(out + 2, size / 4 - 1);
    return size;
}

/* Returns whether to request a seq now; like a browser, it gives up after ten requests. */
static int asks_for(stream *about, int64_t seq) {
    if (is_seen(about, seq) || about->asked[seq % SEEN] == NACK_TRIES)
        return 0;
    about->asked[seq % SEEN]++;
    return 1;
}

/* Writes a NACK for a stream's missing packets; returns its size, 0 if there are none to request now. */
static int nack(peer *of, stream *about, int64_t now, uint8_t *out) {
    int size = 12;
    if (about->highest - about->first + 1 == about->unique || now - about->nacked_at < NACK_AGAIN_NS)
        return 0;
    int64_t seq = about->highest - NACK_WINDOW;
    for (seq = seq < about->first ? about->first : seq; seq < about->highest && size < 400; seq++) {
        if (!asks_for(about, seq))
            continue;
        uint32_t mask = 0;
        for (int k = 1; k <= 16 && seq + k < about->highest; k++)
            mask |= (uint32_t)asks_for(about, seq + k) << (k - 1);
        put16(out + size, seq);
        put16(out + size + 2, mask);
        of->counted.nacks += 1 + __builtin_popcount(mask);
        size += 4;
        seq += 16;
    }
    if (size == 12)
        return 0;
    about->nacked_at = now;
    rtcp_header(out, 1, 205, size);
    put32(out + 4, of->ssrc);
    put32(out + 8, about->ssrc);
    return size;
}

static void report_block(stream *about, int64_t now, uint8_t *out) {
    int64_t expected = about->highest - about->first + 1, lost = expected - about->unique;
    int64_t since = expected - about->reported_expected, came = about->unique - about->reported_unique;
    int64_t fraction = since > came ? 256 * (since - came) / since : 0;
    about->reported_expected = expected;
    about->reported_unique = about->unique;
    put32(out, about->ssrc);
    put32(out + 4, (uint32_t)(lost < 0 ? 0 : lost) & 0x7FFFFF);
    out[4] = fraction > 255 ? 255 : fraction;
    put32(out + 8, about->highest);
    put32(out + 12, about->jitter / 16);
    put32(out + 16, about->last_sr);
    put32(out + 20, about->last_sr ? (uint32_t)((now - about->last_sr_at) * 65536 / 1000000000) : 0);
}

/* Writes a receiver report on all media streams; returns its size. */
static int receiver_report(peer *of, int64_t now, uint8_t *out) {
    int count = 0;
    for (int k = 0; k < STREAM_SLOTS && count < 31; k++)
        if (of->streams[k] != NULL && of->streams[k]->begun && of->streams[k]->kind != KIND_RTX)
            report_block(of->streams[k], now, out + 8 + 24 * count++);
    put32(out + 4, of->ssrc);
    return rtcp_header(out, count, 201, 8 + 24 * count);
}

/* Writes a REMB for all media streams (draft-alvestrand-rmcat-remb-03); returns its size, 0 if there are none. */
static int receiver_estimate(peer *of, uint8_t *out) {
    uint32_t mantissa = of->remb, exponent = 0, count = 0;
    for (; mantissa >= 1 << 18; exponent++)
        mantissa >>= 1;
    for (int k = 0; k < STREAM_SLOTS && count < 31; k++)
        if (of->streams[k] != NULL && of->streams[k]->begun && of->streams[k]->kind != KIND_RTX)
            put32(out + 20 + 4 * count++, of->streams[k]->ssrc);
    if (!count)
        return 0;
    put32(out + 4, of->ssrc);
    put32(out + 8, 0);
    memcpy(out + 12, "REMB", 4);
    put32(out + 16, count << 24 | exponent << 18 | mantissa);
    return rtcp_header(out, 15, 206, 20 + 4 * count);
}

/* Writes all due messages as one compound packet, without a report as reduced-size RTCP (RFC 5506); returns its size,
 * 0 if nothing is due. */
static int due_feedback(peer *of, int64_t now, uint8_t *out) {
    int size = 0;
    uint32_t media_ssrc = 0;
    if (of->gives_reports && now - of->reported_at >= 1000000000) {
        of->reported_at = now;
        size += receiver_report(of, now, out);
        if (of->remb)
            size += receiver_estimate(of, out + size);
    }
    if (!of->gives_feedback)
        return size;
    for (int k = 0; k < STREAM_SLOTS && size < MAX_RTCP; k++) {
        stream *about = of->streams[k];
        if (about == NULL || !about->begun || about->kind == KIND_RTX)
            continue;
        media_ssrc = about->ssrc;
        size += nack(of, about, now, out + size);
    }
    if (now - of->feedback_at >= of->feedback_every && size < MAX_RTCP) {
        of->feedback_at = now;
        int bytes = transport_feedback(of, media_ssrc, out + size);
        of->counted.feedback += bytes > 0;
        size += bytes;
    }
    return size;
}

#endif
