# Declarations of native/system.h: sockets, clocks, libcrypto.

cdef extern from "native/system.h" nogil:
    ctypedef struct evp_context:
        pass
    ctypedef struct sha1_state:
        pass
    ctypedef union control_buffer:
        uint8_t bytes[1]
    ctypedef int clockid_t
    clockid_t CLOCK_MONOTONIC
    clockid_t CLOCK_REALTIME
    cdef struct iovec:
        void *iov_base
        size_t iov_len
    cdef struct msghdr:
        void *msg_name
        unsigned msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    cdef struct mmsghdr:
        msghdr msg_hdr
        unsigned msg_len
    cdef struct sockaddr_storage:
        unsigned short ss_family
    cdef struct in_addr:
        pass
    cdef struct in6_addr:
        pass
    cdef struct sockaddr_in:
        unsigned short sin_family
        uint16_t sin_port
        in_addr sin_addr
    cdef struct sockaddr_in6:
        unsigned short sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr
    int AF_INET
    int AF_INET6
    int MSG_DONTWAIT
    int MSG_TRUNC
    int EAGAIN
    int ENOBUFS
    int EINTR
    int errno
    uint16_t htons(uint16_t value)
    uint16_t ntohs(uint16_t value)
    int inet_pton(int family, const char *text, void *address)
    const char *inet_ntop(int family, const void *address, char *text, unsigned size)
    int sendmmsg(int fd, mmsghdr *messages, unsigned count, int flags)
    int recvmmsg(int fd, mmsghdr *messages, unsigned count, int flags, void *timeout)
    cdef struct sockaddr:
        pass
    ssize_t sendto(int fd, const void *data, size_t size, int flags, const sockaddr *address, unsigned address_bytes)
    const char *crypto_load()
    evp_context *crypto_context_new()
    void crypto_context_free(evp_context *context)
    int crypto_key(evp_context *context, int is_gcm, int encrypts, const uint8_t *key, int key_bytes)
    int gcm_seal(evp_context *context, const uint8_t *iv, const uint8_t *aad, int aad_bytes, const uint8_t *data,
                 int size, uint8_t *out)
    int gcm_open(evp_context *context, const uint8_t *iv, const uint8_t *aad, int aad_bytes, const uint8_t *data,
                 int size, const uint8_t *tag, uint8_t *out)
    int ctr_apply(evp_context *context, const uint8_t *iv, const uint8_t *data, int size, uint8_t *out)
    void hmac_key(sha1_state *inner, sha1_state *outer, const uint8_t *key, size_t key_bytes)
    void hmac_digest(const sha1_state *inner, const sha1_state *outer, const uint8_t *data, size_t size,
                     const uint8_t *more, size_t more_bytes, uint8_t *digest)
    uint32_t crc32_of(const uint8_t *data, int size)
    void hmac_tag(const sha1_state *inner, const sha1_state *outer, const uint8_t *data, size_t size,
                  const uint8_t *more, size_t more_bytes, uint8_t *tag)
    int tags_differ(const uint8_t *left, const uint8_t *right, int size)
    void control_segment(msghdr *message, control_buffer *control, uint16_t size)
    int64_t control_arrival(msghdr *message)
    uint32_t control_drops(msghdr *message)
    int control_mark(msghdr *message)
    int control_merged(msghdr *message)
    void prefetch(const void *at, int lines)
    int64_t clock_nanoseconds(clockid_t clock)
    cdef struct pollfd:
        int fd
    void rest(int64_t nanoseconds)
    bint is_readable(int fileno)
    void rest_until_readable(const int *filenos, pollfd *entries, int count, int64_t nanoseconds)
