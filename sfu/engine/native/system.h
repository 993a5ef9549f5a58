/* Code that Cython cannot express: libcrypto loaded at run time, and control messages of sockets.
 *
 * The build needs neither OpenSSL's headers nor its library: the functions below have had these signatures since
 * OpenSSL 1.1 and are looked up when the module is imported. Calling SHA-1's functions directly saves HMAC two
 * allocations per packet.
 */
#ifndef PARLEY_SYSTEM_H
#define PARLEY_SYSTEM_H

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#ifndef SO_TIMESTAMPNS
#define SO_TIMESTAMPNS 35
#endif
#ifndef SO_RXQ_OVFL
#define SO_RXQ_OVFL 40
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

typedef struct evp_cipher_ctx_st evp_context;
typedef struct evp_cipher_st evp_cipher;

/* SHA_CTX: five words of state, the length, a block, and its fill. */
typedef struct {
    uint32_t words[24];
} sha1_state;

static struct {
    evp_context *(*context_new)(void);
    void (*context_free)(evp_context *);
    int (*encrypt_init)(evp_context *, const evp_cipher *, void *, const uint8_t *, const uint8_t *);
    int (*encrypt_update)(evp_context *, uint8_t *, int *, const uint8_t *, int);
    int (*encrypt_final)(evp_context *, uint8_t *, int *);
    int (*decrypt_init)(evp_context *, const evp_cipher *, void *, const uint8_t *, const uint8_t *);
    int (*decrypt_update)(evp_context *, uint8_t *, int *, const uint8_t *, int);
    int (*decrypt_final)(evp_context *, uint8_t *, int *);
    int (*control)(evp_context *, int, int, void *);
    const evp_cipher *(*aes_128_gcm)(void);
    const evp_cipher *(*aes_256_gcm)(void);
    const evp_cipher *(*aes_128_ctr)(void);
    int (*sha1_init)(sha1_state *);
    int (*sha1_update)(sha1_state *, const void *, size_t);
    int (*sha1_final)(uint8_t *, sha1_state *);
} crypto;

enum { EVP_GET_TAG = 0x10, EVP_SET_TAG = 0x11 };

/* Returns NULL, or the name of a missing function. */
static const char *crypto_load(void) {
    static const char *const libraries[] = {"libcrypto.so.3", "libcrypto.so.4", "libcrypto.so.1.1", "libcrypto.so"};
    struct {
        const char *name;
        void **place;
    } symbols[] = {
        {"EVP_CIPHER_CTX_new", (void **)&crypto.context_new},
        {"EVP_CIPHER_CTX_free", (void **)&crypto.context_free},
        {"EVP_EncryptInit_ex", (void **)&crypto.encrypt_init},
        {"EVP_EncryptUpdate", (void **)&crypto.encrypt_update},
        {"EVP_EncryptFinal_ex", (void **)&crypto.encrypt_final},
        {"EVP_DecryptInit_ex", (void **)&crypto.decrypt_init},
        {"EVP_DecryptUpdate", (void **)&crypto.decrypt_update},
        {"EVP_DecryptFinal_ex", (void **)&crypto.decrypt_final},
        {"EVP_CIPHER_CTX_ctrl", (void **)&crypto.control},
        {"EVP_aes_128_gcm", (void **)&crypto.aes_128_gcm},
        {"EVP_aes_256_gcm", (void **)&crypto.aes_256_gcm},
        {"EVP_aes_128_ctr", (void **)&crypto.aes_128_ctr},
        {"SHA1_Init", (void **)&crypto.sha1_init},
        {"SHA1_Update", (void **)&crypto.sha1_update},
        {"SHA1_Final", (void **)&crypto.sha1_final},
    };
    void *library = NULL;
    for (size_t k = 0; library == NULL && k < sizeof libraries / sizeof *libraries; k++)
        library = dlopen(libraries[k], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return "libcrypto";
    for (size_t k = 0; k < sizeof symbols / sizeof *symbols; k++) {
        *symbols[k].place = dlsym(library, symbols[k].name);
        if (*symbols[k].place == NULL)
            return symbols[k].name;
    }
    return NULL;
}

static inline evp_context *crypto_context_new(void) { return crypto.context_new(); }

static inline void crypto_context_free(evp_context *context) {
    if (context != NULL)
        crypto.context_free(context);
}

/* Sets a context's key once; later calls set the IV only. */
static inline int crypto_key(evp_context *context, int is_gcm, int encrypts, const uint8_t *key, int key_bytes) {
    const evp_cipher *cipher =
        !is_gcm ? crypto.aes_128_ctr() : key_bytes == 32 ? crypto.aes_256_gcm() : crypto.aes_128_gcm();
    return encrypts ? crypto.encrypt_init(context, cipher, NULL, key, NULL)
                    : crypto.decrypt_init(context, cipher, NULL, key, NULL);
}

/* AES-GCM: encrypts `size` bytes of `in` to `out`, followed by the tag. */
static inline int gcm_seal(evp_context *context, const uint8_t *iv, const uint8_t *aad, int aad_bytes,
                           const uint8_t *in, int size, uint8_t *out) {
    int done = 0;
    return crypto.encrypt_init(context, NULL, NULL, NULL, iv) == 1 &&
           crypto.encrypt_update(context, NULL, &done, aad, aad_bytes) == 1 &&
           (size == 0 || crypto.encrypt_update(context, out, &done, in, size) == 1) &&
           crypto.encrypt_final(context, out + size, &done) == 1 &&
           crypto.control(context, EVP_GET_TAG, 16, out + size) == 1;
}

static inline int gcm_open(evp_context *context, const uint8_t *iv, const uint8_t *aad, int aad_bytes,
                           const uint8_t *in, int size, const uint8_t *tag, uint8_t *out) {
    int done = 0;
    return crypto.decrypt_init(context, NULL, NULL, NULL, iv) == 1 &&
           crypto.control(context, EVP_SET_TAG, 16, (void *)tag) == 1 &&
           crypto.decrypt_update(context, NULL, &done, aad, aad_bytes) == 1 &&
           (size == 0 || crypto.decrypt_update(context, out, &done, in, size) == 1) &&
           crypto.decrypt_final(context, out + size, &done) == 1;
}

/* Counter mode, in both directions. */
static inline int ctr_apply(evp_context *context, const uint8_t *iv, const uint8_t *in, int size, uint8_t *out) {
    int done = 0;
    return crypto.encrypt_init(context, NULL, NULL, NULL, iv) == 1 &&
           (size == 0 || crypto.encrypt_update(context, out, &done, in, size) == 1);
}

/* HMAC-SHA1 (RFC 2104) from the two states derived from a key. */
static inline void hmac_key(sha1_state *inner, sha1_state *outer, const uint8_t *key, size_t key_bytes) {
    uint8_t block[64];
    memset(block, 0x36, sizeof block);
    for (size_t k = 0; k < key_bytes; k++)
        block[k] ^= key[k];
    crypto.sha1_init(inner);
    crypto.sha1_update(inner, block, sizeof block);
    for (size_t k = 0; k < sizeof block; k++)
        block[k] ^= 0x36 ^ 0x5C;
    crypto.sha1_init(outer);
    crypto.sha1_update(outer, block, sizeof block);
}

static inline void hmac_digest(const sha1_state *inner, const sha1_state *outer, const uint8_t *data, size_t size,
                               const uint8_t *more, size_t more_bytes, uint8_t *digest) {
    sha1_state state = *inner;
    crypto.sha1_update(&state, data, size);
    if (more_bytes)
        crypto.sha1_update(&state, more, more_bytes);
    crypto.sha1_final(digest, &state);
    state = *outer;
    crypto.sha1_update(&state, digest, 20);
    crypto.sha1_final(digest, &state);
}

/* The first ten bytes of it, as in SRTP. */
static inline void hmac_tag(const sha1_state *inner, const sha1_state *outer, const uint8_t *data, size_t size,
                            const uint8_t *more, size_t more_bytes, uint8_t *tag) {
    uint8_t digest[20];
    hmac_digest(inner, outer, data, size, more, more_bytes, digest);
    memcpy(tag, digest, 10);
}

/* CRC-32 as in STUN's FINGERPRINT. */
static inline uint32_t crc32_of(const uint8_t *data, int size) {
    static const uint32_t halves[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
                                        0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                                        0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
    uint32_t sum = 0xFFFFFFFF;
    for (int k = 0; k < size; k++) {
        sum = halves[(sum ^ data[k]) & 15] ^ sum >> 4;
        sum = halves[(sum ^ data[k] >> 4) & 15] ^ sum >> 4;
    }
    return ~sum;
}

static inline int tags_differ(const uint8_t *left, const uint8_t *right, int size) {
    unsigned difference = 0;
    for (int k = 0; k < size; k++)
        difference |= left[k] ^ right[k];
    return difference != 0;
}

typedef union {
    struct cmsghdr header;
    uint8_t bytes[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t)) + 2 * CMSG_SPACE(sizeof(int))];
} control_buffer;

/* Have the kernel split a message into datagrams of `size` bytes. */
static inline void control_segment(struct msghdr *message, control_buffer *control, uint16_t size) {
    message->msg_control = control->bytes;
    message->msg_controllen = CMSG_SPACE(sizeof size);
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(header), &size, sizeof size);
}

/* The kernel's receive time in nanoseconds of CLOCK_REALTIME, 0 without one. */
static inline int64_t control_arrival(struct msghdr *message) {
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec time;
            memcpy(&time, CMSG_DATA(header), sizeof time);
            return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
        }
    }
    return 0;
}

/* The number of datagrams that the socket had dropped when the kernel queued this one; 0 before the first. */
static inline uint32_t control_drops(struct msghdr *message) {
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_RXQ_OVFL) {
            uint32_t drops;
            memcpy(&drops, CMSG_DATA(header), sizeof drops);
            return drops;
        }
    }
    return 0;
}

/* The ECN bits of the IP header (RFC 3168), 0 without any. */
static inline int control_mark(struct msghdr *message) {
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
        if ((header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_TOS) ||
            (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_TCLASS)) {
            int value = 0;
            memcpy(&value, CMSG_DATA(header), header->cmsg_type == IP_TOS ? 1 : sizeof value);
            return value & 3;
        }
    }
    return 0;
}

/* The size of each datagram but the last of those that the kernel has merged into this message, 0 for a single one. */
static inline int control_merged(struct msghdr *message) {
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(header), sizeof size);
            return size;
        }
    }
    return 0;
}

/* Begin to load `lines` cache lines before their use; any address is allowed. */
static inline void prefetch(const void *at, int lines) {
    for (int k = 0; k < lines; k++)
        __builtin_prefetch((const char *)at + 64 * k, 1);
}

static inline int64_t clock_nanoseconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Sleep; a signal may end it early. */
static inline void rest(int64_t nanoseconds) {
    struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    nanosleep(&time, NULL);
}

static inline int is_readable(int fileno) {
    struct pollfd entry = {.fd = fileno, .events = POLLIN};
    return poll(&entry, 1, 0) > 0;
}

/* Wait until one of the given descriptors is readable; a signal may end it early. `entries` is room for one entry per
 * descriptor. */
static inline void rest_until_readable(const int *filenos, struct pollfd *entries, int count, int64_t nanoseconds) {
    struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    for (int k = 0; k < count; k++)
        entries[k] = (struct pollfd){.fd = filenos[k], .events = POLLIN};
    ppoll(entries, count, &time, NULL);
}

#endif
