# The engine's state as C structures. Names are those of the Python engine, where they are documented.

cdef struct Rewriting:
    uint32_t timestamp_offset
    uint16_t picture_offset
    uint8_t tl0_offset
    uint8_t max_temporal
    uint8_t max_spatial

cdef struct Packet:
    Packet *next_free
    int refs
    int size_class
    int64_t ext_seq
    int64_t gap
    int64_t arrival
    int64_t run
    int run_index
    int begun_at
    uint32_t timestamp
    int picture_id
    int frame_number
    int tl0
    uint16_t start
    uint16_t end
    uint16_t payload_at
    uint16_t payload_size
    uint16_t picture_at
    uint16_t tl0_at
    uint16_t picture_mask
    uint16_t passed_at[PASSED_COUNT]
    uint8_t passed_size[PASSED_COUNT]
    uint8_t playout_delay[PLAYOUT_BYTES]
    uint8_t marker
    uint8_t payload_type
    uint8_t codec
    uint8_t temporal
    uint8_t spatial
    uint8_t equalising
    int switch_temporal
    bint is_padded
    bint is_keyframe
    bint is_late
    bint closes
    bint layer_sync
    bint end_of_layer
    bint inter_picture
    uint8_t data[1]

cdef struct Structure:
    int offset
    int targets
    int chains
    int count
    uint8_t spatial[TEMPLATES_MAX]
    uint8_t temporal[TEMPLATES_MAX]
    uint8_t indications[TEMPLATES_MAX][TARGETS_MAX]
    uint8_t target_spatial[TARGETS_MAX]
    uint8_t target_temporal[TARGETS_MAX]

cdef struct Pointers:
    void **items
    int count
    int capacity

cdef struct SinkEntry:
    int64_t sink
    int64_t handle

cdef struct Progress:
    int64_t packets
    int64_t received
    int64_t first
    int64_t highest
    int64_t jitter_16
    int64_t jitter_arrival
    uint32_t jitter_timestamp
    bint after_keyframe
    int64_t frames
    int64_t timestamp
    int64_t timestamp_before
    int64_t timestamp_at
    int64_t last_arrival
    int64_t measured_at
    int64_t window_bytes
    int64_t window_frames
    double bits_per_second
    double frame_rate
    int window_temporal
    int temporal_layers
    int64_t oversize
    int64_t largest
    double loudness
    double noise
    int64_t heard_at
    int64_t spoke_at
    int64_t voice_level
    int64_t voice_at

cdef struct Stream:
    int64_t stream
    Peer *peer
    Progress *progress
    uint32_t ssrc
    uint32_t rtx_ssrc
    bint has_rtx
    bint permitted
    bint is_audio
    bint is_shed
    uint8_t playout_delay[PLAYOUT_BYTES]
    bint is_cut
    int64_t newest
    int64_t first
    int64_t oldest
    int64_t overflows
    int64_t capacity
    Packet **ring
    Structure *structure
    Run *run
    Pointers routes
    Pointers former
    SinkEntry *sinks
    int sink_count
    int64_t keyframe
    uint32_t keyframe_timestamp
    uint8_t codec[128]
    uint8_t repairs[128]
    int64_t clock_rate[128]

cdef struct Segment:
    Stream *stream
    int64_t first_ext
    int64_t end_ext
    int64_t first_out
    Rewriting rewrite

cdef struct Numbering:
    bint is_open
    Segment segment
    int64_t next_ext
    int64_t next_out
    Segment *closed
    int count
    int capacity

cdef struct Stamp:
    int64_t out_seq
    uint32_t send_time
    uint16_t transport_seq

cdef struct Identity:
    int64_t index
    uint32_t ssrc
    uint32_t stamp
    int payload_type
    int prefix
    int transport_seq

cdef struct Repeated:
    int64_t out_seq
    int64_t at

cdef struct Route:
    Numbering map
    Peer *peer
    Stream *stream
    Stream *pending
    int64_t route
    uint64_t packets
    uint64_t octets
    uint64_t retransmitted
    uint32_t ssrc
    uint32_t rtx_ssrc
    bint has_rtx_ssrc
    bint is_audio
    int refs
    bint source_at_keyframe
    bint source_has_offset
    uint32_t source_offset
    uint8_t source_temporal
    uint8_t source_spatial
    bint source_once_flowing
    int64_t floor
    int64_t held
    int64_t held_since
    uint32_t held_timestamp
    int64_t rtx_next
    uint8_t target_temporal
    uint8_t target_spatial
    bint is_ahead
    uint32_t wanted_offset
    bint has_last
    uint32_t last_packet_timestamp
    int last_picture
    int last_frame
    int last_tl0
    Rewriting last_rewrite
    int64_t last_seq
    int64_t newest_sent
    uint32_t last_timestamp
    int64_t last_arrival
    int64_t filtered_timestamp
    int filtered_picture
    uint32_t first_timestamp
    int64_t first_seq
    bint keeps_stamps
    Stamp *stamps
    Repeated *repeated
    Pointers former
    uint8_t send_time_id
    uint8_t transport_id
    uint8_t mid_id
    uint8_t mid_size
    uint8_t passed_id[PASSED_COUNT]
    uint8_t playout_delay[PLAYOUT_BYTES]
    uint8_t mid[256]
    uint8_t payload_types[128]
    uint8_t rtx_payload_types[128]
    int64_t source_reach
    bint held_waits
    bint is_cut
    bint has_asked

cdef struct Queued:
    Queued *next
    Route *route
    Packet *packet
    int64_t out_seq
    Rewriting rewrite
    bint is_repair

cdef struct Queue:
    Queued *first
    Queued *last

cdef struct Crypto:
    bint is_plain
    bint is_gcm
    int tag_bytes
    evp_context *rtp
    evp_context *rtcp
    uint8_t salt[16]
    uint8_t rtcp_salt[16]
    sha1_state inner
    sha1_state outer
    sha1_state rtcp_inner
    sha1_state rtcp_outer

cdef struct Window:
    uint32_t ssrc
    bint registered
    uint64_t used
    uint64_t newest
    uint64_t bits[WINDOW_WORDS]
    int64_t rtcp_start
    uint64_t rtcp_bits[2]

cdef struct Ssrc:
    uint32_t ssrc
    bint is_rtx
    Stream *stream

cdef struct Grown:
    void *items
    int count
    int capacity

cdef struct Acknowledged:
    int64_t seq
    int64_t arrival
    int order
    bint resumes

cdef struct UplinkDelay:
    bint hides
    Unwrapped stamps
    int64_t size
    bint has_least
    int64_t least
    int64_t minima[UPLINK_BUCKETS]
    int minima_count
    int64_t bucket
    bint is_shown
    int64_t shown
    int64_t hidden_before
    int64_t hidden
    int64_t begin
    int64_t until
    bint was_told

cdef struct UplinkRecord:
    int64_t until
    int64_t queueing
    int64_t size

cdef struct Acknowledger:
    UplinkDelay delay
    uint32_t ssrc
    uint32_t media_ssrc
    Unwrapped seqs
    bint has_base
    int64_t base
    int64_t newest
    Grown pending
    bint is_due
    int64_t deadline
    int count

cdef struct Checks:
    uint8_t attributes[ATTRIBUTES_BYTES_MAX]
    int attributes_bytes
    sha1_state inner
    sha1_state outer
    uint8_t mapped[18]
    int mapped_bytes
    int64_t at

cdef struct Peer:
    int64_t peer
    Link *link
    bint has_keys
    bint has_destination
    bint refuses_runs
    bint is_paced
    int local
    unsigned address_bytes
    sockaddr_storage address
    void *destination
    uint16_t transport_seq
    int copies
    int64_t rate
    int64_t clear_at
    Queue repairs
    Queue media
    int queued
    Crypto send
    Crypto receive
    int64_t last_activity
    Acknowledger *acknowledger
    Checks *checks
    Pointers routes
    Window **windows
    int window_count
    int window_capacity
    uint64_t window_clock
    Ssrc *ssrcs
    int ssrc_count
    int ssrc_capacity
    uint8_t extensions[256]

cdef struct Run:
    Run *next
    Stream *stream
    int64_t number
    Packet **packets
    int count
    int capacity
    bint is_closed
    bint is_started
    int64_t came_at
    int left_out
    Route **routes
    int route_count
    int first
    int turn

cdef struct Runs:
    Run *first
    Run *last

cdef struct ArrivalRecord:
    int64_t peer
    int64_t stream
    int64_t ext_seq
    int64_t gap
    int64_t arrival
    uint32_t timestamp
    int size
    int flags

cdef struct SinkRecord:
    int64_t sink
    int64_t handle
    int64_t stream
    Packet *packet

cdef struct SwitchRecord:
    int64_t route
    int64_t stream
    int64_t ext_seq

cdef struct LeftoverRecord:
    int kind
    int64_t peer
    int slot
    int size

cdef struct Slot:
    uint8_t data[SLOT_BYTES]
    int size
    int local
    int64_t arrival
    uint32_t dropped
    Peer *peer
    sockaddr_storage address

cdef struct Message:
    # What one message from a socket holds: a datagram, or several that the kernel has merged.
    uint8_t *data
    int size
    int segment
    int64_t arrival
    uint32_t dropped
    Peer *peer

cdef struct Reading:
    mmsghdr headers[MESSAGES_READ]
    iovec pieces[MESSAGES_READ]
    control_buffer controls[MESSAGES_READ]
    sockaddr_storage addresses[MESSAGES_READ]
    Message messages[MESSAGES_READ]
    int count
    int first
    int at

cdef struct OutEntry:
    Peer *peer
    uint32_t at
    uint16_t size

cdef struct State:
    int64_t now
    int64_t runs
    uint64_t drops[DROP_COUNT]
    uint64_t datagrams_in
    uint64_t bytes_in
    uint64_t datagrams_out
    uint64_t bytes_out
    uint64_t forwarded
    uint64_t retransmitted
    uint64_t recovered
    uint64_t packets_in
    int64_t overflows
    int64_t waited
    uint32_t kernel_drops[SOCKETS_MAX]
    int dropping[SOCKETS_MAX]
    uint64_t marks[4]
    uint64_t sent_datagrams
    uint64_t sent_bytes
    uint64_t send_drops[DROP_COUNT]
    Packet *free_packets[SIZE_CLASSES]
    int free_count[SIZE_CLASSES]
    Slot *slots
    Reading *reading
    uint8_t *read_bytes
    Runs sounds
    Runs others
    Run *open_run
    int waiting
    Pointers holding
    int release_turn
    int64_t release_at
    Grown arrivals
    Grown sinks
    Grown switches
    Grown leftovers
    Grown matched
    Grown told
    bint acknowledges
    int feedback_pace
    bint spares_silence
    int64_t caught_up_at
    int64_t feedback_at
    uint8_t *arena
    uint32_t arena_used
    uint32_t arena_size
    int entry_capacity
    OutEntry *entries
    int entry_count
    bint is_urgent
    int stray_limit
    int stray_room
    bint sends
    int *filenos
    int fileno_count
    bint out_of_memory
