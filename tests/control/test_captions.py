"""Captions and chat: stored from facts, and read by those who are allowed to."""

import asyncpg

from control.store.transcript import CaptionRow
from control.transcript_formats import as_webvtt
from tests.control.harness import People, come_in, report


def line(text: str, name: str = "Ada", start: int = 1500, end: int = 2500) -> CaptionRow:
    return CaptionRow(utterance="u", participant_id="p", name=name, start_ms=start, end_ms=end, lang="en", text=text)


def test_webvtt_escapes_and_times() -> None:
    text = as_webvtt([line("a <b> & c\n\n00:00.000 --> 9", "E>ve", 3_723_004, 3_723_004)])
    assert text == ("WEBVTT\n\n01:02:03.004 --> 01:02:03.005\n<v E&gt;ve>a &lt;b&gt; &amp; c 00:00.000 --&gt; 9\n")


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
        {**said, "utterance": "u2", "text": "hello"},
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
