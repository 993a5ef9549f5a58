/** Items of the whiteboard: checks those received from others, draws them, and finds those under the eraser. */

/** The size of the board, in its own units. */
export const SIZE = { width: 1600, height: 900 };
const TEXT_SIZE = 32;
const MOST_NUMBERS = 2_000;
const LONGEST_TEXT = 300;
const NEAR = 14;
const KINDS = new Set(['pen', 'line', 'box', 'text']);

/** @typedef {{kind: string, colour: string, width: number, points: number[], text: string, z: number}} Item */

/** @param {any} value received from anybody @returns {Item|null} null if it is invalid */
export function itemOf(value) {
  if (!value || typeof value !== 'object' || !KINDS.has(value.kind) || !Array.isArray(value.points)) return null;
  const points = value.points.slice(0, MOST_NUMBERS);
  const least = value.kind === 'line' || value.kind === 'box' ? 4 : 2;
  if (points.length < least || points.some((/** @type {unknown} */ one) => typeof one !== 'number' || !Number.isFinite(one))) return null;
  return {
    kind: value.kind,
    colour: /^#[0-9a-f]{6}$/.test(value.colour) ? value.colour : '#1f2430',
    width: Math.min(40, Math.max(1, Number(value.width) || 4)),
    points,
    text: String(value.text ?? '').slice(0, LONGEST_TEXT),
    z: Number(value.z) || 0,
  };
}

/** @param {CanvasRenderingContext2D} context @param {Item} item */
export function drawItem(context, { kind, colour, width, points, text }) {
  const [x, y, toX, toY] = points;
  Object.assign(context, { strokeStyle: colour, fillStyle: colour, lineWidth: width, lineCap: 'round', lineJoin: 'round' });
  if (kind === 'text') {
    context.font = `${TEXT_SIZE}px system-ui, sans-serif`;
    context.textBaseline = 'middle';
    context.fillText(text, x, y, SIZE.width - x);
    return;
  }
  if (kind === 'box') return context.strokeRect(Math.min(x, toX), Math.min(y, toY), Math.abs(toX - x), Math.abs(toY - y));
  context.beginPath();
  context.moveTo(x, y);
  if (points.length === 2) context.lineTo(x, y);
  for (let at = 2; at + 1 < points.length; at += 2) context.lineTo(points[at], points[at + 1]);
  context.stroke();
}

/** @param {Item} item @param {number} x @param {number} y @returns {boolean} whether it is under the eraser */
export function isHit({ kind, points, text }, x, y) {
  if (kind === 'text') {
    const width = [...text].reduce((sum, letter) => sum + (letter > '\u2e80' ? TEXT_SIZE : 0.55 * TEXT_SIZE), 0);
    return x > points[0] - NEAR && x < points[0] + width + NEAR && Math.abs(y - points[1]) < TEXT_SIZE / 2 + NEAR;
  }
  const [left, top, right, bottom] = points;
  const path = kind === 'box' ? [left, top, right, top, right, bottom, left, bottom, left, top] : points;
  if (path.length === 2) return Math.hypot(x - left, y - top) < NEAR;
  for (let at = 0; at + 3 < path.length; at += 2) if (distance(x, y, path[at], path[at + 1], path[at + 2], path[at + 3]) < NEAR) return true;
  return false;
}

/** The distance of a point from a line. @param {number} x @param {number} y @param {number} fromX @param {number} fromY @param {number} toX @param {number} toY */
function distance(x, y, fromX, fromY, toX, toY) {
  const squared = (toX - fromX) ** 2 + (toY - fromY) ** 2;
  const share = squared === 0 ? 0 : Math.min(1, Math.max(0, ((x - fromX) * (toX - fromX) + (y - fromY) * (toY - fromY)) / squared));
  return Math.hypot(x - fromX - share * (toX - fromX), y - fromY - share * (toY - fromY));
}
