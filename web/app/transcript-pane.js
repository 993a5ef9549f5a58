/** The transcript of a recording: it follows the video, seeks in it, can be searched, and is translated as it is read. */
import { h, setText } from './dom.js';
import { iconButton } from './fields.js';
import { duration } from './format.js';
import { icon } from './icons.js';
import { preferences, remember } from './preferences.js';
import { Translations, languageChoice } from './translations.js';
import { t } from './words.js';

/** After the user scrolls, the pane does not follow the video for this long. */
const LEFT_ALONE_MS = 5_000;
/** Lines that could not be translated are tried again after this time, if they are in view then. */
const AGAIN_MS = 10_000;
const FORMATS = ['txt', 'vtt', 'srt'];

/** @typedef {{caption: any, element: HTMLElement, text: HTMLElement, shown: string}} Line `shown` is its text, translated or not */

/**
 * @param {any[]} captions in chronological order @param {(ms: number) => void} seek
 * @param {{edit?: (caption: any, changed: (text: string) => void) => void, downloads?: string, translate?: {languages: string[], meeting: string, signal: AbortSignal}}} [more]
 *   `edit` opens a line for editing, `downloads` is the address of the transcript as a file, `translate` tells to what the server translates
 * @returns {{element: HTMLElement, follow: (ms: number) => void}}
 */
export function transcriptPane(captions, seek, { edit, downloads, translate } = {}) {
  const lines = captions.map((caption) => {
    const text = h('span', { lang: caption.lang || null }, ...spokenWords(caption));
    const element = h('li', {}, h('button', { type: 'button', class: 'spoken-line', onclick: (/** @type {MouseEvent} */ { target }) => seek(startOf(/** @type {HTMLElement} */ (target)) ?? caption.start_ms) },
      h('span', { class: 'spoken-time' }, duration(caption.start_ms)), h('strong', {}, caption.name), text),
    edit && iconButton('edit', t('transcript.edit-of', { time: duration(caption.start_ms) }), { class: 'spoken-edit', onclick: () => edit(caption, (changed) => {
      caption.text = changed;
      caption.words = [];
      original(line);
      reading?.again(line);
    }) }));
    /** @type {Line} */
    const line = { caption, element, text, shown: caption.text };
    return line;
  });
  const list = h('ol', { class: 'transcript-lines', tabindex: 0, 'aria-label': t('player.transcript') }, ...lines.map(({ element }) => element));
  const found = h('p', { class: 'hint', role: 'status' });
  const words = h('input', { class: 'input', type: 'search', maxlength: 200, autocomplete: 'off', 'aria-label': t('player.search'), placeholder: t('player.search') });
  /** @type {typeof lines} */
  let matches = [];
  let at = -1;
  let alone = 0;
  /** @type {typeof lines[number]|null} */
  let current = null;
  /** Translation to the chosen language, null without one. @type {{again: (line: Line) => void, end: () => void}|null} */
  let reading = null;
  const trouble = h('p', { class: 'hint', role: 'status' });

  /** @param {Line} line @param {string} shown @param {string} lang */
  function say(line, shown, lang) {
    line.shown = shown;
    line.text.lang = lang;
    line.text.title = shown === line.caption.text ? '' : line.caption.text;
    line.text.replaceChildren(...contentOf(line, words.value.trim().toLowerCase()));
  }

  /** @param {Line} line */
  function original(line) {
    say(line, line.caption.text, line.caption.lang ?? '');
  }

  /** Translate each line when it comes into view. @param {string} language '' for none */
  function read(language) {
    remember({ translation: language });
    reading?.end();
    reading = null;
    trouble.textContent = '';
    lines.forEach(original);
    if (!translate || language === '') return;
    const closed = new AbortController();
    /** @type {Set<Line>} */
    const asked = new Set();
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    let timer;
    const translations = new Translations(language, () => translate.meeting, {
      signal: closed.signal,
      ended: () => {
        setText(trouble, translations.failed ? t('translation.failed') : '');
        if (translations.failed) timer ??= setTimeout(retry, AGAIN_MS);
      },
    });
    const byElement = new Map(lines.map((line) => [/** @type {Element} */ (line.element), line]));
    const observer = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        const line = byElement.get(target);
        if (!isIntersecting || !line) continue;
        observer.unobserve(target);
        const { text } = line.caption;
        asked.add(line);
        translations.want(line.caption, (translated) => {
          asked.delete(line);
          if (line.caption.text === text) say(line, translated, language);
        });
      }
    }, { root: list });
    const retry = () => {
      timer = undefined;
      asked.forEach(again);
      asked.clear();
    };
    const end = () => {
      clearTimeout(timer);
      closed.abort();
      observer.disconnect();
    };
    translate.signal.addEventListener('abort', end, { signal: closed.signal });
    const again = (/** @type {Line} */ { element }) => observer.observe(element);
    lines.forEach(again);
    reading = { again, end };
  }

  words.addEventListener('input', () => {
    const text = words.value.trim().toLowerCase();
    matches = text ? lines.filter(({ caption, shown }) => `${caption.name} ${shown} ${caption.text}`.toLowerCase().includes(text)) : [];
    at = -1;
    for (const line of lines) {
      line.text.replaceChildren(...contentOf(line, text));
      line.element.hidden = text !== '' && !matches.includes(line);
    }
    found.textContent = text ? t('player.found', { count: matches.length }) : '';
  });
  // Enter jumps to the next match.
  words.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== 'Enter' || matches.length === 0) return;
    event.preventDefault();
    at = (at + (event.shiftKey ? matches.length - 1 : 1)) % matches.length;
    seek(matches[at].caption.start_ms);
  });
  for (const type of ['wheel', 'touchmove', 'keydown']) list.addEventListener(type, () => (alone = performance.now() + LEFT_ALONE_MS), { passive: true });

  /** @param {number} ms */
  function follow(ms) {
    const now = lines.findLast(({ caption }) => caption.start_ms <= ms + 200) ?? null;
    if (now) showWord(now.text, ms);
    if (now === current) return;
    if (current) showWord(current.text, -1);
    current?.element.removeAttribute('aria-current');
    current = now;
    now?.element.setAttribute('aria-current', 'true');
    if (now && !now.element.hidden && performance.now() > alone) list.scrollTo({ top: now.element.offsetTop - list.clientHeight / 3, behavior: 'smooth' });
  }

  const element = h('section', { class: 'transcript card' },
    h('h2', {}, t('player.transcript')),
    lines.length > 0 ? h('div', { class: 'search' }, icon('search'), words) : h('p', { class: 'hint' }, t('player.no-transcript')),
    lines.length > 0 && translate && translate.languages.length > 0 && languageChoice(translate.languages, preferences().translation, read),
    trouble, found, lines.length > 0 && list,
    downloads && lines.length > 0 && h('p', { class: 'hint' }, t('transcript.download'), ...FORMATS.flatMap((one) => [' ', h('a', { class: 'link', href: `${downloads}?format=${one}`, download: true, target: '_self' }, one.toUpperCase())])));
  if (translate?.languages.includes(preferences().translation)) read(preferences().translation);
  return { element, follow };
}

/** What a line shows: its matches in a search, else its words, or its translation. @param {Line} line @param {string} wanted @returns {(Node|string)[]} */
function contentOf({ caption, shown }, wanted) {
  if (wanted) return marked(shown, wanted);
  return shown === caption.text ? spokenWords(caption) : [shown];
}

/** The words of a line, each with its time, or the whole text if the times are unknown. @param {any} caption @returns {(Node|string)[]} */
function spokenWords({ text, words }) {
  if (words.length === 0) return [text];
  return words.flatMap((/** @type {any} */ word) => {
    const said = word.text.trimStart();
    return [word.text.slice(0, -said.length), h('span', { 'data-start': word.start_ms, 'data-end': word.end_ms }, said)];
  });
}

/** The time of the word that was clicked, if it has one. @param {HTMLElement} target @returns {number|undefined} */
function startOf(target) {
  return target.dataset.start === undefined ? undefined : Number(target.dataset.start);
}

/** Mark the word of a line that is spoken at this time. @param {HTMLElement} text @param {number} ms */
function showWord(text, ms) {
  for (const word of /** @type {NodeListOf<HTMLElement>} */ (text.querySelectorAll('[data-start]'))) word.classList.toggle('spoken-now', ms >= Number(word.dataset.start) && ms < Number(word.dataset.end));
}

/** @param {string} text @param {string} wanted the search text, in lower case @returns {(Node|string)[]} */
function marked(text, wanted) {
  if (!wanted) return [text];
  const parts = [];
  let from = 0;
  for (let place = text.toLowerCase().indexOf(wanted); place >= 0; place = text.toLowerCase().indexOf(wanted, from)) {
    parts.push(text.slice(from, place), h('mark', {}, text.slice(place, place + wanted.length)));
    from = place + wanted.length;
  }
  return [...parts, text.slice(from)];
}
