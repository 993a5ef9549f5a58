# Output to the kernel: runs of equally long datagrams to one destination use segmentation offload, many in a call.


cdef void count_send_error(State *state, int error, int packets) noexcept nogil:
    state.send_drops[DROP_SEND_BUFFER if error == EAGAIN or error == ENOBUFS else DROP_SEND_ERROR] += packets


cdef void send_singly(State *state, OutEntry *entries, int count) noexcept nogil:
    """Send singly a run that the kernel refused to segment; if that succeeds, the destination gets no more runs."""
    cdef Peer *peer = entries[0].peer
    cdef bint complete = True
    cdef ssize_t sent
    cdef int k
    for k in range(count):
        sent = sendto(state.filenos[peer.local], state.arena + entries[k].at, entries[k].size, MSG_DONTWAIT,
                      <const sockaddr *>&peer.address, peer.address_bytes)
        if sent < 0:
            count_send_error(state, errno, 1)
            complete = False
        else:
            state.sent_datagrams += 1
            state.sent_bytes += entries[k].size
    if complete:
        peer.refuses_runs = True


cdef int run_length(const OutEntry *entries, int count) noexcept nogil:
    """Return the number of entries for one message: same destination and size, except that the last may be shorter."""
    cdef int length = 1
    cdef int bytes_of = entries[0].size
    if entries[0].peer.refuses_runs:
        return 1
    while (
        length < count
        and length < SEGMENTS_PER_MESSAGE
        and entries[length].peer == entries[0].peer
        and entries[length].size <= entries[0].size
        and bytes_of + entries[length].size <= RUN_BYTES_MAX
    ):
        bytes_of += entries[length].size
        length += 1
        if entries[length - 1].size < entries[0].size:
            break
    return length


cdef void flush_output(State *state) noexcept nogil:
    """Send everything in the arena."""
    cdef mmsghdr messages[MESSAGES_MAX]
    cdef iovec pieces[MESSAGES_MAX]
    cdef control_buffer controls[MESSAGES_MAX]
    cdef int starts[MESSAGES_MAX + 1]
    cdef int at = 0, count, length, local
    cdef OutEntry *entry
    while at < state.entry_count:
        count = 0
        local = state.entries[at].peer.local
        starts[0] = at
        while at < state.entry_count and count < MESSAGES_MAX and state.entries[at].peer.local == local:
            entry = &state.entries[at]
            length = run_length(entry, state.entry_count - at)
            pieces[count].iov_base = state.arena + entry.at
            pieces[count].iov_len = entry[length - 1].at + entry[length - 1].size - entry.at
            memset(&messages[count], 0, sizeof(mmsghdr))
            messages[count].msg_hdr.msg_name = &entry.peer.address
            messages[count].msg_hdr.msg_namelen = entry.peer.address_bytes
            messages[count].msg_hdr.msg_iov = &pieces[count]
            messages[count].msg_hdr.msg_iovlen = 1
            if length > 1:
                control_segment(&messages[count].msg_hdr, &controls[count], entry.size)
            at += length
            count += 1
            starts[count] = at
        send_messages(state, local, messages, starts, count)
    state.entry_count = 0
    state.arena_used = 0


cdef void send_messages(State *state, int local, mmsghdr *messages, const int *starts, int count) noexcept nogil:
    """Count an error's datagrams as dropped; it loses only those of its destination, and the rest continues."""
    cdef int sent, k, at = 0, length
    while at < count:
        sent = sendmmsg(state.filenos[local], messages + at, count - at, MSG_DONTWAIT)
        for k in range(at, at + sent):
            state.sent_datagrams += starts[k + 1] - starts[k]
            state.sent_bytes += messages[k].msg_len
        if sent > 0:
            at += sent
            continue
        if errno == EINTR:
            continue
        length = starts[at + 1] - starts[at]
        if length > 1 and errno != EAGAIN:
            send_singly(state, state.entries + starts[at], length)
        else:
            count_send_error(state, errno, length)
        at += 1


cdef void prepare_message(Reading *reading, int k) noexcept nogil:
    """Let a message take a datagram again, after the kernel has changed its header."""
    cdef msghdr *header = &reading.headers[k].msg_hdr
    header.msg_namelen = sizeof(sockaddr_storage)
    header.msg_controllen = sizeof(control_buffer)
    header.msg_flags = 0


cdef void prepare_reading(State *state) noexcept nogil:
    cdef Reading *reading = state.reading
    cdef msghdr *header
    cdef int k
    for k in range(MESSAGES_READ):
        header = &reading.headers[k].msg_hdr
        reading.messages[k].data = state.read_bytes + k * MESSAGE_STRIDE
        reading.pieces[k].iov_base = reading.messages[k].data
        reading.pieces[k].iov_len = MESSAGE_BYTES
        header.msg_name = &reading.addresses[k]
        header.msg_iov = &reading.pieces[k]
        header.msg_iovlen = 1
        header.msg_control = &reading.controls[k]
        prepare_message(reading, k)


cdef int receive_messages(State *state, int local) noexcept nogil:
    """Receive up to MESSAGES_READ messages of a socket; return their number."""
    cdef Reading *reading = state.reading
    cdef Message *message
    cdef msghdr *header
    cdef int k, count, mark
    cdef int64_t now, offset, arrival, waited
    cdef uint32_t drops
    if state.dropping[local] != state.filenos[local]:  # a different socket than before
        state.dropping[local] = state.filenos[local]
        state.kernel_drops[local] = 0
    reading.first = reading.at = reading.count = 0
    count = recvmmsg(state.filenos[local], reading.headers, MESSAGES_READ, MSG_DONTWAIT, NULL)
    if count <= 0:
        if count < 0 and errno != EAGAIN and errno != EINTR:
            count_send_error(state, errno, 1)
        return 0
    now = clock_nanoseconds(CLOCK_MONOTONIC)
    offset = now - clock_nanoseconds(CLOCK_REALTIME)
    for k in range(count):
        message = &reading.messages[k]
        header = &reading.headers[k].msg_hdr
        message.size = reading.headers[k].msg_len
        message.segment = control_merged(header)
        if not 0 < message.segment < message.size:
            message.segment = message.size
        arrival = control_arrival(header) + offset
        # A wall clock that was set meanwhile must not move arrivals about.
        message.arrival = arrival if 0 <= now - arrival <= 1000000000 else now
        mark = control_mark(header)
        state.marks[mark] += (message.size + message.segment - 1) // message.segment if message.segment else 1
        drops = control_drops(header)
        waited = now - message.arrival
        state.waited = max(state.waited, waited)
        if waited > HELD_NS:
            state.caught_up_at = state.now + CATCHES_UP_NS
        message.dropped = drops - state.kernel_drops[local] if drops > state.kernel_drops[local] else 0
        state.kernel_drops[local] = max(drops, state.kernel_drops[local])
        prepare_message(reading, k)
    reading.count = count
    return count
