/**
 * Stereo sound: browsers encode and decode Opus in mono unless the receiver's description asks for `stereo=1` (RFC 7587,
 * section 7.1), which neither Chromium nor Safari adds by itself.
 */

const OPUS = /^a=rtpmap:(\d+) opus\/48000\/2\r\n/m;

/**
 * Ask for stereo in an answer. @param {string} sdp
 * @param {(mid: string) => boolean} [wanted] for which sections; all by default
 * @returns {string}
 */
export function withStereo(sdp, wanted = () => true) {
  return sdp
    .split(/(?=^m=)/m)
    .map((section) => (section.startsWith('m=audio') && wanted(/^a=mid:(\S+)/m.exec(section)?.[1] ?? '') ? asking(section) : section))
    .join('');
}

/** @param {string} section @returns {string} */
function asking(section) {
  const number = OPUS.exec(section)?.[1];
  if (!number || new RegExp(`^a=fmtp:${number} .*\\bstereo=`, 'm').test(section)) return section;
  const parameters = new RegExp(`^a=fmtp:${number} [^\\r]*`, 'm');
  return parameters.test(section) ? section.replace(parameters, (line) => `${line};stereo=1`) : section.replace(OPUS, (line) => `${line}a=fmtp:${number} stereo=1\r\n`);
}
