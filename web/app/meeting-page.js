/** `/m/<meeting>`: before, during and after a call, with one set of devices. */
import { titleOf } from './brand.js';
import { modelReads } from './consents.js';
import { readAddress } from './entry-address.js';
import { LocalMedia } from './local-media.js';
import { showLeft } from './left.js';
import { showPrejoin } from './prejoin.js';
import { EarlySocket } from '/sdk/racing-socket.js';
import { currentUser, rest } from './session.js';
import { h } from './dom.js';
import { loadMoreWords, t } from './words.js';

/** Longer than a server takes that is well; later answers are used in the call only. */
const OFFER_MS = 400;

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export async function showMeeting(page, context) {
  const [id] = context.parameters;
  const given = readAddress(id);
  const media = new LocalMedia();
  media.cameraOn &&= given.camera;
  media.microphoneOn &&= given.microphone;
  context.signal.addEventListener('abort', () => media.close());
  void rest.prefetch().catch(() => undefined);
  const embedding = parent === window ? null : import('./embedding.js').then(({ Embedding }) => new Embedding(context, media));
  // What the server does with speech and faces; consent is asked only for what it can do.
  const offer = rest.get('/ai/analysis').catch(() => ({}));
  // Load account and devices in parallel. Attendees of a webinar need no devices until they may speak.
  const found = rest.meeting(id).then((/** @type {any} */ meeting) => {
    void media.start(!watches(meeting, given));
    return meeting;
  });
  const [meeting, user] = await Promise.all([found, currentUser(), Promise.race([offer, pause(OFFER_MS)])]);
  if (context.signal.aborted) return;
  if (user) rest.keepSession(context.signal);
  document.title = titleOf(meeting.title);
  if (!user && !meeting.guests && !given.token) {
    showSignInFirst(page, id);
    return;
  }
  if (meeting.status === 'ended') {
    showLeft(page, { meeting, code: 'ended', again: null });
    return;
  }
  const early = await Promise.race([offer, null]);
  run(page, context, { meeting, user, media, given, offer, captions: early?.captions !== false, toModel: modelReads(early), embedding: await embedding });
}

/** @param {number} ms @returns {Promise<void>} */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whether we join as an attendee. @param {any} meeting @param {import('./entry-address.js').Given} given */
function watches(meeting, given) {
  return Boolean(meeting.webinar) && !given.token && (meeting.role === null || meeting.role === 'viewer');
}

/** Load the scripts of a call while people check their picture. */
function loadCall() {
  const loading = Promise.all([import('./call.js'), loadMoreWords('whole')]);
  loading.catch(() => dispatchEvent(new Event('parley:incomplete')));
  return loading;
}

/** @param {HTMLElement} page @param {import('./main.js').Context} context @param {{meeting: any, user: any, media: LocalMedia,
 *   given: import('./entry-address.js').Given, offer: Promise<any>, captions: boolean, toModel: boolean, embedding: import('./embedding.js').Embedding|null}} options
 *   `captions`: whether to ask for consent to them; `toModel`: whether a language model gets them
 */
function run(page, context, { meeting, user, media, given, offer, captions, toModel, embedding }) {
  const loading = loadCall();
  let early = EarlySocket.open(meeting.webtransport);
  context.signal.addEventListener('abort', () => early?.close());
  const takeEarly = () => {
    const taken = early;
    early = null;
    return taken;
  };
  const prejoin = (problem = '') => stage((signal) => {
    const enter = showPrejoin(page, { context, meeting, user, media, signal, problem, given, captions, toModel, watches: watches(meeting, given), enter: call });
    embedding?.waits(enter, problem);
  });
  /** @param {import('./prejoin.js').Entry} entry */
  const call = (entry) => stage(async (signal) => {
    const [{ showCall }] = await loading;
    if (signal.aborted) return;
    const shown = showCall(page, {
      meeting, media, entry, given, offer, early: takeEarly, signal, refused: prejoin, over: (code, reason) => left(entry, code, reason),
    });
    embedding?.enters(shown, media);
  });
  /** @param {import('./prejoin.js').Entry} entry @param {string} code @param {string} [reason] */
  const left = (entry, code, reason) => stage(() => {
    media.close();
    showLeft(page, { meeting, code, reason, again: () => void rejoin(entry) });
    embedding?.leaves(code, reason);
  });
  /** @param {import('./prejoin.js').Entry} entry */
  const rejoin = async (entry) => {
    media = new LocalMedia();
    context.signal.addEventListener('abort', () => media.close());
    void media.start(!watches(meeting, given));
    call(entry);
  };
  let current = new AbortController();
  context.signal.addEventListener('abort', () => current.abort());
  /** @param {(signal: AbortSignal) => unknown} show */
  const stage = (show) => {
    current.abort();
    current = new AbortController();
    show(current.signal);
  };
  // Anybody can make a link, but only pages that the operator lists can show a frame: they alone may join for somebody.
  const entry = given.prejoin || parent === window ? null : entryUnasked(meeting, user, given);
  if (entry) call(entry);
  else prejoin();
}

/**
 * Return the entry of a person if the form has nothing to ask, otherwise null. Consent to recording is then asked in the call.
 * @param {any} meeting @param {any} user @param {import('./entry-address.js').Given} given @returns {import('./prejoin.js').Entry|null}
 */
function entryUnasked(meeting, user, given) {
  const name = given.token ? '' : user?.display_name || given.name;
  const asks = meeting.e2ee || meeting.consent === 'required' || (!given.token && (!name || (meeting.passcode_required && !meeting.role)));
  return asks ? null : { name, consent: { recording: meeting.consent === 'implied', captions: null } };
}

/** @param {HTMLElement} page @param {string} id */
function showSignInFirst(page, id) {
  page.replaceChildren(
    h('main', { class: 'centred' },
      h('div', { class: 'card notice' },
        h('h1', {}, t('prejoin.sign-in')),
        h('p', {}, t('prejoin.sign-in-text')),
        h('a', { class: 'button primary', href: `/?next=${encodeURIComponent(`/m/${id}`)}` }, t('sign-in.action')))),
  );
}
