"""Lists of a user's meetings: their content, their order over pages, and that no other rows are read."""

import re
from typing import Any

from control.database import session
from control.store import meetings
from control.store.window import Window
from tests.control.harness import Client, People


async def pages(client: Client, limit: int, path: str = "/api/v1/meetings", query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await client.ok("GET", f"{path}?limit={limit}{query}{cursor}")
        assert len(page["meetings"]) <= limit
        found += page["meetings"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


async def test_hosted_and_joined_meetings_are_one_list(people: People) -> None:
    ada, eve = await people.user("ada"), await people.user("eve")
    made = []
    for number in range(6):
        host, other = (ada, eve) if number % 2 else (eve, ada)
        meeting = (await host.ok("POST", "/api/v1/meetings", {"title": f"Meeting {number}"}))["id"]
        await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
        if number != 0:
            await other.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
        made.append(meeting)
    there = (await eve.ok("GET", f"/api/v1/meetings/{made[2]}/participants"))["participants"]
    removed = next(one["participant"] for one in there if one["name"] == "ada")
    await eve.ok("POST", f"/api/v1/meetings/{made[2]}/participants/{removed}/remove", {})
    expected = [(made[n], "host" if n % 2 else "participant") for n in (5, 4, 3, 1)]
    for limit in (1, 2, 3, 50):
        assert [(one["id"], one["role"]) for one in await pages(ada, limit)] == expected
    for one in await pages(ada, 50):
        assert await ada.ok("GET", f"/api/v1/meetings/{one['id']}") == one
    assert [one["title"] for one in await pages(ada, 1, "/api/v1/meetings", "&search=MEETING 3")] == ["Meeting 3"]
    await ada.ok("POST", f"/api/v1/meetings/{made[3]}/end")
    assert [one["id"] for one in await pages(ada, 1, "/api/v1/meetings", "&status=ended")] == [made[3]]
    assert [one["id"] for one in await pages(ada, 1, "/api/v1/my/meetings/history")] == [made[3]]


async def test_only_the_page_is_read(people: People, dsn: str) -> None:
    ada, eve, fay = [await people.user(name) for name in ("ada", "eve", "fay")]
    async with session(dsn) as connection:
        await connection.execute(
            "INSERT INTO meetings (id, host_id, title, created_at)"
            " SELECT 'm' || n, $1, 'T', now() - make_interval(secs => n) FROM generate_series(1, 5000) n",
            eve.user["id"],
        )
        await connection.execute("ANALYZE meetings")
        await connection.execute("UPDATE meetings SET host_id = $1 WHERE id IN ('m7', 'm4000')", ada.user["id"])
        # A host has a row in each of its meetings, and so had who only took part in them.
        await connection.execute(
            "INSERT INTO meeting_participants (id, meeting_id, user_id, name, role, rejoin_hash)"
            " SELECT v.one || m.id, m.id, u.id, 'x', v.role, ''::bytea FROM meetings m, (VALUES ('e', $1, 'host'),"
            " ('f', $2, 'participant')) AS v (one, \"user\", role) JOIN users u ON u.id = v.user WHERE m.host_id = $1",
            eve.user["id"],
            fay.user["id"],
        )
        await connection.execute("ANALYZE")
        newest = Window(50, "created_at")
        for reader in (eve, fay):
            plan = await connection.fetch(
                f"EXPLAIN ANALYZE {meetings.of_user_query(newest)}", reader.user["id"], False, None, None
            )
            read = [int(float(rows)) for line in plan for rows in re.findall(r"actual time=\S+ rows=([\d.]+)", line[0])]
            assert max(read) <= 51, "\n".join(line[0] for line in plan)
        assert [one["id"] for one in await pages(fay, 200)][:2] == ["m1", "m2"]
        listed = await meetings.of_user(connection, eve.user["id"], newest)
        assert [one.meeting.id for one in listed] == [f"m{n}" for n in range(1, 53) if n != 7]
    assert [one["id"] for one in await pages(ada, 1)] == ["m7", "m4000"]
