"""Broadcasts: hosts add where to, start and stop; recorders report, and get the secrets that nobody else sees."""

from dataclasses import replace
from typing import Any

import aiohttp
import asyncpg
import msgspec
import pytest

from control.config import ControlConfig
from foundation.broadcasts import BroadcastOrders, BroadcastReport, OutputState
from foundation.srt_addresses import read_srt_secrets
from sfu.api.desired_state import DesiredState
from tests.control.harness import NODE_SECRET, Client, People, report, serving
from tests.control.test_stream_keys import meeting_of

RTMP = {"kind": "rtmp", "name": "Channel", "url": "rtmps://live.example.org/app", "key": "very-secret"}
LIVE = OutputState(phase="live", since=1_700_000_000_000, bits_per_second=2_000_000, delay_ms=700)
LOST = OutputState(phase="retrying", since=1_700_000_000_000, attempts=1, error="The server closed the connection.")


async def told(client: Client, broadcast: str, **said: Any) -> BroadcastOrders:
    """Report like a recorder, and return its orders."""
    words = BroadcastReport(**{"instance": "recorder-1", "placement": 1, **said})
    url = f"{client.server.internal}/internal/v1/broadcasts/{broadcast}/report"
    headers = {"Authorization": f"Bearer {NODE_SECRET}"}
    async with client.session.post(url, data=msgspec.json.encode(words), headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return msgspec.json.decode(await answer.read(), type=BroadcastOrders)


async def desired(client: Client, meeting: str) -> DesiredState:
    url = f"{client.server.internal}/internal/v1/rooms/{meeting}/desired"
    async with client.session.get(url, headers={"Authorization": f"Bearer {NODE_SECRET}"}) as answer:
        return msgspec.json.decode(await answer.read(), type=DesiredState)


async def begun(host: Client, meeting: str, *outputs: dict[str, Any]) -> str:
    """Add outputs, start, and return the broadcast's id."""
    for output in outputs:
        await host.ok("POST", f"/api/v1/meetings/{meeting}/broadcast/outputs", output)
    await host.ok("POST", f"/api/v1/meetings/{meeting}/broadcast/start", {"layout": "grid"})
    state = (await desired(host, meeting)).broadcast
    assert state is not None
    return state.broadcast


async def kinds(dsn: str, meeting: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT kind FROM outbox WHERE meeting_id = $1 ORDER BY seq", meeting)
    finally:
        await connection.close()
    return [row["kind"] for row in rows if row["kind"].startswith("broadcast.")]


async def test_it_starts_is_reported_and_stops_without_showing_a_key(people: People, dsn: str) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host)
    path = f"/api/v1/meetings/{meeting}/broadcast"
    assert await host.refused("POST", f"{path}/start", {}) == (409, "no_outputs")
    broadcast = await begun(host, meeting, RTMP, {"kind": "hls", "name": "Web"})
    assert await host.refused("POST", f"{path}/start", {}) == (409, "already_live")
    orders = await told(host, broadcast)
    assert orders.held
    assert orders.film.layout == "grid"
    rtmp, hls = orders.outputs
    assert (rtmp.key, rtmp.url, rtmp.private, hls.kind) == ("very-secret", RTMP["url"], False, "hls")
    assert "very-secret" not in repr(orders)
    await told(host, broadcast, outputs={rtmp.id: LIVE, hls.id: LIVE}, people=2)
    shown = await host.ok("GET", path)
    assert (shown["people"], shown["outputs"][0]["phase"], shown["outputs"][0]["delay_ms"]) == (2, "live", 700)
    assert "very-secret" not in str(shown)
    await told(host, broadcast, outputs={rtmp.id: LOST})
    await told(host, broadcast, outputs={rtmp.id: LOST})
    again = msgspec.structs.replace(LOST, phase="live", error="")
    await told(host, broadcast, outputs={rtmp.id: again})
    await host.ok("POST", f"{path}/stop", {})
    assert (await desired(host, meeting)).broadcast is None
    assert not (await told(host, broadcast)).held
    expected = ["broadcast.started", "broadcast.interrupted", "broadcast.resumed", "broadcast.stopped"]
    assert await kinds(dsn, meeting) == expected
    assert await host.refused("POST", f"{path}/stop", {}) == (409, "not_live")
    connection = await asyncpg.connect(dsn)
    try:
        stored = await connection.fetchval("SELECT stream_key FROM broadcast_outputs WHERE kind = 'rtmp'")
    finally:
        await connection.close()
    assert "very-secret" not in stored


async def test_the_recorder_of_the_node_that_has_the_room_now_takes_over(people: People) -> None:
    host = await people.user("ada")
    broadcast = await begun(host, await meeting_of(host), RTMP)
    assert (await told(host, broadcast)).held
    assert not (await told(host, broadcast, instance="recorder-2")).held
    assert (await told(host, broadcast, instance="recorder-2", placement=2)).held
    assert not (await told(host, broadcast)).held


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("rtmp://127.0.0.1/live", "forbidden_address"),
        ("rtmp://[::1]:1935/live", "forbidden_address"),
        ("rtmp://0x7f.1/live", "forbidden_address"),
        ("http://live.example.org/app", "invalid_url"),
        ("rtmp://live.example.org", "invalid_url"),
        ("rtmp://user:word@live.example.org/app", "invalid_url"),
        ("rtmp://live.example.org:99999/app", "invalid_url"),
        ("srt://[::1]:8890", "forbidden_address"),
        ("srt://live.example.org", "invalid_url"),
        ("srt://live.example.org:8890?mode=listener", "invalid_url"),
        ("srt://live.example.org:8890?latency=99999", "invalid_url"),
        ("srt://live.example.org:8890?passphrase=short", "invalid_url"),
    ],
)
async def test_targets_that_the_server_must_not_reach_are_refused(people: People, url: str, code: str) -> None:
    host = await people.user("ada")
    path = f"/api/v1/meetings/{await meeting_of(host)}/broadcast/outputs"
    kind = "srt" if url.startswith("srt:") else "rtmp"
    assert await host.refused("POST", path, RTMP | {"url": url, "kind": kind}) == (400, code)


async def test_the_secrets_in_an_srt_address_are_not_shown(people: People) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host)
    url = "srt://live.example.org:8890?streamid=room%2F1&passphrase=correct%20horse&latency=300"
    broadcast = await begun(host, meeting, {"kind": "srt", "name": "Sink", "url": url})
    (order,) = (await told(host, broadcast)).outputs
    assert order.url == "srt://live.example.org:8890?latency=300"
    assert read_srt_secrets(order.key) == ("room/1", "correct horse")
    shown = await host.ok("GET", f"/api/v1/meetings/{meeting}/broadcast")
    assert shown["outputs"][0]["url"] == order.url


async def test_the_operator_may_allow_private_networks(config: ControlConfig) -> None:
    async with (
        serving(replace(config, allow_private_broadcasts=True)) as server,
        aiohttp.ClientSession() as session,
    ):
        host = await People(session, server).user("ada")
        broadcast = await begun(host, await meeting_of(host), RTMP | {"url": "rtmp://10.0.0.7/live"})
        assert (await told(host, broadcast)).outputs[0].private


async def test_a_meeting_may_go_live_by_itself_and_ends_so(people: People) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host, settings={"broadcast": True})
    await host.ok("POST", f"/api/v1/meetings/{meeting}/broadcast/outputs", {"kind": "hls", "name": "Web"})
    await report(host, {"kind": "room_opened", "room": meeting, "at": 1_700_000_000_000}, n=1)
    state = (await desired(host, meeting)).broadcast
    assert state is not None
    await host.ok("POST", f"/api/v1/meetings/{meeting}/end", {})
    assert (await desired(host, meeting)).broadcast is None
    assert not (await told(host, state.broadcast)).held


async def test_whoever_has_the_link_may_watch_while_it_is_live(people: People, config: ControlConfig) -> None:
    host = await people.user("ada")
    meeting = await meeting_of(host)
    broadcast = await begun(host, meeting, {"kind": "hls", "name": "Web"})
    (output,) = (await host.ok("GET", f"/api/v1/meetings/{meeting}/broadcast"))["outputs"]
    nobody = people.nobody()
    assert (await nobody.call("GET", output["watch_url"]))[0] == 404
    await told(host, broadcast)
    directory = config.recordings_dir / "_live" / "recorder-1" / output["id"]
    directory.mkdir(parents=True)
    (directory / "live.m3u8").write_text('#EXTM3U\n#EXT-X-PART:DURATION=0.5,URI="ab-3-1.m4s"\n')
    (directory / "other.json").write_text("{}")
    async with nobody.session.get(f"{host.server.url}{output['watch_url']}?_HLS_msn=3&_HLS_part=1") as answer:
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.content_type == "application/vnd.apple.mpegurl"
    assert (await nobody.call("GET", output["watch_url"].replace("live.m3u8", "other.json")))[0] == 404
    await host.ok("DELETE", f"/api/v1/meetings/{meeting}/broadcast/outputs/{output['id']}")
    assert (await nobody.call("GET", output["watch_url"]))[0] == 404
