"""Data channels of the SDK with a second peer in the page: framing, both channels, limits and refusals."""

import pytest
from playwright.async_api import Page

from sfu.api import signaling
from sfu.formats.data_message import DataMessage, parse, serialize
from tests.web.conftest import until
from tests.web.scripted import ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

OFFER = """
async () => {
  window.far = new RTCPeerConnection();
  window.received = [];
  window.sfu = [0, 1].map((id) => far.createDataChannel(`${id}`, {negotiated: true, id, ordered: id === 0}));
  for (const channel of sfu) {
    channel.binaryType = 'arraybuffer';
    channel.onmessage = ({data}) => received.push([channel.id, [...new Uint8Array(data)]]);
  }
  window.said = [];
  room.addEventListener('data', ({detail}) => said.push({...detail, payload: [...detail.payload]}));
  // As an sfu's, the offer has every address, and the answer needs none: it is found where checks come from.
  const gathered = new Promise((done) => far.addEventListener('icecandidate', ({candidate}) => candidate || done()));
  await far.setLocalDescription();
  await gathered;
  return far.localDescription.sdp;
}
"""
ACCEPT = "(sdp) => far.setRemoteDescription({type: 'answer', sdp})"


async def connected(page: Page, server: ScriptedServer) -> None:
    await page.evaluate("() => { void newRoom().join(); }")
    session = await server.session()
    await session.welcome(tracks=[])
    await until(page, "room.participant === 'p1'")
    await session.send(signaling.Offer(peer="subscribe", sdp=await page.evaluate(OFFER), id=1))
    answer = await session.next_of(signaling.Answer)
    await page.evaluate(ACCEPT, answer.sdp)


async def test_messages_go_and_come_as_they_are_described(page: Page, server: ScriptedServer) -> None:
    await connected(page, server)
    await page.evaluate("room.publishData('grüß', {to: ['p2', 'p3'], topic: 'hand'})")
    await until(page, "sfu[1].readyState === 'open'")
    assert await page.evaluate("room.publishData(new Uint8Array([1, 2, 3]), {reliable: false})") is True
    await until(page, "received.length === 2")
    sent = {channel: parse(bytes(data)) for channel, data in await page.evaluate("received")}
    assert sent == {0: DataMessage("grüß".encode(), "hand", ("p2", "p3")), 1: DataMessage(b"\x01\x02\x03")}
    for message in (DataMessage(b"hi", "t", ("p2",)), DataMessage(b"", "", ("p2", "p3"))):
        await page.evaluate("data => sfu[0].send(new Uint8Array(data))", list(serialize(message)))
    await page.evaluate("sfu[1].send(new Uint8Array([9, 9]))")
    await page.evaluate("data => sfu[1].send(new Uint8Array(data))", list(serialize(DataMessage(b"yo", "", ("p3",)))))
    await until(page, "said.length === 2")
    assert sorted(await page.evaluate("said"), key=str) == [
        {"participant": "p2", "topic": "t", "payload": list(b"hi"), "reliable": True},
        {"participant": "p3", "topic": "", "payload": list(b"yo"), "reliable": False},
    ]


async def test_what_cannot_be_sent_is_refused(page: Page, server: ScriptedServer) -> None:
    await connected(page, server)
    refused = "(make) => eval(make).then(() => '', (error) => error.name)"
    assert await page.evaluate(refused, "room.publishData(new Uint8Array(65534))") == "RangeError"
    assert await page.evaluate(refused, "room.publishData('', {topic: 'x'.repeat(256)})") == "RangeError"
    await page.evaluate("room.grants = {...room.grants, data: false}")
    assert await page.evaluate(refused, "room.publishData('x')") == "Error"
