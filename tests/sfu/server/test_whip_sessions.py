"""WHIP and WHEP sessions after their first answer: PATCH, links, ICE restart in a browser, layers, events."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from sfu.api import signaling
from sfu.api.join_token import Grants
from sfu.machines.ice.lite import generate_credentials
from sfu.machines.repair.stream_progress import StreamProgress
from sfu.peers.layers.layer_options import Layer
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.subscribe.downtrack import DownTrack
from sfu.rooms.node import Membership
from tests.sfu.rooms.stage import AUDIO, SIMULCAST, VIDEO, VIDEO_SSRC, description
from tests.sfu.server.harness import Host, client, host
from tests.sfu.server.test_call_chromium import join, stage
from tests.support.chromium import open_page
from tests.support.waiting import eventually

FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
JSON = {"Content-Type": "application/json"}
LINKS = ('<stun:stun.example.org>; rel="ice-server"',)


class Session:
    """A session of WHIP or WHEP that was made by an offer without anybody behind it."""

    def __init__(self, host: Host, http: aiohttp.ClientSession, headers: dict[str, str], answer: Any, sdp: str) -> None:
        self._http = http
        self._host = host
        self._headers = headers
        self.links = answer.headers.getall("Link", [])
        self.etag = answer.headers["ETag"]
        self.location = answer.headers["Location"]
        self.sdp = sdp

    async def call(self, method: str, path: str = "", body: str = "", **headers: str) -> tuple[int, str, Any]:
        sent = self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
        url = self._host.http + self.location + path
        async with self._http.request(method, url, data=body, headers=sent) as answer:
            return answer.status, await answer.text(), answer.headers


@contextlib.asynccontextmanager
async def session(host: Host, role: str, offer: str, **claims: Any) -> AsyncIterator[Session]:
    async with aiohttp.ClientSession() as http:
        token = host.control.token("r", f"{role}-user", **claims)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        async with http.post(f"{host.http}/{role}", data=offer, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            sdp = await answer.text()
        yield Session(host, http, {"Authorization": f"Bearer {token}"}, answer, sdp)


def frag(ufrag: str = "", pwd: str = "", candidate: bool = True) -> str:
    lines = [f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{pwd}"] if ufrag else []
    lines += ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0"]
    if candidate:
        lines.append("a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host")
    return "\r\n".join(lines) + "\r\n"


async def test_patch(tmp_path: Path) -> None:
    local = generate_credentials()
    offer = description(local, [AUDIO, VIDEO + VIDEO_SSRC], "actpass")
    async with host(tmp_path) as h, session(h, "whip", offer) as whip:
        trickle = frag(local.ufrag, local.pwd)
        assert (await whip.call("PATCH", body=trickle))[0] == 415
        assert (await whip.call("PATCH", body=trickle, **FRAGMENT))[0] == 428
        assert (await whip.call("PATCH", body=trickle, If_Match='"other"', **FRAGMENT))[0] == 412
        assert (await whip.call("PATCH", body="nonsense", If_Match=whip.etag, **FRAGMENT))[0] == 400
        assert (await whip.call("PATCH", body=trickle, If_Match=whip.etag, **FRAGMENT))[0] == 204
        assert (await whip.call("PATCH", body=frag(), If_Match=whip.etag, **FRAGMENT))[0] == 204
        hidden = frag().replace("192.0.2.1", "0b6c0f5e-8f3c-4c8e-9f5e-2f1f6f1d3c11.local")
        assert (await whip.call("PATCH", body=hidden, If_Match=whip.etag, **FRAGMENT))[0] == 204
        assert (await whip.call("PATCH", body=trickle, If_Match="*", **FRAGMENT))[0] == 204
        again = generate_credentials()
        restart = frag(again.ufrag, again.pwd)
        assert (await whip.call("PATCH", body=restart, If_Match=whip.etag, **FRAGMENT))[0] == 412
        status, text, headers = await whip.call("PATCH", body=restart, If_Match="*", **FRAGMENT)
        assert status == 200
        assert headers["Content-Type"].startswith("application/trickle-ice-sdpfrag")
        assert headers["ETag"] != whip.etag
        fresh = re.search(r"a=ice-ufrag:(\S+)", text)[1]
        before = re.search(r"a=ice-ufrag:(\S+)", whip.sdp)[1]
        assert fresh != before
        assert "a=candidate:" in text
        # Checks find the peer under both names until the new session is nominated.
        number = h.node.rooms["r"].participants["whip-user"].publish.peer.number
        for ufrag in (fresh, before):
            owner = h.node.peers.by_ufrag(ufrag)
            assert owner is not None
            assert owner.media.peer.number == number
        assert (await whip.call("PATCH", body=trickle, If_Match=whip.etag, **FRAGMENT))[0] == 412
        assert (await whip.call("PATCH", body=restart, If_Match=headers["ETag"], **FRAGMENT))[0] == 204
        status, _, headers = await whip.call("OPTIONS")
        assert (status, headers["Accept-Patch"]) == (204, FRAGMENT["Content-Type"])
        assert (await whip.call("DELETE"))[0] == 200
        assert (await whip.call("PATCH", body=trickle, If_Match="*", **FRAGMENT))[0] == 404


async def test_a_session_may_be_ended_again_and_after_its_peer_is_gone(tmp_path: Path) -> None:
    offer = description(generate_credentials(), [AUDIO], "actpass")
    async with host(tmp_path) as h, session(h, "whip", offer) as whip:
        status, _, headers = await whip.call("DELETE", Authorization="")
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await whip.call("DELETE", Authorization="Bearer another"))[0] == 401
        room = h.node.rooms["r"]
        h.node.leave(Membership(room, room.participants["whip-user"]), "left", h.server.driver.now())
        for _ in range(2):
            status, _, headers = await whip.call("DELETE")
            assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")


async def test_what_a_resource_does_not_take_is_refused_with_what_it_does(tmp_path: Path) -> None:
    offer = description(generate_credentials(), [receive(AUDIO)], "actpass")
    async with host(tmp_path) as h, session(h, "whep", offer) as whep:
        for path, allowed in (
            ("", "PATCH, DELETE"),
            ("/layer", "GET, POST"),
            ("/events", "POST"),
            ("/events/x", "GET"),
        ):
            for method in {"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"} - set(allowed.split(", ")):
                status, _, headers = await whep.call(method, path)
                assert (status, headers["Allow"]) == (405, f"{allowed}, OPTIONS"), (method, path)
                assert headers["Access-Control-Allow-Origin"] == "*"


async def test_links_name_ice_servers_and_what_a_player_may_do(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        offer = description(generate_credentials(), [AUDIO], "actpass")
        async with session(h, "whip", offer, ice=LINKS) as whip:
            assert whip.links == list(LINKS)
        player = description(generate_credentials(), [receive(AUDIO), receive(VIDEO)], "actpass")
        async with session(h, "whep", player, ice=LINKS) as whep:
            assert whep.links[0] == LINKS[0]
            assert f'<{whep.location}/layer>; rel="urn:ietf:params:whep:ext:core:layer"' in whep.links


def receive(section: str) -> str:
    kept = [line for line in section.split("\r\n") if not line.startswith("a=ssrc")]
    return "\r\n".join(kept).replace("a=sendonly", "a=recvonly")


@contextlib.asynccontextmanager
async def played(tmp_path: Path) -> AsyncIterator[tuple[Host, Session, UpTrack, DownTrack]]:
    """A track of two encodings, and a player that shows it."""
    publisher = description(generate_credentials(), [VIDEO + SIMULCAST], "actpass")
    player = description(generate_credentials(), [receive(VIDEO), receive(VIDEO)], "actpass")
    async with host(tmp_path) as h, session(h, "whip", publisher), session(h, "whep", player) as whep:
        room = h.node.rooms["r"]
        uptrack = next(iter(room.uptracks.values()))
        for number, rid in enumerate("qf"):
            room.participants["whip-user"].publish._registry.register(uptrack, 3000 + number, rid, None)
        downtrack = next(iter(room.participants["whep-user"].whep_player.subscribe_peer.downtracks.values()))
        yield h, whep, uptrack, downtrack


async def test_layers_within_a_stream(tmp_path: Path) -> None:
    async with played(tmp_path) as (h, whep, uptrack, downtrack):
        lower = '{"spatialLayerId": 1, "maxSpatialLayerId": 0, "temporalLayerId": 2}'
        assert (await whep.call("POST", "/layer", lower, **JSON))[0] == 200
        assert downtrack.wanted_layer == (0, 2)
        assert (await whep.call("POST", "/layer", '{"spatialLayerId": -1}', **JSON))[0] == 400
        uptrack.layers = Layer(2, 2)
        came = StreamProgress()
        came.take(0, h.server.driver.now(), 0)
        uptrack.streams[0].progress = came
        _, text, _ = await whep.call("GET", "/layer")
        told = json.loads(text)["0"]["layers"]
        assert [(entry["encodingId"], entry["spatialLayerId"]) for entry in told] == [
            ("q", 0),
            ("q", 0),
            ("q", 1),
            ("q", 1),
        ]
        assert [entry["temporalLayerId"] for entry in told] == [0, 1, 0, 1]


async def test_layers_and_events(tmp_path: Path) -> None:
    async with played(tmp_path) as (h, whep, _, downtrack):
        status, text, _ = await whep.call("GET", "/layer")
        assert status == 200
        assert [entry["id"] for entry in json.loads(text)["0"]["inactive"]] == ["q", "f"]
        assert (await whep.call("POST", "/layer", '{"encodingId": "q"}', **JSON))[0] == 200
        assert downtrack.wanted_rid == "q"
        assert (await whep.call("POST", "/layer", '{"mediaId": "0"}', **JSON))[0] == 200
        assert downtrack.wanted_rid is None
        assert (await whep.call("POST", "/layer", '{"encodingId": "x"}', **JSON))[0] == 404
        assert (await whep.call("POST", "/layer", '{"mediaId": "9"}', **JSON))[0] == 404
        assert (await whep.call("POST", "/layer", '{"mediaId": "1", "encodingId": "q"}', **JSON))[0] == 404
        assert (await whep.call("POST", "/layer", "{", **JSON))[0] == 400
        status, _, headers = await whep.call("POST", "/events", '["layers", "active"]', **JSON)
        assert status == 201
        async with aiohttp.ClientSession() as http, http.get(h.http + headers["Location"]) as events:
            assert events.headers["Content-Type"] == "text/event-stream"
            heard = b""
            while heard.count(b"event: ") < 2:
                heard += await asyncio.wait_for(events.content.readany(), 30)
            assert b'event: active\ndata: {"media":["0"]}' in heard
            assert b"event: layers" in heard
            assert (await whep.call("DELETE"))[0] == 200
            await asyncio.wait_for(events.content.read(), 30)  # the session's end is the stream's
        async with aiohttp.ClientSession() as http, http.get(h.http + headers["Location"][:-1]) as answer:
            assert answer.status == 404


async def test_a_sessions_events_are_read_by_a_few_at_once(tmp_path: Path) -> None:
    async with played(tmp_path) as (h, whep, _, _), aiohttp.ClientSession() as http:
        _, _, headers = await whep.call("POST", "/events", "[]", **JSON)
        async with contextlib.AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(http.get(h.http + headers["Location"])) for _ in range(5)]
            assert [stream.status for stream in streams] == [200, 200, 200, 200, 429]

        async def is_free() -> bool:
            async with http.get(h.http + headers["Location"]) as stream:
                return stream.status == 200

        await eventually(is_free)


async def test_a_whip_track_that_a_subscriber_cannot_decode_is_said_to_be(tmp_path: Path) -> None:
    h264 = VIDEO.replace("VP8/90000", "H264/90000")
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        publisher = description(generate_credentials(), [h264 + VIDEO_SSRC], "actpass")
        async with session(h, "whip", publisher, grants=Grants()):
            await eventually(lambda: h.node.rooms["r"].uptracks)
            ours = generate_credentials()
            for _ in range(2):
                await _answer_vp8_only(ann, ours)
            told = await ann.until(signaling.TrackState)
            assert (told.paused, told.reason) == (True, "codec_unsupported")


async def _answer_vp8_only(ann: Any, ours: Any) -> None:
    """Answer the next offer as a browser without H264 would."""
    answered = getattr(ann, "answered", 0)
    offer = await ann.until(signaling.Offer, lambda message: message.id > answered)
    ann.answered = offer.id
    lines = []
    for section in offer.sdp.split("\r\nm=")[1:]:
        text = ("m=" + section).strip("\r\n").split("\r\n")
        kept = [line for line in text if line.startswith(("m=", "a=rtpmap", "a=fmtp", "a=rtcp-fb", "a=extmap:"))]
        if text[0].startswith("m=video"):
            numbers = [re.match(r"a=rtpmap:(\d+) VP8", line) for line in kept]
            number = next(found[1] for found in numbers if found)
            kept = [f"m=video 9 UDP/TLS/RTP/SAVPF {number}", *(line for line in kept if f":{number} " in line)]
        lines.append("\r\n".join(kept) + "\r\na=recvonly\r\n")
    await ann.send(signaling.Answer(peer="subscribe", sdp=description(ours, lines, "active"), id=offer.id))


async def test_a_browser_restarts_ice_and_goes_on_playing(tmp_path: Path) -> None:
    async with stage(tmp_path) as (h, browser, url):
        ann = await join(browser, url, h, "ann")
        await ann.evaluate("publishTracks(['camera'])")
        player = await open_page(browser, url)
        await player.evaluate(PLAY, [f"{h.http}/whep", h.control.token("r", "wall")])
        await player.wait_for_function("() => played() > 20", polling=100)
        before = h.node.rooms["r"].participants["wall"].whep_player.subscribe_peer.peer.ufrags
        assert await player.evaluate("restart()") == 200
        peer = h.node.rooms["r"].participants["wall"].whep_player.subscribe_peer.peer
        await eventually(lambda: len(peer.ufrags) == 1 and peer.ufrags != before, 30)
        frames = await player.evaluate("played()")
        await player.wait_for_function(f"() => played() > {frames + 20}", polling=100)
        assert await player.evaluate("peer.iceConnectionState") in {"connected", "completed"}


PLAY = """async ([url, token]) => {
  const peer = window.peer = new RTCPeerConnection();
  peer.addTransceiver('video', {direction: 'recvonly'});
  let frames = 0;
  window.played = () => frames;
  setInterval(async () => (await peer.getStats()).forEach((r) => { frames = r.framesDecoded ?? frames; }), 100);
  await peer.setLocalDescription();
  const headers = {Authorization: `Bearer ${token}`, 'Content-Type': 'application/sdp'};
  const response = await fetch(url, {method: 'POST', headers, body: peer.localDescription.sdp});
  const answer = await response.text();
  await peer.setRemoteDescription({type: 'answer', sdp: answer});
  const resource = new URL(response.headers.get('Location'), url);
  window.restart = async () => {
    peer.restartIce();
    await peer.setLocalDescription();
    const lines = peer.localDescription.sdp.split('\\r\\n');
    const wanted = ['m=', 'a=mid', 'a=ice-ufrag', 'a=ice-pwd', 'a=candidate'];
    const body = lines.filter((line) => wanted.some((start) => line.startsWith(start))).join('\\r\\n') + '\\r\\n';
    const patched = await fetch(resource, {
      method: 'PATCH', body,
      headers: {...headers, 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': '*'},
    });
    const fragment = await patched.text();
    let sdp = answer;
    for (const name of ['ice-ufrag', 'ice-pwd']) {
      const value = fragment.match(new RegExp(`a=${name}:(\\\\S+)`))[1];
      sdp = sdp.replaceAll(new RegExp(`a=${name}:\\\\S+`, 'g'), `a=${name}:${value}`);
    }
    await peer.setRemoteDescription({type: 'answer', sdp});
    return patched.status;
  };
}"""


async def test_a_player_may_be_sent_one_codec_only(tmp_path: Path) -> None:
    both = VIDEO.replace(" 120 121", " 120 121 122") + "a=rtpmap:122 H264/90000\r\na=fmtp:122 packetization-mode=1\r\n"
    player = description(generate_credentials(), [both.replace("sendonly", "recvonly")], "actpass")
    async with host(tmp_path) as h:
        for query, taken in (("", ["VP8", "H264"]), ("?codec=H264", ["H264"])):
            async with session(h, f"whep{query}", player) as playing:
                names = re.findall(r"a=rtpmap:\d+ (\w+)/", playing.sdp)
                assert [name for name in names if name != "rtx"] == taken
        headers = {"Authorization": f"Bearer {h.control.token('r', 'wall')}", "Content-Type": "application/sdp"}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{h.http}/whep?codec=opus", data=player, headers=headers) as answer,
        ):
            assert answer.status == 400
