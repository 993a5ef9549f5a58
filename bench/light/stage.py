"""One sfu process with the light client: fills rooms, runs publishers and measures windows of time."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np

from bench.cores import pinned
from bench.engine import RECORDED, Frames
from bench.light.joining import Participant, join_all, leave_all
from bench.light.library import BUCKET_MS, LightClient, Performance, Totals
from bench.light.recording import evenly
from bench.report import end_progress, show_progress
from bench.sfu_process import Process, SfuProcess, running_sfu
from sfu.formats.codecs import Codec

AUDIO_BYTES = 120
AUDIO_EVERY_NS = 20_000_000
VIDEO_EVERY_NS = 33_333_333
LIVE = "Chromium-live"
"""The recorded stream of 1.2 Mbps at 28.6 frames/s: 187 packets/s with sound."""
LIVE_EVERY_NS = 34_940_000
DRAIN_SECONDS = 0.25
DRAIN_TRIES = 20
STEADY_SECONDS = 25.0
_LEAD_NS = 20_000_000


def recorded_frames(name: str = "Chromium") -> Frames:
    """Return the sizes of 720p frames in the recording `name` (see bench.record_frames)."""
    return msgspec.json.decode(RECORDED.read_bytes(), type=dict[str, Frames])[name]


@dataclass(frozen=True, slots=True)
class Window:
    """Counts over a period; `expected` is the packets that publishers sent, times the number of receivers.

    `all_cpu_seconds` includes the time until the last packet has arrived.
    """

    seconds: float
    cpu_seconds: float
    all_cpu_seconds: float
    totals: Totals
    latencies: np.ndarray
    expected: int

    @property
    def packets_per_second(self) -> float:
        return self.totals.media / self.seconds

    @property
    def packets_per_cpu_second(self) -> float:
        return self.totals.media / max(self.all_cpu_seconds, 1e-9)

    @property
    def cpu(self) -> float:
        """CPU use, in percent of a core."""
        return 100 * self.cpu_seconds / self.seconds

    @property
    def megabits_per_second(self) -> float:
        return self.totals.bytes * 8 / self.seconds / 1e6

    @property
    def loss(self) -> float:
        """Share of the expected packets that no receiver authenticated, in percent."""
        return max(0.0, 100 * (1 - self.totals.media / max(self.expected, 1)))

    @property
    def gaps(self) -> float:
        """Share of packets missing by seq, in percent: for rooms where the sfu chooses among many voices."""
        return max(0.0, 100 * self.totals.lost / max(self.totals.expected, 1))

    def latency(self, share: float) -> float:
        """Return the latency in ms that `share` of all packets do not exceed."""
        cumulated = np.cumsum(self.latencies.sum(axis=0))
        if cumulated[-1] == 0:
            return 0.0
        return float(np.searchsorted(cumulated, cumulated[-1] * share)) * BUCKET_MS


@dataclass(slots=True)
class Track:
    """A published track and its number of receivers."""

    source: int
    is_audio: bool
    frames: Frames
    video_every_ns: int = VIDEO_EVERY_NS

    def performance(self, begin_ns: int, slower: int = 1) -> Performance:
        every = AUDIO_EVERY_NS if self.is_audio else self.video_every_ns * slower
        return Performance([self.source], evenly(self.frames, every), begin_ns)


@dataclass(slots=True)
class Stage:
    """A room that is being filled. `tracks` is what everybody publishes; video is slowed down by `slower`."""

    sfu: SfuProcess
    client: LightClient
    room: str = "bench"
    participants: list[Participant] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)
    gives_feedback: bool = True
    slower: int = 1

    async def fill(self, count: int, *, at_once: int = 8) -> None:
        """Join more listeners, and show a progress bar."""
        if count > 0:
            self.participants += await join_all(
                self._participant, count, at_once=at_once, told=lambda done: show_progress("joining", done / count)
            )
            end_progress()

    async def publisher(self, *codecs: Codec, recorded: str = "Chromium") -> Participant:
        """Join a participant who publishes a track for each codec, video with recorded frame sizes."""
        joined = self._participant()
        await joined.join(publishes=True)
        sources = await joined.publish(*codecs)
        self.participants.append(joined)
        self.add_tracks(sources, *codecs, recorded=recorded)
        return joined

    def add_tracks(self, sources: Sequence[int], *codecs: Codec, recorded: str = "Chromium") -> None:
        """Register a published track for `perform`."""
        for source, codec in zip(sources, codecs, strict=True):
            frames = [[AUDIO_BYTES]] if codec.is_audio else recorded_frames(recorded)
            every = LIVE_EVERY_NS if recorded == LIVE else VIDEO_EVERY_NS
            self.tracks.append(Track(source, codec.is_audio, frames, every))

    def _participant(self) -> Participant:
        return Participant(self.client, self.sfu, self.room, gives_feedback=self.gives_feedback)

    async def perform(self, seconds: float) -> None:
        """Publish on all tracks for a time, with their starts spread."""
        now = time.monotonic_ns() + _LEAD_NS
        begins = [
            now + k * (AUDIO_EVERY_NS if track.is_audio else VIDEO_EVERY_NS) // len(self.tracks)
            for k, track in enumerate(self.tracks)
        ]
        performances = [track.performance(begin, self.slower) for track, begin in zip(self.tracks, begins, strict=True)]
        await asyncio.to_thread(self.client.perform, performances, now + int(seconds * 1e9))

    async def steady(self, receivers: float, share: float = 0.999, patience: float = STEADY_SECONDS) -> bool:
        """Publish until everybody receives a number of packets, so that links are estimated and keyframes requested.

        Returns False if that fails.
        """
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            window = await self.measure(1.0, receivers)
            if window.totals.media >= share * window.expected:
                return True
        return False

    async def measure(self, seconds: float, receivers: float) -> Window:
        """Publish for a time, and measure; packets in flight at the end are waited for."""
        return await observe(self.client, self.sfu, self.tracks, receivers, self.perform(seconds))

    async def saturate(self, seconds: float, receivers: int, keep_in_flight: int) -> Window:
        """Publish the last track as fast as all receive it, with at most `keep_in_flight` packets in flight."""
        return await saturate(
            self.client, self.sfu, self.tracks[-1], receivers, seconds=seconds, keep_in_flight=keep_in_flight
        )

    async def idle(self, seconds: float) -> float:
        """Return the sfu's CPU use in percent of a core while nobody publishes."""
        cpu, began = self.sfu.cpu_seconds(), time.monotonic()
        await asyncio.sleep(seconds)
        return 100 * (self.sfu.cpu_seconds() - cpu) / (time.monotonic() - began)


async def saturate(
    client: LightClient, process: Process, track: Track, receivers: int, *, seconds: float, keep_in_flight: int
) -> Window:
    """Publish a track as fast as all receivers get it."""
    performance = replace(track.performance(time.monotonic_ns()), keep_in_flight=keep_in_flight)
    until = time.monotonic_ns() + int(seconds * 1e9)
    performing = asyncio.to_thread(client.saturate, performance, receivers, until)
    return await observe(client, process, [track], receivers, performing)


async def observe(
    client: LightClient, process: Process, tracks: Sequence[Track], receivers: float, performing: Awaitable[None]
) -> Window:
    """Measure while `performing` runs; packets in flight at its end are waited for."""

    def sent() -> int:
        return sum(client.packets_sent(track.source) for track in tracks)

    sent_before = sent()
    totals, latencies = client.totals(), client.latencies()
    cpu, began = process.cpu_seconds(), time.monotonic()
    await performing
    spent, elapsed = process.cpu_seconds() - cpu, time.monotonic() - began
    await _drained(client)
    return Window(
        elapsed,
        spent,
        process.cpu_seconds() - cpu,
        client.totals().since(totals),
        client.latencies() - latencies,
        int((sent() - sent_before) * receivers),
    )


async def _drained(client: LightClient) -> None:
    """Wait until no more packets arrive."""
    before = -1
    for _ in range(DRAIN_TRIES):
        await asyncio.sleep(DRAIN_SECONDS)
        received = client.totals().media
        if received == before:
            return
        before = received


@contextlib.asynccontextmanager
async def stage(*, gives_feedback: bool = True, apart: bool = False, **settings: str) -> AsyncIterator[Stage]:
    """An sfu and a client for one case; `apart` gives the sfu a core to itself if the machine has several.

    Otherwise both move between cores, and the sfu pays for caches that the client has filled.
    """
    cores = sorted(os.sched_getaffinity(0))
    its_own, others = (cores[-1:], cores[:-1]) if apart and len(cores) > 1 else (cores, cores)
    with pinned(its_own), running_sfu(**settings) as sfu, pinned(others):
        client = LightClient()
        made = Stage(sfu, client, gives_feedback=gives_feedback)
        try:
            yield made
        finally:
            await leave_all(made.participants)
            client.close()
