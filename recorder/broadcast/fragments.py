"""Fragmented MP4 (ISO/IEC 14496-12) for HLS: the initialization section, and the parts of growing segments.

FFmpeg's muxer decides by itself when a fragment ends; parts of low-latency HLS must end when they are due.
"""

import struct
from typing import NamedTuple

from foundation.media_units import Unit, UnitKind
from sfu.formats import h264

VIDEO_SCALE = 90_000
AUDIO_SCALE = 48_000
AAC_SAMPLES = 1024
_VIDEO, _AUDIO = 1, 2
_SYNC, _NO_SYNC = 0x02000000, 0x01010000
_MATRIX = struct.pack("!9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_DEFAULT_BASE_IS_MOOF = 0x020000
_DEFAULT_DURATION, _DEFAULT_FLAGS = 0x08, 0x20
_OFFSET, _DURATIONS, _SIZES, _FLAGS = 0x001, 0x100, 0x200, 0x400


class Part(NamedTuple):
    """A fragment of a segment: `segment` and `number` count from 0. `independent` ones begin with a keyframe; after
    the `last` one of a segment comes a keyframe. `end` is its end in µs since the broadcast's zero.
    """

    segment: int
    number: int
    data: bytes
    seconds: float
    independent: bool
    last: bool
    end: int


def box(kind: bytes, *content: bytes) -> bytes:
    """Return an MP4 box."""
    data = b"".join(content)
    return struct.pack("!I", 8 + len(data)) + kind + data


def full(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    """Return an MP4 box with version and flags."""
    return box(kind, struct.pack("!I", version << 24 | flags), *content)


def initialization(avcc: bytes, audio: bytes) -> bytes:
    """Return the initialization section. `avcc` and `audio` are the codecs' setup records."""
    sps = avcc[8 : 8 + int.from_bytes(avcc[6:8], "big")]
    width, height = h264.picture_size(sps)
    header = full(b"mvhd", 0, 0, struct.pack("!IIII", 0, 0, 1000, 0), struct.pack("!IHHQ", 0x10000, 0x100, 0, 0),
                  _MATRIX, bytes(24), struct.pack("!I", 3))  # fmt: skip
    size = struct.pack("!II", width << 16, height << 16)
    seen, heard = full(b"vmhd", 0, 1, bytes(8)), full(b"smhd", 0, 0, bytes(4))
    video = _track(_VIDEO, _About(b"vide", VIDEO_SCALE, size, 0, seen, _avc1(avcc, width, height)))
    sound = _track(_AUDIO, _About(b"soun", AUDIO_SCALE, bytes(8), 0x0100, heard, _mp4a(audio)))
    extends = box(b"mvex", *(full(b"trex", 0, 0, struct.pack("!5I", track, 1, 0, 0, 0)) for track in (_VIDEO, _AUDIO)))
    return box(b"ftyp", b"iso6", bytes(4), b"iso6cmfcmp41") + box(b"moov", header, video, sound, extends)


class _Content(NamedTuple):
    """The units of a fragment. The pictures end at `end` (µs)."""

    video: list[Unit]
    audio: list[Unit]
    end: int


class _About(NamedTuple):
    """Fields of a track's `trak` box, and the boxes in it."""

    kind: bytes
    scale: int
    size: bytes
    volume: int
    media: bytes
    entry: bytes


def _track(track: int, about: _About) -> bytes:
    kind, scale, size, volume, media, entry = about
    place = struct.pack("!IIIIIQHHHH", 0, 0, track, 0, 0, 0, 0, 0, volume, 0)
    reference = box(b"dinf", full(b"dref", 0, 0, struct.pack("!I", 1), full(b"url ", 0, 1)))
    empty = [full(kind, 0, 0, bytes(4)) for kind in (b"stts", b"stsc")]
    table = box(b"stbl", full(b"stsd", 0, 0, struct.pack("!I", 1), entry), *empty,
                full(b"stsz", 0, 0, bytes(8)), full(b"stco", 0, 0, bytes(4)))  # fmt: skip
    return box(b"trak", full(b"tkhd", 0, 3, place, _MATRIX, size),
               box(b"mdia", full(b"mdhd", 0, 0, struct.pack("!IIIIHH", 0, 0, scale, 0, 0x55C4, 0)),
                   full(b"hdlr", 0, 0, bytes(4), kind, bytes(13)), box(b"minf", media, reference, table)))  # fmt: skip


def _avc1(avcc: bytes, width: int, height: int) -> bytes:
    shape = struct.pack("!HHIIHI", width, height, 0x480000, 0x480000, 0, 1)
    return box(b"avc1", bytes(6), struct.pack("!H", 1), bytes(16), shape, bytes(32), struct.pack("!Hh", 24, -1),
               box(b"avcC", avcc))  # fmt: skip


def _mp4a(audio: bytes) -> bytes:
    """Return the sample entry of AAC, with the descriptors of ISO/IEC 14496-1."""
    decoder = b"\x04" + bytes((15 + 2 + len(audio),)) + b"\x40\x15" + bytes(11) + b"\x05" + bytes((len(audio),)) + audio
    inner = bytes((0, _AUDIO, 0)) + decoder + b"\x06\x01\x02"
    sound = struct.pack("!HHIHHHHI", 0, 0, 0, 2, 16, 0, 0, AUDIO_SCALE << 16)
    return box(b"mp4a", bytes(6), struct.pack("!H", 1), sound,
               full(b"esds", 0, 0, b"\x03" + bytes((len(inner),)) + inner))  # fmt: skip


class Fragmenter:
    """Cuts media into parts of about `seconds`; every keyframe begins a segment."""

    def __init__(self, seconds: float) -> None:
        self._part_us = round(seconds * 1_000_000)
        self._video: list[Unit] = []
        self._audio: list[Unit] = []
        self._segment = -1
        self._number = 0
        self._sequence = 0

    def put(self, unit: Unit) -> Part | None:
        """Add a unit; return the part that was complete before it. Units before the first keyframe are dropped."""
        if unit.kind is UnitKind.AUDIO and (self._video or self._segment >= 0):
            self._audio.append(unit)
        if unit.kind is not UnitKind.VIDEO or (self._segment < 0 and not unit.keyframe):
            return None
        part = None
        if self._video and (unit.keyframe or unit.us - self._video[0].us >= self._part_us - 1000):
            part = self._cut(unit.us, last=unit.keyframe)
        if unit.keyframe:
            self._segment, self._number = self._segment + 1, 0
        self._video.append(unit)
        return part

    def _cut(self, end: int, *, last: bool) -> Part:
        video = self._video
        content = _Content(video, self._audio, end)
        self._video, self._audio = [], []
        self._sequence += 1
        part = Part(
            self._segment, self._number, _fragment(self._sequence, content), (end - video[0].us) / 1_000_000,
            video[0].keyframe, last, end,
        )  # fmt: skip
        self._number += 1
        return part


def _fragment(sequence: int, content: _Content) -> bytes:
    """Return moof and mdat."""
    pictures, sounds = (b"".join(one.data for one in units) for units in (content.video, content.audio))
    start = len(_moof(sequence, content, 0, 0)) + 8
    return _moof(sequence, content, start, start + len(pictures)) + box(b"mdat", pictures, sounds)


def _moof(sequence: int, content: _Content, at: int, sound_at: int) -> bytes:
    """Return moof; pictures begin at the offset `at` from its start, and sound at `sound_at`."""
    tracks = [_video_run(content.video, content.end, at)]
    tracks += [_audio_run(content.audio, sound_at)] if content.audio else []
    return box(b"moof", full(b"mfhd", 0, 0, struct.pack("!I", sequence)), *tracks)


def _video_run(video: list[Unit], end: int, at: int) -> bytes:
    times = [one.us * VIDEO_SCALE // 1_000_000 for one in video] + [end * VIDEO_SCALE // 1_000_000]
    rows = b"".join(
        struct.pack("!III", times[index + 1] - times[index], len(one.data), _SYNC if one.keyframe else _NO_SYNC)
        for index, one in enumerate(video)
    )
    head = full(b"tfhd", 0, _DEFAULT_BASE_IS_MOOF, struct.pack("!I", _VIDEO))
    run = full(b"trun", 0, _OFFSET | _DURATIONS | _SIZES | _FLAGS, struct.pack("!II", len(video), at), rows)
    return box(b"traf", head, full(b"tfdt", 1, 0, struct.pack("!Q", max(0, times[0]))), run)


def _audio_run(audio: list[Unit], at: int) -> bytes:
    first = round(audio[0].us * AUDIO_SCALE / 1_000_000)
    head = full(
        b"tfhd", 0, _DEFAULT_BASE_IS_MOOF | _DEFAULT_DURATION | _DEFAULT_FLAGS,
        struct.pack("!III", _AUDIO, AAC_SAMPLES, _SYNC),
    )  # fmt: skip
    sizes = b"".join(struct.pack("!I", len(one.data)) for one in audio)
    run = full(b"trun", 0, _OFFSET | _SIZES, struct.pack("!II", len(audio), at), sizes)
    return box(b"traf", head, full(b"tfdt", 1, 0, struct.pack("!Q", max(0, first))), run)
