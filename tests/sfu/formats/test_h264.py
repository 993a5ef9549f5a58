"""H.264 payloads and parameter sets."""

from fractions import Fraction

import av
import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import h264
from sfu.formats.packetize import split_annex_b


def sps_of(width, height, **options):
    """Return the SPS that libx264 writes for a picture of this size."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = width, height, options.pop("pix_fmt", "yuv420p")
    context.time_base = Fraction(1, 30)
    context.options = {"preset": "ultrafast", "tune": "zerolatency", **options}
    packets = context.encode(av.VideoFrame(width, height, context.pix_fmt))
    return next(unit for unit in split_annex_b(bytes(packets[0])) if unit[0] & 0x1F == h264.NAL_SPS)


@pytest.mark.parametrize(
    ("width", "height", "options"),
    [
        (1280, 720, {"profile": "baseline"}),
        (1920, 1080, {"profile": "high"}),
        (318, 182, {"profile": "main"}),
        (640, 360, {"profile": "high444", "pix_fmt": "yuv444p"}),
        (642, 358, {"pix_fmt": "yuv422p"}),
        (640, 364, {"x264-params": "interlaced=1"}),
    ],
)
def test_picture_size_is_what_the_encoder_was_given(width, height, options):
    assert h264.picture_size(sps_of(width, height, **dict(options))) == (width, height)


@given(st.binary(max_size=60))
def test_any_bytes_give_a_size_or_value_error(data):
    try:
        width, height = h264.picture_size(b"\x67" + data)
    except ValueError:
        return
    assert width > 0 and height > 0


@given(st.binary(max_size=60))
def test_any_bytes_give_units_or_value_error(data):
    try:
        parts = h264.parse(data)
    except ValueError:
        return
    assert parts
    assert all(part.data for part in parts)


@given(st.binary(min_size=2, max_size=60))
def test_aiortc_reads_the_same(data):
    try:
        parts = h264.parse(data)
    except ValueError:
        return
    first, output = H264PayloadDescriptor.parse(data)
    assert output == b"".join((b"\0\0\0\1" if part.start else b"") + part.data for part in parts)
    assert first.first_fragment is parts[0].start


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("6742", True),
        ("6588", True),
        ("6548", False),  # a later slice of the same IDR picture
        ("4188", False),
        ("7c8588", True),
        ("7c4588", False),
        ("7c8188", False),
        ("78 0002 6742 0002 68ce", True),
        ("78 0002 06ff 0002 4188", False),
    ],
)
def test_a_keyframe_begins_with_its_sps_or_first_idr_slice(payload, expected):
    assert h264.is_keyframe_start(bytes.fromhex(payload)) is expected


@pytest.mark.parametrize(
    "payload", ["", "00", "18", "1a00", "79", "7c85", "7cc588", "7c8088", "78", "780000", "780003 6742", "780001 18"]
)
def test_malformed_payloads_are_refused(payload):
    with pytest.raises(ValueError):
        h264.parse(bytes.fromhex(payload))
