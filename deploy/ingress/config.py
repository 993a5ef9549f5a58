"""Configuration of the ingress process: plain values. Only the `parley` package reads flags and files."""

from dataclasses import dataclass, field
from pathlib import Path

from foundation.part_tls import PartTls


@dataclass(frozen=True, kw_only=True, slots=True)
class IngressConfig:
    """Settings of one ingress process.

    At the address `host`, RTMP is served on `rtmp_port`, RTMPS on `rtmps_port` and SRT on `srt_port` (UDP), unless they
    are -1. At most `streams` streams are accepted at the same time; 0 is the number of cores. Video is sent with at
    most `height` lines. `browser` is the program that opens web pages, at most `pages` at the same time; 0 is one for
    each two cores.
    """

    instance: str
    control_url: str
    node_secret: str = field(repr=False)
    tls: PartTls | None = None
    host: str = "127.0.0.1"
    rtmp_port: int = 1935
    rtmps_port: int = -1
    srt_port: int = -1
    certificate: Path | None = None
    private_key: Path | None = None
    streams: int = 0
    height: int = 720
    browser: str | None = None
    pages: int = 0
