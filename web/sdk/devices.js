/** Cameras, microphones, speakers and screens, and the reasons why they are unavailable. */

/**
 * The devices that this page may use. On an insecure origin browsers hide all of them.
 * @returns {{secure: boolean, devices: boolean, screen: boolean, speakerChoice: boolean}}
 */
export function mediaSupport() {
  const media = navigator.mediaDevices;
  return {
    secure: globalThis.isSecureContext,
    devices: typeof media?.getUserMedia === 'function',
    screen: typeof media?.getDisplayMedia === 'function',
    speakerChoice: typeof HTMLMediaElement.prototype.setSinkId === 'function',
  };
}

/** @returns {Promise<{cameras: MediaDeviceInfo[], microphones: MediaDeviceInfo[], speakers: MediaDeviceInfo[]}>} */
export async function listDevices() {
  const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  /** @param {MediaDeviceKind} kind */
  const of = (kind) => all.filter((device) => device.kind === kind && device.deviceId !== '');
  return { cameras: of('videoinput'), microphones: of('audioinput'), speakers: of('audiooutput') };
}

/**
 * @param {string} [deviceId] @param {{noiseSuppression?: boolean, music?: boolean}} [options] `music`: in stereo and unprocessed,
 *   and sent at a higher rate. Without echo cancellation, the others hear themselves unless headphones are used.
 * @returns {Promise<MediaStreamTrack>}
 */
export async function openMicrophone(deviceId, { noiseSuppression = true, music = false } = {}) {
  const processing = { echoCancellation: !music, noiseSuppression: noiseSuppression && !music, autoGainControl: !music };
  const [track] = (await open({ audio: { ...processing, ...(music ? { channelCount: { ideal: 2 } } : {}), ...wanted(deviceId) } })).getAudioTracks();
  if (music) track.contentHint = 'music';
  return track;
}

/** @param {string} [deviceId] @returns {Promise<MediaStreamTrack>} 720p if the camera supports it */
export async function openCamera(deviceId) {
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 }, ...wanted(deviceId) };
  return (await open({ video })).getVideoTracks()[0];
}

/**
 * Ask the user for a screen, window or tab, with its sound if the browser supports it.
 * @returns {Promise<{screen: MediaStreamTrack, audio: MediaStreamTrack|null}>}
 */
export async function openScreen() {
  const stream = await navigator.mediaDevices.getDisplayMedia({
    video: { frameRate: { ideal: 15, max: 30 } },
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  return { screen: stream.getVideoTracks()[0], audio: stream.getAudioTracks()[0] ?? null };
}

/** Classify an error of the functions above. @param {unknown} error @returns {'refused'|'missing'|'in-use'|'failed'} */
export function deviceProblem(error) {
  switch (error instanceof DOMException ? error.name : '') {
    case 'NotAllowedError':
      return 'refused';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'missing';
    case 'NotReadableError':
      return 'in-use';
    default:
      return 'failed';
  }
}

/** Constraints for a chosen device; `ideal`, because it may have been unplugged. @param {string} [deviceId] */
function wanted(deviceId) {
  return deviceId ? { deviceId: { ideal: deviceId } } : {};
}

/** @param {MediaStreamConstraints} constraints */
function open(constraints) {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException('insecure origin', 'SecurityError');
  return navigator.mediaDevices.getUserMedia(constraints);
}
