"""Lost connections: resuming, rejoining, giving up."""

import pytest
from playwright.async_api import Page

from sfu.api import signaling, signaling_values
from tests.web.conftest import events, until
from tests.web.scripted import ScriptedServer, Session, room_info

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def joined(page: Page, server: ScriptedServer, options: str = "backoff: () => 10") -> Session:
    await page.evaluate(f"() => {{ void newRoom({{signaling: {{{options}}}}}).join(); }}")
    session = await server.session()
    await session.welcome()
    await until(page, "room.participant === 'p1'")
    return session


async def test_a_lost_socket_is_resumed_without_rest(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server)
    await session.socket.close(1012)
    again = await server.session()
    join = await again.expect(signaling.Join)
    assert (join.token, join.resume) == (None, "resume-1")
    await again.send(room_info(resume="resume-2", resumed=True))
    await until(page, "room.connection.state === 'connected'")
    assert len(server.joins()) == 1
    states = [change["state"] for change in await events(page, "connection")]
    assert states[:2] == ["connecting", "connected"]
    assert set(states[2:-1]) == {"reconnecting"}
    # The next resume uses the next secret.
    await again.socket.close(1012)
    assert (await (await server.session()).expect(signaling.Join)).resume == "resume-2"


async def test_a_refused_resume_becomes_a_rejoin_as_the_same_participant(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server)
    await page.evaluate("room.setConsent({text: '1', recording: true})")
    await session.expect(signaling.Consent)
    await session.socket.close(1012)
    refused = await server.session()
    await refused.expect(signaling.Join)
    await refused.send(signaling.Error(code="unknown_session", detail="Too late.", fatal=True))
    await refused.socket.close(4001)
    again = await server.session()
    join = await again.welcome(resume="resume-3")
    assert join.token
    assert server.joins()[1] == {"name": "Ada", "rejoin_secret": "rejoin-1"}
    assert (await again.expect(signaling.Consent)).recording is True


async def test_after_the_resume_time_it_rejoins_at_once(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server, "backoff: () => 10, resumeMs: 0")
    await session.socket.close(1012)
    join = await (await server.session()).welcome()
    assert join.token
    assert len(server.joins()) == 2


async def test_a_rejoin_offers_afresh_and_wishes_again(page: Page, server: ScriptedServer) -> None:
    await page.evaluate(
        """async () => {
          const room = newRoom({signaling: {backoff: () => 10, resumeMs: 0}});
          await room.publish('camera', await sdk.openCamera());
          void room.join();
        }"""
    )
    session = await server.session()
    track = signaling_values.TrackInfo(track="v2", participant="p2", source="camera", media="video", codec="VP8")
    await session.welcome(tracks=[track])
    first = await session.expect(signaling.Offer)
    await page.evaluate("room.subscribe('v2', {width: 640, height: 360})")
    wish = await session.expect(signaling.Subscribe)
    await session.socket.close(1012)
    again = await server.session()
    await again.welcome(tracks=[track])
    offer = await again.expect(signaling.Offer)
    assert offer.restart
    assert offer.sdp != first.sdp
    assert await again.expect(signaling.Subscribe) == wish


async def test_a_silent_server_is_given_up_by_pings(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server, "backoff: () => 10, pingMs: 50")
    # From here on the server neither answers nor closes.
    session.send = _nothing  # type: ignore[method-assign]
    again = await server.session()
    assert (await again.expect(signaling.Join)).resume == "resume-1"


async def _nothing(*_messages: object) -> None:
    return


@pytest.mark.parametrize("code", ["removed", "banned", "ended", "replaced"])
async def test_put_out_is_final(page: Page, server: ScriptedServer, code: str) -> None:
    session = await joined(page, server)
    await session.send(signaling.Error(code=code, detail="Out.", fatal=True))
    await session.socket.close(4001, code)
    await until(page, "room.connection.state === 'closed'")
    assert (await events(page, "connection"))[-1] == {"state": "closed", "code": code, "reason": "Out."}
    assert len(server.joins()) == 1


async def test_a_rejoin_refused_by_rest_is_final(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server, "backoff: () => 10, resumeMs: 0")
    server.answers["POST", "/meetings/m1/join"] = (403, {"code": "removed", "detail": "Removed."})
    await session.socket.close(1012)
    await until(page, "room.connection.state === 'closed'")
    assert await page.evaluate("room.connection.code") == "removed"


async def test_a_server_that_is_down_is_tried_until_it_is_back(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server, "backoff: () => 10, resumeMs: 0")
    server.answers["POST", "/meetings/m1/join"] = (503, {"code": "unavailable", "detail": "Down."})
    await session.socket.close(1012)
    await until(page, "log.filter(([type, detail]) => type === 'connection' && detail.retryAt).length > 6")
    del server.answers["POST", "/meetings/m1/join"]
    await (await server.session()).welcome()
    await until(page, "room.connection.state === 'connected'")


async def test_a_server_that_does_not_answer_is_tried_every_second(page: Page, server: ScriptedServer) -> None:
    """Refusing connections costs it nothing. Once it answers, the back-off begins anew."""
    backoff = "backoff: (attempt) => { (window.attempts ??= []).push(attempt); return 10; }, resumeMs: 0"
    session = await joined(page, server, backoff)
    server.answers["POST", "/meetings/m1/join"] = (503, {"code": "unavailable", "detail": "Starting."})
    await page.route("**/meetings/m1/join", lambda route: route.abort())
    await session.socket.close(1012)
    await until(page, "window.attempts?.length > 7")
    await page.unroute("**/meetings/m1/join")
    await until(page, "attempts.at(-1) > 3")
    attempts = await page.evaluate("attempts")
    again = attempts.index(0, 1)
    assert attempts[:3] == [0, 1, 2] and set(attempts[3:again]) == {2}
    assert attempts[again : again + 5] == [0, 1, 2, 3, 4]


async def test_retry_now_cuts_a_wait_short(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server, "backoff: () => 600000")
    await session.socket.close(1012)
    await until(page, "room.connection.retryAt > performance.now() + 500000")
    await page.evaluate("room.retryNow()")
    assert (await (await server.session()).expect(signaling.Join)).resume == "resume-1"


async def test_state_missed_meanwhile_is_caught_up(page: Page, server: ScriptedServer) -> None:
    person = signaling_values.ParticipantInfo
    session = await joined(page, server)
    await session.send(signaling.ParticipantJoined(participant=person(participant="p2", name="Grace")))
    await until(page, "room.roster.participants.size === 2")
    await session.socket.close(1012)
    again = await server.session()
    await again.expect(signaling.Join)
    people = [person(participant="p1", name="Ada"), person(participant="p3", name="Radia")]
    track = signaling_values.TrackInfo(track="v3", participant="p3", source="camera", media="video", codec="VP8")
    await again.send(room_info(resumed=True, participants=people, tracks=[track]))
    await until(page, "room.roster.tracks.has('v3')")
    assert [who["id"] for who in await events(page, "participant-left")] == ["p2"]
    assert [who["id"] for who in await events(page, "participant-joined")][-1] == "p3"


async def test_a_room_that_moved_is_joined_again_without_a_resume(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server)
    await session.send(signaling.Error(code="moved", detail="Join again.", fatal=True))
    await session.socket.close(1012)
    join = await (await server.session()).welcome(resume="resume-2")
    assert join.token
    assert server.joins()[1] == {"name": "Ada", "rejoin_secret": "rejoin-1"}
    await until(page, "room.connection.state === 'connected'")


async def test_a_lost_node_is_not_asked_to_resume(page: Page, server: ScriptedServer) -> None:
    session = await joined(page, server)
    await session.socket.close(1001, "node_lost")
    assert (await (await server.session()).welcome(resume="resume-2")).token


async def test_a_server_that_answers_nothing_while_media_stopped_is_given_up(
    page: Page, server: ScriptedServer
) -> None:
    await page.evaluate(
        """async (url) => {
          const {Signaling} = await import('/sdk/signaling.js');
          window.signaling = new Signaling({
            admit: async () => ({url, token: 't'}), pingMs: 600000, probeMs: 100, backoff: () => 10,
          });
          void signaling.start();
        }""",
        server.signaling_url,
    )
    session = await server.session()
    await session.welcome()
    await until(page, "signaling.joined")
    session.send = _nothing  # type: ignore[method-assign]  # it neither answers nor closes
    await page.evaluate("signaling.probe()")
    assert (await (await server.session()).expect(signaling.Join)).resume == "resume-1"
