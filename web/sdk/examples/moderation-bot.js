import { Rest, RestError } from '@parley/sdk';
import { enter } from './enter.js';

const FORBIDDEN = ['spam', 'casino'];
const WARNINGS = 1;

/** Delete a message. The room gets a message before the database does, so the deletion is retried while it is not found. */
async function withdraw(rest, path, attempts = 50) {
  try {
    await rest.delete(path);
  } catch (error) {
    if (!(error instanceof RestError) || error.status !== 404 || attempts <= 1) throw error;
    await new Promise((resolve) => setTimeout(resolve, 100));
    await withdraw(rest, path, attempts - 1);
  }
}

/** Deletes forbidden messages, warns once, then mutes; ends once `mutes` participants are muted. */
export async function run({ mutes = Infinity, ...where }) {
  const rest = new Rest(where.server, { bearer: where.key });
  const room = await enter(where, 'moderator', { role: 'co-host' });
  const offences = new Map();
  const muted = [];
  await new Promise((resolve, reject) => {
    const judge = async ({ id, participant, text }) => {
      if (!FORBIDDEN.some((word) => text.toLowerCase().split(/\s+/).includes(word))) return;
      const count = (offences.get(participant) ?? 0) + 1;
      offences.set(participant, count);
      await withdraw(rest, `/meetings/${where.meeting}/messages/${id}`);
      if (count <= WARNINGS) {
        room.chat('Please keep to the subject.', participant);
        return;
      }
      await rest.muteParticipant(where.meeting, participant, ['microphone', 'camera']);
      muted.push(participant);
      if (muted.length >= mutes) resolve();
    };
    room.addEventListener('chat', ({ detail }) => judge(detail).catch(reject));
  });
  room.leave();
  return muted;
}
