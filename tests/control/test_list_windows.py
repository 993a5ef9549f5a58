"""Sorted pages: the same parameters for every list, either order, and cursors that fit their list."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from control.api.paging import NamedListQuery, cut, window_of
from control.api.types import Answer, Time
from control.app import openapi_document
from control.problem import Problem
from control.store.inventory import OwnerRow
from tests.control.harness import Client, People

_WHOLE = {
    "/api/v1/ai/streams": "what inference analyses now",
    "/api/v1/ai/results/{file}": "one result of each kind",
    "/api/v1/meetings/{meeting}/activities": "polls and questions, a bounded number",
    "/api/v1/meetings/{meeting}/analysis": "the tracks in the room",
    "/api/v1/meetings/{meeting}/avatars": "a table for a meeting's page",
    "/api/v1/meetings/{meeting}/breakouts": "the rooms of one plan",
    "/api/v1/meetings/{meeting}/document": "updates that belong together",
    "/api/v1/meetings/{meeting}/captions": "a transcript, in order",
    "/api/v1/meetings/{meeting}/transports": "of one node, which limits them",
    "/api/v1/recording/list": "a path of an older system",
    "/api/v1/recordings/{recording}/captions/{utterance}/versions": "the last 50 edits of a line",
    "/api/v1/recordings/{recording}/films": "a few per recording",
    "/api/v1/webhooks/kinds": "a catalogue",
}
"""Lists that are not cut into pages, with the reason."""


def test_every_list_takes_the_same_parameters() -> None:
    document = openapi_document()
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        operation = methods.get("get", {})
        if not operation.get("operationId", "").startswith(("list_", "get_storage", "read_")):
            continue
        if path in _WHOLE:
            assert "at once" in operation["summary"] + operation.get("description", ""), path
            continue
        content = operation["responses"]["200"]["content"]["application/json"]["schema"]
        answer = schemas[content["$ref"].rpartition("/")[2]]
        assert "next" in answer["properties"], path
        taken = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
        assert taken >= {"limit", "cursor", "sort"}, path


async def walked(client: Client, path: str, field: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await client.ok("GET", f"{path}&limit=2{cursor}")
        assert len(page[field]) <= 2
        found += page[field]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


async def test_lists_are_sorted_over_pages_either_way(people: People) -> None:
    ada = await people.user("ada")
    titles = ["delta", "alpha", "echo", "alpha", "bravo"]
    for title in titles:
        await ada.ok("POST", "/api/v1/meetings", {"title": title})
        await ada.ok("POST", "/api/v1/users/api-keys", {"name": title, "scopes": ["meetings:read"]})
    for path, field, name in (("/api/v1/meetings", "meetings", "title"), ("/api/v1/users/api-keys", "keys", "name")):
        for sort, expected in (
            (name, sorted(titles)),
            (f"-{name}", sorted(titles, reverse=True)),
            ("created_at", titles),
            ("-created_at", titles[::-1]),
        ):
            shown = await walked(ada, f"{path}?sort={sort}", field)
            assert [one[name] for one in shown] == expected, (path, sort)
            assert len({one["id"] for one in shown}) == len(titles)
        first = await ada.ok("GET", f"{path}?sort={name}&limit=1")
        other = f"{path}?sort=-{name}&limit=1&cursor={first['next']}"
        assert await ada.refused("GET", other) == (400, "invalid_cursor")
        assert await ada.refused("GET", f"{path}?sort=secret") == (400, "invalid_request")
        matching = await ada.ok("GET", f"{path}?search=ALPHA")
        assert [one[name] for one in matching[field]] == ["alpha", "alpha"]


async def test_every_list_can_be_searched(people: People) -> None:
    ada = await people.user("ada")
    at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for title in ("Alpha", "Bravo", "Alpine"):
        await ada.ok("POST", "/api/v1/meetings", {"title": title, "scheduled_start": at})
    found = await walked(ada, "/api/v1/my/meetings/upcoming?search=alp", "meetings")
    assert sorted(one["meeting"]["title"] for one in found) == ["Alpha", "Alpine"]
    latest = await walked(ada, "/api/v1/my/meetings/upcoming?sort=-next_start", "meetings")
    assert len({one["meeting"]["id"] for one in latest}) == 3
    own = "/api/v1/users/sessions?sort=created_at"
    assert await walked(ada, f"{own}&search=aiohttp", "sessions") == await walked(ada, own, "sessions")
    assert await walked(ada, f"{own}&search=nothing", "sessions") == []


async def test_visits_and_quality_are_found_by_name(people: People, dsn: str) -> None:
    ada = await people.user("ada")
    meeting = (await ada.ok("POST", "/api/v1/meetings", {"title": "Daily"}))["id"]
    connection = await asyncpg.connect(dsn)
    for number, name in enumerate(("Grace", "Alan", "Grazia")):
        await connection.execute(
            "INSERT INTO meeting_participants (id, meeting_id, name, role, rejoin_hash)"
            " VALUES ($1, $2, $3, 'participant', '')",
            f"p_{number}",
            meeting,
            name,
        )
        await connection.execute(
            "INSERT INTO signaling_sessions (meeting_id, participant_id, node, joined_at) VALUES ($1, $2, 'n', now())",
            meeting,
            f"p_{number}",
        )
        await connection.execute(
            "INSERT INTO participant_quality (meeting_id, participant_id, at, seconds, final, tracks)"
            " VALUES ($1, $2, now(), 60, false, '[]')",
            meeting,
            f"p_{number}",
        )
    await connection.execute("UPDATE users SET role = 'admin'")
    await connection.close()
    room, every = f"/api/v1/sessions/room/{meeting}", "/admin/sessions"
    for path, field in ((room, "visits"), (every, "visits"), (f"/api/v1/meetings/{meeting}/quality", "measured")):
        found = await walked(ada, f"{path}?search=GRA", field)
        assert [one["participant"] for one in found] == ["p_2", "p_0"], path
    assert await walked(ada, f"{every}?search=nobody", "visits") == []
    assert (await ada.ok("GET", "/api/v1/stats/rooms?search=nothing"))["rooms"] == []
    assert (await ada.ok("GET", "/api/v1/admin/nodes?search=nothing"))["nodes"] == []


class Thing(Answer, frozen=True, kw_only=True):
    id: str
    name: str
    created_at: Time


def cursor_of(*fields: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(fields)).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        cursor_of("name", "a"),
        cursor_of("name", 1, "a"),
        cursor_of("name", "\x00", "a"),
        cursor_of("-name", "a", "a"),
        cursor_of("created_at", "2026-01-01T00:00:00Z", "a"),
    ],
)
def test_a_cursor_that_does_not_fit_is_refused(cursor: str) -> None:
    with pytest.raises(Problem) as refused:
        cut(Thing, [], NamedListQuery(cursor=cursor, sort="name"))
    assert refused.value.code == "invalid_cursor"


def test_times_need_a_zone_and_numbers_a_range() -> None:
    with pytest.raises(Problem):
        cut(Thing, [], NamedListQuery(cursor=cursor_of("-created_at", "2026-01-01T00:00:00", "a")))
    query = NamedListQuery(cursor=cursor_of("-created_at", 2**63, "a"))
    with pytest.raises(Problem):
        window_of(
            msgspec.structs.replace(query, sort="-bytes", cursor=cursor_of("-bytes", 2**63, "a")), OwnerRow, "user_id"
        )
