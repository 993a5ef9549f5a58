# The engine that reads and writes the sockets itself.


@cython.no_gc_clear
cdef class CompiledEngine(BatchEngine):
    """See `sfu.engine.contract.Engine`, and `sfu.engine.pump.DirectEngine` for what goes beyond it."""

    name = "compiled"

    def receive_and_forward(self, filenos, int64_t now, int64_t deadline, unread=()):
        """Read what waits at the sockets but those `unread`, forward and send until `deadline`; `outgoing` of the result
        is empty. Audio under way then may take as long again."""
        cdef State *state = &self.state
        cdef int64_t until = clock_nanoseconds(CLOCK_MONOTONIC)
        cdef int64_t ahead = now - until
        cdef int64_t over = deadline - ahead
        cdef int64_t limit = over
        cdef int64_t last = over + (over - until)
        cdef bint complete = False
        cdef Packet *packet
        result = Result()
        self._attach(filenos)
        for local in unread:
            self.reads[<int>local] = False
        state.sends = True
        state.waited = 0
        while not complete and until < limit:
            # In slices, so that audio that comes meanwhile need not wait for the deadline.
            self._read(result)
            with nogil:
                until = clock_nanoseconds(CLOCK_MONOTONIC)
                state.now = until + ahead
                limit = last if first_audio(state) != NULL else over
                until = min(limit, until + SLICE_NS)
                complete = forward_runs(state, until)
                flush_output(state)
        state.sends = False
        if state.first_run != NULL:  # whose last packet may have left with the last route at the deadline
            packet = state.first_run.packets[min(state.first_run.first, state.first_run.count - 1)]
            state.waited = max(state.waited, state.now - packet.arrival)
        self._collect(result)
        return result

    cdef int _read(self, result) except -1:
        """Receive what waits at the sockets, as far as there is room."""
        cdef State *state = &self.state
        cdef int local, rounds, received
        for local in range(state.fileno_count):
            for rounds in range(RECEIVE_ROUNDS):
                if state.waiting > 2 * BACKLOG_MAX:
                    break
                with nogil:
                    received = self._receive_from(local)
                self._collect_leftovers(result, None)
                if received < SLOT_COUNT:
                    break
        end_runs(state)
        return 0

    def release_directly(self, filenos, int64_t now):
        """Send what pacing lets go by `now`, but neither before audio nor for long: the rest stays due."""
        if first_audio(&self.state) != NULL:
            return
        self._attach(filenos)
        self.state.sends = True
        self._release(now, clock_nanoseconds(CLOCK_MONOTONIC) + RELEASE_SLICE_NS)
        flush_output(&self.state)
        self.state.sends = False

    @property
    def waited(self):
        """The longest time that anything had waited of what was read last, or waits in the backlog."""
        return self.state.waited

    @property
    def backlog(self):
        """Whether packets wait that were received already."""
        return self.state.first_run != NULL

    @property
    def datagrams_read(self):
        """How many datagrams were read so far."""
        return self.state.datagrams_in

    @property
    def sent_directly(self):
        """Datagrams and bytes that the kernel took from this engine directly, and drops of the others."""
        drops = {reason: self.state.send_drops[<int>reason] for reason in Drop if self.state.send_drops[<int>reason]}
        return self.state.sent_datagrams, self.state.sent_bytes, drops

    cdef int _attach(self, filenos) except -1:
        cdef int k
        if len(filenos) > SOCKETS_MAX:
            raise ValueError(f"an engine serves {SOCKETS_MAX} sockets at most")
        for k in range(len(filenos)):
            self.filenos[k] = filenos[k]
            self.reads[k] = filenos[k] >= 0
        self.state.fileno_count = <int>len(filenos)
        return 0

    cdef int _receive_from(self, int local) noexcept nogil:
        cdef State *state = &self.state
        cdef int k
        cdef int received = receive_messages(state, local, 0, SLOT_COUNT) if self.reads[local] else 0
        for k in range(received):
            state.slots[k].peer = self._peer_of(&state.slots[k].address, local)
            receive_slot(state, k)
        return received
