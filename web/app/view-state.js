/**
 * The user's choices for the view of a call. They outlive the views, which are rebuilt in another language.
 *
 * Events: `change`.
 */
import { Emitter } from '/sdk/parley.js';
import { preferences, remember } from './preferences.js';

/** The maximum number of tiles on a page of the grid. */
export const PER_PAGE = [9, 16, 25, 49];
export const CORNERS = ['bottom-right', 'bottom-left', 'top-left', 'top-right'];
/** Of captions. */
export const SIZES = ['small', 'medium', 'large'];

export class ViewState extends Emitter {
  /** Equal tiles, a large tile of the speaker, or a shared screen beside the people. @type {'grid'|'speaker'|'side'} */
  mode = 'grid';
  /** The participant pinned by this user, '' for nobody. */
  pinned = '';
  page = 0;
  /** The open panel, '' for none. */
  panel = '';
  /** The number of changes to polls and questions that were seen. */
  seen = 0;
  perPage = PER_PAGE.find((count) => count === preferences().perPage) ?? 25;
  /** The corner where our own video floats in a call of two. */
  corner = CORNERS.find((one) => one === preferences().corner) ?? CORNERS[0];
  mirror = preferences().mirror;
  /** Leave out people without video. */
  onlyVideo = preferences().onlyVideo;
  captions = preferences().captionsShown;
  captionsSize = SIZES.find((one) => one === preferences().captionsSize) ?? 'medium';
  captionsAt = preferences().captionsAt === 'top' ? 'top' : 'bottom';
  /** The language to which captions are translated, '' for none. */
  translation = preferences().translation;
  /** Show figures of the connection on each tile. */
  statistics = false;

  /** @param {Partial<Pick<ViewState, 'mode'|'pinned'|'page'|'panel'|'perPage'|'corner'|'mirror'|'onlyVideo'|'captions'|'captionsSize'|'captionsAt'|'translation'|'statistics'>>} changes */
  set(changes) {
    Object.assign(this, changes);
    if ('mode' in changes || 'onlyVideo' in changes || 'perPage' in changes) this.page = 0;
    remember({
      perPage: this.perPage, corner: this.corner, mirror: this.mirror, onlyVideo: this.onlyVideo,
      captionsShown: this.captions, captionsSize: this.captionsSize, captionsAt: this.captionsAt, translation: this.translation,
    });
    this.emit('change');
  }
}
