"""PostgreSQL and Redis like an operator's: outside of `parley up`, migrated by hand."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from parley.embedded_postgres import EmbeddedPostgres
from tests.support import clusters
from tests.support.waiting import until


@contextlib.contextmanager
def running_stores() -> Iterator[dict[str, str]]:
    """Yield the settings for both, once they answer and the database is at this release's version."""
    directory = Path(tempfile.mkdtemp(prefix="stores-"))
    cluster = EmbeddedPostgres(data=directory / "postgres", socket_directory=directory / "s")
    clusters.lay_out(cluster.data)
    cluster.prepare()
    redis = directory / "redis.sock"
    commands = [
        (cluster.command(), signal.SIGINT),
        (
            [
                *("redis-server", "--port", "0", "--unixsocket", str(redis), "--save", "", "--dir", str(directory)),
                *("--set-proc-title", "no"),  # its command stays readable, so that a test can start it again
            ],
            signal.SIGTERM,
        ),
    ]
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        for number, (command, stop) in enumerate(commands):
            log = stack.enter_context((directory / f"{number}.log").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            stack.callback(_stop, process, stop)
        for answers in (cluster.is_ready, redis.exists):
            until(answers, why=lambda: "\n".join(path.read_text() for path in directory.glob("*.log")))
        cluster.create_database()
        stores = {"database_url": cluster.dsn, "redis_url": f"unix://{redis}"}
        environment = os.environ | {f"PARLEY_{name.upper()}": value for name, value in stores.items()}
        command = [sys.executable, "-m", "parley", "migrate"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        yield stores


def _stop(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    process.send_signal(number)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
