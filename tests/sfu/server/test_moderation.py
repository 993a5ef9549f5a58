"""The desired state takes effect in live rooms: removal, locks, mutes, revoked grants, the end."""

import contextlib
from pathlib import Path

import pytest

from sfu.api import signaling, signaling_values
from sfu.api.desired_state import DesiredState
from sfu.api.join_token import Grants, Source
from sfu.engine.contract import Drop
from tests.sfu.server.aiortc_caller import Caller
from tests.sfu.server.harness import Client, Host, client, host
from tests.support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


async def test_a_removed_participant_is_out_at_once_and_stays_out(tmp_path: Path) -> None:
    async with (
        host(tmp_path) as h,
        client(h, h.control.token("r", "ann")) as ann,
        client(h, h.control.token("r", "bob")) as bob,
    ):
        await ann.until(signaling.RoomInfo)
        resume = (await bob.until(signaling.RoomInfo)).resume
        await h.put_desired(DesiredState(room="r", version=3, removed=("bob",)))
        error = await bob.until(signaling.Error)
        assert (error.code, error.fatal) == ("removed", True)
        assert await bob.closed() == 4001
        assert (await ann.until(signaling.ParticipantLeft)).reason == "removed"
        async with client(h, None, resume=resume) as again:
            assert (await again.until(signaling.Error)).code == "unknown_session"
        async with client(h, h.control.token("r", "bob")) as again:
            assert (await again.until(signaling.Error)).code == "removed"


async def test_only_a_higher_version_is_applied(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        assert await h.put_desired(DesiredState(room="r", version=5)) == 200
        await h.put_desired(DesiredState(room="r", version=4, removed=("ann",)))
        await ann.send(signaling.Ping(id=1))
        await ann.until(signaling.Pong)
        assert await h.put_desired(DesiredState(room="elsewhere", version=1)) == 404


async def test_a_locked_room_admits_nobody_new_and_a_banned_user_never(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        await h.put_desired(DesiredState(room="r", version=1, locked=True, banned_users=("u7",)))
        async with client(h, h.control.token("r", "bob")) as bob:
            assert (await bob.until(signaling.Error)).code == "locked"
        async with client(h, h.control.token("r", "eve", user="u7", grants=Grants(host=True))) as eve:
            assert (await eve.until(signaling.Error)).code == "banned"
        async with client(h, h.control.token("r", "ann")) as again:
            await again.until(signaling.RoomInfo)


async def test_the_end_ends_it_for_all(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        await h.put_desired(DesiredState(room="r", version=1, ended=True))
        assert (await ann.until(signaling.Error)).code == "ended"
        await ann.closed()
        await eventually(lambda: h.control.kinds()[-1:] == ["RoomClosed"])
        assert not h.node.rooms


async def test_the_desired_state_is_pulled_when_a_room_opens(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        h.control.desired["r"] = DesiredState(room="r", version=1, removed=("ann",))
        async with client(h, h.control.token("r", "ann")) as ann:
            assert (await ann.until(signaling.Error)).code == "removed"


async def test_the_desired_state_is_pulled_again_and_again(tmp_path: Path) -> None:
    async with host(tmp_path, desired_state_seconds=0.1) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        h.control.desired["r"] = DesiredState(room="r", version=1, participants={"ann": Grants(chat=False)})
        assert not (await ann.until(signaling.GrantsChanged)).grants.chat


async def test_one_question_is_about_all_rooms_and_only_changes_are_answered(tmp_path: Path) -> None:
    async with host(tmp_path, desired_state_seconds=0.1) as h, contextlib.AsyncExitStack() as stack:
        rooms = [f"r{number}" for number in range(5)]
        people = [await stack.enter_async_context(client(h, h.control.token(room, "ann"))) for room in rooms]
        for ann in people:
            await ann.until(signaling.RoomInfo)
        await eventually(lambda: bool(h.control.polls) and h.control.polls[-1].rooms.keys() == set(rooms))
        asked, h.control.answered_at_once = h.control.desired_asked, 2
        for room in rooms[1:]:
            state = DesiredState(room=room, version=7, participants={"ann": Grants(chat=False)})
            h.control.desired[room] = state
        for ann in people[1:]:
            assert not (await ann.until(signaling.GrantsChanged)).grants.chat
        await eventually(lambda: [known.version for known in h.control.polls[-1].rooms.values()] == [0, 7, 7, 7, 7])
        assert h.control.desired_asked == asked  # no room was asked about by itself
        assert not [message for message in people[0].received if isinstance(message, signaling.GrantsChanged)]


async def _muted_call(h: Host, ann: Client, bob: Client) -> tuple[Caller, Caller, dict[str, str]]:
    caller, watcher = Caller(ann), Caller(bob)
    await ann.until(signaling.RoomInfo)
    await bob.until(signaling.RoomInfo)
    tracks = await caller.publish_both()
    await eventually(lambda: watcher.frames_of(tracks["camera"]) > 5, 30)
    await eventually(lambda: watcher.frames_of(tracks["microphone"]) > 5, 30)
    return caller, watcher, tracks


async def test_grants_change_live(tmp_path: Path) -> None:
    async with (
        host(tmp_path) as h,
        client(h, h.control.token("r", "ann")) as ann,
        client(h, h.control.token("r", "bob")) as bob,
    ):
        caller, watcher, tracks = await _muted_call(h, ann, bob)
        try:
            muted = Grants(muted=(Source.MICROPHONE,))
            await h.put_desired(DesiredState(room="r", version=1, participants={"ann": muted}))
            told = await bob.until(signaling.TrackMuted)
            assert (told.track, told.muted, told.by_host) == (tracks["microphone"], True, True)
            drops = h.node.context.engine.drops
            await eventually(lambda: h.node.context.engine.drops.get(Drop.NOT_PERMITTED, 0) > 20)
            assert drops.get(Drop.NOT_PERMITTED, 0) < h.node.context.engine.drops[Drop.NOT_PERMITTED]
            await ann.send(signaling.MediaControl(track=tracks["microphone"], muted=False))
            assert (await ann.until(signaling.Error)).code == "not_permitted"

            await h.put_desired(DesiredState(room="r", version=2, participants={"ann": Grants()}))
            await bob.until(signaling.TrackMuted, lambda m: not m.muted)
            heard = watcher.frames_of(tracks["microphone"])
            await eventually(lambda: watcher.frames_of(tracks["microphone"]) > heard + 20)

            only_audio = Grants(publish=(Source.MICROPHONE,))
            await h.put_desired(DesiredState(room="r", version=3, participants={"ann": only_audio}))
            assert (await bob.until(signaling.TrackUnpublished)).track == tracks["camera"]
            await eventually(lambda: all(s.track != tracks["camera"] for s in bob.last(signaling.Slots).slots))

            await h.put_desired(DesiredState(room="r", version=4, participants={"bob": Grants(subscribe=False)}))
            assert not (await bob.until(signaling.GrantsChanged)).grants.subscribe
            assert h.node.rooms["r"].participants["bob"].subscription is None
            await bob.send(signaling.RestartSubscribe())
            await bob.until(signaling.Error, lambda m: m.code == "not_permitted")
        finally:
            await caller.close()
            await watcher.close()


async def test_a_viewer_may_not_publish(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann", grants=Grants(publish=()))) as ann:
        await ann.until(signaling.RoomInfo)
        tracks = [signaling_values.OfferedTrack(mid="0", source=Source.CAMERA)]
        await ann.send(signaling.Offer(peer="publish", sdp="v=0", tracks=tracks))
        assert (await ann.until(signaling.Error)).code == "publish_not_permitted"


async def test_a_bad_offer_is_refused(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        peers = len(h.node.peers)
        await ann.send(signaling.Offer(peer="publish", sdp="v=0\r\nnonsense"))
        assert (await ann.until(signaling.Error)).code == "offer_refused"
        await ann.send(signaling.Answer(peer="subscribe", sdp="", id=99))
        await ann.until(signaling.Error, lambda m: m.code == "unexpected_answer")
        await ann.send(signaling.Answer(peer="subscribe", sdp="nonsense", id=1))
        await ann.until(signaling.Error, lambda m: m.code == "answer_refused")
        assert len(h.node.peers) == peers
