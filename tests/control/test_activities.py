"""Polls, questions, the timer and the spotlight: their visibility, and the notification of the room."""

import base64

from tests.control.harness import Node, People, come_in


async def test_polls_and_questions(people: People, node: Node) -> None:
    host = await people.user("poll-host")
    meeting = (await host.ok("POST", "/api/v1/meetings", {"title": "Poll"}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    own = await host.ok("POST", f"{base}/join", {})
    other = await people.nobody().ok("POST", f"{base}/join", {"name": "Guest"})
    guest = people.bearer(other["participant_token"])
    status, refusal = await guest.call("POST", f"{base}/questions", {"text": "Am I in?"})
    assert (status, refusal["code"]) == (403, "not_in_room")
    await come_in(host, meeting, own["participant"], other["participant"])

    await host.ok("POST", f"{base}/polls", {"question": "Lunch?", "options": ["Soup", "Bread", "Both"]})
    [poll] = (await guest.ok("GET", f"{base}/activities"))["polls"]
    assert (poll["counts"], poll["own"], poll["voters"]) == (None, None, 0)
    vote = f"{base}/polls/{poll['id']}/vote"
    for wrong in ([3], [0, 1], []):
        status, _ = await guest.call("POST", vote, {"options": wrong})
        assert status == 400, wrong
    await guest.ok("POST", vote, {"options": [0]})
    await guest.ok("POST", vote, {"options": [2]})  # in place of the first
    [poll] = (await guest.ok("GET", f"{base}/activities"))["polls"]
    assert (poll["counts"], poll["own"], poll["voters"]) == ([0, 0, 1], [2], 1)
    await host.ok("POST", f"{base}/polls/{poll['id']}/close")
    status, refusal = await guest.call("POST", vote, {"options": [1]})
    assert (status, refusal["code"]) == (409, "poll_closed")

    await guest.ok("POST", f"{base}/questions", {"text": "When?"})
    await guest.ok("POST", f"{base}/questions", {"text": "Why?", "anonymous": True})
    first, second = (await host.ok("GET", f"{base}/activities"))["questions"]
    assert [first["name"], second["name"], second["mine"]] == ["Guest", None, False]
    await host.ok("POST", f"{base}/questions/{second['id']}/vote", {"wanted": True})
    await host.ok("POST", f"{base}/questions/{second['id']}/vote", {"wanted": True})
    await host.ok("PUT", f"{base}/questions/{first['id']}", {"answered": True})
    listed = (await guest.ok("GET", f"{base}/activities"))["questions"]
    assert [(one["text"], one["votes"], one["answered_at"] is not None) for one in listed] == [
        ("Why?", 1, False),
        ("When?", 0, True),
    ]
    await guest.ok("DELETE", f"{base}/questions/{second['id']}")
    status, _ = await guest.call("PUT", f"{base}/spotlight", {"participant": None})
    assert status == 403
    await host.ok("PUT", f"{base}/spotlight", {"participant": other["participant"]})
    await host.ok("PUT", f"{base}/timer", {"seconds": 60})
    document = await host.ok("GET", f"{base}/activities")
    assert len(document["questions"]) == 1


async def test_a_shared_document_is_kept_by_those_who_may_write_and_stays_small(people: People) -> None:
    host = await people.user("scribe")
    meeting = (await host.ok("POST", "/api/v1/meetings", {"title": "Notes"}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    own = await host.ok("POST", f"{base}/join", {})
    other = await people.nobody().ok("POST", f"{base}/join", {"name": "Guest"})
    guest = people.bearer(other["participant_token"])
    assert await guest.refused("POST", f"{base}/document", {"update": "AQ=="}) == (403, "not_in_room")
    await come_in(host, meeting, own["participant"], other["participant"])

    first = (await guest.ok("POST", f"{base}/document", {"update": "AQ=="}))["id"]
    second = (await host.ok("POST", f"{base}/document", {"update": "Ag=="}))["id"]
    assert (await guest.ok("GET", f"{base}/document?after={first}"))["updates"] == [{"id": second, "update": "Ag=="}]
    whole = (await host.ok("POST", f"{base}/document", {"update": "Aw==", "replaces": [first, second]}))["id"]
    assert (await guest.ok("GET", f"{base}/document"))["updates"] == [{"id": whole, "update": "Aw=="}]
    assert (await guest.refused("POST", f"{base}/document", {"update": "?"}))[0] == 400
    large = base64.b64encode(bytes(180_000)).decode()
    for _ in range(5):
        await guest.ok("POST", f"{base}/document", {"update": large})
    assert await guest.refused("POST", f"{base}/document", {"update": large}) == (409, "document_full")
    viewer = {"role": "viewer"}
    await host.ok("PUT", f"{base}/participants/{other['participant']}/role", viewer)
    assert await guest.refused("POST", f"{base}/document", {"update": "AQ=="}) == (403, "not_permitted")
