"""Opus durations, compared with libopus through FFmpeg."""

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import opus


@pytest.mark.parametrize("duration", [2.5, 5, 10, 20, 40, 60, 120])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_packets_of_libopus_last_as_long_as_they_were_asked_to(duration, layout):
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48000, layout, "s16"
    context.options = {"frame_duration": str(duration), "application": "audio"}
    context.open()
    size = int(48 * duration)
    channels = 1 if layout == "mono" else 2
    noise = np.random.default_rng(1).integers(-8000, 8000, (1, size * channels), np.int16)
    packets = []
    for index in range(3):
        frame = av.AudioFrame.from_ndarray(noise, "s16", layout)
        frame.sample_rate, frame.pts = 48000, index * size
        packets += context.encode(frame)
    assert packets
    assert {opus.samples(bytes(packet)) for packet in packets} == {size}


@given(st.binary(max_size=4))
def test_any_bytes_give_a_duration_or_value_error(data):
    try:
        assert 120 <= opus.samples(data) <= 5760
    except ValueError:
        return


@pytest.mark.parametrize("data", [b"", b"\x03", b"\x03\x00", b"\x1b\x07"])
def test_impossible_durations_are_refused(data):
    with pytest.raises(ValueError):
        opus.samples(data)
