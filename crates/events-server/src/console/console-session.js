// Who the page is to the hub: a token that lives in this tab only, and what the hub says of it.

import { connect as follow } from '/events.js';

const KEPT = 'events console token';
const LONGEST_TOKEN = 8192;
const PATIENCE_MS = 15_000;
const ask = fetch.bind(globalThis);

/** What a token says of itself; only the hub can say whether it is true. */
function claimsOf(token) {
  try {
    const [, body] = token.split('.');
    const bytes = Uint8Array.from(atob(body.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
    const { sub, exp, events } = JSON.parse(new TextDecoder().decode(bytes));
    return { user: String(sub), role: String(events?.role ?? 'subscriber'), expiresMs: Number(exp) * 1000 };
  } catch {
    return undefined;
  }
}

/** A refusal of the hub: its status, and its words. */
export class Refusal extends Error {
  constructor(status, detail, problem = undefined) {
    super(detail);
    this.status = status;
    /** The whole problem body, if it is one. */
    this.problem = problem;
  }

  static async of(response) {
    const text = (await response.text().catch(() => '')).slice(0, 4000);
    try {
      const problem = JSON.parse(text);
      return new Refusal(response.status, problem.detail ?? problem.title ?? text, problem);
    } catch {
      return new Refusal(response.status, text || response.statusText);
    }
  }
}

export class Session {
  /** `unknown`, `open` (signed in, or nobody has to), `asked` (a token is needed). */
  state = 'unknown';
  /** Whether the hub lets us see what operators see. */
  isOperator = false;
  /** Why a token is asked for. */
  reason = '';
  /** What the hub has said at the end of a stream, and when. */
  lastClosing = { reason: '', at: 0 };
  #token;
  #listeners = [];

  constructor() {
    this.#token = sessionStorage.getItem(KEPT) ?? undefined;
  }

  get hasToken() {
    return this.#token !== undefined;
  }

  get claims() {
    return this.#token && claimsOf(this.#token);
  }

  onChange(listener) {
    this.#listeners.push(listener);
  }

  /** Asks the hub what we may do. */
  async begin() {
    try {
      await this.get('/metrics');
      this.#become('open', true);
    } catch (error) {
      if (error.status === 403) this.#become('open', false);
      // Whatever is wrong beside the token is shown where it matters.
      else if (error.status !== 401) this.#become('open', true);
    }
  }

  /** Takes a token; returns why it cannot be one, if so. It is kept for this tab, and sent in headers only. */
  async sign(text) {
    const token = text.trim().replace(/^bearer\s+/i, '');
    if (!/^[\w.~+/=-]+$/.test(token) || token.length > LONGEST_TOKEN) return 'This is no token: it has three parts of letters and digits, with dots between.';
    this.#token = token;
    sessionStorage.setItem(KEPT, token);
    await this.begin();
    return '';
  }

  forget(reason = '') {
    this.#token = undefined;
    sessionStorage.removeItem(KEPT);
    this.reason = reason;
    this.#become('asked', false);
  }

  #become(state, isOperator) {
    Object.assign(this, { state, isOperator });
    for (const listener of this.#listeners) listener(this);
  }

  /** Fetches; an answer that is no success is thrown as a `Refusal`. A stream is read without a limit of time. */
  async fetch(path, { isStream = false, signal, ...options } = {}) {
    const sent = this.#token;
    const headers = { ...options.headers, ...(sent && { authorization: `Bearer ${sent}` }) };
    const signals = [signal, isStream ? undefined : AbortSignal.timeout(PATIENCE_MS)].filter(Boolean);
    const response = await ask(path, { cache: 'no-store', ...options, headers, signal: AbortSignal.any(signals) });
    if (response.ok) return response;
    const refusal = await Refusal.of(response);
    if (refusal.status === 401) this.#refused(sent, refusal.message);
    throw refusal;
  }

  #refused(sent, detail) {
    // An answer to a token that is no longer ours says nothing.
    if (sent !== this.#token) return;
    const expiresMs = sent && claimsOf(sent)?.expiresMs;
    if (!sent) this.forget();
    else if (expiresMs <= Date.now()) this.forget('The token has expired. Use a new one.');
    else this.forget(`The hub has refused the token: ${detail}`);
  }

  async get(path, options) {
    return (await this.fetch(path, options)).text();
  }

  /** Follows a stream of the hub with our token; it comes back by itself. */
  follow(path, options) {
    const sent = this.#token;
    const onState = (state) => {
      if (state.error?.status === 401 || state.reason === 'token_expired') this.#refused(sent, state.error?.message ?? 'it has expired');
      options.onState?.(state);
    };
    const onClosing = (closing) => {
      this.lastClosing = { ...closing, at: Date.now() };
      options.onClosing?.(closing);
    };
    return follow(path, { shared: false, storage: null, ...(sent && { token: sent }), ...options, onState, onClosing });
  }
}
