/** Computes how a grid of tiles fills an area. */

/** Bounds for cropping: no wider than this, and no narrower than a square (3:5 on a portrait screen). */
const WIDEST = 16 / 9;
const NARROWEST = 1;
const NARROWEST_UPRIGHT = 0.6;

/**
 * @param {number} count tiles @param {number} width of the area, px @param {number} height px @param {number} gap px
 * @returns {{columns: number, rows: number, tileWidth: number, tileHeight: number}} the layout with the largest tiles
 */
export function bestGrid(count, width, height, gap = 8) {
  const narrowest = height > width ? NARROWEST_UPRIGHT : NARROWEST;
  let best = { columns: 1, rows: Math.max(1, count), tileWidth: 0, tileHeight: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.ceil(count / columns) || 1;
    const cellWidth = (width - gap * (columns - 1)) / columns;
    const cellHeight = (height - gap * (rows - 1)) / rows;
    if (cellWidth <= 0 || cellHeight <= 0) continue;
    const tileWidth = Math.min(cellWidth, cellHeight * WIDEST);
    const tileHeight = Math.min(cellHeight, tileWidth / narrowest);
    if (tileWidth * tileHeight > best.tileWidth * best.tileHeight) {
      best = { columns, rows, tileWidth: Math.floor(tileWidth), tileHeight: Math.floor(tileHeight) };
    }
  }
  return best;
}

/**
 * Chooses the participants to show in `limit` tiles. Tiles stay in place; a new speaker replaces the participant who
 * has been silent longest.
 * @param {string[]} present in order of joining @param {string[]} shown at the moment @param {Map<string, number>} spoke the time each last spoke
 * @param {number} limit
 * @returns {string[]}
 */
export function chooseShown(present, shown, spoke, limit) {
  const here = new Set(present);
  const kept = shown.filter((id) => here.has(id)).slice(0, limit);
  const waiting = present.filter((id) => !kept.includes(id)).sort((a, b) => (spoke.get(b) ?? 0) - (spoke.get(a) ?? 0));
  kept.push(...waiting.splice(0, Math.max(0, limit - kept.length)));
  for (const id of waiting) {
    const silent = kept.reduce((a, b) => ((spoke.get(b) ?? 0) < (spoke.get(a) ?? 0) ? b : a), kept[0]);
    if (silent === undefined || (spoke.get(id) ?? 0) <= (spoke.get(silent) ?? 0)) break;
    kept[kept.indexOf(silent)] = id;
  }
  return kept;
}
