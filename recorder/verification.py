"""Verification of a finished recording: its signature, and the hash, decoding, length and gaps of each file."""

import hashlib
import os
from itertools import pairwise
from typing import BinaryIO

import av
import msgspec

from objects.sealed_format import NotAuthentic
from objects.sealed_store import SealedStore
from objects.store import read_all
from recorder import layout, signing
from recorder.compose.images import DECODERS
from recorder.manifest import Manifest, ManifestFile, ManifestTrack, decode_manifest

_LENGTH_MS = 100
_PIECE = 1 << 20


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """Findings in a file. `start_ms` is its position in the recording, `gap_ms` its longest gap."""

    key: str
    who: str
    codec: str
    start_ms: int
    duration_ms: int
    frames: int
    gap_ms: int
    problems: list[str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Findings in a recording. `signed_by` is the fingerprint of the key that signed it."""

    recording: str
    state: str
    duration_ms: int
    signature: signing.Verdict
    signed_by: str
    files: list[FileReport]
    problems: list[str]

    @property
    def holds(self) -> bool:
        """True if the recording is unchanged: nothing is missing or modified, and the signature is valid."""
        return self.signature == "valid" and not any(file.problems for file in self.files)


def verify(store: SealedStore, recording: str, trusted: bytes | None) -> Report:
    """Check a recording. Raises OSError, also if it has no manifest; ValueError if the manifest cannot be read."""
    name = layout.identifier(recording)
    data = read_all(store, f"{name}/{layout.MANIFEST_NAME}")
    try:
        signature = read_all(store, f"{name}/{layout.SIGNATURE_NAME}")
    except FileNotFoundError:
        signature = None
    verdict, key = signing.check(data, signature, trusted)
    manifest = decode_manifest(data)
    return Report(
        recording=recording,
        state=manifest.state,
        duration_ms=manifest.duration_ms,
        signature=verdict,
        signed_by=signing.fingerprint(key) if key else "",
        files=[_check(store, track, file) for track in manifest.tracks for file in track.files],
        problems=_of_all(manifest),
    )


def _of_all(manifest: Manifest) -> list[str]:
    """Return the problems listed in the manifest."""
    lost = sum(track.lost_packets for track in manifest.tracks)
    return [*manifest.problems, *([f"{lost} packets never reached the server"] if lost else [])]


def _check(store: SealedStore, track: ManifestTrack, file: ManifestFile) -> FileReport:
    problems: list[str] = []
    times: list[float] = []
    try:
        with store.open(file.key) as content:
            problems = _differences(content, file)
            times, undecodable = _decoded(content, file, track)
    except FileNotFoundError:
        problems.append("is missing")
    except (av.FFmpegError, IndexError, NotAuthentic) as error:
        problems.append(f"cannot be read: {error}")
    else:
        if undecodable:
            problems.append(f"{undecodable} frames cannot be decoded")
        if track.media == "video" and len(times) + undecodable != file.frames:
            problems.append(f"has {len(times) + undecodable} frames, not {file.frames}")
    gaps = [later - earlier for earlier, later in pairwise(times)]
    length = round(times[-1] - times[0]) if times else 0
    if times and length > file.duration_ms + _LENGTH_MS:
        problems.append(f"is {length} ms long, not {file.duration_ms}")
    return FileReport(
        key=file.key,
        who=f"{track.name or track.participant}: {track.source}",
        codec=file.codec,
        start_ms=file.start_ms,
        duration_ms=file.duration_ms,
        frames=len(times),
        gap_ms=round(max(gaps, default=0)),
        problems=problems,
    )


def _differences(content: BinaryIO, file: ManifestFile) -> list[str]:
    """Return how a file differs from the manifest."""
    if (size := content.seek(0, os.SEEK_END)) != file.bytes:
        return [f"has {size} bytes, not {file.bytes}"]
    content.seek(0)
    digest = hashlib.sha256()
    while data := content.read(_PIECE):
        digest.update(data)
    changed = digest.hexdigest() != file.sha256
    return ["has a different SHA-256 than the manifest"] if changed else []


def _decoded(content: BinaryIO, file: ManifestFile, track: ManifestTrack) -> tuple[list[float], int]:
    """Decode a file completely; return the times of its frames in ms, and the number that failed."""
    times: list[float] = []
    undecodable = 0
    content.seek(0)
    with av.open(content, options={"protocol_whitelist": "file"}) as container:
        assert isinstance(container, av.container.InputContainer)
        stream = container.streams.video[0] if track.media == "video" else container.streams.audio[0]
        decoder = av.CodecContext.create(DECODERS.get(file.codec, stream.codec_context.name), "r")
        assert isinstance(decoder, av.VideoCodecContext | av.AudioCodecContext)
        decoder.extradata = stream.codec_context.extradata
        for packet in container.demux(stream):
            if not packet.size or packet.pts is None or packet.time_base is None:
                continue
            try:
                decoder.decode(packet)
            except av.FFmpegError:
                undecodable += 1
            else:
                times.append(float(packet.pts * packet.time_base) * 1000)
    return sorted(times), undecodable
