# Summaries of matched feedback: the rest of sfu.machines.congestion.feedback_analyser in C.


cdef object result_of(const Matched *matched):
    return PacketResult(
        matched.sent, matched.arrival if matched.arrived else None, matched.size, SENT_KINDS[matched.kind],
        matched.cluster, matched.was_lost != 0,
    )


cdef int64_t smallest_update(Smallest *smallest, int64_t delay, int64_t now) noexcept nogil:
    """Take a delay; return the smallest of this period and the previous one."""
    cdef int64_t period = now // PERIOD_NS
    if not smallest.is_known:
        smallest.is_known = True
        smallest.period = period
        smallest.newest = delay
    elif period != smallest.period:
        smallest.has_before = True
        smallest.before = smallest.newest
        smallest.period = period
        smallest.newest = delay
    smallest.newest = min(delay, smallest.newest)
    return min(smallest.newest, smallest.before) if smallest.has_before else smallest.newest


cdef inline void add_rate(Summary *summary, double rate) noexcept nogil:
    """Keep the newest rates."""
    if summary.rate_count == RATES_MAX:
        memmove(summary.rates, summary.rates + 1, (RATES_MAX - 1) * sizeof(double))
        summary.rate_count -= 1
    summary.rates[summary.rate_count] = rate
    summary.rate_count += 1


cdef bint link_reduce(State *state, Link *link, int64_t now) noexcept nogil:
    """Add matched results to the folded summary; return True if all is calm. Arrived packets end up sorted by
    arrival.
    """
    cdef Matched *matched = <Matched *>state.matched.items
    cdef Summary *summary = &link.folded
    cdef int count = state.matched.count, arrived = 0, k
    cdef bint is_calm = True, overused = False
    cdef Delta delta
    cdef Lost window
    cdef double sample
    cdef int64_t smallest = 0, longest = 0, least, delay
    if losses_add(link, matched, count, &window):
        if summary.has_losses:
            window.packets += summary.losses.packets
            window.lost += summary.losses.lost
        summary.has_losses = True
        summary.losses = window
    for k in range(count):
        is_calm = is_calm and matched[k].arrived and not matched[k].was_lost
        if matched[k].arrived:
            summary.has_round_trip = True
            summary.round_trip = now - matched[k].sent
            matched[arrived] = matched[k]
            arrived += 1
    state.matched.count = arrived
    qsort(matched, arrived, sizeof(Matched), compare_arrivals)
    for k in range(arrived):
        delay = matched[k].arrival - matched[k].sent
        smallest = delay if k == 0 else min(smallest, delay)
        longest = delay if k == 0 else max(longest, delay)
        if window_sample(link, matched[k].arrival, matched[k].size, &sample):
            add_rate(summary, sample)
        if group_delta(link, matched[k].sent, matched[k].arrival, matched[k].size, now, &delta):
            overused = trend_update(&link.trend, &delta) == USAGE_OVERUSE or overused
        summary.burst = max(summary.burst, link.current.size if link.current.exists else 0)
    link.standing = 0
    if arrived:
        least = smallest_update(&link.smallest, smallest, now)
        link.standing = smallest - least
        summary.queueing = max(summary.queueing, longest - least)
        summary.smallest_delay = min(summary.smallest_delay, smallest) if summary.has_delay else smallest
        summary.has_delay = True
    summary.overused = summary.overused or overused
    summary.usage = link.trend.usage
    return (
        is_calm and not (summary.has_losses and summary.losses.lost > 0) and not summary.overused and summary.usage != USAGE_OVERUSE
        and link.standing <= CALM_NS
    )


cdef object link_tell(Link *link, int64_t now, tuple results):
    """Return the folded results as a FeedbackSummary, and begin anew."""
    cdef Summary *summary = &link.folded
    cdef int k
    told = FeedbackSummary(
        summary.round_trip if summary.has_round_trip else None,
        summary.smallest_delay if summary.has_delay else None,
        tuple([summary.rates[k] for k in range(summary.rate_count)]),
        summary.overused != 0,
        USAGES[summary.usage],
        summary.burst,
        summary.queueing,
        LossWindow(summary.losses.packets, summary.losses.lost, summary.losses.rate) if summary.has_losses else None,
        results,
    )
    memset(summary, 0, sizeof(Summary))
    link.told_at = now
    link.is_told = False
    return told


cdef object link_observation(State *state, Link *link, int64_t now, bint whole):
    """Return a FeedbackSummary of the matched results and the folded ones."""
    cdef Matched *matched = <Matched *>state.matched.items
    cdef int k
    results = tuple([result_of(&matched[k]) for k in range(state.matched.count)]) if whole else None
    link_reduce(state, link, now)
    if not whole:
        results = tuple([result_of(&matched[k]) for k in range(state.matched.count) if matched[k].cluster >= 0])
    state.matched.count = 0
    return link_tell(link, now, results)
