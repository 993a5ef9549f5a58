"""Admission tokens that an application's server gets for its users, and metadata of meetings and participants."""

from typing import Any

import jwt

from parley_client import Api
from tests.control.harness import Client, Node, People


def claims(joined: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = jwt.decode(joined["token"], options={"verify_signature": False})
    return read


async def key_of(people: People, host: Client, *scopes: str) -> str:
    body = {"name": "application", "scopes": list(scopes)}
    return str((await host.ok("POST", "/api/v1/users/api-keys", body))["secret"])


async def test_an_application_admits_its_users(people: People, node: Node) -> None:
    host, nobody = await people.user("ada"), people.nobody()
    body = {"passcode": "secret-1", "settings": {"lobby": True}}
    meeting = (await host.ok("POST", "/api/v1/meetings", body))["id"]
    base = f"/api/v1/meetings/{meeting}"
    other = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    async with Api(nobody.server.url, bearer=await key_of(people, host, "admissions:write")) as api:
        made = await api.admit(meeting, "user-7", "Grace", role="viewer", metadata='{"seat": 7}')
        short = await api.admit(meeting, "user-8", "Late", ttl=10)
        elsewhere = await api.admit(other, "user-7", "Grace")
    assert made.page_url.endswith(f"/m/{meeting}#token={made.token}")

    async with Api(nobody.server.url) as user:
        joined = await user.join(meeting, "Somebody else", admission_token=made.token)
        again = await user.join(meeting, admission_token=made.token)
    assert joined.participant == again.participant == made.participant
    told = claims({"token": joined.token})
    assert (told["name"], told["identity"], told["metadata"]) == ("Grace", "user-7", '{"seat": 7}')
    assert told["grants"]["publish"] == []

    # The account of the browser does not count: the application says who it is.
    as_host = await host.ok("POST", f"{base}/join", {"admission_token": made.token})
    assert (as_host["participant"], as_host["role"]) == (made.participant, "viewer")

    async def refused(token: str) -> tuple[int, str]:
        return await nobody.refused("POST", f"{base}/join", {"admission_token": token})

    assert await refused(elsewhere.token) == (403, "admission_token")
    assert await refused(as_host["participant_token"]) == (403, "admission_token")
    payload = jwt.decode(short.token, options={"verify_signature": False})
    assert payload["exp"] - payload["iat"] == 10
    await host.ok("POST", f"{base}/participants/{made.participant}/remove", {})
    assert await refused(made.token) == (403, "removed")
    assert await host.refused("POST", f"{base}/admissions", {"identity": "user-7", "name": "Grace"}) == (403, "removed")


async def test_a_new_role_of_an_identity_counts_at_once(people: People, node: Node) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    body = {"identity": "user-7", "name": "Grace"}
    made = await host.ok("POST", f"{base}/admissions", body)
    await people.nobody().ok("POST", f"{base}/join", {"admission_token": made["token"]})
    promoted = await host.ok("POST", f"{base}/admissions", body | {"role": "co-host"})
    assert promoted["participant"] == made["participant"]
    state = await node.wait_for_version(2)
    assert state["participants"][made["participant"]]["host"] is True


async def test_metadata_is_kept_and_told_to_the_room(people: People, node: Node) -> None:
    host, nobody = await people.user("ada"), people.nobody()
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    base = f"/api/v1/meetings/{meeting}"
    made = await host.ok("POST", f"{base}/admissions", {"identity": "user-7", "name": "Grace"})
    joined = await nobody.ok("POST", f"{base}/join", {"admission_token": made["token"]})
    await host.ok("PUT", f"{base}/metadata", {"metadata": "room 12"})
    assert (await node.wait_for_version(2))["metadata"] == "room 12"
    guest = people.bearer(joined["participant_token"])
    assert await guest.ok("GET", f"{base}/metadata") == {"metadata": "room 12"}
    of_person = f"{base}/participants/{made['participant']}/metadata"
    await host.ok("PUT", of_person, {"metadata": "hand 3"})
    assert await guest.ok("GET", of_person) == {"metadata": "hand 3"}
    assert [(act["participant"], act["metadata"]) for act in node.acts] == [(made["participant"], "hand 3")]
    assert await guest.refused("PUT", of_person, {"metadata": "mine"}) == (403, "forbidden")
    assert await host.refused("PUT", of_person, {"metadata": "é" * 2001}) == (400, "invalid_request")
    again = await nobody.ok("POST", f"{base}/join", {"admission_token": made["token"]})
    assert claims(again)["metadata"] == "hand 3"


async def test_participants_are_listed_in_pages(people: People, node: Node) -> None:
    host = await people.user("ada")
    base = f"/api/v1/meetings/{(await host.ok('POST', '/api/v1/meetings', {}))['id']}"
    for name in ("a", "b", "c"):
        await host.ok("POST", f"{base}/admissions", {"identity": name, "name": name})
    first = await host.ok("GET", f"{base}/participants?limit=2&present=false")
    rest = await host.ok("GET", f"{base}/participants?limit=2&cursor={first['next']}")
    assert [one["identity"] for one in first["participants"] + rest["participants"]] == ["a", "b", "c"]
    assert rest["next"] is None
    assert (await host.ok("GET", f"{base}/participants?present=true"))["participants"] == []
    assert await host.refused("GET", f"{base}/participants?cursor=none") == (400, "invalid_cursor")
