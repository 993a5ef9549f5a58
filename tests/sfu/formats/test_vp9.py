"""VP9 payload descriptor: both modes, layers, scalability structure, rewriting."""

from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import vp9


def write(*, flexible, picture_id=None, layers=None, diffs=(), structure=None, start=True, end=True, inter=False):
    """Write a descriptor as RFC 9628, figures 1 and 2, have it."""
    first = 0x08 * start | 0x04 * end | 0x40 * inter | 0x10 * flexible
    body = b""
    if picture_id is not None:
        first |= 0x80
        body += (0x8000 | picture_id).to_bytes(2, "big")
    if layers is not None:
        first |= 0x20
        temporal, up, spatial, dependent, tl0 = layers
        body += bytes([temporal << 5 | up << 4 | spatial << 1 | dependent])
        if not flexible:
            body += bytes([tl0])
    if flexible and inter:
        body += bytes([diff << 1 | (index < len(diffs) - 1) for index, diff in enumerate(diffs)])
    if structure is not None:
        first |= 0x02
        sizes, pictures = structure
        body += bytes([len(sizes) - 1 << 5 | 0x10 | (0x08 if pictures else 0)])
        body += b"".join(width.to_bytes(2, "big") + height.to_bytes(2, "big") for width, height in sizes)
        if pictures:
            body += bytes([len(pictures)])
            body += b"".join(bytes([len(references) << 2, *references]) for references in pictures)
    return bytes([first]) + body


descriptors = st.fixed_dictionaries(
    {
        "flexible": st.booleans(),
        "picture_id": st.none() | st.integers(0, 0x7FFF),
        "layers": st.none()
        | st.tuples(st.integers(0, 7), st.integers(0, 1), st.integers(0, 7), st.integers(0, 1), st.integers(0, 255)),
        "diffs": st.lists(st.integers(0, 127), min_size=1, max_size=3),
        "structure": st.none()
        | st.tuples(
            st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 65535)), min_size=1, max_size=8),
            st.lists(st.lists(st.integers(0, 255), max_size=3), max_size=5),
        ),
        "start": st.booleans(),
        "end": st.booleans(),
        "inter": st.booleans(),
    }
)


@given(descriptors)
def test_every_field_is_read(values):
    data = write(**values)
    parsed = vp9.parse(data + b"data")
    assert parsed.size == len(data)
    assert (parsed.flexible, parsed.start, parsed.end, parsed.inter_picture, parsed.picture_id) == (
        values["flexible"],
        values["start"],
        values["end"],
        values["inter"],
        values["picture_id"],
    )
    if values["layers"] is not None:
        temporal, up, spatial, dependent, tl0 = values["layers"]
        assert (parsed.temporal_layer, parsed.switching_up, parsed.spatial_layer, parsed.inter_layer) == (
            temporal,
            bool(up),
            spatial,
            bool(dependent),
        )
        assert parsed.tl0_picture_index == (None if values["flexible"] else tl0)
    if values["flexible"] and values["inter"]:
        assert parsed.reference_diffs == tuple(values["diffs"])
    if values["structure"] is not None:
        assert parsed.structure == vp9.ScalabilityStructure(len(values["structure"][0]), tuple(values["structure"][0]))


@given(descriptors, st.integers(0, 0x7FFF), st.integers(0, 255))
def test_rewriting_changes_only_what_it_names(values, picture_id, tl0):
    payload = write(**values) + b"data"
    before = vp9.parse(payload)
    rewritten = vp9.rewrite(payload, before, picture_id, tl0)
    assert len(rewritten) == len(payload)
    assert vp9.parse(rewritten) == before._replace(
        picture_id=None if before.picture_id is None else picture_id,
        tl0_picture_index=None if before.tl0_picture_index is None else tl0,
    )
    assert rewritten[before.size :] == b"data"


@given(st.binary(max_size=60))
def test_any_bytes_give_a_descriptor_or_value_error(data):
    try:
        assert vp9.parse(data).size < len(data)
    except ValueError:
        return


def test_more_than_three_references_are_refused():
    with pytest.raises(ValueError, match="three"):
        vp9.parse(b"\x50\x03\x03\x03\x02data")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"flexible": False}, True),
        ({"flexible": True, "layers": (0, 0, 0, 0, 0)}, True),
        ({"flexible": False, "inter": True}, False),
        ({"flexible": False, "start": False}, False),
        ({"flexible": False, "layers": (0, 0, 1, 1, 0)}, False),
    ],
)
def test_a_keyframe_begins_with_its_base_layer(values, expected):
    assert vp9.is_keyframe_start(write(**values) + b"data") is expected


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "gbrp"])
def test_the_size_is_what_the_encoder_was_given_in_every_profile(pix_fmt):
    context = av.CodecContext.create("libvpx-vp9", "w")
    context.width, context.height, context.pix_fmt = 322, 178, pix_fmt
    context.time_base = Fraction(1, 30)
    context.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    [packet] = context.encode(av.VideoFrame(322, 178, pix_fmt))
    assert vp9.keyframe_size(bytes(packet)) == (322, 178)


@pytest.mark.parametrize(
    ("profile_and_color", "in_between"),
    [("1000", "0000"), ("1010", "0100110"), ("1001", "00100"), ("10110", "10100000"), ("10110", "11110")],
)
def test_the_size_follows_what_each_profile_has_before_it(profile_and_color, in_between):
    """Bit by bit after the bitstream specification, section 6.2: a shown keyframe of 640×360."""
    bits = profile_and_color + "0010" + f"{0x498342:024b}" + in_between + f"{639:016b}{359:016b}"
    bits += "0" * (-len(bits) % 8)
    assert vp9.keyframe_size(int(bits, 2).to_bytes(len(bits) // 8, "big")) == (640, 360)


@given(st.binary(max_size=20))
def test_any_frame_has_a_size_or_none(data):
    size = vp9.keyframe_size(data)
    assert size is None or min(size) > 0
