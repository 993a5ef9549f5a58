"""The same SRTP load at any SFU that has plain RTP transports, ours beside the others that are installed.

One publisher sends Chromium's recorded frames to N plain receivers as fast as all of them authenticate what came. What
counts is packets per CPU second of the process that forwards, kernel included; the median of several rounds.
mediasoup is looked for in $MEDIASOUP_DIR, a folder in which `npm install mediasoup` was run. Janus forwards to plain
receivers without a state of theirs (rtp_forward), which is no subscriber: it has no adapter here.
"""

import asyncio
import base64
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.light import plain
from bench.light.library import LightClient, TrackSettings
from bench.light.stage import Track, Window, recorded_frames, saturate
from bench.report import Report, progress
from bench.sfu_process import Missing, Process, SfuProcess, running_sfu
from sfu.api.plain_transport import Suite

SUITES: tuple[Suite, ...] = ("AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80")
IN_FLIGHT = 96
MEDIASOUP_DIR = "MEDIASOUP_DIR"


class Forwarder(Protocol):
    """An SFU under load: a publisher's far end, then receivers'."""

    @property
    def process(self) -> Process:
        """An SFU that forwards."""
        ...

    def publish(self, suite: Suite, key: bytes, ssrc: int) -> tuple[str, int]:
        """Take a camera (VP8, payload type 96) protected with `key`; returns where to send it."""
        ...

    def subscribe(self, suite: Suite, key: bytes, port: int) -> plain.Opened:
        """Send that camera to 127.0.0.1:`port`; `key` is what the receiver would protect with."""
        ...


@dataclass(frozen=True, slots=True)
class Parley:
    """Ours."""

    process: SfuProcess
    room: str = "peers"
    publisher: str = "p-publisher"

    def publish(self, suite: Suite, key: bytes, ssrc: int) -> tuple[str, int]:
        return plain.open_publisher(self.process, self.room, self.publisher, suite=suite, key=key, ssrc=ssrc)

    def subscribe(self, suite: Suite, key: bytes, port: int) -> plain.Opened:
        return plain.open_receiver(self.process, self.room, self.publisher, suite=suite, key=key, port=port)


class Mediasoup:
    """A worker of mediasoup's, driven through bench/mediasoup.mjs."""

    def __init__(self, driver: "subprocess.Popen[str]") -> None:
        self._driver = driver
        hello = self._read()
        self.process = Process(hello["pid"])

    def publish(self, suite: Suite, key: bytes, ssrc: int) -> tuple[str, int]:
        answer = self._ask(kind="publish", suite=suite, key=base64.b64encode(key).decode(), ssrc=ssrc)
        return "127.0.0.1", answer["port"]

    def subscribe(self, suite: Suite, key: bytes, port: int) -> plain.Opened:
        answer = self._ask(kind="subscribe", suite=suite, key=base64.b64encode(key).decode(), port=port)
        return plain.Opened("127.0.0.1", answer["port"], base64.b64decode(answer["key"]), answer["payloadType"])

    def _ask(self, **wish: Any) -> Any:
        assert self._driver.stdin is not None
        self._driver.stdin.write(json.dumps(wish) + "\n")
        self._driver.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._driver.stdout is not None
        line = self._driver.stdout.readline()
        if not line:
            raise Missing(f"mediasoup's worker (mediasoup-worker) does not start from {os.environ[MEDIASOUP_DIR]}")
        return json.loads(line)


@contextmanager
def parley() -> Iterator[Forwarder]:
    with running_sfu() as sfu:
        yield Parley(sfu)


@contextmanager
def mediasoup() -> Iterator[Forwarder]:
    node, folder = shutil.which("node"), os.environ.get(MEDIASOUP_DIR, "")
    if node is None:
        raise Missing("node (Node.js)")
    if not (Path(folder) / "node_modules" / "mediasoup").is_dir() or not folder:
        raise Missing(f"mediasoup (npm install mediasoup, then {MEDIASOUP_DIR}=that folder)")
    script = Path(__file__).parent / "mediasoup.mjs"
    command = [node, str(script), str(Path(folder).absolute())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        try:
            yield Mediasoup(driver)
        finally:
            driver.terminate()


FORWARDERS: dict[str, Callable[[], AbstractContextManager[Forwarder]]] = {"Parley": parley, "mediasoup": mediasoup}


def run(*, quick: bool) -> Report:
    """Measure 1 → 100 on every SFU that is here; those that are not are named."""
    report = Report()
    count, rounds, seconds = (50, 1, 2.0) if quick else (100, 5, 5.0)
    absent: dict[str, str] = {}
    for name, suite in progress([(name, suite) for name in FORWARDERS for suite in SUITES], "peers"):
        if name in absent:
            continue
        try:
            with FORWARDERS[name]() as forwarder:
                windows = asyncio.run(_load(forwarder, suite, count, rounds=rounds, seconds=seconds))
        except Missing as missing:
            absent[name] = str(missing)
            continue
        windows.sort(key=lambda window: window.packets_per_cpu_second)
        median = windows[rounds // 2]
        case = f"{name}, 1 → {count}, {suite}"
        report.add(case, "packets per CPU second", median.packets_per_cpu_second, "1/s")
        report.add(case, "loss", median.loss, "%")
    for name, what in absent.items():
        print(f"peers: {name} is not measured, for want of {what}", file=sys.stderr)
    return report


async def _load(forwarder: Forwarder, suite: Suite, count: int, *, rounds: int, seconds: float) -> list[Window]:
    client = LightClient()
    source = _publish(client, forwarder, suite)
    for _ in range(count):
        _subscribe(client, forwarder, suite)
    track = Track(source, False, recorded_frames())
    await saturate(client, forwarder.process, track, count, seconds=1.0, keep_in_flight=IN_FLIGHT)
    windows = [
        await saturate(client, forwarder.process, track, count, seconds=seconds, keep_in_flight=IN_FLIGHT)
        for _ in range(rounds)
    ]
    client.close()
    return windows


def _publish(client: LightClient, forwarder: Forwarder, suite: Suite) -> int:
    key, ssrc = secrets.token_bytes(plain.KEY_BYTES[suite]), secrets.randbits(31) | 1
    address = forwarder.publish(suite, key, ssrc)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as entry:
        entry.bind(("127.0.0.1", 0))
        entry.connect(address)
        peer = client.add(entry.detach(), plain.settings(suite, receive=key, send=key))
    track = TrackSettings(
        ssrc=ssrc,
        rtx_ssrc=0,
        payload_type=plain.PAYLOAD_TYPE,
        rtx_payload_type=0,
        is_video=True,
        mid="",
        mid_id=0,
        transport_seq_id=0,
        audio_level_id=0,
        clock_rate=90_000,
    )
    return client.track(peer, track)


def _subscribe(client: LightClient, forwarder: Forwarder, suite: Suite) -> None:
    key = secrets.token_bytes(plain.KEY_BYTES[suite])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as entry:
        entry.bind(("127.0.0.1", 0))
        opened = forwarder.subscribe(suite, key, entry.getsockname()[1])
        entry.connect((opened.address, opened.port))
        settings = plain.settings(suite, receive=opened.key, send=key, payload_type=opened.payload_type)
        client.add(entry.detach(), settings)
