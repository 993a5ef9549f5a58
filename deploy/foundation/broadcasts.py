"""Messages between control and a recorder about a broadcast.

    POST /internal/v1/broadcasts/{id}/report  BroadcastReport -> BroadcastOrders

A recorder reports every second while it runs a broadcast. With `held` false it must stop: the broadcast is over, or
another recorder has taken it.
"""

from typing import Literal, NamedTuple
from urllib.parse import parse_qs, urlencode

import msgspec

from foundation.film_options import FilmOptions

OutputKind = Literal["rtmp", "hls", "srt"]
OutputPhase = Literal["waiting", "connecting", "live", "retrying"]
LIVE_PREFIX = "_live/"
"""Prefix of HLS segments in the store of recordings, followed by the recorder and the output."""
LIVE_PATH = "/api/v1/live/"
"""Path of HLS outputs in the REST API, followed by the watch key."""
PLAYLIST = "live.m3u8"


SRT_LATENCY_MS, MAX_SRT_LATENCY_MS = 500, 8000
MIN_PASSPHRASE, MAX_PASSPHRASE, MAX_STREAM_ID = 10, 79, 512
"""SRT's limits, in bytes."""


class SrtSecrets(NamedTuple):
    """The secrets of an SRT output."""

    stream_id: str = ""
    passphrase: str = ""


def srt_secrets(known: SrtSecrets) -> str:
    """Return secrets as the key of an output."""
    return urlencode({"streamid": known.stream_id, "passphrase": known.passphrase})


def read_srt_secrets(key: str) -> SrtSecrets:
    """Return the secrets in the key of an output."""
    found = parse_qs(key)
    return SrtSecrets(found.get("streamid", [""])[0], found.get("passphrase", [""])[0])


class OutputOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A target. `key` is an RTMP server's stream key, or an SRT output's secrets.

    With `private`, the address may be in a private network.
    """

    id: str
    kind: OutputKind
    url: str = ""
    key: str = ""
    private: bool = False

    def __repr__(self) -> str:
        """Return the address without its key, for logs."""
        return f"OutputOrder({self.id!r}, {self.kind!r})"


class OutputState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a target. `since` is when the phase began (Unix ms), `error` the latest problem.

    `delay_ms` is the time from capture to delivery; `dropped` counts pictures, and packets of SRT, that could not be
    delivered in time.
    """

    phase: OutputPhase
    since: int
    bits_per_second: int = 0
    dropped: int = 0
    delay_ms: int = 0
    attempts: int = 0
    error: str = ""


class BroadcastReport(msgspec.Struct, frozen=True, kw_only=True):
    """A recorder's report. `instance` is the recorder's name in LIVE_PREFIX. `placement` is the epoch under which its
    node holds the room; of two recorders, the one with the higher epoch wins.

    `pictures` counts pictures made since the start, `left_out` those left out for lack of time.
    """

    instance: str
    placement: int
    people: int = 0
    pictures: int = 0
    left_out: int = 0
    problem: str = ""
    outputs: dict[str, OutputState] = {}


class BroadcastOrders(msgspec.Struct, frozen=True, kw_only=True):
    held: bool
    film: FilmOptions = FilmOptions()
    bits: int = 2_500_000
    outputs: list[OutputOrder] = []
