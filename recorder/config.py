"""Configuration of the recorder process: plain values. Only the `parley` package reads flags and files."""

from dataclasses import dataclass, field
from pathlib import Path

from objects.s3_config import S3Config

SEAL_SECONDS = 10.0
"""Time for a stopped recorder to seal open segments on a slow disk; `docker stop` waits as long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecorderConfig:
    """Settings of one recorder process.

    `sink_socket` is the sfu's SEQPACKET socket; `recordings_dir` is created if it is missing. Facts go to
    `control_url`, control's internal listener, with `node_secret`; with "" none are sent, and `rescan` finds the
    recordings.

    `repair_wait_ms` is how long a lost packet may take to be repaired before its frame is given up, `sync_ms` the pace
    of fdatasync. A recording that an attached sfu has not announced for `abandoned_seconds` has ended without an
    announcement, and is finished as partial.
    """

    sink_socket: Path
    other_sink_sockets: tuple[Path, ...] = ()
    """The sockets of other sfu processes on this machine; rooms may move between them."""
    recordings_dir: Path
    s3: S3Config | None = None
    """The store to which recordings go as they are made; `recordings_dir` holds what is not there yet."""
    keep_segments_hours: float = 24.0
    """The time in which a finished recording can be continued; then its segments are deleted."""
    films_at_once: int = 0
    """The number of films made at the same time; 0 is half the number of cores."""
    signing_key: Path | None = None
    """The private key that signs manifests; by default one below `recordings_dir`, created if it is missing."""
    instance: str = "recorder-1"
    control_url: str = ""
    node_secret: str = field(default="", repr=False)
    repair_wait_ms: int = 1000
    sync_ms: int = 250
    cut_after_seconds: float = 10.0
    ask_after_seconds: float = 30.0
    abandoned_seconds: float = 120.0
