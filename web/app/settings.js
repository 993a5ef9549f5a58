/** The settings dialog of a call: devices, with a test of each, and appearance. */
import { captionsConsent } from './consents.js';
import { deviceChoices } from './device-choices.js';
import { show } from './dialogs.js';
import { languageField, themeFields } from './display.js';
import { h } from './dom.js';
import { check } from './fields.js';
import { icon } from './icons.js';
import { levelMeter } from './level-meter.js';
import { preferences, remember } from './preferences.js';
import { t } from './words.js';

/**
 * @param {import('./local-media.js').LocalMedia} media @param {(speaker: string) => void} speakerChosen
 * @param {() => void} again rebuilds the call's view in another language
 * @param {import('./call.js').Call|null} [captions] the call, if there are captions to consent to
 */
export function showSettings(media, speakerChosen, again, captions = null) {
  const closed = new AbortController();
  const choices = deviceChoices(media, speakerChosen);
  const meter = levelMeter(closed.signal);
  const update = () => {
    choices.update();
    meter.show(media.microphoneOn ? media.microphone : null);
  };
  media.addEventListener('change', update, { signal: closed.signal });
  update();
  return show((dialog) => [
    h('h2', {}, t('settings.title')),
    choices.element,
    effectsButton(media),
    h('div', { class: 'field' }, h('p', { class: 'hint' }, t(media.microphoneOn ? 'settings.level' : 'settings.level-muted')), meter.element),
    h('button', { type: 'button', class: 'button small', onclick: () => void testSpeaker() }, icon('volume'), t('settings.test-speaker')),
    media.support.devices && check(t('settings.music'), t('settings.music-hint'), preferences().music, (music) => void media.setProcessing({ music })).element,
    check(t('shortcut.push-to-talk'), t('shortcut.push-to-talk-hint'), preferences().pushToTalk, (on) => remember({ pushToTalk: on })).element,
    captions && check(t('settings.captions'), captionsConsent(captions.modelReads).text, captions.captioned === true, (on) => captions.decideCaptions(on)).element,
    languageField(dialog, again),
    ...themeFields(),
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button primary', onclick: () => dialog.close('') }, t('action.done'))),
  ]).finally(() => closed.abort());
}

/** The button that opens the effects. @param {import('./local-media.js').LocalMedia} media @returns {HTMLElement|false} */
function effectsButton(media) {
  return media.support.devices && h('button', { type: 'button', class: 'button small', 'data-settings': 'effects', onclick: async () => void (await import('./effects-dialog.js')).showEffects(media) }, icon('image'), t('effects.title'));
}

/** Play two short tones on the chosen speaker. */
async function testSpeaker() {
  const context = new AudioContext();
  const { speaker } = preferences();
  const chooses = /** @type {AudioContext & {setSinkId?: (id: string) => Promise<void>}} */ (context);
  if (speaker) await chooses.setSinkId?.(speaker).catch(() => undefined);
  const volume = context.createGain();
  volume.connect(context.destination);
  volume.gain.value = 0;
  [523.25, 659.25].forEach((frequency, index) => {
    const tone = new OscillatorNode(context, { frequency });
    const start = context.currentTime + index * 0.35;
    tone.connect(volume);
    volume.gain.setTargetAtTime(0.2, start, 0.02);
    volume.gain.setTargetAtTime(0, start + 0.22, 0.04);
    tone.start(start);
    tone.stop(start + 0.34);
    if (index === 1) tone.addEventListener('ended', () => void context.close());
  });
}
