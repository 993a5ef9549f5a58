/** The dialog for links with which people watch a recording, or one video of it such as a clip, without an account. */
import { copyLink } from './copy-link.js';
import { showForm } from './dialogs.js';
import { h } from './dom.js';
import { check, choice, field, form } from './fields.js';
import { dateTime, duration, sentenceOf } from './format.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

const DAYS = [1, 7, 30, 365];

/**
 * @param {string} id @param {{now?: number, film?: string|null, name?: string}} [what] `now`: seconds into the video;
 *   `film`: the id of an ordered film, `name` what the page calls it
 */
export function share(id, { now = 0, film = null, name = '' } = {}) {
  const base = `/recordings/${encodeURIComponent(id)}/links`;
  const list = h('ul', { class: 'link-list' });
  const time = choice(t('links.valid'), 'clock', () => undefined);
  time.select.append(...DAYS.map((days) => h('option', { value: days }, t('share.days', { days }))));
  time.select.value = '7';
  const passcode = field(t('share.passcode-optional'), { type: 'text', name: 'passcode', minlength: 6, maxlength: 64, autocomplete: 'off', hint: t('share.passcode-hint') });
  const domains = field(t('share.domains-optional'), { type: 'text', name: 'domains', maxlength: 1000, autocomplete: 'off', placeholder: t('share.domains-example'), hint: t('share.domains-hint') });
  void rest.server().then(({ mail }) => mail || (/** @type {HTMLElement} */ (domains.element.querySelector('.hint')).textContent = t('share.domains-hint-accounts'))).catch(() => undefined);
  const from = check(t('share.from', { time: duration(now * 1000) }), '', false);

  async function load() {
    const { links } = await rest.get(base);
    list.replaceChildren(...links.filter((/** @type {any} */ link) => (link.film ?? null) === film).map((/** @type {any} */ link) => h('li', {}, h('span', {}, t('links.until', { time: dateTime(link.expires_at) }), link.passcode_required && ` · ${t('share.protected')}`, link.domains?.length > 0 && ` · ${t('share.limited', { domains: link.domains.join(', ') })}`),
      h('button', { type: 'button', class: 'button small', onclick: () => void revoke(link.id) }, t('links.revoke')))));
  }

  /** @param {string} link */
  async function revoke(link) {
    try {
      await rest.delete(`${base}/${encodeURIComponent(link)}`);
      await load();
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
  }

  return showForm(film ? t('links.of', { file: name }) : t('share.title'), () => [
    h('p', { class: 'hint' }, t(film ? 'share.text-clip' : 'share.text')),
    form({
      action: t('share.create'),
      submit: async () => {
        const { url } = await rest.post(base, { days: Number(time.select.value), passcode: passcode.input.value || null, ...domainsOf(domains.input.value), ...(film ? { film } : {}) });
        const moment = from.input.checked ? `#t=${Math.floor(now)}` : '';
        await Promise.all([copyLink(`/s/${url.split('/').pop()}${moment}`), load()]);
      },
    }, time.element, passcode.element, domains.element, now > 1 && from.element),
    list,
    (void load().catch((error) => toast(sentenceOf(error), 'problem')), null),
  ]);
}

/** @param {string} text domains, perhaps each with an @ before it */
function domainsOf(text) {
  const domains = text.split(/[\s,;，；、]+/).map((one) => one.replace(/^.*@/, '')).filter(Boolean);
  return domains.length > 0 ? { domains } : {};
}
