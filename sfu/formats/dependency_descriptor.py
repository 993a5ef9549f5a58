"""The dependency descriptor header extension (AV1 RTP payload specification, appendix A).

Keyframes carry the template structure, to which later descriptors refer. So callers pass the current structure,
`parse(value, structure)`, and keep `descriptor.structure` if it is set.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

from sfu.formats.bits import BitReader

MAX_TEMPLATES = 64


class DecodeTargetIndication(IntEnum):
    NOT_PRESENT = 0
    DISCARDABLE = 1
    SWITCH = 2
    REQUIRED = 3


@dataclass(frozen=True, slots=True)
class FrameTemplate:
    spatial_layer: int
    temporal_layer: int
    indications: tuple[DecodeTargetIndication, ...]  # one per decode target
    frame_diffs: tuple[int, ...]
    chain_diffs: tuple[int, ...]  # one per chain


@dataclass(frozen=True, slots=True)
class TemplateStructure:
    """A template structure. `protected_by[target]` is a decode target's chain; `resolutions` has (width, height) for
    each spatial layer, or is empty.
    """

    template_id_offset: int
    decode_targets: int
    chains: int
    protected_by: tuple[int, ...]
    resolutions: tuple[tuple[int, int], ...]
    templates: tuple[FrameTemplate, ...]

    def target_layers(self, target: int) -> tuple[int, int]:
        """Return the highest (spatial, temporal) layer of a decode target (A.8.3.9)."""
        present = [template for template in self.templates if template.indications[target]]
        return (
            max((template.spatial_layer for template in present), default=0),
            max((template.temporal_layer for template in present), default=0),
        )


@dataclass(frozen=True, slots=True)
class DependencyDescriptor:
    """A descriptor. `structure` is set if it carries one; `frame` is the template with this frame's own values.

    `active_decode_targets` is a bit mask, None if unchanged.
    """

    first_in_frame: bool
    last_in_frame: bool
    template_id: int
    frame_number: int
    frame: FrameTemplate
    structure: TemplateStructure | None = None
    active_decode_targets: int | None = None


def parse(value: bytes, structure: TemplateStructure | None) -> DependencyDescriptor:
    """Return the parsed descriptor; raises ValueError if it is malformed or refers to an unknown template."""
    bits = BitReader(value)
    first, last = bits.flag(), bits.flag()
    template_id, frame_number = bits.read(6), bits.read(16)
    own_structure = None
    active = None
    custom_indications = custom_diffs = custom_chains = False
    if len(value) > 3:
        has_structure, has_active = bits.flag(), bits.flag()
        custom_indications, custom_diffs, custom_chains = bits.flag(), bits.flag(), bits.flag()
        if has_structure:
            structure = own_structure = _read_structure(bits)
            active = (1 << structure.decode_targets) - 1
        if has_active:
            if structure is None:
                raise ValueError("dependency descriptor without its template structure")
            active = bits.read(structure.decode_targets)
    if structure is None:
        raise ValueError("dependency descriptor without its template structure")
    index = (template_id - structure.template_id_offset) % MAX_TEMPLATES
    if index >= len(structure.templates):
        raise ValueError("dependency descriptor refers to an unknown template")
    frame = structure.templates[index]
    if custom_indications:
        frame = replace(frame, indications=_read_indications(bits, structure.decode_targets))
    if custom_diffs:
        frame = replace(frame, frame_diffs=_read_frame_diffs(bits))
    if custom_chains:
        frame = replace(frame, chain_diffs=tuple(bits.read(8) for _ in range(structure.chains)))
    return DependencyDescriptor(first, last, template_id, frame_number, frame, own_structure, active)


def _read_indications(bits: BitReader, count: int) -> tuple[DecodeTargetIndication, ...]:
    return tuple(DecodeTargetIndication(bits.read(2)) for _ in range(count))


def _read_frame_diffs(bits: BitReader) -> tuple[int, ...]:
    diffs = []
    while size := bits.read(2):
        diffs.append(bits.read(4 * size) + 1)
    return tuple(diffs)


def _read_structure(bits: BitReader) -> TemplateStructure:
    offset, targets = bits.read(6), bits.read(5) + 1
    layers = _read_layers(bits)
    indications = [_read_indications(bits, targets) for _ in layers]
    diffs = []
    for _ in layers:
        template_diffs = []
        while bits.flag():
            template_diffs.append(bits.read(4) + 1)
        diffs.append(tuple(template_diffs))
    chains = bits.non_symmetric(targets + 1)
    protected_by = tuple(bits.non_symmetric(chains) for _ in range(targets)) if chains else ()
    chain_diffs = [tuple(bits.read(4) for _ in range(chains)) for _ in layers]
    resolutions: tuple[tuple[int, int], ...] = ()
    if bits.flag():
        resolutions = tuple((bits.read(16) + 1, bits.read(16) + 1) for _ in range(layers[-1][0] + 1))
    templates = tuple(
        FrameTemplate(spatial, temporal, template_indications, template_diffs, template_chains)
        for (spatial, temporal), template_indications, template_diffs, template_chains in zip(
            layers, indications, diffs, chain_diffs, strict=True
        )
    )
    return TemplateStructure(offset, targets, chains, protected_by, resolutions, templates)


def _read_layers(bits: BitReader) -> list[tuple[int, int]]:
    """Return (spatial, temporal) of each template (A.8.3.4)."""
    spatial = temporal = 0
    layers = [(0, 0)]
    while (following := bits.read(2)) != 3:
        if following == 1:
            temporal += 1
        elif following == 2:
            temporal = 0
            spatial += 1
        if len(layers) == MAX_TEMPLATES or temporal > 7 or spatial > 3:
            raise ValueError("dependency descriptor has too many templates or layers")
        layers.append((spatial, temporal))
    return layers
