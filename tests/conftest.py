"""Rules for every test: property tests are judged by their findings, not by how busy the machine is.

A test of real processes or browsers may meet a machine too busy to keep a bound in time; such a test is run again,
twice at most, and named at the end ("RERUN"). Formats, state machines, frames and engines know no clock: they
get no second try.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import leftovers
from tests.support.object_stores import S3Server, running_s3

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

HERE = Path(__file__).parent
CLOCKLESS = [HERE / "sfu" / layer for layer in ("api", "formats", "machines", "frames", "engine")]


def pytest_configure() -> None:
    leftovers.watch()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """One S3 server for all tests that want one: it takes a while to start. Each test uses a prefix of its own."""
    with running_s3() as server:
        yield server


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.pluginmanager.hasplugin("rerunfailures"):  # -p no:rerunfailures
        return
    for item in items:
        if not any(layer in item.path.parents for layer in CLOCKLESS):
            item.add_marker(pytest.mark.flaky(reruns=2))


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Check the priority, which processes of later tests inherit (see `ordinary_priority`)."""
    assert os.sched_getscheduler(0) == os.SCHED_OTHER, f"{item.nodeid} left this thread with real-time priority"


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> range:
    """The seeds of a bar: one, or as many as `--seeds` says."""
    count: int = request.config.getoption("--seeds", default=1)
    return range(1, 1 + count)
