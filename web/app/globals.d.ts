/** The files that the first screen of each route needs. tools/page.js inserts it; the sources do not have it. */
declare const PRELOADS: { languages: Record<string, { first: string; admin: string }>; main: string[]; routes: Record<string, string[]> } | undefined;

/** The part of Trusted Types (W3C) that is used here. */
declare var trustedTypes: undefined | {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): unknown };
};

/** Streams of frames (W3C mediacapture-transform), where the browser has them in a window. */
declare var MediaStreamTrackProcessor: new (init: { track: MediaStreamTrack }) => { readable: ReadableStream<VideoFrame> };
declare var MediaStreamTrackGenerator: new (init: { kind: 'video' }) => MediaStreamTrack & { writable: WritableStream<VideoFrame> };

/** A catalogue of texts, reduced by the build: see languages/index.js. */
declare module '*.js?first' {
  const texts: Record<string, string>;
  export default texts;
}

declare module '*.js?admin' {
  const texts: Record<string, string>;
  export default texts;
}

/** An emscripten module. */
declare module '@twilio/video-processors/dist/build/*' {
  const create: (options: { locateFile: () => string }) => Promise<any>;
  export default create;
}
