"""Recordings: started and stopped by hosts, finished by facts, downloaded by range."""

import asyncio
import io
import json
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from control.config import ControlConfig
from control.http.file_response import parse_range
from control.problem import Problem
from tests.control.harness import Client, Node, People, report

DATA = bytes(range(256)) * 4096


def write_recording(root: Path, recording: str, files: int = 1) -> None:
    """Lay a recording out like the recorder does."""
    directory = root / recording
    directory.mkdir(parents=True)
    tracks: list[dict[str, Any]] = []
    for number in range(files):
        name = f"track{number}.webm"
        (directory / name).write_bytes(DATA)
        file = {"key": f"{recording}/{name}", "codec": "vp8", "start_ms": 0, "duration_ms": 9, "bytes": len(DATA)}
        tracks.append(
            {
                "track": f"track{number}",
                "participant": "p",
                "name": 'Ada "/\r\n',
                "source": "camera",
                "media": "video",
                "codec": "vp8",
                "start_ms": 5,
                "duration_ms": 9,
                "files": [{**file, "sha256": "", "frames": 1}],
                "segments": [],
            }
        )
    (directory / "secret.jnl").write_text("journal")
    document = {"version": 1, "recording": recording, "instance": "recorder-1", "tracks": tracks}
    (directory / "manifest.json").write_text(json.dumps(document))


async def recorded(host: Client, config: ControlConfig, files: int = 1) -> tuple[str, str]:
    meeting = (await host.ok("POST", "/api/v1/meetings", {"title": "Talk"}))["id"]
    await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
    opened = {"kind": "room_opened", "room": meeting, "at": 1_700_000_000_000}
    await report(host, opened, n=1, node=f"sfu-of-{meeting}")
    started = await host.ok("POST", f"/api/v1/meetings/{meeting}/recording/start")
    assert started["state"] == "recording"
    stopped = await host.ok("POST", f"/api/v1/meetings/{meeting}/recording/stop")
    assert stopped["state"] == "sealing"
    recording = stopped["id"]
    write_recording(config.recordings_dir, recording, files)
    common = {"room": meeting, "recording": recording, "at": 1_700_000_000_000}
    segment = {"kind": "segment_closed", "track": "t", "participant": "p", "key": "k", "bytes": 1, "sha256": "00"}
    finished = {"state": "ready", "duration_ms": 9, "bytes": len(DATA), "manifest": f"{recording}/manifest.json"}
    facts = [
        {"kind": "recording_started", **common},
        {**segment, **common},
        {"kind": "recording_finished", **finished, **common},
    ]
    await report(host, *facts, n=1, node="recorder-1")
    return meeting, recording


async def test_start_and_stop_edit_the_desired_state(people: People, node: Node) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    await host.ok("POST", f"{base}/join", {})
    guest = await people.nobody().ok("POST", f"{base}/join", {"name": "Bob"})
    path = f"{base}/recording/start"
    assert await people.bearer(guest["participant_token"]).refused("POST", path) == (403, "forbidden")
    assert await host.refused("POST", f"{base}/recording/stop") == (409, "not_recording")
    started = await host.ok("POST", path)
    assert (await node.wait_for_version(2))["recording"]["recording"] == started["id"]
    assert await host.refused("POST", path) == (409, "already_recording")
    assert (await host.ok("GET", base))["recording"] == started["id"]
    await host.ok("POST", f"{base}/recording/stop")
    assert "recording" not in await node.wait_for_version(3)


async def test_e2ee_meetings_are_not_recorded(people: People) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {"settings": {"e2ee": True}}))["id"]
    assert await host.refused("POST", f"/api/v1/meetings/{meeting}/recording/start") == (409, "e2ee")


async def test_a_room_that_closes_stops_its_recording(people: People) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    await report(host, {"kind": "room_opened", "room": meeting, "at": 1}, n=1)
    await host.ok("POST", f"/api/v1/meetings/{meeting}/recording/start")
    await report(host, {"kind": "room_closed", "room": meeting, "at": 2}, n=2)
    listed = await host.ok("GET", f"/api/v1/meetings/{meeting}/recordings")
    assert [one["state"] for one in listed["recordings"]] == ["sealing"]
    assert (await host.ok("GET", f"/api/v1/meetings/{meeting}/room"))["recording"] is None


async def test_a_room_that_its_node_gave_up_goes_on_being_recorded(people: People) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    await report(host, {"kind": "room_opened", "room": meeting, "at": 1}, n=1)
    started = await host.ok("POST", f"{base}/recording/start")
    now = time.time_ns() // 1_000_000
    await report(host, {"kind": "room_closed", "room": meeting, "at": now, "moved": True}, n=2)
    room = await host.ok("GET", f"{base}/room")
    assert (room["live"], room["recording"]) == (False, started["id"])
    assert (await host.ok("POST", f"{base}/recording/stop"))["state"] == "sealing"


async def test_a_recording_to_which_nobody_came_is_empty_at_once(people: People) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    await host.ok("POST", f"{base}/recording/start")
    assert (await host.ok("POST", f"{base}/recording/stop"))["state"] == "empty"
    (listed,) = (await host.ok("GET", f"{base}/recordings"))["recordings"]
    assert (listed["state"], listed["duration_ms"], listed["problems"]) == ("empty", 0, [])
    assert (await host.ok("GET", f"/api/v1/recordings/{listed['id']}"))["tracks"] == []
    await host.ok("DELETE", f"/api/v1/recordings/{listed['id']}")


async def test_a_recording_that_stalls_says_so_until_it_goes_on(people: People, dsn: str) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    await report(host, {"kind": "room_opened", "room": meeting, "at": 1}, n=1)
    recording = (await host.ok("POST", f"{base}/recording/start"))["id"]
    common = {"room": meeting, "recording": recording, "at": 1_700_000_000_000}

    async def stalled() -> str | None:
        found: str | None = (await host.ok("GET", f"/api/v1/recordings/{recording}"))["recording"]["stalled"]
        return found

    reason = "The disk for recordings is full."
    await report(host, {"kind": "recording_stalled", "reason": reason, **common}, n=2)
    assert await stalled() == reason
    await report(host, {"kind": "recording_resumed", **common}, n=3)
    assert await stalled() is None
    await report(host, {"kind": "recording_stalled", "reason": reason, **common}, n=4)
    await host.ok("POST", f"{base}/recording/stop")
    assert await stalled() is None
    await report(host, {"kind": "recording_stalled", "reason": "late", **common}, n=5)
    assert await stalled() is None
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT kind FROM outbox WHERE meeting_id = $1", meeting)
    await connection.close()
    assert [row["kind"] for row in rows].count("recording.stalled") == 3
    assert [row["kind"] for row in rows].count("recording.resumed") == 1


async def test_what_is_wrong_with_a_recording_is_said(people: People, config: ControlConfig) -> None:
    host = await people.user("ada")
    meeting, recording = await recorded(host, config)
    finished = {"state": "partial", "duration_ms": 9, "bytes": 1, "manifest": f"{recording}/manifest.json"}
    problems = ["mic: 3 packets were lost because the recorder was unavailable or too slow"]
    fact = {"kind": "recording_finished", "room": meeting, "recording": recording, "at": 1_700_000_000_000}
    await report(host, {**fact, **finished, "problems": problems}, n=2, node="recorder-1")
    (listed,) = (await host.ok("GET", f"/api/v1/meetings/{meeting}/recordings"))["recordings"]
    detail = await host.ok("GET", f"/api/v1/recordings/{recording}")
    assert listed["problems"] == detail["recording"]["problems"] == problems


async def test_finished_recording_is_listed_and_downloaded_by_range(people: People, config: ControlConfig) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    listed = await host.ok("GET", "/api/v1/recordings")
    assert [(one["id"], one["state"], one["title"]) for one in listed["recordings"]] == [(recording, "ready", "Talk")]
    detail = await host.ok("GET", f"/api/v1/recordings/{recording}")
    assert detail["tracks"][0]["files"] == ["track0.webm"]
    url = f"{host.server.url}/api/v1/recordings/{recording}/files/track0.webm"
    async with host.session.get(url, headers=host.headers) as answer:
        assert answer.status == 200 and answer.content_type == "video/webm"
        assert await answer.read() == DATA
        tag = answer.headers["ETag"]
    for given, part in (("bytes=10-19", DATA[10:20]), ("bytes=-5", DATA[-5:]), ("bytes=1000000-", DATA[1000000:])):
        async with host.session.get(url, headers={**host.headers, "Range": given}) as answer:
            assert answer.status == 206
            assert await answer.read() == part
            assert answer.headers["Content-Range"].endswith(f"/{len(DATA)}")
    stale = {**host.headers, "Range": "bytes=0-1", "If-Range": '"other"'}
    async with host.session.get(url, headers=stale) as answer:
        assert answer.status == 200
    async with host.session.get(url, headers={**host.headers, "Range": f"bytes={len(DATA)}-"}) as answer:
        assert answer.status == 416
        assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"
    async with host.session.head(url, headers=host.headers) as answer:
        assert answer.content_length == len(DATA)
    async with host.session.get(url, headers={**host.headers, "If-None-Match": tag}) as answer:
        assert answer.status == 304


async def archive_of(host: Client, recording: str) -> zipfile.ZipFile:
    url = f"{host.server.url}/api/v1/recording/download/{recording}"
    async with host.session.get(url, headers=host.headers) as answer:
        assert answer.content_type == "application/zip"
        archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
    assert archive.testzip() is None
    return archive


async def test_all_tracks_come_in_one_archive_with_the_manifest(people: People, config: ControlConfig) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config, files=3)
    archive = await archive_of(host, recording)
    *tracks, manifest = archive.namelist()
    assert len(tracks) == 3
    for name in tracks:
        assert archive.read(name) == DATA
        assert "/" not in name and name.startswith("Ada")
    assert manifest == "manifest.json" and json.loads(archive.read(manifest))["recording"] == recording


async def test_the_archive_has_the_film_and_what_was_said_meanwhile(
    people: People, config: ControlConfig, dsn: str
) -> None:
    host = await people.user("ada")
    meeting, recording = await recorded(host, config)
    (config.recordings_dir / recording / "composed-1.mp4").write_bytes(b"film")
    began = 1_700_000_000_000
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "UPDATE meeting_recordings SET started_at = to_timestamp($1), duration_ms = 60000,"
        ' composed = \'{"file": "composed-1.mp4", "bytes": 4}\'',
        began / 1000,
    )
    participant = await connection.fetchval("SELECT id FROM meeting_participants LIMIT 1")
    opened = began / 1000 - 100  # the room was open for 100 s when the recording began
    await connection.execute("UPDATE meeting_rooms SET opened_at = to_timestamp($1)", opened)
    await connection.close()
    said = {"kind": "caption", "room": meeting, "participant": participant, "track": "t", "lang": "en", "model": "m"}
    times = {"before": 50_000, "hello": 103_000, "good bye": 145_000, "after": 170_000}
    lines = [
        {**said, "at": began - 100_000 + start + 2500, "utterance": text, "text": text, "start_ms": start,
         "end_ms": start + 1500}
        for text, start in times.items()
    ]  # fmt: skip
    await report(host, *lines, n=2, node="recorder-1")
    archive = await archive_of(host, recording)
    assert archive.namelist()[1:] == ["Everybody.mp4", "transcript.txt", "transcript.vtt", "manifest.json"]
    assert archive.read("Everybody.mp4") == b"film"
    text = archive.read("transcript.txt").decode().splitlines()
    assert [line.partition("] ")[0] for line in text] == ["[00:03", "[00:45"]
    assert [line.rpartition(": ")[2] for line in text] == ["hello", "good bye"]
    assert b"00:00:03.000 --> 00:00:04.500" in archive.read("transcript.vtt")
    (listed,) = (await host.ok("GET", "/api/v1/recordings"))["recordings"]
    assert listed["film"] == "composed-1.mp4"
    shared = (await host.ok("POST", f"/api/v1/recordings/{recording}/links", {}))["url"]
    for reader, path in ((host, f"/api/v1/recordings/{recording}"), (people.nobody(), shared)):
        captions = (await reader.ok("GET", f"{path}/captions"))["captions"]
        assert [(line["start_ms"], line["text"]) for line in captions] == [(3000, "hello"), (45_000, "good bye")]


@pytest.mark.parametrize(
    "name", ["secret.jnl", "../../data/session-secret", "..%2f..%2fdata%2fsession-secret", "%2fetc%2fpasswd", "%00"]
)
async def test_only_named_files_are_served(people: People, config: ControlConfig, name: str) -> None:
    from yarl import URL

    host = await people.user("ada")
    _, recording = await recorded(host, config)
    url = URL(f"{host.server.url}/api/v1/recordings/{recording}/files/{name}", encoded=True)
    async with host.session.get(url, headers=host.headers) as answer:
        assert answer.status in {400, 404}


async def test_recordings_of_others_do_not_exist(people: People, config: ControlConfig) -> None:
    host, other = await people.user("ada"), await people.user("eve")
    meeting, recording = await recorded(host, config)
    await other.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
    for path in ("", "/manifest", "/files/track0.webm"):
        assert await other.refused("GET", f"/api/v1/recordings/{recording}{path}") == (404, "not_found")
    assert await other.refused("DELETE", f"/api/v1/recordings/{recording}") == (404, "not_found")
    assert (await other.ok("GET", "/api/v1/recordings"))["recordings"] == []


async def test_recordings_are_found_by_title_and_participant(people: People, config: ControlConfig, dsn: str) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE recording_segments SET participant_id = (SELECT id FROM meeting_participants)")
    await connection.execute("UPDATE meeting_participants SET name = 'Grace Höpper'")
    await connection.close()
    for search, found in (("tAl", [recording]), ("HÖPP", [recording]), ("nobody", []), ("%25", []), ("_", [])):
        listed = await host.ok("GET", f"/api/v1/recordings?search={search}")
        assert [one["id"] for one in listed["recordings"]] == found, search


async def test_recordings_are_listed_for_who_hosts_now_and_for_co_hosts(people: People, config: ControlConfig) -> None:
    ada, bob, cleo = [await people.user(name) for name in ("ada", "bob", "cleo")]
    meeting, recording = await recorded(ada, config)
    base = f"/api/v1/meetings/{meeting}"
    bobs, cleos = [(await one.ok("POST", f"{base}/join", {}))["participant"] for one in (bob, cleo)]

    async def listed(reader: Client, search: str = "") -> list[str]:
        found = await reader.ok("GET", f"/api/v1/recordings{search}")
        return [one["id"] for one in found["recordings"]]

    assert [await listed(one) for one in (ada, bob, cleo)] == [[recording], [], []]
    await ada.ok("PUT", f"{base}/participants/{bobs}/role", {"role": "co-host"})
    for search in ("", "?search=talk"):
        assert [await listed(one, search) for one in (ada, bob, cleo)] == [[recording], [recording], []]
    await ada.ok("PUT", f"{base}/participants/{cleos}/role", {"role": "host"})
    for search in ("", "?search=talk"):
        assert [await listed(one, search) for one in (ada, bob, cleo)] == [[recording]] * 3
    await cleo.ok("DELETE", base)
    assert [await listed(one) for one in (ada, bob, cleo)] == [[], [], []]


async def test_how_long_the_disk_lasts_is_told(people: People, config: ControlConfig, dsn: str) -> None:
    host = await people.user("ada")
    storage = (await host.ok("GET", "/api/v1/recordings"))["storage"]
    assert storage["healthy"] and storage["problem"] is None and storage["days_left"] is None
    meeting, _ = await recorded(host, config)
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE recording_segments SET bytes = $1, closed_at = now()", storage["free_bytes"])
    await connection.close()
    told = (await host.ok("GET", f"/api/v1/meetings/{meeting}/recordings"))["storage"]
    assert 6 < told["days_left"] < 8


async def test_no_recording_begins_where_none_can_be_kept(people: People, config: ControlConfig) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    await asyncio.to_thread(shutil.rmtree, config.recordings_dir, ignore_errors=True)  # readiness may have made it
    config.recordings_dir.parent.mkdir(exist_ok=True)
    config.recordings_dir.write_text("a file is in the way")
    status, problem = await host.call("POST", f"/api/v1/meetings/{meeting}/recording/start")
    assert (status, problem["code"]) == (503, "recordings_unavailable")
    assert "cannot be used" in problem["detail"]
    storage = (await host.ok("GET", f"/api/v1/meetings/{meeting}/recordings"))["storage"]
    assert not storage["healthy"] and "cannot be used" in storage["problem"]


async def test_deleting_removes_rows_and_files(people: People, config: ControlConfig) -> None:
    host = await people.user("ada")
    _, recording = await recorded(host, config)
    await host.ok("DELETE", f"/api/v1/recordings/{recording}")
    assert not (config.recordings_dir / recording).exists()
    assert await host.refused("GET", f"/api/v1/recordings/{recording}") == (404, "not_found")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=5-", (5, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=2-100", (2, 10)),
        ("BYTES = 1 - 2", (1, 3)),
        ("bytes=0-1,3-4", None),
        ("items=0-1", None),
        ("bytes=3-1", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes=a-b", None),
        ("bytes=٣-٤", None),
        ("bytes=" + "9" * 30 + "-", None),
        ("", None),
    ],
)
def test_parse_range(text: str, expected: tuple[int, int] | None) -> None:
    assert parse_range(text, 10) == expected


@pytest.mark.parametrize(("text", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-1", 0)])
def test_parse_range_beyond_the_end(text: str, size: int) -> None:
    with pytest.raises(Problem) as caught:
        parse_range(text, size)
    assert caught.value.status == 416
