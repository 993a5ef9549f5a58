/* Performances of publishers, in a queue ordered by due time. */
#ifndef LIGHT_SCHEDULE_H
#define LIGHT_SCHEDULE_H
#include "publisher.h"

enum { LAYERS = 3, KEYFRAME_EVERY_NS = 300000000, REPLACED_NS = 16000000, LATE_NS = 100000, VERY_LATE_NS = 5000000 };

/* Packets that leave together; `at` is relative to the beginning of the recording or of the keyframe. */
typedef struct {
    int64_t at;
    int first_size, count;
    uint8_t layer, begins, ends, temporal;
} burst;

/* A recording of one track with one or more layers, which repeats after `period`. If `key_count` is set, it has a
 * separate keyframe of all layers that replaces a frame on request; otherwise any frame may become a keyframe. */
typedef struct {
    source *layers[LAYERS];
    const int *sizes;
    const burst *bursts, *key;
    int burst_count, key_count, keep_in_flight;
    int64_t period, begin;
    /* current position */
    int64_t round, due, held_until, key_at, key_began;
    int next, next_key, is_in_key;
    uint8_t is_open[LAYERS], is_skipped[LAYERS], is_key[LAYERS];
    uint32_t timestamp[LAYERS];
} performance;

static inline peer *performer(const performance *one) { return one->layers[0]->on; }

static void plan_next(performance *one) {
    int64_t at;
    if (one->is_in_key) {
        one->due = one->key_at + one->key[one->next_key].at;
        return;
    }
    at = one->begin + one->round * one->period + one->bursts[one->next].at;
    one->due = at < one->held_until ? one->held_until : at;
}

static void begin_performance(performance *one, int from) {
    one->next = from;
    one->round = 0;
    one->begin -= one->bursts[from].at;
    one->key_began = INT64_MIN / 2;
    plan_next(one);
}

static void send_layer(performance *one, const burst *now, int64_t scheduled, int keyframe) {
    source *of = one->layers[now->layer];
    if (now->begins)
        one->timestamp[now->layer] = (uint32_t)(scheduled / 1000 * (of->about.clock_rate / 1000) / 1000);
    if (!atomic_load(&of->is_resting))
        send_burst(of, one->sizes + now->first_size, now->count, one->timestamp[now->layer], now->begins, now->ends,
                   keyframe, now->temporal);
}

static int wants_keyframe(performance *one) {
    int is_wanted = 0;
    for (int k = 0; k < LAYERS; k++) {
        if (one->is_open[k])
            return 0;
        is_wanted |= one->layers[k] != NULL && !atomic_load(&one->layers[k]->is_resting) &&
                     atomic_load(&one->layers[k]->keyframe_wanted);
    }
    return is_wanted;
}

/* Like libwebrtc's VP8 encoder, makes a keyframe of all layers if one layer is asked for one. */
static void begin_key(performance *one, int64_t scheduled) {
    one->is_in_key = 1;
    one->next_key = 0;
    one->key_at = scheduled;
    one->key_began = scheduled;
    for (int k = 0; k < LAYERS; k++)
        if (one->layers[k] != NULL)
            atomic_store(&one->layers[k]->keyframe_wanted, 0);
}

static void perform_key(performance *one) {
    const burst *now = &one->key[one->next_key];
    send_layer(one, now, one->key_at, now->begins);
    if (++one->next_key < one->key_count)
        return;
    one->is_in_key = 0;
    one->held_until = one->due;
}

/* Sends the due burst, and schedules the next one. */
static void perform(performance *one) {
    const burst *now = &one->bursts[one->next];
    int64_t scheduled = one->begin + one->round * one->period + now->at;
    if (!one->is_in_key && one->key_count && now->begins && scheduled - one->key_began >= KEYFRAME_EVERY_NS &&
        wants_keyframe(one))
        begin_key(one, scheduled);
    if (one->is_in_key) {
        perform_key(one);
        plan_next(one);
        return;
    }
    if (now->begins) {
        one->is_skipped[now->layer] = scheduled < one->key_began + REPLACED_NS;
        one->is_key[now->layer] = !one->key_count && one->layers[now->layer]->about.is_video &&
                                  atomic_exchange(&one->layers[now->layer]->keyframe_wanted, 0);
    }
    if (!one->is_skipped[now->layer])
        send_layer(one, now, scheduled, now->begins && one->is_key[now->layer]);
    one->is_open[now->layer] = !now->ends;
    if (++one->next == one->burst_count) {
        one->next = 0;
        one->round++;
    }
    plan_next(one);
}

/* A heap with the earliest performance first; hold `lock` while changing it. */
typedef struct {
    pthread_mutex_t lock;
    performance **heap;
    int count, capacity;
} schedule;

static void sift_down(schedule *all, int at) {
    for (;;) {
        int least = at;
        for (int child = 2 * at + 1; child <= 2 * at + 2 && child < all->count; child++)
            if (all->heap[child]->due < all->heap[least]->due)
                least = child;
        if (least == at)
            return;
        performance *kept = all->heap[at];
        all->heap[at] = all->heap[least];
        all->heap[least] = kept;
        at = least;
    }
}

static void order_schedule(schedule *all) {
    for (int k = all->count / 2 - 1; k >= 0; k--)
        sift_down(all, k);
}

static void schedule_add(schedule *all, performance *one) {
    if (all->count == all->capacity) {
        all->capacity = all->capacity ? 2 * all->capacity : 64;
        all->heap = realloc(all->heap, all->capacity * sizeof *all->heap);
    }
    all->heap[all->count++] = one;
    order_schedule(all);
}

/* Removes a peer's performances. */
static void schedule_forget(schedule *all, const peer *of) {
    pthread_mutex_lock(&all->lock);
    int kept = 0;
    for (int k = 0; k < all->count; k++)
        if (performer(all->heap[k]) == of)
            free(all->heap[k]);
        else
            all->heap[kept++] = all->heap[k];
    all->count = kept;
    order_schedule(all);
    pthread_mutex_unlock(&all->lock);
}

/* Runs performances until `until` (CLOCK_MONOTONIC) or until stopped. Each track keeps its times even if the thread
 * wakes late. Bursts due within LATE_NS of each other are sent together, which saves wake-ups. */
static void play(schedule *all, int64_t until, atomic_int *stops) {
    while (!atomic_load(stops)) {
        int64_t now = now_ns(), next = now + TICK_NS;
        pthread_mutex_lock(&all->lock);
        while (all->count && all->heap[0]->due <= now && all->heap[0]->due < until) {
            totals *counted = &performer(all->heap[0])->counted;
            counted->bursts++;
            counted->late_bursts += now - all->heap[0]->due > VERY_LATE_NS;
            perform(all->heap[0]);
            sift_down(all, 0);
        }
        if (all->count && all->heap[0]->due + LATE_NS < next)
            next = all->heap[0]->due + LATE_NS;
        pthread_mutex_unlock(&all->lock);
        if (now >= until)
            return;
        next = next < until ? next : until;
        struct timespec at = {next / 1000000000, next % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    }
}

#endif
