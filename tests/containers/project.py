"""A Compose project under test: files copied from the repository, with its own secrets, on the test's daemon."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.containers.daemon import DockerDaemon
from tests.containers.images import ROOT, WITHOUT
from tests.support.waiting import until

_WITHOUT = [word for name in WITHOUT for word in ("--scale", f"{name}=0")]
SECONDS = 300.0
"""Seconds that a busy machine may take to start everything."""


@dataclass(slots=True)
class Project:
    """A Compose project. `files` are overlays; `settings` are the values of the files' variables."""

    daemon: DockerDaemon
    directory: Path
    files: Sequence[str] = ("compose.yaml",)
    settings: dict[str, str] = field(default_factory=dict)

    def compose(self, *arguments: str, seconds: float = SECONDS) -> str:
        """Run Compose and return its output; raises AssertionError with its error output."""
        files = [word for name in self.files for word in ("-f", str(self.directory / name))]
        return self.daemon.run("compose", *files, *arguments, seconds=seconds, settings=self.settings)

    def up(self, *services: str, **more: str) -> None:
        """Start stopped services and recreate changed ones, except those without an image."""
        self.settings |= more
        self.compose("up", "--detach", "--pull", "never", "--no-build", "--remove-orphans", *_WITHOUT, *services)

    def script(self, name: str, *arguments: str) -> str:
        """Run an operator's script: upgrade.sh, backup.sh, restore.sh."""
        files = [word for file in self.files for word in ("-f", file)]
        return self.daemon.script(self.directory / name, *arguments, *files, settings=self.settings)

    def down(self, *flags: str) -> None:
        """Stop and remove the containers; volumes stay without `--volumes`."""
        self.compose("--profile", "upgrade", "down", *flags)

    def states(self) -> dict[str, str]:
        """Return each container's state by service, or its health if it has a check."""
        rows = [json.loads(line) for line in self.compose("ps", "--all", "--format", "json").splitlines()]
        return {row["Service"]: row["Health"] or f"{row['State']} {row['ExitCode']}" for row in rows}

    def unwell(self) -> dict[str, str]:
        """Return the services that are neither healthy, nor running without a check, nor completed."""
        good = ("healthy", "running 0", "exited 0")
        return {name: state for name, state in self.states().items() if state not in good}

    def until_well(self, seconds: float = SECONDS) -> None:
        """Wait until every container is healthy or completed; fail with the logs of the others."""
        deadline = time.monotonic() + seconds
        while unwell := self.unwell():
            if time.monotonic() > deadline:
                logs = "\n".join(self.logs(name)[-3000:] for name in unwell)
                raise AssertionError(f"not well within {seconds:.0f} s: {unwell}\n{logs}")
            time.sleep(0.5)

    def logs(self, service: str) -> str:
        return self.compose("logs", "--no-color", "--no-log-prefix", service)

    def exec(self, service: str, *command: str) -> str:
        """Run a command in a running container."""
        return self.compose("exec", "-T", service, *command)

    def container(self, service: str) -> str:
        return self.compose("ps", "--all", "--quiet", service).split()[0]

    def kill(self, service: str) -> None:
        """Crash a container's first process. `docker kill` would be taken for an operator's action."""
        before = self.started(service)
        pid = int(self.daemon.run("inspect", "--format", "{{.State.Pid}}", self.container(service)))
        inside = ["nsenter", "--pid", f"--target={self.daemon.pid}", "--"]
        # With an init process in the container, the part itself must crash.
        subprocess.run([*inside, "sh", "-c", f"kill -9 {pid}"], check=True)
        until(lambda: self.started(service) != before, 60, f"{service} does not come back")

    def started(self, service: str) -> str:
        return self.daemon.run("inspect", "--format", "{{.State.StartedAt}}", self.container(service))

    @contextmanager
    def frozen(self, service: str) -> Iterator[None]:
        """Freeze a container's processes within the block."""
        container = self.container(service)
        self.daemon.run("pause", container)
        try:
            yield
        finally:
            self.daemon.run("unpause", container)

    def setup_token(self) -> str:
        """Return the token of the first administrator's link."""
        link = self.exec("control", "cat", "/var/lib/parley/control/first-admin-link")
        found = re.search(r"token=(\S+)", link)
        assert found, link
        return found[1]


def copy_of_deploy(to: Path) -> Path:
    """Copy the files that Compose mounts, create its secrets, and return the directory of the Compose files."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(ROOT / "deploy", to, ignore=shutil.ignore_patterns("__pycache__", "parley", "kubernetes"))
    for secret in (to / "compose" / "secrets").glob("[!.]*"):
        secret.unlink()
    subprocess.run(["sh", "make-secrets.sh"], cwd=to / "compose", check=True)
    return to / "compose"
