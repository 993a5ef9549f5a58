"""Two releases side by side: this one on the next one's database, and with the next one's facts.

The next release is a copy of this one's packages, with an additional migration and kind of fact.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import REGISTRY

import control
import sfu
from control.config import ControlConfig
from control.migrations import MigrationError, available, migrate
from tests.control.harness import NODE_SECRET, People, serving
from tests.control.restartable import RestartableServer

HARMLESS = "ALTER TABLE meetings ADD COLUMN colour text;\nCREATE TABLE later (id bigint PRIMARY KEY);\n"
BREAKING = "-- breaks_previous: titles are kept elsewhere.\nALTER TABLE meetings RENAME COLUMN title TO heading;\n"
FACT = """

class HandRaised(Fact, tag="hand_raised", frozen=True, kw_only=True):
    participant: str


AnyFact = AnyFact | HandRaised


class FactBatch(msgspec.Struct, frozen=True, kw_only=True):
    node: str
    boot: str
    n: int
    facts: list[AnyFact]
"""

NextRelease = Callable[[str], "Release"]


class Release:
    """A copy of the packages, run by itself."""

    def __init__(self, directory: Path, migration: str) -> None:
        self._directory = directory
        for package in (control, sfu):
            source = Path(package.__file__ or "").parent
            shutil.copytree(source, directory / source.name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        number = len(available()) + 1
        (directory / "control" / "migrations" / f"{number:04}_of_the_next.sql").write_text(migration)
        with (directory / "sfu" / "api" / "facts.py").open("a") as file:
            file.write(FACT)

    def run(self, program: str, *arguments: str) -> str:
        """Run a program in it, and return what it printed."""
        command = [sys.executable, "-c", program, *arguments]  # Python searches the working directory first
        done = subprocess.run(command, cwd=self._directory, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def migrate(self, dsn: str) -> None:
        done = self.run(
            "import asyncio, sys; from control.migrations import migrate; print(asyncio.run(migrate(sys.argv[1])))", dsn
        )
        assert "of_the_next" in done


@pytest.fixture
def next_release(tmp_path: Path) -> NextRelease:
    return lambda migration: Release(tmp_path / "next", migration)


def counted(kind: str, reason: str) -> float:
    return REGISTRY.get_sample_value("parley_control_facts_dropped_total", {"kind": kind, "reason": reason}) or 0.0


async def test_this_release_runs_on_the_next_ones_database_and_reads_what_it_can_of_its_facts(
    config: ControlConfig, database: RestartableServer, next_release: NextRelease, caplog: pytest.LogCaptureFixture
) -> None:
    later = next_release(HARMLESS)
    later.migrate(database.cluster.dsn)
    before = counted("unknown", "unknown_kind")
    async with (
        serving(replace(config, database_dsn=database.cluster.dsn)) as server,
        aiohttp.ClientSession() as session,
    ):
        assert "a later release has migrated the database" in caplog.text
        host = await People(session, server).user("ada")
        meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
        joined = (await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {}))["participant"]
        batch = later.run(
            "import sys; from sfu.api.facts import *\n"
            "room, one = sys.argv[1:]\n"
            "facts = [RoomOpened(room=room, at=1), HandRaised(room=room, at=2, participant=one),"
            " ParticipantJoined(room=room, at=3, participant=one, name='ada')]\n"
            "print(encode_batch(FactBatch(node='sfu-1', boot='b', n=1, facts=facts)).decode())",
            meeting,
            joined,
        )
        headers = {"Authorization": f"Bearer {NODE_SECRET}"}
        for _ in range(2):
            async with session.post(f"{server.internal}/internal/v1/facts", data=batch, headers=headers) as answer:
                assert (answer.status, await answer.json()) == (200, {"acknowledged": 1})
        present = (await host.ok("GET", f"/api/v1/meetings/{meeting}/participants"))["participants"]
        assert [one["present"] for one in present] == [True]
    assert counted("unknown", "unknown_kind") == before + 1
    assert caplog.text.count("cannot read facts of kind 'hand_raised' from sfu-1") == 1


async def test_a_migration_that_breaks_this_release_says_so_and_keeps_it_from_starting(
    config: ControlConfig, database: RestartableServer, next_release: NextRelease
) -> None:
    next_release(BREAKING).migrate(database.cluster.dsn)
    with pytest.raises(MigrationError, match="of_the_next of a later release"):
        async with serving(replace(config, database_dsn=database.cluster.dsn)):
            pass
    with pytest.raises(MigrationError, match="of_the_next of a later release"):
        await migrate(database.cluster.dsn)
