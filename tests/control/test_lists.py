"""Paginated lists with filters: recordings, accounts and the audit log; and the OpenAPI document."""

import asyncpg
import jsonschema

from control.app import openapi_document
from control.openapi_examples import example_of
from tests.control.harness import PASSWORD, Client, People


async def administrator(people: People, dsn: str) -> Client:
    admin = await people.user("root")
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE users SET role = 'admin' WHERE username = 'root'")
    await connection.close()
    return admin


async def test_recordings_come_in_pages_and_by_state(people: People, dsn: str) -> None:
    ada = await people.user("ada")
    meeting = (await ada.ok("POST", "/api/v1/meetings", {"title": "Standup"}))["id"]
    connection = await asyncpg.connect(dsn)
    for number, state in enumerate(("ready", "ready", "partial", "ready")):
        await connection.execute(
            "INSERT INTO meeting_recordings (id, meeting_id, state, started_at, owner_id)"
            " VALUES ($1, $2, $3, now() - make_interval(hours => $4), $5)",
            f"rec_{number}",
            meeting,
            state,
            number // 2,  # some began at the same time
            ada.user["id"],
        )
    await connection.close()
    for path in (f"/api/v1/meetings/{meeting}/recordings", "/api/v1/recordings", "/api/v1/recordings?search=stand"):
        separator = "&" if "?" in path else "?"
        seen: list[str] = []
        cursor = ""
        while True:
            page = await ada.ok("GET", f"{path}{separator}limit=1{cursor}")
            seen += [one["id"] for one in page["recordings"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert sorted(seen) == ["rec_0", "rec_1", "rec_2", "rec_3"], path
        assert set(seen[:2]) == {"rec_0", "rec_1"}
        some = await ada.ok("GET", f"{path}{separator}state=partial")
        assert [one["id"] for one in some["recordings"]] == ["rec_2"]
        assert await ada.refused("GET", f"{path}{separator}cursor=x") == (400, "invalid_cursor")


async def test_administrators_make_select_and_audit_accounts(people: People, dsn: str) -> None:
    admin = await administrator(people, dsn)
    body = {"username": "grace", "email": "grace@example.org", "role": "admin", "password": PASSWORD}
    made = await admin.ok("POST", "/api/v1/admin/users", body)
    assert (made["role"], made["email_verified"], made["display_name"]) == ("admin", True, "grace")
    assert await admin.refused("POST", "/api/v1/admin/users", body) == (409, "account_exists")
    await people.nobody().ok("POST", "/api/v1/auth/login", {"username": "grace@example.org", "password": PASSWORD})
    silent = await admin.ok("POST", "/api/v1/admin/users", {"username": "silent"})
    await admin.ok("POST", f"/api/v1/admin/users/{silent['id']}/ban")
    for query, expected in (("role=admin", ["grace", "root"]), ("state=banned", ["silent"]), ("role=user", ["silent"])):
        listed = await admin.ok("GET", f"/api/v1/admin/users?{query}")
        assert sorted(one["username"] for one in listed["users"]) == expected, query
    entries = (await admin.ok("GET", f"/api/v1/admin/audit?action=create_user&target={made['id']}"))["entries"]
    assert [(one["actor"], one["target"]) for one in entries] == [(admin.user["id"], made["id"])]
    assert (await admin.ok("GET", "/api/v1/admin/audit?actor=nobody"))["entries"] == []


def test_every_example_of_the_document_fits_its_schema() -> None:
    document = openapi_document()
    components = document["components"]["schemas"]
    wrong = []
    for name, schema in components.items():
        whole = {**schema, "components": document["components"]}
        for example in schema.get("examples", []):
            errors = [error.message for error in jsonschema.Draft202012Validator(whole).iter_errors(example)]
            wrong += [f"{name}: {error}" for error in errors]
    assert not wrong
    assert example_of(components["CreateUser"], components) == {"username": "ada"}


def test_the_document_says_scopes_limits_and_what_is_old() -> None:
    paths = openapi_document()["paths"]
    listed = paths["/api/v1/admin/users"]["get"]
    assert listed["security"] == [{"bearer": ["admin:read"]}, {"session": []}]
    assert set(listed["responses"]) >= {"200", "400", "401", "403", "429"}
    assert set(listed["responses"]["200"]["headers"]) == {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}
    assert paths["/api/v1/my/meetings"]["get"]["deprecated"] is True
    assert "meeting.ended" in openapi_document()["webhooks"]
