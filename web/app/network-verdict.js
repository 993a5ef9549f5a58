/**
 * What the figures of a network test mean for a call, in words.
 *
 * @typedef {'good'|'fair'|'sound'|'poor'} Grade
 * @typedef {'up'|'down'|'loss'|'delay'|'jitter'|'device'} Cause
 */

/**
 * The bounds of each grade. The rates are those of a camera's layers with sound (sdk/encodings.js): all, the two lower ones, sound
 * alone. Delay is as in ITU-T G.114, which calls one way of 150 ms good and 400 ms the limit.
 * @type {Record<'rate'|'loss'|'delay'|'jitter', number[]>}
 */
const BOUNDS = {
  rate: [1_200_000, 300_000, 40_000],
  loss: [0.03, 0.1, 0.25],
  delay: [300, 800, 1500],
  jitter: [50, 120, 300],
};
/** @type {Grade[]} from best to worst */
const GRADES = ['good', 'fair', 'sound', 'poor'];

/**
 * @param {import('./network-test.js').Figures} figures
 * @returns {{grade: Grade, cause: Cause|null}} `cause`: what is worst; null if all is good
 */
export function verdictOf(figures) {
  /** @type {[Cause, number][]} */
  const steps = [
    [figures.isDeviceBusy ? 'device' : 'up', stepDown(figures.up)],
    ['down', stepDown(figures.down)],
    ['loss', stepUp(Math.max(figures.lossUp, figures.lossDown), BOUNDS.loss)],
    ['delay', stepUp(figures.roundTripMs ?? 0, BOUNDS.delay)],
    ['jitter', stepUp(figures.jitterMs, BOUNDS.jitter)],
  ];
  const [cause, step] = steps.reduce((worst, next) => (next[1] > worst[1] ? next : worst));
  return { grade: GRADES[step], cause: step > 0 ? cause : null };
}

/** @param {number} value @param {number[]} bounds */
function stepUp(value, bounds) {
  const step = bounds.findIndex((bound) => value <= bound);
  return step < 0 ? bounds.length : step;
}

/** @param {number} rate */
function stepDown(rate) {
  const step = BOUNDS.rate.findIndex((bound) => rate >= bound);
  return step < 0 ? BOUNDS.rate.length : step;
}
