import { enter } from './enter.js';

/** Collects final captions, with the speakers' names, until there are `lines` of them. */
export async function run({ lines = Infinity, said = () => {}, ...where }) {
  const room = await enter(where, 'caption-reader');
  const found = [];
  const enough = new AbortController();
  await new Promise((resolve) => {
    room.addEventListener('caption', ({ detail: { participant, text, final } }) => {
      if (!final) return;
      const line = `${room.roster.participants.get(participant)?.name ?? '?'}: ${text}`;
      found.push(line);
      said(line);
      if (found.length < lines) return;
      enough.abort(); // more may come while we leave
      resolve();
    }, { signal: enough.signal });
  });
  room.leave();
  return found;
}
