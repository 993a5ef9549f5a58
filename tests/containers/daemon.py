"""Docker's daemon with its own network, processes and mounts, which end with this process in every case.

In the machine's own network, a daemon would set the policy of iptables' FORWARD chain to DROP and add bridges, which
breaks other namespaces on the machine. Here, its rules and bridges are in a namespace. The kernel cleans up: the
daemon's processes are in a PID namespace whose first process dies with this one, and all others, their mounts, the
network namespace and the link to it die with that. Two things remain: the table that lets builds reach registries, and
empty control groups. `DockerDaemon` removes them at its end, or at the next start.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.namespaces import ip, up
from tests.support.waiting import until

HERE_ADDRESS, ADDRESS = "10.231.7.1", "10.231.7.2"
LINK, TABLE, GROUP = "parley-docker", "parley_containers", "parley-containers"
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
CONTROL_GROUPS = Path("/sys/fs/cgroup")
CONTAINERS = 20


@dataclass(frozen=True, slots=True)
class DockerDaemon:
    """A running daemon. Published ports are reached at `address`, those on its own loopback with `inside`."""

    home: Path
    socket: Path
    plugins: Path
    pid: int
    browsers: int

    @property
    def from_outside(self) -> list[str]:
        """The argv that runs a browser on a separate host, since links in the root namespace change."""
        return ["nsenter", "--net", f"--target={self.browsers}", "--"]

    @property
    def address(self) -> str:
        return ADDRESS

    @property
    def environment(self) -> dict[str, str]:
        """Variables for `docker`, so that it does not use the user's plugins and settings."""
        configuration = {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": str(self.plugins.parent)}
        return os.environ | configuration | {"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}

    @property
    def inside(self) -> list[str]:
        """The argv that runs a command in the daemon's network."""
        return ["nsenter", "--net", f"--target={self.pid}", "--"]

    def add_address(self, address: str) -> None:
        """Add an address to the daemon's host."""
        subprocess.run([*self.inside, "ip", "address", "replace", f"{address}/32", "dev", "eth0"], check=True)

    def run(self, *arguments: str, seconds: float = 120, settings: Mapping[str, str] | None = None) -> str:
        """Run a command of `docker` and return its output; raises AssertionError with its error output."""
        return self._run(["docker", *arguments], seconds, settings)

    def script(self, path: Path, *arguments: str, seconds: float = 600, settings: Mapping[str, str]) -> str:
        """Run a shell script that uses `docker`, on the daemon's host."""
        return self._run([*self.inside, "sh", str(path), *arguments], seconds, settings)

    def _run(self, command: list[str], seconds: float, settings: Mapping[str, str] | None) -> str:
        environment = self.environment | dict(settings or {})
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, env=environment)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-4000:]}"
        return done.stdout


@contextlib.contextmanager
def docker_daemon(home: Path) -> Iterator[DockerDaemon]:
    """Run a daemon with its images in `home`; containers, volumes and networks of an earlier run are removed."""
    assert os.geteuid() == 0, "containers need root"
    home.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(), tempfile.TemporaryDirectory(prefix="parley-docker-") as place:
        remove_leftovers()
        before = surroundings()
        share_processors()
        socket, log = Path(place) / "docker.sock", home / "dockerd.log"
        forwarding = FORWARDING.read_text()
        with log.open("wb") as output:
            process = subprocess.Popen(command(home, Path(place), socket), stdout=output, stderr=output, cwd=place)
        host: subprocess.Popen[bytes] | None = None
        try:
            pid = until(lambda: first_process(process), 10, "the daemon has no namespace")
            join(pid)
            host = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"])
            browsers = host.pid
            until(lambda: has_own_network(browsers), 10, "the browsers have no namespace")
            join_browsers(pid, browsers)
            daemon = DockerDaemon(home, socket, home / "docker-config" / "cli-plugins", pid, browsers)
            (Path(place) / "go").touch()
            until(lambda: answers(process, daemon), 60, lambda: log.read_text()[-3000:])
            clear(daemon)
            yield daemon
            clear(daemon)
        finally:
            end(process)
            if host is not None:
                host.kill()
                host.wait()
            subprocess.run(["nft", "delete", "table", "ip", TABLE], check=False, capture_output=True)
            FORWARDING.write_text(forwarding)
            remove_leftovers()
        assert surroundings() == before, f"left behind: {surroundings() ^ before}"


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Fail if another run on this machine has a daemon, since names of links and tables are fixed."""
    with Path("/run/parley-containers.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError("another run of these tests has its daemon on this machine") from error
        yield


def command(home: Path, place: Path, socket: Path) -> list[str]:
    """Return the argv of the daemon. It waits for its link; `tini` reaps processes left by containers."""
    daemon = ["dockerd", "--data-root", str(home / "docker"), "--exec-root", str(place / "exec")]
    daemon += ["--pidfile", str(place / "pid"), "--host", f"unix://{socket}", "--cgroup-parent", f"/{GROUP}"]
    daemon += ["--log-level", "warn"]
    waiting = f'until [ -e {place}/go ]; do sleep 0.05; done; exec "$@"'
    unshared = ["unshare", "--fork", "--kill-child", "--pid", "--mount", "--mount-proc", "--net"]
    return ["setpriv", "--pdeathsig", "KILL", *unshared, "tini", "--", "sh", "-c", waiting, "dockerd", *daemon]


def share_processors() -> None:
    """Give the control group of all containers the processor time of as many processes.

    By default it gets that of a single process outside, such as one of the browsers, which starves the containers.
    """
    older, newer = CONTROL_GROUPS / "cpu" / GROUP / "cpu.shares", CONTROL_GROUPS / GROUP / "cpu.weight"
    file, share = (older, 1024) if older.parent.parent.is_dir() else (newer, 100)
    file.parent.mkdir(exist_ok=True)
    file.write_text(str(share * CONTAINERS))


def first_process(process: "subprocess.Popen[bytes]") -> int | None:
    """Return the pid of the first process in the daemon's namespaces, once it is running."""
    assert process.poll() is None, "the daemon's namespaces cannot be made"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    own = Path("/proc/self/ns/net").readlink()
    if not children or Path(f"/proc/{children[0]}/ns/net").readlink() == own:
        return None
    return int(children[0])


def join(pid: int) -> None:
    """Create a link to the daemon's network and forward its traffic, so that builds reach the machine's registries."""
    ip("link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    ip("address", "add", f"{HERE_ADDRESS}/30", "dev", LINK)
    up(LINK)
    for arguments in (
        "link set lo up",
        f"address add {ADDRESS}/30 dev eth0",
        "link set eth0 up",
        f"route add default via {HERE_ADDRESS}",
    ):
        subprocess.run(["nsenter", "--net", f"--target={pid}", "ip", *arguments.split()], check=True)
    FORWARDING.write_text("1")
    rules = f"""
        add table ip {TABLE}
        add chain ip {TABLE} out {{ type nat hook postrouting priority srcnat; }}
        add rule ip {TABLE} out ip saddr {HERE_ADDRESS}/30 oifname != "{LINK}" masquerade
    """
    subprocess.run(["nft", "-f", "-"], input=rules.encode(), check=True)


def has_own_network(pid: int) -> bool:
    """Return whether a process has left this one's network."""
    return Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


def join_browsers(daemon: int, browsers: int) -> None:
    """Create a link from the browsers' host to the daemon's."""
    at = ["nsenter", "--net", f"--target={daemon}", "ip"]
    there = ["nsenter", "--net", f"--target={browsers}", "ip"]
    for command in (
        [*at, "link", "add", "browsers", "type", "veth", "peer", "name", "eth0", "netns", str(browsers)],
        [*at, "link", "set", "browsers", "addrgenmode", "none", "up"],
        [*at, "address", "add", "10.231.8.1/30", "dev", "browsers"],
        [*there, "link", "set", "lo", "up"],
        [*there, "link", "set", "eth0", "addrgenmode", "none", "up"],
        [*there, "address", "add", "10.231.8.2/30", "dev", "eth0"],
        [*there, "route", "add", "default", "via", "10.231.8.1"],
    ):
        subprocess.run(command, check=True)


def answers(process: "subprocess.Popen[bytes]", daemon: DockerDaemon) -> bool:
    """Return whether the daemon answers; fail if it has ended."""
    assert process.poll() is None, (daemon.home / "dockerd.log").read_text()[-3000:]
    asked = subprocess.run(["docker", "version"], env=daemon.environment, capture_output=True, check=False)
    return asked.returncode == 0


def clear(daemon: DockerDaemon) -> None:
    """Remove every container, volume and network, so that runs do not affect each other."""
    containers = daemon.run("ps", "-aq").split()
    if containers:
        daemon.run("rm", "--force", "--volumes", *containers)
    daemon.run("network", "prune", "--force")
    volumes = daemon.run("volume", "ls", "-q").split()
    if volumes:
        daemon.run("volume", "rm", "--force", *volumes)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End the daemon and everything in its namespaces."""
    pids = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    with contextlib.suppress(OSError, ProcessLookupError):
        for pid in pids.read_text().split():
            os.kill(int(pid), signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def remove_leftovers() -> None:
    """Remove the leftovers of a killed run: the table, the link, control groups."""
    subprocess.run(["nft", "delete", "table", "ip", TABLE], check=False, capture_output=True)
    subprocess.run(["ip", "link", "delete", LINK], check=False, capture_output=True)
    groups = [*CONTROL_GROUPS.glob(f"*/{GROUP}"), *CONTROL_GROUPS.glob(GROUP)]
    deadline = time.monotonic() + 10
    for top in groups:
        for directory, _, _ in os.walk(top, topdown=False):
            while time.monotonic() < deadline:  # the kernel takes a moment to remove processes
                with contextlib.suppress(OSError):
                    Path(directory).rmdir()
                if not Path(directory).exists():
                    break
                time.sleep(0.1)


def surroundings() -> set[str]:
    """Return the machine's state that a run must restore: links, rules, namespaces, mounts, control groups."""
    said: set[str] = set()
    for asked in (["ip", "-o", "link"], ["ip", "netns"], ["nft", "list", "tables"], ["iptables", "-S"]):
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        said |= {f"{' '.join(asked)}: {line}" for line in done.stdout.splitlines() if related(line)}
    said |= {f"mount {line}" for line in Path("/proc/self/mounts").read_text().splitlines() if related(line)}
    said |= {f"cgroup {path}" for path in CONTROL_GROUPS.glob(f"*/{GROUP}")}
    said.add(f"ip_forward {FORWARDING.read_text().strip()}")
    return said


def related(line: str) -> bool:
    """Return whether a line of the machine's state is about containers, since other namespaces change."""
    return any(word in line for word in ("docker", "FORWARD", LINK, TABLE, "overlay"))
