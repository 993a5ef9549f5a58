/** Theme and contrast, as chosen on this device. boot.js applies them before the first paint. */
import { preferences, remember } from './preferences.js';

const contrast = matchMedia('(prefers-contrast: more)');
contrast.addEventListener('change', () => apply());

/** @param {string} theme 'light', 'dark', or '' to follow the system */
export function chooseTheme(theme) {
  remember({ theme });
  apply();
}

/** @param {boolean} high */
export function chooseContrast(high) {
  remember({ contrast: high ? 'more' : '' });
  apply();
}

function apply() {
  const { theme, contrast: chosen } = preferences();
  const { dataset } = document.documentElement;
  if (theme) dataset.theme = theme;
  else delete dataset.theme;
  if (chosen === 'more' || contrast.matches) dataset.contrast = 'more';
  else delete dataset.contrast;
}
