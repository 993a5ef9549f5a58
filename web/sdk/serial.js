/** Run asynchronous steps one after the other; the state of an RTCPeerConnection allows nothing else. */
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
