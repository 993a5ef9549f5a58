/**
 * The catalogues, each loaded on demand. A new language needs a file and a line here, and its name in index.html. The build leaves texts out of
 * two of its three extents: `first` has none of calls and of the administration, `admin` none of calls.
 *
 * @type {Record<string, Record<'first'|'admin'|'whole', () => Promise<{default: Record<string, string>}>>>}
 */
export const CATALOGUES = {
  en: { first: () => import('./en.js?first'), admin: () => import('./en.js?admin'), whole: () => import('./en.js') },
  'zh-CN': { first: () => import('./zh-CN.js?first'), admin: () => import('./zh-CN.js?admin'), whole: () => import('./zh-CN.js') },
};
