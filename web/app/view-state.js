/**
 * What a reader chose to see of a call, and where. It outlives the views, which are made anew in another language.
 *
 * Events: `change`.
 */
import { Emitter } from '/sdk/parley.js';
import { preferences, remember } from './preferences.js';

/** How many tiles a page of the grid has at most. */
export const PER_PAGE = [9, 16, 25, 49];
export const CORNERS = ['bottom-right', 'bottom-left', 'top-left', 'top-right'];


export class ViewState extends Emitter {
  /** All alike, one large picture of who speaks, or a shared screen beside the people. @type {'grid'|'speaker'|'side'} */
  mode = 'grid';
  /** Whoever was made the large one here, '' for nobody. */
  pinned = '';
  page = 0;
  /** Which panel is open: '' for none. */
  panel = '';
  /** How many changes of polls and questions were seen. */
  seen = 0;
  perPage = PER_PAGE.find((count) => count === preferences().perPage) ?? 25;
  /** Where the own picture floats in a call of two. */
  corner = CORNERS.find((one) => one === preferences().corner) ?? CORNERS[0];
  mirror = preferences().mirror;
  /** Leave out people without a picture. */
  onlyVideo = preferences().onlyVideo;
  captions = preferences().captionsShown;

  /** @param {Partial<Pick<ViewState, 'mode'|'pinned'|'page'|'panel'|'perPage'|'corner'|'mirror'|'onlyVideo'|'captions'>>} changes */
  set(changes) {
    Object.assign(this, changes);
    if ('mode' in changes || 'onlyVideo' in changes || 'perPage' in changes) this.page = 0;
    remember({ perPage: this.perPage, corner: this.corner, mirror: this.mirror, onlyVideo: this.onlyVideo, captionsShown: this.captions });
    this.emit('change');
  }
}
