# C structures of a subscriber's link; see sfu.machines.congestion.feedback_analyser and the machines that it composes.

cdef struct Remembered:
    int64_t key
    int64_t at
    int64_t cluster
    uint32_t ssrc
    int seq
    int size
    uint8_t kind
    bint lost

cdef struct Matched:
    int64_t sent
    int64_t arrival
    int64_t cluster
    int order
    int size
    int kind
    bint arrived
    bint was_lost

cdef struct Unwrapped:
    bint known
    int64_t newest

cdef struct Group:
    bint exists
    int64_t first_sent
    int64_t sent
    int64_t first_arrived
    int64_t arrived
    int64_t system
    int64_t size

cdef struct Delta:
    int64_t sending
    int64_t arrival
    int64_t size
    int64_t at

cdef struct Lost:
    int64_t packets
    int64_t lost
    double rate

cdef struct Trend:
    double x[TREND_POINTS]
    double y[TREND_POINTS]
    int count
    int newest
    int deltas
    bint has_first
    int64_t first_arrival
    double accumulated
    double smoothed
    double threshold
    bint is_adapted
    int64_t adapted_at
    double slope
    bint is_over_using
    double over_using
    int over_count
    int usage

cdef struct Smallest:
    bint is_known
    bint has_before
    int64_t period
    int64_t newest
    int64_t before

cdef struct Summary:
    bint has_round_trip
    int64_t round_trip
    bint has_delay
    int64_t smallest_delay
    double rates[RATES_MAX]
    int rate_count
    bint overused
    int usage
    int64_t burst
    int64_t queueing
    bint has_losses
    Lost losses

cdef struct Link:
    Remembered *entries
    int64_t capacity
    Unwrapped transport
    Unwrapped references
    Unwrapped reports
    int64_t newest
    int64_t newest_key
    int64_t newest_at
    int64_t unnumbered
    bint is_numbered
    int64_t unclaimed
    int64_t unclaimed_size
    int64_t unclaimed_first
    int64_t unclaimed_last
    int64_t first_unclaimed
    Group current
    Group previous
    int reordered
    bint has_last
    int64_t last
    int64_t window
    int64_t bytes
    int64_t elapsed
    Lost losses
    Lost copied_losses
    int64_t loss_bytes
    int64_t first_sent
    int64_t last_sent
    Trend trend
    Smallest smallest
    int64_t standing
    Summary folded
    int64_t told_at
    bint was_probed
    int64_t probed_at
    int64_t folds
    bint was_clear
    int64_t reported_at
    bint is_told
    int64_t told_arrival
