"""VP8 payload descriptor: every combination of fields, rewriting, agreement with an independent implementation."""

import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import vp8

KEYFRAME = bytes.fromhex("500000 9d012a 4001b400 0102")  # 320×180


def optional(strategy):
    return st.none() | strategy


fields = st.fixed_dictionaries(
    {
        "partition_start": st.integers(0, 1),
        "partition_id": st.integers(0, 7),
        "picture_id": optional(st.integers(0, 0x7FFF)),
        "tl0picidx": optional(st.integers(0, 255)),
        "tid": optional(st.tuples(st.integers(0, 3), st.integers(0, 1))),
        "keyidx": optional(st.integers(0, 31)),
    }
)


@given(fields)
def test_descriptors_of_aiortc_are_read(values):
    data = bytes(VpxPayloadDescriptor(**values))
    parsed = vp8.parse(data + b"data")
    assert parsed.size == len(data)
    assert (parsed.start, parsed.partition) == (values["partition_start"] == 1, values["partition_id"])
    assert (parsed.picture_id, parsed.tl0_picture_index, parsed.key_index) == (
        values["picture_id"],
        values["tl0picidx"],
        values["keyidx"],
    )
    if values["tid"] is not None:
        assert (parsed.temporal_layer, int(parsed.layer_sync)) == values["tid"]
    else:
        assert parsed.temporal_layer is None


@given(fields, st.integers(0, 0x7FFF), st.integers(0, 255))
def test_rewriting_changes_only_what_it_names(values, picture_id, tl0):
    payload = bytes(VpxPayloadDescriptor(**values)) + b"data"
    before = vp8.parse(payload)
    rewritten = vp8.rewrite(payload, before, picture_id, tl0)
    assert len(rewritten) == len(payload)
    assert vp8.parse(rewritten) == before._replace(
        picture_id=None if before.picture_id is None else picture_id,
        tl0_picture_index=None if before.tl0_picture_index is None else tl0,
    )
    assert rewritten[before.size :] == b"data"
    assert vp8.rewrite(rewritten, before, before.picture_id or 0, before.tl0_picture_index or 0) == payload


def test_a_seven_bit_picture_id_stays_seven_bits():
    payload = bytes.fromhex("90 80 7f aa".replace(" ", ""))
    descriptor = vp8.parse(payload)
    assert (descriptor.picture_id, descriptor.long_picture_id) == (127, False)
    assert vp8.parse(vp8.rewrite(payload, descriptor, 0x1234, 0)).picture_id == 0x34


@given(st.binary(max_size=12))
def test_any_bytes_give_a_descriptor_or_value_error(data):
    try:
        parsed = vp8.parse(data)
    except ValueError:
        with pytest.raises(ValueError, match="VP8"):
            vp8.content_of(data)
        return
    assert vp8.content_of(data) == (parsed.size, parsed.frame_start) and parsed.size < len(data)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"\x10" + KEYFRAME, True),
        (b"\x90\x80\x81\x02" + KEYFRAME, True),
        (b"\x10\x51" + KEYFRAME[1:], False),
        (b"\x00" + KEYFRAME, False),
        (b"\x11" + KEYFRAME, False),
    ],
)
def test_a_keyframe_begins_with_its_first_partition(payload, expected):
    assert vp8.is_keyframe_start(payload) is expected


def test_keyframe_size():
    assert vp8.keyframe_size(KEYFRAME) == (320, 180)
    assert vp8.keyframe_size(KEYFRAME[:9]) is None
    assert vp8.keyframe_size(b"\x51" + KEYFRAME[1:]) is None
