"""High availability, as its document describes it, tried in calls: each test is one of its events."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from parley_client import Api, Room
from tests.support.call import become_admin, call
from tests.support.etcd import etcd_members
from tests.support.faulty_process import FaultyProcess
from tests.support.gateway import NODE_SECRET, running_gateway
from tests.support.object_stores import running_s3
from tests.support.pgbouncer import running_pgbouncer
from tests.support.postgres_pair import postgres_pair
from tests.support.server import RunningServer, running_server
from tests.support.steady_call import Gaps, Usual, beside
from tests.support.stores import running_stores
from tests.support.waiting import eventually

MEDIA_GAP = 1.0
SMALL = {"inference": "false", "https_port": "-1", "node_secret": NODE_SECRET}


def migrate(database_url: str) -> None:
    environment = os.environ | {"PARLEY_DATABASE_URL": database_url}
    subprocess.run([sys.executable, "-m", "parley", "migrate"], env=environment, check=True, capture_output=True)


def down(server: RunningServer) -> dict[str, str]:
    """Return what readiness names as down."""
    try:
        with urllib.request.urlopen(f"{server.url}/health/ready", timeout=10) as response:
            found: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        found = json.load(error)
    except OSError:  # control starts
        return {"control": "does not answer"}
    return dict(found["down"])


@asynccontextmanager
async def a_call(server: RunningServer, url: str = "") -> AsyncIterator[tuple[Api, str, Room, Gaps, Usual]]:
    """Yield a call whose media is watched, while guests join each second; `url` is that of a gateway."""
    async with Api(url or server.url, verify_tls=False) as api:
        await become_admin(api, server.setup_token)
        meeting = await api.create_meeting("Available", consent="implied")
        async with call(api, meeting, verify_tls=False) as (_, listener):
            gaps, usual = Gaps(listener), Usual(api, meeting)
            async with beside(gaps.watch(), usual.go_on()):
                yield api, meeting, listener, gaps, usual


def report(event: str, gaps: Gaps, usual: Usual) -> None:
    print(f"\n{event}: media away {gaps.longest:.2f} s; {len(usual.failed)} of {usual.count} joins failed")


async def test_a_standby_is_promoted_in_a_call() -> None:
    """The primary loses its power; whoever is on call promotes the standby; control finds it by itself."""
    with postgres_pair() as (primary, standby):
        both = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        url = f"postgresql://postgres@{both}/parley?target_session_attrs=primary"
        migrate(url)
        with running_server(database_url=url, **SMALL) as server:
            async with a_call(server) as (api, meeting, _, gaps, usual):
                assert not usual.failed
                await asyncio.to_thread(primary.crash)
                begun = time.monotonic()
                await eventually(lambda: "postgresql" in down(server), 5)
                print(f"\nready says it after {time.monotonic() - begun:.2f} s: {down(server)}")
                await eventually(lambda: usual.failed, 30)
                await asyncio.to_thread(standby.promote)
                begun = time.monotonic()
                await eventually(lambda: not down(server), 60, lambda: down(server))
                print(f"ready again {time.monotonic() - begun:.2f} s after the promotion")
                await usual.succeeds()
                report("the standby is promoted", gaps, usual)
                assert standby.ask("SELECT pg_is_in_recovery()") == "f"
                assert standby.ask(f"SELECT title FROM meetings WHERE id = '{meeting}'").startswith("Number")
                assert await api.create_meeting("Written to the standby")
            assert gaps.longest < MEDIA_GAP


async def test_behind_pgbouncer() -> None:
    with postgres_pair() as (primary, _), running_pgbouncer(primary.port) as url:
        primary.ask("ALTER ROLE postgres SET idle_in_transaction_session_timeout = '60s'")
        migrate(url)
        with running_server(database_url=url, **SMALL) as server:
            async with a_call(server) as (_, _, _, gaps, usual):
                await usual.succeeds()
                report("behind PgBouncer", gaps, usual)
                assert not usual.failed


def test_a_pooler_in_transaction_mode_is_named_by_who_starts() -> None:
    with (
        postgres_pair() as (primary, _),
        running_pgbouncer(primary.port, "transaction") as url,
        pytest.raises(RuntimeError, match="database_url leads to a pooler in transaction mode"),
        running_server(database_url=url, **SMALL),
    ):
        pass


async def test_redis_is_lost_and_comes_back_empty() -> None:
    with running_stores() as stores, running_server(**stores, **SMALL) as server:
        redis = FaultyProcess("redis-server", "--unixsocket", stores["redis_url"].removeprefix("unix://"))
        try:
            async with a_call(server) as (_, _, _, gaps, usual):
                with redis.stopped():
                    await eventually(lambda: "redis" in down(server), 5)
                    await usual.succeeds()
                await eventually(lambda: not down(server), 60, lambda: down(server))
                await usual.succeeds()
                report("Redis is lost", gaps, usual)
                assert not usual.failed
                assert gaps.longest < MEDIA_GAP
        finally:
            redis.close()


async def test_etcd_loses_a_member_then_its_quorum_while_control_restarts() -> None:
    with (
        running_stores() as stores,
        etcd_members(3) as members,
        running_gateway(inference="false", **stores, etcd_urls=",".join(member.url for member in members)) as gateway,
    ):
        server = gateway.server
        async with a_call(server, gateway.url) as (_, _, _, gaps, usual):
            members[0].process.kill()
            await usual.succeeds()
            assert not usual.failed
            assert not down(server)
            members[1].process.kill()
            await eventually(lambda: "etcd" in down(server), 30)
            print(f"\nwithout a quorum: {down(server)}")
            await usual.succeeds()
            report("without a quorum", gaps, usual)
            assert not usual.failed
            os.kill(server.part_pid("control"), signal.SIGKILL)
            await eventually(lambda: set(down(server)) == {"etcd"}, 90, lambda: down(server))
            await usual.succeeds()
            report("… and control started again", gaps, usual)
            failed = len(usual.failed)
            await usual.succeeds(10)
            assert len(usual.failed) == failed
        assert gaps.longest < MEDIA_GAP


@pytest.mark.timeout(900)
async def test_the_object_store_is_away_for_five_minutes_of_a_recording() -> None:
    with running_s3() as s3:
        names = ("endpoint", "bucket", "access_key", "secret_key")
        settings = {f"s3_{name}": str(getattr(s3.config, name)) for name in names}
        with running_server(**SMALL, **settings) as server:
            async with a_call(server) as (api, meeting, _, gaps, usual):
                await api.start_recording(meeting)
                begun = time.monotonic()
                await usual.succeeds(10)
                await asyncio.to_thread(s3.stop)
                returns = time.monotonic() + 300
                await eventually(lambda: set(down(server)) == {"files", "recordings"}, 30, lambda: down(server))
                print(f"\n{down(server)}")
                while time.monotonic() < returns:
                    await usual.succeeds(5)
                await asyncio.to_thread(s3.start)
                await eventually(lambda: not down(server), 60, lambda: down(server))
                await usual.succeeds()
                recorded = time.monotonic() - begun
                await api.stop_recording(meeting)

                async def ready() -> Any:
                    found = (await api.recordings(meeting))["recordings"]
                    return [one for one in found if one["state"] == "ready"]

                (one,) = await eventually(ready, 180, "the recording is not ready")
                report("the object store was away", gaps, usual)
                print(f"{recorded:.0f} s were recorded: {one}")
                assert not usual.failed
                assert gaps.longest < MEDIA_GAP
                assert one["duration_ms"] >= (recorded - 5) * 1000
