/** The consents. A change of what their texts mean, in any language, needs another version: it is stored with each answer. */
import { t } from './words.js';

export const RECORDING = { version: 'recording-1' };
export const CAPTIONS = { version: 'captions-1' };

/** What a meeting makes of consent to being recorded, as far as it does not ask each. @param {string} [consent] @returns {string} */
export function recordingPolicy(consent) {
  return consent === 'implied' || consent === 'required' ? t(`consent.recording-${consent}`) : '';
}
