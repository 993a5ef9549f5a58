/** Consent texts. A change of their meaning, in any language, needs a new version, which is stored with each answer. */
import { t } from './words.js';

export const RECORDING = { version: 'recording-1' };

/** The text about captions, with its version. @param {boolean} toModel whether a language model gets them, too */
export function captionsConsent(toModel) {
  return toModel ? { version: 'captions-2', text: t('consent.captions-model') } : { version: 'captions-1', text: t('consent.captions-text') };
}

/** Whether a language model gets the captions. @param {any} offer from `GET /ai/analysis` @returns {boolean} */
export function modelReads(offer) {
  return Boolean(offer?.minutes || offer?.translation?.length);
}

/** Explain a meeting's policy on recording, unless it asks each participant. @param {string} [consent] @returns {string} */
export function recordingPolicy(consent) {
  return consent === 'implied' || consent === 'required' ? t(`consent.recording-${consent}`) : '';
}
