/** Built-in backgrounds, drawn rather than loaded. */

/** @typedef {CanvasRenderingContext2D|OffscreenCanvasRenderingContext2D} Context */

/** Draw a gradient from top to bottom. @param {Context} context @param {number} height @param {string[]} colours */
function fall(context, height, colours) {
  const gradient = context.createLinearGradient(0, 0, 0, height);
  colours.forEach((colour, index) => gradient.addColorStop(index / (colours.length - 1), colour));
  return gradient;
}

/** Draw a soft light. @param {Context} context @param {number} x @param {number} y @param {number} radius @param {string} colour */
function glow(context, x, y, radius, colour) {
  const gradient = context.createRadialGradient(x, y, 0, x, y, radius);
  gradient.addColorStop(0, colour);
  gradient.addColorStop(1, 'rgb(0 0 0 / 0)');
  context.fillStyle = gradient;
  context.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
}

/** Draw a line of hills. @param {Context} context @param {number} w @param {number} h @param {number} base @param {number} swing @param {string} colour */
function hills(context, w, h, base, swing, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(0, h);
  for (let x = 0; x <= w; x += w / 64) context.lineTo(x, h * (base + swing * Math.sin(5.1 * (x / w) + 20 * base) + 0.4 * swing * Math.sin(13 * (x / w) + 7 * base)));
  context.lineTo(w, h);
  context.fill();
}

/** @type {Record<string, (context: Context, w: number, h: number) => void>} */
const PAINTERS = {
  studio: (context, w, h) => {
    context.fillStyle = fall(context, h, ['#59616e', '#3c434e', '#2a2f38']);
    context.fillRect(0, 0, w, h);
    glow(context, 0.3 * w, 0.3 * h, 0.6 * w, 'rgb(255 244 228 / 0.28)');
  },
  dusk: (context, w, h) => {
    context.fillStyle = fall(context, h, ['#1d2b53', '#5b4b8a', '#c96f6a', '#f2b077']);
    context.fillRect(0, 0, w, h);
    glow(context, 0.7 * w, 0.78 * h, 0.35 * w, 'rgb(255 226 170 / 0.6)');
    hills(context, w, h, 0.8, 0.04, '#3a2f52');
    hills(context, w, h, 0.9, 0.03, '#231d38');
  },
  hills: (context, w, h) => {
    context.fillStyle = fall(context, h, ['#9cc9e8', '#dcecf2', '#f3efe2']);
    context.fillRect(0, 0, w, h);
    hills(context, w, h, 0.55, 0.06, '#a9c4b4');
    hills(context, w, h, 0.68, 0.05, '#7aa38a');
    hills(context, w, h, 0.83, 0.04, '#4d7d64');
  },
};

export const BACKDROPS = Object.keys(PAINTERS);

/** @param {string} name @param {Context} context @param {number} width @param {number} height */
export function paint(name, context, width, height) {
  (PAINTERS[name] ?? PAINTERS.studio)(context, width, height);
}
