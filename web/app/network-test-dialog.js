/** The dialog that tests the network: what it does, how far it is, the verdict in words, and the figures folded away. */
import { RestError } from '/sdk/rest.js';
import { show } from './dialogs.js';
import { arrange, h } from './dom.js';
import { sentenceOf } from './format.js';
import { icon } from './icons.js';
import { NoFigures, testNetwork } from './network-test.js';
import { verdictOf } from './network-verdict.js';
import { t } from './words.js';

const ICONS = { good: 'check', fair: 'signal', sound: 'warning', poor: 'warning', none: 'warning' };

/**
 * Test the network at once, and again as often as wanted; the test ends with the dialog.
 * @param {typeof testNetwork} [test]
 */
export function showNetworkTest(test = testNetwork) {
  const body = h('div', { class: 'network-test' });
  const closed = new AbortController();
  const again = h('button', { type: 'button', class: 'button', onclick: () => void run() }, t('network.again'));

  async function run() {
    const bar = h('progress', { max: 1, value: 0, 'aria-label': t('network.title') });
    again.hidden = true;
    arrange(body, [h('p', { class: 'hint' }, t('network.running')), bar]);
    const found = await test(closed.signal, (share) => { bar.value = share; }).then(results, failure);
    if (closed.signal.aborted) return;
    arrange(body, found);
    again.hidden = false;
  }

  const shown = show((dialog) => [
    h('h2', {}, t('network.title')),
    body,
    h('div', { class: 'row-actions' }, again, h('button', { type: 'button', class: 'button primary', onclick: () => dialog.close('') }, t('action.close'))),
  ]).finally(() => closed.abort());
  void run();
  return shown;
}

/** @param {import('./network-test.js').Figures} figures @returns {HTMLElement[]} */
function results(figures) {
  const { grade, cause } = verdictOf(figures);
  return [
    verdict(grade, t(`network.${grade}`), cause ? t(`network.cause-${cause}`) : t('network.nothing')),
    ...(figures.way === 'udp' ? [] : [h('p', {}, t(`network.way-${figures.way}-text`))]),
    h('details', {}, h('summary', {}, t('network.figures')), table(figures)),
  ];
}

/** @param {any} error @returns {HTMLElement[]} */
function failure(error) {
  if (error instanceof NoFigures) return [verdict('none', t(`network.no-${error.reason}`), t(`network.no-${error.reason}-text`))];
  // After too many tests, for example.
  if (error instanceof RestError && error.status >= 400) return [verdict('none', t('network.refused'), sentenceOf(error))];
  return [verdict('none', t('network.no-server'), t('network.no-server-text'))];
}

/** @param {keyof ICONS} grade @param {string} title @param {string} text */
function verdict(grade, title, text) {
  return h('div', { class: 'network-verdict', role: 'status', 'data-grade': grade }, icon(ICONS[grade]), h('div', {}, h('p', {}, h('strong', {}, title)), h('p', {}, text)));
}

/** @param {import('./network-test.js').Figures} figures */
function table(figures) {
  /** @param {number} bits @param {boolean} isAll */
  const rate = (bits, isAll) => {
    const said = bits >= 1e6 ? t('connection.mbit', { rate: bits / 1e6 }) : t('connection.kbit', { rate: Math.round(bits / 1000) });
    return isAll ? t('network.or-more', { rate: said }) : said;
  };
  const rows = [
    ['way', t(`network.way-${figures.way}`)],
    ['round-trip', figures.roundTripMs === null ? '–' : t('network.ms', { ms: Math.round(figures.roundTripMs) })],
    ['jitter', t('network.ms', { ms: Math.round(figures.jitterMs) })],
    ['up', rate(figures.up, figures.upIsAll)],
    ['down', rate(figures.down, figures.downIsAll)],
    ['loss-up', t('network.loss', { loss: figures.lossUp })],
    ['loss-down', t('network.loss', { loss: figures.lossDown })],
  ];
  return h('table', { class: 'figures' }, h('tbody', {}, ...rows.map(([key, value]) => h('tr', {}, h('th', { scope: 'row' }, t(`network.${key}`)), h('td', { 'data-figure': key }, value)))));
}
