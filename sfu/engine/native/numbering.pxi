# sfu.engine.sequence_map in C: the mapping of packets to a route's numbers.


cdef inline int64_t map_next_out(const Numbering *map) noexcept nogil:
    if map.is_open:
        return map.segment.first_out + map.next_ext - map.segment.first_ext
    return map.next_out


cdef void map_close(State *state, Numbering *map, const Segment *segment, int64_t end_ext) noexcept nogil:
    cdef int64_t horizon = map.next_out - HORIZON_OUT
    cdef int forgotten, capacity
    cdef Segment *closed
    if end_ext > segment.first_ext:
        if map.count == map.capacity:
            capacity = 4 if map.capacity == 0 else 2 * map.capacity
            closed = <Segment *>realloc(map.closed, capacity * sizeof(Segment))
            if closed == NULL:
                # A packet that is not remembered cannot be repeated; nothing else depends on it.
                state.out_of_memory = True
                return
            map.closed = closed
            map.capacity = capacity
        map.closed[map.count] = segment[0]
        map.closed[map.count].end_ext = end_ext
        map.count += 1
    forgotten = map.count - SEGMENTS_MAX if map.count > SEGMENTS_MAX else 0
    while forgotten < map.count:
        closed = &map.closed[forgotten]
        if closed.first_out + closed.end_ext - closed.first_ext > horizon:
            break
        forgotten += 1
    if forgotten:
        map.count -= forgotten
        memmove(map.closed, map.closed + forgotten, map.count * sizeof(Segment))


cdef void map_stop(State *state, Numbering *map) noexcept nogil:
    cdef Segment segment
    if map.is_open:
        map.next_out = map_next_out(map)
        map.is_open = False
        segment = map.segment
        map_close(state, map, &segment, map.next_ext)


cdef void map_start(
    State *state, Numbering *map, Stream *stream, int64_t ext_seq, const Rewriting *rewrite
) noexcept nogil:
    cdef Rewriting copied = rewrite[0]
    map_stop(state, map)
    map.segment.stream = stream
    map.segment.first_ext = ext_seq
    map.segment.end_ext = OPEN_END
    map.segment.first_out = map.next_out
    map.segment.rewrite = copied
    map.is_open = True
    map.next_ext = ext_seq


cdef inline int64_t map_place(State *state, Numbering *map, int64_t ext_seq, bint closes) noexcept nogil:
    if ext_seq - map.next_ext > GAP_MAX or (closes and ext_seq > map.next_ext):
        map_stop(state, map)
        map.next_out += 1
        map_start(state, map, map.segment.stream, ext_seq, &map.segment.rewrite)
    map.next_ext = ext_seq + 1
    return map.segment.first_out + ext_seq - map.segment.first_ext


cdef void map_skip(State *state, Numbering *map, int64_t ext_seq, bint whole_gap) noexcept nogil:
    if not whole_gap and ext_seq - map.next_ext <= GAP_MAX:
        map.next_ext = ext_seq
    if map.next_ext == map.segment.first_ext:
        map.segment.first_ext = ext_seq + 1
        map.next_ext = ext_seq + 1
    else:
        map_start(state, map, map.segment.stream, ext_seq + 1, &map.segment.rewrite)


cdef void map_rewind(Numbering *map, int64_t newest) noexcept nogil:
    cdef Segment *last
    cdef int64_t end_ext
    while map.count and map.closed[map.count - 1].first_out > newest:
        map.count -= 1
    if map.count:
        last = &map.closed[map.count - 1]
        end_ext = last.first_ext + newest + 1 - last.first_out
        if end_ext < last.end_ext:
            last.end_ext = end_ext
    map.next_out = newest + 2


cdef void map_renumber(State *state, Numbering *map, int64_t first_out) noexcept nogil:
    cdef bint was_open = map.is_open
    map.count = 0
    map.is_open = False
    map.next_out = first_out
    if was_open:
        map_start(state, map, map.segment.stream, map.next_ext, &map.segment.rewrite)


cdef Segment *map_find(Numbering *map, const Stream *stream, int64_t ext_seq) noexcept nogil:
    cdef int k
    cdef Segment *segment = &map.segment
    if map.is_open and segment.stream == stream and segment.first_ext <= ext_seq < map.next_ext:
        return segment
    for k in range(map.count - 1, -1, -1):
        segment = &map.closed[k]
        if segment.stream == stream and segment.first_ext <= ext_seq < segment.end_ext:
            return segment
    return NULL


cdef Segment *map_find_out(Numbering *map, int64_t out_seq) noexcept nogil:
    cdef int low = 0, high = map.count, middle
    cdef Segment *segment = &map.segment
    if map.is_open and out_seq >= segment.first_out:
        return segment if out_seq < map_next_out(map) else NULL
    while low < high:
        middle = (low + high) // 2
        if map.closed[middle].first_out <= out_seq:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return NULL
    segment = &map.closed[low - 1]
    return segment if out_seq < segment.first_out + segment.end_ext - segment.first_ext else NULL


cdef int64_t map_carried(const Numbering *map, const Stream *stream) noexcept nogil:
    cdef int64_t end = -1
    cdef int k
    if map.is_open and map.segment.stream == stream:
        return map.next_ext
    for k in range(map.count):
        if map.closed[k].stream == stream and map.closed[k].end_ext > end:
            end = map.closed[k].end_ext
    return end
