/** Controls of a call outside the page: buttons of headsets, of the lock screen, and of the browser's own window. */

/**
 * @param {AbortSignal} signal @param {(action: string) => void} act @param {boolean} floats whether the browser may open the small window
 *   when the user turns to another tab
 * @returns {(state: {microphone: boolean, camera: boolean}) => void} shows what is on
 */
export function mediaSession(signal, act, floats) {
  const session = /** @type {any} */ (navigator.mediaSession);
  if (!session) return () => undefined;
  const handlers = { togglemicrophone: 'microphone', togglecamera: 'camera', hangup: 'leave', ...(floats ? { enterpictureinpicture: 'float' } : {}) };
  /** @param {string} name @param {(() => void)|null} handler */
  const set = (name, handler) => {
    try {
      session.setActionHandler(name, handler);
    } catch {
      // This browser does not know the action.
    }
  };
  for (const [name, action] of Object.entries(handlers)) set(name, () => act(action));
  signal.addEventListener('abort', () => Object.keys(handlers).forEach((name) => set(name, null)));
  return ({ microphone, camera }) => {
    session.setMicrophoneActive?.(microphone);
    session.setCameraActive?.(camera);
  };
}
