/** The dialogs in which hosts control a meeting, or a participant, during a call. Loaded when one is first opened. */
import { show, showForm } from './dialogs.js';
import { h } from './dom.js';
import { check } from './fields.js';
import { sentenceOf } from './format.js';
import { icon } from './icons.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

/** The settings that hosts change during a meeting, as groups of [name, label, explanation] under a heading. Changes take effect immediately. @returns {[string, string[][]][]} */
const groups = () => [
  [t('host.entering'), [
    ['locked', t('host.locked'), t('host.locked-text')],
    ['lobby', t('host.lobby'), t('host.lobby-text')],
    ['mute_on_entry', t('host.mute_on_entry'), t('host.mute_on_entry-text')],
    ['webinar', t('home.webinar'), t('home.webinar-text')],
  ]],
  [t('host.may'), [
    ['may_share', t('host.may_share'), ''],
    ['may_chat', t('host.may_chat'), ''],
    ['may_unmute', t('host.may_unmute'), t('host.may_unmute-text')],
    ['may_rename', t('host.may_rename'), ''],
    ['may_record', t('host.may_record'), ''],
  ]],
];

/**
 * Show the dialog for the meeting: who may join, what participants may do, where it is streamed.
 * @param {import('./call.js').Call} call
 */
export async function showHostControls({ meeting, room }) {
  const path = `/meetings/${encodeURIComponent(meeting.id)}`;
  const { settings } = await rest.get(path);
  /** @param {string[]} setting */
  const setting = ([name, label, text]) => {
    const { element, input } = check(label, text, settings[name], async (on) => {
      try {
        await rest.put(path, { settings: { [name]: on } });
      } catch (error) {
        input.checked = !on;
        toast(sentenceOf(error), 'problem');
      }
    });
    input.name = name;
    return element;
  };
  await showForm(t('host.title'), (close) => [
    ...groups().map(([heading, members]) => h('fieldset', { class: 'host-settings' }, h('legend', {}, heading),
      ...members.map(setting))),
    !meeting.e2ee && h('div', { class: 'row-actions' },
      button('globe', t('people.live'), async () => {
        close();
        (await import('./broadcast.js')).showBroadcast(meeting.id, room);
      }),
      button('key', t('people.stream-keys'), async () => {
        close();
        (await import('./stream-keys.js')).showStreamKeys(meeting.id);
      })),
  ]);
}

/** @param {string} symbol @param {string} label @param {() => unknown} onclick */
function button(symbol, label, onclick) {
  return h('button', { type: 'button', class: 'button', onclick: () => void onclick() }, icon(symbol), label);
}

/**
 * Show a host's actions for a participant. @returns {Promise<string>} the chosen action, '' if the dialog was closed
 * @param {import('./call.js').Call} call @param {import('/sdk/parley.js').Participant} participant
 */
export function showParticipantActions({ room, owner }, participant) {
  const { name, id } = participant;
  const camera = room.roster.tracksOf(id).find(({ source }) => source === 'camera');
  const spotlit = room.shared.spotlight === id;
  /** @type {[boolean, string, string, string, boolean?][]} whether it is possible, action, icon, text, whether it is destructive */
  const actions = [
    [participant.attendee, 'promote', 'mic', t('people.promote', { name })],
    [Boolean(camera && !camera.muted), 'stop-video', 'camera-off', t('people.stop-video', { name })],
    [Boolean(camera?.mutedByHost), 'allow-video', 'camera', t('people.allow-video', { name })],
    [!participant.attendee, 'spotlight', 'spotlight', t(spotlit ? 'people.spotlight-off' : 'people.spotlight', { name })],
    [!participant.attendee && !participant.host && !participant.presenter, 'present', 'screen', t('people.present', { name })],
    [participant.presenter, 'present-no-more', 'screen', t('people.present-no-more', { name })],
    [owner && !participant.host, 'appoint', 'shield', t('people.appoint', { name })],
    [owner && participant.host, 'dismiss', 'shield', t('people.dismiss', { name })],
    [!participant.attendee && !participant.host, 'demote', 'people', t('people.demote', { name })],
    [true, 'rename', 'edit', t('people.rename', { name })],
    [true, 'remove', 'remove', t('people.remove', { name }), true],
  ];
  return show((dialog) => [
    h('div', { class: 'dialog-head' }, h('h2', {}, name), h('button', { type: 'button', class: 'button small', onclick: () => dialog.close('') }, t('action.close'))),
    h('div', {}, ...actions.filter(([possible]) => possible).map(([, action, symbol, text, final]) => h('button', {
      type: 'button', class: final ? 'menu-item menu-danger' : 'menu-item', 'data-host': action, onclick: () => dialog.close(action),
    }, icon(symbol), text))),
  ]);
}
