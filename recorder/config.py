"""Configuration of the recorder process: plain values. Only the `parley` package reads flags and files."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from foundation.part_tls import PartTls
from objects.recording_keys import OperatorKeys
from objects.s3_config import S3Config

SEAL_SECONDS = 10.0
"""Time in seconds for a stopping recorder to seal open segments on a slow disk; `docker stop` waits as long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecorderConfig:
    """Settings of one recorder process.

    `sink_socket` is the sfu's SEQPACKET socket; `recordings_dir` is created if it is missing. Facts go to
    `control_url`, control's internal listener, with `node_secret`; if it is "", none are sent, and `rescan` finds the
    recordings.

    `repair_wait_ms` is the maximum time to wait for a lost packet before its frame is dropped, `sync_ms` the interval
    of fdatasync. If an attached sfu has not announced a recording for `abandoned_seconds`, the recording is considered
    ended, and is finished as partial.
    """

    sink_socket: Path
    other_sink_sockets: tuple[Path, ...] = ()
    """The sockets of other sfu processes on this machine, between which rooms may move."""
    recordings_dir: Path
    s3: S3Config | None = None
    """The store to which recordings are uploaded as they are made; `recordings_dir` has the part not yet uploaded."""
    keep_segments_hours: float = 24.0
    """The time during which a finished recording can continue; afterwards its segments are deleted."""
    films_at_once: int = 0
    """The number of films made at the same time; 0 is half the number of cores, -1: film workers make them."""
    films_while_recording: bool = True
    """Begin films while their recordings run, where cores are free."""
    signing_key: Path | None = None
    """The private key that signs manifests; by default one below `recordings_dir`, created if it is missing."""
    operator_keys: OperatorKeys = field(default=OperatorKeys(), repr=False)
    """The keys that wrap the keys of encrypted recordings."""
    instance: str = "recorder-1"
    control_url: str = ""
    node_secret: str = field(default="", repr=False)
    tls: PartTls | None = None
    repair_wait_ms: int = 1000
    sync_ms: int = 250
    cut_after_seconds: float = 10.0
    ask_after_seconds: float = 30.0
    abandoned_seconds: float = 120.0

    @property
    def most_films(self) -> int:
        """The number of films made at the same time; negative if film workers make them."""
        return self.films_at_once or max(1, len(os.sched_getaffinity(0)) // 2)
