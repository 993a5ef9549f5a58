"""Batches of facts: concurrent, repeated, and hostile."""

import asyncio
import contextlib
import json

import asyncpg
from hypothesis import given
from hypothesis import strategies as st

from control import facts
from sfu.api.facts import ChatSent
from tests.control.harness import NODE_SECRET, Client, People, report


async def make_meetings(host: Client, count: int) -> list[str]:
    return [(await host.ok("POST", "/api/v1/meetings", {}))["id"] for _ in range(count)]


async def test_batches_of_several_reporters_never_deadlock(people: People, dsn: str) -> None:
    host = await people.user("ada")
    made = await make_meetings(host, 6)
    consent = {"kind": "consent", "participant": "", "consent": "recording", "granted": True, "text": "1"}
    joined = {meeting: await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {}) for meeting in made}

    def batch(order: list[str]) -> list[dict[str, object]]:
        return [{**consent, "room": room, "at": 1, "participant": joined[room]["participant"]} for room in order]

    async def reporter(node: str, order: list[str]) -> None:
        for n in range(1, 6):
            await report(host, *batch(order), n=n, node=node)

    await asyncio.gather(reporter("a", made), reporter("b", made[::-1]), reporter("c", made[3:] + made[:3]))
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT meeting_id, array_agg(seq ORDER BY id) AS seqs FROM outbox"
        " WHERE meeting_id IS NOT NULL GROUP BY meeting_id"
    )
    assert await connection.fetchval("SELECT count(*) FROM consents") == 6 * 15
    await connection.close()
    assert all(row["seqs"] == list(range(1, 17)) for row in rows) and len(rows) == 6


async def test_a_batch_repeated_at_the_same_time_is_taken_once(people: People, dsn: str) -> None:
    host = await people.user("ada")
    (meeting,) = await make_meetings(host, 1)
    opened = {"kind": "room_opened", "room": meeting, "at": 1}
    answers = await asyncio.gather(*(report(host, opened, n=1) for _ in range(8)))
    assert answers == [{"acknowledged": 1}] * 8
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT count(*) FROM meeting_rooms") == 1
    await connection.close()


async def test_unfit_facts_are_dropped_and_the_rest_is_taken(people: People) -> None:
    host = await people.user("ada")
    (meeting,) = await make_meetings(host, 1)
    consent = {"kind": "consent", "room": meeting, "at": 1, "consent": "x", "granted": True, "text": "1"}
    finished = {"kind": "recording_finished", "recording": "none", "state": "ready", "bytes": 1, "manifest": "m"}
    unfit = [
        {"kind": "room_opened", "room": meeting, "at": -1},
        {"kind": "room_opened", "room": meeting, "at": 2**62},
        {**consent, "participant": "nobody"},
        {**finished, "room": meeting, "at": 1, "duration_ms": 2**70 // 2**10},
        {
            "kind": "track_published",
            "room": meeting,
            "at": 1,
            "participant": "x",
            "track": "t",
            "source": "s",
            "codec": "c",
        },
    ]
    await report(host, *unfit, {"kind": "room_opened", "room": meeting, "at": 5}, n=1)
    assert (await host.ok("GET", f"/api/v1/meetings/{meeting}/room"))["live"] is True


async def test_malformed_batches_are_refused(people: People) -> None:
    nobody = people.nobody()
    url = f"{nobody.server.internal}/internal/v1/facts"
    headers = {"Authorization": f"Bearer {NODE_SECRET}"}
    for body in (b"", b"{", b"[]", b'{"node":"a","boot":"b","n":"1","facts":[]}', b'{"node":"a"}'):
        async with nobody.session.post(url, data=body, headers=headers) as answer:
            assert answer.status == 400


@given(st.binary(max_size=200))
def test_read_returns_a_batch_or_raises_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        facts.read(data)


@given(st.text(max_size=20))
def test_read_drops_only_nul(text: str) -> None:
    fact = {"kind": "chat", "room": "r", "at": 1, "message": "m", "participant": "p", "name": "n", "text": text}
    data = json.dumps({"node": "a", "boot": "b", "n": 1, "facts": [fact]}).encode()
    (taken,) = facts.read(data).facts
    assert isinstance(taken, ChatSent)
    assert taken.text == text.replace("\x00", "")
