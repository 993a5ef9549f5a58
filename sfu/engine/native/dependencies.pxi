# sfu.formats.dependency_descriptor in C: a packet's layer, and the layers that may be switched to at it.

cdef struct Bits:
    const uint8_t *data
    int left
    int at
    bint is_over


cdef uint32_t bits_read(Bits *bits, int count) noexcept nogil:
    """Return the next bits; past the end return 0 and set `is_over`."""
    cdef uint32_t value = 0
    cdef int k
    if count > bits.left:
        bits.is_over = True
        bits.left = 0
        return 0
    bits.left -= count
    for k in range(count):
        value = value << 1 | (bits.data[bits.at >> 3] >> (7 - (bits.at & 7)) & 1)
        bits.at += 1
    return value


cdef int bits_non_symmetric(Bits *bits, int count) noexcept nogil:
    cdef int width = 0, short_values, value
    while count >> width:
        width += 1
    short_values = (1 << width) - count
    value = bits_read(bits, width - 1)
    if value < short_values:
        return value
    return (value << 1) - short_values + <int>bits_read(bits, 1)


cdef bint structure_layers(Bits *bits, Structure *structure) noexcept nogil:
    """Read the layers of the templates; return False if there are too many."""
    cdef int following, spatial = 0, temporal = 0
    structure.spatial[0] = structure.temporal[0] = 0
    structure.count = 1
    while True:
        following = bits_read(bits, 2)
        if bits.is_over:
            return False
        if following == 3:
            return True
        if following == 1:
            temporal += 1
        elif following == 2:
            temporal = 0
            spatial += 1
        if structure.count == TEMPLATES_MAX or temporal > 7 or spatial > 3:
            return False
        structure.spatial[structure.count] = spatial
        structure.temporal[structure.count] = temporal
        structure.count += 1


cdef bint structure_read(Bits *bits, Structure *structure) noexcept nogil:
    cdef int k, target, spatial, temporal
    structure.offset = bits_read(bits, 6)
    structure.targets = bits_read(bits, 5) + 1
    if not structure_layers(bits, structure):
        return False
    for k in range(structure.count):
        for target in range(structure.targets):
            structure.indications[k][target] = bits_read(bits, 2)
    for k in range(structure.count):
        while bits_read(bits, 1):
            bits_read(bits, 4)
    structure.chains = bits_non_symmetric(bits, structure.targets + 1)
    if structure.chains:
        for target in range(structure.targets):
            bits_non_symmetric(bits, structure.chains)
    for k in range(structure.count * structure.chains):
        bits_read(bits, 4)
    if bits_read(bits, 1):
        for k in range(structure.spatial[structure.count - 1] + 1):
            bits_read(bits, 32)
    for target in range(structure.targets):
        spatial = temporal = 0
        for k in range(structure.count):
            if structure.indications[k][target]:
                spatial = max(spatial, <int>structure.spatial[k])
                temporal = max(temporal, <int>structure.temporal[k])
        structure.target_spatial[target] = spatial
        structure.target_temporal[target] = temporal
    return not bits.is_over


cdef void describe_dependencies(State *state, Stream *stream, Packet *packet) noexcept nogil:
    """Set a packet's frame number from its descriptor and, if that parses, its layers."""
    cdef Structure own
    cdef const Structure *structure = stream.structure
    cdef Bits bits
    cdef uint8_t indications[TARGETS_MAX]
    cdef int template, index, target, k, size
    cdef bint first, last, has_structure = False, has_active = False
    cdef bint custom_indications = False, custom_diffs = False, custom_chains = False
    if packet.passed_size[DESCRIPTOR_PLACE] >= 3:
        packet.frame_number = load16(packet.data + packet.passed_at[DESCRIPTOR_PLACE] + 1)
    bits.data = packet.data + packet.passed_at[DESCRIPTOR_PLACE]
    bits.left = 8 * packet.passed_size[DESCRIPTOR_PLACE]
    bits.at = 0
    bits.is_over = False
    first = bits_read(&bits, 1)
    last = bits_read(&bits, 1)
    template = bits_read(&bits, 6)
    bits_read(&bits, 16)
    if packet.passed_size[DESCRIPTOR_PLACE] > 3:
        has_structure = bits_read(&bits, 1)
        has_active = bits_read(&bits, 1)
        custom_indications = bits_read(&bits, 1)
        custom_diffs = bits_read(&bits, 1)
        custom_chains = bits_read(&bits, 1)
        if has_structure:
            if not structure_read(&bits, &own):
                return
            structure = &own
        if has_active and structure != NULL:
            bits_read(&bits, structure.targets)
    if structure == NULL or bits.is_over:
        return
    index = (template - structure.offset) & (TEMPLATES_MAX - 1)
    if index >= structure.count:
        return
    for target in range(structure.targets):
        indications[target] = structure.indications[index][target]
    if custom_indications:
        for target in range(structure.targets):
            indications[target] = bits_read(&bits, 2)
    while custom_diffs:
        size = bits_read(&bits, 2)
        if not size:
            break
        bits_read(&bits, 4 * size)
    if custom_chains:
        for k in range(structure.chains):
            bits_read(&bits, 8)
    if bits.is_over:
        return
    packet.spatial = structure.spatial[index]
    packet.temporal = structure.temporal[index]
    packet.end_of_layer = last
    if first:
        for target in range(structure.targets):
            if indications[target] == INDICATION_SWITCH and structure.target_spatial[target] == packet.spatial:
                packet.switch_temporal = max(packet.switch_temporal, <int>structure.target_temporal[target])
    if has_structure:
        structure_keep(state, stream, &own)


cdef void structure_keep(State *state, Stream *stream, const Structure *structure) noexcept nogil:
    if stream.structure == NULL:
        stream.structure = <Structure *>malloc(sizeof(Structure))
        if stream.structure == NULL:
            state.out_of_memory = True
            return
    stream.structure[0] = structure[0]
