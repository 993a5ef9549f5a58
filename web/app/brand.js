/** The logo and name of the product. */
import { h } from './dom.js';
import { t } from './words.js';

export function brand() {
  return h('a', { class: 'brand', href: '/' }, h('img', { src: '/app/icon.svg', alt: '', width: 28, height: 28 }), h('span', {}, t('brand.name')));
}
