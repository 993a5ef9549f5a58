"""Subscribing: slots for what is really visible, sizes in device pixels, hidden pages."""

import pytest
from playwright.async_api import Browser, Page

from sfu.api import signaling, signaling_values
from tests.web.conftest import PRELUDE, events, open_page, until
from tests.web.scripted import ScriptedServer, Session

pytestmark = pytest.mark.asyncio(loop_scope="module")


def video(track: str, participant: str) -> signaling_values.TrackInfo:
    return signaling_values.TrackInfo(track=track, participant=participant, source="camera", media="video", codec="VP8")


async def joined(page: Page, server: ScriptedServer) -> Session:
    await page.evaluate("() => { void newRoom().join(); }")
    session = await server.session()
    await session.welcome(tracks=[video("ada", "p2"), video("grace", "p3")])
    await until(page, "room.participant === 'p1'")
    return session


OFFER = """
async () => {
  window.far = new RTCPeerConnection();
  window.senders = ['red', 'blue'].map((name) => far.addTransceiver(colour(name), {direction: 'sendonly'}).sender);
  await far.setLocalDescription();
  if (far.iceGatheringState !== 'complete') {
    await new Promise((done) => far.addEventListener('icegatheringstatechange', () => {
      if (far.iceGatheringState === 'complete') done();
    }));
  }
  return far.localDescription.sdp;
}
"""
# The far side reaches us by the candidates of the room's peer, which the SDK has no need to send.
ACCEPT = """
async (sdp) => {
  room.peers.subscribe.addEventListener('icecandidate', ({candidate}) => candidate && far.addIceCandidate(candidate));
  await far.setRemoteDescription({type: 'answer', sdp});
}
"""
HIDE = """
(hidden) => {
  Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
  document.dispatchEvent(new Event('visibilitychange'));
}
"""
SHOWN = """
async (track) => {
  const srcObject = new MediaStream([room.roster.tracks.get(track).mediaTrack]);
  const video = Object.assign(document.createElement('video'), {muted: true, srcObject});
  await video.play();
  await new Promise((done) => video.requestVideoFrameCallback(done));
  const canvas = Object.assign(document.createElement('canvas'), {width: 8, height: 8});
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, 8, 8);
  const [red, , blue] = context.getImageData(4, 4, 1, 1).data;
  return red > blue ? 'red' : 'blue';
}
"""


async def test_an_answer_echoes_the_offer_and_slots_say_whose_picture_it_is(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server)
    await session.send(
        signaling.Slots(slots=[signaling_values.Slot(mid="0", track="ada"), signaling_values.Slot(mid="1")])
    )
    await session.send(signaling.Offer(peer="subscribe", id=7, sdp=await page.evaluate(OFFER)))
    answer = await session.expect(signaling.Answer)
    assert (answer.peer, answer.id) == ("subscribe", 7)
    await page.evaluate(ACCEPT, answer.sdp)
    await until(page, "room.roster.tracks.get('ada').mediaTrack !== null")
    assert await page.evaluate(SHOWN, "ada") == "red"
    assert await page.evaluate("room.roster.tracks.get('grace').mediaTrack") is None
    # The slots are swapped without SDP: the same media now belongs to the other.
    await session.send(
        signaling.Slots(
            slots=[signaling_values.Slot(mid="0", track="grace"), signaling_values.Slot(mid="1", track="ada")]
        )
    )
    await until(page, "room.roster.tracks.get('grace').mediaTrack !== null")
    assert await page.evaluate(SHOWN, "grace") == "red"
    assert await page.evaluate(SHOWN, "ada") == "blue"
    assert await page.evaluate("room.connection.state") == "connected"


async def test_an_offer_of_a_fresh_peer_replaces_the_old_one(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server)
    await session.send(signaling.Offer(peer="subscribe", id=1, sdp=await page.evaluate(OFFER)))
    await session.expect(signaling.Answer)
    await page.evaluate("() => { window.old = room.peers.subscribe; }")
    await session.send(signaling.Offer(peer="subscribe", id=2, sdp=await page.evaluate(OFFER)))
    assert (await session.expect(signaling.Answer)).id == 2
    assert await page.evaluate("room.peers.subscribe !== old && old.connectionState") == "closed"


async def test_a_failed_peer_asks_for_a_fresh_one(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server)
    await session.send(signaling.Offer(peer="subscribe", id=1, sdp=await page.evaluate(OFFER)))
    await session.expect(signaling.Answer)
    await page.evaluate(
        """() => {
          const failed = room.peers.subscribe;
          Object.defineProperty(failed, 'connectionState', {get: () => 'failed'});
          failed.dispatchEvent(new Event('connectionstatechange'));
        }"""
    )
    await session.expect(signaling.RestartSubscribe)


async def test_sizes_are_asked_for_in_device_pixels(chromium: Browser, server: ScriptedServer) -> None:
    async with open_page(chromium, device_scale_factor=2) as page:
        await page.goto(f"{server.url}/blank")
        await page.evaluate(PRELUDE)
        session = await joined(page, server)
        await page.evaluate(
            """() => {
              window.tile = document.createElement('div');
              tile.style.width = '320px'; tile.style.height = '180px';
              document.body.append(tile);
              room.watch(tile, 'ada');
            }"""
        )
        wish = await session.expect(signaling.Subscribe)
        assert wish.tracks == [signaling_values.WantedTrack(track="ada", on=True, width=640, height=360)]
        await page.evaluate("() => { tile.style.display = 'none'; }")
        assert (await session.expect(signaling.Subscribe)).tracks[0].on is False
        await page.evaluate("() => { tile.style.display = 'block'; room.watch(tile, 'grace'); }")
        changed = {
            wanted.track: (wanted.on, wanted.width) for wanted in (await session.expect(signaling.Subscribe)).tracks
        }
        assert changed == {"grace": (True, 640)}


async def test_a_hidden_page_pauses_video_only(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server)
    sound = signaling_values.TrackInfo(
        track="voice", participant="p2", source="microphone", media="audio", codec="opus"
    )
    await session.send(signaling.TrackPublished(track=sound))
    await until(page, "room.roster.tracks.has('voice')")
    await page.evaluate(HIDE, True)
    paused = await session.expect(signaling.Subscribe)
    assert {(wanted.track, wanted.on) for wanted in paused.tracks} == {("ada", False), ("grace", False)}
    await session.send(signaling.TrackPublished(track=video("late", "p4")))
    assert [(wanted.track, wanted.on) for wanted in (await session.expect(signaling.Subscribe)).tracks] == [
        ("late", False)
    ]
    await page.evaluate(HIDE, False)
    assert all(wanted.on for wanted in (await session.expect(signaling.Subscribe)).tracks)


async def test_mute_and_pause_are_told_apart(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server)
    await session.send(signaling.TrackMuted(track="ada", muted=True, by_host=True))
    await session.send(signaling.TrackState(track="grace", paused=True, reason="bandwidth"))
    await until(page, "log.filter(([type]) => type === 'track-changed').length === 2")
    ada, grace = await events(page, "track-changed")
    assert (ada["muted"], ada["mutedByHost"], ada["paused"]) == (True, True, False)
    assert (grace["muted"], grace["paused"], grace["pausedReason"]) == (False, True, "bandwidth")


async def test_who_leaves_takes_the_tracks_along(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server)
    await session.send(
        signaling.ParticipantJoined(participant=signaling_values.ParticipantInfo(participant="p2", name="Ada Lovelace"))
    )
    await session.send(signaling.ParticipantLeft(participant="p2", reason="timeout"))
    await until(page, "!room.roster.tracks.has('ada')")
    assert await page.evaluate("[...room.roster.tracks.keys()]") == ["grace"]
