# sfu.machines.repair.stream_progress and sfu.machines.loudness in C: the progress of a stream.

cdef extern from "math.h" nogil:
    double exp(double x)


cdef void progress_take(
    Progress *progress, const Packet *packet, int64_t size, int64_t clock_rate, int flags
) noexcept nogil:
    """Take a packet (no duplicates) of `size` bytes; without a clock rate there is no jitter."""
    cdef bint is_repair = flags & (FLAG_REPAIRED | FLAG_RECOVERED) != 0
    progress.packets += 1
    if flags & FLAG_OVERFLOWED:
        progress.received += packet.gap
    if not is_repair:
        progress_count(progress, packet, clock_rate)
    progress.after_keyframe = packet.is_keyframe or (
        progress.after_keyframe and packet.timestamp == progress.timestamp
    )
    if not is_repair and not flags & FLAG_PADDING and packet.timestamp != progress.timestamp:
        progress.timestamp_before = progress.timestamp
        progress.timestamp = packet.timestamp
        progress.timestamp_at = packet.arrival
        progress.frames += 1
        progress.window_frames += 1
    progress.window_temporal = max(progress.window_temporal, <int>packet.temporal)
    if size > OVERSIZE_BYTES:
        progress.oversize += 1
        progress.largest = max(progress.largest, size)
    progress_measure(progress, packet.arrival, 0 if flags & FLAG_PADDING else size)


cdef void progress_count(Progress *progress, const Packet *packet, int64_t clock_rate) noexcept nogil:
    if progress.received == 0:
        progress.first = progress.highest = packet.ext_seq
        progress.jitter_timestamp = packet.timestamp
        progress.jitter_arrival = packet.arrival
    progress.received += 1
    progress.first = min(progress.first, packet.ext_seq)
    if packet.ext_seq <= progress.highest:
        return
    progress.highest = packet.ext_seq
    if packet.timestamp != progress.jitter_timestamp and clock_rate:
        progress_jitter(progress, packet.arrival, packet.timestamp, clock_rate)


cdef inline int64_t clock_units(int64_t elapsed, int64_t clock_rate) noexcept nogil:
    """Return elapsed ns in units of a clock, rounded down; computed in parts, so that long silences fit 64 bits."""
    cdef int64_t seconds = elapsed // 1000000000
    cdef int64_t rest = elapsed - seconds * 1000000000
    if rest < 0:  # C rounds towards zero
        seconds -= 1
        rest += 1000000000
    return seconds * clock_rate + rest * clock_rate // 1000000000


cdef void progress_jitter(
    Progress *progress, int64_t arrival, uint32_t timestamp, int64_t clock_rate
) noexcept nogil:
    cdef int64_t sent = <int32_t>(timestamp - progress.jitter_timestamp)
    cdef int64_t apart = clock_units(arrival - progress.jitter_arrival, clock_rate) - sent
    progress.jitter_16 += (apart if apart >= 0 else -apart) - (progress.jitter_16 + 8 >> 4)
    progress.jitter_timestamp = timestamp
    progress.jitter_arrival = arrival


cdef void progress_measure(Progress *progress, int64_t arrival, int64_t size) noexcept nogil:
    cdef int64_t elapsed = arrival - progress.measured_at
    cdef bint is_whole = elapsed < 2 * MEASURED_NS
    progress.last_arrival = arrival
    progress.window_bytes += size
    if elapsed >= MEASURED_NS:
        progress.bits_per_second = progress.window_bytes * 8e9 / elapsed if is_whole else 0.0
        progress.frame_rate = progress.window_frames * 1e9 / elapsed if is_whole else 0.0
        progress.measured_at = arrival
        progress.temporal_layers = progress.window_temporal + 1
        progress.window_bytes = progress.window_frames = progress.window_temporal = 0


cdef void progress_hear(Progress *progress, int level, bint voice, int64_t arrival) noexcept nogil:
    """Take a packet's level. Without the voice bit, only half of it counts."""
    cdef double target = SILENCE_LEVEL - level if level < SILENCE_LEVEL else 0
    if voice:
        progress.voice_level = level
        progress.voice_at = arrival
    else:
        target /= 2
    if arrival - progress.heard_at > SMOOTHING_NS:
        loudness_move(progress, 0, arrival - LEVEL_NS)
    noise_follow(progress, target, arrival)
    target = target - progress.noise if target > progress.noise else 0
    loudness_move(progress, target, arrival)
    if progress.loudness >= SPEAKING:
        progress.spoke_at = arrival


cdef void noise_follow(Progress *progress, double target, int64_t at) noexcept nogil:
    """Let the noise follow the level: slowly up, quickly down."""
    cdef double elapsed = at - progress.heard_at
    if elapsed <= 0:
        return
    if target < progress.noise:
        progress.noise = target + (progress.noise - target) * exp(-elapsed / SMOOTHING_NS)
    else:
        progress.noise = min(progress.noise + NOISE_RISES * elapsed / 1e9, target, LOUDEST_NOISE)


cdef void loudness_move(Progress *progress, double target, int64_t at) noexcept nogil:
    cdef double elapsed = progress.heard_at - at
    if at > progress.heard_at:
        progress.loudness = target + (progress.loudness - target) * exp(elapsed / SMOOTHING_NS)
        progress.heard_at = at


cdef class StreamProgress:
    """See `sfu.engine.contract.Progress`. It may still be read after the stream has left the table."""

    cdef Progress counted

    def __cinit__(self):
        self.counted.timestamp = self.counted.timestamp_before = -1
        self.counted.temporal_layers = 1
        self.counted.voice_level = 127

    @property
    def packets(self):
        return self.counted.packets

    @property
    def received(self):
        return self.counted.received

    @property
    def first(self):
        return self.counted.first

    @property
    def highest(self):
        return self.counted.highest

    @property
    def jitter(self):
        return self.counted.jitter_16 >> 4

    @property
    def frames(self):
        return self.counted.frames

    @property
    def timestamp(self):
        return self.counted.timestamp

    @property
    def timestamp_before(self):
        return self.counted.timestamp_before

    @property
    def timestamp_at(self):
        return self.counted.timestamp_at

    @property
    def after_keyframe(self):
        return self.counted.after_keyframe != 0

    @property
    def last_arrival(self):
        return self.counted.last_arrival

    @property
    def measured_at(self):
        return self.counted.measured_at

    @property
    def bits_per_second(self):
        return self.counted.bits_per_second

    @property
    def frame_rate(self):
        return self.counted.frame_rate

    @property
    def temporal_layers(self):
        return self.counted.temporal_layers

    @property
    def oversize(self):
        return self.counted.oversize

    @property
    def largest(self):
        return self.counted.largest

    @property
    def loudness(self):
        return self.counted.loudness

    @property
    def heard_at(self):
        return self.counted.heard_at

    @property
    def spoke_at(self):
        return self.counted.spoke_at

    @property
    def voice_level(self):
        return self.counted.voice_level

    @property
    def voice_at(self):
        return self.counted.voice_at
