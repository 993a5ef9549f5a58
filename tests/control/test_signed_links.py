"""Links that open one file for a limited time: through control, or at a store with a public endpoint."""

import io
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from control.config import ControlConfig
from control.identity.keys import load
from control.identity.tokens import Tokens
from tests.control.harness import Client, People, come_in, serving
from tests.control.test_media import upload
from tests.control.test_recordings import DATA, recorded
from tests.support.object_stores import S3Server

PAGE = b"<!doctype html><script>alert(1)</script>"


async def fetched(client: Client, url: str) -> tuple[int, bytes, dict[str, str]]:
    """Return the response to a request with nothing but the link."""
    whole = url if url.startswith("http") else client.server.url + url
    async with client.session.get(whole) as answer:
        return answer.status, await answer.read(), {name.lower(): value for name, value in answer.headers.items()}


async def test_a_link_opens_one_file_and_nothing_else(people: People, config: ControlConfig) -> None:
    ada, nobody = await people.user("ada"), people.nobody()
    file, other = [(await upload(ada, io.BytesIO(content)))[1]["id"] for content in (PAGE, b"other")]
    assert await nobody.refused("POST", f"/api/v1/media/{file}/links", {}) == (401, "not_signed_in")
    link = await ada.ok("POST", f"/api/v1/media/{file}/links", {"seconds": 60})
    status, content, headers = await fetched(nobody, link["url"])
    assert (status, content) == (200, PAGE)
    # Files that could act as a page are always downloaded.
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment")
    assert "sandbox" in headers["content-security-policy"] and headers["x-content-type-options"] == "nosniff"
    async with nobody.session.get(ada.server.url + link["url"], headers={"Range": "bytes=0-3"}) as answer:
        assert (answer.status, await answer.read()) == (206, PAGE[:4])
    given = parse_qs(urlsplit(link["url"]).query)
    expires, signature, of = int(given["expires"][0]), given["signature"][0], f"link={link['id']}"
    tokens = Tokens(load(config.data_dir, may_create=False))
    late = tokens.link(link["id"], f"media/{file}", 1)
    for changed in (
        f"media/{other}?{of}&expires={expires}&signature={signature}",
        f"media/{file}?{of}&expires={expires + 1}&signature={signature}",
        f"media/{file}?{of}&expires={expires}&signature={signature[::-1]}",
        f"media/{file}?{of}&expires={expires}&signature=%C3%A9",
        f"media/{file}?{of}&expires=1&signature={late}",
        f"media/{file}?link=another&expires={expires}&signature={signature}",
        f"media/{file}?link=another&expires={expires}&signature={tokens.link('another', f'media/{file}', expires)}",
        f"recordings/recording_{file[5:]}/a?{of}&expires={expires}&signature={signature}",
    ):
        assert await nobody.refused("GET", f"/api/v1/signed/{changed}") == (403, "link"), changed
    await ada.ok("DELETE", f"/api/v1/media/{file}")
    assert await nobody.refused("GET", link["url"]) == (403, "link")


async def test_links_are_listed_and_taken_back(people: People) -> None:
    """By the file's owner and hosts all of them; by others those that they made."""
    ada, ben, eve = await people.user("ada"), await people.user("ben"), await people.user("eve")
    meeting = (await ada.ok("POST", "/api/v1/meetings", {}))["id"]
    await come_in(ada, meeting, (await ben.ok("POST", f"/api/v1/meetings/{meeting}/join", {}))["participant"])
    file = (await upload(ada, io.BytesIO(PAGE), f"name=a.bin&meeting={meeting}"))[1]["id"]
    path = f"/api/v1/media/{file}/links"
    by_ada, by_ben = await ada.ok("POST", path, {}), await ben.ok("POST", path, {})
    assert (await ada.ok("GET", path))["links"] == [by_ben, by_ada]
    assert (await ben.ok("GET", path))["links"] == [by_ben]
    assert await eve.refused("GET", path) == (404, "not_found")
    for client, link in ((ben, by_ada), (eve, by_ben), (ada, {"id": "link_unknown"})):
        assert await client.refused("DELETE", f"{path}/{link['id']}") == (404, "not_found")
    other = (await upload(ada, io.BytesIO(b"other")))[1]["id"]
    assert await ada.refused("DELETE", f"/api/v1/media/{other}/links/{by_ada['id']}") == (404, "not_found")
    await ada.ok("DELETE", f"{path}/{by_ben['id']}")
    assert await people.nobody().refused("GET", by_ben["url"]) == (403, "link")
    assert (await fetched(people.nobody(), by_ada["url"]))[0] == 200
    await ada.ok("DELETE", f"{path}/{by_ada['id']}")
    assert await people.nobody().refused("GET", by_ada["url"]) == (403, "link")
    assert (await ada.ok("GET", path))["links"] == []


async def test_a_link_opens_a_file_of_a_recording(people: People, config: ControlConfig) -> None:
    host = await people.user("host")
    _, recording = await recorded(host, config)
    detail = await host.ok("GET", f"/api/v1/recordings/{recording}")
    name = detail["tracks"][0]["files"][0]
    path = f"/api/v1/recordings/{recording}/file-links"
    link = await host.ok("POST", path, {"name": name})
    assert (await fetched(people.nobody(), link["url"]))[:2] == (200, DATA)
    assert (await host.ok("GET", path))["links"] == [link] and link["name"] == name
    await host.ok("DELETE", f"{path}/{link['id']}")
    assert await people.nobody().refused("GET", link["url"]) == (403, "link")
    assert await host.refused("DELETE", f"{path}/{link['id']}") == (404, "not_found")
    body = {"name": "../../etc/passwd"}
    assert (await host.call("POST", f"/api/v1/recordings/{recording}/file-links", body))[0] in {400, 404}


@pytest_asyncio.fixture
async def in_s3(config: ControlConfig, s3: S3Server) -> AsyncIterator[People]:
    store = replace(s3.config, bucket=f"test-{secrets.token_hex(6)}", public_endpoint=s3.config.endpoint)
    async with (
        serving(replace(config, s3=store)) as running,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield People(session, running)


async def test_a_store_with_a_public_endpoint_is_where_links_lead(in_s3: People, s3: S3Server) -> None:
    ada = await in_s3.user("ada")
    file = (await upload(ada, io.BytesIO(PAGE)))[1]["id"]
    link = await ada.ok("POST", f"/api/v1/media/{file}/links", {"seconds": 3600})
    async with ada.session.get(ada.server.url + link["url"], allow_redirects=False) as answer:
        assert answer.status == 302
        url = answer.headers["Location"]
    assert url.startswith(s3.config.endpoint)
    status, content, headers = await fetched(in_s3.nobody(), url)
    assert (status, content, headers["content-type"]) == (200, PAGE, "application/octet-stream")
    assert headers["content-disposition"].startswith("attachment")
    assert (await fetched(in_s3.nobody(), url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")))[0] == 403
    assert (await fetched(in_s3.nobody(), url.partition("?")[0]))[0] == 403
    assert (await fetched(in_s3.nobody(), link["url"]))[:2] == (200, PAGE)
    await ada.ok("DELETE", f"/api/v1/media/{file}/links/{link['id']}")
    assert await in_s3.nobody().refused("GET", link["url"]) == (403, "link")


@pytest.mark.parametrize("endpoint", ["ftp://files.example.org", "https://files.example.org/path"])
def test_a_public_endpoint_is_an_address(s3: S3Server, endpoint: str) -> None:
    with pytest.raises(ValueError, match="not http"):
        replace(s3.config, public_endpoint=endpoint)
