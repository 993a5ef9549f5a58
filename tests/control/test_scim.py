"""SCIM 2.0, with the requests that Okta and Entra ID send: their provisioning, updates, deactivation and deletion."""

from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.scim.errors import ScimError
from control.scim.groups import Group
from control.scim.groups import patched as patched_group
from control.scim.groups import wanted as wanted_group
from control.scim.patches import patched
from control.scim.paths import parse_filter, parse_path
from control.scim.users import wanted
from tests.control.harness import PASSWORD, Client, People

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
OKTA_CREATES = {
    "schemas": [CORE],
    "userName": "isaac.brock@example.com",
    "name": {"givenName": "Isaac", "familyName": "Brock"},
    "emails": [{"primary": True, "value": "isaac.brock@example.com", "type": "work"}],
    "displayName": "Isaac Brock",
    "locale": "en-US",
    "externalId": "00ujl29u0le5T6Aj10h7",
    "groups": [],
    "password": "1mz050nq",
    "active": True,
}
ENTRA_CREATES = {
    "schemas": [CORE, ENTERPRISE],
    "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
    "userName": "Test_User_ab6490ee-1e48-479e-a20b-2d77186b5dd1",
    "active": True,
    "emails": [{"primary": True, "type": "work", "value": "Test_User_fd0ea19b@testuser.com"}],
    "meta": {"resourceType": "User"},
    "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
    "roles": [],
    ENTERPRISE: {"department": "bob"},
}


class Provider(Client):
    """A provider with a provisioning key; refusals are SCIM's, not problem+json."""

    async def scim(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {**self.headers, "Content-Type": "application/scim+json"}
        url = f"{self.server.url}/scim/v2{path}"
        async with self.session.request(method, url, json=body, headers=headers) as answer:
            if answer.status == 204:
                return 204, None
            assert answer.content_type == "application/scim+json", await answer.text()
            return answer.status, await answer.json(content_type=None)


async def provider(
    people: People, dsn: str, scopes: tuple[str, ...] = ("provisioning:write",)
) -> tuple[Client, Provider]:
    nobody = people.nobody()
    admin = await people.user("root")
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE users SET role = 'admin' WHERE username = 'root'")
    await connection.close()
    key = (await admin.ok("POST", "/api/v1/users/api-keys", {"name": "Okta", "scopes": scopes}))["secret"]
    return admin, Provider(nobody.session, nobody.server, {"Authorization": f"Bearer {key}"})


async def test_okta_provisions_finds_changes_and_deactivates(people: People, dsn: str) -> None:
    admin, okta = await provider(people, dsn)
    query = "/Users?filter=userName%20eq%20%22isaac.brock%40example.com%22&startIndex=1&count=100"
    status, found = await okta.scim("GET", query)
    assert (status, found["totalResults"], found["Resources"]) == (200, 0, [])
    status, made = await okta.scim("POST", "/Users", OKTA_CREATES)
    assert status == 201
    assert made["userName"] == "isaac.brock@example.com"
    assert made["emails"] == [{"value": "isaac.brock@example.com", "type": "work", "primary": True}]
    assert made["name"] == {"givenName": "Isaac", "familyName": "Brock"}
    assert made["active"] is True
    assert "password" not in made
    assert (await okta.scim("GET", query))[1]["Resources"] == [made]
    status, twice = await okta.scim("POST", "/Users", OKTA_CREATES)
    assert (status, twice["scimType"]) == (409, "uniqueness")
    changed = made | {"name": {"givenName": "Ike", "familyName": "Brock"}, "displayName": "Ike Brock"}
    status, after = await okta.scim("PUT", f"/Users/{made['id']}", changed)
    assert (status, after["displayName"], after["name"]["givenName"]) == (200, "Ike Brock", "Ike")
    # Okta deactivates by a value without a path.
    off = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"active": False}}]}
    status, after = await okta.scim("PATCH", f"/Users/{made['id']}", off)
    assert (status, after["active"]) == (200, False)
    listed = await admin.ok("GET", "/api/v1/admin/users?search=isaac")
    assert [one["state"] for one in listed["users"]] == ["banned"]
    assert listed["users"][0]["email_verified"] is True
    on = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"active": True}}]}
    assert (await okta.scim("PATCH", f"/Users/{made['id']}", on))[1]["active"] is True


async def test_entra_provisions_changes_and_deletes(people: People, dsn: str) -> None:
    root, entra = await provider(people, dsn)
    status, made = await entra.scim("POST", "/Users", ENTRA_CREATES)
    assert (status, made["displayName"], made[ENTERPRISE]) == (201, "givenName familyName", {"department": "bob"})
    user = f"/Users/{made['id']}"
    for query in (
        f'/Users?filter=externalId eq "{made["externalId"]}"',
        f'/Users?filter=userName eq "{made["userName"].upper()}" and active eq true',
        '/Users?filter=emails[type eq "work"].value eq "test_user_fd0ea19b@testuser.com"',
    ):
        assert [one["id"] for one in (await entra.scim("GET", query))[1]["Resources"]] == [made["id"]], query
    operations = [
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "updated@testuser.com"},
        {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
        {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "5d48a0a8"},
        {"op": "Add", "value": {"displayName": "Updated", "name.givenName": "New"}},
        {"op": "Replace", "path": "roles", "value": [{"value": "admin", "primary": "True"}]},
    ]
    status, after = await entra.scim("PATCH", user, {"schemas": [PATCH], "Operations": operations})
    assert status == 200, after
    assert after["emails"][0]["value"] == "updated@testuser.com"
    assert after["name"] == {"formatted": "givenName familyName", "familyName": "updatedFamilyName", "givenName": "New"}
    assert after[ENTERPRISE] == {"department": "bob", "manager": "5d48a0a8"}
    assert after["displayName"] == "Updated"
    assert [one["value"] for one in after["roles"]] == ["admin"]
    (change,) = (await root.ok("GET", f"/api/v1/admin/audit?limit=1&target={made['id']}"))["entries"]
    assert (change["action"], change["detail"]) == ("provision_user", {"active": True, "role": "admin"})
    gone = {"schemas": [PATCH], "Operations": [{"op": "remove", "path": "roles"}]}
    assert (await entra.scim("PATCH", user, gone))[1]["roles"] == []
    # Entra sends booleans as text.
    off = {"schemas": [PATCH], "Operations": [{"op": "Replace", "path": "active", "value": "False"}]}
    assert (await entra.scim("PATCH", user, off))[1]["active"] is False
    assert (await entra.scim("DELETE", user))[0] == 204
    status, gone = await entra.scim("GET", user)
    assert (status, gone["status"], gone["schemas"]) == (404, "404", [ERROR])


async def test_an_account_that_exists_is_found_and_taken_over(people: People, dsn: str) -> None:
    admin, okta = await provider(people, dsn)
    ada = await people.user("ada")
    (found,) = (await okta.scim("GET", '/Users?filter=userName eq "ada"'))[1]["Resources"]
    body = OKTA_CREATES | {"userName": "ada@example.com", "emails": [{"value": "ada@example.com"}], "active": False}
    assert (await okta.scim("PUT", f"/Users/{found['id']}", body))[0] == 200
    assert await ada.refused("GET", "/api/v1/users/profile") == (401, "invalid_token")
    credentials = {"username": "ada", "password": PASSWORD, "mode": "token"}
    assert await people.nobody().refused("POST", "/api/v1/auth/login", credentials) == (403, "banned")
    status, listed = await okta.scim("GET", "/Users?startIndex=2&count=1")
    assert (status, listed["totalResults"], listed["itemsPerPage"], listed["startIndex"]) == (200, 2, 1, 2)
    (root,) = (await okta.scim("GET", '/Users?filter=userName eq "root"'))[1]["Resources"]
    off = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    assert (await okta.scim("PATCH", f"/Users/{root['id']}", off))[0] == 409  # the last administrator
    headers = {**okta.headers, "Content-Type": "application/scim+json"}
    url = f"{okta.server.url}/scim/v2/Users/{found['id']}"
    async with okta.session.patch(url, data='{"Operations":' + "[" * 20_000, headers=headers) as answer:
        assert (answer.status, (await answer.json(content_type=None))["scimType"]) == (400, "invalidSyntax")
    await admin.ok("GET", "/api/v1/users/profile")


async def test_groups_as_okta_and_entra_keep_them(people: People, dsn: str) -> None:
    _, scim = await provider(people, dsn)
    ids = [(await scim.scim("POST", "/Users", {"userName": f"{name}@example.com"}))[1]["id"] for name in "abc"]

    async def change(*operations: dict[str, Any]) -> None:
        body = {"schemas": [PATCH], "Operations": operations}
        assert await scim.scim("PATCH", group, body) == (204, None)

    async def members() -> list[str]:
        return sorted(one["value"] for one in (await scim.scim("GET", group))[1]["members"])

    # Okta
    status, made = await scim.scim("POST", "/Groups", {"schemas": [GROUP], "displayName": "Staff", "members": []})
    assert (status, made["displayName"], made["members"]) == (201, "Staff", [])
    group = f"/Groups/{made['id']}"
    query = '/Groups?filter=displayName eq "Staff"&startIndex=1&count=100'
    assert (await scim.scim("GET", query))[1]["Resources"] == [made]
    added = [{"value": one, "display": "x"} for one in ids[:2]]
    await change(
        {"op": "remove", "path": f'members[value eq "{ids[2]}"]'}, {"op": "add", "path": "members", "value": added}
    )
    assert await members() == sorted(ids[:2])
    await change({"op": "remove", "path": f'members[value eq "{ids[0]}"]'})
    await change({"op": "replace", "value": {"id": made["id"], "displayName": "All staff"}})
    assert await members() == [ids[1]]
    status, after = await scim.scim("PUT", group, {"displayName": "All staff", "members": [{"value": ids[2]}]})
    assert (status, [one["value"] for one in after["members"]]) == (200, [ids[2]])

    # Entra
    await change(
        {"op": "Add", "path": "members", "value": [{"value": ids[0]}]},
        {"op": "Replace", "path": "externalId", "value": "8aa1"},
    )
    await change({"op": "Remove", "path": "members", "value": [{"value": ids[2]}]})
    assert await members() == [ids[0]]
    query = '/Groups?filter=externalId eq "8aa1"&excludedAttributes=members'
    (found,) = (await scim.scim("GET", query))[1]["Resources"]
    assert (found["displayName"], "members" in found) == ("All staff", False)
    query = f'/Groups?filter=id eq "{made["id"]}" and members eq "{{}}"&attributes=id'
    assert [(await scim.scim("GET", query.format(one)))[1]["totalResults"] for one in ids[:2]] == [1, 0]
    person = (await scim.scim("GET", f"/Users/{ids[0]}"))[1]
    assert [(one["value"], one["display"]) for one in person["groups"]] == [(made["id"], "All staff")]

    assert (await scim.scim("POST", "/Groups", {"displayName": "all staff"}))[1]["scimType"] == "uniqueness"
    for value in ({"value": "nobody"}, {"value": made["id"], "type": "Group"}, {}):
        operation = {"op": "add", "path": "members", "value": [value]}
        assert (await scim.scim("PATCH", group, {"Operations": [operation]}))[0] == 400, value
    await scim.scim("DELETE", f"/Users/{ids[0]}")
    await change({"op": "add", "path": "members", "value": {"value": ids[1]}})
    assert await members() == [ids[1]]
    assert (await scim.scim("GET", "/Groups"))[1]["totalResults"] == 1
    assert (await scim.scim("DELETE", group))[0] == 204
    assert (await scim.scim("GET", group))[0] == 404


async def test_members_of_the_chosen_group_are_administrators(people: People, dsn: str) -> None:
    _, scim = await provider(people, dsn)
    (root,) = (await scim.scim("GET", '/Users?filter=userName eq "root"'))[1]["Resources"]
    user = (await scim.scim("POST", "/Users", {"userName": "ada@example.com"}))[1]["id"]

    async def roles() -> list[str]:
        return [one["value"] for one in (await scim.scim("GET", f"/Users/{user}"))[1]["roles"]]

    made = (await scim.scim("POST", "/Groups", {"displayName": "Everybody", "members": [{"value": user}]}))[1]
    group = f"/Groups/{made['id']}"
    assert await roles() == []
    for name, expected in (("admins", ["admin"]), ("Others", []), ("Admins", ["admin"])):
        assert (await scim.scim("PUT", group, made | {"displayName": name}))[0] == 200
        assert await roles() == expected, name
    emptied = {"Operations": [{"op": "remove", "path": "members"}]}
    assert (await scim.scim("PATCH", group, emptied))[0] == 204
    assert await roles() == []
    everybody = {"Operations": [{"op": "add", "path": "members", "value": [{"value": root["id"]}]}]}
    assert (await scim.scim("PATCH", group, everybody))[0] == 204
    for method, body in (("PATCH", emptied), ("DELETE", None)):
        assert (await scim.scim(method, group, body))[0] == 409  # the last administrator


async def test_only_a_provisioning_key_may(people: People, dsn: str) -> None:
    admin, stranger = await provider(people, dsn, ("admin:write", "admin:read"))
    assert (await stranger.scim("GET", "/Users"))[0] == 403
    by_session = Provider(admin.session, admin.server, admin.headers)
    assert (await by_session.scim("GET", "/Users"))[0] == 401
    stranger.headers = {}
    status, told = await stranger.scim("GET", "/ServiceProviderConfig")
    assert (status, told["status"]) == (401, "401")
    plain = await people.user("plain")
    body = {"name": "k", "scopes": ["provisioning:write"]}
    assert (await plain.refused("POST", "/api/v1/users/api-keys", body))[0] == 403


async def test_it_describes_itself(people: People, dsn: str) -> None:
    _, okta = await provider(people, dsn)
    assert (await okta.scim("GET", "/ServiceProviderConfig"))[1]["patch"] == {"supported": True}
    kinds = (await okta.scim("GET", "/ResourceTypes"))[1]["Resources"]
    assert [kind["endpoint"] for kind in kinds] == ["/Users", "/Groups"]
    urns = [one["id"] for one in (await okta.scim("GET", "/Schemas"))[1]["Resources"]]
    assert urns == [CORE, ENTERPRISE, GROUP]
    assert (await okta.scim("GET", f"/Schemas/{CORE}"))[1]["name"] == "User"
    for query in (
        '/Users?filter=title co "x"',
        '/Groups?filter=displayName co "x"',
        '/Users?filter=userName eq "a" or userName eq "b"',
        "/Users?count=many",
    ):
        assert (await okta.scim("GET", query))[0] == 400, query
    for method, path, refused in (("PUT", "/Groups", 405), ("POST", "/Bulk", 404), ("PUT", "/Users", 405)):
        status, told = await okta.scim(method, path)
        assert (status, told["schemas"], told["status"]) == (refused, [ERROR], str(refused)), path


STAFF = Group("Staff", None, frozenset(("a", "b")))
JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=10) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.text(max_size=40), st.sampled_from(["add", "Replace", "remove", "x"]))
def test_whatever_is_sent_is_refused_or_understood(value: Any, path: str, verb: str) -> None:
    for attempt in (
        lambda: patched(dict(OKTA_CREATES), {"Operations": [{"op": verb, "path": path, "value": value}]}),
        lambda: wanted(patched(dict(OKTA_CREATES), {"Operations": [{"op": verb, "value": value}]})),
        lambda: wanted(value),
        lambda: wanted_group(value),
        lambda: patched_group(STAFF, {"Operations": [{"op": verb, "path": path, "value": value}]}),
        lambda: patched_group(STAFF, {"Operations": [{"op": verb, "path": "members", "value": value}]}),
        lambda: parse_filter(path),
        lambda: parse_path(path),
    ):
        try:
            attempt()
        except ScimError as refused:
            assert refused.status == 400


@pytest.mark.parametrize("text", ["", "userName", "userName eq", 'userName zz "x"', "userName eq x", 'a eq "x" and'])
def test_filters_outside_of_the_grammar_are_refused(text: str) -> None:
    with pytest.raises(ScimError):
        parse_filter(text)
