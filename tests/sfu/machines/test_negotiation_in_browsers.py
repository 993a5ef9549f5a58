"""Real browsers accept our answers and offers: simulcast, re-offers, recycled m-lines, slots, WHEP, ICE restart."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from sfu.formats import sdp
from sfu.formats.codecs import Codec
from sfu.machines.negotiation.agreement import DtlsRole, LocalTransport
from sfu.machines.negotiation.playback import PlaybackNegotiation, PlaybackStream
from sfu.machines.negotiation.publish import PublishNegotiation, PublishPolicy
from sfu.machines.negotiation.subscribe import SubscribeNegotiation
from tests.support.bidi import firefox
from tests.support.chromium import chromium

Evaluate = Callable[[str], Awaitable]

LOCAL = LocalTransport(
    ufrag="localufr",
    pwd="localpassword0123456789abcdef",
    fingerprints=(sdp.Fingerprint("sha-256", ":".join(["AB"] * 32)),),
    candidates=(sdp.Candidate("1", 1, "udp", 2130706431, "127.0.0.1", 9, "host"),),
)
PUBLISH = """(async () => {
  window.peer = new RTCPeerConnection();
  peer.addTransceiver('audio', {direction: 'sendonly'});
  peer.addTransceiver('video', {direction: 'sendonly', sendEncodings: [
    {rid: 'q', scaleResolutionDownBy: 4}, {rid: 'h', scaleResolutionDownBy: 2}, {rid: 'f'}]});
  peer.createDataChannel('refused');
  await peer.setLocalDescription();
  return peer.localDescription.sdp;
})()"""
OFFER_AGAIN = "(async () => { %s; await peer.setLocalDescription(); return peer.localDescription.sdp; })()"
DIRECTIONS = "peer.getTransceivers().filter(t => t.mid !== null).map(t => [t.mid, t.currentDirection])"


@contextlib.asynccontextmanager
async def page(browser: str) -> AsyncIterator[Evaluate]:
    if browser == "firefox":
        async with firefox() as running:
            yield running.evaluate
    else:
        async with chromium() as running:
            yield (await running.browser.new_page()).evaluate


async def take_answer(evaluate: Evaluate, text: str, peer: str = "peer") -> None:
    description = json.dumps({"type": "answer", "sdp": text})
    state = await evaluate(
        f"(async () => {{ await {peer}.setRemoteDescription({description}); return {peer}.signalingState; }})()"
    )
    assert state == "stable"


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
async def test_a_browser_and_the_negotiations_agree(browser: str) -> None:
    async with page(browser) as evaluate:
        await publish(evaluate)
        await subscribe(evaluate, browser)
        await play(evaluate)


async def publish(evaluate: Evaluate) -> None:
    negotiation = PublishNegotiation(123456789)

    async def round_trip(offer: str, policy: PublishPolicy) -> list[list[str]]:
        await take_answer(evaluate, negotiation.answer(offer, LOCAL, policy).sdp)
        return await evaluate(DIRECTIONS)

    assert await round_trip(await evaluate(PUBLISH), PublishPolicy()) == [["0", "sendonly"], ["1", "sendonly"]]
    codec = "peer.getTransceivers()[1].sender.getParameters().codecs[0].mimeType"
    encodings = "peer.getTransceivers()[1].sender.getParameters().encodings.map(e => e.rid)"
    assert await evaluate(codec) == "video/VP8"
    assert await evaluate(encodings) == ["q", "h", "f"]
    change = "peer.addTransceiver('video', {direction: 'sendonly'}); peer.getTransceivers()[0].direction = 'inactive'"
    directions = await round_trip(await evaluate(OFFER_AGAIN % change), PublishPolicy(preferred=Codec.VP9))
    assert directions == [["0", "inactive"], ["1", "sendonly"], ["3", "sendonly"]]
    assert await evaluate(codec) == "video/VP9"
    await round_trip(await evaluate(OFFER_AGAIN % "peer.getTransceivers()[1].stop()"), PublishPolicy())
    added = "for (const _ of [1, 2]) peer.addTransceiver('video', {direction: 'sendonly'})"
    offer = await evaluate(OFFER_AGAIN % added)  # one of them recycles the stopped m-line
    directions = await round_trip(offer, PublishPolicy(max_video=2))
    assert sorted(directions) == [["0", "inactive"], ["3", "sendonly"], ["4", "sendonly"]]
    assert not negotiation.restarts_ice(offer)
    offer = await evaluate(OFFER_AGAIN % "peer.restartIce()")
    assert negotiation.restarts_ice(offer)
    await round_trip(offer, PublishPolicy(max_video=2))


async def subscribe(evaluate: Evaluate, browser: str) -> None:
    negotiation = SubscribeNegotiation(987654321)
    for index in range(3):
        negotiation.add_slot("audio", 1000 + index)
    await evaluate("(async () => { window.subscriber = new RTCPeerConnection(); })()")
    for count in (1, 4):
        for index in range(count):
            negotiation.add_slot("video", 2000 + 100 * count + 2 * index, 2001 + 100 * count + 2 * index)
        description = json.dumps({"type": "offer", "sdp": negotiation.offer(LOCAL)})
        answer = await evaluate(f"""(async () => {{
          await subscriber.setRemoteDescription({description});
          await subscriber.setLocalDescription();
          return subscriber.localDescription.sdp;
        }})()""")
        result = negotiation.apply(answer)
        assert len(result.media) == len(negotiation.slots)
        assert all(media.accepted and media.direction is sdp.Direction.SENDONLY for media in result.media)
        assert result.remote.role is DtlsRole.SERVER
        codecs = {payload.codec for payload in result.media[3].payloads.values()}
        assert codecs >= {Codec.VP8, Codec.VP9, Codec.AV1, Codec.RTX}
        assert (Codec.H264 in codecs) is (browser == "chromium")


async def play(evaluate: Evaluate) -> None:
    offer = await evaluate("""(async () => {
      window.player = new RTCPeerConnection();
      for (const kind of ['audio', 'video', 'video']) player.addTransceiver(kind, {direction: 'recvonly'});
      await player.setLocalDescription();
      return player.localDescription.sdp;
    })()""")
    streams = (PlaybackStream("audio", "stage", 10), PlaybackStream("video", "stage", 20, 21))
    await take_answer(evaluate, PlaybackNegotiation(5).answer(offer, LOCAL, streams).sdp, "player")
    directions = await evaluate("player.getTransceivers().map(t => t.currentDirection)")
    assert directions == ["recvonly", "recvonly", "inactive"]
