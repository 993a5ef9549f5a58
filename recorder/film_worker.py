"""The film worker: makes films of recordings in the object store, on a machine without an sfu or a recorder."""

import asyncio
from collections.abc import Callable

from foundation.background import keep_running
from objects.opening import open_store
from objects.threads import Objects, threads
from recorder.composing import Composer
from recorder.config import RecorderConfig
from recorder.leases import having_name


async def run(config: RecorderConfig, ready: Callable[[], None]) -> None:
    """Make films until cancelled, which releases the jobs under way. Their parts are kept in `recordings_dir`.

    Raises OSError if that directory cannot be used, or another process with the same name uses it.
    """
    assert config.s3 is not None
    config.recordings_dir.mkdir(parents=True, exist_ok=True)
    with having_name(config.recordings_dir, config.instance), threads() as pool:
        store = open_store(config.s3, config.recordings_dir, "recordings/")
        objects = Objects(store, config.recordings_dir / ".spool", pool)
        ready()
        await keep_running("composing", Composer(config, objects, objects).run)
        await asyncio.Event().wait()
