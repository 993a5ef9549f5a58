"""FFmpeg on plain RTP, in separate processes.

`send PORT SECONDS KIND PAYLOAD_TYPE [SRTP_KEY]` sends VP8 ("video", brightening), Opus ("audio", a tone) or PCMU
("phone", the same tone), with a key, through a relay that protects it, since PyAV cannot pass options to FFmpeg's srtp
protocol. `receive SDP_FILE FRAMES` decodes that many frames and prints, as JSON, the mean of each image or block.
"""

import base64
import json
import socket
import sys
import threading
import time

import av
import numpy as np
from pylibsrtp import Policy, Session

RATE = 30
WHITELIST = "file,rtp,udp,srtp,crypto"


def send(port: int, seconds: float, kind: str, payload_type: str, key: str | None) -> None:
    if key is not None:
        port = _relay(port, base64.b64decode(key))
    url = f"rtp://127.0.0.1:{port}?rtcpport={port}"
    with av.open(url, mode="w", format="rtp", options={"payload_type": payload_type}) as output:
        if kind == "video":
            _video(output, seconds)
        elif kind == "phone":
            _audio(output.add_stream("pcm_mulaw", rate=8000, layout="mono"), output, seconds)
        else:
            _audio(output.add_stream("libopus", rate=48000, layout="stereo"), output, seconds)


def _relay(port: int, key: bytes) -> int:
    """Return a port whose packets are protected and forwarded to `port`."""
    near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    near.bind(("127.0.0.1", 0))
    session = Session(Policy(key, Policy.SSRC_ANY_OUTBOUND, 0, Policy.SRTP_PROFILE_AES128_CM_SHA1_80))

    def forward() -> None:
        while True:
            data = near.recv(2000)
            is_rtcp = 192 <= data[1] <= 223
            near.sendto(session.protect_rtcp(data) if is_rtcp else session.protect(data), ("127.0.0.1", port))

    threading.Thread(target=forward, daemon=True).start()
    return int(near.getsockname()[1])


def _video(output: av.container.OutputContainer, seconds: float) -> None:
    options = {"deadline": "realtime", "cpu-used": "8", "auto-alt-ref": "0", "lag-in-frames": "0"}
    stream = output.add_stream("libvpx", rate=RATE, options=options)
    stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
    stream.codec_context.gop_size = RATE
    stream.bit_rate = 300_000
    begun = time.monotonic()
    for number in range(int(seconds * RATE)):
        picture = np.full((180, 320, 3), 40 + number % 150, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        output.mux(stream.encode(frame))
        time.sleep(max(0.0, begun + number / RATE - time.monotonic()))


def _audio(stream: av.AudioStream, output: av.container.OutputContainer, seconds: float) -> None:
    rate, layout = stream.rate, stream.layout.name
    block_size = rate // 50
    tone = (np.sin(np.arange(block_size) * 2 * np.pi * 500 / rate) * 8000).astype(np.int16)
    sound = np.repeat(tone, stream.channels).reshape(1, -1)
    begun = time.monotonic()
    for number in range(int(seconds * 50)):
        block = av.AudioFrame.from_ndarray(sound, format="s16", layout=layout)
        block.sample_rate = rate
        block.pts = number * block_size
        output.mux(stream.encode(block))
        time.sleep(max(0.0, begun + number / 50 - time.monotonic()))


def receive(sdp: str, frames: int) -> None:
    options = {"protocol_whitelist": WHITELIST, "sdp_flags": "rtcp_to_source", "max_delay": "100000"}
    means: list[float] = []
    with av.open(sdp, format="sdp", options=options) as source:
        for frame in source.decode():
            if isinstance(frame, av.VideoFrame):
                means.append(float(frame.to_ndarray(format="gray8").mean()))
            else:
                means.append(float(np.abs(frame.to_ndarray()).mean()))
            if len(means) >= frames:
                break
    print(json.dumps(means))


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], sys.argv[5], sys.argv[6] if len(sys.argv) > 6 else None)
    else:
        receive(sys.argv[2], int(sys.argv[3]))
