"""PostgreSQL and Redis of their own, as an operator brings them: outside of `parley up`, migrated by hand."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from parley.embedded_postgres import EmbeddedPostgres


@contextlib.contextmanager
def running_stores() -> Iterator[dict[str, str]]:
    """Settings that point to them, once both answer and the database is at this release's version."""
    directory = Path(tempfile.mkdtemp(prefix="stores-"))
    cluster = EmbeddedPostgres(data=directory / "postgres", socket_directory=directory / "s")
    cluster.prepare()
    redis = directory / "redis.sock"
    commands = [
        (cluster.command(), signal.SIGINT),
        (
            ["redis-server", "--port", "0", "--unixsocket", str(redis), "--save", "", "--dir", str(directory)],
            signal.SIGTERM,
        ),
    ]
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        for number, (command, stop) in enumerate(commands):
            log = stack.enter_context((directory / f"{number}.log").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            stack.callback(_stop, process, stop)
        _wait(cluster.is_ready, directory)
        _wait(redis.exists, directory)
        cluster.create_database()
        stores = {"database_url": cluster.dsn, "redis_url": f"unix://{redis}"}
        environment = os.environ | {f"PARLEY_{name.upper()}": value for name, value in stores.items()}
        command = [sys.executable, "-m", "parley", "migrate"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        yield stores


def _wait(condition: Callable[[], bool], directory: Path) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        logs = "\n".join(path.read_text() for path in directory.glob("*.log"))
        assert time.monotonic() < deadline, f"a store does not answer:\n{logs}"
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    process.send_signal(number)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
