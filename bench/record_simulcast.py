"""`python -m bench.record_simulcast`: records how Chromium sends a camera in three layers, for `bench rooms`.

It needs Chromium, root (for a packet socket) and a quiet minute. A page publishes drifting blobs to our sfu over
WHIP, which never pauses layers, and a packet socket captures them. It writes bench/fixtures/recorded_simulcast.json
(see bench.light.recording): ten seconds of all three layers with the times of their packets and the temporal layers of
their frames, their first frames, and the sizes of sound packets.
"""

import asyncio
import json
import socket
import struct
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from bench.drifting_picture import DRIFTING
from bench.light.joining import Participant
from bench.light.library import LightClient
from bench.light.recording import RECORDED_SIMULCAST
from bench.sfu_process import SfuProcess, running_sfu
from tests.support.chromium import FULL_RATE, LOOPBACK_FLAG, chromium, open_page

GROW_SECONDS = 30
KEPT_SECONDS = 10
RATES = {"q": 150_000, "h": 500_000, "f": 1_700_000}
_BURST_NS = 400_000
"""Packets closer together than this left the pacer together."""
_ETH_P_ALL = 3
_SO_TIMESTAMPNS = 35
# Temporal layers are encrypted in packets, so encoded frames pass a worker that notes them.
_NOTES = """onrtctransform = async ({transformer}) => {
  const writer = transformer.writable.getWriter();
  for await (const frame of transformer.readable) {
    const {synchronizationSource, rtpTimestamp, temporalIndex} = frame.getMetadata();
    postMessage([synchronizationSource, rtpTimestamp, temporalIndex ?? 0]);
    await writer.write(frame);
  }
}"""
# Drifting blobs, which every layer can encode at its rate; with fine noise, small layers would drop most frames.
_OFFER = (
    """async ([rates, notes]) => {
  const camera = ("""
    + DRIFTING
    + """)(40, 23, 3);
  const [microphone] = (await navigator.mediaDevices.getUserMedia({audio: true})).getAudioTracks();
  const peer = window.call = new RTCPeerConnection();
  peer.addTransceiver(microphone, {direction: 'sendonly'});
  const encoding = ([rid, maxBitrate], at) => ({rid, maxBitrate, scaleResolutionDownBy: 4 / 2 ** at});
  const sendEncodings = Object.entries(rates).map(encoding);
  const sending = peer.addTransceiver(camera, {direction: 'sendonly', sendEncodings});
  const worker = new Worker(URL.createObjectURL(new Blob([notes])));
  window.noted = [];
  worker.onmessage = ({data}) => window.noted.push(data);
  sending.sender.transform = new RTCRtpScriptTransform(worker);
  const codecs = RTCRtpSender.getCapabilities('video').codecs;
  sending.setCodecPreferences(codecs.filter((one) => ['video/VP8', 'video/rtx'].includes(one.mimeType)));
  await peer.setLocalDescription();
  await new Promise((resolve) => {
    peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && resolve();
  });
  return peer.localDescription.sdp;
}"""
)
_ANSWER = "(sdp) => window.call.setRemoteDescription({type: 'answer', sdp})"
_STATISTICS = """async () => [...(await window.call.getStats()).values()].filter((one) => one.type === 'outbound-rtp')
  .map(({ssrc, rid, kind}) => ({ssrc, rid: rid || '', kind}))"""


@dataclass(frozen=True, slots=True)
class Sent:
    """A sent packet: its time (ns), stream, frame and size."""

    at: int
    ssrc: int
    timestamp: int
    size: int


class Sniffer:
    """Captures RTP to a port on loopback until it is stopped."""

    def __init__(self, port: int) -> None:
        self.packets: list[Sent] = []
        self._port = port
        self._stopped = False
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind(("lo", _ETH_P_ALL))
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._stopped:
            try:
                packet, ancillary, _, address = self._socket.recvmsg(65_536, 64)
            except TimeoutError:
                continue
            header = (packet[0] & 0x0F) * 4
            udp = packet[header + 8 :]
            if (
                address[2] == socket.PACKET_OUTGOING
                and packet[9] == socket.IPPROTO_UDP
                and int.from_bytes(packet[header + 2 : header + 4], "big") == self._port
                and len(udp) > 12
                and udp[0] >> 6 == 2
                and not 192 <= udp[1] <= 223
            ):
                seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
                timestamp, ssrc = struct.unpack_from("!II", udp, 4)
                self.packets.append(Sent(seconds * 1_000_000_000 + nanoseconds, ssrc, timestamp, len(udp)))


def main() -> None:
    packets, streams, asked_at, noted = asyncio.run(_record())
    layers = {str(one["rid"]): int(one["ssrc"]) for one in streams if one["kind"] == "video"}
    (sound,) = [one["ssrc"] for one in streams if one["kind"] == "audio"]
    by_ssrc = {ssrc: [packet for packet in packets if packet.ssrc == ssrc] for ssrc in (*layers.values(), sound)}
    key = {rid: _largest_frame(by_ssrc[layers[rid]], asked_at) for rid in RATES}
    begin = max(frame[-1].at for frame in key.values()) + 500_000_000
    end = begin + KEPT_SECONDS * 1_000_000_000
    keys = {rid: _bursts(key[rid], key[rid][0].at) for rid in RATES}
    bursts = {rid: _bursts(_whole_frames(by_ssrc[layers[rid]], begin, end), begin) for rid in RATES}
    temporal = {rid: _temporal(by_ssrc[layers[rid]], begin, end, noted) for rid in RATES}
    recorded = {
        "period_us": KEPT_SECONDS * 1_000_000,
        "audio": [packet.size for packet in by_ssrc[sound] if begin <= packet.at < end],
        "key": keys,
        "layers": bursts,
        "temporal": temporal,
    }
    for rid in RATES:
        sizes = [size for burst in bursts[rid] for size in burst[2:]]
        key_sizes = [size for burst in keys[rid] for size in burst[2:]]
        frames = len({burst[1] for burst in bursts[rid]})
        lowest = sum(len(burst) - 2 for burst in bursts[rid] if temporal[rid][burst[1]] == 0)
        print(
            f"{rid}: {sum(sizes) * 8 / KEPT_SECONDS / 1000:.0f} kbit/s, {len(sizes) / KEPT_SECONDS:.0f} packets/s,"
            f" {frames} frames, {lowest / KEPT_SECONDS:.0f} packets/s in the lowest temporal layer;"
            f" it begins with {len(key_sizes)} packets, {sum(key_sizes)} bytes"
        )
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}" for name, value in recorded.items()
    )
    RECORDED_SIMULCAST.write_text("{" + lines + "}\n")


Noted = dict[tuple[int, int], int]
"""Temporal layers of frames, by SSRC and timestamp."""


async def _record() -> tuple[list[Sent], list[dict[str, str]], int, Noted]:
    with running_sfu() as sfu:
        sniffer = Sniffer(sfu.udp_port)
        client = LightClient()
        async with chromium(flags=[LOOPBACK_FLAG, FULL_RATE], whole=True) as browser:
            page = await open_page(browser, f"{sfu.http_url}/health")
            offer = await page.evaluate(_OFFER, [RATES, _NOTES])
            await page.evaluate(_ANSWER, await asyncio.to_thread(_whip, sfu, offer))
            await asyncio.sleep(GROW_SECONDS)
            asked_at = time.time_ns()
            watcher = Participant(client, sfu, "room")
            await watcher.join()
            await asyncio.sleep(KEPT_SECONDS + 5)
            streams: list[dict[str, str]] = await page.evaluate(_STATISTICS)
            noted = {(ssrc, at): layer for ssrc, at, layer in await page.evaluate("() => window.noted")}
            await watcher.abandon()
        client.close()
        sniffer.stop()
    return sniffer.packets, streams, asked_at, noted


def _whip(sfu: SfuProcess, offer: str) -> str:
    token = sfu.control.token("room", "p-chromium", publishes=True)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    request = urllib.request.Request(f"{sfu.http_url}/whip", offer.encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        said: bytes = answer.read()
    return said.decode()


def _frames(packets: list[Sent]) -> Iterator[list[Sent]]:
    frames: dict[int, list[Sent]] = defaultdict(list)
    for packet in packets:
        frames[packet.timestamp].append(packet)
    yield from frames.values()


def _largest_frame(packets: list[Sent], since: int) -> list[Sent]:
    """Return the keyframe that was requested at `since`."""
    soon = [frame for frame in _frames(packets) if since <= frame[0].at < since + 3_000_000_000]
    return max(soon, key=lambda frame: sum(packet.size for packet in frame))


def _whole_frames(packets: list[Sent], begin: int, end: int) -> list[Sent]:
    return [packet for frame in _frames(packets) if begin <= frame[0].at < end for packet in frame]


def _temporal(packets: list[Sent], begin: int, end: int, noted: Noted) -> list[int]:
    """Return the temporal layer of each frame, in the order of `_bursts`."""
    frames = [frame for frame in _frames(packets) if begin <= frame[0].at < end]
    return [noted[frame[0].ssrc, frame[0].timestamp] for frame in frames]


def _bursts(packets: list[Sent], begin: int) -> list[list[int]]:
    """Return [µs since `begin`, frame number, sizes…] of packets sent together."""
    bursts: list[list[int]] = []
    frame, last = -1, None
    for packet in packets:
        is_new = last is None or packet.timestamp != last.timestamp
        frame += is_new
        if is_new or (last is not None and packet.at - last.at > _BURST_NS):
            bursts.append([(packet.at - begin) // 1000, frame])
        bursts[-1].append(packet.size)
        last = packet
    return bursts


if __name__ == "__main__":
    main()
