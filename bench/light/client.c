/* Many WebRTC peers in one thread. Python supplies sockets and keys; the GIL is not held here.
 *
 * Every received packet is authenticated. Its latency is the time from the publisher's stamp to the kernel's receive
 * time. Peers send consent checks and feedback as a browser does.
 */
#include "feedback.h"
#include "reception.h"

#include <poll.h>
#include <sched.h>
#include <unistd.h>


enum { SPREAD = 16 };

typedef struct {
    session_keys in, out;
    uint8_t is_gcm, gives_feedback, gives_reports, transport_seq_id, kinds[128];
    uint32_t remb;
    int64_t feedback_every, check_every;
    uint8_t check[256], check_key[64];
    uint8_t answer_key[64];
    int check_bytes, check_key_bytes, answer_key_bytes;
    uint32_t loss, repair_rate;
} peer_settings;

client *client_new(void) {
    if (crypto_load() != NULL)
        return NULL;
    client *self = calloc(1, sizeof *self);
    pthread_mutex_init(&self->table, NULL);
    wall_offset = clock_nanoseconds(CLOCK_REALTIME) - now_ns();
    return self;
}

/* Takes ownership of a connected socket. */
peer *client_add(client *self, int fd, const peer_settings *settings) {
    peer *added = calloc(1, sizeof *added);
    int one = 1, buffer = 2 << 20;
    int64_t now = now_ns();
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    added->fd = fd;
    pthread_mutex_init(&added->lock, NULL);
    direction_init(&added->in, settings->is_gcm, 0, &settings->in);
    direction_init(&added->out, settings->is_gcm, 1, &settings->out);
    memcpy(added->kinds, settings->kinds, sizeof added->kinds);
    added->transport_seq_id = settings->transport_seq_id;
    added->gives_feedback = settings->gives_feedback;
    added->gives_reports = settings->gives_reports;
    added->remb = settings->remb;
    added->feedback_every = settings->feedback_every;
    added->check_every = settings->check_every;
    memcpy(added->check, settings->check, sizeof added->check);
    added->check_bytes = settings->check_bytes;
    hmac_key(&added->check_inner, &added->check_outer, settings->check_key, settings->check_key_bytes);
    hmac_key(&added->answer_inner, &added->answer_outer, settings->answer_key, settings->answer_key_bytes);
    added->answers_checks = settings->answer_key_bytes > 0;
    added->loss = settings->loss;
    added->repair_rate = settings->repair_rate;
    added->dice = added->ssrc = (uint32_t)random() | 1;
    /* Spread over the interval, as if browsers had joined one by one. */
    added->checked_at = now - random() % 1000 * (added->check_every / 1000);
    added->reported_at = now - random() % 1000 * 1000000;
    added->feedback_at = now - random() % 1000 * (added->feedback_every / 1000);
    added->is_active = 1;
    pthread_mutex_lock(&self->table);
    if (self->count == self->capacity) {
        self->capacity = self->capacity ? 2 * self->capacity : 64;
        self->peers = realloc(self->peers, self->capacity * sizeof *self->peers);
        self->gone = realloc(self->gone, self->capacity * sizeof *self->gone);
    }
    self->peers[self->count++] = added;
    self->is_changed = 1;
    pthread_mutex_unlock(&self->table);
    return added;
}

/* Associates an RTX stream with the stream that it repairs. */
void client_learn(client *self, peer *of, uint32_t rtx_ssrc, uint32_t ssrc) {
    pthread_mutex_lock(&self->table);
    stream *repairs = stream_of(of, rtx_ssrc, KIND_RTX);
    if (repairs != NULL)
        repairs->repaired = ssrc;
    pthread_mutex_unlock(&self->table);
}

source *client_track(client *self, peer *of, const track_description *about, uint32_t first_seq) {
    source *added = calloc(1, sizeof *added);
    added->about = *about;
    added->on = of;
    added->index = added->rtx_index = first_seq;
    atomic_store(&added->keyframe_wanted, 1);
    atomic_store(&added->level, 20);
    added->history = calloc(HISTORY, sizeof *added->history);
    pthread_mutex_lock(&self->table);
    of->sources[of->source_count++] = added;
    pthread_mutex_unlock(&self->table);
    return added;
}

/* Removes a peer; the receiving loop closes its socket. */
void client_remove(client *self, peer *of) {
    pthread_mutex_lock(&self->table);
    for (int k = 0; k < self->count; k++)
        if (self->peers[k] == of) {
            self->peers[k] = self->peers[--self->count];
            self->gone[self->gone_count++] = of;
            self->is_changed = 1;
            break;
        }
    of->is_active = 0;
    pthread_mutex_unlock(&self->table);
}

static void add_totals(totals *sum, const peer *of) {
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)&of->counted;
    for (size_t k = 0; k < sizeof *sum / sizeof *to; k++)
        to[k] += from[k];
    for (int k = 0; k < STREAM_SLOTS; k++) {
        const stream *one = of->streams[k];
        if (one == NULL || !one->begun || one->kind == KIND_RTX)
            continue;
        int64_t expected = one->highest - one->first + 1;
        int64_t lost = expected > one->unique ? expected - one->unique : 0;
        sum->expected += expected;
        sum->lost += lost;
        if (one->kind == KIND_AUDIO) {
            sum->expected_audio += expected;
            sum->lost_audio += lost;
        }
    }
}

static void free_peer(client *self, peer *of) {
    add_totals(&self->of_gone, of);
    close(of->fd);
    direction_free(&of->in);
    direction_free(&of->out);
    for (int k = 0; k < STREAM_SLOTS; k++)
        free(of->streams[k]);
    for (int k = 0; k < of->source_count; k++) {
        free(of->sources[k]->history);
        free(of->sources[k]);
    }
    free(of);
}

void client_totals(client *self, totals *sum) {
    pthread_mutex_lock(&self->table);
    *sum = self->of_gone;
    for (int k = 0; k < self->count; k++)
        add_totals(sum, self->peers[k]);
    for (int k = 0; k < self->gone_count; k++)
        add_totals(sum, self->gone[k]);
    pthread_mutex_unlock(&self->table);
}

uint64_t *client_latencies(client *self) { return &self->latencies[0][0]; }

/* Returns the arrival time of the peer's first media packet, in ns of CLOCK_MONOTONIC; 0 if there was none. */
int64_t client_first_packet(const peer *of) { return of->first_packet_at; }

/* Returns the number of media packets that a peer has received, without duplicates. */
uint64_t client_received(const peer *of) { return of->counted.audio + of->counted.video; }

static void send_control(peer *of, uint8_t *data, int size) {
    pthread_mutex_lock(&of->lock);
    size = rtcp_seal(&of->out, data, size, of->rtcp_index++);
    pthread_mutex_unlock(&of->lock);
    send(of->fd, data, size, MSG_DONTWAIT);
}

static void tick_peer(peer *of, int64_t now) {
    uint8_t data[2048];
    if (of->check_bytes && now - of->checked_at >= of->check_every) {
        of->checked_at = now;
        send(of->fd, data, stun_check(of, now, data), MSG_DONTWAIT);
    }
    if (of->source_count == 0) {
        int size = due_feedback(of, now, data);
        if (size)
            send_control(of, data, size);
        return;
    }
    if (now - of->reported_at < 1000000000)
        return;
    of->reported_at = now;
    for (int k = 0; k < of->source_count; k++) {
        if (of->sources[k]->packets == 0)
            continue;
        pthread_mutex_lock(&of->lock);
        int size = sender_report(of->sources[k], data);
        pthread_mutex_unlock(&of->lock);
        send_control(of, data, size);
    }
}

/* Handles a sixteenth of the peers at a time, which spreads feedback. */
static void tick(client *self, int turn) {
    int64_t now = now_ns();
    pthread_mutex_lock(&self->table);
    for (int k = turn % SPREAD; k < self->count; k += SPREAD)
        tick_peer(self->peers[k], now);
    pthread_mutex_unlock(&self->table);
}

static void free_gone(client *self) {
    pthread_mutex_lock(&self->table);
    for (int k = 0; k < self->gone_count; k++) {
        schedule_forget(&self->playing, self->gone[k]);
        free_peer(self, self->gone[k]);
    }
    self->gone_count = 0;
    pthread_mutex_unlock(&self->table);
}

/* The sockets to poll and their peers, copied when the table changes. */
typedef struct {
    struct pollfd *sockets;
    peer **of;
    int count;
} watched;

static void watch(client *self, watched *all) {
    pthread_mutex_lock(&self->table);
    if (self->is_changed) {
        all->sockets = realloc(all->sockets, self->capacity * sizeof *all->sockets);
        all->of = realloc(all->of, self->capacity * sizeof *all->of);
        all->count = self->count;
        for (int k = 0; k < self->count; k++) {
            all->sockets[k] = (struct pollfd){.fd = self->peers[k]->fd, .events = POLLIN};
            all->of[k] = self->peers[k];
        }
        self->is_changed = 0;
    }
    pthread_mutex_unlock(&self->table);
}

/* Receives for all peers until `client_stop`. It polls and sleeps instead of blocking in poll or epoll, since waking a
 * receiver is work of the sender: the process under test, which would not wake receivers on other machines. It sleeps
 * after every round to leave the shared core to the publishers' thread. */
void client_run(client *self) {
    const struct timespec pause = {0, 300000};
    watched all = {0};
    int64_t next = now_ns();
    for (int turn = 0; !atomic_load(&self->stops);) {
        free_gone(self);
        watch(self, &all);
        if (poll(all.sockets, all.count, 0) > 0)
            for (int k = 0; k < all.count; k++)
                if (all.sockets[k].revents && all.of[k]->is_active)
                    read_peer(self, all.of[k]);
        for (int64_t now = now_ns(); next <= now; next += TICK_NS / 5)
            tick(self, turn++);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    free_gone(self);
    free(all.sockets);
    free(all.of);
}

void client_stop(client *self) { atomic_store(&self->stops, 1); }

/* Starts a performance with burst `from`, until the peer is removed; `client_play` must be running. */
void client_begin(client *self, const performance *like, int from) {
    performance *one = malloc(sizeof *one);
    *one = *like;
    begin_performance(one, from);
    pthread_mutex_lock(&self->playing.lock);
    schedule_add(&self->playing, one);
    pthread_mutex_unlock(&self->playing.lock);
}

/* Ends a peer's performances. */
void client_end(client *self, const peer *of) { schedule_forget(&self->playing, of); }

/* Raises this thread's priority within its real-time class: it must be on time, and sleeps in between. */
static void go_first(void) {
    struct sched_param priority;
    int policy;
    if (pthread_getschedparam(pthread_self(), &policy, &priority) != 0 || policy == SCHED_OTHER)
        return;
    priority.sched_priority++;
    pthread_setschedparam(pthread_self(), policy, &priority);
}

/* Runs the performances that `client_begin` added, until `client_stop`. */
void client_play(client *self) {
    go_first();
    play(&self->playing, INT64_MAX, &self->stops);
}

/* Runs these performances until `until` (CLOCK_MONOTONIC). */
void client_perform(client *self, performance *all, int count, int64_t until) {
    schedule own = {.lock = PTHREAD_MUTEX_INITIALIZER};
    for (int k = 0; k < count; k++) {
        begin_performance(&all[k], 0);
        schedule_add(&own, &all[k]);
    }
    play(&own, until, &self->stops);
    free(own.heap);
}

/* Pauses a layer, or resumes it. */
void client_rest(source *of, int is_resting) {
    if (atomic_exchange(&of->is_resting, is_resting) && !is_resting)
        atomic_store(&of->keyframe_wanted, 1);
}

void client_speak(source *of, int level) { atomic_store(&of->level, level); }

/* Publishes one track as fast as `subscribers` receive it, with at most `keep_in_flight` packets in flight to each. */
void client_saturate(client *self, performance *one, int subscribers, int64_t until) {
    unsigned long long before = atomic_load(&self->received), sent = 0;
    int64_t progress_at = now_ns();
    unsigned long long last = before;
    begin_performance(one, 0);
    for (int64_t now = progress_at; now < until; now = now_ns()) {
        unsigned long long received = atomic_load(&self->received) - before;
        if (sent * subscribers <= received + (unsigned long long)one->keep_in_flight * subscribers) {
            sent += one->bursts[one->next].count;
            perform(one);
            continue;
        }
        if (received != last) {
            last = received;
            progress_at = now;
        } else if (now - progress_at > 200000000) { /* the missing packets are lost */
            before = atomic_load(&self->received);
            sent = 0;
            progress_at = now;
        }
        struct timespec pause = {0, 20000};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
}

uint64_t client_packets_sent(const source *of) { return of->packets; }
