/**
 * REST calls that the page and most clients need: session, meetings, joining, recordings.
 *
 * On the server's own pages, requests carry cookies, and those that change something an `X-CSRF-Token`. Other programs
 * give the address of the server and a `bearer`, an API key or access token; of pages on other sites, the server must
 * list the origin (`cors_origins`). Errors are problem documents (RFC 9457) with a stable `code`.
 */

const PREFIX = '/api/v1';
/** An access token is renewed this long before it expires. */
const MARGIN_MS = 60_000;
const RENEWAL_MS = 4 * 60_000;

/** A refused request: `status` and `code` are stable, the message is a sentence to show. */
export class RestError extends Error {
  /** @param {number} status @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(detail);
    this.name = 'RestError';
    this.status = status;
    this.code = code;
  }
}

export class Rest {
  #base;
  /** '' without a session, which needs no token; null until it is fetched. @type {string|null} */
  #csrf = null;
  /**
   * The token from `join` that authorizes a guest's requests in the meeting. A request carries it or cookies, never both.
   * @type {string|null}
   */
  #participantToken = null;
  /** @type {string|null} */
  #bearer;
  /** The expiry of the access token (Unix ms); 0 if unknown, because an earlier page obtained it. */
  #freshUntil = 0;
  /** @type {Promise<boolean>|null} */
  #refreshing = null;
  /** @type {Promise<any>|null} */
  #looking = null;

  /**
   * @param {string} [base] address of the server; the page's own origin by default
   * @param {{bearer?: string}} [options] `bearer`: an API key or access token, sent instead of cookies
   */
  constructor(base = '', { bearer } = {}) {
    this.#base = base.replace(/\/$/, '');
    this.#bearer = bearer ?? null;
    if (this.#foreign) this.#csrf = '';
  }

  /** True if requests carry no cookies: with a bearer token, or outside the server's own pages. */
  get #foreign() {
    return this.#bearer !== null || (this.#base !== '' && new URL(this.#base).origin !== globalThis.location?.origin);
  }

  /** Return an address from a response as an absolute URL. @param {string} address */
  resolve(address) {
    return new URL(address, this.#base || globalThis.location.href).href;
  }

  /** The host of the server; null on the server's own pages. @returns {string|null} */
  get host() {
    return this.#base === '' ? null : new URL(this.#base).hostname;
  }

  /** @param {{username: string, password: string, email?: string, display_name?: string, invitation?: string}} account */
  async register(account) {
    const answer = await this.post('/auth/register', account);
    // A response without a user means that the address must be confirmed first.
    return answer.user ? this.#signedIn(answer) : answer;
  }

  /** @param {{username: string, password: string, code?: string}} credentials `username` may be the e-mail address */
  async login(credentials) {
    return this.#signedIn(await this.post('/auth/login', credentials));
  }

  /** @param {object} credential the result of `navigator.credentials.get`, by its `toJSON` */
  async loginWithPasskey(credential) {
    return this.#signedIn(await this.post('/auth/passkey/finish', { credential }));
  }

  /**
   * Change the password. This ends all other sessions of the account and revokes its API keys. The server may demand a
   * proof of identity first (`proof_needed`).
   * @param {string|undefined} current optional @param {string} fresh
   */
  async changePassword(current, fresh) {
    return this.#signedIn(await this.post('/users/change-password', { current_password: current, new_password: fresh }));
  }

  async logout() {
    await this.post('/auth/logout');
    this.#csrf = null;
  }

  /** The signed-in user, or null. */
  async profile() {
    if (!this.#foreign) {
      const { user, csrf_token: token } = await this.#look();
      if (user || token === null) return user;
    }
    try {
      return await this.get('/users/profile');
    } catch (error) {
      if (error instanceof RestError && error.status === 401) return null;
      throw error;
    }
  }

  /**
   * Create the first administrator with the one-time token of the first start.
   * @param {{token: string, username: string, password: string, email?: string}} account
   */
  async setup(account) {
    return this.#signedIn(await this.post('/setup', account));
  }

  /** Facts available before signing in: the registration policy, and whether the first account is still missing. */
  server() {
    return this.get('/server');
  }

  /** E-mail a link to set a new password; the response does not reveal whether the account exists. @param {string} email */
  forgotPassword(email) {
    return this.post('/auth/forgot-password', { email });
  }

  /** @param {string} token of the link in the mail @param {string} password */
  resetPassword(token, password) {
    return this.post('/auth/reset-password', { token, password });
  }

  /** @param {string} token of the link in the mail */
  verifyEmail(token) {
    return this.post('/auth/verify-email', { token });
  }

  /**
   * Restore an account's previous address, with a new password. @param {string} token of the link in the mail
   * @param {string} password
   */
  undoEmail(token, password) {
    return this.post('/auth/undo-email', { token, password });
  }

  /** @param {string} [cursor] `next` of the previous response */
  meetings(cursor = '') {
    return this.get(cursor ? `/meetings?cursor=${encodeURIComponent(cursor)}` : '/meetings');
  }

  /** @param {object} meeting its title, time and settings */
  createMeeting(meeting) {
    return this.post('/meetings', meeting);
  }

  /** The part of a meeting that anyone with the link may see. @param {string} id */
  meeting(id) {
    return this.get(`/meetings/${encodeURIComponent(id)}/summary`);
  }

  /** The part of a meeting that a participant may see, with its settings. @param {string} id */
  meetingDetails(id) {
    return this.get(`/meetings/${encodeURIComponent(id)}`);
  }

  /**
   * Ask to join. If the meeting has a lobby, the response may have a `lobby_ticket` instead of a token: ask again with it.
   * @param {string} id
   * @param {{name?: string, passcode?: string, rejoin_secret?: string, lobby_ticket?: string, admission_token?: string}} who
   */
  async join(id, who) {
    await this.prefetch();
    // With an expired session, the server would admit the user as a guest instead of refusing.
    if (this.#csrf && Date.now() > this.#freshUntil) await this.#refresh();
    this.#participantToken = null;
    const path = `/meetings/${encodeURIComponent(id)}/join`;
    // The admission token says who joins, not the bearer, which may be the application's.
    const answer = who.admission_token && this.#foreign
      ? await (await this.#answer('POST', path, who, true)).json()
      : await this.#change('POST', path, who);
    this.#participantToken = answer.participant_token ?? null;
    return answer;
  }

  /** Renew the session while a page stays open, so that a join need not renew it first. @param {AbortSignal} signal */
  keepSession(signal) {
    void this.#refresh();
    const timer = setInterval(() => void this.#refresh(), RENEWAL_MS);
    signal.addEventListener('abort', () => clearInterval(timer));
  }

  /** Leave the meeting that `join` entered; later requests use the account's session, if any. */
  forgetMeeting() {
    this.#participantToken = null;
  }

  /** @param {string} id */
  leave(id) {
    return this.post(`/meetings/${encodeURIComponent(id)}/leave`);
  }

  /** The people in the lobby, for hosts. @returns {Promise<{waiting: {id: string, name: string}[]}>} @param {string} id */
  lobby(id) {
    return this.get(`/meetings/${encodeURIComponent(id)}/lobby`);
  }

  /** Let somebody in from the lobby, or turn them away. @param {boolean} admitted @param {string} id @param {string} entry */
  decideLobby(id, entry, admitted) {
    const verb = admitted ? 'admit' : 'deny';
    return this.post(`/meetings/${encodeURIComponent(id)}/lobby/${encodeURIComponent(entry)}/${verb}`);
  }

  /** Set the sources that hosts mute for everybody else until released; none releases all. @param {string[]} [muted] @param {string} id */
  muteAll(id, muted = ['microphone']) {
    return this.post(`/meetings/${encodeURIComponent(id)}/mute-all`, { muted });
  }

  /**
   * Set the sources that a host mutes for one participant until released; none releases all. @param {string[]} muted
   * @param {string} id @param {string} participant
   */
  muteParticipant(id, participant, muted) {
    return this.post(`${participantPath(id, participant)}/mute`, { muted });
  }

  /** Release a source of ours that a host muted, where that is permitted. @param {string} id @param {string} participant @param {string} source */
  unmuteParticipant(id, participant, source) {
    return this.post(`${participantPath(id, participant)}/unmute`, { source });
  }

  /** @param {string} id @param {string} participant ourselves; hosts rename others too @param {string} name */
  renameParticipant(id, participant, name) {
    return this.put(`${participantPath(id, participant)}/name`, { name });
  }

  /** @param {boolean} [ban] also keep the account from rejoining @param {string} id @param {string} participant */
  removeParticipant(id, participant, ban = false) {
    return this.post(`${participantPath(id, participant)}/remove`, { ban });
  }

  /**
   * The present and former participants of a meeting. @returns {Promise<{participants: {participant: string, name: string, present: boolean, removed: boolean}[]}>}
   * @param {string} id
   */
  participants(id) {
    return this.get(`/meetings/${encodeURIComponent(id)}/participants`);
  }

  /** Let a removed participant back in. @param {string} id @param {string} participant */
  readmitParticipant(id, participant) {
    return this.post(`${participantPath(id, participant)}/readmit`);
  }

  /** The breakout rooms of a meeting, and the assignments to them. @param {string} id */
  breakouts(id) {
    return this.get(`/meetings/${encodeURIComponent(id)}/breakouts`);
  }

  /**
   * Create breakout rooms, or act on them: `open`, `move` ({participant, room}), `announce` ({text}), `close` ({countdown_seconds}).
   * @param {string} id of the meeting @param {''|'open'|'move'|'announce'|'close'} verb @param {object} [body]
   */
  actOnBreakouts(id, verb, body) {
    return this.post(`/meetings/${encodeURIComponent(id)}/breakouts${verb ? `/${verb}` : ''}`, body);
  }

  /** @param {string} id */
  end(id) {
    return this.post(`/meetings/${encodeURIComponent(id)}/end`);
  }

  /** @param {string} id */
  startRecording(id) {
    return this.post(`/meetings/${encodeURIComponent(id)}/recording/start`);
  }

  /** @param {string} id */
  stopRecording(id) {
    return this.post(`/meetings/${encodeURIComponent(id)}/recording/stop`);
  }

  /** @param {string} id */
  recordings(id) {
    return this.get(`/meetings/${encodeURIComponent(id)}/recordings`);
  }

  /** Fetch the CSRF token in advance, so that `join` takes one round trip. */
  async prefetch() {
    if (this.#csrf === null) await this.#look();
  }

  /** Ask for the session of the browser. Calls at the same time share a request. @returns {Promise<{user: any, csrf_token: string|null}>} */
  #look() {
    this.#looking ??= this.#request('GET', '/auth/session')
      .then((session) => {
        this.#csrf = session.csrf_token ?? '';
        return session;
      })
      .finally(() => {
        this.#looking = null;
      });
    return this.#looking;
  }

  /**
   * Let an application's user join without an account; needs an API key with the scope `admissions:write`. The result's
   * `token` is the `admission_token` of `join`, here or in the user's browser.
   * @param {string} id @param {{identity: string, name: string, role?: string, metadata?: string, ttl?: number}} who
   * @returns {Promise<{token: string, participant: string, identity: string, expires_at: string, join_url: string, page_url: string}>}
   */
  admit(id, who) {
    return this.post(`/meetings/${encodeURIComponent(id)}/admissions`, who);
  }

  /**
   * Yield the entries of a paginated list: `for await (const user of rest.each('/admin/users', 'users'))`.
   * @param {string} path @param {string} entries the field of the response that has them
   * @returns {AsyncGenerator<any>}
   */
  async *each(path, entries) {
    const separator = path.includes('?') ? '&' : '?';
    for (let cursor = ''; ;) {
      const page = await this.get(cursor ? `${path}${separator}cursor=${encodeURIComponent(cursor)}` : path);
      yield* page[entries];
      if (!page.next) return;
      cursor = page.next;
    }
  }

  /** @param {string} path */
  get(path) {
    return this.#withSession(() => this.#request('GET', path));
  }

  /** @param {string} path @param {object} [body] */
  post(path, body) {
    return this.#change('POST', path, body);
  }

  /** @param {string} path @param {object} [body] */
  put(path, body) {
    return this.#change('PUT', path, body);
  }

  /** @param {string} path @param {object} [body] */
  patch(path, body) {
    return this.#change('PATCH', path, body);
  }

  /** @param {string} path @param {object} [body] */
  delete(path, body) {
    return this.#change('DELETE', path, body);
  }

  /**
   * Upload a file that the participants of a meeting can download. @param {string} meeting @param {File} file
   * @returns {Promise<{id: string, name: string, content_type: string, bytes: number, thumbnail: boolean}>}
   */
  upload(meeting, file) {
    return this.#change('POST', `/media/upload?name=${encodeURIComponent(file.name.slice(0, 200))}&meeting=${encodeURIComponent(meeting)}`, file);
  }

  /** Get a response that is not JSON. @param {string} path @returns {Promise<Blob>} */
  blob(path) {
    return this.#withSession(async () => (await this.#answer('GET', path)).blob());
  }

  /** @param {any} answer */
  #signedIn(answer) {
    this.#csrf = answer.csrf_token;
    this.#freshUntil = Date.now() + answer.expires_in * 1000 - MARGIN_MS;
    return answer;
  }

  /** @param {string} method @param {string} path @param {object} [body] */
  #change(method, path, body) {
    return this.#withSession(async () => {
      await this.prefetch();
      try {
        return await this.#request(method, path, body);
      } catch (error) {
        if (!(error instanceof RestError) || error.code !== 'csrf') throw error;
        this.#csrf = null;
        await this.prefetch();
        return this.#request(method, path, body);
      }
    });
  }

  /** Make a call; if the access token has expired, renew it and try once more. @template T @param {() => Promise<T>} call */
  async #withSession(call) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof RestError) || error.status !== 401 || !(await this.#refresh())) throw error;
      return call();
    }
  }

  /** Renew the access token, if there is a session: another tab may have signed in since we asked. @returns {Promise<boolean>} */
  #refresh() {
    if (this.#foreign) return Promise.resolve(false);
    const session = this.#csrf ? Promise.resolve({ csrf_token: this.#csrf }) : this.#look();
    this.#refreshing ??= session
      .then(({ csrf_token: token }) => {
        if (token === null) throw new RestError(401, 'not_signed_in', '');
        return this.#request('POST', '/auth/refresh', {});
      })
      .then((answer) => {
        this.#signedIn(answer);
        return true;
      })
      .catch(() => false)
      .finally(() => {
        this.#refreshing = null;
      });
    return this.#refreshing;
  }

  /** @param {string} method @param {string} path @param {object} [body] @returns {Promise<any>} */
  async #request(method, path, body) {
    const response = await this.#answer(method, path, body);
    return response.status === 204 ? null : response.json().catch(() => null);
  }

  /**
   * @param {string} method @param {string} path @param {object} [body] JSON, or a file as it is
   * @param {boolean} [anonymous] without credentials @returns {Promise<Response>}
   */
  async #answer(method, path, body, anonymous = false) {
    /** @type {Record<string, string>} */
    const headers = { Accept: 'application/json' };
    const bearer = anonymous ? null : (this.#participantToken ?? this.#bearer);
    if (bearer) headers.Authorization = `Bearer ${bearer}`;
    else if (method !== 'GET' && this.#csrf) headers['X-CSRF-Token'] = this.#csrf;
    const file = body instanceof Blob;
    if (body !== undefined) headers['Content-Type'] = file ? 'application/octet-stream' : 'application/json';
    const response = await fetch(this.#base + PREFIX + path, {
      method,
      headers,
      body: body === undefined || file ? body : JSON.stringify(body),
      credentials: bearer || this.#foreign ? 'omit' : 'same-origin',
      cache: 'no-store',
    });
    if (response.ok) return response;
    const answer = await response.json().catch(() => null);
    throw new RestError(response.status, answer?.code ?? 'http_error', answer?.detail ?? answer?.title ?? response.statusText);
  }
}

/** @param {string} id @param {string} participant */
function participantPath(id, participant) {
  return `/meetings/${encodeURIComponent(id)}/participants/${encodeURIComponent(participant)}`;
}
