"""The compiled half of the light client, built on first use and called through ctypes, which releases the GIL."""

import ctypes
import functools
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.light.recording import Burst, Recording
from sfu.engine.srtp import derive_key
from sfu.machines.dtls.srtp import DtlsKeys

BUCKETS = 50_000
BUCKET_MS = 0.01
AUDIO, VIDEO, RTX = 1, 2, 3
LAYERS = 3
_GCM = 7
_CM = 1


class _SessionKeys(ctypes.Structure):
    _fields_ = [
        (f"{kind}_{what}", ctypes.c_uint8 * size)
        for kind in ("rtp", "rtcp")
        for what, size in (("key", 16), ("salt", 16), ("auth", 20))
    ]


class _PeerSettings(ctypes.Structure):
    _fields_ = [
        ("receive", _SessionKeys),
        ("send", _SessionKeys),
        ("is_gcm", ctypes.c_uint8),
        ("gives_feedback", ctypes.c_uint8),
        ("gives_reports", ctypes.c_uint8),
        ("transport_seq_id", ctypes.c_uint8),
        ("kinds", ctypes.c_uint8 * 128),
        ("remb", ctypes.c_uint32),
        ("feedback_every", ctypes.c_int64),
        ("check_every", ctypes.c_int64),
        ("check", ctypes.c_uint8 * 256),
        ("check_key", ctypes.c_uint8 * 64),
        ("answer_key", ctypes.c_uint8 * 64),
        ("check_bytes", ctypes.c_int),
        ("check_key_bytes", ctypes.c_int),
        ("answer_key_bytes", ctypes.c_int),
        ("loss", ctypes.c_uint32),
        ("repair_rate", ctypes.c_uint32),
    ]


class _Track(ctypes.Structure):
    _fields_ = [
        ("ssrc", ctypes.c_uint32),
        ("rtx_ssrc", ctypes.c_uint32),
        ("payload_type", ctypes.c_uint8),
        ("rtx_payload_type", ctypes.c_uint8),
        ("is_video", ctypes.c_uint8),
        ("mid_id", ctypes.c_uint8),
        ("transport_seq_id", ctypes.c_uint8),
        ("audio_level_id", ctypes.c_uint8),
        ("rid_id", ctypes.c_uint8),
        ("rrid_id", ctypes.c_uint8),
        ("send_time_id", ctypes.c_uint8),
        ("red_payload_type", ctypes.c_uint8),
        ("has_temporal_layers", ctypes.c_uint8),
        ("width", ctypes.c_uint16),
        ("height", ctypes.c_uint16),
        ("mid", ctypes.c_char * 8),
        ("rid", ctypes.c_char * 8),
        ("clock_rate", ctypes.c_uint32),
    ]


class _Burst(ctypes.Structure):
    _fields_ = [
        ("at", ctypes.c_int64),
        ("first_size", ctypes.c_int),
        ("count", ctypes.c_int),
        ("layer", ctypes.c_uint8),
        ("begins", ctypes.c_uint8),
        ("ends", ctypes.c_uint8),
        ("temporal", ctypes.c_uint8),
    ]


class _Performance(ctypes.Structure):
    _fields_ = [
        ("layers", ctypes.c_void_p * LAYERS),
        ("sizes", ctypes.POINTER(ctypes.c_int)),
        ("bursts", ctypes.POINTER(_Burst)),
        ("key", ctypes.POINTER(_Burst)),
        ("burst_count", ctypes.c_int),
        ("key_count", ctypes.c_int),
        ("keep_in_flight", ctypes.c_int),
        ("period", ctypes.c_int64),
        ("begin", ctypes.c_int64),
        *((name, ctypes.c_int64) for name in ("_round", "_due", "_held_until", "_key_at", "_key_began")),
        *((name, ctypes.c_int) for name in ("_next", "_next_key", "_is_in_key")),
        *((name, ctypes.c_uint8 * LAYERS) for name in ("_is_open", "_is_skipped", "_is_key")),
        ("_timestamp", ctypes.c_uint32 * LAYERS),
    ]


class Totals(ctypes.Structure):
    """Sums over all peers. `lost` of the `expected` packets are missing by their seqs and not yet repaired; differences
    of `lost` can be negative, since repairs arrive late. `late_bursts` of the `bursts` left over 5 ms late.
    `shown` is the time (ns) in which the videos moved: packets came at most half a second apart."""

    NAMES = (
        "audio",
        "video",
        "repaired",
        "duplicates",
        "bytes",
        "unauthentic",
        "unexpected",
        "rtcp",
        "lost",
        "nacks",
        "expected",
        "feedback",
        "checks_answered",
        "lost_audio",
        "expected_audio",
        "repairs_sent",
        "repairs_refused",
        "bursts",
        "late_bursts",
        "shown",
    )
    _fields_ = [(name, ctypes.c_int64) for name in NAMES]

    def __getattr__(self, name: str) -> int:  # for type checkers: ctypes makes the attributes
        raise AttributeError(name)

    @property
    def media(self) -> int:
        """Media packets, without duplicates."""
        return int(self.audio + self.video)

    def since(self, before: "Totals") -> "Totals":
        """Return the increase since `before`."""
        return Totals(*(getattr(self, name) - getattr(before, name) for name in self.NAMES))


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """The state of a connected peer. `check` is a binding request without integrity and `check_key` its key;
    without a key no consent checks are sent.

    `kinds` maps payload types to AUDIO, VIDEO or RTX. `remb` is a bandwidth in bits/s to claim instead of sending
    feedback. `answer_key` is the integrity key of responses to the remote side's checks. `loss` is the share of
    datagrams that the link loses in each direction. `repair_rate` limits repairs, in bits/s; 0 means no limit.
    """

    keys: DtlsKeys
    check: bytes
    check_key: bytes
    kinds: dict[int, int]
    transport_seq_id: int = 0
    gives_feedback: bool = True
    gives_reports: bool = True
    remb: int = 0
    feedback_ms: int = 100
    check_ms: int = 5000
    answer_key: bytes = b""
    loss: float = 0.0
    repair_rate: int = 0


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """A published track; the id of an extension that is not sent is 0."""

    ssrc: int
    rtx_ssrc: int
    payload_type: int
    rtx_payload_type: int
    is_video: bool
    mid: str
    mid_id: int
    transport_seq_id: int
    audio_level_id: int
    clock_rate: int
    rid: str = ""
    rid_id: int = 0
    rrid_id: int = 0
    send_time_id: int = 0
    red_payload_type: int = 0
    has_temporal_layers: bool = False
    width: int = 1280
    height: int = 720


@dataclass(frozen=True, slots=True)
class Performance:
    """The media of a track: a repeated recording, and the sources of its layers, lowest first."""

    sources: Sequence[int]
    recording: Recording
    begin_ns: int
    keep_in_flight: int = 0


@functools.cache
def _library() -> ctypes.CDLL:
    compiler = shutil.which("cc")
    if compiler is None:
        raise SystemExit("bench: the light client needs a C compiler (cc)")
    folder = Path(__file__).parent
    with tempfile.TemporaryDirectory() as temporary:
        path = f"{temporary}/light.so"
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", path, str(folder / "client.c"), "-ldl", "-lpthread"]
        subprocess.run(command, check=True)
        library = ctypes.CDLL(path)
    pointer = ctypes.c_void_p
    for name, result, arguments in (
        ("client_new", pointer, []),
        ("client_add", pointer, [pointer, ctypes.c_int, ctypes.POINTER(_PeerSettings)]),
        ("client_learn", None, [pointer, pointer, ctypes.c_uint32, ctypes.c_uint32]),
        ("client_track", pointer, [pointer, pointer, ctypes.POINTER(_Track), ctypes.c_uint32]),
        ("client_remove", None, [pointer, pointer]),
        ("client_totals", None, [pointer, ctypes.POINTER(Totals)]),
        ("client_latencies", ctypes.POINTER(ctypes.c_uint64), [pointer]),
        ("client_first_packet", ctypes.c_int64, [pointer]),
        ("client_received", ctypes.c_uint64, [pointer]),
        ("client_run", None, [pointer]),
        ("client_stop", None, [pointer]),
        ("client_begin", None, [pointer, ctypes.POINTER(_Performance), ctypes.c_int]),
        ("client_end", None, [pointer, pointer]),
        ("client_play", None, [pointer]),
        ("client_rest", None, [pointer, ctypes.c_int]),
        ("client_speak", None, [pointer, ctypes.c_int]),
        ("client_perform", None, [pointer, ctypes.POINTER(_Performance), ctypes.c_int, ctypes.c_int64]),
        ("client_saturate", None, [pointer, ctypes.POINTER(_Performance), ctypes.c_int, ctypes.c_int64]),
        ("client_packets_sent", ctypes.c_uint64, [pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class LightClient:
    """Peers whose packets one thread receives and another thread sends, from construction to `close`."""

    def __init__(self) -> None:
        self._library = _library()
        self._client = self._library.client_new()
        if not self._client:
            raise SystemExit("bench: the light client needs libcrypto of OpenSSL 1.1 or later")
        self._threads = [
            threading.Thread(target=work, args=(self._client,), daemon=True)
            for work in (self._library.client_run, self._library.client_play)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop receiving. The memory of the C code is kept until the process ends."""
        self._library.client_stop(self._client)
        for thread in self._threads:
            thread.join()

    def add(self, descriptor: int, settings: PeerSettings) -> int:
        """Take ownership of a connected UDP socket's descriptor; return the peer."""
        entry = _PeerSettings(
            receive=_session_keys(settings.keys.profile, settings.keys.receive),
            send=_session_keys(settings.keys.profile, settings.keys.send),
            is_gcm=settings.keys.profile == _GCM,
            gives_feedback=settings.gives_feedback,
            gives_reports=settings.gives_reports,
            transport_seq_id=settings.transport_seq_id,
            remb=settings.remb,
            feedback_every=settings.feedback_ms * 1_000_000,
            check_every=settings.check_ms * 1_000_000,
            check_bytes=len(settings.check),
            check_key_bytes=len(settings.check_key),
            answer_key_bytes=len(settings.answer_key),
            loss=int(settings.loss * 0xFFFFFFFF),
            repair_rate=settings.repair_rate,
        )
        entry.answer_key[: len(settings.answer_key)] = settings.answer_key
        entry.check[: len(settings.check)] = settings.check
        entry.check_key[: len(settings.check_key)] = settings.check_key
        for payload_type, kind in settings.kinds.items():
            entry.kinds[payload_type] = kind
        return int(self._library.client_add(self._client, descriptor, ctypes.byref(entry)))

    def learn(self, peer: int, rtx_ssrc: int, ssrc: int) -> None:
        """Associate an RTX stream with the stream that it repairs."""
        self._library.client_learn(self._client, peer, rtx_ssrc, ssrc)

    def track(self, peer: int, settings: TrackSettings) -> int:
        """Add a track to a publishing peer; return its source."""
        texts = ("mid", "rid")
        names = [entry[0] for entry in _Track._fields_ if entry[0] not in texts]
        entry = _Track(
            **{name: int(getattr(settings, name)) for name in names},
            **{name: getattr(settings, name).encode() for name in texts},
        )
        return int(self._library.client_track(self._client, peer, ctypes.byref(entry), 100))

    def remove(self, peer: int) -> None:
        """Close a peer's socket and remove it; the totals keep its counts."""
        self._library.client_remove(self._client, peer)

    def totals(self) -> Totals:
        """Return the counts so far."""
        totals = Totals()
        self._library.client_totals(self._client, ctypes.byref(totals))
        return totals

    def latencies(self) -> "np.ndarray":
        """Return the latency histogram: rows for audio, video and repaired packets, columns of BUCKET_MS each."""
        pointer = self._library.client_latencies(self._client)
        return np.ctypeslib.as_array(pointer, shape=(3, BUCKETS)).copy()

    def first_packet_at(self, peer: int) -> int:
        """Return the arrival time of the first media packet, in ns of CLOCK_MONOTONIC; 0 if there was none."""
        return int(self._library.client_first_packet(peer))

    def received(self, peer: int) -> int:
        """Return the number of media packets that a peer has received."""
        return int(self._library.client_received(peer))

    def packets_sent(self, source: int) -> int:
        """Return the number of packets that a track has sent, without repairs."""
        return int(self._library.client_packets_sent(source))

    def begin(self, performance: Performance, *, first: int = 0) -> None:
        """Start publishing with a burst of the recording, until `end` is called or the peer is removed."""
        entry = _performance(performance)
        self._library.client_begin(self._client, ctypes.byref(entry), first)

    def end(self, peer: int) -> None:
        """Stop everything that a peer publishes since `begin`."""
        self._library.client_end(self._client, peer)

    def rest(self, source: int, *, rests: bool) -> None:
        """Pause a layer, or resume it with a keyframe."""
        self._library.client_rest(source, rests)

    def speak(self, source: int, level: int) -> None:
        """Set a microphone's audio level (RFC 6464): 0 to 127, which is silence."""
        self._library.client_speak(source, level)

    def perform(self, performances: Sequence[Performance], until_ns: int) -> None:
        """Publish until `until_ns` (CLOCK_MONOTONIC), in the caller's thread."""
        entries = (_Performance * len(performances))(*map(_performance, performances))
        self._library.client_perform(self._client, entries, len(performances), until_ns)

    def saturate(self, performance: Performance, subscribers: int, until_ns: int) -> None:
        """Publish one track as fast as all subscribers can receive it."""
        entry = _performance(performance)
        self._library.client_saturate(self._client, ctypes.byref(entry), subscribers, until_ns)


def _performance(performance: Performance) -> _Performance:
    recording = performance.recording
    sizes, bursts, key = _in_c(recording)
    entry = _Performance(
        sizes=sizes,
        bursts=bursts,
        key=key,
        burst_count=len(recording.bursts),
        key_count=len(recording.key),
        keep_in_flight=performance.keep_in_flight,
        period=recording.period_ns,
        begin=performance.begin_ns,
    )
    for layer, source in enumerate(performance.sources):
        entry.layers[layer] = source
    return entry


@functools.cache
def _in_c(recording: Recording) -> "tuple[ctypes.Array[ctypes.c_int], ctypes.Array[_Burst], ctypes.Array[_Burst]]":
    """Convert a recording to C arrays once; they are kept until the process ends, since C points to them."""
    sizes: list[int] = []

    def laid_out(bursts: Sequence[Burst]) -> "ctypes.Array[_Burst]":
        entries = (_Burst * len(bursts))()
        for entry, burst in zip(entries, bursts, strict=True):
            entry.at, entry.layer, entry.begins, entry.ends = burst.at_ns, burst.layer, burst.begins, burst.ends
            entry.temporal = burst.temporal
            entry.first_size, entry.count = len(sizes), len(burst.sizes)
            sizes.extend(burst.sizes)
        return entries

    bursts, key = laid_out(recording.bursts), laid_out(recording.key)
    return (ctypes.c_int * len(sizes))(*sizes), bursts, key


def _session_keys(profile: int, master: bytes) -> _SessionKeys:
    if profile not in (_GCM, _CM):
        raise ValueError(f"SRTP profile {profile} is not supported")
    key, salt = master[:16], master[16:]
    entry = _SessionKeys()
    for kind, label in (("rtp", 0), ("rtcp", 3)):
        for what, offset, size in (("key", 0, 16), ("auth", 1, 20), ("salt", 2, len(salt))):
            derived = derive_key(key, salt, label + offset, size)
            getattr(entry, f"{kind}_{what}")[:size] = derived
    return entry
