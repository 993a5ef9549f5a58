/** A timeline of speech with one line per person, the playback position and the chapters; a click seeks to its time. */
import { h } from './dom.js';
import { duration, hue } from './format.js';
import { t } from './words.js';

/** Pieces closer than this are joined, so that a line does not fall into splinters. */
const CLOSE_MS = 1_500;
const MOST_LANES = 8;

/**
 * @param {any[]} captions @param {any[]} tracks @param {{start_ms: number, title: string}[]} chapters @param {number} length ms
 * @param {(ms: number) => void} seek @returns {{element: HTMLElement, follow: (ms: number) => void}}
 */
export function speakerTimeline(captions, tracks, chapters, length, seek) {
  const now = h('span', { class: 'timeline-now' });
  const lanes = lanesOf(captions, tracks).map(({ id, name, parts }) => {
    const lane = h('div', { class: 'lane' }, ...parts.map(([start, end]) => {
      const part = h('span', { class: 'lane-part' });
      part.style.left = `${(start / length) * 100}%`;
      part.style.width = `${(Math.max(end - start, length / 400) / length) * 100}%`;
      return part;
    }));
    lane.style.setProperty('--hue', String(hue(id)));
    return h('li', {}, h('span', { class: 'lane-name' }, name), lane);
  });
  const marks = chapters.map(({ start_ms: start, title }) => {
    const mark = h('span', { class: 'timeline-mark', title });
    mark.style.left = `${(start / length) * 100}%`;
    return mark;
  });
  const field = h('div', {
    class: 'timeline-field', 'aria-hidden': 'true',
    onclick: (/** @type {MouseEvent} */ event) => {
      const { left, width } = field.getBoundingClientRect();
      seek(Math.max(0, Math.min(1, (event.clientX - left) / width)) * length);
    },
  }, ...marks, now);
  const element = h('section', { class: 'timeline', 'aria-label': t('player.timeline') },
    h('div', { class: 'lanes-box' }, h('ul', { class: 'lanes' }, ...lanes), field),
    chapters.length > 0 && h('ol', { class: 'chapters', 'aria-label': t('player.chapters') }, ...chapters.map(({ start_ms: start, title }) => h('li', {},
      h('button', { type: 'button', class: 'chapter', onclick: () => seek(start) }, h('span', { class: 'spoken-time' }, duration(start)), title)))));
  return { element, follow: (ms) => (now.style.left = `${Math.min(1, ms / length) * 100}%`) };
}

/**
 * The lanes, from captions or, without captions, from the tracks. @param {any[]} captions @param {any[]} tracks
 * @returns {{id: string, name: string, parts: [number, number][]}[]}
 */
function lanesOf(captions, tracks) {
  const said = captions.length > 0
    ? captions.map((line) => ({ id: line.participant, name: line.name, start: line.start_ms, end: line.end_ms }))
    : tracks.filter(({ source }) => source === 'microphone' || source === 'camera')
      .map((track) => ({ id: track.participant, name: track.name, start: track.start_ms, end: track.start_ms + track.duration_ms }))
      .sort((one, other) => one.start - other.start);
  /** @type {Map<string, {id: string, name: string, total: number, parts: [number, number][]}>} */
  const lanes = new Map();
  for (const { id, name, start, end } of said) {
    const lane = lanes.get(id) ?? { id, name, total: 0, parts: /** @type {[number, number][]} */ ([]) };
    lanes.set(id, lane);
    lane.total += end - start;
    const last = lane.parts.at(-1);
    if (last && start - last[1] < CLOSE_MS) last[1] = Math.max(last[1], end);
    else lane.parts.push([start, end]);
  }
  return [...lanes.values()].sort((one, other) => other.total - one.total).slice(0, MOST_LANES);
}
