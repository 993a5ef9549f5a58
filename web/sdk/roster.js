/**
 * The participants and their tracks: room-info brings the full state, later messages change it.
 *
 * @typedef {{id: string, name: string, host: boolean, connected: boolean, recorded: boolean, hand: number,
 *   quality: string, attendee: boolean, presenter: boolean, kind: string}} Participant `hand`: when it was raised (Unix ms), 0 if it is not;
 *   `quality` of the connection: `good`, `poor`, `lost`, or '' for the best; an `attendee` may publish nothing, a `presenter` share its screen even if most may not;
 *   `kind`: '' for people, else such as `agent`, `ingress` or `phone`
 * @typedef {{id: string, participant: string, source: import('./publish-peer.js').Source, media: 'audio'|'video',
 *   codec: string, muted: boolean, mutedByHost: boolean, paused: boolean, pausedReason: string,
 *   mediaTrack: MediaStreamTrack|null}} RemoteTrack `muted` is set by the publisher or a host, `paused` by the server
 * @typedef {{participant: string, name: string, host?: boolean, connected?: boolean, recorded?: boolean,
 *   hand?: number, quality?: string, attendee?: boolean, presenter?: boolean, kind?: string}} ParticipantInfo
 * @typedef {{track: string, participant: string, source: any, media: any, codec: string, muted?: boolean}} TrackInfo
 */

export class Roster {
  /** @type {Map<string, Participant>} */
  participants = new Map();
  /** @type {Map<string, RemoteTrack>} */
  tracks = new Map();

  /** @param {ParticipantInfo} info @returns {Participant} */
  setParticipant(info) {
    const known = this.participants.get(info.participant);
    const fields = {
      id: info.participant,
      name: info.name,
      host: info.host ?? false,
      connected: info.connected ?? true,
      recorded: info.recorded ?? false,
      hand: info.hand ?? 0,
      quality: info.quality ?? '',
      attendee: info.attendee ?? false,
      presenter: info.presenter ?? false,
      kind: info.kind ?? '',
    };
    if (known) return Object.assign(known, fields);
    this.participants.set(info.participant, fields);
    return fields;
  }

  /** @param {TrackInfo} info @returns {RemoteTrack} */
  setTrack(info) {
    const known = this.tracks.get(info.track);
    if (known) return Object.assign(known, { codec: info.codec, muted: info.muted ?? false });
    const track = {
      id: info.track,
      participant: info.participant,
      source: info.source,
      media: info.media,
      codec: info.codec,
      muted: info.muted ?? false,
      mutedByHost: false,
      paused: false,
      pausedReason: '',
      mediaTrack: null,
    };
    this.tracks.set(info.track, track);
    return track;
  }

  /**
   * Apply a mute by the publisher or a host. @returns {RemoteTrack|null} the track, null if unknown
   * @param {{track: string, muted: boolean, by_host?: boolean}} message
   */
  muteTrack({ track: id, muted, by_host: byHost = false }) {
    const track = this.tracks.get(id);
    return track ? Object.assign(track, { muted, mutedByHost: muted && byHost }) : null;
  }

  /**
   * Apply a pause by the server. @returns {RemoteTrack|null} the track, null if unknown
   * @param {{track: string, paused: boolean, reason?: string}} message
   */
  pauseTrack({ track: id, paused, reason = '' }) {
    const track = this.tracks.get(id);
    return track ? Object.assign(track, { paused, pausedReason: reason }) : null;
  }

  /** @param {string} participant @returns {RemoteTrack[]} */
  tracksOf(participant) {
    return [...this.tracks.values()].filter((track) => track.participant === participant);
  }

  /**
   * Replace the state with that of a room-info.
   * @param {ParticipantInfo[]} participants @param {TrackInfo[]} tracks
   * @returns {{joined: Participant[], left: Participant[], added: RemoteTrack[], removed: RemoteTrack[]}} the difference
   */
  replace(participants, tracks) {
    const present = new Set(participants.map((info) => info.participant));
    const published = new Set(tracks.map((info) => info.track));
    const removed = [...this.tracks.values()].filter((track) => !published.has(track.id));
    const left = [...this.participants.values()].filter((participant) => !present.has(participant.id));
    for (const track of removed) this.tracks.delete(track.id);
    for (const participant of left) this.participants.delete(participant.id);
    const known = new Set([...this.participants.keys(), ...this.tracks.keys()]);
    const joined = participants.map((info) => this.setParticipant(info)).filter(({ id }) => !known.has(id));
    const added = tracks.map((info) => this.setTrack(info)).filter(({ id }) => !known.has(id));
    return { joined, left, added, removed };
  }
}
