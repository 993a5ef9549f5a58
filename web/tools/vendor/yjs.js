/** A CRDT: what several people write and draw at once becomes the same for all. */
export { Doc, UndoManager, applyUpdate, mergeUpdates } from 'yjs';
