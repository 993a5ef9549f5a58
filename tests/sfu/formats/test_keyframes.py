"""Keyframes by codec, in the output of real encoders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats.codecs import Codec
from sfu.formats.keyframes import is_keyframe_start, keyframe_size
from sfu.formats.packetize import packetize
from tests.support.encoders import VIDEO, encode


@pytest.mark.parametrize("codec", VIDEO, ids=lambda codec: codec.name)
def test_the_first_packet_of_a_keyframe_says_so_and_names_its_size(codec):
    for index, (data, keyframe) in enumerate(encode(codec)):
        payloads = packetize(codec, data, keyframe=keyframe, picture_id=index, max_bytes=300)
        assert is_keyframe_start(codec, payloads[0]) is keyframe
        assert keyframe_size(codec, payloads[0]) == ((320, 180) if keyframe else None)
        if codec is not Codec.H264:
            assert not any(is_keyframe_start(codec, payload) for payload in payloads[1:])


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
@given(payload=st.binary(max_size=40))
def test_any_payload_has_an_answer(codec, payload):
    assert is_keyframe_start(codec, payload) in (True, False)
    size = keyframe_size(codec, payload)
    assert size is None or len(size) == 2


def test_sound_can_begin_anywhere_and_rtx_nowhere():
    assert is_keyframe_start(Codec.OPUS, b"\xfc")
    assert not is_keyframe_start(Codec.RTX, b"\x00\x01\x10")
