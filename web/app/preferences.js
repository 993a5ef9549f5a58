/** Preferences stored on this device. If the browser forbids storage, they last as long as the page. */

const KEY = 'parley';

const DEFAULTS = {
  name: '',
  camera: '',
  microphone: '',
  speaker: '',
  cameraOn: true,
  microphoneOn: true,
  consentRecording: false,
  consentCaptions: false,
  captionsShown: false,
  captionsSize: 'medium',
  captionsAt: 'bottom',
  /** The language to which captions are translated, '' for none. */
  translation: '',
  /** Single-letter shortcuts in a call, and the space bar, which unmutes while it is held. */
  shortcuts: true,
  /** Shortcuts need a modifier. */
  shortcutsModifier: false,
  pushToTalk: true,
  /** Effects on the camera: see effects.js. */
  background: '',
  lowLight: false,
  noiseSuppression: true,
  /** The microphone in stereo, unprocessed. */
  music: false,
  /** The view of a call: see view-state.js. */
  perPage: 25,
  corner: '',
  mirror: true,
  onlyVideo: false,
  /** '' follows the browser or system. */
  language: '',
  theme: '',
  contrast: '',
};

/** @returns {typeof DEFAULTS} */
export function preferences() {
  return { ...DEFAULTS, ...read(() => localStorage, KEY) };
}

/** @param {Partial<typeof DEFAULTS>} changes */
export function remember(changes) {
  write(() => localStorage, KEY, { ...read(() => localStorage, KEY), ...changes });
}

/**
 * The secret that lets this tab rejoin a meeting as the same participant, even after a reload.
 * `token`: an admission token.
 * @param {string} meeting @returns {{rejoin_secret?: string, token?: string}}
 */
export function attendance(meeting) {
  return read(() => sessionStorage, `${KEY}:${meeting}`);
}

/** @param {string} meeting @param {object} who */
export function rememberAttendance(meeting, who) {
  write(() => sessionStorage, `${KEY}:${meeting}`, who);
}

/** @param {() => Storage} storage @param {string} key */
function read(storage, key) {
  try {
    return JSON.parse(storage().getItem(key) ?? '{}');
  } catch {
    return {};
  }
}

/** @param {() => Storage} storage @param {string} key @param {object} value */
function write(storage, key, value) {
  try {
    storage().setItem(key, JSON.stringify(value));
  } catch {
    // Storage is forbidden or full: the choice lasts as long as the page.
  }
}
