/** QR codes, drawn as one SVG path. */
import { encode } from '/vendor/qr.js';

const NAMESPACE = 'http://www.w3.org/2000/svg';

/** @param {string} text @param {string} label its accessible name @returns {SVGSVGElement} */
export function qrCode(text, label) {
  const { data, size } = encode(text, { ecc: 'M', border: 2 });
  const svg = document.createElementNS(NAMESPACE, 'svg');
  svg.setAttribute('class', 'qr-code');
  svg.setAttribute('viewBox', `0 0 ${size} ${size}`);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', label);
  const path = document.createElementNS(NAMESPACE, 'path');
  path.setAttribute('d', data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ''))).join(''));
  svg.append(path);
  return svg;
}
