"""Applications record web pages by LiveKit's API: control has an ingress open them, and follows what it reports."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import msgspec
import pytest
from livekit import api

from control.config import ControlConfig
from control.identity.livekit_tokens import signing_keys
from sfu.api.ingress import IngressOrders, IngressReport, StreamState, UrlOrder
from tests.control.harness import Client, People, serving
from tests.control.test_broadcasts import desired
from tests.control.test_ingress import ask
from tests.control.test_live_egress import code, told_kinds
from tests.support.livekit_client import KEY, KEYS, SECRET

URL = "https://board.example.org/today?key=secret"
STATUS = api.EgressStatus
OPENING = StreamState(phase="connecting", since=1_900_000_000_000, protocol="page")
LIVE = msgspec.structs.replace(OPENING, phase="live")
OVER = msgspec.structs.replace(OPENING, phase="ended")
CRASHED = msgspec.structs.replace(OVER, error="The page crashed.")
FILE = api.EncodedFileOutput(filepath="board.mp4")


class Stage:
    """An application, and an ingress with a browser."""

    def __init__(self, host: Client, application: api.LiveKitAPI) -> None:
        self.host = host
        self.rooms = application.room
        self.egress = application.egress

    async def told(self, state: StreamState | None = None, stream: str = "", pages: int = 1) -> IngressOrders:
        """Report like an ingress."""
        streams = {} if state is None else {stream: state}
        wish = IngressReport(instance="one", free=1, free_pages=pages, streams=streams)
        return msgspec.convert(await ask(self.host, "report", wish), IngressOrders)

    async def opened(self, **wish: Any) -> tuple[api.EgressInfo, UrlOrder]:
        """Order a page, and let the ingress open it."""
        wish = {"url": URL, "file_outputs": [FILE]} | wish
        info = await self.egress.start_web_egress(api.WebEgressRequest(**wish))
        assert (info.status, info.source_type) == (STATUS.EGRESS_STARTING, api.EgressSourceType.EGRESS_SOURCE_TYPE_WEB)
        (order,) = (await self.told()).urls
        return info, order

    async def state(self, info: api.EgressInfo) -> api.EgressInfo:
        (found,) = (await self.egress.list_egress(api.ListEgressRequest(egress_id=info.egress_id))).items
        return found

    async def meeting(self) -> str:
        """Return the newest meeting: the page's."""
        return str((await self.host.ok("GET", "/api/v1/meetings"))["meetings"][0]["id"])


@asynccontextmanager
async def stage(config: ControlConfig, **changes: Any) -> AsyncIterator[Stage]:
    config = dataclasses.replace(
        config,
        livekit_keys=signing_keys(KEYS),
        livekit_owner="Ada",
        public_origins=("https://meet.example.org",),
        **({"web_pages": True} | changes),
    )
    async with serving(config) as server, aiohttp.ClientSession() as session:
        host = await People(session, server).user("ada")
        async with api.LiveKitAPI(server.url, KEY, SECRET) as application:
            yield Stage(host, application)


async def test_an_egress_begins_when_its_page_has_started_and_ends_with_it(config: ControlConfig, dsn: str) -> None:
    async with stage(config) as at:
        info, order = await at.opened(await_start_signal=True, image_outputs=[api.ImageOutput(capture_interval=5)])
        assert (order.url, order.private) == (URL, False)
        assert order.page is not None
        assert (order.page.width, order.page.height, order.page.announces_start) == (1280, 720, True)
        assert order.page.own == "meet.example.org:443"
        assert info.web.url == URL
        await at.told(OPENING, order.stream)
        assert (await at.state(info)).status == STATUS.EGRESS_STARTING
        assert not (await at.rooms.list_rooms(api.ListRoomsRequest())).rooms
        layout = api.UpdateLayoutRequest(egress_id=info.egress_id, layout="grid")
        assert await code(at.egress.update_layout(layout)) == "unimplemented"
        meeting = await at.meeting()
        assert (await desired(at.host, meeting)).recording is None

        await at.told(LIVE, order.stream)
        await at.told(LIVE, order.stream)
        begun = await at.state(info)
        assert (begun.status, begun.web.url, len(begun.image_results)) == (STATUS.EGRESS_ACTIVE, URL, 1)
        state = await desired(at.host, meeting)
        assert state.recording is not None
        assert state.broadcast is not None
        assert (await at.told(LIVE, order.stream)).held == [order.stream]

        await at.told(OVER, order.stream)
        assert (await at.state(info)).error == ""
        assert (await at.state(info)).ended_at > 0
        state = await desired(at.host, meeting)
        assert state.ended
        assert (await at.told(LIVE, order.stream)).held == []
        assert (await told_kinds(dsn))[:2] == ["started", "updated"]


async def test_a_page_that_fails_fails_its_egress(config: ControlConfig) -> None:
    async with stage(config) as at:
        info, order = await at.opened()
        await at.told(CRASHED, order.stream)
        failed = await at.state(info)
        assert (failed.status, failed.error) == (STATUS.EGRESS_FAILED, "The page crashed.")
        assert (await at.told()).urls == []

        streams = {"file_outputs": [], "segment_outputs": [api.SegmentedFileOutput(filename_prefix="x")]}
        info, order = await at.opened(**streams)
        await at.told(LIVE, order.stream)
        assert (await desired(at.host, await at.meeting())).broadcast is not None
        await at.told(CRASHED, order.stream)
        failed = await at.state(info)
        assert (failed.status, failed.error) == (STATUS.EGRESS_FAILED, "The page crashed.")


async def test_it_is_stopped_before_and_after_its_page_has_started(config: ControlConfig, dsn: str) -> None:
    async with stage(config) as at:
        info, order = await at.opened()
        stopped = await at.egress.stop_egress(api.StopEgressRequest(egress_id=info.egress_id))
        assert stopped.status == STATUS.EGRESS_ABORTED
        assert (await at.told(LIVE, order.stream)).urls == []
        assert await told_kinds(dsn) == ["started", "ended"]
        info, order = await at.opened(segment_outputs=[api.SegmentedFileOutput(filename_prefix="x")], file_outputs=[])
        await at.told(LIVE, order.stream)
        stopped = await at.egress.stop_egress(api.StopEgressRequest(egress_id=info.egress_id))
        assert (stopped.status, stopped.error) == (STATUS.EGRESS_COMPLETE, "")
        assert (await desired(at.host, await at.meeting())).ended
        again = at.egress.stop_egress(api.StopEgressRequest(egress_id=info.egress_id))
        assert await code(again) == "failed_precondition"


async def test_a_page_of_the_application_shows_a_room(config: ControlConfig) -> None:
    async with stage(config) as at:
        wish = {"room_name": "Daily", "layout": "speaker", "file_outputs": [FILE]}
        wish["custom_base_url"] = "https://app.example.org/template?theme=dark"
        asked = api.RoomCompositeEgressRequest(**wish)
        assert await code(at.egress.start_room_composite_egress(asked)) == "not_found"
        await at.rooms.create_room(api.CreateRoomRequest(name="Daily"))
        info = await at.egress.start_room_composite_egress(asked)
        assert (info.room_name, info.status) == ("Daily", STATUS.EGRESS_STARTING)
        assert "token" not in str(info)
        (order,) = (await at.told()).urls
        assert order.page is not None
        assert order.page.announces_start
        parts = urlsplit(order.url)
        query = {name: value for name, (value,) in parse_qs(parts.query).items()}
        assert (parts.netloc, parts.path, query["theme"]) == ("app.example.org", "/template", "dark")
        assert (query["layout"], query["url"]) == ("speaker", "wss://meet.example.org")
        claims = jwt.decode(query["token"], SECRET, algorithms=["HS256"], options={"verify_signature": True})
        assert claims["video"].items() >= {"room": "Daily", "hidden": True, "recorder": True}.items()
        await at.told(LIVE, order.stream)
        begun = await at.state(info)
        assert (begun.status, begun.room_composite.layout) == (STATUS.EGRESS_ACTIVE, "speaker")
        (room,) = (await at.rooms.list_rooms(api.ListRoomsRequest())).rooms
        assert room.name == "Daily"
        assert claims["sub"] == info.egress_id  # whose metadata names the layout
        for egress in (info.egress_id, "EG_unknown"):  # nobody is in the room
            layout = api.UpdateLayoutRequest(egress_id=egress, layout="grid")
            assert await code(at.egress.update_layout(layout)) == "not_found"

        meeting = (await at.host.ok("POST", "/api/v1/meetings", {"settings": {"consent": "ask"}}))["id"]
        asked = api.RoomCompositeEgressRequest(**(wish | {"room_name": meeting}))
        assert await code(at.egress.start_room_composite_egress(asked)) == "failed_precondition"


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"url": "https://10.0.0.1/"}, "invalid_argument"),
        ({"url": "file:///etc/passwd"}, "invalid_argument"),
        ({"url": "https://[::1/"}, "invalid_argument"),
        ({"url": ""}, "invalid_argument"),
        ({"video_only": True}, "unimplemented"),
        ({"file_outputs": []}, "invalid_argument"),
        ({"preset": api.EncodingOptionsPreset.H264_1080P_30, "image_outputs": [api.ImageOutput()]}, "unimplemented"),
        ({"advanced": api.EncodingOptions(width=10)}, "unimplemented"),
    ],
)
async def test_what_cannot_be_opened_is_refused_at_once(config: ControlConfig, wish: Any, expected: str) -> None:
    async with stage(config) as at:
        asked = api.WebEgressRequest(**({"url": URL, "file_outputs": [FILE]} | wish))
        assert await code(at.egress.start_web_egress(asked)) == expected


async def test_without_a_browser_no_page_is_opened(config: ControlConfig) -> None:
    async with stage(config, web_pages=False) as at:
        asked = api.WebEgressRequest(url=URL, file_outputs=[FILE])
        assert await code(at.egress.start_web_egress(asked)) == "failed_precondition"


async def test_only_an_ingress_with_a_free_browser_gets_a_page(config: ControlConfig) -> None:
    async with stage(config) as at:
        await at.egress.start_web_egress(api.WebEgressRequest(url=URL, file_outputs=[FILE]))
        assert (await at.told(pages=0)).urls == []
        assert len((await at.told(pages=1)).urls) == 1
