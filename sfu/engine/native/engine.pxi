# The engine that reads and writes the sockets itself.


@cython.no_gc_clear
cdef class CompiledEngine(BatchEngine):
    """See `sfu.engine.contract.Engine`, and `sfu.engine.pump.DirectEngine` for the calls beyond it."""

    name = "compiled"

    def receive_and_forward(self, filenos, int64_t now, int64_t deadline, unread=()):
        """Read waiting datagrams, except from sockets `unread`, forward and send until `deadline`; `outgoing` of the
        result is empty. Audio under way at the deadline may take as long again.
        """
        result = Result()
        self._attach(filenos, unread)
        self._look(result, now - clock_nanoseconds(CLOCK_MONOTONIC), deadline - now)
        self._collect(result)
        return result

    def attend(
        self,
        filenos,
        int64_t now,
        int64_t until,
        unread=(),
        *,
        int64_t pause,
        int64_t budget,
        int64_t together,
        int waker=-1,
    ):
        """Repeat `receive_and_forward` every `pause`, each time within `budget`, until `until`, until policy must react
        or until the descriptor `waker` is readable; after a poll that found nothing, wait until something arrives or is
        due.
        """
        cdef State *state = &self.state
        cdef int64_t ahead = now - clock_nanoseconds(CLOCK_MONOTONIC)
        cdef int64_t waited = OPEN_END
        cdef int64_t time = now
        cdef int64_t ask_at = now + WAKER_NS
        cdef uint64_t read
        cdef bint found = True
        result = Result()
        self._attach(filenos, unread)
        state.is_urgent = False
        while True:
            self._rest((until if found else min(until, self._next_due())) - ahead, pause if found else OPEN_END, waker)
            read = state.datagrams_in
            self._look(result, ahead, budget)
            time = clock_nanoseconds(CLOCK_MONOTONIC) + ahead
            self._send_due(time, together)
            found = state.datagrams_in != read
            waited = min(waited, state.waited)
            if has_runs(state) or self._is_to_be_told() or time >= until:
                break
            if waker >= 0 and (time >= ask_at or not found):
                ask_at = time + WAKER_NS
                if is_readable(waker):
                    break
        state.waited = waited
        self._collect(result)
        return result

    cdef bint _is_to_be_told(self) noexcept nogil:
        """Return True if policy must react at once to datagrams that were read."""
        cdef State *state = &self.state
        if state.is_urgent or state.out_of_memory:
            return True
        return state.arrivals.count or state.switches.count or state.sinks.count or state.told.count

    cdef int64_t _next_due(self) noexcept nogil:
        """Return when pacing releases packets next or feedback is due; OPEN_END if neither."""
        cdef int64_t due = next_release_of(&self.state)
        return min(due, self.state.feedback_at) if self.state.acknowledges else due

    cdef int _send_due(self, int64_t now, int64_t together) except -1:
        """Send packets that pacing releases by `now`, and due feedback, including what is due within `together`."""
        cdef State *state = &self.state
        if self._next_due() > now:
            return 0
        state.sends = True
        try:
            if state.acknowledges and state.feedback_at <= now:
                self._acknowledge(now + together)
            if state.sounds.first == NULL:
                self._release(now)
        finally:
            flush_output(state)
            state.sends = False
        return 0

    cdef int _rest(self, int64_t until, int64_t longest, int waker) except -1:
        """Wait up to `until`: for at most `longest`, or if that is open until something arrives, or `waker` is
        readable.
        """
        cdef int64_t begun = clock_nanoseconds(CLOCK_MONOTONIC)
        cdef int64_t duration = min(until - begun, longest)
        cdef int filenos[SOCKETS_MAX + 1]
        cdef pollfd entries[SOCKETS_MAX + 1]
        cdef int local, count = 0
        if duration <= 0:
            return 0
        if longest != OPEN_END:
            with nogil:
                rest(duration)
            self.slept += clock_nanoseconds(CLOCK_MONOTONIC) - begun
            return 0
        if waker >= 0:
            filenos[0] = waker
            count = 1
        for local in range(self.state.fileno_count):
            if self.reads[local]:
                filenos[count] = self.filenos[local]
                count += 1
        with nogil:
            rest_until_readable(filenos, entries, count, duration)
        self.slept += clock_nanoseconds(CLOCK_MONOTONIC) - begun
        return 0

    cdef int _look(self, result, int64_t ahead, int64_t budget) except -1:
        """Read, forward and send once; the caller's times are `ahead` of the clock."""
        cdef State *state = &self.state
        cdef int64_t until = clock_nanoseconds(CLOCK_MONOTONIC)
        cdef int64_t over = until + budget
        cdef int64_t last = over + budget
        cdef int64_t limit = over
        cdef bint complete = False
        cdef Packet *packet
        cdef Run *run
        state.sends = True
        state.now = until + ahead
        state.waited = 0
        state.stray_room = state.stray_limit
        while not complete and until < limit:
            # In slices, so that audio that arrives meanwhile need not wait for the deadline.
            self._read(result)
            with nogil:
                until = clock_nanoseconds(CLOCK_MONOTONIC)
                state.now = until + ahead
                limit = last if state.sounds.first != NULL else over
                until = min(limit, until + SLICE_NS)
                complete = forward_runs(state, until)
                flush_output(state)
        state.sends = False
        if has_runs(state):  # its last packet may have left on the last route at the deadline
            run = next_runs(state, False).first
            packet = run.packets[min(run.first, run.count - 1)]
            state.waited = max(state.waited, state.now - packet.arrival)
        return 0

    cdef int _read(self, result) except -1:
        """Receive the datagrams that wait at the sockets, as far as there is room."""
        cdef State *state = &self.state
        cdef int local, rounds, received
        for local in range(state.fileno_count):
            for rounds in range(RECEIVE_ROUNDS):
                if state.waiting > 2 * BACKLOG_MAX:
                    break
                received = 0
                if self.reads[local]:
                    with nogil:
                        received = receive_messages(state, local)
                while state.reading.first < state.reading.count:
                    with nogil:
                        self._take_messages(local)
                    self._collect_leftovers(result, None)
                if received < MESSAGES_READ:
                    break
        end_runs(state)
        return 0

    def acknowledge_directly(self, filenos, int64_t now):
        """Send the transport-wide feedback that is due by `now`."""
        self._attach(filenos, ())
        self.state.sends = True
        try:
            self._acknowledge(now)
        finally:
            flush_output(&self.state)
            self.state.sends = False

    def release_directly(self, filenos, int64_t now):
        """Send packets that pacing releases by `now`, but neither before audio nor for long; the rest stays due."""
        if self.state.sounds.first != NULL:
            return
        self._attach(filenos, ())
        self.state.sends = True
        self._release(now)
        flush_output(&self.state)
        self.state.sends = False

    cdef void _release(self, int64_t now) noexcept:
        """Release packets that are due by `now`, but not for long."""
        self.state.now = now
        with nogil:
            release_due(&self.state, clock_nanoseconds(CLOCK_MONOTONIC) + RELEASE_SLICE_NS)

    @property
    def waited(self):
        """The longest wait (ns) of any datagram that was read last or is in the backlog."""
        return self.state.waited

    @property
    def rested(self):
        """The total time (ns) that `attend` has waited."""
        return self.slept

    @property
    def backlog(self):
        """True if packets wait that were already read."""
        return has_runs(&self.state)

    @property
    def datagrams_read(self):
        """The number of datagrams read so far."""
        return self.state.datagrams_in

    @property
    def marks(self):
        """The number of datagrams read directly, by their ECN bits (RFC 3168)."""
        return tuple([self.state.marks[k] for k in range(4)])

    @property
    def sent_directly(self):
        """The datagrams and bytes that the kernel accepted directly from this engine, and drops of the others."""
        drops = {reason: self.state.send_drops[<int>reason] for reason in Drop if self.state.send_drops[<int>reason]}
        return self.state.sent_datagrams, self.state.sent_bytes, drops

    cdef int _attach(self, filenos, unread) except -1:
        cdef int k
        if len(filenos) > SOCKETS_MAX:
            raise ValueError(f"an engine serves at most {SOCKETS_MAX} sockets")
        for k in range(len(filenos)):
            self.filenos[k] = filenos[k]
            self.reads[k] = filenos[k] >= 0
        self.state.fileno_count = <int>len(filenos)
        for local in unread:
            self.reads[<int>local] = False
        return 0

    cdef void _take_messages(self, int local) noexcept nogil:
        """Process the datagrams of the messages that were read last, until as many as there are slots are left to
        policy.
        """
        cdef State *state = &self.state
        cdef Reading *reading = state.reading
        cdef Message *message
        cdef Slot *slot
        cdef int size
        while reading.first < reading.count and state.leftovers.count < SLOT_COUNT:
            message = &reading.messages[reading.first]
            if reading.at == 0:
                message.peer = self._peer_of(&reading.addresses[reading.first], local)
            slot = &state.slots[state.leftovers.count]
            size = min(message.segment, message.size - reading.at)
            slot.size = min(size, SLOT_BYTES)
            memcpy(slot.data, message.data + reading.at, slot.size)
            memcpy(&slot.address, &reading.addresses[reading.first], ADDRESS_BYTES)
            slot.local = local
            slot.arrival = message.arrival
            slot.dropped = message.dropped
            slot.peer = message.peer
            message.dropped = 0
            reading.at += size
            if reading.at >= message.size:
                reading.first += 1
                reading.at = 0
            receive_slot(state, <int>(slot - state.slots))
