"""Captions and chat: stored from facts, and read by those who are allowed to."""

from dataclasses import replace

import asyncpg

from control.config import ControlConfig
from control.database import session
from control.store import recordings
from control.store.transcript import CaptionRow
from control.store.window import Window
from control.transcript_formats import as_webvtt
from tests.control.harness import People, come_in, report
from tests.control.test_recordings import recorded


def line(text: str, name: str = "Ada", start: int = 1500, end: int = 2500) -> CaptionRow:
    return CaptionRow(utterance="u", participant_id="p", name=name, start_ms=start, end_ms=end, lang="en", text=text)


def test_webvtt_escapes_and_times() -> None:
    text = as_webvtt([line("a <b> & c\n\n00:00.000 --> 9", "E>ve", 3_723_004, 3_723_004)])
    assert text == ("WEBVTT\n\n01:02:03.004 --> 01:02:03.005\n<v E&gt;ve>a &lt;b&gt; &amp; c 00:00.000 --&gt; 9\n")


def test_webvtt_times_words() -> None:
    said = replace(line("A <b> c"), words=[("A", 0, 200), (" <b>", 200, 1000), (" c", 1000, 1200)])
    text = as_webvtt([said])
    assert text.endswith("\n<v Ada>A<00:00:01.700> &lt;b&gt; c\n")  # the last begins when the cue has ended


async def test_captions_and_chat_are_kept(people: People) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    ada = (await host.ok("POST", f"{base}/join", {}))["participant"]
    joined = await people.nobody().ok("POST", f"{base}/join", {"name": "Bob"})
    bob, bobs = joined["participant"], people.bearer(joined["participant_token"])
    eve = await people.user("eve")
    eves = (await eve.ok("POST", f"{base}/join", {}))["participant"]
    await come_in(host, meeting, bob, eves)
    said = {
        "kind": "caption",
        "room": meeting,
        "at": 1_700_000_000_000,
        "participant": ada,
        "track": "t",
        "start_ms": 1500,
        "end_ms": 2500,
        "lang": "en",
        "model": "m",
    }
    wrote = {"kind": "chat", "room": meeting, "participant": ada, "name": "ada"}
    liked = {"kind": "message_reacted", "room": meeting, "emoji": "👍", "on": True}
    await report(
        host,
        {**said, "utterance": "u1", "text": "hello\x00 there"},
        {**said, "utterance": "u2", "text": "hello", "words": [["hel", 0, 100], ["lo\x00", 100, 300]]},
        {**said, "utterance": "u2", "text": "changed"},
        {**wrote, "at": 1, "message": "m1", "text": "to all"},
        {**wrote, "at": 2, "message": "m2", "text": "to Bob", "to": bob},
        {**liked, "at": 3, "message": "m1", "participant": bob},
        {**liked, "at": 4, "message": "m1", "participant": eves},
        {**liked, "at": 5, "message": "m1", "participant": bob},
        {**liked, "at": 6, "message": "m1", "participant": eves, "on": False},
        {**liked, "at": 7, "message": "m2", "participant": eves},
        {**liked, "at": 8, "message": "m3", "participant": eves},
        n=1,
    )
    captions = (await host.ok("GET", f"{base}/captions"))["captions"]
    assert [(one["text"], one["name"]) for one in captions] == [("hello there", "ada"), ("hello", "ada")]
    assert captions[0]["words"] == []
    spoken = [{"text": "hel", "start_ms": 1500, "end_ms": 1600}, {"text": "lo", "start_ms": 1600, "end_ms": 1800}]
    assert captions[1]["words"] == spoken
    found = await bobs.ok("GET", f"{base}/captions?search=THERE")
    assert [one["text"] for one in found["captions"]] == ["hello there"]
    assert (await host.ok("GET", f"{base}/captions?search=%25"))["captions"] == []
    async with host.session.get(f"{host.server.url}{base}/captions.vtt", headers=host.headers) as answer:
        assert answer.content_type == "text/vtt"
        assert (await answer.text()).startswith("WEBVTT\n\n00:00:01.500 --> 00:00:02.500\n<v ada>hello there")
    for reader, expected in ((bobs, ["to all", "to Bob"]), (host, ["to all", "to Bob"]), (eve, ["to all"])):
        page = await reader.ok("GET", f"{base}/messages")
        assert [one["text"] for one in page["messages"]] == expected
        # Eve deleted her message, and does not see messages to Bob alone.
        reactions = [one["reactions"] for one in page["messages"]]
        assert reactions == [[{"emoji": "👍", "participants": [bob]}], []][: len(expected)]
    newest = await host.ok("GET", f"{base}/messages?limit=1")
    assert [one["text"] for one in newest["messages"]] == ["to Bob"]
    older = await host.ok("GET", f"{base}/messages?limit=1&cursor={newest['next']}")
    assert [one["text"] for one in older["messages"]] == ["to all"]
    assert older["next"] is None
    stranger = await people.user("mallory")
    assert await stranger.refused("GET", f"{base}/captions") == (403, "forbidden")


async def test_recordings_are_found_by_what_was_said_meanwhile(people: People, dsn: str) -> None:
    host, other = await people.user("ada"), await people.user("eve")
    meeting = (await host.ok("POST", "/api/v1/meetings", {"title": "Talk"}))["id"]
    ada = (await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {}))["participant"]
    connection = await asyncpg.connect(dsn)
    await connection.executemany(
        "INSERT INTO meeting_recordings (id, meeting_id, state, started_at, stopped_at)"
        " VALUES ($1, $2, 'ready', to_timestamp($3), to_timestamp($4))",
        [
            ("recording_1", meeting, 1_700_000_000, 1_700_000_100),
            ("recording_2", meeting, 1_700_000_200, 1_700_000_300),
        ],
    )
    await connection.close()
    said = {"kind": "caption", "room": meeting, "participant": ada, "track": "t", "lang": "en", "model": "m"}
    said |= {"start_ms": 0, "end_ms": 9}
    await report(
        host,
        {**said, "at": 1_700_000_250_000, "utterance": "u1", "text": "The budget is Approved"},
        {**said, "at": 1_700_000_150_000, "utterance": "u2", "text": "between the two"},
        n=1,
    )

    async def found(text: str) -> list[str]:
        return [one["id"] for one in (await host.ok("GET", f"/api/v1/recordings?search={text}"))["recordings"]]

    assert await found("approved") == ["recording_2"]
    assert await found("between") == []
    assert await found("talk") == ["recording_2", "recording_1"]
    assert (await other.ok("GET", "/api/v1/recordings?search=approved"))["recordings"] == []


async def test_a_line_is_edited_with_its_history_and_found_by_its_new_text(
    people: People, config: ControlConfig, dsn: str
) -> None:
    host, other = await people.user("ada"), await people.user("eve")
    meeting, recording = await recorded(host, config)
    ada = (await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {}))["participant"]
    async with session(dsn) as connection:
        await connection.execute("DELETE FROM meeting_rooms")
        await connection.execute(
            "UPDATE meeting_recordings SET duration_ms = 1000, stopped_at = started_at + interval '1 second'"
        )
        await connection.execute(
            "INSERT INTO captions (meeting_id, utterance, participant_id, track, start_ms, end_ms, lang, text, model,"
            " said_at) SELECT $1, 'u1', $2, 't', 0, 500, 'en', 'the bugget', 'm', started_at + interval '600 ms'"
            " FROM meeting_recordings",
            meeting,
            ada,
        )
    base = f"/api/v1/recordings/{recording}"
    line = f"{base}/captions/u1"
    assert await other.refused("PUT", line, {"text": "mine"}) == (404, "not_found")
    assert await host.refused("PUT", f"{base}/captions/u2", {"text": "x"}) == (404, "not_found")
    await host.ok("PUT", line, {"text": "the budget"})
    await host.ok("PUT", line, {"text": "the budget of 2027"})
    versions = (await host.ok("GET", f"{line}/versions"))["versions"]
    assert [(one["version"], one["text"], one["written_by"]) for one in versions] == [
        (2, "the budget of 2027", "ada"),
        (1, "the budget", "ada"),
        (0, "the bugget", None),
    ]
    await host.ok("PUT", line, {"text": versions[1]["text"]})  # restored
    shown = (await host.ok("GET", f"{base}/captions"))["captions"][0]
    assert (shown["text"], shown["edited_at"] is not None) == ("the budget", True)
    for search, count in (("budget", 1), ("bugget", 0)):
        assert len((await host.ok("GET", f"/api/v1/recordings?search={search}"))["recordings"]) == count
    srt = (await host.ok("GET", f"{base}/transcript?format=srt")).decode()
    assert srt == "1\n00:00:00,100 --> 00:00:00,600\nada: the budget\n"
    for form in ("vtt", "txt"):
        assert b"the budget" in await host.ok("GET", f"{base}/transcript?format={form}")
    await host.ok("PUT", f"{base}/hold", {"held": True})
    assert await host.refused("PUT", line, {"text": "x"}) == (409, "held")


async def test_chinese_words_of_two_characters_are_found_by_an_index_and_ranked(people: People, dsn: str) -> None:
    host = await people.user("ada")
    async with session(dsn) as connection:
        await connection.execute(
            "INSERT INTO meetings (id, host_id, title) SELECT 'm' || n, $1, 'Meeting ' || n"
            " FROM generate_series(1, 400) n",
            host.user["id"],
        )
        await connection.execute(
            "INSERT INTO meeting_participants (id, meeting_id, name, role, rejoin_hash)"
            " SELECT 'p' || m.id, m.id, '王小明', 'participant', ''::bytea FROM meetings m"
        )
        await connection.execute(
            "INSERT INTO meeting_recordings (id, meeting_id, state, started_at, stopped_at)"
            " SELECT 'r' || n, 'm' || n, 'ready', to_timestamp(1000000 + n), to_timestamp(1001000 + n)"
            " FROM generate_series(1, 400) n"
        )
        await connection.execute(
            "INSERT INTO captions (meeting_id, utterance, participant_id, track, start_ms, end_ms, lang, text, model,"
            " said_at) SELECT 'm' || n, line, 'pm' || n, 't', 0, 9, 'zh', CASE WHEN n = 7 THEN '我们讨论会议的预算'"
            " WHEN n = 9 AND line = '1' THEN '预算还没有定' ELSE '预先算一算议会的事情' END, 'm',"
            " to_timestamp(1000500 + n) FROM generate_series(1, 400) n, (VALUES ('1'), ('2'), ('3')) AS l (line)"
        )
        await connection.execute("UPDATE meetings SET title = '年度预算' WHERE id = 'm3'")
        await connection.execute("VACUUM ANALYZE")
        query = recordings.of_user_query(Window(50, "relevance"), ["预算"])
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {query}", host.user["id"], None, "%预算%"))
        assert "captions_grams" in plan, plan

    async def found(text: str) -> list[str]:
        path = f"/api/v1/recordings?sort=-relevance&search={text}"
        first = await host.ok("GET", f"{path}&limit=2")
        rest = (await host.ok("GET", f"{path}&cursor={first['next']}"))["recordings"] if first["next"] else []
        return [one["id"] for one in (*first["recordings"], *rest)]

    assert await found("预算") == ["r7", "r9", "r3"]  # three lines; one line, and the newer; the title
    assert await found("预算 会议") == ["r7"]
    assert await found("算预") == []
    assert len((await host.ok("GET", "/api/v1/recordings?search=小明"))["recordings"]) == 0  # not recorded
