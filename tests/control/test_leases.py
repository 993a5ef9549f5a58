"""Rooms that end without a report: control writes the missing events itself."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from unittest import mock

import asyncpg
import pytest
import pytest_asyncio

from control.config import ControlConfig
from control.reconcile import Leases, stop_abandoned
from control.services import Services, open_services
from tests.control.harness import Client, Node, People, report


@pytest_asyncio.fixture
async def services(config: ControlConfig) -> AsyncIterator[Services]:
    opened = await open_services(replace(config, embedded=True))
    yield opened
    await opened.close()


async def live_meeting(host: Client, node: Node) -> str:
    meeting = str((await host.ok("POST", "/api/v1/meetings", {}))["id"])
    joined = await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
    came = {"kind": "participant_joined", "participant": joined["participant"], "name": "ada"}
    at = {"room": meeting, "at": 1_700_000_000_000}
    assert node.live is not None
    node.live.append(meeting)
    await report(host, {"kind": "room_opened", **at}, {**came, **at}, n=1)
    return meeting


async def kinds(dsn: str, meeting: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT kind FROM outbox WHERE meeting_id = $1 ORDER BY seq", meeting)
    await connection.close()
    return [row["kind"] for row in rows]


async def test_a_room_missing_twice_is_closed(people: People, node: Node, services: Services, dsn: str) -> None:
    host = await people.user("ada")
    meeting = await live_meeting(host, node)
    leases = Leases()
    await leases.check(services, 0)
    node.live = []
    await leases.check(services, 5)
    assert (await host.ok("GET", f"/api/v1/meetings/{meeting}/room"))["live"] is True
    await leases.check(services, 10)
    assert (await host.ok("GET", f"/api/v1/meetings/{meeting}/room"))["live"] is False
    told = ["meeting.created", "meeting.started", "meeting.user_joined", "meeting.user_left", "meeting.room_closed"]
    assert await kinds(dsn, meeting) == told
    # A late report of the node has no effect.
    participant = (await host.ok("GET", f"/api/v1/meetings/{meeting}/participants"))["participants"][0]["participant"]
    at = {"room": meeting, "at": 1_700_000_000_001}
    left = {"kind": "participant_left", "participant": participant, "reason": "timeout", **at}
    await report(host, left, {"kind": "room_closed", **at}, n=2)
    assert await kinds(dsn, meeting) == told


async def test_a_silent_node_keeps_its_rooms_for_the_lease(people: People, node: Node, services: Services) -> None:
    host = await people.user("ada")
    meeting = await live_meeting(host, node)
    leases = Leases()
    node.live = None
    await leases.check(services, 100)
    assert services.nodes.unreachable == {"sfu-1"}
    await leases.check(services, 129)
    assert (await host.ok("GET", f"/api/v1/meetings/{meeting}/room"))["live"] is True
    await leases.check(services, 131)
    assert (await host.ok("GET", f"/api/v1/meetings/{meeting}/room"))["live"] is False


async def test_a_node_that_answers_is_not_called_silent_while_the_database_is_away(
    people: People, node: Node, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await people.user("ada")
    leases = Leases()
    node.live = None
    await leases.check(services, 0)
    assert services.nodes.unreachable == {"sfu-1"}
    node.live = []
    monkeypatch.setattr(services.pool, "acquire", mock.Mock(side_effect=TimeoutError))
    with pytest.raises(TimeoutError):
        await leases.check(services, 5)
    assert not services.nodes.unreachable


async def test_a_silent_node_is_asked_again_before_it_is_named(people: People, node: Node, services: Services) -> None:
    """So an sfu that has just started is no trouble until the next look at its rooms."""
    await people.user("ada")
    node.live = None
    await Leases().check(services, 0)
    assert await services.nodes.trouble() == "do not answer: sfu-1"
    node.live = []
    assert await services.nodes.trouble() is None


async def test_a_recording_to_which_nobody_ever_comes_ends_as_empty(
    people: People, services: Services, dsn: str
) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    await host.ok("POST", f"/api/v1/meetings/{meeting}/recording/start")
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE meeting_recordings SET started_at = now() - interval '2 minutes'")
    await connection.close()
    await stop_abandoned(services)
    (listed,) = (await host.ok("GET", f"/api/v1/meetings/{meeting}/recordings"))["recordings"]
    assert listed["state"] == "empty"
    assert (await kinds(dsn, meeting))[-2:] == ["recording.stopped", "recording.processed"]


async def test_recordings_without_a_room_are_sealed_and_given_up(
    people: People, node: Node, services: Services, dsn: str
) -> None:
    host = await people.user("ada")
    meeting = await live_meeting(host, node)
    base = f"/api/v1/meetings/{meeting}"
    recording = (await host.ok("POST", f"{base}/recording/start"))["id"]
    common = {"room": meeting, "at": time.time_ns() // 1_000_000}
    await report(host, {"kind": "recording_started", "recording": recording, **common}, n=1, node="recorder-1")
    await report(host, {"kind": "room_closed", "moved": True, **common}, n=2)
    await stop_abandoned(services)
    assert (await host.ok("GET", base))["recording"] is not None
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE meeting_recordings SET started_at = now() - interval '2 minutes'")
    await connection.execute("UPDATE meeting_rooms SET closed_at = now() - interval '90 seconds'")
    await stop_abandoned(services)
    assert (await host.ok("GET", f"{base}/room"))["recording"] is None
    assert (await host.ok("GET", f"{base}/recordings"))["recordings"][0]["state"] == "sealing"
    await connection.execute("UPDATE meeting_recordings SET stopped_at = now() - interval '11 minutes'")
    await connection.execute(
        "INSERT INTO livekit_egresses (id, meeting_id, recording_id, room, request, kind, options, owns)"
        " VALUES ('e', $1, $2, 'standup', '', 'room_composite', '{}', true)",
        meeting,
        recording,
    )
    await connection.close()
    await stop_abandoned(services)
    assert (await kinds(dsn, meeting))[-1] == "egress.ended"
    assert (await host.ok("GET", f"{base}/recordings"))["recordings"][0]["state"] == "partial"
