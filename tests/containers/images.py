"""Images without a registry: a base made with debootstrap, and stand-ins for third-party images under their names.

They are built from Debian's packages and PyPI, some from what `make real` got (`_PROGRAMS`). They match the originals
in user, volumes, ports, arguments and signals.
Names and tags are read from the Compose files, so a new tag there needs no change here. Programs in no package registry
are left out (`WITHOUT`): Grafana, Loki and Alloy.
"""

import contextlib
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.containers.daemon import DockerDaemon
from tests.support.real_programs import found

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMPOSE = ROOT / "deploy" / "compose"
SUITE = "trixie"
WITHOUT = ("grafana", "loki", "alloy")
_ALIKE = {"nginx-unprivileged": "nginx"}
_PROGRAMS = {"jaeger": ("jaeger",), "kafka": ("kafka",), "mongo": ("ferretdb", "mongosh")}
"""Programs and folders that images contain and no package has."""
_FILES = "parley.files"
"""The label of an image that says what it was built from."""
TRITON = "parley-triton:on-the-cpu"


def named_in_compose() -> list[str]:
    """Return the third-party images that the Compose files name."""
    text = "".join(path.read_text() for path in sorted(COMPOSE.glob("compose*.yaml")))
    return sorted({image for image in re.findall(r"^ *image: *([^ #\n]+)", text, re.M) if not image.startswith("$")})


def base_of_product() -> str:
    """Return the image that the product's own is built from."""
    found = re.search(r"^ARG PYTHON=(\S+)", (ROOT / "deploy" / "docker" / "Dockerfile").read_text(), re.M)
    assert found
    return found[1]


def make_images(daemon: DockerDaemon) -> None:
    """Build each image that is missing or whose folder has changed."""
    base = f"base:{SUITE}"
    if not daemon.run("image", "ls", "-q", base).strip():
        _make_base(daemon, base)
    python = base_of_product()
    build(daemon, python, HERE / "images" / "python")
    for image in named_in_compose():
        name = image.rpartition("/")[2].partition(":")[0]
        folder = HERE / "images" / _ALIKE.get(name, name)
        if folder.is_dir():
            with _with_programs(folder) as context:
                build(daemon, image, context, "--build-arg", f"PYTHON={python}")
    build(daemon, TRITON, HERE / "images" / "triton", "--build-arg", f"PYTHON={python}")


@contextlib.contextmanager
def _with_programs(folder: Path) -> Iterator[Path]:
    """Return an image's folder; a copy of it with the programs inside if it needs some."""
    names = _PROGRAMS.get(folder.name, ())
    if not names:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="parley-image-") as place:
        context = Path(shutil.copytree(folder, place, dirs_exist_ok=True))
        for name in names:
            program = found(name)
            assert program is not None, f"{name} is missing: see `make real`"
            if program.is_dir():
                shutil.copytree(program, context / name, symlinks=True)
            else:
                shutil.copy2(program, context)
        yield context


def build(daemon: DockerDaemon, tag: str, folder: Path, *more: str) -> None:
    """Build an image, unless there is one of the same files, since even Docker's cache takes a busy machine long."""
    files = _digest(folder, *more)
    if daemon.run("image", "ls", "--quiet", "--filter", f"reference={tag}", "--filter", f"label={_FILES}={files}"):
        return
    daemon.run("build", "--quiet", "--tag", tag, "--label", f"{_FILES}={files}", *more, str(folder), seconds=900)


def _digest(folder: Path, *more: str) -> str:
    """Return a digest of what an image is built from."""
    found = hashlib.sha256("\0".join(more).encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _make_base(daemon: DockerDaemon, tag: str) -> None:
    with tempfile.TemporaryDirectory(prefix="parley-base-", dir=daemon.home) as place:
        archive = Path(place) / "base.tar"
        with archive.open("wb") as output:
            subprocess.run(["sh", HERE / "base.sh", place, SUITE], stdout=output, check=True, timeout=900)
        daemon.run("import", "--change", 'CMD ["/bin/sh"]', str(archive), tag)
