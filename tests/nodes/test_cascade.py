"""A room that outgrows a worker, through the whole server: the next participant is on another, seen and heard."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from playwright.async_api import Page

from parley_client import Api, Joined, Room
from sfu.api import signaling
from tests.e2e.test_browsers_meet import join_by_page
from tests.support.call import become_admin, speaking
from tests.support.chromium import LOOPBACK_FLAG, Chromium, chromium, inbound, open_page
from tests.support.server import RunningServer, running_server

ACTIVE_LAYERS = """() => watchedPeers.flatMap((peer) => peer.getSenders())
  .filter((sender) => sender.track?.kind === 'video')
  .flatMap((sender) => sender.getParameters().encodings).filter((encoding) => encoding.active).length"""


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(workers="2", max_participants_per_node="1", inference="false") as running:
        yield running


async def heard(room: Room, track: str) -> None:
    """Wait until a track comes in."""
    async with asyncio.timeout(30):
        while (stream := room.stream_of(track)) is None or stream.packets < 20:
            await asyncio.sleep(0.05)


async def spilled(host: Api, guest: Api) -> tuple[str, Joined, Joined]:
    """A meeting on two workers, and how both join it. Control learns of a worker a moment after it is ready."""
    async with asyncio.timeout(30):
        while True:
            meeting = await host.create_meeting("Large")
            first, second = await host.join(meeting, "Host"), await guest.join(meeting, "Guest")
            if "node=" in guest.signaling_url(second):
                return meeting, first, second


async def test_participants_of_two_workers_meet(server: RunningServer) -> None:
    async with Api(server.url) as host, Api(server.url) as guest:
        await become_admin(host, server.setup_token)
        meeting, first, second = await spilled(host, guest)
        near, far = host.signaling_url(first), guest.signaling_url(second)
        assert "node=" not in near
        async with (
            Room(near, token=first.token) as ann,
            Room(far, token=second.token) as bob,
            speaking(ann) as one,
            speaking(bob) as two,
        ):
            await ann.until(lambda: second.participant in ann.state.participants)
            await bob.until(lambda: first.participant in bob.state.participants)
            await heard(ann, two.track)
            await heard(bob, one.track)
            await bob.send(signaling.Chat(text="from afar"))
            await ann.until(lambda: [entry.text for entry in ann.state.chats] == ["from afar"])
            people = f"/meetings/{meeting}/participants"
            await host.request("POST", f"{people}/{first.participant}/mute", {"muted": ["microphone"]})
            await bob.until(lambda: bob.state.tracks[one.track].muted)
            present = (await host.request("GET", people))["participants"]
            assert sum(entry["present"] for entry in present) == 2
            await host.request("POST", f"{people}/{second.participant}/remove", {})
            await ann.until(lambda: second.participant not in ann.state.participants)


async def test_deleting_a_meeting_ends_it_on_both_workers(server: RunningServer) -> None:
    async with Api(server.url) as host, Api(server.url) as guest:
        await become_admin(host, server.setup_token)
        meeting, first, second = await spilled(host, guest)
        async with (
            Room(host.signaling_url(first), token=first.token) as ann,
            Room(guest.signaling_url(second), token=second.token) as bob,
        ):
            await ann.until(lambda: second.participant in ann.state.participants)
            await host.request("DELETE", f"/meetings/{meeting}")
            for room in (ann, bob):
                async with asyncio.timeout(30):
                    await room.over()
                assert "ended" in (room.state.closed or "")


async def enter(browser: Chromium, url: str, name: str) -> tuple[Page, str]:
    """A page in the meeting, and the node that its signaling reached."""
    page = await open_page(browser, url)
    async with page.expect_response(lambda answer: answer.url.endswith("/join") and answer.ok) as joined:
        await join_by_page(page, name)
    return page, (await (await joined.value).json())["signaling_url"]


# The widths of a camera's layers. A browser short of processor makes its picture smaller by a quarter.
LARGEST, SMALLEST = range(641, 1281), range(1, 321)


async def until_width(page: Page, widths: range, seconds: float) -> None:
    """Wait until the picture that comes in is as wide as a layer, and moves."""
    seen: list[tuple[int, int]] = []
    begun: int | None = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while begun is None or seen[0][1] < begun + 10:
                seen = [(row["width"], row["framesDecoded"]) for row in await inbound(page) if row["kind"] == "video"]
                is_there = bool(seen) and seen[0][0] in widths
                begun = (begun or seen[0][1]) if is_there else None
                await asyncio.sleep(0.1)
            return
    raise AssertionError(f"not of {widths} pixels within {seconds} s: {seen}")


async def test_browsers_of_two_workers_are_sent_what_they_show(server: RunningServer) -> None:
    async with Api(server.url) as host, Api(server.url) as guest:
        await become_admin(host, server.setup_token)
        await spilled(host, guest)
        url = f"{server.url}/m/{await host.create_meeting('Large')}"
        async with chromium(flags=[LOOPBACK_FLAG]) as browser:
            ada, near = await enter(browser, url, "Ada")
            grace, far = await enter(browser, url, "Grace")
            assert "node=" not in near
            assert "node=" in far
            await until_width(grace, LARGEST, 60)
            await until_width(ada, LARGEST, 60)
            # Small enough for the lowest layer also of a picture that Chromium, short of processor, made smaller.
            await grace.set_viewport_size({"width": 240, "height": 160})
            await until_width(grace, SMALLEST, 30)
            async with asyncio.timeout(40):  # each node keeps unwatched tracks for 10 s
                while await ada.evaluate(ACTIVE_LAYERS) != 1:
                    await asyncio.sleep(0.2)
            await grace.set_viewport_size({"width": 1280, "height": 720})
            await until_width(grace, LARGEST, 30)
            await until_width(ada, LARGEST, 30)
