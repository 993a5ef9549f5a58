/** The product as its operator presents it: name, logo, and the links at the foot of the page (control/branding.py). */
import { h } from './dom.js';
import { t } from './words.js';

/** @type {{name?: string, logo?: string|null, links?: [string, string][], imprint?: string|null, privacy?: string|null}} */
const given = JSON.parse(document.querySelector('meta[name=brand]')?.getAttribute('content') ?? '{}');

/** @returns {string} */
export function brandName() {
  return given.name ?? t('brand.name');
}

export function brand() {
  return h('a', { class: 'brand', href: '/' }, h('img', { src: given.logo ?? '/app/icon.svg', alt: '', width: 28, height: 28 }), h('span', {}, brandName()));
}

/** @param {string} title @returns {string} of the document */
export function titleOf(title) {
  return t('title.page', { title, brand: brandName() });
}

/** @returns {HTMLElement|null} the footer with links, for views outside a call; null if there are no links */
export function foot() {
  const { links = [], imprint, privacy } = given;
  const shown = [...links, ...(imprint ? [[t('brand.imprint'), imprint]] : []), ...(privacy ? [[t('brand.privacy'), privacy]] : [])];
  return shown.length > 0 ? h('footer', { class: 'foot' }, ...shown.map(([label, href]) => h('a', { href, target: '_blank', rel: 'noopener' }, label))) : null;
}
