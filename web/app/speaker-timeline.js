/**
 * The timeline of a film: who speaks when, one line per person, with the playback position and the chapters. It is a slider: a click,
 * a drag or the arrow keys seek, and the picture and the time of the place are shown above it.
 */
import { h, setText } from './dom.js';
import { duration, hue } from './format.js';
import { storyboard } from './storyboard.js';
import { t } from './words.js';

/** Pieces closer than this are joined, so that a line does not fall into splinters. */
const CLOSE_MS = 1_500;
const MOST_LANES = 8;
/** How far the keys seek, and how long the preview stays after one. */
const STEP_MS = 5_000;
const PAGE_MS = 30_000;
const LINGER_MS = 2_000;

/**
 * @param {{captions: any[], tracks: any[], chapters: {start_ms: number, title: string}[], length: number, files: string, pictures: string|null|undefined,
 *   now: () => number, seek: (ms: number) => void, move: ((ms: number) => void)|null}} film `length` and `now` in ms; `pictures` is the name of its
 *   storyboard in `files`; `seek` also plays, `move` does not; without a video it is null
 * @returns {{element: HTMLElement, follow: (ms: number) => void}}
 */
export function speakerTimeline({ captions, tracks, chapters, length, files, pictures, now, seek, move }) {
  const position = h('span', { class: 'timeline-now' });
  const found = lanesOf(captions, tracks);
  const lanes = (found.length > 0 ? found : [{ id: '', name: '', parts: [] }]).map(({ id, name, parts }) => {
    const lane = h('div', { class: 'lane' }, ...parts.map(([start, end]) => {
      const part = h('span', { class: 'lane-part' });
      part.style.left = `${(start / length) * 100}%`;
      part.style.width = `${(Math.max(end - start, length / 400) / length) * 100}%`;
      return part;
    }));
    lane.style.setProperty('--hue', String(hue(id)));
    return h('li', {}, name && h('span', { class: 'lane-name' }, name), lane);
  });
  const marks = chapters.map(({ start_ms: start }) => {
    const mark = h('span', { class: 'timeline-mark' });
    mark.style.left = `${(start / length) * 100}%`;
    return mark;
  });
  const board = storyboard(files, pictures);
  const time = h('span', { class: 'timeline-time' });
  const chapter = h('span', { class: 'timeline-chapter' });
  const preview = h('div', { class: 'timeline-preview', hidden: true, 'aria-hidden': 'true' }, board.element, time, chapter);
  const target = h('span', { class: 'timeline-target', hidden: true });
  const field = h('div', {
    class: 'timeline-field', role: 'slider', tabindex: 0, 'aria-label': t('player.seek'), 'aria-valuemin': 0, 'aria-valuemax': Math.floor(length / 1000),
    onpointerdown: (/** @type {PointerEvent} */ event) => {
      if (event.button !== 0) return;
      field.setPointerCapture(event.pointerId);
      show(placeOf(event));
    },
    onpointermove: (/** @type {PointerEvent} */ event) => show(placeOf(event)),
    onpointerup: (/** @type {PointerEvent} */ event) => {
      if (event.button !== 0) return;
      move?.(placeOf(event));
      if (event.pointerType !== 'mouse') hide();
    },
    onpointerleave: hide,
    onpointercancel: hide,
    onblur: hide,
    onkeydown: onKey,
  }, ...marks, position, target, preview);
  let timer = 0;

  /** @param {PointerEvent} event @returns {number} ms */
  function placeOf({ clientX }) {
    const { left, width } = field.getBoundingClientRect();
    return Math.max(0, Math.min(1, (clientX - left) / width)) * length;
  }

  /** Show the picture and the time of a place. @param {number} ms */
  function show(ms) {
    clearTimeout(timer);
    board.show(ms);
    setText(time, duration(ms));
    setText(chapter, chapters.findLast(({ start_ms: start }) => start <= ms)?.title ?? '');
    chapter.hidden = chapter.textContent === '';
    preview.hidden = target.hidden = false;
    preview.style.setProperty('--at', target.style.left = `${(ms / length) * 100}%`);
  }

  function hide() {
    clearTimeout(timer);
    preview.hidden = target.hidden = true;
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    const step = { ArrowLeft: -STEP_MS, ArrowDown: -STEP_MS, ArrowRight: STEP_MS, ArrowUp: STEP_MS, PageDown: -PAGE_MS, PageUp: PAGE_MS, Home: -length, End: length }[event.key];
    if (event.key === 'Escape') hide();
    if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const ms = Math.max(0, Math.min(length, now() + step));
    move?.(ms);
    follow(ms);
    show(ms);
    timer = setTimeout(hide, LINGER_MS);
  }

  /** @param {number} ms the playback position */
  function follow(ms) {
    position.style.left = `${Math.min(1, ms / length) * 100}%`;
    field.setAttribute('aria-valuenow', String(Math.floor(Math.min(ms, length) / 1000)));
    field.setAttribute('aria-valuetext', t('player.place', { time: duration(ms), length: duration(length) }));
  }

  follow(0);
  const element = h('section', { class: found.length > 0 ? 'timeline' : 'timeline timeline-bare', 'aria-label': t('player.timeline'), hidden: !move && found.length === 0 },
    h('div', { class: 'lanes-box' }, h('ul', { class: 'lanes', 'aria-hidden': found.length === 0 && 'true' }, ...lanes), move && field),
    chapters.length > 0 && h('ol', { class: 'chapters', 'aria-label': t('player.chapters') }, ...chapters.map(({ start_ms: start, title }) => h('li', {},
      h('button', { type: 'button', class: 'chapter', onclick: () => seek(start) }, h('span', { class: 'spoken-time' }, duration(start)), title)))));
  return { element, follow };
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
