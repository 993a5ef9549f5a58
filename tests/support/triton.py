"""A real Triton server for tests: the one bundled with nvidia-pytriton, in its own environment, on the CPU."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.support.ports import free_ports
from tests.support.waiting import until_up

PACKAGE = "nvidia-pytriton==0.7.0"
START_SECONDS = 120


@dataclass(slots=True)
class TritonServer:
    process: subprocess.Popen[bytes]
    grpc: str
    http: str
    metrics_port: int
    log: Path


def environment() -> Path:
    """Return the server's virtual environment, created once per machine in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"parley-triton-{sys.version_info.major}.{sys.version_info.minor}"
    with (cache / "parley-triton.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (path / "complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(path)], check=True)
            pip = [str(path / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--no-deps", PACKAGE], check=True)
            numpy = "numpy<2" if sys.version_info < (3, 13) else "numpy"
            subprocess.run([*pip, numpy, "onnxruntime"], check=True)
            (path / "complete").touch()
    return path


def _backend(venv: Path, scratch: Path) -> Path:
    """Return a copy of the Python backend (as links) with this Python's stub."""
    site = next((venv / "lib").glob("python3.*")) / "site-packages" / "pytriton" / "tritonserver"
    backend = scratch / "backends" / "python"
    backend.mkdir(parents=True)
    for entry in (site / "backends" / "python").iterdir():
        (backend / entry.name).symlink_to(entry)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = backend / "triton_python_backend_stub"
    stub.unlink(missing_ok=True)
    # A copy, since beside the original, its RPATH would find the bundled libpython before LD_LIBRARY_PATH.
    shutil.copy2(site / "python_backend_stubs" / version / "triton_python_backend_stub", stub)
    return backend.parent


def _library_path(venv: Path, scratch: Path) -> str:
    """Return the directories of Triton's libraries and of this Python's, under the name that the stub needs."""
    site = next((venv / "lib").glob("python3.*")) / "site-packages"
    own = Path(sysconfig.get_config_var("LIBDIR"))
    links = scratch / "lib"
    links.mkdir()
    library = next(own.rglob(sysconfig.get_config_var("INSTSONAME")), None)
    if library is not None:
        for bundled in (site / "nvidia_pytriton.libs").glob(f"libpython3-*.{sys.version_info.minor}.so.1.0"):
            (links / bundled.name).symlink_to(library)
    paths = [links, own, site / "nvidia_pytriton.libs", site / "pytriton" / "tritonserver" / "lib"]
    return os.pathsep.join(map(str, paths))


@contextlib.contextmanager
def triton_server(repository: Path, scratch: Path, grpc: str | None = None) -> Iterator[TritonServer]:
    """Start Triton with `repository` on loopback, wait until it is ready, stop it at the end.

    `grpc` is the address of an ended server that this one replaces.
    """
    venv = environment()
    binary = next(venv.glob("lib/python3.*/site-packages/pytriton/tritonserver/bin/tritonserver"))
    scratch.mkdir(parents=True, exist_ok=True)
    http, rpc, metrics = free_ports(3)
    rpc = int(grpc.rpartition(":")[2]) if grpc else rpc
    log = scratch / "triton.log"
    command = [
        str(binary), "--model-repository", str(repository), "--backend-directory", str(_backend(venv, scratch)),
        "--http-address", "127.0.0.1", "--http-port", str(http), "--grpc-address", "127.0.0.1",
        "--grpc-port", str(rpc), "--metrics-address", "127.0.0.1", "--metrics-port", str(metrics),
        "--exit-timeout-secs", "5",
    ]  # fmt: skip
    environ = os.environ | {
        "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": _library_path(venv, scratch),
        "VIRTUAL_ENV": str(venv),
        "PYTHONPATH": str(next((venv / "lib").glob("python3.*")) / "site-packages"),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=subprocess.STDOUT)
    try:
        until_up(process, partial(_is_ready, http), log, START_SECONDS)
        yield TritonServer(process, f"127.0.0.1:{rpc}", f"127.0.0.1:{http}", metrics, log)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(port: int) -> bool:
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=2) as answer,
    ):
        return bool(answer.status == 200)
    return False
