/** A small bar chart of days. Pointer and arrow keys read single days; the figures are also in a table beside it. */
import { h, setText } from './dom.js';

const NAMESPACE = 'http://www.w3.org/2000/svg';
const HEIGHT = 100;
const STEP = 10;
const GAP = 2;
/** The least height of a bar whose value is not 0. */
const LEAST = 2;

/**
 * @typedef {{label: string, value: number|null}} Entry a day in words, and its value; null if it is not known
 * @param {{title: string, entries: Entry[], say: (value: number) => string, total: string, unknown: string}} chart `say`: a value in
 *   words; `total`: the whole period in words; `unknown`: no value in words
 * @returns {HTMLElement} a figure
 */
export function barChart({ title, entries, say, total, unknown }) {
  const most = Math.max(1, ...entries.map(({ value }) => value ?? 0));
  const bars = entries.map(({ value }, index) => bar(index, value ?? 0, most));
  const readout = h('output', { class: 'chart-readout' }, total);
  const svg = svgElement('svg', { viewBox: `0 0 ${entries.length * STEP} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true', class: 'chart-bars' });
  svg.append(...bars);
  let chosen = -1;

  /** @param {number} index of a day, -1 for none */
  function choose(index) {
    bars[chosen]?.removeAttribute('data-chosen');
    chosen = index;
    bars[chosen]?.setAttribute('data-chosen', '');
    const entry = entries[chosen];
    setText(readout, entry ? `${entry.label}: ${entry.value === null ? unknown : say(entry.value)}` : total);
    if (entry) plot.setAttribute('aria-valuetext', readout.textContent ?? '');
    plot.setAttribute('aria-valuenow', String(Math.max(0, chosen)));
  }

  const plot = h('div', {
    class: 'chart-plot', role: 'slider', tabindex: 0, 'aria-label': title, 'aria-valuemin': 0, 'aria-valuemax': entries.length - 1, 'aria-valuenow': entries.length - 1, 'aria-valuetext': total,
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      const next = stepOf(event.key, chosen, entries.length);
      if (next === null) return;
      event.preventDefault();
      choose(next);
    },
    onpointermove: (/** @type {PointerEvent} */ event) => {
      const { left, width } = plot.getBoundingClientRect();
      choose(Math.min(entries.length - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * entries.length))));
    },
    onpointerleave: () => choose(-1),
    onblur: () => choose(-1),
  }, svg);
  return h('figure', { class: 'chart card' },
    h('figcaption', {}, h('strong', {}, title), readout),
    h('div', { class: 'chart-body' }, h('span', { class: 'chart-most', 'aria-hidden': 'true' }, say(most)), plot),
    h('div', { class: 'chart-ends', 'aria-hidden': 'true' }, h('span', {}, entries[0]?.label ?? ''), h('span', {}, entries.at(-1)?.label ?? '')));
}

/** @param {string} key @param {number} chosen @param {number} count @returns {number|null} the next day, or null for other keys */
function stepOf(key, chosen, count) {
  const last = count - 1;
  switch (key) {
    case 'ArrowLeft': return chosen < 0 ? last : Math.max(0, chosen - 1);
    case 'ArrowRight': return chosen < 0 ? 0 : Math.min(last, chosen + 1);
    case 'Home': return 0;
    case 'End': return last;
    default: return null;
  }
}

/** @param {number} index @param {number} value @param {number} most */
function bar(index, value, most) {
  const tall = value > 0 ? Math.max(LEAST, (value / most) * HEIGHT) : 0;
  return svgElement('rect', { x: String(index * STEP + GAP / 2), y: String(HEIGHT - tall), width: String(STEP - GAP), height: String(tall) });
}

/** @param {string} name @param {Record<string, string>} attributes */
function svgElement(name, attributes) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  return element;
}
