/** `/admin/settings`: the settings of the server that change while it runs. Each is saved by itself. */
import { h, setText } from './dom.js';
import { iconButton, onTyped } from './fields.js';
import { dateTime, sentenceOf, size } from './format.js';
import { icon } from './icons.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { known, t } from './words.js';

const GB = 1e9;
/** The size of a logo, in pixels: as large as it is ever shown, on a screen with two pixels for each. */
const PICTURE_SIDE = 128;
/** What operators change most often comes first; groups that are not listed come last. */
const ORDER = ['accounts-and-sign-in', 'meetings-and-media', 'retention-and-quotas', 'appearance-of-the-page', 'limits-on-requests', 'logs-and-traces'];

/**
 * @typedef {{name: string, group: string, description: string, type: 'boolean'|'integer'|'list'|'string'|'picture', choices: string[],
 *   minimum: number|null, value: any, default: any, source: string, origin: string|null, locked: boolean,
 *   changed_at: string|null, changed_by: string|null}} Setting
 */

/** @param {AbortSignal} signal @returns {HTMLElement[]} */
export function serverSettings(signal) {
  const input = h('input', { type: 'search', class: 'input', placeholder: t('settings.search'), 'aria-label': t('settings.search') });
  const changedOnly = h('input', { type: 'checkbox', onchange: () => filter() });
  const none = h('p', { class: 'hint', role: 'status', hidden: true }, t('settings.none'));
  const list = h('div', { class: 'server-settings' });
  /** @type {Map<string, Row>} */
  const rows = new Map();
  /** @type {HTMLElement[]} */
  const groups = [];

  const filter = () => {
    const words = input.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows.values()) row.element.hidden = !words.every((/** @type {string} */ word) => row.text.includes(word)) || (changedOnly.checked && row.setting.source === 'default');
    for (const group of groups) group.hidden = !group.querySelector('.server-setting:not([hidden])');
    none.hidden = groups.some((group) => !group.hidden);
  };

  /** @param {{settings: Setting[]}} answer */
  const show = ({ settings }) => {
    const place = (/** @type {Setting} */ { group }) => ORDER.indexOf(group) + 1 || ORDER.length + 1;
    for (const setting of [...settings].sort((one, other) => place(one) - place(other))) {
      const row = rows.get(setting.name);
      if (row) {
        row.show(setting);
        continue;
      }
      const made = new Row(setting, save);
      rows.set(setting.name, made);
      groupOf(setting.group).append(made.element);
    }
  };

  /** @param {string} name @returns {HTMLElement} */
  const groupOf = (name) => {
    const found = groups.find((one) => one.dataset.group === name);
    if (found) return found;
    const group = h('section', { class: 'card', 'data-group': name }, h('h2', {}, known(`settings.group-${name}`) ? t(`settings.group-${name}`) : name));
    groups.push(group);
    list.append(group);
    return group;
  };

  /** @param {string} name @param {any} value null restores the default */
  async function save(name, value) {
    show(await rest.patch('/admin/settings', { settings: { [name]: value } }));
    toast(t('settings.saved', { name: nameOf(name) }));
  }

  onTyped(input, signal, filter);
  void rest.get('/admin/settings').then((answer) => {
    show(answer);
    filter();
  }).catch((error) => toast(sentenceOf(error), 'problem'));
  return [
    h('p', { class: 'hint' }, t('settings.about')),
    h('div', { class: 'admin-tools' }, input, h('label', { class: 'check' }, changedOnly, h('span', {}, t('settings.changed-only')))),
    none, list,
  ];
}

/** @param {string} name @returns {string} */
function nameOf(name) {
  return known(`setting.${name}`) ? t(`setting.${name}`) : name;
}

class Row {
  element;
  /** What the search looks through. */
  text;
  /** @type {Setting} */
  setting;
  #save;
  #field;
  #state = h('p', { class: 'hint' });
  #problem = h('p', { class: 'problem', role: 'alert', hidden: true });
  #reset;
  #apply = h('button', { type: 'submit', class: 'button small primary', hidden: true }, t('action.save'));

  /** @param {Setting} setting @param {(name: string, value: any) => Promise<void>} save */
  constructor(setting, save) {
    this.setting = setting;
    this.#save = save;
    const name = nameOf(setting.name);
    const about = known(`setting.${setting.name}-hint`) ? t(`setting.${setting.name}-hint`) : setting.description;
    this.text = `${name} ${about} ${setting.name} ${setting.choices.map((choice) => sayChoice(setting, choice)).join(' ')}`.toLocaleLowerCase();
    const id = `setting-${setting.name}`;
    this.#field = fieldOf(setting, id, () => this.#edited());
    this.#field.input.setAttribute('aria-describedby', `${id}-about ${id}-state`);
    this.#state.id = `${id}-state`;
    this.#reset = iconButton('undo', t('settings.reset', { name }), { onclick: () => void this.#store(null) });
    this.element = h('form', { class: 'server-setting', novalidate: true, onsubmit: (/** @type {SubmitEvent} */ event) => this.#submit(event) },
      h('div', { class: 'server-setting-text' }, h('label', { for: id }, name), h('p', { class: 'hint', id: `${id}-about` }, about), this.#state),
      h('div', { class: 'server-setting-value' }, this.#field.element, this.#apply, this.#reset), this.#problem);
    this.show(setting);
  }

  /** @param {Setting} setting */
  show(setting) {
    this.setting = setting;
    const edited = !this.#apply.hidden;
    if (!edited) this.#field.write(setting.value);
    this.#field.input.disabled = setting.locked;
    this.#reset.hidden = setting.source !== 'admin';
    const standard = t('settings.default', { value: say(setting, setting.default) });
    if (setting.locked) this.#state.replaceChildren(icon('lock'), t(`settings.from-${setting.source}`, { origin: setting.origin ?? '' }));
    else if (setting.source === 'admin') setText(this.#state, `${standard} · ${t('settings.changed', { name: setting.changed_by ?? t('person.somebody'), time: dateTime(setting.changed_at ?? 0) })}`);
    else setText(this.#state, standard);
    this.#state.classList.toggle('locked', setting.locked);
  }

  /** Boxes and lists are saved at once, texts and numbers by a button. */
  #edited() {
    if (this.#field.immediate) void this.#store(this.#field.read());
    else this.#apply.hidden = JSON.stringify(this.#field.read()) === JSON.stringify(this.setting.value);
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    event.preventDefault();
    if (this.#field.input.reportValidity() && !this.#apply.hidden) void this.#store(this.#field.read());
  }

  /** @param {any} value */
  async #store(value) {
    this.#problem.hidden = true;
    const focused = this.element.contains(document.activeElement);
    const hidden = this.#apply.hidden;
    this.#apply.hidden = true; // so that the field shows what the server answers
    try {
      await this.#save(this.setting.name, value);
      if (focused && !this.element.contains(document.activeElement)) this.#field.input.focus();
    } catch (error) {
      setText(this.#problem, sentenceOf(error));
      this.#problem.hidden = false;
      if (this.#field.immediate) this.#field.write(this.setting.value);
      else this.#apply.hidden = hidden;
    }
  }
}

/**
 * @param {Setting} setting @param {string} id @param {() => void} edited
 * @returns {{element: HTMLElement, input: HTMLInputElement|HTMLSelectElement|HTMLTextAreaElement, immediate: boolean, read: () => any, write: (value: any) => void}}
 */
function fieldOf(setting, id, edited) {
  if (setting.type === 'boolean') {
    const input = h('input', { id, type: 'checkbox', role: 'switch', class: 'switch', onchange: edited });
    return { element: input, input, immediate: true, read: () => input.checked, write: (value) => (input.checked = value) };
  }
  if (setting.choices.length > 0) {
    const input = h('select', { id, class: 'input', onchange: edited }, ...setting.choices.map((value) => h('option', { value }, sayChoice(setting, value))));
    return { element: input, input, immediate: true, read: () => input.value, write: (value) => (input.value = value) };
  }
  if (setting.type === 'list') {
    const input = h('textarea', { id, class: 'input', rows: 2, spellcheck: 'false', oninput: edited });
    const read = () => input.value.split('\n').map((/** @type {string} */ line) => line.trim()).filter(Boolean);
    return { element: input, input, immediate: false, read, write: (value) => (input.value = value.join('\n')) };
  }
  if (setting.type === 'integer') {
    const scale = isBytes(setting) ? GB : 1;
    const input = h('input', {
      id, class: 'input', type: 'number', inputmode: 'decimal', step: scale === 1 ? 1 : 'any', min: scale === 1 ? setting.minimum : 0,
      placeholder: setting.default === null ? t('settings.unlimited') : null, oninput: edited,
    });
    const read = () => (input.value === '' ? null : Math.round(Number(input.value) * scale));
    const write = (/** @type {number|null} */ value) => (input.value = value === null ? '' : String(Number((value / scale).toFixed(3))));
    return { element: scale === 1 ? input : h('span', { class: 'with-unit' }, input, h('span', { 'aria-hidden': 'true' }, t('settings.gigabytes'))), input, immediate: false, read, write };
  }
  if (setting.type === 'picture') return pictureField(setting, id, edited);
  const input = h('input', { id, class: 'input', type: 'text', spellcheck: 'false', autocomplete: 'off', maxlength: 1000, placeholder: setting.default === null ? t('settings.unset') : null, oninput: edited });
  return { element: input, input, immediate: false, read: () => input.value.trim() || null, write: (value) => (input.value = value ?? '') };
}

/** A picture, which is stored as soon as a file is chosen. @param {Setting} setting @param {string} id @param {() => void} edited */
function pictureField(setting, id, edited) {
  /** @type {string|null} */
  let url = null;
  const shown = h('img', { alt: '', width: 48, height: 48 });
  const choose = async () => {
    try {
      url = await pictureUrl(input.files[0]);
    } catch {
      return toast(t('account.picture-failed'), 'problem');
    } finally {
      input.value = '';
    }
    return edited();
  };
  const input = h('input', { id, type: 'file', class: 'unseen', accept: 'image/svg+xml,image/*', onchange: () => void choose() });
  const element = h('span', { class: 'picture-choice' }, shown, h('label', { class: 'button', for: id }, icon('image'), t('account.picture-choose')), input);
  return {
    element, input, immediate: true, read: () => url,
    write: (/** @type {string|null} */ value) => shown.setAttribute('src', value ?? (setting.locked ? '/brand/logo' : '/app/icon.svg')),
  };
}

/** Return a picture as a data: URL: SVG as it is, anything else scaled to fit a square; rejects if the file is not a picture. @param {File} file @returns {Promise<string>} */
async function pictureUrl(file) {
  let blob = /** @type {Blob} */ (file);
  if (file.type !== 'image/svg+xml') {
    const picture = await createImageBitmap(file);
    const scale = PICTURE_SIDE / Math.max(picture.width, picture.height);
    const canvas = new OffscreenCanvas(PICTURE_SIDE, PICTURE_SIDE);
    const [width, height] = [picture.width * scale, picture.height * scale];
    canvas.getContext('2d')?.drawImage(picture, (PICTURE_SIDE - width) / 2, (PICTURE_SIDE - height) / 2, width, height);
    picture.close();
    blob = await canvas.convertToBlob({ type: 'image/png' });
  }
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** @param {Setting} setting @returns {boolean} */
function isBytes(setting) {
  return setting.name.endsWith('_bytes');
}

/** @param {Setting} setting @param {any} value @returns {string} */
function say(setting, value) {
  if (value === null) return t(setting.type === 'integer' ? 'settings.unlimited' : setting.type === 'picture' ? 'settings.picture-default' : 'settings.unset');
  if (setting.type === 'boolean') return t(value ? 'settings.on' : 'settings.off');
  if (setting.choices.length > 0) return sayChoice(setting, value);
  if (isBytes(setting)) return size(value);
  if (Array.isArray(value)) return value.length > 0 ? value.join(', ') : t('settings.unset');
  return typeof value === 'number' ? value.toLocaleString() : String(value);
}

/** @param {Setting} setting @param {string} value @returns {string} */
function sayChoice(setting, value) {
  const key = `setting.${setting.name}-${value}`;
  return known(key) ? t(key) : value;
}
