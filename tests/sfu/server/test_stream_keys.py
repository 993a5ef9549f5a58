"""Bearer tokens of WHIP and WHEP: a session uses up a join token, a failed attempt does not; stream keys stay valid."""

from pathlib import Path

import aiohttp

from sfu.api import signaling
from sfu.api.stream_key import StreamKeyAdmission, key_hash
from sfu.machines.ice.lite import generate_credentials
from tests.sfu.rooms.stage import AUDIO, description
from tests.sfu.server.harness import Host, client, host

SECRET = "stream_of-the-test"


def offer() -> str:
    return description(generate_credentials(), [AUDIO], "actpass")


async def post(h: Host, http: aiohttp.ClientSession, bearer: str, sdp: str, path: str = "/whip") -> tuple[int, str]:
    """Return the status, and the location or the code."""
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/sdp"}
    async with http.post(h.http + path, data=sdp, headers=headers) as answer:
        if answer.status == 201:
            return 201, answer.headers["Location"]
        return answer.status, (await answer.json())["code"]


async def delete(h: Host, http: aiohttp.ClientSession, bearer: str, location: str) -> int:
    async with http.delete(h.http + location, headers={"Authorization": f"Bearer {bearer}"}) as answer:
        return answer.status


async def test_an_offer_that_is_refused_leaves_the_token_good(tmp_path: Path) -> None:
    async with host(tmp_path) as h, aiohttp.ClientSession() as http:
        token = h.control.token("r", "camera")
        for sdp, path, refusal in (
            ("", "/whip", (400, "offer_refused")),
            (offer(), "/whip?consent=everything", (400, "bad_message")),
            (offer(), "/whip/other", (401, "foreign_token")),
        ):
            assert await post(h, http, token, sdp, path) == refusal
        h.control.desired_status = 503
        assert await post(h, http, token, offer()) == (503, "not_ready")
        h.control.desired_status = None
        assert (await post(h, http, token, offer()))[0] == 201
        assert await post(h, http, token, offer()) == (401, "replayed_token")


async def test_a_join_that_finds_control_away_leaves_the_token_good(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        token = h.control.token("r", "ann")
        h.control.desired_status = 503
        async with client(h, token) as ann:
            assert (await ann.until(signaling.Error)).code == "not_ready"
        h.control.desired_status = None
        async with client(h, token) as ann:
            await ann.until(signaling.RoomInfo)


async def test_a_stream_key_admits_again_and_the_newest_session_counts(tmp_path: Path) -> None:
    async with host(tmp_path) as h, aiohttp.ClientSession() as http:
        h.control.stream_keys = lambda use: StreamKeyAdmission(token=h.control.token("r", "camera"))
        status, first = await post(h, http, SECRET, offer())
        status, second = await post(h, http, SECRET, offer())
        assert status == 201
        asked = h.control.stream_keys_asked[-1]
        assert (asked.key_hash, asked.role) == (key_hash(SECRET).hex(), "publish")
        assert await delete(h, http, SECRET, first) == 200  # the replaced session has already ended
        assert "camera" in h.node.rooms["r"].participants
        assert await delete(h, http, "stream_another", second) == 401
        assert await delete(h, http, SECRET, second) == 200
        assert not h.node.rooms
        assert (await post(h, http, SECRET, offer()))[0] == 201


async def test_what_control_says_of_a_key_is_what_its_holder_hears(tmp_path: Path) -> None:
    async with host(tmp_path) as h, aiohttp.ClientSession() as http:
        refusals = {"bad_token": 401, "foreign_token": 401, "not_permitted": 403, "full": 503, "ended": 403}
        for code, status in refusals.items():
            h.control.stream_keys = lambda use, code=code: StreamKeyAdmission(code=code, detail="Because.")
            assert await post(h, http, SECRET, offer(), "/whep") == (status, code)
        h.control.stream_keys = None
        assert await post(h, http, SECRET, offer(), "/whep") == (503, "not_ready")
        assert h.control.stream_keys_asked[0].role == "watch"
