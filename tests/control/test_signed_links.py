"""Links that open one file for a while: through control, and straight to a store with a public endpoint."""

import io
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from control.config import ControlConfig
from control.keys import load
from control.tokens import Tokens
from tests.control.harness import Client, People, serving
from tests.control.test_media import upload
from tests.control.test_recordings import DATA, recorded
from tests.support.object_stores import S3Server

PAGE = b"<!doctype html><script>alert(1)</script>"


async def fetched(client: Client, url: str) -> tuple[int, bytes, dict[str, str]]:
    """What somebody gets who has nothing but the link."""
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
    # What could act as a page is downloaded, whoever asks for it.
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment")
    assert "sandbox" in headers["content-security-policy"] and headers["x-content-type-options"] == "nosniff"
    async with nobody.session.get(ada.server.url + link["url"], headers={"Range": "bytes=0-3"}) as answer:
        assert (answer.status, await answer.read()) == (206, PAGE[:4])
    given = parse_qs(urlsplit(link["url"]).query)
    expires, signature = int(given["expires"][0]), given["signature"][0]
    late = Tokens(load(config.data_dir, may_create=False)).link(f"media/{file}", 1)
    for changed in (
        f"media/{other}?expires={expires}&signature={signature}",
        f"media/{file}?expires={expires + 1}&signature={signature}",
        f"media/{file}?expires={expires}&signature={signature[::-1]}",
        f"media/{file}?expires={expires}&signature=%C3%A9",
        f"media/{file}?expires=1&signature={late}",
        f"recordings/recording_{file[5:]}/a?expires={expires}&signature={signature}",
    ):
        assert await nobody.refused("GET", f"/api/v1/signed/{changed}") == (403, "link"), changed
    await ada.ok("DELETE", f"/api/v1/media/{file}")
    assert (await fetched(nobody, link["url"]))[0] == 404


async def test_a_link_opens_a_file_of_a_recording(people: People, config: ControlConfig) -> None:
    host = await people.user("host")
    _, recording = await recorded(host, config)
    detail = await host.ok("GET", f"/api/v1/recordings/{recording}")
    name = detail["tracks"][0]["files"][0]
    link = await host.ok("POST", f"/api/v1/recordings/{recording}/file-links", {"name": name})
    assert (await fetched(people.nobody(), link["url"]))[:2] == (200, DATA)
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
    url = (await ada.ok("POST", f"/api/v1/media/{file}/links", {"seconds": 60}))["url"]
    assert url.startswith(s3.config.endpoint)
    status, content, headers = await fetched(in_s3.nobody(), url)
    assert (status, content, headers["content-type"]) == (200, PAGE, "application/octet-stream")
    assert headers["content-disposition"].startswith("attachment")
    assert (await fetched(in_s3.nobody(), url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")))[0] == 403
    assert (await fetched(in_s3.nobody(), url.partition("?")[0]))[0] == 403


@pytest.mark.parametrize("endpoint", ["ftp://files.example.org", "https://files.example.org/path"])
def test_a_public_endpoint_is_an_address(s3: S3Server, endpoint: str) -> None:
    with pytest.raises(ValueError, match="not http"):
        replace(s3.config, public_endpoint=endpoint)
