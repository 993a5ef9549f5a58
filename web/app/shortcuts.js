/** Keyboard shortcuts of a call. */
import { preferences } from './preferences.js';
import { t } from './words.js';

/** The key that unmutes while it is held. */
export const TALK_KEY = ' ';

/** @type {{key: string, action: string}[]} in the order of the help */
export const SHORTCUTS = [
  { key: 'm', action: 'microphone' },
  { key: 'v', action: 'camera' },
  { key: 's', action: 'screen' },
  { key: 'h', action: 'hand' },
  { key: 'e', action: 'react' },
  { key: 'c', action: 'captions' },
  { key: 'y', action: 'transcript' },
  { key: 't', action: 'chat' },
  { key: 'p', action: 'people' },
  { key: 'a', action: 'activities' },
  { key: 'n', action: 'notes' },
  { key: 'w', action: 'board' },
  { key: 'r', action: 'record' },
  { key: 'g', action: 'layout' },
  { key: 'f', action: 'full-screen' },
  { key: 'x', action: 'statistics' },
  { key: 'i', action: 'float' },
  { key: 'PageDown', action: 'page-next' },
  { key: 'PageUp', action: 'page-previous' },
  { key: 'd', action: 'devices' },
  { key: 'b', action: 'effects' },
  { key: 'L', action: 'leave' },
  { key: '?', action: 'help' },
];

/** @param {string} action @returns {string} the key, '' if it has none */
export function keyOf(action) {
  return SHORTCUTS.find((shortcut) => shortcut.action === action)?.key ?? '';
}

/** The modifier that users may ask for: Alt writes letters on a Mac, where Control is free. */
const MAC = /^(Mac|iP)/.test(navigator.platform);

/** @param {string} key @returns {string} the label on the keys to press */
export function keyName(key) {
  if (key === 'modifier') return MAC ? '⌃ Control' : 'Alt';
  const name = key === 'PageDown' || key === 'PageUp' ? t(`key.${key}`) : key === 'L' ? 'Shift+L' : key.toUpperCase();
  return preferences().shortcutsModifier ? `${MAC ? '⌃' : 'Alt'}+${name}` : name;
}

/**
 * Return the action of a key; ignore letters typed into a field, and modifiers other than the one that is asked for.
 * @param {KeyboardEvent} event @returns {string} action or ''
 */
export function actionOf(event) {
  const { shortcuts, shortcutsModifier } = preferences();
  if (!shortcuts || event.metaKey || event.repeat || event.defaultPrevented) return '';
  if (event.ctrlKey !== (shortcutsModifier && MAC) || event.altKey !== (shortcutsModifier && !MAC)) return '';
  // With the modifier, a key does nothing else, so it acts in fields too.
  if (!shortcutsModifier && event.target instanceof Element && event.target.closest('input, textarea, select, [contenteditable]')) return '';
  if (event.target instanceof Element && event.target.closest('dialog')) return '';
  return SHORTCUTS.find((shortcut) => shortcut.key === event.key)?.action ?? '';
}
