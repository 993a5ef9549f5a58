/** The files that the first screen of each route needs. tools/page.js inserts it; the sources do not have it. */
declare const PRELOADS: { languages: Record<string, string>; main: string[]; routes: Record<string, string[]> } | undefined;

/** The part of Trusted Types (W3C) that is used here. */
declare var trustedTypes: undefined | {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): unknown };
};
