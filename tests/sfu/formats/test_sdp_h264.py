"""H.264 formats are compared by profile and packetization mode, not by text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats.sdp import H264Profile, h264_format


@pytest.mark.parametrize(
    ("profile_level_id", "profile"),
    [
        ("42e01f", H264Profile.CONSTRAINED_BASELINE),
        ("42E01F", H264Profile.CONSTRAINED_BASELINE),
        ("42c01f", H264Profile.CONSTRAINED_BASELINE),
        ("4de01f", H264Profile.CONSTRAINED_BASELINE),
        ("42001f", H264Profile.BASELINE),
        ("42000d", H264Profile.BASELINE),
        ("58a01f", H264Profile.BASELINE),
        ("4d001f", H264Profile.MAIN),
        ("4d401f", H264Profile.MAIN),
        ("640c1f", H264Profile.CONSTRAINED_HIGH),
        ("64001f", H264Profile.HIGH),
    ],
)
def test_profiles_of_table_5(profile_level_id: str, profile: H264Profile) -> None:
    assert h264_format({"profile-level-id": profile_level_id}).profile is profile


def test_defaults_are_baseline_level_1_single_nal() -> None:
    found = h264_format({})
    assert (found.profile, found.level, found.packetization_mode) == (H264Profile.BASELINE, 10, 0)


@given(
    st.dictionaries(st.sampled_from(["profile-level-id", "packetization-mode", "level-asymmetry-allowed"]), st.text())
)
def test_any_parameters_are_a_format_or_value_error(parameters: dict[str, str]) -> None:
    try:
        found = h264_format(parameters)
    except ValueError:
        return
    assert found.packetization_mode in (0, 1)
