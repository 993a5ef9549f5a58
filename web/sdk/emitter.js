/** An EventTarget whose events carry a `detail`. */
export class Emitter extends EventTarget {
  /**
   * @param {string} type
   * @param {(event: CustomEvent) => void} listener
   * @param {boolean|AddEventListenerOptions} [options] for example `{signal}` of an AbortController
   */
  addEventListener(type, listener, options) {
    super.addEventListener(type, /** @type {EventListener} */ (listener), options);
  }

  /** @param {string} type @param {any} [detail] */
  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
