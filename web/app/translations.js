/** Translations of a meeting's captions to the reader's language, by the server's language model. */
import { choice } from './fields.js';
import { h } from './dom.js';
import { rest } from './session.js';
import { language, t } from './words.js';

/** Lines that come within this time are translated together. */
const TOGETHER_MS = 50;
const MOST = 20;

/** Asks for the translation of lines, several at once. */
export class Translations {
  language;
  /** True after a failure, until a line is translated again. */
  failed = false;
  #meeting;
  #signal;
  #ended;
  /** @type {Map<string, (text: string) => void>} */
  #wanted = new Map();
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /**
   * @param {string} target the language to translate to @param {() => string} meeting
   * @param {{signal: AbortSignal, ended: () => void}} options `ended` is called after each request
   */
  constructor(target, meeting, { signal, ended }) {
    this.language = target;
    this.#meeting = meeting;
    this.#signal = signal;
    this.#ended = ended;
    signal.addEventListener('abort', () => clearTimeout(this.#timer));
  }

  /** Ask for a line; `arrived` gets its translation, if there is one. @param {{utterance: string, lang?: string}} line @param {(text: string) => void} arrived */
  want({ utterance, lang = '' }, arrived) {
    if (this.#signal.aborted || sameLanguage(lang, this.language)) return;
    this.#wanted.set(utterance, arrived);
    this.#timer ??= setTimeout(() => void this.#ask(), TOGETHER_MS);
  }

  async #ask() {
    this.#timer = undefined;
    const asked = new Map([...this.#wanted].slice(0, MOST));
    for (const utterance of asked.keys()) this.#wanted.delete(utterance);
    if (this.#wanted.size > 0) this.#timer = setTimeout(() => void this.#ask(), TOGETHER_MS);
    try {
      const path = `/meetings/${encodeURIComponent(this.#meeting())}/captions/translate`;
      const { captions } = await rest.post(path, { language: this.language, utterances: [...asked.keys()] });
      this.failed = false;
      if (this.#signal.aborted) return;
      for (const { utterance, text } of captions) asked.get(utterance)?.(text);
    } catch {
      this.failed = true;
    }
    if (!this.#signal.aborted) this.#ended();
  }
}

/**
 * A list of languages to translate captions to. @returns {HTMLElement}
 * @param {string[]} offered @param {string} chosen '' for none @param {(language: string) => void} onchange
 */
export function languageChoice(offered, chosen, onchange) {
  const names = new Intl.DisplayNames([language()], { type: 'language' });
  const own = new Intl.Locale(language()).maximize();
  const isOwn = (/** @type {string} */ tag) => {
    const { language: spoken, script } = new Intl.Locale(tag).maximize();
    return spoken === own.language && script === own.script;
  };
  const named = offered.map((tag) => ({ tag, name: names.of(tag) ?? tag }))
    .sort((one, other) => Number(isOwn(other.tag)) - Number(isOwn(one.tag)) || one.name.localeCompare(other.name, language()));
  const { element, select } = choice(t('translation.to'), 'globe', onchange);
  select.name = 'translation';
  select.append(h('option', { value: '' }, t('translation.off')), ...named.map(({ tag, name }) => h('option', { value: tag }, name)));
  select.value = offered.includes(chosen) ? chosen : '';
  return element;
}

/** Whether two tags name one language, whatever its script and region. @param {string} one @param {string} other */
function sameLanguage(one, other) {
  return one.split('-')[0].toLowerCase() === other.split('-')[0].toLowerCase();
}
