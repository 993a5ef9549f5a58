/** Lucide icons as SVG elements, named as in vendor/icons.js. */
import { ICONS } from '/vendor/icons.js';

const NAMESPACE = 'http://www.w3.org/2000/svg';

/** @param {string} name @returns {SVGSVGElement} hidden from screen readers: the control carries the label */
export function icon(name) {
  const svg = document.createElementNS(NAMESPACE, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', `icon icon-${name}`);
  svg.setAttribute('aria-hidden', 'true');
  const nodes = /** @type {Record<string, any>} */ (ICONS)[name];
  for (const [tag, attributes] of nodes) {
    const node = document.createElementNS(NAMESPACE, tag);
    for (const [attribute, value] of Object.entries(attributes)) node.setAttribute(attribute, value);
    svg.append(node);
  }
  return svg;
}
