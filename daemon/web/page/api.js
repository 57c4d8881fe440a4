// Requests to the server that the page came from. Paths are relative, so that any base path works.

import {signal} from './lib.js';
import {skew} from './prefs.js';

/** @typedef {import('./types').Me} Me */

export class ApiError extends Error {
  /** @param {number} status 0 where no answer came @param {{message?: string, code?: string, sqlstate?: string|null,
   * hint?: string|null}} error @param {string} [mode] how one signs in, of a 401 */
  constructor(status, error, mode) {
    super(error.message || `the server answered with status ${status}`);
    this.status = status;
    this.code = error.code ?? '';
    this.sqlstate = error.sqlstate ?? null;
    this.hint = error.hint ?? null;
    this.mode = mode;
  }
}

/** Who the person is; null until that is known. @type {import('./lib/signals.js').Signal<Me|null>} */
export const me = signal(null);
/** How to sign in, when there is no session: 'personal', 'login' or 'proxy'; else ''. */
export const signIn = signal('');
/** What keeps the page from the server or the server from its database; null when all is well.
 * @type {import('./lib/signals.js').Signal<ApiError|null>} */
export const trouble = signal(null);

/** Notes what an error says about the session and the connection. @param {ApiError} error */
export function noteError(error) {
  if (error.status === 401) signIn.value = error.mode ?? 'personal';
  else if (error.status === 0 || error.status === 503) trouble.value = error;
}

/**
 * @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<any>}
 * @throws {ApiError}
 */
export async function request(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      credentials: 'same-origin',
      cache: 'no-store',
      headers: method === 'GET' ? {} : {'Content-Type': 'application/json'},
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    const error = new ApiError(0, {message: 'durabled ui does not answer', code: 'unreachable'});
    noteError(error);
    throw error;
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    const error = new ApiError(response.status, answer.error ?? {}, answer.mode);
    noteError(error);
    throw error;
  }
  trouble.value = null;
  return answer;
}

/** The parameters that have a value, as a query string. @param {Record<string, string|number|undefined|null>} params */
export function queryString(params) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== '') query.set(key, String(value));
  }
  const text = query.toString();
  return text ? '?' + text : '';
}

/** @param {string} path below api/ @param {Record<string, string|number|undefined|null>} [params] */
export const get = (path, params = {}) => request('GET', 'api/' + path + queryString(params));
/** @param {string} path below api/ @param {unknown} body */
export const post = (path, body) => request('POST', 'api/' + path, body);

/** The path of an instance. @param {string} id @param {string} [rest] */
export const instancePath = (id, rest = '') => `instances/${encodeURIComponent(id)}${rest}`;
/** Where the whole of a text is downloaded from. @param {string} id @param {Record<string, string|number>} params */
export const payloadLink = (id, params) => 'api/' + instancePath(id, '/payload') + queryString(params);

/** Learns who the person is; without a session signIn tells how to get one. */
export async function loadMe() {
  const answer = await get('me');
  skew.value = new Date(answer.now).getTime() - Date.now();
  signIn.value = '';
  me.value = answer;
}

/** Takes the token off the address, before anything else sees it; null if it has no token. */
export function takeToken() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (!found) return null;
  history.replaceState(null, '', location.pathname + location.search + '#/');
  return decodeURIComponent(found[1]);
}

/** @param {Record<string, string>} credentials */
export async function startSession(credentials) {
  await request('POST', 'session', credentials);
  await loadMe();
}

export async function endSession() {
  await request('DELETE', 'session');
  me.value = null;
  signIn.value = 'login';
}
