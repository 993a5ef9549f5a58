"""Trickle ICE fragments: RFC 9725's own, and hostile ones."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats.sdp_fragment import SdpFragment, parse_fragment, serialize_fragment
from sfu.machines.ice.lite import lite_candidates

# RFC 9725, section 4.3.3, figure 6.
RESTART = (
    "a=group:BUNDLE 0 1\r\na=ice-options:trickle ice2\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
    "a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n"
    "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag ysXw network-id 1\r\n"
    "a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0 ufrag ysXw network-id 2\r\n"
)


def test_a_restart_is_read() -> None:
    fragment = parse_fragment(RESTART)
    assert fragment == SdpFragment(
        "ysXw", "vw5LmwG4y/e6dPP/zAP9Gp5k", "0", "audio 9 UDP/TLS/RTP/SAVPF 111", candidates=2
    )


def test_what_is_written_is_read_back() -> None:
    ours = SdpFragment("abcd", "x" * 24, "1", "video 9 UDP/TLS/RTP/SAVPF 96", 1)
    text = serialize_fragment(ours, lite_candidates([("192.0.2.1", 8810)]))
    assert parse_fragment(text) == ours
    assert "a=end-of-candidates\r\n" in text


@pytest.mark.parametrize(
    "text",
    ["v=0", "hello", "a=ice-ufrag:abcd", "a=ice-ufrag:abcd\na=ice-pwd:short", "a=ice-ufrag:ab d\na=ice-pwd:" + "x" * 22,
     "a=x\n" * 501, "a=mid:\x00"],
)  # fmt: skip
def test_what_is_no_fragment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_fragment(text)


@given(st.text() | st.lists(st.sampled_from(["a=ice-ufrag:abcd", "a=ice-pwd:" + "x" * 22, "a=mid:0", "m=", "a="])))
def test_anything_is_read_or_refused(text: str | list[str]) -> None:
    with contextlib.suppress(ValueError):
        parse_fragment(text if isinstance(text, str) else "\r\n".join(text))
