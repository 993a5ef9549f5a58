/** The texts of the consents. A change of meaning needs another version, which is stored with each answer. */

export const RECORDING = {
  version: 'recording-1',
  label: 'I agree to be recorded',
  text: 'If the host records, your sound, picture and shared screen are stored on this server. Otherwise you attend unrecorded.',
};

/** What a meeting makes of that consent, as far as it does not ask each. */
/** @type {Record<string, string>} */
export const RECORDING_POLICIES = {
  implied: 'Joining this meeting means that you agree to be recorded. You can withdraw your consent at any time during the meeting.',
  required: 'This meeting is only for people who agree to be recorded.',
};

export const CAPTIONS = {
  version: 'captions-1',
  label: 'I agree to captions of what I say',
  text: 'This server turns your speech into text, shows it to everybody here and keeps it with the meeting.',
};
