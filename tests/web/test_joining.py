"""Joining: the messages on the wire, and the refusals that end it."""

import pytest
from playwright.async_api import Page

from sfu.api import signaling
from sfu.api.join_token import Grants, Source
from tests.web.conftest import events, until
from tests.web.scripted import ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

JOIN = "window.outcome = newRoom({signaling: {backoff: () => 10}}).join().then(() => 'joined', (error) => error.code)"


async def test_a_join_carries_the_version_and_the_token(page: Page, server: ScriptedServer) -> None:
    server.answers["POST", "/meetings/m1/join"] = (200, server.join_answer(token="token-1"))
    await page.evaluate(f"() => {{ {JOIN} }}")
    session = await server.session()
    join = await session.welcome()
    assert (join.v, join.token, join.resume) == (1, "token-1", None)
    assert await page.evaluate("window.outcome") == "joined"
    assert await page.evaluate("room.participant") == "p1"
    assert server.joins() == [{"name": "Ada"}]
    # A viewer offers nothing.
    assert session.quiet()


async def test_the_offer_follows_the_room_info_with_what_was_published_before(
    page: Page, server: ScriptedServer
) -> None:
    await page.evaluate(
        """async () => {
          const room = newRoom();
          await room.publish('camera', await sdk.openCamera());
          await room.publish('microphone', await sdk.openMicrophone(), {muted: true});
          void room.join();
        }"""
    )
    session = await server.session()
    await session.welcome()
    offer = await session.expect(signaling.Offer)
    assert offer.peer == "publish"
    assert not offer.restart
    assert [(track.source, track.muted) for track in offer.tracks] == [("camera", False), ("microphone", True)]
    assert not any(track.continuous for track in offer.tracks)
    assert "a=simulcast:send q;h;f" in offer.sdp
    assert "a=candidate" not in offer.sdp, "nothing waits for ICE gathering"
    assert "usedtx=1" not in offer.sdp
    assert "useinbandfec=1" in offer.sdp
    red = next(line for line in offer.sdp.splitlines() if line.startswith("m=audio")).split()[3]
    assert f"a=rtpmap:{red} red/48000/2" in offer.sdp
    first_video = next(line for line in offer.sdp.splitlines() if line.startswith("m=video")).split()[3]
    assert f"a=rtpmap:{first_video} VP8/90000" in offer.sdp


async def test_sources_without_a_grant_are_not_offered(page: Page, server: ScriptedServer) -> None:
    await page.evaluate(
        """async () => {
          const room = newRoom();
          await room.publish('camera', await sdk.openCamera());
          await room.publish('microphone', await sdk.openMicrophone());
          void room.join();
        }"""
    )
    session = await server.session()
    await session.welcome(grants=Grants(publish=(Source.MICROPHONE,)))
    offer = await session.expect(signaling.Offer)
    assert [track.source for track in offer.tracks] == ["microphone"]


async def test_rest_refusals_reach_the_caller(page: Page, server: ScriptedServer) -> None:
    server.answers["POST", "/meetings/m1/join"] = (403, {"code": "wrong_passcode", "detail": "The passcode is wrong."})
    assert await page.evaluate(JOIN) == "wrong_passcode"
    assert len(server.joins()) == 1


@pytest.mark.parametrize("code", ["expired_token", "locked", "full", "banned", "ended"])
async def test_a_refused_first_join_is_not_repeated(page: Page, server: ScriptedServer, code: str) -> None:
    await page.evaluate(f"() => {{ {JOIN} }}")
    session = await server.session()
    await session.expect(signaling.Join)
    await session.send(signaling.Error(code=code, detail="No.", fatal=True))
    await session.socket.close(4001)
    assert await page.evaluate("window.outcome") == code
    assert len(server.joins()) == 1


async def test_an_unknown_version_ends_the_join(page: Page, server: ScriptedServer) -> None:
    await page.evaluate(f"() => {{ {JOIN} }}")
    session = await server.session()
    await session.send(signaling.Hello(v=9, versions=(9, 8), node="test"))
    assert await page.evaluate("window.outcome") == "unsupported_version"


async def test_an_unreachable_server_is_given_up_after_a_few_attempts(page: Page, server: ScriptedServer) -> None:
    server.refuse_sockets = True
    assert await page.evaluate(JOIN) == "connection_lost"
    assert len(server.joins()) == 4


async def test_consent_follows_the_join(page: Page, server: ScriptedServer) -> None:
    await page.evaluate(
        "() => { newRoom().setConsent({text: '1', recording: true, captions: false}); void room.join(); }"
    )
    session = await server.session()
    await session.welcome()
    assert await session.expect(signaling.Consent) == signaling.Consent(text="1", recording=True, captions=False)


async def test_leaving_says_so_and_closes_normally(page: Page, server: ScriptedServer) -> None:
    await page.evaluate("() => { void newRoom().join(); }")
    session = await server.session()
    await session.welcome()
    await until(page, "room.participant === 'p1'")
    await page.evaluate("room.leave()")
    await session.expect(signaling.Leave)
    await session.socket.wait_closed()
    assert session.socket.close_code == 1000
    assert (await events(page, "connection"))[-1] == {"state": "closed", "code": "left", "reason": ""}
