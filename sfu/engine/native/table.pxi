# Creating and freeing the structures of the table.


cdef bint write_address(object address, sockaddr_storage *out, unsigned *size) except -1:
    """Fill in a socket address; return False if it is not an IP literal."""
    cdef sockaddr_in *four = <sockaddr_in *>out
    cdef sockaddr_in6 *six = <sockaddr_in6 *>out
    cdef bytes host = address[0].encode()
    memset(out, 0, sizeof(sockaddr_storage))
    if inet_pton(AF_INET, host, &four.sin_addr) == 1:
        four.sin_family = AF_INET
        four.sin_port = htons(address[1])
        size[0] = sizeof(sockaddr_in)
        return True
    if inet_pton(AF_INET6, host, &six.sin6_addr) == 1:
        six.sin6_family = AF_INET6
        six.sin6_port = htons(address[1])
        size[0] = sizeof(sockaddr_in6)
        return True
    return False


cdef object read_address(const sockaddr_storage *address):
    cdef char text[64]
    cdef const sockaddr_in *four = <const sockaddr_in *>address
    cdef const sockaddr_in6 *six = <const sockaddr_in6 *>address
    if address.ss_family == AF_INET:
        inet_ntop(AF_INET, &four.sin_addr, text, sizeof(text))
        return (text.decode(), ntohs(four.sin_port))
    inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof(text))
    return (text.decode(), ntohs(six.sin6_port))


def _session_keys(profile, bytes master):
    """Return the six session keys that `crypto_setup` takes."""
    key_bytes, _ = KEY_BYTES[profile]
    key, salt = master[:key_bytes], master[key_bytes:]
    is_gcm = profile is not SrtpProfile.AES128_CM_HMAC_SHA1_80
    return [
        b"" if label in (1, 4) and is_gcm else derive_key(key, salt, label, size)
        for label, size in ((0, key_bytes), (2, len(salt)), (1, 20), (3, key_bytes), (5, len(salt)), (4, 20))
    ]


cdef int write_delay(uint8_t *value, delay) except -1:
    """Write the value of the playout-delay extension for a delay in ns, zeros for None."""
    cdef bytes written = playout_delay(delay)
    memset(value, 0, PLAYOUT_BYTES)
    memcpy(value, <const uint8_t *>written, len(written))
    return 0


@cython.no_gc_clear  # the table reads it when it is freed
cdef class PeerHandle:
    """A peer's structure, and its Python parts: its destination, and the indexes used under its keys."""

    cdef Peer *peer
    cdef uint8_t playout_delay[PLAYOUT_BYTES]
    cdef object destination
    cdef dict send_extensions
    cdef dict indexes
    cdef dict rtcp_indexes
    cdef set sources
    cdef dict streams
    cdef dict routes

    def __cinit__(self, int64_t number):
        self.peer = <Peer *>calloc(1, sizeof(Peer))
        if self.peer == NULL:
            raise MemoryError
        self.peer.peer = number
        memset(self.peer.extensions, NO_TYPE, sizeof(self.peer.extensions))
        self.send_extensions = {}
        self.indexes = {}
        self.rtcp_indexes = {}
        self.sources = set()
        self.streams = {}
        self.routes = {}

    def __dealloc__(self):
        cdef int k
        crypto_clear(&self.peer.send)
        crypto_clear(&self.peer.receive)
        for k in range(self.peer.window_count):
            free(self.peer.windows[k])
        free(self.peer.windows)
        free(self.peer.ssrcs)
        link_free(self.peer.link)
        acknowledger_free(self.peer.acknowledger)
        free(self.peer.checks)
        free(self.peer)

    cdef int set_keys(self, keys) except -1:
        cdef int k
        cdef Window *window
        crypto_setup(&self.peer.receive, _session_keys(keys.profile, keys.receive), False)
        crypto_setup(&self.peer.send, _session_keys(keys.profile, keys.send), True)
        self.peer.has_keys = True
        while self.peer.window_count:
            window_forget(self.peer, self.peer.window_count - 1)
        for k in range(self.peer.ssrc_count):
            self.watch(self.peer.ssrcs[k].ssrc)
        self.indexes.clear()
        self.rtcp_indexes.clear()
        return 0

    cdef void set_unprotected(self):
        crypto_clear(&self.peer.receive)
        crypto_clear(&self.peer.send)
        self.peer.receive.is_plain = self.peer.send.is_plain = True
        self.peer.has_keys = True
        self.indexes.clear()

    cdef int watch(self, uint32_t ssrc) except -1:
        cdef Window *window
        if not self.peer.has_keys:
            return 0
        window = window_make(self.peer, ssrc)
        if window == NULL:
            raise MemoryError
        window.registered = True
        return 0

    cdef int add_ssrc(self, uint32_t ssrc, bint is_rtx, Stream *stream) except -1:
        cdef Ssrc *ssrcs
        cdef int capacity
        if self.peer.ssrc_count == self.peer.ssrc_capacity:
            capacity = 8 if self.peer.ssrc_capacity == 0 else 2 * self.peer.ssrc_capacity
            ssrcs = <Ssrc *>realloc(self.peer.ssrcs, capacity * sizeof(Ssrc))
            if ssrcs == NULL:
                raise MemoryError
            self.peer.ssrcs = ssrcs
            self.peer.ssrc_capacity = capacity
        self.peer.ssrcs[self.peer.ssrc_count] = Ssrc(ssrc, is_rtx, stream)
        self.peer.ssrc_count += 1
        return self.watch(ssrc)

    cdef void remove_ssrc(self, uint32_t ssrc):
        cdef Ssrc *entry = ssrc_of(self.peer, ssrc)
        cdef Window *window = window_of(self.peer, ssrc)
        if entry != NULL:
            self.peer.ssrc_count -= 1
            entry[0] = self.peer.ssrcs[self.peer.ssrc_count]
        if window != NULL:
            window.registered = False
            window_note(self.peer, window)


@cython.no_gc_clear  # the table reads it when it is freed
cdef class StreamHandle:
    """A stream's structure; `peer` keeps its peer's structure alive."""

    cdef Stream *stream
    cdef StreamProgress progress
    cdef PeerHandle peer

    def __cinit__(self, PeerHandle peer, entry):
        self.stream = <Stream *>calloc(1, sizeof(Stream))
        if self.stream == NULL:
            raise MemoryError
        self.peer = peer
        self.stream.peer = peer.peer
        self.stream.stream = entry.stream
        self.stream.ssrc = entry.ssrc
        self.stream.permitted = True
        self.progress = StreamProgress()
        self.stream.progress = &self.progress.counted
        self.stream.newest = self.stream.keyframe = -1
        self.stream.capacity = max(MIN_CACHE_PACKETS, min(entry.cache_packets, MAX_CACHE_PACKETS))
        self.stream.ring = <Packet **>calloc(self.stream.capacity, sizeof(Packet *))
        if self.stream.ring == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.stream != NULL:
            free(self.stream.ring)
            free(self.stream.structure)
            free(self.stream.routes.items)
            free(self.stream.former.items)
            free(self.stream.sinks)
            free(self.stream)

    cdef int take_entry(self, entry) except -1:
        """Take the entry's payload types and repair stream, and register its SSRCs."""
        cdef Stream *stream = self.stream
        cdef int number
        memset(stream.codec, NO_TYPE, sizeof(stream.codec))
        memset(stream.repairs, NO_TYPE, sizeof(stream.repairs))
        memset(stream.clock_rate, 0, sizeof(stream.clock_rate))
        stream.is_audio = False
        for number, payload in entry.payloads.items():
            if not 0 <= number <= 127:
                raise ValueError(f"no such payload type: {number}")
            stream.codec[number] = payload.codec
            stream.clock_rate[number] = payload.clock_rate
            if payload.repairs is not None and 0 <= payload.repairs <= 127:
                stream.repairs[number] = payload.repairs
            if payload.codec.is_audio:
                stream.is_audio = True
        self.peer.add_ssrc(stream.ssrc, False, stream)
        stream.has_rtx = entry.rtx_ssrc is not None
        if stream.has_rtx:
            stream.rtx_ssrc = entry.rtx_ssrc
            self.peer.add_ssrc(stream.rtx_ssrc, True, stream)
        return 0

    cdef void withdraw(self):
        self.peer.remove_ssrc(self.stream.ssrc)
        if self.stream.has_rtx:
            self.peer.remove_ssrc(self.stream.rtx_ssrc)


@cython.no_gc_clear  # the table reads it when it is freed
cdef class RouteHandle:
    """A route's structure; queued packets may keep it alive for longer."""

    cdef Route *route
    cdef PeerHandle peer
    cdef object entry

    def __cinit__(self, PeerHandle peer, entry, int64_t first_out, int64_t first_rtx):
        cdef Route *route = <Route *>calloc(1, sizeof(Route))
        if route == NULL:
            raise MemoryError
        self.route = route
        self.peer = peer
        route.refs = 1
        route.peer = peer.peer
        route.route = entry.route
        route.ssrc = entry.ssrc
        route.map.next_out = first_out
        route.rtx_next = first_rtx
        route.last_seq = route.newest_sent = first_out - 1
        route.target_temporal = route.target_spatial = NO_TYPE
        route.filtered_timestamp = route.filtered_picture = route.held = -1
        self.update(entry)

    def __dealloc__(self):
        if self.route != NULL:
            route_release(self.route)

    cdef int update(self, entry) except -1:
        """Take a new entry with the same SSRCs."""
        cdef Route *route = self.route
        self.entry = entry
        route.has_rtx_ssrc = entry.rtx_ssrc is not None
        route.rtx_ssrc = entry.rtx_ssrc or 0
        route.is_audio = entry.is_audio
        route.first_seq = entry.first_seq
        route.first_timestamp = entry.first_timestamp & 0xFFFFFFFF
        memset(route.payload_types, NO_TYPE, sizeof(route.payload_types))
        memset(route.rtx_payload_types, NO_TYPE, sizeof(route.rtx_payload_types))
        for source, destination in entry.payload_types.items():
            route.payload_types[<int>source & 127] = <int>destination & 127
        for source, destination in entry.rtx_payload_types.items():
            route.rtx_payload_types[<int>source & 127] = <int>destination & 127
        return self.lay_out()

    cdef int lay_out(self) except -1:
        cdef Route *route = self.route
        cdef bytes mid = self.entry.mid.encode("ascii")
        cdef int k
        extensions = self.peer.send_extensions
        if len(mid) > 255:
            raise ValueError("a mid has at most 255 bytes")
        route.send_time_id = extensions.get(Extension.ABS_SEND_TIME, 0)
        route.transport_id = extensions.get(Extension.TRANSPORT_SEQ, 0)
        route.mid_id = extensions.get(Extension.MID, 0)
        route.mid_size = len(mid)
        memcpy(route.mid, <const uint8_t *>mid, len(mid))
        for k in range(PASSED_COUNT):
            route.passed_id[k] = extensions.get(PASSED[k], 0)
        free(route.stamps)
        route.stamps = NULL
        route.keeps_stamps = not route.has_rtx_ssrc or not self.entry.rtx_payload_types
        self.delay_playout()
        return 0

    cdef int delay_playout(self) except -1:
        """Take the peer's playout delay, unless the bytes of a packet index may be sent again and must stay."""
        if self.route.keeps_stamps:
            memset(self.route.playout_delay, 0, PLAYOUT_BYTES)
        else:
            memcpy(self.route.playout_delay, self.peer.playout_delay, PLAYOUT_BYTES)
        return 0
