"""Methods of each REST path, and the responses to others (RFC 9110, sections 15.5.5 and 15.5.6)."""

import re

import aiohttp
import pytest

from control.app import declared_endpoints, openapi_document
from control.config import ControlConfig
from tests.control.harness import People
from tests.control.test_ai_setup import administrator

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


_PARAMETER = re.compile(r"<(?:\w+:)?\w+>")


def paths() -> dict[str, set[str]]:
    """Each declared path, with something in place of its parameters, and the methods of all rules that it fits."""
    rules = [(endpoint.method, endpoint.rule) for endpoint in declared_endpoints()]
    patterns = [(method, re.compile(_PARAMETER.sub("[^/]+", rule))) for method, rule in rules]
    made = {_PARAMETER.sub("1", rule) for _, rule in rules}
    return {path: {method for method, pattern in patterns if pattern.fullmatch(path)} for path in made}


async def test_what_a_path_does_not_take_is_answered_with_what_it_does(people: People) -> None:
    nobody = people.nobody()
    wrong = []
    for path, taken in paths().items():
        if not path.startswith("/api/"):
            continue  # the older paths of the page are pages too
        allowed = taken | {"OPTIONS"} | ({"HEAD"} if "GET" in taken else set())
        for method in set(_METHODS) - taken:
            async with nobody.session.request(method, nobody.server.url + path) as answer:
                told = set(answer.headers.get("Allow", "").split(", "))
                if (answer.status, told) != (405, allowed):
                    wrong.append(f"{method} {path}: {answer.status}, {told}")
    assert wrong == []


@pytest.mark.parametrize("method", _METHODS)
@pytest.mark.parametrize("path", ["/api/v1/ffmpeg/transcode", "/api/v1/ffmpeg/merge", "/api/v1/nothing", "/api/v2/x"])
async def test_what_there_is_not_is_not_found_by_any_method(people: People, method: str, path: str) -> None:
    assert await people.nobody().refused(method, path) == (404, "not_found")


async def test_a_form_with_a_file_in_it_is_no_file(people: People) -> None:
    ada = await people.user("ada")
    for path in ("/api/v1/media/upload?name=a.png", "/api/v1/users/upload-avatar"):
        form = aiohttp.FormData()
        form.add_field("file", b"content", filename="a.png")
        async with ada.session.post(ada.server.url + path, data=form, headers=ada.headers) as answer:
            assert (answer.status, (await answer.json())["code"]) == (415, "file_expected")
    assert (await ada.ok("GET", "/api/v1/media"))["files"] == []


def test_times_are_declared_as_such_and_bodies_tell_how_they_are_refused() -> None:
    document = openapi_document()
    undeclared = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, kind in schema.get("properties", {}).items()
        if field.endswith(("_at", "_start", "_end")) and {"type": "string"} in (kind, *kind.get("anyOf", ()))
    ]
    assert undeclared == []
    for operations in document["paths"].values():
        for operation in operations.values():
            if "requestBody" in operation:
                assert {"413", "415"} <= operation["responses"].keys(), operation["operationId"]


async def test_times_without_a_zone_are_refused_as_the_schema_says(people: People) -> None:
    ada = await people.user("ada")
    body = {"scheduled_start": "2030-01-01T09:00:00"}
    assert await ada.refused("POST", "/api/v1/meetings", body) == (400, "invalid_request")


async def test_a_meeting_that_there_is_not_cannot_be_ended(people: People, config: ControlConfig) -> None:
    admin = await administrator(people, config)
    refused = await admin.refused("POST", "/api/v1/admin/meetings/nothing/force-end")
    assert refused == (404, "not_found")
