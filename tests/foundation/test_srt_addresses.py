"""Addresses of SRT listeners: what is understood, what is refused, and that secrets are kept apart."""

import pytest

from foundation.srt_addresses import read_srt_secrets, srt_target


def test_an_address_is_split_from_its_secrets() -> None:
    target = srt_target("srt://[2001:db8::1]:9000?streamid=publish:a/b&passphrase=long-secret-key&latency=120")
    assert (target.host, target.port, target.latency_ms) == ("2001:db8::1", 9000, 120)
    assert target.url() == "srt://[2001:db8::1]:9000?latency=120"
    assert read_srt_secrets(target.secrets.key()) == ("publish:a/b", "long-secret-key")
    assert srt_target(target.url()) == target._replace(secrets=type(target.secrets)())
    assert srt_target("srt://host:1?streamid=x", "y").secrets.stream_id == "y"
    assert srt_target("srt://host:1").secrets.key() == ""


@pytest.mark.parametrize(
    "url",
    [
        "rtmp://host:1",
        "srt://host",
        "srt://host:99999",
        "srt://host:1/path",
        "srt://host:1?mode=listener",
        "srt://host:1?pbkeylen=32",
        "srt://host:1?latency=19",
        "srt://host:1?latency=9000",
        "srt://host:1?latency=\u0661\u0662\u0663",
        "srt://host:1?passphrase=short",
        "srt://host:1?streamid=" + "x" * 513,
    ],
)
def test_others_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        srt_target(url)
