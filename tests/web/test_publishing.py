"""Publishing: offers and answers, mute, unpublishing and publishing again, revoked grants."""

import pytest
from playwright.async_api import Page

from sfu.api import signaling, signaling_values
from sfu.api.join_token import Grants, Source
from tests.web.conftest import until
from tests.web.scripted import ScriptedServer, Session

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def publishing(page: Page, server: ScriptedServer) -> Session:
    """A session whose client has camera and microphone published as t-camera and t-microphone."""
    await page.evaluate(
        """async () => {
          const room = newRoom();
          await room.publish('camera', await sdk.openCamera());
          await room.publish('microphone', await sdk.openMicrophone());
          void room.join();
        }"""
    )
    session = await server.session()
    await session.welcome()
    await answer(page, session)
    return session


async def answer(page: Page, session: Session) -> signaling.Offer:
    offer = await session.expect(signaling.Offer)
    sdp = await page.evaluate("(sdp) => answerTo(sdp)", offer.sdp)
    tracks = [signaling_values.AnsweredTrack(mid=track.mid, track=f"t-{track.source}") for track in offer.tracks]
    await session.send(signaling.Answer(peer="publish", sdp=sdp, id=offer.id, tracks=tracks))
    await until(page, "room.published.every((published) => published.track !== null)")
    await until(page, "room.peers.publish.signalingState === 'stable'")
    return offer


async def test_an_answer_names_the_tracks(page: Page, server: ScriptedServer) -> None:
    await publishing(page, server)
    assert await page.evaluate("room.local('camera').track") == "t-camera"
    assert await page.evaluate("room.local('microphone').track") == "t-microphone"


async def test_mute_is_told_and_silences(page: Page, server: ScriptedServer) -> None:
    session = await publishing(page, server)
    await page.evaluate("room.setMuted('microphone', true)")
    assert await session.expect(signaling.MediaControl) == signaling.MediaControl(track="t-microphone", muted=True)
    assert await page.evaluate("room.local('microphone').mediaTrack.enabled") is False
    await page.evaluate("room.setMuted('microphone', false)")
    assert await session.expect(signaling.MediaControl) == signaling.MediaControl(track="t-microphone", muted=False)


async def test_a_muted_camera_gives_its_device_back_without_an_offer(page: Page, server: ScriptedServer) -> None:
    session = await publishing(page, server)
    await page.evaluate("room.setMuted('camera', true, null)")
    assert (await session.expect(signaling.MediaControl)).muted
    assert await page.evaluate("room.peers.publish.getSenders().filter((s) => s.track?.kind === 'video').length") == 0
    await page.evaluate("async () => room.setMuted('camera', false, await sdk.openCamera())")
    assert not (await session.expect(signaling.MediaControl)).muted
    assert session.quiet()


async def test_a_source_published_again_reuses_its_section(page: Page, server: ScriptedServer) -> None:
    session = await publishing(page, server)
    await page.evaluate("async () => { await room.publish('screen', colour('navy')); }")
    shared = await answer(page, session)
    mids = {track.source: track.mid for track in shared.tracks}
    assert set(mids) == {"camera", "microphone", "screen"}
    assert {track.source: track.scalability for track in shared.tracks if track.source != "microphone"} == {
        "camera": "",
        "screen": "L1T3",
    }
    await page.evaluate("room.unpublish('screen')")
    assert await session.expect(signaling.Unpublish) == signaling.Unpublish(track="t-screen")
    stopped = await answer(page, session)
    assert {track.source for track in stopped.tracks} == {"camera", "microphone"}
    assert stopped.sdp.count("a=inactive") == 1
    await page.evaluate("async () => { await room.publish('screen', colour('maroon')); }")
    again = await answer(page, session)
    assert {track.source: track.mid for track in again.tracks} == mids
    assert again.sdp.count("\r\nm=") == 3


async def test_changes_during_an_offer_go_into_the_next(page: Page, server: ScriptedServer) -> None:
    session = await publishing(page, server)
    await page.evaluate(
        """async () => {
          await room.publish('screen', colour('navy'));
          await room.publish('screen-audio', await sdk.openMicrophone());
        }"""
    )
    first = await answer_once(page, session)
    assert "screen-audio" not in {track.source for track in first.tracks}
    second = await answer(page, session)
    assert "screen-audio" in {track.source for track in second.tracks}


async def answer_once(page: Page, session: Session) -> signaling.Offer:
    offer = await session.expect(signaling.Offer)
    assert session.quiet(), "one offer is in flight at a time"
    sdp = await page.evaluate("(sdp) => answerTo(sdp)", offer.sdp)
    await session.send(signaling.Answer(peer="publish", sdp=sdp, id=offer.id, tracks=[]))
    return offer


async def test_a_host_mutes_and_revokes(page: Page, server: ScriptedServer) -> None:
    session = await publishing(page, server)
    await session.send(signaling.GrantsChanged(grants=Grants(muted=(Source.MICROPHONE,))))
    assert await session.expect(signaling.MediaControl) == signaling.MediaControl(track="t-microphone", muted=True)
    await session.send(signaling.GrantsChanged(grants=Grants(publish=(Source.MICROPHONE,))))
    assert await session.expect(signaling.Unpublish) == signaling.Unpublish(track="t-camera")
    await until(page, "room.local('camera') === null")


async def test_only_layers_that_somebody_watches_are_sent(page: Page, server: ScriptedServer) -> None:
    session = await publishing(page, server)
    sending = (
        "room.peers.publish.getSenders().find((sender) => sender.track?.kind === 'video').getParameters()"
        ".encodings.filter((encoding) => encoding.active).map((encoding) => encoding.rid).join()"
    )
    assert await page.evaluate(sending) == "q,h,f"
    await session.send(signaling.Layers(track="t-camera", active=["q"]))
    await until(page, f"{sending} === 'q'")
    await session.send(signaling.Layers(track="t-camera", active=["q", "h", "f"]))
    await until(page, f"{sending} === 'q,h,f'")


async def test_a_screen_that_nobody_watches_is_not_sent_until_it_is_shared_again(
    page: Page, server: ScriptedServer
) -> None:
    session = await publishing(page, server)
    share = "async () => { await room.publish('screen', colour('navy')); }"
    await page.evaluate(share)
    await answer(page, session)
    sending = (
        "room.peers.publish.getTransceivers().filter(({sender}) => sender.track?.kind === 'video').at(-1).sender"
        ".getParameters().encodings.map((encoding) => encoding.active).join()"
    )
    # It is too small for two layers.
    for active, told in ([], "false,false"), (["h"], "true,false"), (["q", "h"], "true,false"), ([], "false,false"):
        await session.send(signaling.Layers(track="t-screen", active=active))
        await until(page, f"{sending} === '{told}'")
    await page.evaluate("room.unpublish('screen')")
    await page.evaluate(share)
    await until(page, f"{sending} === 'true,false'")


async def test_leaving_while_a_screen_is_being_withdrawn_is_no_error(page: Page, server: ScriptedServer) -> None:
    session = await publishing(page, server)
    await page.evaluate("async () => { await room.publish('screen', colour('navy')); }")
    await answer(page, session)
    problems = await page.evaluate(
        """async () => {
          const withdrawn = room.unpublish('screen').then(() => [], (error) => [error.message]);
          room.leave();
          return withdrawn;
        }"""
    )
    assert problems == []
    assert not await page.evaluate("log.filter(([type]) => type === 'problem')")


async def test_a_refused_offer_is_rolled_back_and_told(page: Page, server: ScriptedServer) -> None:
    session = await publishing(page, server)
    await page.evaluate("async () => { await room.publish('screen', colour('navy')); }")
    await session.expect(signaling.Offer)
    await session.send(signaling.Error(code="offer_refused", detail="Too many sections."))
    await until(page, "room.peers.publish.signalingState === 'stable'")
    await until(page, "log.some(([type, detail]) => type === 'problem' && detail.code === 'offer_refused')")


async def test_a_resume_repeats_an_unanswered_offer_and_the_mutes(page: Page, server: ScriptedServer) -> None:
    session = await publishing(page, server)
    await page.evaluate("async () => { await room.publish('screen', colour('navy')); }")
    offer = await session.expect(signaling.Offer)
    await session.socket.close(1012)
    again = await server.session()
    await again.welcome(resumed=True)
    repeated = await again.expect(signaling.Offer)
    assert (repeated.id, repeated.tracks, repeated.restart) == (offer.id, offer.tracks, False)
    assert repeated.sdp.splitlines()[1] == offer.sdp.splitlines()[1], "the same session and version"
    assert (await again.expect(signaling.MediaControl)).track == "t-camera"


async def test_a_failed_peer_is_replaced_with_its_media(page: Page, server: ScriptedServer) -> None:
    session = await publishing(page, server)
    await page.evaluate(
        """() => {
          const failed = room.peers.publish;
          Object.defineProperty(failed, 'connectionState', {get: () => 'failed'});
          failed.dispatchEvent(new Event('connectionstatechange'));
        }"""
    )
    offer = await session.expect(signaling.Offer)
    assert offer.restart
    assert {track.source for track in offer.tracks} == {"camera", "microphone"}


async def test_music_is_offered_as_continuous(page: Page, server: ScriptedServer) -> None:
    await page.evaluate(
        """async () => {
          const room = newRoom();
          const music = await sdk.openMicrophone();
          music.contentHint = 'music';
          await room.publish('microphone', music);
          void room.join();
        }"""
    )
    session = await server.session()
    await session.welcome()
    assert [track.continuous for track in (await session.expect(signaling.Offer)).tracks] == [True]


async def test_a_peer_whose_answer_never_comes_is_replaced(page: Page, server: ScriptedServer) -> None:
    await page.evaluate(
        """async () => {
          const wait = window.setTimeout;
          window.setTimeout = (work, ms, ...more) => wait(work, ms === 30_000 ? 300 : ms, ...more);
          const room = newRoom();
          await room.publish('microphone', await sdk.openMicrophone());
          void room.join();
        }"""
    )
    session = await server.session()
    await session.welcome()
    lost = await session.expect(signaling.Offer)
    offer = await session.expect(signaling.Offer)
    assert offer.restart
    assert offer.id != lost.id
    assert offer.sdp.splitlines()[1] != lost.sdp.splitlines()[1], "another peer"


async def test_a_peer_replaced_while_it_makes_an_offer_sends_none(page: Page, server: ScriptedServer) -> None:
    session = await publishing(page, server)
    await page.evaluate(
        """async () => {
          const set = RTCPeerConnection.prototype.setLocalDescription;
          RTCPeerConnection.prototype.setLocalDescription = async function (...given) {
            await set.apply(this, given);
            await new Promise((resolve) => setTimeout(resolve, 500));
          };
          const replaced = room.peers.publish;
          void room.publish('screen', colour('navy'));
          Object.defineProperty(replaced, 'connectionState', {get: () => 'failed'});
          replaced.dispatchEvent(new Event('connectionstatechange'));
        }"""
    )
    offer = await session.expect(signaling.Offer)
    assert {track.source for track in offer.tracks} == {"camera", "microphone", "screen"}
    assert "m=video" in offer.sdp


async def test_a_backup_is_offered_in_its_codec_until_it_is_not_wanted(page: Page, server: ScriptedServer) -> None:
    session = await publishing(page, server)
    await session.send(signaling.Backup(track="t-camera", codec="VP8", wanted=True))
    offer = await answer(page, session)
    assert [(track.source, track.codec, track.backup_of) for track in offer.tracks][-1] == (
        Source.CAMERA,
        "VP8",
        "t-camera",
    )
    await session.send(signaling.Backup(track="t-camera", codec="VP8", wanted=False))
    assert await session.expect(signaling.Unpublish) == signaling.Unpublish(track="t-camera")
    assert [track.backup_of for track in (await answer(page, session)).tracks] == ["", ""]


async def test_another_codec_is_another_track_on_another_section(page: Page, server: ScriptedServer) -> None:
    session = await publishing(page, server)
    await page.evaluate("room.publish('camera', room.local('camera').mediaTrack, {codec: 'AV1'}).then(() => true)")
    assert await session.expect(signaling.Unpublish) == signaling.Unpublish(track="t-camera")
    camera = (await answer(page, session)).tracks[-1]
    assert (camera.source, camera.codec, camera.mid) == (Source.CAMERA, "AV1", "2")
    await page.evaluate("room.publish('camera', room.local('camera').mediaTrack, {codec: 'VP8'}).then(() => true)")
    assert (await session.expect(signaling.Unpublish)).track == "t-camera"
    camera = (await answer(page, session)).tracks[-1]
    assert (camera.codec, camera.mid) == ("VP8", "0")
