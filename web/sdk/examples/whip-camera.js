import { Rest } from '@parley/sdk';
import { picture, tone } from './tone-bot.js';

/** Sends a camera and a microphone by WHIP (RFC 9725) until `signal` is aborted, with a stream key made for it. */
export async function run({ server, key, meeting, signal, connected = () => {} }) {
  const rest = new Rest(server, { bearer: key });
  const made = await rest.post(`/meetings/${meeting}/stream-keys`, { name: 'Camera 1', role: 'publish' });
  const peer = new RTCPeerConnection();
  for (const track of [tone(), picture()]) peer.addTransceiver(track, { direction: 'sendonly' });
  await peer.setLocalDescription();
  const headers = { Authorization: `Bearer ${made.secret}`, 'Content-Type': 'application/sdp' };
  const url = rest.resolve(made.url);
  const answer = await fetch(url, { method: 'POST', headers, body: peer.localDescription.sdp });
  if (answer.status !== 201) throw new Error(`refused: ${answer.status} ${await answer.text()}`);
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
  connected(peer);
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  await fetch(new URL(answer.headers.get('Location'), url), { method: 'DELETE', headers });
  peer.close();
  await rest.delete(`/meetings/${meeting}/stream-keys/${made.id}`);
}
