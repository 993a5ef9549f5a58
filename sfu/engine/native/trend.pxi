# sfu.machines.congestion.overuse in C: the same operations in the same order.


cdef void trend_begin(Trend *trend) noexcept nogil:
    trend.threshold = 12.5
    trend.usage = USAGE_NORMAL


cdef double trend_slope(const Trend *trend) noexcept nogil:
    """Return the slope of the least-squares line through the points."""
    cdef int oldest = (trend.newest + 1) % TREND_POINTS
    cdef double origin = trend.x[oldest]
    cdef double sum_x = 0.0, sum_y = 0.0, sum_xx = 0.0, sum_xy = 0.0, x, y, denominator
    cdef int k
    for k in range(TREND_POINTS):
        x = trend.x[(oldest + k) % TREND_POINTS] - origin
        y = trend.y[(oldest + k) % TREND_POINTS]
        sum_x += x
        sum_y += y
        sum_xx += x * x
        sum_xy += x * y
    denominator = TREND_POINTS * sum_xx - sum_x * sum_x
    return (TREND_POINTS * sum_xy - sum_x * sum_y) / denominator if denominator != 0.0 else 0.0


cdef void trend_adapt(Trend *trend, double size, int64_t arrival) noexcept nogil:
    """Adapt the threshold; `size` is that of the modified trend."""
    cdef double elapsed
    if not trend.is_adapted:
        trend.is_adapted = True
        trend.adapted_at = arrival
    if size <= trend.threshold + 15.0:
        elapsed = min(<double>(arrival - trend.adapted_at) / 1000000.0, 100.0)
        trend.threshold += (0.039 if size < trend.threshold else 0.0087) * (size - trend.threshold) * elapsed
        trend.threshold = min(max(trend.threshold, 6.0), 600.0)
    trend.adapted_at = arrival


cdef void trend_judge(Trend *trend, double slope, double sending_ms, int64_t arrival) noexcept nogil:
    cdef double modified
    if trend.deltas < 2:
        trend.usage = USAGE_NORMAL
        return
    modified = trend.deltas * slope * 4.0
    if modified > trend.threshold:
        trend.over_using = trend.over_using + sending_ms if trend.is_over_using else sending_ms / 2
        trend.is_over_using = True
        trend.over_count += 1
        if trend.over_using > 10.0 and trend.over_count > 1 and slope >= trend.slope:
            trend.over_using = 0.0
            trend.over_count = 0
            trend.usage = USAGE_OVERUSE
    else:
        trend.is_over_using = False
        trend.over_count = 0
        trend.usage = USAGE_UNDERUSE if modified < -trend.threshold else USAGE_NORMAL
    trend.slope = slope
    trend_adapt(trend, -modified if modified < 0 else modified, arrival)


cdef int trend_update(Trend *trend, const Delta *delta) noexcept nogil:
    """Take a delta; return the verdict."""
    cdef double slope = trend.slope
    trend.deltas = min(trend.deltas + 1, 60)
    if not trend.has_first:
        trend.has_first = True
        trend.first_arrival = delta.at
    trend.accumulated += <double>(delta.arrival - delta.sending) / 1000000.0
    trend.smoothed = 0.9 * trend.smoothed + (1 - 0.9) * trend.accumulated
    trend.newest = (trend.newest + 1) % TREND_POINTS
    trend.x[trend.newest] = <double>(delta.at - trend.first_arrival) / 1000000.0
    trend.y[trend.newest] = trend.smoothed
    if trend.count < TREND_POINTS:
        trend.count += 1
    if trend.count == TREND_POINTS:
        slope = trend_slope(trend)
    trend_judge(trend, slope, <double>delta.sending / 1000000.0, delta.at)
    return trend.usage
