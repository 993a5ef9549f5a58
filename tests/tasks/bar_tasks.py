"""Five tasks on the page, in real browsers against a complete server; each step uses only what the screen shows.

`make test-tasks` runs them and prints how long each took. `PARLEY_PICTURES=folder` saves a picture of each step.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from parley_client import Api, ApiError
from parley_client.attendance import Attendance
from tests.inference.chromium_speaker import write_speech
from tests.inference.conftest import fetched_models
from tests.inference.material import prompt
from tests.support.call import PASSWORD
from tests.support.chromium import LOOPBACK_FLAG, Chromium, chromium, inbound, open_page
from tests.support.server import RunningServer, running_server
from tests.tasks.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PICTURES = os.environ.get("PARLEY_PICTURES")
SPOKEN = "vm-options"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(models_dir=str(fetched_models())) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chromium]:
    """A browser whose microphone repeats the same sentence."""
    speech = tmp_path_factory.mktemp("speech") / "speech.wav"
    write_speech(speech, [prompt(SPOKEN)])
    async with chromium(flags=[LOOPBACK_FLAG, f"--use-file-for-fake-audio-capture={speech}"], whole=True) as browser:
        yield browser


class Room:
    """The people of one task, and its start time."""

    def __init__(self, task: str, browser: Chromium) -> None:
        self.began = time.monotonic()
        self.people: list[Person] = []
        self._task = task
        self._browser = browser
        self._pages = contextlib.AsyncExitStack()

    async def person(self, name: str, device: dict[str, Any] = DESK, **options: Any) -> Person:
        page = await open_page(self._browser, "about:blank", **device, **options)
        self._pages.push_async_callback(page.context.close)
        folder = Path(PICTURES) / self._task if PICTURES else None
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        self.people.append(Person(name, page, folder))
        return self.people[-1]

    async def close(self) -> None:
        await self._pages.aclose()
        pressed = sum(
            step.startswith(("press", "check", "choose", "fill")) for one in self.people for step, _ in one.steps
        )
        print(f"\n{self._task}: {time.monotonic() - self.began:.1f} s, {pressed} actions")
        for one in self.people:
            for step, seconds in one.steps:
                if seconds > 2:
                    print(f"  {one.name}: {step} took {seconds:.1f} s")


@pytest_asyncio.fixture(loop_scope="module")
async def room(request: pytest.FixtureRequest, browser: Chromium) -> AsyncIterator[Room]:
    room = Room(request.node.name.removeprefix("test_"), browser)
    try:
        yield room
    finally:
        await room.close()


async def administered(server: RunningServer) -> None:
    """Create the administrator, unless an earlier task did, so that each task also runs alone."""
    async with Api(server.url) as api:
        try:
            await api.set_up(server.setup_token, "ada", PASSWORD)
        except ApiError as error:
            if error.code != "setup_token":
                raise


async def signed_in(room: Room, server: RunningServer) -> Person:
    """Ada, the administrator, at her home page."""
    await administered(server)
    ada = await room.person("Ada")
    await ada.open(server.url)
    await ada.fill("User name or e-mail", "ada")
    await ada.fill("Password", PASSWORD)
    await ada.press("Sign in")
    await ada.sees("Meet now")
    room.began = time.monotonic()
    return ada


async def shows(person: Person, *, videos: int = 0, audio: int = 0) -> None:
    """Wait until video and audio of others arrive."""
    async with asyncio.timeout(45):
        while True:
            rows = await inbound(person.page)
            moving = [row for row in rows if row["kind"] == "video" and row["framesDecoded"] > 10]
            heard = [row for row in rows if row["kind"] == "audio" and row["packets"] > 20]
            if len(moving) >= videos and len(heard) >= audio:
                return
            await asyncio.sleep(0.1)


async def invited(host: Person) -> str:
    """The link that a host in a call copies from the invitation."""
    await host.press("Invite")
    return await copied(host)


async def copied(host: Person) -> str:
    """The link in the open invitation."""
    link = await host.value("Link")
    await host.press("Close", within="Invite people")
    return link


async def enter(host: Person, title: str) -> None:
    """Go to a scheduled meeting from the home page; it can be joined some minutes before it begins."""
    soon = host.page.get_by_role("link", name=f"Join {title}", exact=True)
    await host.sees(title)
    await host.press(f"{'Join' if await soon.is_visible() else 'Open'} {title}", role="link")


async def join(person: Person, link: str, *agreements: str) -> None:
    await person.open(link)
    await person.fill("Your name", person.name)
    for agreement in agreements:
        await person.check(agreement)
    await person.press("Join")


async def test_from_first_start_to_a_call_with_a_phone(room: Room, server: RunningServer) -> None:
    ada, grace = await room.person("Ada"), await room.person("Grace", PHONE)
    await ada.open(server.url + server.setup_link)
    await ada.fill("User name", "ada")
    await ada.fill("E-mail", "ada@example.org")
    await ada.fill("Password", PASSWORD)
    await ada.press("Create administrator")
    await ada.press("Meet now")
    await ada.press("Join")
    link = await invited(ada)
    await join(grace, link)
    await ada.sees("Grace joined.")
    await shows(ada, videos=1, audio=1)
    await shows(grace, videos=1, audio=1)
    await grace.press("Leave")
    await grace.sees("You left the meeting")


async def test_a_weekly_meeting_with_lobby_and_co_host(room: Room, server: RunningServer) -> None:
    ada = await signed_in(room, server)
    await ada.press("Schedule")
    await ada.fill("Title", "Weekly sync")
    await ada.choose("Repeats", "Every week")
    await ada.check("Lobby")
    await ada.press("Schedule", within="Schedule a meeting")
    link = await copied(ada)
    await ada.sees("Every week")
    await enter(ada, "Weekly sync")
    await ada.press("Join")
    bob, carol = await room.person("Bob"), await room.person("Carol", PHONE)
    await join(bob, link)
    await bob.sees("Please wait for a host to let you in")
    await ada.sees("Bob is waiting to be let in.")
    await ada.press("Participants (1), 1 new")
    await ada.press("Let in Bob")
    await shows(bob, videos=1)
    await ada.press("More for Bob")
    await ada.press("Make Bob a co-host")
    await bob.press("Participants (2)")
    await join(carol, link)
    await bob.press("Let in Carol")
    await shows(carol, videos=2)


async def test_record_find_a_sentence_and_share_a_clip(room: Room, server: RunningServer) -> None:
    ada = await signed_in(room, server)
    # A server that has just started loads its model first; until then it offers no captions.
    ready = "async () => (await (await fetch('/api/v1/ai/analysis')).json()).captions"
    await ada.page.wait_for_function(ready, polling=500)
    await ada.press("Meet now")
    await ada.check("I agree to be recorded")
    await ada.check("I agree to captions of what I say")
    await ada.press("Join")
    await ada.press("Record")
    await ada.press("Captions")
    await ada.sees("password", seconds=120)
    await ada.press("Stop recording")
    await ada.press("Leave")
    await ada.press("Leave", within="Leave the meeting?")
    await ada.press("Go to the home page", role="link")
    await ada.press("Recordings", role="link")
    await ada.unfold("ada’s meeting")
    await ada.watches()
    await ada.fill("Search the transcript", "password")
    await ada.sees("match; press Enter to go there")
    await ada.press("Clip")
    await ada.fill("From", "0:00")
    await ada.fill("To", "0:05")
    await ada.press("Create clip")
    await ada.sees("Download 0:00–0:05", seconds=120)
    await ada.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await ada.press("Share 0:00–0:05")
    await ada.press("Copy a new link")
    await ada.sees("Link copied.")
    link = await ada.page.evaluate("navigator.clipboard.readText()")
    eve = await room.person("Eve", PHONE)
    await eve.open(link)
    await eve.watches()


async def test_breakout_rooms_for_twelve(room: Room, server: RunningServer) -> None:
    ada = await signed_in(room, server)
    await ada.press("Meet now")
    await ada.press("Join")
    link = await invited(ada)
    grace, bob = await room.person("Grace"), await room.person("Bob", PHONE)
    await join(grace, link)
    await join(bob, link)
    meeting = link.rpartition("/")[2]
    async with contextlib.AsyncExitStack() as others:
        attending = []
        for number in range(9):
            api = await others.enter_async_context(Api(server.url))
            attending.append(await others.enter_async_context(Attendance(api, meeting, f"Guest {number + 1}")))
        await ada.sees("Participants (12)", seconds=120)
        await ada.press("Participants (12)")
        await ada.fill("Rooms", "4")
        await ada.press("Create rooms")
        await ada.press("Open rooms")
        await asyncio.gather(*(one.sees("Moving you to Room") for one in (grace, bob)))  # a notice of five seconds
        await asyncio.gather(*(one.joined(2) for one in attending))
        await ada.fill("Message to all rooms", "Two more minutes")
        await ada.press("Send", within="Participants")
        for one in (grace, bob):
            await one.sees("Two more minutes")
        await ada.press("Close now")
        await ada.sees("Participants (12)")
        await asyncio.gather(*(one.joined(3) for one in attending))
        await shows(ada, videos=2)


async def test_a_webinar_whose_questioner_may_speak(room: Room, server: RunningServer) -> None:
    ada = await signed_in(room, server)
    await ada.press("Schedule")
    await ada.fill("Title", "Product news")
    await ada.unfold("More options")
    await ada.check("Webinar")
    await ada.press("Schedule", within="Schedule a meeting")
    link = await copied(ada)
    await enter(ada, "Product news")
    await ada.press("Join")
    grace, bob = await room.person("Grace", PHONE), await room.person("Bob")
    for one in (grace, bob):
        await join(one, link)
        await shows(one, videos=1, audio=1)
    await grace.press("Polls and questions")
    await grace.fill("Your question", "When is it released?")
    await grace.press("Ask")
    await grace.press("Close", within="Polls and questions")
    await grace.press("Raise hand")
    await ada.press("Polls and questions, 1 new")
    await ada.sees("When is it released?")
    await ada.press("Participants (3)")
    await ada.press("Let Grace speak")
    await grace.sees("You may speak now")
    await grace.press("Unmute")
    await shows(ada, audio=1)
    await shows(bob, audio=2)
