/** Put in by tools/page.js: what the first screen of each route needs. Absent in the sources. */
declare const PRELOADS: { languages: Record<string, string>; main: string[]; routes: Record<string, string[]> } | undefined;

/** Trusted Types (W3C), as far as they are used here. */
declare var trustedTypes: undefined | {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): unknown };
};
