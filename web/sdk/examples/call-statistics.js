import { StatisticsReader } from '@parley/sdk';
import { enter, next } from './enter.js';

/** Returns `readings` of what is received and sent, one every `seconds`. */
export async function run({ readings = 60, seconds = 1, ...where }) {
  const room = await enter(where, 'statistics');
  if (![...room.roster.tracks.values()].some((track) => track.mediaTrack)) await next(room, 'track-media', (track) => track.mediaTrack);
  const reader = new StatisticsReader(room);
  const found = [];
  for (let count = 0; count < readings; count += 1) {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    found.push(await reader.read());
  }
  room.leave();
  return found;
}
