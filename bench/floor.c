/* The lower bound of the engine's benchmark: the minimal cost of forwarding SRTP on this machine.
 *
 * `floor send` receives frames, decrypts each packet once and encrypts it for each destination, with the engine's
 * cipher, sizes, grouping and system calls, but without a table, rewriting or a cache.
 * `floor drain` receives for both: its sockets accept segmented runs unsplit and are read until standard input ends.
 * With a pause it polls them at that interval in microseconds, so that senders spend no time on waking it, as with
 * receivers on other machines.
 */
#define _GNU_SOURCE
#include "../sfu/engine/native/system.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif
enum { SLOTS = 128, ARENA = 1 << 18, MESSAGES = 64, HEADER = 36 };

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int bound_socket(int *port) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        exit(2);
    getsockname(fd, (struct sockaddr *)&address, &length);
    *port = ntohs(address.sin_port);
    return fd;
}

static int drain(int count, int pause) {
    static char buffer[65536];
    struct epoll_event events[256], event = {.events = EPOLLIN};
    int poller = epoll_create1(0), one = 1, port;
    for (int k = 0; k < count; k++) {
        event.data.fd = bound_socket(&port);
        setsockopt(event.data.fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one);
        epoll_ctl(poller, EPOLL_CTL_ADD, event.data.fd, &event);
        printf("%d\n", port);
    }
    fflush(stdout);
    event.data.fd = 0;
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &event);
    for (;;) {
        int ready = epoll_wait(poller, events, 256, pause ? 0 : -1);
        if (pause && ready < 256)
            usleep(pause);
        for (int k = 0; k < ready; k++) {
            if (events[k].data.fd == 0)
                return 0;
            while (recv(events[k].data.fd, buffer, sizeof buffer, MSG_DONTWAIT | MSG_TRUNC) >= 0)
                ;
        }
    }
}

typedef struct {
    evp_context *cipher;
    sha1_state inner, outer;
    struct sockaddr_in address;
    uint64_t index;
} destination;

static int is_gcm;

static int seal(destination *to, const uint8_t *payload, int size, uint8_t *out) {
    uint8_t iv[16] = {0}, rollover[4] = {0};
    memset(out, 0, HEADER);
    memcpy(iv + 6, &to->index, 6);
    to->index++;
    if (is_gcm) {
        gcm_seal(to->cipher, iv, out, HEADER, payload, size, out + HEADER);
        return HEADER + size + 16;
    }
    ctr_apply(to->cipher, iv, payload, size, out + HEADER);
    hmac_tag(&to->inner, &to->outer, out, HEADER + size, rollover, 4, out + HEADER + size);
    return HEADER + size + 10;
}

static uint8_t slots[SLOTS][2048], arena[ARENA];
static struct mmsghdr messages[MESSAGES];
static struct iovec pieces[MESSAGES];
static control_buffer controls[MESSAGES];
static int message_count;

static void flush(int fd) {
    for (int sent = 0; sent < message_count;) {
        int done = sendmmsg(fd, messages + sent, message_count - sent, MSG_DONTWAIT);
        sent += done > 0 ? done : 1;
    }
    message_count = 0;
}

/* Sends one message for each run of datagrams of equal length, of which the last may be shorter. */
static int send_run(destination *to, const int *sizes, int from, int count, int used) {
    int length = 1, first = sizes[from];
    uint8_t *at = arena + used;
    uint8_t *end = at + seal(to, slots[from], first, at);
    int sealed = (int)(end - at);
    while (from + length < count && sizes[from + length] <= first) {
        end += seal(to, slots[from + length], sizes[from + length], end);
        length++;
        if (sizes[from + length - 1] < first)
            break;
    }
    pieces[message_count] = (struct iovec){at, (size_t)(end - at)};
    memset(&messages[message_count], 0, sizeof *messages);
    messages[message_count].msg_hdr.msg_name = &to->address;
    messages[message_count].msg_hdr.msg_namelen = sizeof to->address;
    messages[message_count].msg_hdr.msg_iov = &pieces[message_count];
    messages[message_count].msg_hdr.msg_iovlen = 1;
    if (length > 1)
        control_segment(&messages[message_count].msg_hdr, &controls[message_count], (uint16_t)sealed);
    message_count++;
    return length;
}

static int receive(int fd, int expected, destination *from, int *sizes) {
    static struct mmsghdr received[SLOTS];
    static struct iovec places[SLOTS];
    static control_buffer times[SLOTS];
    static struct sockaddr_in sources[SLOTS];
    static uint8_t scratch[2048];
    int count;
    for (int k = 0; k < SLOTS; k++) {
        places[k] = (struct iovec){slots[k], sizeof slots[k]};
        received[k].msg_hdr = (struct msghdr){.msg_iov = &places[k], .msg_iovlen = 1, .msg_name = &sources[k],
                                              .msg_namelen = sizeof sources[k], .msg_control = &times[k],
                                              .msg_controllen = sizeof times[k]};
    }
    count = recvmmsg(fd, received, SLOTS, MSG_DONTWAIT, NULL);
    int longest = 0;
    for (int k = 0; k < count; k++) {
        /* Decrypting costs the same as encrypting, and the result does not matter here. */
        sizes[k] = (int)received[k].msg_len;
        seal(from, slots[k], sizes[k], scratch);
        longest = sizes[k] > longest ? sizes[k] : longest;
    }
    /* The engine pads like this too, so both send the same runs. */
    for (int k = 0; k < count; k++)
        sizes[k] = longest - sizes[k] <= 3 ? longest : sizes[k];
    return count == expected ? count : 0;
}

/* Reads frame sizes from standard input, "count size size ..." per line; arguments are the ports of destinations. */
static int send_frames(int destinations, char **ports) {
    destination *all = calloc(destinations + 1, sizeof *all);
    uint8_t key[16];
    int port, publisher_port, fd = bound_socket(&port), publisher = bound_socket(&publisher_port), one = 1;
    struct sockaddr_in own = loopback(port);
    long packets = 0, spent = 0, frame = 0;
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    for (int k = 0; k <= destinations; k++) {
        memset(key, k + 1, sizeof key);
        memcpy(key, &k, sizeof k);
        all[k].cipher = crypto_context_new();
        crypto_key(all[k].cipher, is_gcm, 1, key, 16);
        hmac_key(&all[k].inner, &all[k].outer, key, 16);
        all[k].address = loopback(k < destinations ? atoi(ports[k]) : 0);
    }
    for (int count; scanf("%d", &count) == 1;) {
        int sizes[SLOTS], wanted[SLOTS];
        for (int k = 0; k < count; k++)
            if (scanf("%d", &wanted[k]) != 1)
                return 2;
        for (int k = 0; k < count; k++)
            sendto(publisher, slots[k], wanted[k], 0, (struct sockaddr *)&own, sizeof own);
        int64_t before = clock_nanoseconds(CLOCK_THREAD_CPUTIME_ID);
        if (receive(fd, count, &all[destinations], sizes) != count)
            return 3;
        int used = 0;
        for (int k = 0; k < destinations; k++) {
            for (int at = 0; at < count;) {
                if (message_count == MESSAGES || used + (count - at) * 2048 > ARENA) {
                    flush(fd);
                    used = 0;
                }
                at += send_run(&all[k], sizes, at, count, used);
                used += (int)pieces[message_count - 1].iov_len;
            }
        }
        flush(fd);
        /* The first frame runs with cold caches and is not counted. */
        if (frame++ == 0)
            continue;
        spent += clock_nanoseconds(CLOCK_THREAD_CPUTIME_ID) - before;
        packets += (long)count * destinations;
    }
    printf("%ld %ld\n", packets, spent);
    return 0;
}

int main(int count, char **arguments) {
    const char *missing = crypto_load();
    if (missing != NULL || count < 3) {
        fprintf(stderr, "floor: %s\n", missing != NULL ? missing : "usage: floor drain COUNT [PAUSE] | floor send CIPHER PORT...");
        return 2;
    }
    if (strcmp(arguments[1], "drain") == 0)
        return drain(atoi(arguments[2]), count > 3 ? atoi(arguments[3]) : 0);
    is_gcm = strcmp(arguments[2], "gcm") == 0;
    return send_frames(count - 3, arguments + 3);
}
