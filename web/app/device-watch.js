/**
 * Notices about devices in a call: one that was plugged in, offered for use; one that was unplugged, and its replacement; a
 * microphone that gives no sound. A headset brings a microphone and a speaker, by cable or Bluetooth: both are used together.
 */
import { remember } from './preferences.js';
import { toast } from './toasts.js';
import { t } from './words.js';

const LOOK_MS = 2_000;
/** A working microphone has noise; one that gives exact silence for this long from the start is switched off or broken. */
const SILENT_LOOKS = 5;
/** Browsers list these in addition to the device that they stand for. */
const ALIASES = new Set(['default', 'communications']);

/**
 * @param {import('./local-media.js').LocalMedia} media @param {import('/sdk/parley.js').Room} room
 * @param {{setSpeaker: (id: string) => Promise<unknown>, settings: () => void, signal: AbortSignal}} options `settings` opens the dialog where devices are chosen
 */
export function watchDevices(media, room, { setSpeaker, settings, signal }) {
  media.addEventListener('device-added', ({ detail }) => offer(media, detail, setSpeaker, signal), { signal });
  media.addEventListener('device-lost', ({ detail: { kind, label, replacement } }) => {
    const name = label || t(`device.${kind}`);
    toast(replacement ? t('device.replaced', { name, replacement }) : t('device.lost', { name }), 'problem', { label: t('bar.settings'), act: settings });
  }, { signal });
  const timer = setInterval(silenceWatch(media, room, settings), LOOK_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
}

/**
 * Offer new devices until they are taken, or gone again. @param {import('./local-media.js').LocalMedia} media
 * @param {MediaDeviceInfo[]} added @param {(id: string) => Promise<unknown>} setSpeaker @param {AbortSignal} signal
 */
function offer(media, added, setSpeaker, signal) {
  const usable = added.filter(({ deviceId, label }) => !ALIASES.has(deviceId) && label);
  const [first] = usable;
  if (!first) return;
  // What belongs to one piece of hardware is taken together.
  const group = usable.filter(({ groupId, kind }) => groupId === first.groupId || kind === first.kind);
  const of = (/** @type {MediaDeviceKind} */ kind) => group.find((device) => device.kind === kind);
  const withdraw = toast(t('device.added', { name: first.label }), 'info', {
    label: t('device.use'),
    act: async () => {
      const [camera, microphone, speaker] = [of('videoinput'), of('audioinput'), of('audiooutput')];
      if (camera) await media.choose('camera', camera.deviceId);
      if (microphone) await media.choose('microphone', microphone.deviceId);
      if (!speaker) return;
      remember({ speaker: speaker.deviceId });
      await setSpeaker(speaker.deviceId).catch(() => undefined);
    },
  });
  const gone = new AbortController();
  signal.addEventListener('abort', () => gone.abort(), { signal: gone.signal });
  media.addEventListener('change', () => {
    const { cameras, microphones, speakers } = media.devices;
    if ([...cameras, ...microphones, ...speakers].some(({ deviceId }) => deviceId === first.deviceId)) return;
    withdraw();
    gone.abort();
  }, { signal: gone.signal });
}

/**
 * Notice a microphone that gave no sound since it was opened, by the energy that the browser counts anyway, or that the system mutes.
 * Once it was heard, silence means that nobody speaks. @param {import('./local-media.js').LocalMedia} media @param {import('/sdk/parley.js').Room} room @param {() => void} settings
 */
function silenceWatch(media, room, settings) {
  let energy = -1;
  let looks = 0;
  /** The microphone that was heard, or that the user was told about. @type {MediaStreamTrack|null} */
  let settled = null;
  return async () => {
    const { microphone, microphoneOn } = media;
    if (!microphone || !microphoneOn || settled === microphone || room.connection.state !== 'connected') {
      looks = 0;
      energy = -1;
      return;
    }
    const before = energy;
    energy = await energyOf(room.peers.publish, microphone.id);
    if (before >= 0 && energy > before) settled = microphone;
    looks = before >= 0 && energy === before ? looks + 1 : 0;
    if (looks < SILENT_LOOKS && !microphone.muted) return;
    settled = microphone;
    toast(t('device.microphone-silent'), 'problem', { label: t('bar.settings'), act: settings });
  };
}

/** @param {RTCPeerConnection|null} peer @param {string} track @returns {Promise<number>} -1 where browsers do not count it */
async function energyOf(peer, track) {
  let energy = -1;
  (await peer?.getStats())?.forEach((entry) => {
    if (entry.type === 'media-source' && entry.kind === 'audio' && entry.trackIdentifier === track) energy = entry.totalAudioEnergy ?? -1;
  });
  return energy;
}
