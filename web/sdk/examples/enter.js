import { Rest, Room, admission } from '@parley/sdk';

/**
 * Join as a user of an application, without an account: the same identity is the same participant each time.
 * @param {{server: string, key: string, meeting: string}} where @param {string} identity
 * @param {{role?: string, options?: object, publish?: (room: Room) => Promise<unknown>}} [how] `publish` is called before joining
 */
export async function enter({ server, key, meeting }, identity, { role = 'participant', options = {}, publish } = {}) {
  const { token } = await new Rest(server, { bearer: key }).admit(meeting, { identity, name: identity, role });
  const room = new Room({ admit: admission(new Rest(server), meeting, { name: identity, admission_token: token }), ...options });
  await publish?.(room);
  await room.join();
  return room;
}

/** The next event of a kind for which `matches` holds. @param {EventTarget} target @param {string} kind @param {(detail: any) => boolean} [matches] */
export function next(target, kind, matches = () => true) {
  return new Promise((resolve) => {
    const listener = (/** @type {any} */ { detail }) => {
      if (!matches(detail)) return;
      target.removeEventListener(kind, listener);
      resolve(detail);
    };
    target.addEventListener(kind, listener);
  });
}
