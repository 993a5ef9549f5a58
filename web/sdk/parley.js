/** Parley's web SDK. See README.md beside this file. */
export { AudioOutput } from './audio-output.js';
export { deviceProblem, listDevices, mediaSupport, openCamera, openMicrophone, openScreen } from './devices.js';
export { Rest, RestError, admission } from './rest.js';
export { Room } from './room.js';
export { SignalingError, VERSION } from './signaling.js';
export { StatisticsReader, qualityOf } from './statistics.js';
