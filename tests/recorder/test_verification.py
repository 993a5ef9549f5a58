"""Signatures of manifests, and the verification of the signed files."""

import hashlib
from pathlib import Path

import msgspec
import pytest

from objects.directory import DirectoryStore
from objects.recording_keys import OperatorKeys
from objects.sealed_store import SealedStore
from recorder import layout, signing
from recorder.manifest import Manifest, write_manifest
from recorder.verification import Report, verify
from tests.recorder.test_compose import BLUE, camera_file, manifest_of, sound_file, track


def recorded(root: Path) -> signing.Signer:
    """A recording of a second, signed with this machine's key."""
    (root / "rec").mkdir()
    camera_file(root / "rec" / "cam.webm", BLUE, 1, [], size=(64, 48))
    sound_file(root / "rec" / "mic.webm", 1, [0.2])
    signer = signing.load_or_create(root / signing.DEFAULT_NAME)
    write_manifest(root / "rec", hashed(root), signer.sign)
    return signer


def hashed(root: Path) -> Manifest:
    tracks = []
    for one in (track("cam", "ada", "camera", 0, 1000), track("mic", "ada", "microphone", 0, 1000)):
        data = (root / one.files[0].key).read_bytes()
        file = msgspec.structs.replace(one.files[0], bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        tracks.append(msgspec.structs.replace(one, files=[file]))
    return manifest_of(1000, *tracks)


def checked(root: Path, key: bytes | None = None) -> Report:
    trusted = key or signing.public_key(root / signing.DEFAULT_NAME)
    return verify(SealedStore(DirectoryStore(root), OperatorKeys()), "rec", trusted)


def test_a_recording_as_it_was_finished_holds(tmp_path: Path) -> None:
    recorded(tmp_path)
    report = checked(tmp_path)
    assert report.holds and report.signature == "valid"
    assert [(file.frames, file.problems) for file in report.files] == [(25, []), (51, [])]
    assert (tmp_path / signing.DEFAULT_NAME).stat().st_mode & 0o777 == 0o600
    signing.load_or_create(tmp_path / signing.DEFAULT_NAME)
    assert checked(tmp_path).holds, "the key stays the same"


def test_what_was_changed_is_found(tmp_path: Path) -> None:
    signer = recorded(tmp_path)
    video = tmp_path / "rec" / "cam.webm"
    data = bytearray(video.read_bytes())
    data[-20] ^= 1
    video.write_bytes(data)
    (tmp_path / "rec" / "mic.webm").unlink()
    report = checked(tmp_path)
    assert report.signature == "valid" and not report.holds
    assert any("SHA-256" in problem for problem in report.files[0].problems)
    assert report.files[1].problems == ["is missing"]
    # An attacker can adapt the manifest but cannot sign it.
    other = signing.load_or_create(tmp_path / "other.pem")
    video.write_bytes(data + b"\0")
    sound_file(tmp_path / "rec" / "mic.webm", 1, [0.5])
    changed = hashed(tmp_path)
    write_manifest(tmp_path / "rec", changed)
    assert checked(tmp_path).signature == "invalid"
    write_manifest(tmp_path / "rec", changed, other.sign)
    assert checked(tmp_path).signature == "unknown key" and not checked(tmp_path).holds
    assert checked(tmp_path, signing.public_key(tmp_path / "other.pem")).signature == "valid"
    (tmp_path / "rec" / layout.SIGNATURE_NAME).unlink()
    assert checked(tmp_path).signature == "missing"
    write_manifest(tmp_path / "rec", changed, signer.sign)
    assert checked(tmp_path).signature == "valid"


@pytest.mark.parametrize("content", [b"", b"{}", b'{"algorithm":"Ed25519","key":"AA==","signature":"!"}'])
def test_a_broken_signature_is_invalid(content: bytes) -> None:
    assert signing.check(b"manifest", content, None)[0] == "invalid"
