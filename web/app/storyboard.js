/** The storyboard of a film: the picture of a time, from one image with all pictures and a WebVTT file with their times. */
import { h } from './dom.js';

const CUE = /^(\d+):(\d\d):(\d\d)\.(\d{3}) --> \S+\n(.+)#xywh=(\d+),(\d+),(\d+),(\d+)$/gmu;

/** @typedef {{start: number, name: string, x: number, y: number, width: number, height: number}} Cue `start` in ms */

/** The cues of a storyboard's WebVTT file, by time. @param {string} text @returns {Cue[]} */
export function cuesOf(text) {
  return [...text.replaceAll('\r\n', '\n').matchAll(CUE)].map(([, hours, minutes, seconds, ms, name, x, y, width, height]) => ({
    start: ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000 + Number(ms),
    name, x: Number(x), y: Number(y), width: Number(width), height: Number(height),
  }));
}

/** @param {Cue[]} cues @param {number} ms @returns {Cue|undefined} */
export function cueAt(cues, ms) {
  return cues.findLast(({ start }) => start <= ms) ?? cues[0];
}

/**
 * A picture that is loaded when it is first wanted; without a storyboard it stays hidden.
 * @param {string} files the address of the recording's files @param {string|null|undefined} name of the WebVTT file
 * @returns {{element: HTMLElement, show: (ms: number) => void}}
 */
export function storyboard(files, name) {
  const element = h('span', { class: 'storyboard', hidden: true });
  /** @type {Cue[]|null} null until they are loaded */
  let cues = null;
  let wanted = 0;

  async function load() {
    cues = [];
    const answer = await fetch(files + name).catch(() => null);
    // A film of which the storyboard is missing is watched without one.
    if (answer?.ok) cues = cuesOf(await answer.text());
    draw();
  }

  function draw() {
    const cue = cueAt(cues ?? [], wanted);
    element.hidden = !cue;
    if (!cue) return;
    element.style.width = `${cue.width}px`;
    element.style.height = `${cue.height}px`;
    element.style.backgroundImage = `url("${files}${encodeURIComponent(cue.name)}")`;
    element.style.backgroundPosition = `${-cue.x}px ${-cue.y}px`;
  }

  return {
    element,
    show: (ms) => {
      wanted = ms;
      if (cues) draw();
      else if (name) void load();
    },
  };
}
