/**
 * React hooks for a Room. Objects that they return are new whenever something in them has changed.
 *
 * @typedef {import('./room.js').Room} Room
 * @typedef {import('./roster.js').Participant} Participant
 * @typedef {import('./roster.js').RemoteTrack} RemoteTrack
 */
import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from 'react';

const MEETING = ['connection', 'grants', 'recording', 'captions-state', 'shared'];
const PEOPLE = ['connection', 'participant-joined', 'participant-updated', 'participant-left'];
const TRACKS = ['connection', 'track-published', 'track-changed', 'track-unpublished', 'track-media'];
const PUBLISHED = ['local-changed'];
const KEPT = 1000; // chat messages

/** @template {object} T @param {Iterable<T>} items @returns {T[]} */
const copies = (items) => [...items].map((item) => ({ ...item }));

/**
 * Return what `read` finds in the room, again after each of these events; null without a room.
 * @template T @param {Room|null} room @param {string[]} events @param {(room: Room) => T} read @returns {T|null}
 */
function useRead(room, events, read) {
  const store = useMemo(() => {
    let value = room && read(room);
    return {
      current: () => value,
      /** @param {() => void} changed */
      subscribe(changed) {
        const stop = new AbortController();
        const update = () => { value = room && read(room); changed(); };
        for (const event of events) room?.addEventListener(event, update, { signal: stop.signal });
        update(); // for what happened before this
        return () => stop.abort();
      },
    };
  }, [room, events, read]);
  return useSyncExternalStore(store.subscribe, store.current, store.current);
}

/** @param {Room} room */
const readMeeting = ({ connection, participant, grants, recording, captions, shared }) =>
  ({ connection, participant, grants, recording, captions, shared });
/** @param {Room} room */
const readPeople = (room) => copies(room.roster.participants.values());
/** @param {Room} room */
const readTracks = (room) => copies(room.roster.tracks.values());
/** @param {Room} room */
const readPublished = (room) => copies(room.published);

/**
 * Join a meeting while the component is mounted, and leave it afterwards. `error` says why joining failed.
 * @param {() => Room} open returns a room that has not joined yet; it is called again when one of `dependencies` has changed
 * @param {unknown[]} [dependencies]
 */
export function useMeeting(open, dependencies = []) {
  const [{ room, error }, set] = useState(/** @type {{room: Room|null, error: any}} */ ({ room: null, error: null }));
  useEffect(() => {
    const opened = open();
    let left = false;
    set({ room: opened, error: null });
    opened.join().catch((/** @type {unknown} */ reason) => { if (!left) set({ room: opened, error: reason }); });
    return () => { left = true; opened.leave(); };
  }, dependencies);
  return { ...useRead(room, MEETING, readMeeting), room, error };
}

/** Return the participants, ourselves among them. @param {Room|null} room @returns {Participant[]} */
export function useParticipants(room) {
  return useRead(room, PEOPLE, readPeople) ?? NOBODY;
}

/** Return others' tracks, or those of one source. @param {Room|null} room @param {string} [source] @returns {RemoteTrack[]} */
export function useTracks(room, source) {
  const tracks = useRead(room, TRACKS, readTracks);
  return useMemo(() => tracks?.filter((track) => !source || track.source === source) ?? [], [tracks, source]);
}

/** Return what we publish. @param {Room|null} room @returns {import('./publish-peer.js').Published[]} */
export function usePublished(room) {
  return useRead(room, PUBLISHED, readPublished) ?? NOTHING;
}

/**
 * Return the chat messages since the component was mounted, at most the last 1000, and a function that sends one.
 * @param {Room|null} room
 */
export function useChat(room) {
  const [messages, set] = useState(/** @type {any[]} */ ([]));
  useEffect(() => {
    const stop = new AbortController();
    set([]);
    room?.addEventListener('chat', ({ detail }) => set((known) => [...known, detail].slice(-KEPT)), { signal: stop.signal });
    return () => stop.abort();
  }, [room]);
  const send = useCallback(
    (/** @type {Parameters<Room['chat']>} */ ...message) => room?.chat(...message), [room]);
  return { messages, send };
}

/**
 * Return the `ref` of a video element that shows a track, at the resolution of its size on the page.
 * @param {Room|null} room @param {{id?: string, mediaTrack: MediaStreamTrack|null}|undefined} track
 */
export function useVideo(room, track) {
  const [element, ref] = useState(/** @type {HTMLVideoElement|null} */ (null));
  const { id, mediaTrack } = track ?? {};
  useEffect(() => {
    if (element) element.srcObject = mediaTrack ? new MediaStream([mediaTrack]) : null;
  }, [element, mediaTrack]);
  useEffect(() => {
    if (!room || !element || !id) return undefined;
    room.watch(element, id);
    return () => room.unwatch(element);
  }, [room, element, id]);
  return ref;
}

/** @type {Participant[]} */
const NOBODY = [];
/** @type {import('./publish-peer.js').Published[]} */
const NOTHING = [];
