"""A whole Parley for tests: `parley up` with its own data, ports and sockets, in a namespace if needed."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import clusters

START_SECONDS = 90


@dataclass(slots=True)
class RunningServer:
    """A started server: its addresses, the token for its first administrator, and its output."""

    process: subprocess.Popen[str]
    data: Path
    runtime: Path
    http_port: int
    https_port: int
    setup_link: str
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.http_port}"

    @property
    def setup_token(self) -> str:
        return self.setup_link.partition("token=")[2]

    def part_pid(self, name: str) -> int:
        """Return the pid of one part, as recorded by the supervisor."""

        return int(json.loads((self.runtime / "processes.json").read_text())[name][0])

    def command(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a verb of `parley` beside this server, with its directories."""
        environment = os.environ | {"PARLEY_DATA_DIR": str(self.data), "PARLEY_RUNTIME_DIR": str(self.runtime)}
        environment |= {f"PARLEY_{name.upper()}": value for name, value in settings.items()}
        command = [sys.executable, "-m", "parley", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """Suspend a part within the block."""
        pid = self.part_pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def running_server(
    prefix: Sequence[str] = (), *, from_nothing: bool = False, **settings: str
) -> Iterator[RunningServer]:
    """Start `parley up` with every port allocated and stop it at the end; `settings` become PARLEY_* variables.

    It finds an empty PostgreSQL cluster, unless it is to make one `from_nothing`.
    """
    with tempfile.TemporaryDirectory(prefix="parley-") as directory:
        home = Path(directory)
        ports = ("HTTP", "HTTPS", "INTERNAL", "RECORDER", "INFERENCE", "INGRESS", "RTMP", "PHONE", "SIP")
        ports += tuple(f"SFU_{name}" for name in ("UDP", "WEBTRANSPORT", "SIGNALING", "HTTP"))
        environment = os.environ | {f"PARLEY_{name}_PORT": "0" for name in ports}
        environment |= {"PARLEY_DATA_DIR": str(home / "data"), "PARLEY_RUNTIME_DIR": str(home / "run")}
        if not prefix:  # outside a namespace, only loopback is offered
            environment["PARLEY_SFU_ADDRESSES"] = "127.0.0.1"
        environment |= {f"PARLEY_{name.upper()}": value for name, value in settings.items()}
        if "PARLEY_DATABASE_URL" in environment:
            subprocess.run([sys.executable, "-m", "parley", "make-keys"], env=environment, check=True)
        elif not from_nothing:
            clusters.lay_out(Path(environment["PARLEY_DATA_DIR"]) / "postgres")
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "parley", "up"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield _await_start(process, Path(environment["PARLEY_DATA_DIR"]), Path(environment["PARLEY_RUNTIME_DIR"]))
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stderr:
                process.stderr.close()


def _await_start(process: subprocess.Popen[str], data: Path, runtime: Path) -> RunningServer:
    """Read the supervisor's output until everything is up, then keep reading in a thread."""
    assert process.stderr is not None
    lines: list[str] = []
    up = threading.Event()

    def read(stream: "object") -> None:
        for line in stream:  # type: ignore[attr-defined]  # a text stream
            lines.append(line.rstrip())
            if "Ctrl-C stops everything" in line:
                up.set()
        up.set()

    threading.Thread(target=read, args=(process.stderr,), daemon=True).start()
    if not up.wait(START_SECONDS) or process.poll() is not None or "Ctrl-C stops everything" not in "".join(lines):
        raise RuntimeError("parley up did not start:\n" + "\n".join(lines[-40:]))
    text = "\n".join(lines)

    def port(scheme: str) -> int:
        found = re.search(rf"{scheme}://\S+?:(\d+)", text.partition("Parley is up")[2])
        return int(found[1]) if found else -1

    link = data / "control" / "first-admin-link"
    return RunningServer(
        process, data, runtime, port("http"), port("https"), link.read_text().strip() if link.exists() else "", lines
    )
