"""The gateway from a browser's view: a real nginx in front of a real server, and a call through both."""

import asyncio
import io
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from parley import cli, nginx_config, part_certificates
from parley.nginx_config import PartFiles
from parley_client import Api, Room
from sfu.machines.ice.lite import generate_credentials
from tests.sfu.rooms.stage import AUDIO, description
from tests.support import http3
from tests.support.call import PASSWORD, become_admin, call
from tests.support.gateway import NODE_SECRET, RunningGateway, running_gateway
from tests.support.waiting import eventually


def part_files(directory: Path) -> PartFiles:
    """Make an authority, and a certificate that it has signed."""
    part_certificates.make(directory, datetime.now(UTC))
    names = (part_certificates.CERTIFICATE, part_certificates.KEY, part_certificates.AUTHORITY)
    return PartFiles(*(directory / name for name in names))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> PartFiles:
    return part_files(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def gateway(parts: PartFiles) -> Iterator[RunningGateway]:
    """The gateway and the parts, with mutual TLS between them."""
    with running_gateway(parts=parts) as running:
        asyncio.run(set_up(running))
        yield running


async def set_up(running: RunningGateway) -> None:
    async with Api(running.url, verify_tls=False) as api:
        await become_admin(api, running.server.setup_token)


@pytest.fixture
async def api(gateway: RunningGateway) -> AsyncIterator[Api]:
    async with Api(gateway.url, verify_tls=False) as session:
        await session.login("admin", PASSWORD)
        yield session


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        yield session


def accesses(gateway: RunningGateway, path: str) -> list[dict[str, object]]:
    """The logged requests to a path."""
    lines = [json.loads(line) for line in gateway.events().splitlines() if line.startswith("{")]
    return [line for line in lines if line["path"] == path]


async def test_a_call_goes_through_nginx_and_straight_to_its_node(
    gateway: RunningGateway, api: Api, http: aiohttp.ClientSession
) -> None:
    meeting = await api.create_meeting("Through the gateway")
    async with call(api, meeting, verify_tls=False) as (_, listener):
        assert listener.state.info is not None
        async with http.get(f"http://127.0.0.1:{gateway.ports['control']}/metrics") as answer:
            exported = await answer.text()
    assert re.search(r"^parley_control_signaling_proxied 0\.0$", exported, re.M), "control carried the signaling itself"
    (first, *_) = accesses(gateway, "/ws/signaling")
    assert first["status"] == 101
    assert str(first["node"]).startswith("127.0.0.1:")


async def test_only_a_part_reaches_the_parts(
    gateway: RunningGateway,
    parts: PartFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    secret = {"Authorization": f"Bearer {NODE_SECRET}"}
    node = f"https://127.0.0.1:{gateway.ports['sfu_http']}"
    internal = f"https://127.0.0.1:{gateway.ports['internal']}/internal/v1/nodes"
    foreign = part_files(tmp_path)

    async def status(url: str, files: PartFiles | None, authority: Path) -> int:
        context = ssl.create_default_context(cafile=authority)
        context.check_hostname = False
        if files is not None:
            context.load_cert_chain(files.certificate, files.key)
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(connector=connector) as session, session.get(url, headers=secret) as answer:
            return answer.status

    assert await status(f"{node}/node/v1/rooms", parts, parts.authority) == 200
    assert await status(internal, parts, parts.authority) == 200
    assert await status(f"{node}/node/v1/rooms", None, parts.authority) == 403
    for health in ("/health/ready", "/metrics"):
        assert await status(node + health, None, parts.authority) == 200
    for files, authority in ((None, parts.authority), (foreign, parts.authority), (parts, foreign.authority)):
        with pytest.raises(aiohttp.ClientError):
            await status(internal, files, authority)
    monkeypatch.setenv("PARLEY_NODE_SECRET", NODE_SECRET)
    monkeypatch.setenv("PARLEY_INTERNAL_PORT", str(gateway.ports["internal"]))
    for name, path in zip(("CERTIFICATE", "KEY", "CA"), parts, strict=True):
        monkeypatch.setenv(f"PARLEY_PARTS_{name}", str(path))
    assert await asyncio.to_thread(cli.main, ["nodes", "list"]) == 0
    assert "  living  " in capsys.readouterr().out


async def test_a_node_that_control_does_not_know_is_refused_by_control(
    gateway: RunningGateway, http: aiohttp.ClientSession
) -> None:
    for meeting in ("", "abcd-efgh-jkmn", "127.0.0.1:22"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{gateway.url}/ws/signaling?meeting={meeting}")
        assert refused.value.status == 403


async def test_an_encoder_comes_by_its_key_again_and_again(
    gateway: RunningGateway, api: Api, http: aiohttp.ClientSession
) -> None:
    meeting = await api.create_meeting("On air")
    keys = f"/meetings/{meeting}/stream-keys"
    key = await api.request("POST", keys, {"name": "Camera van", "role": "publish"})
    bearer = {"Authorization": f"Bearer {key['secret']}"}
    url, offer = f"{gateway.url}/whip", description(generate_credentials(), [AUDIO], "actpass")
    for _ in range(2):
        async with http.post(url, data=offer, headers=bearer | {"Content-Type": "application/sdp"}) as answer:
            assert answer.status == 201, await answer.text()
            location = answer.headers["Location"]
        async with http.delete(gateway.url + location, headers=bearer) as answer:
            assert answer.status == 200
    assert all(str(line["node"]).startswith("127.0.0.1:") for line in accesses(gateway, location))
    await api.request("DELETE", f"{keys}/{key['id']}")
    async with http.post(url, data=offer, headers=bearer | {"Content-Type": "application/sdp"}) as answer:
        assert answer.status == 401


async def test_whip_goes_to_the_node_that_the_token_names(
    gateway: RunningGateway, api: Api, http: aiohttp.ClientSession
) -> None:
    joined = await api.join(await api.create_meeting("WHIP"), "Camera")
    headers = {"Authorization": f"Bearer {joined.token}", "Content-Type": "application/sdp"}
    async with http.post(f"{gateway.url}/whip", data=b"not sdp", headers=headers) as answer:
        assert answer.status == 400
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    async with http.post(f"{gateway.url}/whip", data=b"v=0", headers={"Content-Type": "application/sdp"}) as answer:
        assert answer.status in {401, 404}
    async with http.options(f"{gateway.url}/whip") as answer:
        assert answer.status == 204


async def test_the_page_is_served_with_its_headers(gateway: RunningGateway, http: aiohttp.ClientSession) -> None:
    async with http.get(gateway.url, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.status == 200
        assert "<html" in await answer.text()
    sent = answer.headers
    assert "max-age" in sent["Strict-Transport-Security"]
    assert sent["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in sent["Content-Security-Policy"]
    assert sent.get("Server") == "nginx"
    async with http.get(f"{gateway.url}/app/css/meeting.css", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Encoding"] == "gzip"


async def test_cookies_are_secure_and_the_origin_is_checked(
    gateway: RunningGateway, http: aiohttp.ClientSession
) -> None:
    login = {"username": "admin", "password": PASSWORD}
    own, foreign = {"Origin": gateway.url}, {"Origin": "https://elsewhere.example"}
    async with http.post(f"{gateway.url}/api/v1/auth/login", json=login, headers=own) as answer:
        assert answer.status == 200
        cookies = answer.headers.getall("Set-Cookie")
    assert cookies and all(cookie.startswith("__Host-") and "Secure" in cookie for cookie in cookies)
    async with http.post(f"{gateway.url}/api/v1/auth/login", json=login, headers=foreign) as answer:
        assert answer.status == 403


@pytest.mark.parametrize("path", ["/metrics", "/internal/v1/keys", "/node/v1/rooms", "/parley-route"])
async def test_what_is_for_the_parts_alone_stays_inside(
    gateway: RunningGateway, http: aiohttp.ClientSession, path: str
) -> None:
    headers = {"Authorization": f"Bearer {NODE_SECRET}"}
    async with http.get(gateway.url + path, headers=headers) as answer:
        assert answer.status == 404


async def test_plain_http_is_for_this_machine_alone(gateway: RunningGateway, http: aiohttp.ClientSession) -> None:
    url = f"http://127.0.0.1:{gateway.http_port}/m/abcd-efgh-jkmn"
    async with http.get(url, allow_redirects=False) as answer:
        assert answer.status == 200
    async with http.get(url, headers={"Host": "meet.example"}, allow_redirects=False) as answer:
        assert answer.status == 308
        assert answer.headers["Location"] == f"https://meet.example:{gateway.https_port}/m/abcd-efgh-jkmn"


async def test_uploads_are_streamed(gateway: RunningGateway, api: Api) -> None:
    """The upload's first byte reaches control while its last has not been sent: nginx keeps no copy."""
    begun = asyncio.Event()
    seen: list[float] = []

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        await asyncio.wait_for(begun.wait(), 30)
        seen.append(time.monotonic())
        yield b"y" * 100_000

    upload = asyncio.create_task(api_upload(gateway, api, slowly()))
    media = gateway.server.data / "control" / "media"
    await eventually(lambda: [f for f in media.rglob("*") if f.is_file() and f.stat().st_size >= 60_000])
    begun.set()
    assert await upload == 201
    assert seen


async def api_upload(gateway: RunningGateway, api: Api, body: AsyncIterator[bytes]) -> int:
    answer = await api.request("POST", "/auth/login", {"username": "admin", "password": PASSWORD, "mode": "token"})
    headers = {"Authorization": f"Bearer {answer['access_token']}", "Content-Type": "application/octet-stream"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        url = f"{gateway.url}/api/v1/media/upload?name=a.bin"
        async with session.post(url, data=body, headers=headers) as response:
            return response.status


async def test_large_bodies_are_refused_where_none_are_expected(
    gateway: RunningGateway, http: aiohttp.ClientSession
) -> None:
    async with http.post(f"{gateway.url}/api/v1/auth/login", data=io.BytesIO(b"x" * 7_000_000)) as answer:
        assert answer.status == 413


async def test_tls_is_modern_and_http_2_is_spoken(gateway: RunningGateway) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.https_port, ssl=context)
    tls = writer.get_extra_info("ssl_object")
    assert (tls.version(), tls.selected_alpn_protocol()) == ("TLSv1.3", "h2")
    writer.transport.abort()  # the server's first frames are under way
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", gateway.https_port, ssl=context)


async def test_http_3_is_spoken_and_announced_where_nginx_has_it(
    gateway: RunningGateway, http: aiohttp.ClientSession
) -> None:
    async with http.get(gateway.url) as answer:
        announced = answer.headers.get("Alt-Svc", "")
    if not nginx_config.found().http3:
        assert announced == ""
        return
    assert f'h3=":{gateway.https_port}"' in announced
    headers = await http3.get(gateway.https_port, "/health/live")
    assert headers[":status"] == "200"


async def test_addresses_of_clients_reach_control_and_may_not_be_claimed(
    gateway: RunningGateway, http: aiohttp.ClientSession
) -> None:
    headers = {"X-Forwarded-For": "203.0.113.7"}
    login = {"username": "admin", "password": PASSWORD, "mode": "token"}
    async with http.post(f"{gateway.url}/api/v1/auth/login", json=login, headers=headers) as answer:
        token = (await answer.json())["access_token"]
    async with http.get(f"{gateway.url}/api/v1/admin/audit", headers={"Authorization": f"Bearer {token}"}) as answer:
        assert answer.status == 200
        assert "203.0.113.7" not in await answer.text()


async def test_links_with_tokens_are_not_logged(gateway: RunningGateway, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{gateway.url}/setup?token=onlyonce4711") as answer:
        assert answer.status == 200
    await eventually(lambda: accesses(gateway, "/setup"))
    assert "onlyonce4711" not in gateway.events()


async def test_health_checks_that_succeed_are_not_logged(gateway: RunningGateway, http: aiohttp.ClientSession) -> None:
    """A probe every ten seconds would be 8,640 lines a day."""
    for path in ("/health/live", "/health/ready", "/health/live/nothing", "/privacy"):
        async with http.get(f"{gateway.url}{path}") as answer:
            await answer.read()
    await eventually(lambda: accesses(gateway, "/privacy"))
    assert accesses(gateway, "/health/live/nothing")
    assert not accesses(gateway, "/health/live")
    assert not accesses(gateway, "/health/ready")


async def test_signaling_falls_back_to_control_where_nginx_cannot_ask() -> None:
    """With a wrong node secret the route is not answered: control still carries the session itself."""
    with running_gateway(node_secret="another-secret-than-nginx-has-another") as running:
        async with Api(running.url, verify_tls=False) as session:
            await become_admin(session, running.server.setup_token)
            joined = await session.join(await session.create_meeting("Fallback"), "Ada")
            async with Room(session.signaling_url(joined), token=joined.token, verify_tls=False) as room:
                assert room.state.info is not None
