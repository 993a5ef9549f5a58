"""Ingress in control: each URL has one ingress process, and LiveKit's server API creates and lists ingresses."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from livekit import api

from control.config import ControlConfig
from control.identity.livekit_tokens import signing_keys
from sfu.api.ingress import IngressOrders, IngressReport, KeyCheck, OpenStream, StreamState
from sfu.api.stream_key import key_hash
from tests.control.harness import NODE_SECRET, Client, People, report, serving
from tests.support.livekit_client import KEY, KEYS, SECRET

URL = "https://media.example.org/live/a.m3u8?token=secret"
LIVE = StreamState(
    phase="live", since=1_900_000_000_000, protocol="url", width=1280, height=720, bits_per_second=2_000_000
)


@pytest.fixture
async def host(config: ControlConfig) -> AsyncIterator[Client]:
    config = dataclasses.replace(
        config, livekit_keys=signing_keys(KEYS), livekit_owner="Ada", rtmp_urls=("rtmp://{host}:1935/live",)
    )
    async with serving(config) as server, aiohttp.ClientSession() as session:
        yield await People(session, server).user("ada")


async def ask(host: Client, path: str, wish: msgspec.Struct) -> Any:
    url = f"{host.server.internal}/internal/v1/ingress/{path}"
    headers = {"Authorization": f"Bearer {NODE_SECRET}"}
    async with host.session.post(url, data=msgspec.json.encode(wish), headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def told(host: Client, instance: str, free: int = 4, **streams: StreamState) -> IngressOrders:
    wish = IngressReport(instance=instance, free=free, streams=streams)
    return msgspec.convert(await ask(host, "report", wish), IngressOrders)


async def enter(host: Client, meeting: str, n: int = 1) -> None:
    """Let somebody be in the meeting."""
    joined = await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {"name": "Ada"})
    fact = {"kind": "participant_joined", "room": meeting, "at": n, "participant": joined["participant"], "name": "Ada"}
    await report(host, {"kind": "room_opened", "room": meeting, "at": n}, fact, n=n)


async def test_a_url_is_read_by_one_ingress_while_somebody_is_there(host: Client) -> None:
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    keys = f"/api/v1/meetings/{meeting}/stream-keys"
    for url in ("https://10.0.0.1/a.m3u8", "ftp://camera.example.org/", "rtsp://10.0.0.1/cam", "https://0x7f.1/"):
        wish = {"name": "Feed", "role": "publish", "source_url": url}
        assert (await host.refused("POST", keys, wish))[0] == 400
    made = await host.ok("POST", keys, {"name": "Feed", "role": "publish", "source_url": URL})
    assert made["source_url"] == URL.partition("?")[0]
    assert (await told(host, "one")).urls == []
    await enter(host, meeting)
    assert (await told(host, "full", free=0)).urls == []
    (order,) = (await told(host, "one")).urls
    assert (order.stream, order.url, order.private) == (made["id"], URL, False)
    assert (await told(host, "two")).urls == []
    orders = await told(host, "one", **{made["id"]: LIVE})
    assert (orders.held, len(orders.urls)) == ([made["id"]], 1)
    assert (await told(host, "two", **{made["id"]: LIVE})).held == []
    (listed,) = (await host.ok("GET", keys))["keys"]
    assert (listed["state"]["phase"], listed["state"]["width"]) == ("live", 1280)
    ended = msgspec.structs.replace(LIVE, phase="ended")
    assert (await told(host, "one", **{made["id"]: ended})).urls == []


async def test_a_pushed_stream_belongs_to_its_latest_ingress(host: Client) -> None:
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    keys = f"/api/v1/meetings/{meeting}/stream-keys"
    made = await host.ok("POST", keys, {"name": "Van", "role": "publish"})
    watching = await host.ok("POST", keys, {"name": "Wall", "role": "watch"})

    async def check(secret: str, instance: str) -> Any:
        return await ask(host, "check", KeyCheck(key_hash=key_hash(secret).hex(), instance=instance))

    assert (await check("stream_x", "one"))["code"] == "bad_token"
    assert (await check(watching["secret"], "one"))["code"] == "not_permitted"
    assert (await check(made["secret"], "one"))["stream"] == made["id"]
    assert (await check(made["secret"], "two"))["stream"] == made["id"]
    live = msgspec.structs.replace(LIVE, protocol="rtmp")
    assert (await told(host, "one", **{made["id"]: live})).held == []
    assert (await told(host, "two", **{made["id"]: live})).held == [made["id"]]
    opening = OpenStream(stream=made["id"], instance="one", video=True, audio=True)
    assert (await ask(host, "open", opening))["code"] == "not_permitted"
    waiting = await ask(host, "open", msgspec.structs.replace(opening, instance="two"))
    assert (waiting["code"], waiting["again"]) == ("nobody", True)
    await host.ok("DELETE", f"{keys}/{made['id']}")
    assert (await told(host, "two", **{made["id"]: live})).held == []


async def test_an_application_creates_lists_changes_and_deletes_ingresses(host: Client) -> None:
    async with api.LiveKitAPI(host.server.url, KEY, SECRET) as application:
        room = await application.room.create_room(api.CreateRoomRequest(name="Daily"))
        wish = api.CreateIngressRequest(
            input_type=api.IngressInput.RTMP_INPUT,
            room_name="Daily",
            participant_identity="stage",
            participant_name="Stage",
        )
        pushed = await application.ingress.create_ingress(wish)
        assert pushed.stream_key.startswith("stream_")
        assert pushed.url.startswith("rtmp://")
        assert pushed.state.status == api.IngressState.ENDPOINT_INACTIVE
        wish = api.CreateIngressRequest(
            input_type=api.IngressInput.URL_INPUT, url=URL, room_name="Daily", participant_identity="clip"
        )
        read = await application.ingress.create_ingress(wish)
        with pytest.raises(api.TwirpError, match="public internet"):
            await application.ingress.create_ingress(
                api.CreateIngressRequest(
                    input_type=api.IngressInput.URL_INPUT,
                    url="http://127.0.0.1/",
                    room_name="x",
                    participant_identity="y",
                )
            )
        meeting = room.sid.removeprefix("RM_")
        await enter(host, meeting)
        stream = read.ingress_id.removeprefix("IN_")
        assert [one.stream for one in (await told(host, "one")).urls] == [stream]
        await told(host, "one", **{stream: LIVE})
        (listed,) = (await application.ingress.list_ingress(api.ListIngressRequest(ingress_id=read.ingress_id))).items
        assert (listed.url, listed.state.status) == (URL, api.IngressState.ENDPOINT_PUBLISHING)
        assert (listed.state.video.width, listed.state.video.average_bitrate) == (1280, 2_000_000)
        changed = await application.ingress.update_ingress(
            api.UpdateIngressRequest(ingress_id=pushed.ingress_id, participant_name="Main stage")
        )
        assert (changed.participant_name, changed.stream_key) == ("Main stage", pushed.stream_key)
        listed_all = (await application.ingress.list_ingress(api.ListIngressRequest(room_name="Daily"))).items
        assert {one.ingress_id for one in listed_all} == {pushed.ingress_id, read.ingress_id}
        await application.ingress.delete_ingress(api.DeleteIngressRequest(ingress_id=read.ingress_id))
        with pytest.raises(api.TwirpError, match="does not exist"):
            await application.ingress.delete_ingress(api.DeleteIngressRequest(ingress_id=read.ingress_id))
