/**
 * Retransmission of lost audio: browsers request lost Opus packets and resend them if `nack` is negotiated. Chromium and
 * Safari support both, but only if `nack` is added to the session description.
 */

/**
 * Offer `nack` for Opus, or accept it in an answer.
 * @param {string} sdp our description
 * @param {string} [offered] the description that it answers: only what was offered there is accepted
 * @returns {string}
 */
export function withAudioNack(sdp, offered) {
  const offers = offered?.split(/(?=^m=)/m);
  return sdp
    .split(/(?=^m=)/m)
    .map((section, index) => (section.startsWith('m=audio') && (!offers || asks(offers[index])) ? adding(section) : section))
    .join('');
}

const OPUS = /^a=rtpmap:(\d+) opus\/48000\/2\r\n/m;

/** @param {string|undefined} section @returns {boolean} whether it has `nack` for Opus */
function asks(section = '') {
  const opus = OPUS.exec(section);
  return opus !== null && section.includes(`a=rtcp-fb:${opus[1]} nack\r\n`);
}

/** @param {string} section @returns {string} */
function adding(section) {
  return asks(section) ? section : section.replace(OPUS, (line, number) => `${line}a=rtcp-fb:${number} nack\r\n`);
}
