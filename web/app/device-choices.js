/** Menus for the camera, microphone and speaker. */
import { h } from './dom.js';
import { choice } from './fields.js';
import { preferences, remember } from './preferences.js';
import { t } from './words.js';

/**
 * @param {import('./local-media.js').LocalMedia} media @param {(speaker: string) => void} [speakerChosen]
 * @returns {{element: HTMLElement, update: () => void}} `update` after each `change` of `media`
 */
export function deviceChoices(media, speakerChosen = () => undefined) {
  const cameras = choice(t('device.camera'), 'camera', (id) => void media.choose('camera', id));
  const microphones = choice(t('device.microphone'), 'mic', (id) => void media.choose('microphone', id));
  const speakers = choice(t('device.speaker'), 'volume', (id) => {
    remember({ speaker: id });
    speakerChosen(id);
  });
  const element = h('div', { class: 'device-choices' }, cameras.element, microphones.element, media.support.speakerChoice && speakers.element);
  return {
    element,
    update: () => {
      fill(cameras.select, media.devices.cameras, media.opened.camera || preferences().camera, t('device.no-camera'));
      fill(microphones.select, media.devices.microphones, media.opened.microphone || preferences().microphone, t('device.no-microphone'));
      fill(speakers.select, media.devices.speakers, preferences().speaker, t('device.speaker-default'));
    },
  };
}

/** @param {HTMLSelectElement} select @param {MediaDeviceInfo[]} devices @param {string} chosen @param {string} none */
function fill(select, devices, chosen, none) {
  const options = devices.map((device, index) => h('option', { value: device.deviceId }, device.label || t('device.numbered', { number: index + 1 })));
  select.replaceChildren(...(options.length > 0 ? options : [h('option', { value: '' }, none)]));
  select.disabled = options.length < 2;
  if (devices.some((device) => device.deviceId === chosen)) select.value = chosen;
}
