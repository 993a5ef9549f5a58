"""Records the sizes of frames that Chromium and Firefox send at 720p and 30 per second, for replay by the benchmarks.

`python -m bench.record_frames [NAME…]` needs root (network namespaces, a packet socket), the browsers, and half a
minute for each. A page in the browser sends moving noise to itself at a fixed bit rate, and a packet socket captures
it. It updates the given entries of bench/fixtures/recorded_frames.json: the sizes in bytes of the SRTP packets of each
of the last 150 video frames. NAME is Chromium, Firefox (both 2.5 Mbps) or Chromium-live (1.05 Mbps).
"""

import asyncio
import socket
import sys
import time
from collections import defaultdict

import msgspec

from bench.drifting_picture import DRIFTING
from bench.engine import RECORDED, Frames
from tests.support.bidi import firefox
from tests.support.chromium import FULL_RATE, chromium, open_page
from tests.support.namespaces import in_namespace, network

SECONDS = 14
KEPT_FRAMES = 150
_ETH_P_ALL = 3  # other protocols do not include outgoing packets
_ETH_P_IP = 0x0800
# Coarse moving noise, so that every frame costs bits.
_CALL = (
    """(async () => {
  const track = ("""
    + DRIFTING
    + """)(160, 90, 7);
  const [near, far] = window.call = [new RTCPeerConnection(), new RTCPeerConnection()];
  near.onicecandidate = ({candidate}) => candidate && far.addIceCandidate(candidate);
  far.onicecandidate = ({candidate}) => candidate && near.addIceCandidate(candidate);
  const encoding = {maxBitrate: BITRATE, maxFramerate: 30};
  const sending = near.addTransceiver(track, {direction: 'sendonly', sendEncodings: [encoding]});
  const codecs = RTCRtpSender.getCapabilities('video').codecs;
  sending.setCodecPreferences(codecs.filter((codec) => ['video/VP8', 'video/rtx'].includes(codec.mimeType)));
  await near.setLocalDescription();
  await far.setRemoteDescription(near.localDescription);
  await far.setLocalDescription();
  await near.setRemoteDescription(far.localDescription);
  const parameters = sending.sender.getParameters();
  parameters.degradationPreference = 'maintain-resolution';
  await sending.sender.setParameters(parameters);
  return true;
})()"""
)


def main() -> None:
    recording = {
        "Chromium": lambda: _chromium(2_500_000),
        "Firefox": lambda: _firefox(2_500_000),
        "Chromium-live": lambda: _chromium(1_050_000),
    }
    recorded = msgspec.json.decode(RECORDED.read_bytes(), type=dict[str, Frames])
    for name in sys.argv[1:] or recording:
        frames = recorded[name] = asyncio.run(recording[name]())
        packets, size = sum(map(len, frames)), sum(map(sum, frames))
        print(f"{name}: {len(frames)} frames of {packets / len(frames):.1f} packets, {size / len(frames):.0f} bytes")
    RECORDED.write_bytes(msgspec.json.encode(recorded) + b"\n")


async def _chromium(bits_per_second: int) -> Frames:
    with network(1) as net:
        sniffer = _sniffer(net.hosts[0].name)
        async with chromium(
            net.hosts[0].prefix, [FULL_RATE, "--disable-features=WebRtcHideLocalIpsWithMdns"], whole=True
        ) as browser:
            page = await open_page(browser, "about:blank")
            await page.evaluate(_call(bits_per_second))
            await asyncio.to_thread(time.sleep, SECONDS)
        return _frames(sniffer)


async def _firefox(bits_per_second: int) -> Frames:
    with network(1) as net:
        sniffer = _sniffer(net.hosts[0].name)
        prefs = {"media.peerconnection.ice.obfuscate_host_addresses": False}
        async with firefox(net.hosts[0].prefix, prefs) as browser:
            await browser.evaluate(_call(bits_per_second))
            await asyncio.to_thread(time.sleep, SECONDS)
        return _frames(sniffer)


def _call(bits_per_second: int) -> str:
    return _CALL.replace("BITRATE", str(bits_per_second))


def _sniffer(namespace: str) -> socket.socket:
    sniffer = in_namespace(
        namespace, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    )
    sniffer.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
    sniffer.setblocking(False)
    return sniffer


def _frames(sniffer: socket.socket) -> Frames:
    """Return the last frames of the busiest outgoing video stream, except one that may be cut off."""
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
    return list(busiest.values())[-KEPT_FRAMES - 1 : -1]


def _is_rtp(data: bytes) -> bool:
    return len(data) > 12 and data[0] >> 6 == 2 and not 192 <= data[1] <= 223


if __name__ == "__main__":
    main()
