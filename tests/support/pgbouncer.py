"""Debian's PgBouncer in front of a PostgreSQL server of this machine, set up as the document says."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from parley.network import allocate_port
from tests.support.waiting import accepts, until_up

_NOBODY = "65534"


@contextlib.contextmanager
def running_pgbouncer(server_port: int, pool_mode: str = "session") -> Iterator[str]:
    """Yield the URL of the database `parley` behind a pooler that runs until the end of the block."""
    port = allocate_port()
    directory = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(
        f"""
        [databases]
        parley = host=127.0.0.1 port={server_port} user=postgres
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = any
        pool_mode = {pool_mode}
        ignore_startup_parameters = idle_in_transaction_session_timeout
        """
    )
    directory.chmod(0o755)
    command = ["pgbouncer", str(configuration)]
    if Path("/proc/self").stat().st_uid == 0:  # it refuses to run as root
        command = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--", *command]
    try:
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            try:
                until_up(process, partial(accepts, port), directory / "log")
                yield f"postgresql://parley@127.0.0.1:{port}/parley"
            finally:
                process.terminate()
                process.wait(10)
    finally:
        shutil.rmtree(directory)
