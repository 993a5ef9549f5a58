import { enter } from './enter.js';

const TOPIC = 'strokes';

/**
 * Draws a line, and collects what others draw, until there are `wanted` strokes. Newcomers ask for the strokes so far.
 * A page would draw each stroke on a canvas.
 */
export async function run({ identity, wanted = Infinity, ...where }) {
  const room = await enter(where, identity);
  const strokes = new Map();
  const send = (stroke, options = {}) => room.publishData(JSON.stringify(stroke), { topic: TOPIC, ...options });
  const complete = new Promise((resolve) => {
    room.addEventListener('data', ({ detail: { topic, payload, participant } }) => {
      if (topic === `${TOPIC}?`) for (const stroke of strokes.values()) void send(stroke, { to: [participant] });
      else if (topic === TOPIC) {
        const stroke = JSON.parse(new TextDecoder().decode(payload));
        strokes.set(stroke.id, stroke);
      }
      if (strokes.size >= wanted) resolve();
    });
  });
  const mine = { id: crypto.randomUUID(), points: [[0.1, 0.1], [0.9, 0.9]], colour: '#0a7' };
  strokes.set(mine.id, mine);
  while (!(await send(mine))) await new Promise((resolve) => setTimeout(resolve, 50)); // until the channel is open
  await room.publishData('', { topic: `${TOPIC}?` });
  await complete;
  setTimeout(() => room.leave(), 1000); // newcomers may still ask for the strokes
  return [...strokes.values()];
}
