"""A recording's film is queued automatically; outside workers claim it, and exactly one result is visible."""

from typing import Any

import asyncpg
import msgspec
import pytest
from livekit.protocol import egress

from control import livekit_views
from control.api.conversation_types import CaptionLine, CaptionWord
from control.api.sharing import within
from control.config import ControlConfig
from control.database import session
from control.store import egresses, films, jobs
from tests.control.harness import NODE_SECRET, Client, People
from tests.control.test_recordings import recorded

FILM = {"file": "composed-1.mp4", "bytes": 4, "sha256": "00", "duration_ms": 9}


async def ask(client: Client, what: str, body: dict[str, Any], secret: str = NODE_SECRET) -> tuple[int, Any]:
    url = f"{client.server.internal}/internal/v1/jobs/{what}"
    async with client.session.post(url, json=body, headers={"Authorization": f"Bearer {secret}"}) as answer:
        return answer.status, await answer.json() if answer.status != 204 else None


async def claim(client: Client, node: str | None = None) -> Any:
    body = {"kinds": ["compose", "asr"]} | ({} if node is None else {"node": node})
    return (await ask(client, "claim", body))[1]


async def test_a_film_is_queued_claimed_and_listed(people: People, config: ControlConfig) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    path = f"/api/v1/recordings/{recording}"
    assert (await host.ok("GET", path))["composition"] == {
        "state": "queued", "progress": 0.0, "file": None, "bytes": None, "error": None,
        "storyboard": None, "chapters": [],
    }  # fmt: skip
    assert await claim(host, "recorder-of-another-disk") is None
    job = await claim(host, "recorder-1")
    assert (job["kind"], job["subject"], job["attempt"]) == ("compose", recording, 1)
    assert await claim(host, "recorder-1") is None
    assert await ask(host, f"{job['id']}/progress", {"attempt": 1, "progress": 0.5}) == (200, {"held": True})
    assert (await host.ok("GET", path))["composition"]["progress"] == 0.5
    (config.recordings_dir / recording / "composed-1.mp4").write_bytes(b"film")
    assert await ask(host, f"{job['id']}/outcome", {"attempt": 1, "result": FILM}) == (200, {"held": True})
    composition = (await host.ok("GET", path))["composition"]
    assert (composition["state"], composition["file"]) == ("done", "composed-1.mp4")
    assert await host.ok("GET", f"{path}/files/composed-1.mp4", Range="bytes=1-2") == b"il"
    assert await host.refused("GET", f"{path}/files/composed-2.mp4") == (404, "not_found")


async def test_films_are_ordered_made_and_deleted(people: People, config: ControlConfig) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    films = f"/api/v1/recordings/{recording}/films"
    options = {"layout": "speaker", "size": "vertical", "format": "webm", "ranges": [[0, 5]]}
    ordered = await host.ok("POST", films, options)
    assert (ordered["state"], ordered["options"]["layout"]) == ("queued", "speaker")
    assert (await host.refused("POST", films, {"layout": "custom"}))[0] == 400
    assert (await host.refused("POST", films, {"layout": "circle"}))[0] == 400
    assert (await host.refused("POST", films, {"ranges": [[10**9, 10**9 + 1]]}))[0] == 400
    body = {"kinds": ["film"], "node": "recorder-1"}
    job = (await ask(host, "claim", body))[1]
    assert (job["id"], job["subject"]) == (ordered["id"], recording)
    assert job["options"] == options
    name = f"film-{job['id']}-1.webm"
    made = FILM | {"file": name, "storyboard": None, "chapters": [{"start_ms": 0, "title": "Start"}]}
    (config.recordings_dir / recording / name).write_bytes(b"film")
    assert await ask(host, f"{job['id']}/outcome", {"attempt": 1, "result": made}) == (200, {"held": True})
    (film,) = (await host.ok("GET", films))["films"]
    assert (film["state"], film["file"], film["chapters"][0]["title"]) == ("done", name, "Start")
    assert await host.ok("GET", f"/api/v1/recordings/{recording}/files/{name}") == b"film"
    assert (await host.ok("GET", f"/api/v1/recordings/{recording}"))["composition"]["state"] == "queued"
    links = f"/api/v1/recordings/{recording}/links"
    assert await host.refused("POST", links, {"film": "job_x"}) == (404, "not_found")
    link = (await host.ok("POST", links, {"film": film["id"]}))["url"]
    shared = await people.nobody().ok("GET", link)
    assert (shared["clip"], shared["tracks"], shared["recording"]["duration_ms"]) == (True, [], 5)
    assert await people.nobody().ok("GET", f"{link}/files/{shared['composition']['file']}") == b"film"
    (config.recordings_dir / recording / name).with_suffix(".jpg").write_bytes(b"pictures")
    assert await people.nobody().ok("GET", f"{link}/files/{name.replace('webm', 'jpg')}") == b"pictures"
    assert await people.nobody().refused("GET", f"{link}/files/manifest.json") == (404, "not_found")
    assert await people.nobody().ok("GET", f"{link}/captions") == {"captions": []}
    other = await host.ok("POST", films, {})
    job = (await ask(host, "claim", body))[1]
    await host.ok("DELETE", f"{films}/{other['id']}")
    assert await ask(host, f"{job['id']}/outcome", {"attempt": 1, "result": made}) == (200, {"held": False})
    await host.ok("DELETE", f"{films}/{film['id']}")
    assert (await host.ok("GET", films))["films"] == []
    assert not (config.recordings_dir / recording / name).exists()
    assert await people.nobody().refused("GET", link) == (404, "not_found")


def test_captions_of_a_clip_count_from_its_start() -> None:
    said = CaptionLine(
        utterance="u", participant="p", name="Ada", start_ms=0, end_ms=0, lang="en", text="x", edited_at=None, words=[]
    )
    lines = [msgspec.structs.replace(said, start_ms=at, end_ms=at + 10) for at in (0, 15, 40, 95)]
    lines[1] = msgspec.structs.replace(
        lines[1], words=[CaptionWord(text="x", start_ms=16, end_ms=19), CaptionWord(text="", start_ms=19, end_ms=25)]
    )
    kept = within([(10, 20), (35, 100)], lines)
    assert [(one.start_ms, one.end_ms) for one in kept] == [(5, 10), (15, 25), (70, 75)]
    assert [(word.start_ms, word.end_ms) for word in kept[0].words] == [(6, 9), (9, 10)]


async def test_of_a_worker_stopped_past_its_lease_nothing_is_visible(
    people: People, config: ControlConfig, dsn: str
) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    stopped = await claim(host)
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE processing_jobs SET lease_until = now() - interval '1 second'")
    other = await claim(host)
    assert (other["id"], other["attempt"]) == (stopped["id"], 2)
    late = {"attempt": 1, "result": FILM | {"file": "composed-7.mp4"}}
    assert await ask(host, f"{stopped['id']}/progress", {"attempt": 1, "progress": 1}) == (200, {"held": False})
    assert await ask(host, f"{stopped['id']}/outcome", late) == (200, {"held": False})
    assert await ask(host, f"{other['id']}/outcome", {"attempt": 2, "result": FILM}) == (200, {"held": True})
    assert await ask(host, f"{stopped['id']}/outcome", late) == (200, {"held": False})
    assert (await host.ok("GET", f"/api/v1/recordings/{recording}"))["composition"]["file"] == "composed-1.mp4"
    kinds = await connection.fetch("SELECT kind FROM outbox WHERE kind = 'transcode.completed'")
    assert len(kinds) == 1
    await connection.close()


async def test_a_film_that_fails_is_tried_again_and_then_given_up(people: People, config: ControlConfig) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    for attempt in (1, 2, 3):
        job = await claim(host)
        assert job["attempt"] == attempt
        body = {"attempt": attempt, "error": "the disk is full", "again": True}
        assert await ask(host, f"{job['id']}/outcome", body) == (200, {"held": True})
    assert await claim(host) is None
    composition = (await host.ok("GET", f"/api/v1/recordings/{recording}"))["composition"]
    assert (composition["state"], composition["error"]) == ("failed", "the disk is full")


@pytest.mark.parametrize("is_cut_off", [False, True])
async def test_the_egress_of_a_failed_film_ends(
    people: People, config: ControlConfig, dsn: str, is_cut_off: bool
) -> None:
    host = await people.user("ada")
    meeting, recording = await recorded(host, config)
    ordered = await host.ok("POST", f"/api/v1/recordings/{recording}/films", {})
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO livekit_egresses (id, meeting_id, recording_id, room, request, kind, options, owns, film)"
        " VALUES ('e', $1, $2, 'Daily', '', 'room_composite', '{}', true, $3)",
        meeting,
        recording,
        ordered["id"],
    )
    claimed = {"kinds": ["film"], "node": "recorder-1"}
    job = (await ask(host, "claim", claimed))[1]
    if is_cut_off:
        await connection.execute("UPDATE processing_jobs SET cut_offs = 9, lease_until = now() - interval '1 second'")
        assert await ask(host, "claim", claimed) == (204, None)
    else:
        for attempt in (1, 2, 3):
            assert not await connection.fetchval("SELECT count(*) FROM outbox WHERE kind = 'egress.ended'")
            await ask(host, f"{job['id']}/outcome", {"attempt": attempt, "error": "the disk is full", "again": True})
            await ask(host, "claim", claimed)
    (ended,) = await connection.fetch("SELECT payload->>'egress' FROM outbox WHERE kind = 'egress.ended'")
    await connection.close()
    assert ended[0] == "e"
    async with session(dsn) as connected:
        row = await egresses.by_id(connected, "e")
    assert row is not None
    assert livekit_views.egress_state(row)[0] == egress.EgressStatus.EGRESS_FAILED


async def lapse(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE processing_jobs SET lease_until = now() - interval '1 second'")
    await connection.close()


async def test_a_film_whose_attempts_are_cut_off_comes_in_the_end(
    people: People, config: ControlConfig, dsn: str
) -> None:
    """Each recorder is killed, but gets a little further than the one before."""
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    for attempt in range(1, 31):
        job = await claim(host)
        assert job["attempt"] == attempt
        word = {"attempt": attempt, "progress": attempt / 40}
        assert await ask(host, f"{job['id']}/progress", word) == (200, {"held": True})
        await lapse(dsn)
    job = await claim(host)
    assert await ask(host, f"{job['id']}/outcome", {"attempt": 31, "result": FILM}) == (200, {"held": True})
    assert (await host.ok("GET", f"/api/v1/recordings/{recording}"))["composition"]["state"] == "done"


async def test_a_worker_that_stops_lets_go_and_that_counts_for_nothing(people: People, config: ControlConfig) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    for attempt in range(1, 31):
        job = await claim(host)
        released = {"attempt": attempt, "released": True}
        assert await ask(host, f"{job['id']}/outcome", released) == (200, {"held": True})
        assert await ask(host, f"{job['id']}/outcome", released) == (200, {"held": False})
    assert (await host.ok("GET", f"/api/v1/recordings/{recording}"))["composition"]["state"] == "queued"


async def test_a_film_that_ends_its_worker_is_given_up_and_can_be_made_again(
    people: People, config: ControlConfig, dsn: str
) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    path = f"/api/v1/recordings/{recording}"
    attempts = 0
    while (job := await claim(host)) is not None:
        attempts += 1
        assert attempts < 100
        await ask(host, f"{job['id']}/progress", {"attempt": attempts, "progress": 0.5})
        await lapse(dsn)
    assert attempts == 11  # the first got to the middle, none further
    composition = (await host.ok("GET", path))["composition"]
    assert (composition["state"], composition["error"]) == ("failed", "every attempt was interrupted")
    queued = await host.ok("POST", f"{path}/composition")
    assert queued["composition"]["state"] == "queued"
    assert await claim(host, "recorder-of-another-disk") is None
    job = await claim(host, "recorder-1")
    again = await host.ok("POST", f"{path}/composition")  # one that is being made is left alone
    assert again["composition"]["state"] == "running"
    assert await ask(host, f"{job['id']}/outcome", {"attempt": 1, "result": FILM}) == (200, {"held": True})
    await host.ok("POST", f"{path}/composition")
    composition = (await host.ok("GET", path))["composition"]
    assert (composition["state"], composition["file"]) == ("queued", "composed-1.mp4")  # the film there is stays


async def test_short_films_and_other_peoples_come_first(people: People, dsn: str) -> None:
    async with session(dsn) as connection:
        await films.queue(connection, "ada's long one", "r", "ada", 20_000_000)
        for number in range(3):
            await films.queue(connection, f"ada's {number}", "r", "ada", 60_000)
        await films.queue(connection, "bob's hour", "r", "bob", 3_600_000)
        await films.queue(connection, "carol's minute", "r", "carol", 60_000)
        order = []
        while (job := await jobs.claim(connection, [films.KIND], 30)) is not None:
            order.append(job.subject)
        assert order == ["carol's minute", "bob's hour", "ada's long one", "ada's 0", "ada's 1", "ada's 2"]


async def test_a_long_film_that_waited_for_its_length_comes_before_newer_ones(people: People, dsn: str) -> None:
    async with session(dsn) as connection:
        await films.queue(connection, "long", "r", "ada", 7_200_000)
        await connection.execute("UPDATE processing_jobs SET due_at = due_at - interval '2 hours'")
        await films.queue(connection, "short", "r", "bob", 1_000)
        job = await jobs.claim(connection, [films.KIND], 30)
        assert job is not None and job.subject == "long"


async def test_the_film_of_a_deleted_recording_is_refused(people: People, config: ControlConfig) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    job = await claim(host)
    await host.ok("DELETE", f"/api/v1/recordings/{recording}")
    assert await ask(host, f"{job['id']}/outcome", {"attempt": 1, "result": FILM}) == (200, {"held": False})
    status, problem = await ask(host, f"{job['id']}/outcome", {"attempt": 1, "result": {"file": 1}})
    assert (status, problem["code"]) == (400, "invalid_outcome")


async def test_only_parts_of_this_system_may_ask(people: People) -> None:
    status, _ = await ask(people.nobody(), "claim", {"kinds": ["compose"]}, secret="wrong")
    assert status == 401
