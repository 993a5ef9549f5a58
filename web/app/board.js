/** The shared whiteboard: a wide panel beside the call, loaded when it is first opened. */
import { UndoManager } from '/vendor/yjs.js';
import { SIZE, drawItem, isHit, itemOf } from './board-items.js';
import { ask } from './dialogs.js';
import { arrange, h } from './dom.js';
import { iconButton } from './fields.js';
import { saveFile } from './save-file.js';
import { OWN, documentOf } from './shared-document.js';
import { toast } from './toasts.js';
import { t } from './words.js';

const TOOLS = [['pen', 'edit'], ['line', 'line'], ['box', 'box'], ['text', 'text'], ['eraser', 'eraser']];
const COLOURS = [['ink', '#1f2430'], ['blue', '#2f55d4'], ['red', '#c62f37'], ['green', '#1f7a4d'], ['amber', '#b45f06']];
const WIDTH = 4;
const MOST_ITEMS = 3_000;
const MOST_NUMBERS = 2_000;
/** The interval of updates on an unfinished stroke, and the time without updates after which others remove it. */
const DRAFT_TOPIC = 'parley-draft';
const DRAFT_MS = 120;
const DRAFT_LASTS_MS = 3_000;

export class BoardPanel {
  element;
  #call;
  #document;
  #items;
  #undo;
  #canvas;
  #context;
  #tool = 'pen';
  #colour = COLOURS[0][1];
  /** What is being drawn here. @type {any} */
  #draft = null;
  #draftSent = 0;
  /** What others are drawing. @type {Map<string, {item: any, at: number}>} */
  #drafts = new Map();
  #frame = 0;
  #paper;
  /** @type {HTMLInputElement|null} */
  #writing = null;
  #texts = h('ul', { class: 'for-readers', 'aria-label': t('board.texts') });
  #tools;
  #undoButton = iconButton('undo', t('board.undo'), { onclick: () => this.#undo.undo() });
  #clearButton = iconButton('trash', t('board.clear'), { onclick: () => void this.#clear() });

  /** @param {import('./call.js').Call} call @param {{signal: AbortSignal, close: () => void}} options */
  constructor(call, { signal, close }) {
    this.#call = call;
    this.#document = documentOf(call);
    this.#items = this.#document.doc.getMap('board');
    this.#undo = new UndoManager(this.#items, { trackedOrigins: new Set([OWN]) });
    this.#canvas = h('canvas', { class: 'board-canvas', role: 'img', 'aria-label': t('board.canvas', { count: 0 }), onpointerdown: (/** @type {PointerEvent} */ event) => this.#down(event),
      onpointermove: (/** @type {PointerEvent} */ event) => this.#move(event), onpointerup: () => this.#up(), onpointercancel: () => this.#give() });
    this.#context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext('2d'));
    this.#paper = h('div', { class: 'board-paper' }, this.#canvas, this.#texts);
    this.#tools = h('div', { class: 'board-tools', role: 'toolbar', 'aria-label': t('board.tools') },
      ...TOOLS.map(([tool, symbol]) => iconButton(symbol, t(`board.${tool}`), { 'data-tool': tool, onclick: (/** @type {MouseEvent} */ event) => this.#choose(tool, event.detail === 0) })),
      h('span', { class: 'board-gap' }),
      ...COLOURS.map(([name, value]) => this.#swatch(name, value)),
      h('span', { class: 'board-gap' }), this.#undoButton, this.#clearButton);
    this.element = h('aside', { class: 'panel panel-board', 'aria-label': t('board.label'), hidden: true },
      h('header', { class: 'panel-head' }, h('h2', { tabindex: -1 }, t('board.label')),
        iconButton('download', t('board.download'), { onclick: () => this.#download() }), iconButton('close', t('action.close'), { onclick: close })),
      this.#tools, this.#paper);
    const changed = () => this.#schedule();
    this.#items.observe(changed);
    for (const type of /** @type {const} */ (['stack-item-added', 'stack-item-popped', 'stack-cleared'])) this.#undo.on(type, () => this.#refresh());
    const sizes = new ResizeObserver(changed);
    sizes.observe(this.#paper);
    signal.addEventListener('abort', () => {
      this.#items.unobserve(changed);
      this.#undo.destroy();
      sizes.disconnect();
      cancelAnimationFrame(this.#frame);
    });
    call.room.addEventListener('data', ({ detail }) => detail.topic === DRAFT_TOPIC && this.#drafted(detail), { signal });
    call.room.addEventListener('grants', () => this.#refresh(), { signal });
    this.#choose('pen', false);
    this.#refresh();
  }

  /** @param {boolean} shown */
  show(shown) {
    if (shown === !this.element.hidden) return;
    this.element.hidden = !shown;
    if (!shown) return;
    this.#schedule();
    this.element.querySelector('h2').focus();
  }

  #refresh() {
    const { mayWrite } = this.#document;
    this.#tools.hidden = !mayWrite;
    this.#undoButton.disabled = this.#undo.undoStack.length === 0;
    this.#clearButton.hidden = !this.#call.room.grants.host;
  }

  /** @param {string} name @param {string} value @returns {HTMLElement} */
  #swatch(name, value) {
    const button = h('button', { type: 'button', class: 'board-colour', 'data-colour': value, 'aria-label': t(`board.colour-${name}`), title: t(`board.colour-${name}`), 'aria-pressed': String(value === this.#colour),
      onclick: () => {
        this.#colour = value;
        for (const other of this.#tools.querySelectorAll('[data-colour]')) other.setAttribute('aria-pressed', String(other === button));
      } });
    button.style.setProperty('--ink', value);
    return button;
  }

  /** @param {string} tool @param {boolean} byKey true without a pointer: a text is placed in the middle */
  #choose(tool, byKey) {
    this.#tool = tool;
    for (const button of this.#tools.querySelectorAll('[data-tool]')) button.setAttribute('aria-pressed', String(button.dataset.tool === tool));
    this.#paper.dataset.tool = tool;
    if (tool === 'text' && byKey) this.#write(SIZE.width / 2 - 200, SIZE.height / 2);
  }

  /** @param {PointerEvent} event @returns {[number, number]} on the board */
  #at({ clientX, clientY }) {
    const box = this.#canvas.getBoundingClientRect();
    const x = Math.round(((clientX - box.left) / box.width) * SIZE.width);
    const y = Math.round(((clientY - box.top) / box.height) * SIZE.height);
    return [Math.min(SIZE.width, Math.max(0, x)), Math.min(SIZE.height, Math.max(0, y))];
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (!this.#document.mayWrite || event.button !== 0) return;
    const [x, y] = this.#at(event);
    event.preventDefault();
    if (this.#tool === 'text') return this.#write(x, y);
    this.#canvas.setPointerCapture(event.pointerId);
    this.#draft = this.#tool === 'eraser' ? { kind: 'eraser' } : { kind: this.#tool, colour: this.#colour, width: WIDTH, points: [x, y, ...(this.#tool === 'pen' ? [] : [x, y])] };
    if (this.#tool === 'eraser') this.#erase(x, y);
    this.#schedule();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (!this.#draft) return;
    const [x, y] = this.#at(event);
    const { kind, points } = this.#draft;
    if (kind === 'eraser') return this.#erase(x, y);
    if (kind === 'pen') {
      if (Math.hypot(x - points.at(-2), y - points.at(-1)) < 3) return;
      points.push(x, y);
      if (points.length >= MOST_NUMBERS) this.#up();
    } else {
      points.splice(2, 2, x, y);
    }
    this.#schedule();
    this.#show();
  }

  /** Show the others what is being drawn. */
  #show() {
    const now = performance.now();
    if (now - this.#draftSent < DRAFT_MS) return;
    this.#draftSent = now;
    void this.#call.room.publishData(JSON.stringify(this.#draft), { topic: DRAFT_TOPIC, reliable: false }).catch(() => undefined);
  }

  #up() {
    const item = this.#draft;
    this.#give();
    if (item && item.kind !== 'eraser') this.#add(item);
  }

  #give() {
    this.#draft = null;
    this.#schedule();
  }

  /** @param {any} item */
  #add(item) {
    if (this.#items.size >= MOST_ITEMS) return toast(t('board.full'), 'problem');
    this.#undo.stopCapturing();
    this.#document.doc.transact(() => this.#items.set(crypto.randomUUID(), { ...item, z: Date.now() }), OWN);
  }

  /** @param {number} x @param {number} y */
  #erase(x, y) {
    const hit = this.#all().filter(([, item]) => isHit(item, x, y)).map(([id]) => id);
    if (hit.length > 0) this.#document.doc.transact(() => hit.forEach((id) => this.#items.delete(id)), OWN);
  }

  /** Open an input field for a text at a position. @param {number} x @param {number} y */
  #write(x, y) {
    this.#writing?.remove();
    const input = h('input', { class: 'board-writing', 'aria-label': t('board.text'), maxlength: 300, autocomplete: 'off' });
    input.style.setProperty('--x', String(x / SIZE.width));
    input.style.setProperty('--y', String(y / SIZE.height));
    input.style.color = this.#colour;
    this.#writing = input;
    const done = () => {
      if (this.#writing !== input) return;
      this.#writing = null;
      input.remove();
      if (input.value.trim()) this.#add({ kind: 'text', colour: this.#colour, width: WIDTH, points: [x, y], text: input.value.trim() });
    };
    input.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
      if (event.isComposing) return;
      if (event.key === 'Escape') input.value = '';
      if (event.key !== 'Enter' && event.key !== 'Escape') return;
      // Otherwise the key would press the button that gets the focus.
      event.preventDefault();
      event.stopPropagation();
      done();
      this.#tools.querySelector('[data-tool=text]').focus();
    });
    input.addEventListener('blur', done);
    this.#paper.append(input);
    input.focus();
  }

  /** @param {{participant: string, payload: Uint8Array}} message */
  #drafted({ participant, payload }) {
    try {
      const item = itemOf(JSON.parse(new TextDecoder().decode(payload)));
      if (item) this.#drafts.set(participant, { item, at: performance.now() });
    } catch {
      return;
    }
    this.#schedule();
    setTimeout(() => this.#schedule(), DRAFT_LASTS_MS);
  }

  /** All items, oldest first. @returns {[string, any][]} */
  #all() {
    const known = [...this.#items].slice(0, MOST_ITEMS).map(([id, value]) => /** @type {[string, any]} */ ([id, itemOf(value)]));
    return known.filter(([, item]) => item).sort(([one, a], [other, b]) => a.z - b.z || (one < other ? -1 : 1));
  }

  #schedule() {
    if (this.element?.hidden) return;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const width = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    const height = Math.round((width * SIZE.height) / SIZE.width);
    if (!width) return;
    if (this.#canvas.width !== width) Object.assign(this.#canvas, { width, height });
    const items = this.#all();
    const now = performance.now();
    for (const [who, { at }] of this.#drafts) if (now - at >= DRAFT_LASTS_MS) this.#drafts.delete(who);
    this.#paint(this.#context, width / SIZE.width, [...items.map(([, item]) => item), ...[...this.#drafts.values()].map(({ item }) => item), itemOf(this.#draft)].filter(Boolean));
    this.#canvas.setAttribute('aria-label', t('board.canvas', { count: items.length }));
    arrange(this.#texts, items.filter(([, { kind }]) => kind === 'text').map(([, { text }]) => h('li', {}, text)));
  }

  /** @param {CanvasRenderingContext2D} context @param {number} scale @param {any[]} items */
  #paint(context, scale, items) {
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = '#fff';
    context.fillRect(0, 0, SIZE.width, SIZE.height);
    for (const item of items) drawItem(context, item);
  }

  async #clear() {
    const answer = await ask(t('board.clear-ask'), '', [{ label: t('board.clear'), value: 'clear', class: 'danger' }]);
    if (answer === 'clear') this.#document.doc.transact(() => this.#items.clear(), OWN);
  }

  #download() {
    const canvas = Object.assign(document.createElement('canvas'), SIZE);
    this.#paint(/** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d')), 1, this.#all().map(([, item]) => item));
    canvas.toBlob((blob) => {
      if (blob) saveFile(blob, `${this.#call.meeting.title}.png`);
    });
  }
}
