"""Dependency descriptor header extension (AV1 RTP payload specification, appendix A).

The template structure comes with keyframes; later descriptors refer to it, so the parser is handed the structure in
force: `parse(value, structure)`, and keeps `descriptor.structure` when it is set.
"""

from dataclasses import dataclass
from enum import IntEnum


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
    """`protected_by[target]` is a decode target's chain; `resolutions`: (width, height) per spatial layer, or ()."""

    template_id_offset: int
    decode_targets: int
    chains: int
    protected_by: tuple[int, ...]
    resolutions: tuple[tuple[int, int], ...]
    templates: tuple[FrameTemplate, ...]


@dataclass(frozen=True, slots=True)
class DependencyDescriptor:
    """`structure` is set when this descriptor carries one; `frame` is the template with this frame's own values.

    `active_decode_targets` is a bit mask, None when unchanged.
    """

    first_in_frame: bool
    last_in_frame: bool
    template_id: int
    frame_number: int
    frame: FrameTemplate
    structure: TemplateStructure | None = None
    active_decode_targets: int | None = None


def parse(value: bytes, structure: TemplateStructure | None) -> DependencyDescriptor:
    """Return the descriptor; ValueError when malformed or when it refers to a template that is not known."""
    raise NotImplementedError
