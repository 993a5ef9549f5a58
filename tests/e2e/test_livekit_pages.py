"""LiveKit's JavaScript SDK in browsers: with somebody on Parley's page in one meeting, and moved between rooms."""

import contextlib
import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from livekit import api
from playwright.async_api import Page, expect

from sfu.api.sink_client import SinkSocket
from sfu.api.sink_records import CaptionRecord, CaptionsAvailable, SinkHello
from tests.e2e.conftest import Deployment
from tests.e2e.test_breakouts import SIGN_IN
from tests.e2e.test_browsers_meet import of_chromium, until_media
from tests.support import livekit_page
from tests.support.call import PASSWORD
from tests.support.chromium import chromium, open_page
from tests.support.livekit_client import KEY, SECRET, access_token
from tests.support.livekit_page import ROOT, Tab
from tests.support.waiting import eventually

PICTURES = os.environ.get("PARLEY_PICTURES")
"""A folder for pictures of both, for a look at them."""

WATCH = """window.chat = [], window.moves = [], window.captions = [], window.transcribed = [],
room.registerTextStreamHandler('lk.chat', async r => chat.push(await r.readAll())),
room.registerTextStreamHandler('lk.transcription',
  async (r, from) => captions.push(`${room.getParticipantByIdentity(from.identity)?.name}: ${await r.readAll()}`)),
room.on('transcriptionReceived', (segments, who) => transcribed.push(`${who?.name}: ${segments[0].text}`)),
room.on('moved', name => moves.push(name)), true"""
SENT_FORMAT = "me().getTrackPublication('microphone').track.sender.getParameters().codecs[0].mimeType"
CONSENTS = {"attributes": {"parley.consent": "recording,captions"}, "video": {"canUpdateOwnMetadata": True}}
ENOUGH_BYTES = 50_000
"""Of a track in a recording: more than a second of a camera."""


@pytest.fixture(scope="module", autouse=True)
def package() -> None:
    """Install the SDK with the tools of the page."""
    subprocess.run(["sh", "install.sh"], cwd=ROOT / "web", check=True)


def join(deployment: Deployment, host: int, who: str, meeting: str, **claims: Any) -> str:
    """Return the script that connects to a meeting."""
    url = deployment.url_for(host).replace("https:", "wss:")
    return f"join({json.dumps(url)}, {json.dumps(access_token(who, meeting, **claims))})"


async def picture(name: str, page: Page, tab: Tab) -> None:
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}-page.png")
        await tab.save(Path(PICTURES) / f"{name}-livekit.png")


async def host_page(deployment: Deployment, stack: contextlib.AsyncExitStack, meeting: str) -> Page:
    """Join a meeting on the page as its host."""
    running = await stack.enter_async_context(chromium(deployment.network.hosts[0].prefix))
    page = await open_page(running, f"{deployment.url_for(0)}/")
    assert await page.evaluate(SIGN_IN, PASSWORD) == 200
    await page.goto(f"{deployment.url_for(0)}/m/{meeting}")
    await page.get_by_label("Your name").fill("Ada")
    await page.locator("#join:not([disabled])").click()
    await page.locator(".tile").first.wait_for()
    return page


async def test_somebody_on_the_page_meets_a_livekit_client(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Both kinds")
    host = deployment.network.hosts[1]
    async with (
        livekit_page.site(host.name) as site,
        livekit_page.tabs("chromium", host, site, ("bob",)) as tabs,
        contextlib.AsyncExitStack() as stack,
    ):
        bob = tabs["bob"]
        page = await host_page(deployment, stack, meeting)
        await bob.run(join(deployment, 1, "bob", meeting, **CONSENTS))
        await bob.run(WATCH)
        await bob.run("me().enableCameraAndMicrophone()")
        await until_media(of_chromium(page), videos=1, frames=20, audio=50, seconds=60)
        await bob.until("of('Camera') && await shows()", 60)
        assert await bob.run("loudness(4000)") > 0.01
        assert await bob.run(SENT_FORMAT) == "audio/red"
        await picture("media", page, bob)

        await _chat(page, bob)
        await _mute(page, bob)
        await _raise_hands(page, bob)
        await _caption(deployment, meeting, page, bob)
        await _record(deployment, meeting, page, bob)
        await picture("all", page, bob)


async def _chat(page: Page, bob: Tab) -> None:
    await page.locator("[data-action=chat]").click()
    await page.locator(".compose textarea").fill("Hello from the page")
    await page.keyboard.press("Enter")
    await bob.until("chat.includes('Hello from the page')")
    await bob.run("me().sendText('Hello from LiveKit', {topic: 'lk.chat'})")
    await expect(page.locator(".message").last).to_contain_text("Hello from LiveKit")
    await expect(page.locator(".message").last).to_contain_text("Bob")


async def _mute(page: Page, bob: Tab) -> None:
    """Each sees that the other is muted; the host mutes, which lasts until the host releases it."""
    tile = page.locator(".tile:not(.tile-self)")
    await bob.run("me().setMicrophoneEnabled(false)")
    await expect(tile).to_have_accessible_name("Bob, microphone off")
    await bob.run("me().setMicrophoneEnabled(true)")
    await expect(tile).to_have_accessible_name("Bob")
    await page.locator("[data-action=microphone]").click()
    await bob.until("of('Microphone').isMuted")
    await page.locator("[data-action=microphone]").click()
    await bob.until("!of('Microphone').isMuted && await plays('Microphone')")

    await page.locator("[data-action=people]").click()
    await page.get_by_role("button", name="Mute Bob").click()
    await bob.until("!me().isMicrophoneEnabled")
    await expect(tile).to_have_accessible_name("Bob, microphone off")


async def _raise_hands(page: Page, bob: Tab) -> None:
    await page.locator("[data-action=hand]").click()
    await bob.until("other().attributes['parley.hand']")
    await page.locator("[data-action=hand]").click()
    await bob.until("!other().attributes['parley.hand']")
    await bob.run("me().setAttributes({'parley.hand': 'question'})")
    await expect(page.locator("[data-hand] span")).to_have_text(["Bob"])
    await page.get_by_role("button", name="Lower hand: Bob").click()
    await bob.until("!me().attributes['parley.hand']")


async def _caption(deployment: Deployment, meeting: str, page: Page, bob: Tab) -> None:
    """Both read what each is said to have said. The words come from here, as from the inference process."""
    listed = await deployment.admin.request("GET", f"/meetings/{meeting}/participants")
    people = {one["name"]: one["participant"] for one in listed["participants"]}
    sink = await SinkSocket.connect(deployment.server.runtime / "sinks.sock", lambda _: None)
    try:
        sink.send(SinkHello(sink="inference", instance="test"))
        sink.send(CaptionsAvailable(available=True))
        await page.locator("[data-action=captions]").click()
        await page.get_by_role("button", name="I agree").click()
        revisions = itertools.count(1)

        async def are_read() -> bool:
            """Say it until it is read: the consent must have reached the server first."""
            rev = next(revisions)
            for name, text in (("Ada", "Shall we begin?"), ("Bob", "Yes, I am ready.")):
                sink.send(_caption_record(meeting, people[name], rev, text))
            shown = await page.locator(".captions .caption").all_text_contents()
            read = [{*await bob.run(form)} for form in ("captions", "transcribed")]
            said = {"Ada: Shall we begin?", "Bob: Yes, I am ready."}
            return {*shown} == {one.replace(":", "") for one in said} and all(said == form for form in read)

        await eventually(are_read, 30)
        await picture("captions", page, bob)
    finally:
        sink.close()


def _caption_record(meeting: str, participant: str, rev: int, text: str) -> CaptionRecord:
    return CaptionRecord(
        room=meeting, participant=participant, track="t", utterance=f"u{participant}", rev=rev, final=False,
        start_ms=0, end_ms=900, lang="en", text=text, model="test",
    )  # fmt: skip


async def _record(deployment: Deployment, meeting: str, page: Page, bob: Tab) -> None:
    """Both see that the meeting is recorded, and that it is no longer; the recording has what Bob sent."""
    recording = (await deployment.admin.start_recording(meeting))["id"]
    await expect(page.locator(".recording-badge")).to_be_visible()
    await bob.until("room.isRecording && seen['RoomEvent.RecordingStatusChanged'] === 1")
    folder = deployment.server.data / "recordings" / recording

    def is_filling() -> bool:
        sizes = (sum(file.stat().st_size for file in track.iterdir()) for track in folder.iterdir() if track.is_dir())
        return any(size > ENOUGH_BYTES for size in sizes)  # Bob's camera: Ada was not asked yet

    await eventually(lambda: folder.exists() and is_filling(), 60)
    await deployment.admin.stop_recording(meeting)
    await bob.until("!room.isRecording")
    await expect(page.locator(".recording-badge")).to_be_hidden()

    async def recorded() -> list[Any]:
        found = await deployment.admin.request("GET", f"/recordings/{recording}")
        return found["tracks"] if found["recording"]["state"] in {"ready", "partial"} else []

    tracks = await eventually(recorded, 60)
    assert ("Bob", "camera") in {(one["name"], one["source"]) for one in tracks}, tracks


async def _are_in(room: str, tabs: dict[str, Tab]) -> None:
    """Everybody is in a room of this name, and sees and hears the other there."""
    for tab in tabs.values():
        await tab.until(f"room.name === {json.dumps(room)} && room.state === 'connected' && other()", 60)
    for tab in tabs.values():
        await tab.until("of('Camera') && await shows()", 60)
        await tab.until("await plays('Microphone')", 60)


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
async def test_livekit_clients_in_browsers_are_moved_to_other_rooms(deployment: Deployment, browser: str) -> None:
    """To a breakout room and back by a host, and to another room by an application."""
    admin, url, host = deployment.admin, deployment.plain_url, deployment.network.hosts[1]
    meeting, elsewhere = await admin.create_meeting("Workshop"), f"Elsewhere {browser}"
    async with (
        livekit_page.site(host.name) as site,
        livekit_page.tabs(browser, host, site, ("ann", "bob")) as tabs,
    ):
        for who, tab in tabs.items():
            await tab.run(join(deployment, 1, who, meeting))
            await tab.run(WATCH)
            await tab.run("me().enableCameraAndMicrophone()")
        await _are_in(meeting, tabs)

        listed = await admin.request("GET", f"/meetings/{meeting}/participants")
        people = [one["participant"] for one in listed["participants"]]
        wanted = {"rooms": [{"title": "Room 1", "participants": people}]}
        await admin.request("POST", f"/meetings/{meeting}/breakouts", wanted)
        await admin.request("POST", f"/meetings/{meeting}/breakouts/open")
        await _are_in("Room 1", tabs)
        await admin.request("POST", f"/meetings/{meeting}/breakouts/close", {"countdown_seconds": 0})
        await _are_in(meeting, tabs)

        may = api.VideoGrants(room_admin=True, room=meeting, destination_room=elsewhere)
        token = api.AccessToken(KEY, SECRET).with_grants(may).to_jwt()
        async with api.LiveKitAPI(url, KEY, SECRET) as server, api.LiveKitAPI(url, token=token) as mover:
            await server.room.create_room(api.CreateRoomRequest(name=elsewhere))
            for who in tabs:
                asked = api.MoveParticipantRequest(room=meeting, identity=who, destination_room=elsewhere)
                await mover.room.move_participant(asked)
        await _are_in(elsewhere, tabs)
        for tab in tabs.values():
            assert await tab.run("moves") == ["Room 1", "Workshop", elsewhere]
