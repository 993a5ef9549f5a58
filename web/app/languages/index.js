/** The catalogues, each loaded when it is shown. A language more is a file here, a line here, and a word in index.html. */

/** @type {Record<string, () => Promise<{default: Record<string, string>}>>} */
export const CATALOGUES = {
  en: () => import('./en.js'),
  'zh-CN': () => import('./zh-CN.js'),
};
