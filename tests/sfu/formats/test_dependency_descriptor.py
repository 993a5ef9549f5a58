"""Dependency descriptors: a writer that follows the specification's syntax, and the parser as its inverse."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import rtp, vp9
from sfu.formats.codecs import Codec
from sfu.formats.dependency_descriptor import (
    DecodeTargetIndication,
    DependencyDescriptor,
    FrameTemplate,
    TemplateStructure,
    parse,
)
from tests.support.captures import CODECS, DEPENDENCY_DESCRIPTOR, captured

NONE, DISCARDABLE, SWITCH, REQUIRED = DecodeTargetIndication


def write(descriptor, base, force_structure=False):
    """Write a descriptor (A.8.2) whose template is `base`; every field that differs is sent as a custom one."""
    bits = f"{descriptor.first_in_frame:b}{descriptor.last_in_frame:b}"
    bits += f"{descriptor.template_id:06b}{descriptor.frame_number:016b}"
    frame = descriptor.frame
    structure = descriptor.structure
    active = descriptor.active_decode_targets
    if structure is not None and active == (1 << structure.decode_targets) - 1:
        active = None
    customs = (
        frame.indications != base.indications,
        frame.frame_diffs != base.frame_diffs,
        frame.chain_diffs != base.chain_diffs,
    )
    if structure is None and active is None and not any(customs):
        return int(bits, 2).to_bytes(3, "big")
    bits += f"{structure is not None:b}{active is not None:b}" + "".join(f"{custom:b}" for custom in customs)
    if structure is not None:
        bits += write_structure(structure)
    if active is not None:
        bits += f"{active:0{len(base.indications)}b}"
    if customs[0]:
        bits += "".join(f"{indication:02b}" for indication in frame.indications)
    if customs[1]:
        for diff in frame.frame_diffs:
            size = 1 if diff <= 16 else 2 if diff <= 256 else 3
            bits += f"{size:02b}{diff - 1:0{4 * size}b}"
        bits += "00"
    if customs[2]:
        bits += "".join(f"{diff:08b}" for diff in frame.chain_diffs)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def write_structure(structure):
    bits = f"{structure.template_id_offset:06b}{structure.decode_targets - 1:05b}"
    layers = [(template.spatial_layer, template.temporal_layer) for template in structure.templates]
    for before, after in pairwise(layers):
        bits += "00" if after == before else "01" if after == (before[0], before[1] + 1) else "10"
    bits += "11"
    for template in structure.templates:
        bits += "".join(f"{indication:02b}" for indication in template.indications)
    for template in structure.templates:
        bits += "".join(f"1{diff - 1:04b}" for diff in template.frame_diffs) + "0"
    bits += non_symmetric(structure.chains, structure.decode_targets + 1)
    if structure.chains:
        bits += "".join(non_symmetric(chain, structure.chains) for chain in structure.protected_by)
        for template in structure.templates:
            bits += "".join(f"{diff:04b}" for diff in template.chain_diffs)
    bits += f"{bool(structure.resolutions):b}"
    return bits + "".join(f"{width - 1:016b}{height - 1:016b}" for width, height in structure.resolutions)


def non_symmetric(value, count):
    width = count.bit_length()
    short = (1 << width) - count
    if value < short:
        return f"{value:0{width - 1}b}" if width > 1 else ""
    return f"{value + short:0{width}b}"


@st.composite
def structures(draw):
    targets = draw(st.integers(1, 9))
    chains = draw(st.integers(0, targets))
    layers = [(0, 0)]
    for step in draw(st.lists(st.sampled_from(["same", "temporal", "spatial"]), max_size=8)):
        spatial, temporal = layers[-1]
        if step == "temporal" and temporal < 7:
            temporal += 1
        elif step == "spatial" and spatial < 3:
            spatial, temporal = spatial + 1, 0
        layers.append((spatial, temporal))
    templates = tuple(
        FrameTemplate(
            spatial,
            temporal,
            tuple(draw(st.sampled_from(DecodeTargetIndication)) for _ in range(targets)),
            tuple(draw(st.lists(st.integers(1, 16), max_size=3))),
            tuple(draw(st.integers(0, 15)) for _ in range(chains)),
        )
        for spatial, temporal in layers
    )
    count = layers[-1][0] + 1
    sizes = st.lists(st.tuples(st.integers(1, 65536), st.integers(1, 65536)), min_size=count, max_size=count)
    return TemplateStructure(
        draw(st.integers(0, 63)),
        targets,
        chains,
        tuple(draw(st.integers(0, chains - 1)) for _ in range(targets)) if chains else (),
        tuple(draw(st.one_of(st.just(()), sizes))),
        templates,
    )


@st.composite
def descriptors(draw, structure=None):
    structure = structure or draw(structures())
    index = draw(st.integers(0, len(structure.templates) - 1))
    frame = structure.templates[index]
    targets = structure.decode_targets
    if draw(st.booleans()):
        frame = replace(frame, indications=tuple(draw(st.sampled_from(DecodeTargetIndication)) for _ in range(targets)))
    if draw(st.booleans()):
        frame = replace(frame, frame_diffs=tuple(draw(st.lists(st.integers(1, 4096), max_size=4))))
    if draw(st.booleans()):
        frame = replace(frame, chain_diffs=tuple(draw(st.integers(0, 255)) for _ in range(structure.chains)))
    sent = draw(st.booleans())
    everything = (1 << targets) - 1
    active = draw(st.integers(0, everything)) if draw(st.booleans()) else everything if sent else None
    descriptor = DependencyDescriptor(
        draw(st.booleans()),
        draw(st.booleans()),
        (structure.template_id_offset + index) % 64,
        draw(st.integers(0, 65535)),
        frame,
        structure if sent else None,
        active,
    )
    return structure, structure.templates[index], descriptor


@given(descriptors())
def test_what_is_written_is_read(drawn):
    structure, template, descriptor = drawn
    value = write(descriptor, template)
    assert parse(value, None if descriptor.structure else structure) == descriptor


@given(st.binary(max_size=60), structures())
def test_any_bytes_give_a_descriptor_or_value_error(data, structure):
    for known in (None, structure):
        try:
            parse(data, known)
        except ValueError:
            continue


L1T2 = TemplateStructure(
    0,
    2,
    1,
    (0, 0),
    ((640, 360),),
    (
        FrameTemplate(0, 0, (SWITCH, SWITCH), (), (0,)),
        FrameTemplate(0, 0, (SWITCH, SWITCH), (2,), (2,)),
        FrameTemplate(0, 1, (NONE, DISCARDABLE), (1,), (1,)),
    ),
)


def test_layers_of_decode_targets():
    assert [L1T2.target_layers(target) for target in range(2)] == [(0, 0), (0, 1)]


def test_a_descriptor_needs_its_structure_and_a_known_template():
    with pytest.raises(ValueError, match="without"):
        parse(bytes.fromhex("c00001"), None)
    with pytest.raises(ValueError, match="unknown template"):
        parse(bytes.fromhex("c30001"), L1T2)
    assert parse(bytes.fromhex("c20001"), L1T2).frame.temporal_layer == 1


def test_endless_templates_are_refused():
    with pytest.raises(ValueError, match="too many"):
        parse(bytes.fromhex("c0000180") + bytes(60), None)


@pytest.mark.parametrize("name", [name for name in CODECS if "t2" in name or "t3" in name])
def test_descriptors_of_chromium(name):
    """Frame numbers ascend and frames begin and end where packets say; for VP9 its own descriptor names the layers."""
    structure = None
    numbers = []
    for data in captured(name):
        packet = rtp.parse(data)
        descriptor = parse(dict(packet.extensions)[DEPENDENCY_DESCRIPTOR], structure)
        structure = descriptor.structure or structure
        if descriptor.first_in_frame:
            numbers.append(descriptor.frame_number)
        if CODECS[name] is Codec.VP9:
            own = vp9.parse(packet.payload)
            layers = (own.spatial_layer, own.temporal_layer)
            assert (descriptor.frame.spatial_layer, descriptor.frame.temporal_layer) == layers
            assert (descriptor.first_in_frame, descriptor.last_in_frame) == (own.start, own.end)
            if descriptor.structure is not None:
                assert own.picture_start and not own.inter_picture
                assert own.structure is not None
                assert descriptor.structure.resolutions[: len(own.structure.sizes)] == own.structure.sizes
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert structure.target_layers(structure.decode_targets - 1) != (0, 0)
