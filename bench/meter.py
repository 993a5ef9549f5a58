"""Measurements of a server and its clients over a period: CPU, packets, latency, loss."""

import resource
import time
from dataclasses import dataclass

import numpy as np

from bench.light.crowd import Crowd
from bench.light.library import BUCKET_MS, LightClient, Totals
from bench.sfu_process import Process


@dataclass(frozen=True, slots=True)
class Stretch:
    """Counts of clients and sfu over a period."""

    seconds: float
    user: float
    kernel: float
    engine: float
    client: float
    totals: Totals
    latencies: np.ndarray
    wanted_video: float
    wanted_tiles: int
    resident: int

    @property
    def cpu(self) -> float:
        """Share of a core, in percent."""
        return 100 * (self.user + self.kernel) / self.seconds

    @property
    def loss(self) -> float:
        """Share of packets missing among those received, in percent."""
        return max(0.0, 100 * self.totals.lost / max(self.totals.expected, 1))

    @property
    def sound_loss(self) -> float:
        """The same share for sound."""
        return max(0.0, 100 * self.totals.lost_audio / max(self.totals.expected_audio, 1))

    @property
    def delivered(self) -> float:
        """Received video packets, in percent of those that the tiles request."""
        return 100 * self.totals.video / max(self.wanted_video * self.seconds, 1)

    @property
    def moving(self) -> float:
        """Share of the tiles that moved, in percent, at any frame rate."""
        return 100 * self.totals.shown / 1e9 / max(self.wanted_tiles * self.seconds, 1)

    @property
    def late(self) -> float:
        """Share of packets that publishers sent over 5 ms late, in percent: the client was overloaded."""
        return 100 * self.totals.late_bursts / max(self.totals.bursts, 1)

    def latency(self, share: float) -> float:
        """Return the quantile `share` of the added latency in ms, without retransmitted packets and the first half
        second of each video.
        """
        return latency(self.latencies, share)


def latency(latencies: "np.ndarray", share: float) -> float:
    """Return the quantile `share` of a client's latencies in ms, without retransmitted packets and the first half
    second of each video.
    """
    cumulated = np.cumsum(latencies[:2].sum(axis=0))
    return float(np.searchsorted(cumulated, cumulated[-1] * share)) * BUCKET_MS if cumulated[-1] else 0.0


class Meter:
    """Reads all counters, and returns their increase since the last reading."""

    def __init__(self, client: LightClient, process: Process, *crowds: Crowd) -> None:
        self._crowds = crowds
        self._client, self._sfu = client, process
        self._before = self._read()

    def _read(self) -> tuple[float, tuple[float, float], float, float, Totals, np.ndarray]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return (
            time.monotonic(),
            self._sfu.cpu_times(),
            self._sfu.metrics().get("parley_sfu_engine_seconds_total", 0.0),
            usage.ru_utime + usage.ru_stime,
            self._client.totals(),
            self._client.latencies(),
        )

    def read(self) -> Stretch:
        """Return the counts since the last reading."""
        before, now = self._before, self._read()
        self._before = now
        return Stretch(
            now[0] - before[0],
            now[1][0] - before[1][0],
            now[1][1] - before[1][1],
            now[2] - before[2],
            now[3] - before[3],
            now[4].since(before[4]),
            now[5] - before[5],
            sum(crowd.wanted_per_second()[0] for crowd in self._crowds),
            sum(crowd.wanted_tiles() for crowd in self._crowds),
            self._sfu.resident_bytes(),
        )
