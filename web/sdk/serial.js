/** Runs asynchronous steps one after another, as the state of an RTCPeerConnection requires. */
export class Serial {
  #last = Promise.resolve();

  /**
   * @template T
   * @param {() => Promise<T>} step
   * @returns {Promise<T>} the step's own outcome; a failed step does not stop later ones
   */
  run(step) {
    const outcome = this.#last.then(step);
    this.#last = outcome.then(() => undefined, () => undefined);
    return outcome;
  }
}
