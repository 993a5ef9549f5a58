"""Plain SRTP with keys and addresses set through the sfu's node API: nothing is negotiated."""

import base64
import secrets
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass

import msgspec

from bench.light.library import VIDEO, LightClient, PeerSettings
from bench.sfu_process import SfuProcess
from sfu.api.join_token import Source
from sfu.api.plain_transport import AnyTransport, PlainTrack, ReceiveTransport, SendTransport, SrtpKey, Suite
from sfu.api.plain_transport import TransportInfo as Info
from sfu.machines.dtls.srtp import DtlsKeys

PAYLOAD_TYPE = 96
KEY_BYTES: dict[Suite, int] = {"AEAD_AES_128_GCM": 28, "AES_CM_128_HMAC_SHA1_80": 30}
_PROFILES: dict[Suite, int] = {"AEAD_AES_128_GCM": 7, "AES_CM_128_HMAC_SHA1_80": 1}


@dataclass(frozen=True, slots=True)
class Opened:
    """The address that packets come from, the keys that protect them, and their payload type."""

    address: str
    port: int
    key: bytes
    payload_type: int = PAYLOAD_TYPE


def settings(suite: Suite, *, receive: bytes, send: bytes, payload_type: int = PAYLOAD_TYPE) -> PeerSettings:
    """Return a peer without consent checks and feedback."""
    keys = DtlsKeys(_PROFILES[suite], receive=receive, send=send)
    return PeerSettings(keys, b"", b"", {payload_type: VIDEO}, gives_feedback=False, gives_reports=False)


def open_publisher(
    sfu: SfuProcess, room: str, participant: str, *, suite: Suite, key: bytes, ssrc: int
) -> tuple[str, int]:
    """Let `participant` publish a camera over a plain transport; return the address to send it to."""
    track = PlainTrack(source=Source.CAMERA, codec="VP8", payload_type=PAYLOAD_TYPE, ssrc=ssrc)
    opened = _open(sfu, room, ReceiveTransport(participant=participant, tracks=(track,), srtp=_srtp(suite, key)))
    return opened.address, opened.port


def open_receiver(sfu: SfuProcess, room: str, of: str, *, suite: Suite, key: bytes, port: int) -> Opened:
    """Have the sfu send the camera of participant `of` to a port of this machine, protected with `key`."""
    wish = SendTransport(
        participant=f"plain-{secrets.token_hex(6)}",
        of=of,
        source=Source.CAMERA,
        address="127.0.0.1",
        port=port,
        payload_type=PAYLOAD_TYPE,
        srtp=_srtp(suite, key),
        keyframe_seconds=0,
    )
    opened = _open(sfu, room, wish)
    return Opened(opened.address, opened.port, key)


def receive_plainly(client: LightClient, sfu: SfuProcess, room: str, of: str, *, suite: Suite, count: int) -> None:
    """Add `count` receivers of the camera of participant `of`."""
    for _ in range(count):
        key = secrets.token_bytes(KEY_BYTES[suite])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as entry:
            entry.bind(("127.0.0.1", 0))
            opened = open_receiver(sfu, room, of, suite=suite, key=key, port=entry.getsockname()[1])
            entry.connect((opened.address, opened.port))
            client.add(entry.detach(), settings(suite, receive=key, send=key))


def _srtp(suite: Suite, key: bytes) -> SrtpKey:
    return SrtpKey(suite=suite, key=base64.b64encode(key).decode())


def _open(sfu: SfuProcess, room: str, wish: AnyTransport) -> Info:
    request = urllib.request.Request(
        f"{sfu.http_url}/node/v1/rooms/{room}/transports",
        msgspec.json.encode(wish),
        {"Authorization": f"Bearer {sfu.secret}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return msgspec.json.decode(answer.read(), type=Info)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"bench: the sfu did not open a transport: {error.read().decode()}") from error
