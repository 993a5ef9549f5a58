/** Before joining: see and hear oneself, choose devices, name and consents. */
import { Encryption } from '/sdk/parley.js';
import { brand } from './brand.js';
import { CAPTIONS, RECORDING, RECORDING_POLICIES } from './consents.js';
import { h, setText } from './dom.js';
import { deviceChoices } from './device-choices.js';
import { check, field, form, iconButton } from './fields.js';
import { initials } from './format.js';
import { icon } from './icons.js';
import { levelMeter } from './level-meter.js';
import { attendance, preferences, remember } from './preferences.js';
import { rest } from './session.js';

/**
 * @typedef {{name?: string, passcode?: string, words?: string, consent: {recording: boolean, captions: boolean}}} Entry
 * @param {HTMLElement} page
 * @param {{meeting: any, user: any, media: import('./local-media.js').LocalMedia, signal: AbortSignal,
 *   problem?: string, enter: (entry: Entry) => void}} options
 */
export function showPrejoin(page, { meeting, user, media, signal, problem = '', enter }) {
  const name = field('Your name', {
    name: 'name', required: true, maxlength: 200, autocomplete: 'name', value: user?.display_name ?? preferences().name,
  });
  const passcode = field('Passcode', { name: 'passcode', required: true, autocomplete: 'off' });
  const words = field('Passphrase', { name: 'words', required: true, autocomplete: 'off' });
  const implied = meeting.consent === 'implied';
  const recording = check(RECORDING.label, RECORDING_POLICIES[meeting.consent] ?? RECORDING.text, implied || preferences().consentRecording);
  recording.input.required = meeting.consent === 'required';
  recording.input.disabled = implied;
  const captions = check(CAPTIONS.label, CAPTIONS.text, preferences().consentCaptions);
  // Whoever was in already is let in again without the passcode.
  const asksPasscode = meeting.passcode_required && !meeting.role && !attendance(meeting.id).rejoin_secret;
  const refusal = h('p', { class: 'problem', role: 'alert', hidden: problem === '' }, problem);
  const joinForm = form({
    action: 'Join',
    class: 'prejoin-form',
    submit: async () => {
      const consent = { recording: recording.input.checked, captions: captions.input.checked };
      remember({ name: name.input.value.trim(), consentRecording: consent.recording, consentCaptions: consent.captions });
      enter({
        name: name.input.value.trim(),
        ...(asksPasscode ? { passcode: passcode.input.value } : {}),
        ...(meeting.e2ee ? { words: words.input.value } : {}),
        consent,
      });
    },
  }, name.element, asksPasscode && passcode.element,
    ...(meeting.e2ee ? sealed(words.element) : []), !meeting.e2ee && h('fieldset', { class: 'consents' }, h('legend', {}, 'Consent'), recording.element, captions.element), refusal);
  const join = joinForm.querySelector('button[type=submit]');
  join.id = 'join';
  // What would be sent in the clear is not sent.
  join.disabled = meeting.e2ee && !Encryption.supported;

  page.replaceChildren(
    h('header', { class: 'top' }, brand()),
    h('main', { class: 'prejoin' },
      h('section', { class: 'prejoin-media', 'aria-label': 'Camera and microphone' }, ...preview(media, name.input, signal)),
      h('section', { class: 'card prejoin-card' },
        h('h1', {}, meeting.title),
        h('p', { class: 'hint' }, statusLine(meeting)),
        joinForm)),
  );
  const label = () => setText(join, media.camera || media.microphone ? 'Join' : 'Join as viewer');
  media.addEventListener('change', label, { signal });
  label();
}

/** @param {HTMLElement} words @returns {HTMLElement[]} */
function sealed(words) {
  if (!Encryption.supported) return [h('p', { class: 'problem' }, 'This meeting is end-to-end encrypted, which this browser does not support here.')];
  return [words, h('p', { class: 'hint' }, 'This meeting is end-to-end encrypted: only people who enter the same passphrase see and hear '
    + 'each other. It cannot be recorded, captioned or analysed.')];
}

/** @param {any} meeting */
function statusLine(meeting) {
  if (meeting.locked) return 'The meeting is locked.';
  return meeting.status === 'active' ? 'The meeting is in progress.' : 'Nobody is here yet.';
}

/** @param {import('./local-media.js').LocalMedia} media @param {HTMLInputElement} nameInput @param {AbortSignal} signal */
function preview(media, nameInput, signal) {
  const video = h('video', { class: 'mirrored', autoplay: true, playsinline: true });
  video.muted = true;
  const letters = h('span', { class: 'avatar avatar-large' });
  const words = h('p', { class: 'preview-problem' });
  const frame = h('div', { class: 'preview' }, video, letters, words);
  const meter = levelMeter(signal);
  const microphone = iconButton('mic', 'Microphone', { class: 'round', onclick: () => void media.setMicrophone(!media.microphoneOn) });
  const camera = iconButton('camera', 'Camera', { class: 'round', onclick: () => void media.setCamera(!media.cameraOn) });
  frame.append(h('div', { class: 'preview-bar' }, microphone, camera));
  const choices = deviceChoices(media);

  const update = () => {
    if (video.srcObject?.getVideoTracks()[0] !== (media.camera ?? undefined)) {
      video.srcObject = media.camera ? new MediaStream([media.camera]) : null;
    }
    video.hidden = !media.camera;
    setText(letters, initials(nameInput.value));
    letters.hidden = Boolean(media.camera);
    setText(words, media.camera ? '' : media.problems.camera);
    toggle(microphone, 'mic', 'Microphone', media.microphoneOn && media.microphone !== null, media.problems.microphone);
    toggle(camera, 'camera', 'Camera', media.camera !== null, media.problems.camera);
    meter.show(media.microphoneOn ? media.microphone : null);
    choices.update();
  };
  media.addEventListener('change', update, { signal });
  nameInput.addEventListener('input', update, { signal });
  update();
  if (!media.support.devices) return [frame, insecureNotice(media)];
  return [frame, h('div', { class: 'devices' }, choices.element, meter.element)];
}

/** @param {HTMLElement} button @param {string} symbol @param {string} label @param {boolean} on @param {string} problem */
function toggle(button, symbol, label, on, problem) {
  button.replaceChildren(icon(on ? symbol : `${symbol}-off`));
  button.setAttribute('aria-pressed', String(on));
  button.setAttribute('aria-label', `${label} ${on ? 'on' : 'off'}`);
  button.title = problem || `${label}: ${on ? 'on' : 'off'}`;
}

/** @param {import('./local-media.js').LocalMedia} media */
function insecureNotice(media) {
  if (media.support.secure) return h('p', { class: 'card notice' }, 'This browser offers no camera or microphone. You can join as a viewer.');
  const secure = new URL(location.href);
  secure.protocol = 'https:';
  const link = h('a', { href: secure.href, target: '_self' }, secure.href);
  // A gateway has both standard ports; without one the server knows where else it serves.
  if (location.port !== '') {
    void rest.server().then(({ https_port: port }) => {
      secure.port = String(port ?? '');
      link.href = secure.href;
      setText(link, secure.href);
    }).catch(() => undefined);
  }
  return h('div', { class: 'card notice', id: 'insecure' }, icon('warning'),
    h('div', {},
      h('p', {}, h('strong', {}, 'No camera at this address. '),
        'Browsers allow camera and microphone only on encrypted pages, and this page was loaded over plain HTTP.'),
      h('p', {}, 'You can join as a viewer, or open ', link, ' instead.')));
}
