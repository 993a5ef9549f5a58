/** An EventTarget whose events carry a `detail`. */
export class Emitter extends EventTarget {
  /**
   * @param {string} type
   * @param {(event: any) => void} listener called with a CustomEvent
   * @param {boolean|AddEventListenerOptions} [options] for example `{signal}` of an AbortController
   */
  addEventListener(type, listener, options) {
    super.addEventListener(type, listener, options);
  }

  /** @param {string} type @param {any} [detail] */
  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
