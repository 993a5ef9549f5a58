"""Plain SRTP receivers: keys and addresses are given over the sfu's node API, nothing is negotiated or answered."""

import base64
import secrets
import socket
import urllib.error
import urllib.request

import msgspec

from bench.light.library import VIDEO, LightClient, PeerSettings
from bench.sfu_process import SfuProcess
from sfu.api.join_token import Source
from sfu.api.plain_transport import SendTransport, SrtpKey, Suite, TransportInfo
from sfu.machines.dtls_srtp import DtlsKeys

PAYLOAD_TYPE = 96
_PROFILES: dict[Suite, tuple[int, int]] = {"AEAD_AES_128_GCM": (7, 28), "AES_CM_128_HMAC_SHA1_80": (1, 30)}


def receive_plainly(client: LightClient, sfu: SfuProcess, room: str, of: str, *, suite: Suite, count: int) -> list[int]:
    """Let the sfu send participant `of`'s camera to `count` receivers; returns their peers."""
    return [_receiver(client, sfu, room, of, suite) for _ in range(count)]


def _receiver(client: LightClient, sfu: SfuProcess, room: str, of: str, suite: Suite) -> int:
    profile, size = _PROFILES[suite]
    key = secrets.token_bytes(size)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as entry:
        entry.bind(("127.0.0.1", 0))
        wish = SendTransport(
            participant=f"plain-{secrets.token_hex(6)}",
            of=of,
            source=Source.CAMERA,
            address="127.0.0.1",
            port=entry.getsockname()[1],
            payload_type=PAYLOAD_TYPE,
            srtp=SrtpKey(suite=suite, key=base64.b64encode(key).decode()),
            keyframe_seconds=0,
        )
        opened = _open(sfu, room, wish)
        entry.connect((opened.address, opened.port))
        entry.setblocking(False)
        keys = DtlsKeys(profile, receive=key, send=key)
        settings = PeerSettings(keys, b"", b"", {PAYLOAD_TYPE: VIDEO}, gives_feedback=False, gives_reports=False)
        return client.add(entry.detach(), settings)


def _open(sfu: SfuProcess, room: str, wish: SendTransport) -> TransportInfo:
    request = urllib.request.Request(
        f"{sfu.http_url}/node/v1/rooms/{room}/transports",
        msgspec.json.encode(wish),
        {"Authorization": f"Bearer {sfu.secret}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return msgspec.json.decode(answer.read(), type=TransportInfo)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"bench: the sfu opens no transport: {error.read().decode()}") from error
