/**
 * Return the delay before an attempt to reconnect: exponential with jitter, so that clients of a restarted server do
 * not come back in step.
 */

const FIRST_MS = 500;
const LONGEST_MS = 10_000;

/**
 * @param {number} attempt 0 for the first attempt after a loss, which is made at once
 * @param {() => number} [random] in [0, 1)
 * @returns {number} milliseconds
 */
export function delayBefore(attempt, random = Math.random) {
  if (attempt <= 0) return Math.round(100 * random());
  const whole = Math.min(FIRST_MS * 2 ** (attempt - 1), LONGEST_MS);
  return Math.round(whole * (0.5 + random() / 2));
}
