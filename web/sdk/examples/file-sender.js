import { enter } from './enter.js';

const TOPIC = 'file';
const PIECE = 48 * 1024;

const digest = async (bytes) => [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].join(',');

/** Sends a file: first its description, then its pieces in order. */
export async function send({ file, ...where }) {
  const room = await enter(where, 'file-sender');
  const bytes = new Uint8Array(await file.arrayBuffer());
  const deliver = async (payload) => {
    // False means that the channel is not open yet, or full.
    while (!(await room.publishData(payload, { topic: TOPIC }))) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  await deliver(JSON.stringify({ name: file.name, size: bytes.length, digest: await digest(bytes) }));
  for (let at = 0; at < bytes.length; at += PIECE) await deliver(bytes.subarray(at, at + PIECE));
  return room; // leave once the receivers have it
}

/** Receives the next file; `ready` is called once the room is joined. */
export async function receive({ ready = () => {}, ...where }) {
  const room = await enter(where, 'file-receiver');
  const pieces = [];
  let about = null;
  let size = 0;
  const complete = new Promise((resolve) => {
    room.addEventListener('data', ({ detail: { topic, payload } }) => {
      if (topic !== TOPIC) return;
      if (about === null) about = JSON.parse(new TextDecoder().decode(payload));
      else size += pieces.push(payload) && payload.length;
      if (size >= about.size) resolve();
    });
  });
  ready();
  await complete;
  const file = new File(pieces, about.name);
  if ((await digest(await file.arrayBuffer())) !== about.digest) throw new Error('the file is incomplete or damaged');
  room.leave();
  return file;
}
