/** Keyboard shortcuts of a call. */

/** @type {{key: string, action: string, words: string}[]} in the order of the help */
export const SHORTCUTS = [
  { key: 'm', action: 'microphone', words: 'Turn the microphone on or off' },
  { key: 'v', action: 'camera', words: 'Turn the camera on or off' },
  { key: 's', action: 'screen', words: 'Share the screen or stop sharing' },
  { key: 'c', action: 'captions', words: 'Show or hide captions' },
  { key: 't', action: 'chat', words: 'Open or close the chat' },
  { key: 'p', action: 'people', words: 'Open or close the list of participants' },
  { key: 'r', action: 'record', words: 'Start or stop recording' },
  { key: 'd', action: 'devices', words: 'Choose camera, microphone and speaker' },
  { key: 'L', action: 'leave', words: 'Leave' },
  { key: '?', action: 'help', words: 'Show these shortcuts' },
];

/** @param {string} action @returns {string} the key, '' when it has none */
export function keyOf(action) {
  return SHORTCUTS.find((shortcut) => shortcut.action === action)?.key ?? '';
}

/** Letters typed into a field, or with a modifier, are not ours. @param {KeyboardEvent} event @returns {string} action or '' */
export function actionOf(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return '';
  if (event.target instanceof Element && event.target.closest('input, textarea, select, [contenteditable], dialog')) return '';
  return SHORTCUTS.find((shortcut) => shortcut.key === event.key)?.action ?? '';
}
