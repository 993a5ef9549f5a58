/**
 * Parley's web SDK. See README.md beside this file.
 *
 * @typedef {import('./connection-state.js').ConnectionState} ConnectionState
 * @typedef {import('./roster.js').Participant} Participant
 * @typedef {import('./roster.js').RemoteTrack} RemoteTrack
 * @typedef {import('./statistics.js').Reading} Reading
 * @typedef {import('./statistics.js').Seen} Seen
 * @typedef {import('./statistics.js').Quality} Quality
 * @typedef {import('./uplink.js').Uplink} Uplink
 */
export { admission } from './admission.js';
export { AudioOutput } from './audio-output.js';
export { deviceProblem, listDevices, mediaSupport, openCamera, openMicrophone, openScreen } from './devices.js';
export { Emitter } from './emitter.js';
export { Encryption } from './encryption.js';
export { EarlySocket } from './racing-socket.js';
export { Rest, RestError } from './rest.js';
export { Room } from './room.js';
export { SignalingError, VERSION } from './signaling.js';
export { StatisticsReader, qualityOf } from './statistics.js';
