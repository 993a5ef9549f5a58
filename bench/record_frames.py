"""Record the sizes of frames that Chromium and Firefox send in a call: what `bench engine` replays.

`python -m bench.record_frames` needs root (network namespaces, a packet socket), both browsers, and about a minute. It
writes bench/fixtures/recorded_frames.json: per browser, the sizes in bytes of the SRTP packets of each video frame.
"""

import asyncio
import random
import socket
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import msgspec

from bench.engine import RECORDED, Frames
from parley.client import Api
from tests.e2e.test_browsers_meet import join_by_page
from tests.support.bidi import firefox
from tests.support.chromium import chromium, open_page
from tests.support.namespaces import Network, in_namespace, network
from tests.support.server import running_server

SECONDS = 20
SKIPPED_FRAMES = 120
KEPT_FRAMES = 150
_ETH_P_ALL = 3  # others do not see what leaves
_ETH_P_IP = 0x0800
_PASSWORD = "correct horse battery staple"


def main() -> None:
    with network(2) as net, running_server(net.server_prefix) as server:
        recorded = asyncio.run(_record(server.https_port, server.setup_token, net))
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.write_bytes(msgspec.json.encode(recorded) + b"\n")
    for browser, frames in recorded.items():
        packets = sum(map(len, frames))
        print(f"{browser}: {len(frames)} frames, {packets / len(frames):.1f} packets a frame")


async def _record(port: int, setup_token: str, net: Network) -> dict[str, Frames]:
    sniffers = {name: _sniffer(net.hosts[k].name) for k, name in enumerate(("Chromium", "Firefox"))}
    with tempfile.TemporaryDirectory() as folder:
        noise = Path(folder) / "noise.y4m"
        _write_noise(noise)
        async with Api(f"https://{net.server_address}:{port}", verify_tls=False) as admin:
            await admin.set_up(setup_token, "admin", _PASSWORD)
            meeting = await admin.create_meeting("Recorded")
            addresses = [f"https://{host.server_address}:{port}/m/{meeting}" for host in net.hosts]
            flags = [f"--use-file-for-fake-video-capture={noise}"]
            async with chromium(net.hosts[0].prefix, flags) as browser, firefox(net.hosts[1].prefix) as other:
                page = await open_page(browser, addresses[0])
                await join_by_page(page, "Ada")
                await other.navigate(addresses[1])
                await other.until("document.querySelector('input[name=name]') !== null")
                await other.evaluate(
                    "(() => { const n = document.querySelector('input[name=name]'); n.value = 'Frida';"
                    " n.dispatchEvent(new Event('input', {bubbles: true}));"
                    " document.querySelector('#join').click(); })()"
                )
                await asyncio.to_thread(time.sleep, SECONDS)
    return {name: _frames(sniffer) for name, sniffer in sniffers.items()}


def _sniffer(namespace: str) -> socket.socket:
    sniffer = in_namespace(
        namespace, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    )
    sniffer.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
    sniffer.setblocking(False)
    return sniffer


def _write_noise(path: Path) -> None:
    """A 640×360 clip that no encoder can make small: coarse noise, moving."""
    dice = random.Random(1)
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H360 F30:1 Ip A1:1 C420jpeg\n")
        for _ in range(20):
            rows = [dice.randbytes(80) for _ in range(45)]
            luma = b"".join(b"".join(bytes([value]) * 8 for value in row) * 8 for row in rows)
            file.write(b"FRAME\n" + luma + bytes([128]) * (640 * 360 // 2))


def _frames(sniffer: socket.socket) -> Frames:
    """Return the frames of the busiest video stream that left this host."""
    streams: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    while True:
        try:
            packet, address = sniffer.recvfrom(65_536)
        except BlockingIOError:
            break
        if address[1] != _ETH_P_IP:
            continue
        header = (packet[0] & 0x0F) * 4
        udp = packet[header + 8 :]
        if address[2] == socket.PACKET_OUTGOING and packet[9] == socket.IPPROTO_UDP and _is_rtp(udp):
            ssrc, timestamp = int.from_bytes(udp[8:12], "big"), int.from_bytes(udp[4:8], "big")
            streams[ssrc][timestamp].append(len(udp))
    sniffer.close()
    busiest = max(streams.values(), key=lambda frames: sum(map(sum, frames.values())))
    frames = list(busiest.values())
    return frames[SKIPPED_FRAMES : SKIPPED_FRAMES + KEPT_FRAMES] or frames


def _is_rtp(data: bytes) -> bool:
    return len(data) > 12 and data[0] >> 6 == 2 and not 192 <= data[1] <= 223


if __name__ == "__main__":
    main()
