/** The view before joining: preview, devices, name and consents. */
import { Encryption } from '/sdk/encryption.js';
import { avatarOf, face } from './avatars.js';
import { captionsConsent, recordingPolicy } from './consents.js';
import { h, setText } from './dom.js';
import { deviceChoices } from './device-choices.js';
import { check, field, form, iconButton } from './fields.js';
import { icon } from './icons.js';
import { levelMeter } from './level-meter.js';
import { attendance, preferences, remember } from './preferences.js';
import { rest } from './session.js';
import { rich, t } from './words.js';
import { top } from './shell.js';

/**
 * @typedef {{name?: string, passcode?: string, words?: string, consent: {recording: boolean, captions: boolean|null, captionsText?: string}}} Entry `captions` is null if they were not asked for; `captionsText` is the version shown
 * @param {HTMLElement} page
 * @param {{meeting: any, user: any, media: import('./local-media.js').LocalMedia, signal: AbortSignal, context: import('./main.js').Context,
 *   given: import('./entry-address.js').Given, captions: boolean, toModel?: boolean, watches?: boolean, problem?: string, enter: (entry: Entry) => void}} options
 * @returns {(entry: Partial<Entry>) => void} submits the form, with a name or passcode
 */
export function showPrejoin(page, { meeting, user, media, signal, context, given, captions: asksCaptions, toModel = false, watches = false, problem = '', enter }) {
  const name = field(t('prejoin.name'), {
    name: 'name', required: true, maxlength: 200, autocomplete: 'name', value: user?.display_name ?? (given.name || preferences().name),
  });
  const passcode = field(t('prejoin.passcode'), { name: 'passcode', required: true, autocomplete: 'off' });
  const words = field(t('prejoin.passphrase'), { name: 'words', required: true, autocomplete: 'off' });
  const implied = meeting.consent === 'implied';
  const recording = check(t('consent.recording'), recordingPolicy(meeting.consent) || t('consent.recording-text'), implied || preferences().consentRecording);
  recording.input.required = meeting.consent === 'required';
  recording.input.disabled = implied;
  const captioned = captionsConsent(toModel);
  const captions = check(t('consent.captions'), captioned.text, preferences().consentCaptions);
  // A participant who rejoins needs no passcode.
  const asksPasscode = meeting.passcode_required && !meeting.role && !given.token && !attendance(meeting.id).rejoin_secret;
  const refusal = h('p', { class: 'problem', role: 'alert', hidden: problem === '' }, problem);
  const joinForm = form({
    action: t('prejoin.join'),
    class: 'prejoin-form',
    submit: async () => {
      const consent = { recording: recording.input.checked, captions: asksCaptions ? captions.input.checked : null, captionsText: captioned.version };
      remember({ consentRecording: consent.recording, ...(asksCaptions ? { consentCaptions: captions.input.checked } : {}) });
      enter({
        // The name of an admitted person comes from the application.
        ...(given.token ? {} : { name: name.input.value.trim() }),
        ...(asksPasscode ? { passcode: passcode.input.value } : {}),
        ...(meeting.e2ee ? { words: words.input.value } : {}),
        consent,
      });
    },
  }, !given.token && name.element, asksPasscode && passcode.element,
    ...(meeting.e2ee ? sealed(words.element) : []), !meeting.e2ee && h('fieldset', { class: 'consents' }, h('legend', {}, t('prejoin.consent')), recording.element, asksCaptions && captions.element), refusal);
  // Kept at once: the page may be loaded again before the form is sent, for example when the network changes.
  if (!given.token) name.input.addEventListener('change', () => remember({ name: name.input.value.trim() }), { signal });
  const join = joinForm.querySelector('button[type=submit]');
  join.id = 'join';
  // Without support for encryption, media would be sent in the clear.
  join.disabled = meeting.e2ee && !Encryption.supported;

  page.replaceChildren(
    top(context),
    h('main', { class: watches ? 'prejoin prejoin-watching' : 'prejoin' },
      !watches && h('section', { class: 'prejoin-media', 'aria-label': t('prejoin.media') }, ...preview(media, name.input, given.token ? null : user, signal)),
      h('section', { class: 'card prejoin-card' },
        h('h1', {}, meeting.title),
        h('p', { class: 'hint' }, statusLine(meeting)),
        watches && h('p', {}, t('prejoin.webinar')),
        joinForm)),
  );
  const label = () => setText(join, t(watches || media.camera || media.microphone || media.starting ? 'prejoin.join' : 'prejoin.viewer'));
  media.addEventListener('change', label, { signal });
  label();
  return (entry) => {
    if (entry.name !== undefined) name.input.value = entry.name;
    if (entry.passcode !== undefined) passcode.input.value = entry.passcode;
    joinForm.requestSubmit();
  };
}

/** @param {HTMLElement} words @returns {HTMLElement[]} */
function sealed(words) {
  if (!Encryption.supported) return [h('p', { class: 'problem' }, t('prejoin.sealed-unsupported'))];
  return [words, h('p', { class: 'hint' }, t('prejoin.sealed'))];
}

/** @param {any} meeting */
function statusLine(meeting) {
  if (meeting.locked) return t('prejoin.locked');
  return t(meeting.status === 'active' ? 'prejoin.running' : 'prejoin.nobody');
}

/** @param {import('./local-media.js').LocalMedia} media @param {HTMLInputElement} nameInput @param {any} user @param {AbortSignal} signal */
function preview(media, nameInput, user, signal) {
  const video = h('video', { autoplay: true, playsinline: true });
  video.muted = true;
  const letters = h('span', { class: 'avatar avatar-large' });
  const words = h('p', { class: 'preview-problem' });
  const frame = h('div', { class: 'preview' }, video, letters, words);
  const meter = levelMeter(signal);
  const microphone = iconButton('mic', t('device.microphone'), { class: 'round', onclick: () => void media.setMicrophone(!media.microphoneOn) });
  const camera = iconButton('camera', t('device.camera'), { class: 'round', onclick: () => void media.setCamera(!media.cameraOn) });
  const effects = iconButton('image', t('effects.title'), { class: 'round', onclick: async () => void (await import('./effects-dialog.js')).showEffects(media) });
  frame.append(h('div', { class: 'preview-bar' }, microphone, camera, media.support.devices && effects));
  const choices = deviceChoices(media);
  let picture = '';

  const update = () => {
    if (video.srcObject?.getVideoTracks()[0] !== (media.camera ?? undefined)) {
      video.srcObject = media.camera ? new MediaStream([media.camera]) : null;
    }
    video.hidden = !media.camera;
    video.classList.toggle('mirrored', media.mirrored);
    face(letters, nameInput.value, picture);
    letters.hidden = Boolean(media.camera);
    setText(words, media.camera ? '' : media.problems.camera);
    toggle(microphone, 'mic', 'microphone', media.microphoneOn && (media.microphone !== null || media.starting), media.problems.microphone);
    toggle(camera, 'camera', 'camera', media.camera !== null || (media.starting && media.cameraOn), media.problems.camera);
    meter.show(media.microphoneOn ? media.microphone : null);
    choices.update();
  };
  media.addEventListener('change', update, { signal });
  nameInput.addEventListener('input', update, { signal });
  update();
  if (user?.avatar) {
    void avatarOf(user.id, user.avatar).then((url) => {
      picture = url;
      update();
    });
  }
  if (!media.support.devices) return [frame, insecureNotice(media)];
  return [frame, h('div', { class: 'devices' }, choices.element, meter.element, networkButton())];
}

/** @param {HTMLElement} button @param {string} symbol @param {'camera'|'microphone'} device @param {boolean} on @param {string} problem */
function toggle(button, symbol, device, on, problem) {
  button.replaceChildren(icon(on ? symbol : `${symbol}-off`));
  button.setAttribute('aria-pressed', String(on));
  const state = t(on ? `prejoin.${device}-on` : `prejoin.${device}-off`);
  button.setAttribute('aria-label', state);
  button.title = problem || state;
}

/** Opens the test, which is loaded then. @returns {HTMLElement} */
function networkButton() {
  return h('button', { type: 'button', class: 'link', 'data-action': 'network', onclick: async () => void (await import('./network-test-dialog.js')).showNetworkTest() }, icon('signal'), t('network.open'));
}

/** @param {import('./local-media.js').LocalMedia} media */
function insecureNotice(media) {
  if (media.support.secure) return h('p', { class: 'card notice' }, t('prejoin.no-devices'));
  const secure = new URL(location.href);
  secure.protocol = 'https:';
  const link = h('a', { href: secure.href, target: '_self' }, secure.href);
  // A gateway serves both standard ports; without one, the server reports its HTTPS address.
  if (location.port !== '') {
    void rest.server().then(({ https_port: port }) => {
      secure.port = String(port ?? '');
      link.href = secure.href;
      setText(link, secure.href);
    }).catch(() => undefined);
  }
  return h('div', { class: 'card notice', id: 'insecure' }, icon('warning'),
    h('div', {},
      h('p', {}, h('strong', {}, t('prejoin.insecure-title')), ' ', t('prejoin.insecure')),
      h('p', {}, ...rich('prejoin.insecure-link', { address: secure.href, link: () => link }))));
}
