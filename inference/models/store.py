"""The directory of models: the lookup of models, and the verification of their files.

`{models_dir}/{name}/{version}-r{recipe}/` holds a model's files and model.json. That is written last, so a directory
that contains it is complete. model.json lists the files with size and SHA-256.
"""

import asyncio
import hashlib
from pathlib import Path

import msgspec

from inference.models.archive import sha256
from inference.models.catalogue import Model

MANIFEST = "model.json"
_POLL_SECONDS = 2.0


class StoredFile(msgspec.Struct, frozen=True):
    name: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """The content of model.json."""

    name: str
    version: str
    recipe: int
    licence: str
    origin: str
    files: tuple[StoredFile, ...]


def directory(models_dir: Path, model: Model) -> Path:
    """Return the path of `model`, whether or not it is there yet."""
    return models_dir / model.name / f"{model.version}-r{model.recipe}"


def find(models_dir: Path, model: Model) -> Path | None:
    """Return the model's directory if it is complete (a cheap check of the manifest alone)."""
    path = directory(models_dir, model)
    return path if (path / MANIFEST).is_file() else None


async def appears(models_dir: Path, model: Model) -> Path:
    """Wait until `model` was fetched; return its directory."""
    while True:
        if (found := find(models_dir, model)) is not None:
            return found
        await asyncio.sleep(_POLL_SECONDS)


def commit(path: Path, model: Model) -> Manifest:
    """Write the manifest of the files in `path`, which makes the model available."""
    listed = tuple(
        StoredFile(entry.name, entry.stat().st_size, sha256(entry))
        for entry in sorted(path.iterdir())
        if entry.name != MANIFEST
    )
    manifest = Manifest(model.name, model.version, model.recipe, model.licence, model.origin, listed)
    partial = path / (MANIFEST + ".partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    partial.replace(path / MANIFEST)
    return manifest


def problems(models_dir: Path, model: Model) -> list[str]:
    """Return the faults of a stored model, by file; empty if every byte is as built."""
    path = directory(models_dir, model)
    try:
        manifest = msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        return ["not fetched"]
    except ValueError as error:
        return [f"{path / MANIFEST}: {error}"]
    found = []
    for file in manifest.files:
        try:
            digest = sha256(path / file.name)
        except OSError as error:
            found.append(f"{path / file.name}: {error.strerror}")
            continue
        if digest != file.sha256:
            found.append(f"{path / file.name}: SHA-256 is {digest}, expected {file.sha256}")
    return found


def identity(path: Path) -> str:
    """Return a short identifier of a model's exact files for captions: name, version, first digits of the hash."""
    raw = (path / MANIFEST).read_bytes()
    manifest = msgspec.json.decode(raw, type=Manifest)
    digest = hashlib.sha256("".join(file.sha256 for file in manifest.files).encode()).hexdigest()
    return f"{manifest.name}-{manifest.version}+{digest[:8]}"
