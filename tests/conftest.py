"""Rules for every test: property tests are judged by their findings, not by the load of the machine.

A test of real processes or browsers may miss a time limit on a busy machine. Such a test is run again, at most twice,
and listed at the end ("RERUN"). Tests of formats, state machines, frames and engines use no clock and are not repeated.
"""

import functools
import gc
import os
import signal
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from tests.support import leftovers
from tests.support.object_stores import S3Server, running_s3

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

HERE = Path(__file__).parent
# Hypothesis looks for constants to try in the source of all our modules, tests included, in each worker: half of what a
# start takes. Those of formats and state machines are worth it.
_WITH_CONSTANTS = tuple(str(HERE.parent / "sfu" / layer) + os.sep for layer in ("formats", "machines"))
providers.is_local_module_file = lambda path: path.startswith(_WITH_CONSTANTS)
_TEARDOWN_SECONDS = 120
CLOCKLESS = [HERE / "sfu" / layer for layer in ("api", "formats", "machines", "frames", "engine")]


def pytest_configure() -> None:
    leftovers.watch()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """One S3 server for all tests that need it, since it starts slowly. Each test uses its own prefix."""
    with running_s3() as server:
        yield server


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # In order of their names, all files that start browsers would run at the same time, and all that wait at another.
    items.sort(key=lambda item: _place(item.path))
    if not config.pluginmanager.hasplugin("rerunfailures"):  # -p no:rerunfailures
        return
    for item in items:
        if not _is_clockless(item.path):
            item.add_marker(pytest.mark.flaky(reruns=2))


def pytest_collection_finish() -> None:
    gc.freeze()  # thousands of tests stay to the end: no search for garbage need pass them again and again


@functools.cache
def _place(path: Path) -> int:
    return zlib.crc32(str(path.relative_to(HERE)).encode())


@functools.cache
def _is_clockless(path: Path) -> bool:
    return any(path.is_relative_to(layer) for layer in CLOCKLESS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Limit the teardown with repeated failures, and check the priority that processes of later tests inherit.

    pytest-timeout fails a test once, even inside an event loop. There, the failure may replace a callback, and a
    fixture then waits forever for the callback's effect.
    """

    def expire(*_: object) -> None:
        pytest.fail(f"the teardown of {item.nodeid} took over {_TEARDOWN_SECONDS} s")

    signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, _TEARDOWN_SECONDS, _TEARDOWN_SECONDS / 4)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # See `ordinary_priority`.
    assert os.sched_getscheduler(0) == os.SCHED_OTHER, f"{item.nodeid} left this thread with real-time priority"


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> range:
    """The seeds of a bar: `--seeds` of them, by default one."""
    count: int = request.config.getoption("--seeds", default=1)
    return range(1, 1 + count)
