/** Short notices in a call: people join, leave or raise a hand. Larger groups are counted, not listed. */
import { t } from './words.js';
import { toast } from './toasts.js';

const GATHERED_MS = 1_200;
/** Larger meetings show no notices, because people join and leave all the time. */
const MOST_PEOPLE = 30;

/** @param {import('/sdk/parley.js').Room} room @param {AbortSignal} signal */
export function announcePeople(room, signal) {
  /** Participants in the first room-info joined before us. */
  let greeted = false;
  /** @type {Record<'joined'|'left', Map<string, string>>} */
  const gathered = { joined: new Map(), left: new Map() };
  /** @type {Set<string>} */
  const raised = new Set();
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let timer;

  function say() {
    timer = undefined;
    for (const kind of /** @type {const} */ (['joined', 'left'])) {
      const [name] = gathered[kind].values();
      const count = gathered[kind].size;
      gathered[kind].clear();
      if (count > 0) toast(t(`notice.${kind}`, { count, name, others: count - 1 }));
    }
  }

  /** @param {'joined'|'left'} kind @param {import('/sdk/parley.js').Participant} participant */
  function note(kind, { id, name }) {
    if (!greeted || id === room.participant || room.roster.participants.size > MOST_PEOPLE) return;
    // No notice is shown if somebody returns before it would appear.
    if (!gathered[kind === 'joined' ? 'left' : 'joined'].delete(id)) gathered[kind].set(id, name);
    timer ??= setTimeout(say, GATHERED_MS);
  }

  room.addEventListener('grants', () => (greeted = true), { signal });
  room.addEventListener('participant-joined', ({ detail }) => {
    if (detail.hand > 0) raised.add(detail.id);
    note('joined', detail);
  }, { signal });
  room.addEventListener('participant-left', ({ detail }) => {
    raised.delete(detail.id);
    note('left', detail);
  }, { signal });
  room.addEventListener('participant-updated', ({ detail: { id, name, hand } }) => {
    if (hand > 0 && !raised.has(id) && id !== room.participant) toast(t('notice.hand', { name }));
    if (hand > 0) raised.add(id);
    else raised.delete(id);
  }, { signal });
  signal.addEventListener('abort', () => clearTimeout(timer));
}
