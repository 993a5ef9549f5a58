/** The catalogues, each loaded on demand. A new language needs a file and a line here, and its name in index.html. */

/** @type {Record<string, () => Promise<{default: Record<string, string>}>>} */
export const CATALOGUES = {
  en: () => import('./en.js'),
  'zh-CN': () => import('./zh-CN.js'),
};
