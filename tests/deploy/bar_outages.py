"""Each store and service of the topology, crashed and frozen in a recorded call; real programs if `make real` got them.

The call notices nothing. Readiness names what is away within a second, and one alert within two minutes. The log of
each part has one line when it begins and one when it is over. Everything returns by itself.
"""

import asyncio
import contextlib
import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from parley_client import Api
from tests.support.apache_kafka import is_installed
from tests.support.call import become_admin, call
from tests.support.faulty_process import FaultyProcess
from tests.support.mongodb import running_mongodb
from tests.support.real_programs import found
from tests.support.stack import Stack, running_stack
from tests.support.steady_call import Gaps, Usual, beside
from tests.support.waiting import eventually

READY_SECONDS = 1.0
SCRAPE_AND_EVALUATION = 30.0
"""Seconds that the shipped intervals add to those of this stack, at most."""
ALERT_SECONDS = 120.0 - SCRAPE_AND_EVALUATION
MEDIA_GAP = 1.0
BACK_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class System:
    """A system that fails: words in its processes' command lines, its alert, and its name in control's readiness."""

    processes: tuple[tuple[str, ...], ...]
    alert: str
    readiness: str = ""


SYSTEMS = {
    "PostgreSQL": System((("postgres", "-D"),), "DatabaseAway", "postgresql"),
    "Redis": System((("redis-server", "--unixsocket"),), "StoreAway redis", "redis"),
    "S3": System((("weed", "mini"),), "StoreAway files", "files"),
    "Kafka": System((("kafka.Kafka",) if is_installed() else ("noida-db", "kafka"),), "StoreAway kafka", "kafka"),
    "etcd": System(tuple(("etcd", f"--name m{number} ") for number in range(3)), "StoreAway etcd", "etcd"),
    "MongoDB": System((("ferretdb",) if found("ferretdb") else ("nx-27017",),), "StoreAway mongodb", "mongodb"),
    "Triton": System((("tritonserver", "--model-repository"),), "TritonDown"),
    "Jaeger": System((("jaeger", "--config"),), "TracesLost"),
}
ALSO = {"StoreAway files": {"StoreAway recordings"}}
"""Alerts that name the same system."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with (
        running_mongodb() as mongodb,
        running_stack(
            with_jaeger=found("jaeger") is not None, patient=True, mongodb_url=mongodb, log_format="json"
        ) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def faulty(stack: Stack) -> Iterator[Callable[[System], list[FaultyProcess]]]:
    """Return the processes of a system. Those that a test started again serve the later tests, too."""
    seen: dict[System, list[FaultyProcess]] = {}

    def find(system: System) -> list[FaultyProcess]:
        return seen.setdefault(system, [FaultyProcess(*words) for words in system.processes])

    yield find
    for process in itertools.chain.from_iterable(seen.values()):
        process.close()


def answer(url: str) -> Any:
    """Return a JSON answer, whatever its status."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        return json.load(error)


def named_down(stack: Stack) -> dict[str, str]:
    """Return what control's readiness says is down."""
    down: dict[str, str] = answer(f"{stack.gateway.server.url}/health/ready")["down"]
    return down


def alerts(stack: Stack) -> set[str]:
    """Return the alerts that somebody is told about, each with the dependency that it names."""
    said = answer(f"{stack.monitoring.alertmanager}/api/v2/alerts?active=true&inhibited=false")
    labels = [alert["labels"] for alert in said]
    return {f"{one['alertname']} {one.get('dependency', '')}".strip() for one in labels} - {"Watchdog"}


def of_parts(lines: list[str]) -> dict[str, list[str]]:
    """Return the warnings by part, except those about a meeting."""
    found: dict[str, list[str]] = {}
    for line in lines:
        told = json.loads(line) if line.startswith("{") else {"part": "?", "message": line}
        if not told.get("meeting") and told.get("level") != "info":
            found.setdefault(told.get("part", "?"), []).append(told["message"])
    return found


def subjects(lines: list[str]) -> int:
    """Return the number of lines, without those that give another reason for the same thing, at most one a minute."""
    return len({line.partition(":")[0] for line in lines})


async def test_the_whole_is_well(stack: Stack) -> None:
    """Before anything fails: readiness is ok, and no alert fires."""
    async with Api(stack.url, verify_tls=False) as api:
        await become_admin(api, stack.gateway.server.setup_token)
    await eventually(lambda: not named_down(stack), 60, lambda: named_down(stack))
    await eventually(lambda: not alerts(stack), 120, lambda: alerts(stack))


@pytest.mark.parametrize("fault", ["stopped", "frozen"])
@pytest.mark.parametrize("name", SYSTEMS)
async def test_an_outage(stack: Stack, faulty: Callable[[System], list[FaultyProcess]], name: str, fault: str) -> None:
    if name == "Jaeger" and stack.jaeger is None:
        pytest.skip("Jaeger is missing: `make real` gets it")
    system = SYSTEMS[name]
    processes = faulty(system)
    async with Api(stack.url, verify_tls=False) as api:
        await become_admin(api, stack.gateway.server.setup_token)
        meeting = await api.create_meeting("An outage", consent="implied")
        await eventually(lambda: not named_down(stack), 60, lambda: named_down(stack))
        await eventually(lambda: not alerts(stack), 120, lambda: alerts(stack))
        async with call(api, meeting, verify_tls=False) as (_, listener):
            gaps, usual = Gaps(listener), Usual(api, meeting)
            await api.start_recording(meeting)
            before = len(stack.gateway.server.lines)
            async with beside(gaps.watch(), usual.go_on()):
                async with _away(processes, fault):
                    await _noticed(stack, system)
                    during = len(stack.gateway.server.lines)
                returned = time.monotonic()
                await eventually(lambda: not named_down(stack), BACK_SECONDS, lambda: named_down(stack))
                print(f"ready again after {time.monotonic() - returned:.1f} s", end="; ")
                await eventually(lambda: not alerts(stack), BACK_SECONDS, lambda: alerts(stack))
                print(f"no alert after {time.monotonic() - returned:.1f} s")
                await usual.succeeds()
                await _told(stack, before, during)
            print(f"media away {gaps.longest:.2f} s; {len(usual.failed)} of {usual.count} requests failed")
            await api.stop_recording(meeting)
        assert gaps.longest < MEDIA_GAP
        assert not usual.failed or name == "PostgreSQL", usual.failed

        async def is_ready() -> bool:
            return [one["state"] for one in (await api.recordings(meeting))["recordings"]] == ["ready"]

        await eventually(is_ready, 120, "the recording is not ready")


@contextlib.asynccontextmanager
async def _away(processes: list[FaultyProcess], fault: str) -> AsyncIterator[None]:
    with contextlib.ExitStack() as faults:
        for process in processes:
            faults.enter_context(process.stopped() if fault == "stopped" else process.frozen())
        yield


async def _noticed(stack: Stack, system: System) -> None:
    """Wait until readiness and one alert say what is away."""
    begun = time.monotonic()
    if system.readiness:
        while system.readiness not in await asyncio.to_thread(named_down, stack):
            assert time.monotonic() < begun + 30, "readiness does not say it"
        seconds = time.monotonic() - begun
        print(f"\nready says it after {seconds:.2f} s: {named_down(stack)}")
        late = seconds > READY_SECONDS
    else:
        late = False
    expected = {system.alert} | ALSO.get(system.alert, set())
    await eventually(lambda: system.alert in alerts(stack), 150, lambda: f"fires: {alerts(stack)}")
    print(f"the alert fires after {time.monotonic() - begun:.0f} s", end="; ")
    assert time.monotonic() - begun < ALERT_SECONDS
    await asyncio.sleep(5)
    assert alerts(stack) <= expected
    assert not late


async def _told(stack: Stack, before: int, during: int) -> None:
    """Check that each part that said anything said it once when it began and once when it was over."""
    lines = stack.gateway.server.lines
    began = of_parts(lines[before:during])

    def over() -> dict[str, list[str]]:
        return of_parts(lines[during:])

    with contextlib.suppress(AssertionError):
        await eventually(lambda: set(over()) >= set(began), 35)
    print(json.dumps({"begun": began, "over": over()}, indent=1))
    assert began, "nobody says it"
    assert {part: subjects(said) for part, said in began.items()} == dict.fromkeys(began, 1)
    assert {part: subjects(said) for part, said in over().items()} == dict.fromkeys(began, 1)
