# sfu.machines.congestion.uplink_delay and least_delay in C.


cdef void uplink_received(UplinkDelay *delay, int stamp, int64_t arrival, int size) noexcept nogil:
    """Take a packet; a negative `stamp` means that it has no send time."""
    cdef int64_t taken
    delay.size += size
    if stamp < 0:
        return
    taken = arrival - (unwrap(&delay.stamps, stamp, 24) * 1953125 >> 9)
    delay.least = min(delay.least, taken) if delay.has_least else taken
    delay.has_least = True


cdef int64_t uplink_baseline(const UplinkDelay *delay) noexcept nogil:
    """Return the least delay that is remembered."""
    cdef int64_t least = delay.minima[0]
    cdef int k
    for k in range(1, delay.minima_count):
        least = min(least, delay.minima[k])
    return least


cdef int64_t uplink_queueing(UplinkDelay *delay, int64_t least, int64_t until) noexcept nogil:
    """Return the excess over the least delay of the last minute, or of more while others fill the queue."""
    cdef int64_t bucket = until // UPLINK_BUCKET_NS
    cdef int last = delay.minima_count - 1
    if last >= 0 and (delay.hides or delay.bucket == bucket):
        delay.minima[last] = min(least, delay.minima[last])
    else:
        if delay.minima_count == UPLINK_BUCKETS:
            memmove(delay.minima, delay.minima + 1, sizeof(int64_t) * (UPLINK_BUCKETS - 1))
            delay.minima_count -= 1
        delay.minima[delay.minima_count] = least
        delay.minima_count += 1
        delay.bucket = bucket
    return least - uplink_baseline(delay)


cdef void uplink_hide(UplinkDelay *delay, int64_t elapsed) noexcept nogil:
    """Hide what is beyond the shown delay; the shown times of arrival must stay in order."""
    cdef int64_t aim = 0, reach = elapsed // 4
    delay.hidden_before = delay.hidden
    if not delay.hides:
        delay.is_shown = False
    elif not delay.has_least:
        return
    else:
        if not delay.is_shown:
            delay.is_shown = True
            delay.shown = delay.least - delay.hidden
        aim = delay.least - delay.shown
        reach = elapsed * 4 // 5
    delay.hidden += min(max(aim - delay.hidden, -reach), reach)


cdef bint uplink_end_window(UplinkDelay *delay, int64_t until, int64_t *queueing) noexcept nogil:
    """Decide what to hide of the arrivals since the last call; return True if policy has to be told of the window."""
    cdef int64_t elapsed = min(max(until - delay.until, 0), UPLINK_ELAPSED_NS)
    cdef int64_t apart
    cdef bint has_least = delay.has_least, was_told = delay.was_told
    delay.begin = until - elapsed
    delay.until = until
    if has_least and delay.minima_count:
        apart = delay.least - uplink_baseline(delay)
        if max(apart, -apart) > UPLINK_JUMP_NS:
            delay.minima_count = 0
            delay.is_shown = False
    uplink_hide(delay, elapsed)
    delay.has_least = False
    if not has_least:
        return False
    queueing[0] = uplink_queueing(delay, delay.least, until)
    delay.was_told = delay.hides or queueing[0] >= UPLINK_QUEUE_NS
    return was_told or delay.was_told


cdef int64_t uplink_hidden(const UplinkDelay *delay, int64_t arrival) noexcept nogil:
    """Return what is hidden of the delay of a packet that arrived within the last window."""
    cdef int64_t change = delay.hidden - delay.hidden_before
    cdef int64_t passed
    if arrival >= delay.until or change == 0:
        return delay.hidden
    passed = (max(arrival - delay.begin, 0) << 10) // (delay.until - delay.begin)
    return delay.hidden_before + (change * passed >> 10)
