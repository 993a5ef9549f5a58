"""Authorization in a live room: hand-written expectations, through a whole server.

Columns are callers. A signaling message must succeed (`ok`) or be refused with the given code. The offers describe
nothing, so a caller who may publish gets `offer_refused`. A kind of message without a row fails.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, get_args

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from parley_client import Api, ApiError, Joined, Room
from parley_client.descriptions import PAYLOAD_TYPES
from sfu.api import signaling
from sfu.formats.codecs import Codec
from sfu.formats.rtp import RtpPacket, serialize
from tests.support.call import SILENCE, become_admin, speaking
from tests.support.server import RunningServer, running_server

PASSWORD = "correct horse battery"
IN_ROOM = ("guest", "participant", "viewer", "co-host", "host", "admin")
SAID = {
    # kind: guest, participant, viewer, co-host, host, admin
    "join": "bad_message bad_message bad_message bad_message bad_message bad_message",
    "offer": "offer_refused offer_refused publish_not_permitted offer_refused offer_refused offer_refused",
    "answer": " ".join(["unexpected_answer"] * 6),
    "ice": "ok ok ok ok ok ok",
    "restart-subscribe": "ok ok ok ok ok ok",
    "unpublish": "unknown_track unknown_track unknown_track unknown_track unknown_track unknown_track",
    "media-control": "unknown_track unknown_track unknown_track unknown_track unknown_track unknown_track",
    "subscribe": "ok ok ok ok ok ok",
    "consent": "ok ok ok ok ok ok",
    "chat": "not_permitted not_permitted not_permitted ok ok not_permitted",
    "describe": " ".join(["not_permitted"] * 6),
    "data-tracks": "ok ok not_permitted ok ok ok",
    "permit": "ok ok ok ok ok ok",
    "hand": "not_permitted not_permitted not_permitted unknown_participant unknown_participant not_permitted",
    "reaction": "ok ok ok ok ok ok",
    "record": "not_permitted not_permitted not_permitted ok ok not_permitted",
    "ping": "ok ok ok ok ok ok",
    "leave": "ok ok ok ok ok ok",
}
# `join` refuses callers without access; any other first message is refused for everybody.
NOT_LET_IN = {
    "anonymous": "bad_message",
    "removed": "removed",
    "banned": "removed",
    "ended-guest": "ended",
    "forger": "bad_token",
    "account token": "bad_token",
}
# Responses to WHIP and WHEP with an empty offer: authorized callers get 400.
WHIP = {
    "guest": (400, 400),
    "participant": (400, 400),
    "viewer": (403, 400),
    "co-host": (400, 400),
    "admin": (400, 400),
    "removed": (403, 403),
    "banned": (403, 403),
    "other-host": (401, 401),
    "anonymous": (401, 401),
    "account token": (401, 401),
    "api key": (401, 401),
    "host": (400, 400),  # the last: it watches, and its own offer takes it out of the room
}
JOINING = {
    "anonymous": "name_required",
    "other-host": "ok",  # an open meeting takes every account
    "removed": "removed",
    "banned": "removed",
    "api key": "scope",
}


@dataclass
class Stage:
    """A meeting where plain participants may not chat, with one caller of each kind."""

    server: RunningServer
    meeting: str
    apis: dict[str, Api]
    secrets: dict[str, str] = field(default_factory=dict)

    async def token(self, caller: str) -> Joined:
        """Join again as the caller's participant."""
        if caller == "guest":
            joined = await self.apis["anonymous"].join(self.meeting, rejoin_secret=self.secrets["guest"])
            self.secrets["guest"] = joined.rejoin_secret
            return joined
        return await self.apis[caller].join(self.meeting)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(registration="open", inference="false") as running:
        yield running


@pytest_asyncio.fixture
async def stage(server: RunningServer) -> AsyncIterator[Stage]:
    async with contextlib.AsyncExitStack() as stack:

        async def api() -> Api:
            return await stack.enter_async_context(Api(server.url))

        apis = {name: await api() for name in ("admin", "anonymous")}
        try:
            await apis["admin"].login("admin", PASSWORD)
        except ApiError:
            await become_admin(apis["admin"], server.setup_token)
        for name in ("host", "co-host", "viewer", "participant", "removed", "banned", "other-host"):
            apis[name] = await api()
            try:
                await apis[name].login(name, PASSWORD)
            except ApiError:
                await apis[name].register(name, PASSWORD)
        host = apis["host"]
        meeting = await host.create_meeting("Live", may_chat=False)
        made = Stage(server, meeting, apis)
        made.secrets["guest"] = (await apis["anonymous"].join(meeting, "Guest")).rejoin_secret
        for name, role in (("co-host", "co-host"), ("viewer", "viewer")):
            person = (await apis[name].join(meeting)).participant
            await host.request("PUT", f"/meetings/{meeting}/participants/{person}/role", {"role": role})
        yield made


@contextlib.asynccontextmanager
async def session(stage: Stage) -> AsyncIterator[ClientConnection]:
    url = f"ws://localhost:{stage.server.http_port}/ws/signaling?meeting={stage.meeting}"
    async with connect(url, proxy=None) as socket:
        assert isinstance(signaling.decode_server(await socket.recv()), signaling.Hello)
        yield socket


async def outcome(socket: ClientConnection, message: dict[str, Any], *, until_closed: bool = False) -> str:
    """Send a message and a ping after it: the code of an error that comes before the pong, `ok` without one."""
    await socket.send(msgspec.json.encode(message).decode())
    await socket.send(signaling.encode(signaling.Ping(id=77)))
    code = "ok"
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(30):
            async for data in socket:
                answer = signaling.decode_server(data)
                if isinstance(answer, signaling.Error):
                    code = answer.code
                elif isinstance(answer, signaling.Pong) and answer.id == 77 and not until_closed:
                    break
    return code


def messages(track: str) -> dict[str, dict[str, Any]]:
    """One message of each kind; where it names a track, somebody else's."""
    sdp = "v=0\r\n"
    return {
        "join": {"v": 1, "token": "x"},
        "offer": {"peer": "publish", "sdp": sdp},
        "answer": {"peer": "subscribe", "sdp": sdp, "id": 999},
        "ice": {"peer": "publish", "candidate": ""},
        "restart-subscribe": {},
        "unpublish": {"track": track},
        "media-control": {"track": track, "muted": True},
        "subscribe": {"tracks": [{"track": track, "on": False}]},
        "consent": {"text": "recording-1", "recording": True},
        "chat": {"text": "hello"},
        "describe": {"metadata": "m"},
        "data-tracks": {"tracks": []},
        "permit": {"everyone": True},
        "hand": {"raised": False, "participant": "nobody"},
        "reaction": {"emoji": "\N{WAVING HAND SIGN}"},
        "record": {"on": False},
        "ping": {"id": 1},
        "leave": {},
    }


def test_every_kind_has_its_row() -> None:
    kinds = {kind.__struct_config__.tag for kind in get_args(signaling.ClientMessage)}
    assert kinds == set(SAID) == set(messages(""))


async def test_every_message_of_everyone(stage: Stage) -> None:
    other = await stage.apis["other-host"].join(stage.meeting)
    wrong = []
    async with (
        Room(stage.apis["host"].signaling_url(other), token=other.token) as bystander,
        speaking(bystander) as microphone,
    ):
        for caller in IN_ROOM:
            joined = await stage.token(caller)
            async with session(stage) as socket:
                await socket.send(signaling.encode(signaling.Join(v=1, token=joined.token)))
                while not isinstance(signaling.decode_server(await socket.recv()), signaling.RoomInfo):
                    pass
                for kind, fields in messages(microphone.track).items():
                    expected = dict(zip(IN_ROOM, SAID[kind].split(), strict=True))[caller]
                    found = await outcome(socket, {"kind": kind, **fields})
                    if found != expected:
                        wrong.append(f"{kind} as {caller}: {found}, expected {expected}")
        assert not bystander.state.tracks  # participants get no notice of their own
        assert bystander.state.closed is None
    assert wrong == []


async def test_nobody_else_is_let_in(stage: Stage) -> None:
    host, meeting = stage.apis["host"], stage.meeting
    early = {name: await stage.apis[name].join(meeting) for name in ("removed", "banned")}
    people = f"/meetings/{meeting}/participants"
    await host.request("POST", f"{people}/{early['removed'].participant}/remove", {})
    await host.request("POST", f"{people}/{early['banned'].participant}/remove", {"ban": True})
    over = await host.create_meeting("Over")
    early["ended-guest"] = await stage.apis["anonymous"].join(over, "Left")
    await host.request("POST", f"/meetings/{over}/end")
    head, _, rest = early["removed"].token.rpartition(".")
    tokens = {name: joined.token for name, joined in early.items()}
    tokens |= {
        "anonymous": None,
        "forger": f"{head}.{rest[::-1]}",
        "account token": host.bearer,
    }
    wrong = []
    watching = await host.join(meeting)
    async with Room(host.signaling_url(watching), token=watching.token):
        for caller, expected in NOT_LET_IN.items():
            for kind, fields in messages("t").items():
                message = {"kind": kind, **fields}
                if kind == "join":
                    message = {"kind": "join", "v": 1} | ({"token": tokens[caller]} if tokens[caller] else {})
                async with session(stage) as socket:
                    found = await outcome(socket, message, until_closed=True)
                code = expected if kind == "join" else "bad_message"
                if found != code:
                    wrong.append(f"{kind} as {caller}: {found}, expected {code}")
    assert wrong == []


async def test_whip_and_whep(stage: Stage) -> None:
    host, meeting = stage.apis["host"], stage.meeting
    watching = await host.join(meeting)
    wrong = []
    async with Room(host.signaling_url(watching), token=watching.token), aiohttp.ClientSession() as http:
        for caller, expected in WHIP.items():
            given = await two_tokens(stage, caller)
            for path, status, token in zip(("whip", "whep"), expected, given, strict=True):
                headers = {"Content-Type": "application/sdp"}
                if token is not None:
                    headers["Authorization"] = f"Bearer {token}"
                url = f"{stage.server.url}/{path}/{meeting}"
                async with http.post(url, data=b"v=0\r\n", headers=headers) as answer:
                    if answer.status != status:
                        wrong.append(f"{path} as {caller}: {answer.status} {await answer.text()}, expected {status}")
    assert wrong == []


async def two_tokens(stage: Stage, caller: str) -> tuple[str | None, str | None]:
    """Return a caller's credentials, twice, since a join token admits once."""
    host, meeting = stage.apis["host"], stage.meeting
    match caller:
        case "anonymous":
            return None, None
        case "account token":
            return host.bearer, host.bearer
        case "api key":
            key = (await host.request("POST", "/users/api-keys", {"name": "k", "scopes": ["media:read"]}))["secret"]
            return key, key
        case "other-host":
            elsewhere = await stage.apis["other-host"].create_meeting("Elsewhere")
            joined = [await stage.apis["other-host"].join(elsewhere) for _ in range(2)]
        case "removed" | "banned":
            joined = [await stage.apis[caller].join(meeting) for _ in range(3)]
            person = f"/meetings/{meeting}/participants/{joined[0].participant}"
            async with session(stage) as socket:
                await socket.send(signaling.encode(signaling.Join(v=1, token=joined.pop().token)))
                await socket.recv()
                await host.request("POST", f"{person}/remove", {"ban": caller == "banned"})
                await socket.wait_closed()  # the node knows
        case _:
            joined = [await stage.token(caller) for _ in range(2)]
    return joined[0].token, joined[1].token


async def test_joining(stage: Stage) -> None:
    host, meeting = stage.apis["host"], stage.meeting
    for name in ("removed", "banned"):
        person = (await stage.apis[name].join(meeting)).participant
        await host.request("POST", f"/meetings/{meeting}/participants/{person}/remove", {"ban": name == "banned"})
    key = await host.request("POST", "/users/api-keys", {"name": "k", "scopes": ["media:read"]})
    async with Api(stage.server.url, bearer=key["secret"]) as keyed:
        for caller, code in JOINING.items():
            api = keyed if caller == "api key" else stage.apis[caller]
            try:
                await api.join(meeting)
                found = "ok"
            except ApiError as error:
                found = error.code
            assert (caller, found) == (caller, code)


async def test_what_a_viewer_sends_is_dropped(stage: Stage) -> None:
    """Raw RTP, past any signaling: from who became a viewer, and over the subscribe peer of who always was one."""
    host, meeting = stage.apis["host"], stage.meeting
    first, second = await host.join(meeting), await stage.apis["participant"].join(meeting)
    async with (
        Room(host.signaling_url(first), token=first.token) as watcher,
        Room(host.signaling_url(second), token=second.token) as speaker,
        speaking(speaker) as microphone,
    ):

        def heard() -> int:
            return sum(stream.packets for stream in watcher.receiver.streams.values())

        await watcher.until(lambda: microphone.track in watcher.state.tracks)
        while heard() < 10:
            await asyncio.sleep(0.02)
        path = f"/meetings/{meeting}/participants/{second.participant}/role"
        await host.request("PUT", path, {"role": "viewer"})
        await watcher.until(lambda: microphone.track not in watcher.state.tracks)
        await asyncio.sleep(0.2)  # messages in flight arrive
        before, sent = heard(), microphone.packets
        while microphone.packets < sent + 25:
            await asyncio.sleep(0.02)
        assert heard() == before
        # The subscribe peer has its own keys and sends only feedback.
        assert speaker._subscribe is not None
        while not speaker._subscribe.peer.connected:
            await asyncio.sleep(0.02)
        for seq in range(25):
            packet = RtpPacket(PAYLOAD_TYPES[Codec.OPUS], seq, seq * 960, microphone.ssrc, SILENCE)
            assert speaker._subscribe.send(serialize(packet))
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # they would have been passed on by now
        assert heard() == before
        assert not watcher.state.tracks


async def test_an_account_that_is_banned_is_put_out_and_does_not_come_back(stage: Stage) -> None:
    async with Api(stage.server.url) as outlaw:
        await outlaw.register("outlaw", PASSWORD)
        joined = await outlaw.join(stage.meeting)
        user = (await outlaw.request("GET", "/users/profile"))["id"]
        async with session(stage) as socket:
            await socket.send(signaling.encode(signaling.Join(v=1, token=joined.token)))
            admin = stage.apis["admin"]
            while True:  # control learns of the arrival by a fact
                people = (await admin.request("GET", f"/meetings/{stage.meeting}/participants"))["participants"]
                if any(one["user"] == user and one["present"] for one in people):
                    break
                await asyncio.sleep(0.05)
            await admin.request("POST", f"/admin/users/{user}/ban")
            await asyncio.wait_for(socket.wait_closed(), 30)
            assert socket.close_reason == "removed"
        with pytest.raises(ApiError, match="banned"):
            await stage.apis["anonymous"].join(stage.meeting, rejoin_secret=joined.rejoin_secret)


@pytest.mark.parametrize("part", ["sfu", "redis"])
async def test_a_removal_while_a_part_hangs(stage: Stage, part: str) -> None:
    """It is accepted at once, and takes effect when the sfu continues, without waiting for Redis."""
    host = stage.apis["host"]
    joined = await stage.apis["participant"].join(stage.meeting)
    async with session(stage) as socket:
        await socket.send(signaling.encode(signaling.Join(v=1, token=joined.token)))
        while not isinstance(signaling.decode_server(await socket.recv()), signaling.RoomInfo):
            pass
        path = f"/meetings/{stage.meeting}/participants/{joined.participant}/remove"
        with stage.server.stopped(part):
            async with asyncio.timeout(30):
                await host.request("POST", path, {})
            if part == "redis":
                await asyncio.wait_for(socket.wait_closed(), 30)
        await asyncio.wait_for(socket.wait_closed(), 30)
        assert (socket.close_code, socket.close_reason) == (4001, "removed")
