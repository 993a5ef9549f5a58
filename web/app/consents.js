/** Consent texts. A change of their meaning, in any language, needs a new version, which is stored with each answer. */
import { t } from './words.js';

export const RECORDING = { version: 'recording-1' };
export const CAPTIONS = { version: 'captions-1' };

/** Explain a meeting's policy on recording, unless it asks each participant. @param {string} [consent] @returns {string} */
export function recordingPolicy(consent) {
  return consent === 'implied' || consent === 'required' ? t(`consent.recording-${consent}`) : '';
}
