"""A page with bare RTCPeerConnections that speaks the signaling protocol, for browser tests of the server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

PAGE = """<!doctype html><meta charset="utf-8"><title>call</title><body><script>
const state = window.state = {messages: [], tracks: {}, slots: [], errors: [], info: null, joinedAt: 0};
let socket, publish, subscribe, offerId = 0, waiting = {};
const send = (message) => socket.send(JSON.stringify(message));

async function subscribeOffer(message) {
  const ufrag = /a=ice-ufrag:(.*)/.exec(message.sdp)[1];
  if (!subscribe || subscribe.ufrag !== ufrag) {
    subscribe?.close();
    subscribe = new RTCPeerConnection();
    subscribe.ufrag = ufrag;
    subscribe.ontrack = ({transceiver, track}) => {
      state.tracks[transceiver.mid] = track;
      const element = document.createElement(track.kind);
      element.autoplay = true; element.muted = track.kind === 'video';
      element.srcObject = new MediaStream([track]);
      document.body.append(element);
    };
  }
  await subscribe.setRemoteDescription({type: 'offer', sdp: message.sdp});
  await subscribe.setLocalDescription();
  send({kind: 'answer', peer: 'subscribe', id: message.id, sdp: subscribe.localDescription.sdp});
}

window.join = (url, credential) => new Promise((resolve) => {
  socket = new WebSocket(url);
  socket.onopen = () => send({kind: 'join', v: 1, ...credential});
  socket.onclose = (event) => { state.closed = event.code; };
  socket.onmessage = async ({data}) => {
    const message = JSON.parse(data);
    state.messages.push(message);
    if (message.kind === 'room-info') { state.info = message; resolve(message); }
    if (message.kind === 'error') { state.errors.push(message); }
    if (message.kind === 'slots') state.slots = message.slots;
    if (message.kind === 'offer') await subscribeOffer(message);
    if (message.kind === 'answer') {
      await publish.setRemoteDescription({type: 'answer', sdp: message.sdp});
      waiting[message.id]?.(message.tracks);
    }
  };
});

window.publishTracks = async (sources, options = {}) => {
  publish ??= new RTCPeerConnection();
  // Chromium sends no more than two layers of a small picture.
  const video = options.simulcast ? {width: 1280, height: 720} : {width: 640, height: 360};
  const media = options.stream ?? await navigator.mediaDevices.getUserMedia({audio: true, video});
  const transceivers = {};
  for (const source of sources) {
    const audio = source === 'microphone' || source === 'screen-audio';
    const track = (audio ? media.getAudioTracks() : media.getVideoTracks())[0].clone();
    const transceiver = publish.addTransceiver(track, {
      direction: 'sendonly', streams: [media],
      sendEncodings: !audio && options.simulcast
        ? [{rid: 'q', scaleResolutionDownBy: 4}, {rid: 'h', scaleResolutionDownBy: 2}, {rid: 'f'}] : undefined});
    if (!audio && options.codec) {
      const codecs = RTCRtpReceiver.getCapabilities('video').codecs;
      transceiver.setCodecPreferences(codecs.filter((c) => c.mimeType === options.codec || c.mimeType.endsWith('rtx')));
    }
    transceivers[source] = transceiver;
  }
  await publish.setLocalDescription();
  offerId += 1;
  const answered = new Promise((resolve) => { waiting[offerId] = resolve; });
  send({kind: 'offer', peer: 'publish', id: offerId, sdp: publish.localDescription.sdp,
        tracks: Object.entries(transceivers).map(([source, t]) => ({mid: t.mid, source}))});
  const tracks = await answered;
  return Object.fromEntries(Object.entries(transceivers).map(
    ([source, t]) => [source, tracks.find((entry) => entry.mid === t.mid).track]));
};

window.tell = send;
window.drop = () => { socket.close(4000); };
window.received = async () => {
  const byTrack = {};
  if (!subscribe) return byTrack;
  const mids = Object.fromEntries(state.slots.filter((s) => s.track).map((s) => [s.mid, s.track]));
  (await subscribe.getStats()).forEach((r) => {
    if (r.type === 'inbound-rtp' && mids[r.mid]) byTrack[mids[r.mid]] =
      {kind: r.kind, packets: r.packetsReceived, frames: r.framesDecoded ?? 0, width: r.frameWidth ?? 0,
       lost: r.packetsLost, audio: r.totalAudioEnergy ?? 0, nacks: r.nackCount, plis: r.pliCount};
  });
  return byTrack;
};
</script>"""


@asynccontextmanager
async def page_server(address: str = "127.0.0.1", text: str = PAGE) -> AsyncIterator[str]:
    """Serve the page and yield its URL; on loopback it names localhost, where browsers allow camera access."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, 0).start()
    host = "localhost" if address == "127.0.0.1" else address
    try:
        yield f"http://{host}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()
