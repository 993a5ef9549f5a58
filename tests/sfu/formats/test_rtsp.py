"""RTSP: a client's requests, and the packets between the answers."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats.codecs import Codec
from sfu.formats.rtsp import Client, Failed, Packet, access_units

URL = "rtsp://camera.test/live"
DESCRIPTION = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=Camera
t=0 0
a=control:*
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAH9oB4AiflwFqAgICgAAB9AAAdTAB,aM4yyA==
a=control:trackID=0
m=application 0 RTP/AVP 98
a=rtpmap:98 vnd.onvif.metadata/90000
m=audio 0 RTP/AVP 97
a=rtpmap:97 mpeg4-generic/44100/2
a=fmtp:97 mode=AAC-hbr; config=1210; sizelength=13; indexlength=3; indexdeltalength=3
a=control:rtsp://camera.test/live/trackID=1
""".replace("\n", "\r\n")


def authorized(challenges: list[str], method: str, uri: str) -> str:
    return f"{challenges[0]} answered for {method} {uri}"


def response(sequence: int, *headers: str, status: int = 200, body: str = "") -> bytes:
    lines = [f"RTSP/1.0 {status} Whatever", f"CSeq: {sequence}", *headers, f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def described(client: Client) -> None:
    assert client.output().startswith(f"DESCRIBE {URL} RTSP/1.0\r\n".encode())
    client.receive(response(1, f"Content-Base: {URL}/", body=DESCRIPTION))


def playing() -> Client:
    client = Client(URL, authorized)
    described(client)
    for index in range(2):
        client.receive(response(2 + index, "Session: abc;timeout=20"))
    info = f"RTP-Info: url={URL}/trackID=0;seq=7;rtptime=90000,url=trackID=1;seq=9;rtptime=44100"
    client.receive(response(4, "Session: abc", info))
    return client


def test_a_presentation_is_described_set_up_and_played() -> None:
    client = Client(URL, authorized)
    described(client)
    video, audio = client.tracks
    assert (video.codec, video.clock_rate, video.control) == (Codec.H264, 90_000, f"{URL}/trackID=0")
    assert (audio.name, audio.channels, audio.control) == ("aac", 2, f"{URL}/trackID=1")
    assert b"interleaved=0-1" in client.output()
    client.receive(response(2, "Session: abc;timeout=20"))
    asked = client.output()
    assert asked.startswith(f"SETUP {URL}/trackID=1 ".encode()) and b"interleaved=2-3" in asked
    assert b"\r\nSession: abc\r\n" in asked
    client = playing()
    assert (client.is_playing, client.keep_seconds, client.first) == (True, 10, {0: 90_000, 1: 44_100})
    client.output()
    client.keep()
    assert client.output().startswith(b"GET_PARAMETER")
    client.end()
    assert client.output().startswith(b"TEARDOWN")


def test_packets_come_between_answers_and_in_pieces() -> None:
    client = playing()
    sent = b"$\x00\x00\x03rtp" + response(5) + b"$\x03\x00\x04rtcp" + b"$\x09\x00\x01?" + b"ANNOUNCE x RTSP/1.0\r\n\r\n"
    found = [packet for at in range(len(sent)) for packet in client.receive(sent[at : at + 1])]
    assert found == [Packet(0, False, b"rtp"), Packet(1, True, b"rtcp")]


def test_a_password_is_asked_for_once() -> None:
    client = Client(URL, authorized)
    client.output()
    refused = response(1, 'WWW-Authenticate: Digest realm="x"', status=401)
    client.receive(refused)
    assert f'Authorization: Digest realm="x" answered for DESCRIBE {URL}'.encode() in client.output()
    with pytest.raises(Failed, match="password"):
        client.receive(refused)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (response(1, status=404), "404"),
        (response(1, body="no description"), "cannot be read"),
        (response(1, body=DESCRIPTION.replace("H264", "JPEG").replace("AAC-hbr", "x")), "neither"),
        (b"x" * 20_000, "does not speak"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n", "does not speak"),
    ],
)
def test_what_cannot_be_played_is_refused_with_a_reason(sent: bytes, reason: str) -> None:
    with pytest.raises(Failed, match=reason):
        Client(URL, authorized).receive(sent)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused(junk: bytes, plays: bool) -> None:
    client = playing() if plays else Client(URL, authorized)
    try:
        client.receive(b"RTSP/1.0 200 OK\r\n" + junk)
        client.receive(junk)
    except ValueError:
        return


def test_the_frames_of_aac_are_separated() -> None:
    headers = struct.pack("!HHH", 32, 3 << 3, 2 << 3)
    assert access_units(headers + b"abcde", {}) == [b"abc", b"de"]
    for malformed in (b"", headers + b"abcd", struct.pack("!HH", 999, 0)):
        with pytest.raises(ValueError, match="AAC"):
            access_units(malformed, {})
