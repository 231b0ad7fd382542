/** Follows a stream of an events hub. Times are milliseconds. */

/** One event. */
export interface StreamEvent<T = any> {
  /** Its id, which is a cursor too; `null` for those of ephemeral streams, and within a prelude. */
  readonly id: string | null;
  /** Its name: `message`, or `gap` where an iterator meets one. */
  readonly event: string;
  /** The payload as it came. */
  readonly data: string;
  /** The payload as JSON, read when it is asked for; `undefined` if it is none. */
  readonly json: T;
}

/** Events are missing: ask the hub where things stand (`GET /agui/threads/{T}`). */
export interface Gap {
  /** `too_large` is this client's own word: one event was larger than 16 Mi characters. */
  readonly reason: "expired" | "epoch" | "unknown" | "trimmed" | "overflow" | "too_large" | (string & {});
  /** The cursor before it. */
  readonly from: string | null;
  /** The cursor after it. */
  readonly to: string | null;
  /** How many, if that is known. */
  readonly lost: number | null;
}

/** The hub ends a connection. But for `revoked`, and `token_expired` without a hook, the stream comes back by itself. */
export interface Closing {
  readonly reason: "draining" | "token_expired" | "revoked" | "replaced" | "slow" | "max_age" | (string & {});
}

/** `leader` holds the connection, `follower` is given what the leader reads, `alone` shares with nobody. */
export type Role = "leader" | "follower" | "alone";

/** What the connection does; a follower's state is that of the leader's. From an open stream nothing is missed. */
export interface State {
  readonly state: "connecting" | "open" | "waiting" | "closed";
  readonly role: Role;
  /** How long until the next attempt, while it is waiting. */
  readonly wait?: number;
  /** Why it is waiting. */
  readonly cause?: string;
  /** Why it is closed, unless the page did it. */
  readonly reason?: string;
  readonly error?: EventStreamError;
}

export interface Options<T = any> {
  /** Whose stream it is: sent as `?user=`, which hubs with tokens ignore. Tabs share only if it is given. */
  user?: string;
  /** The token, or a hook that is asked for one when it is needed: at first, and after the hub has refused the last or
   * told that it has expired. A second refusal in a row ends the stream. */
  token?: string | ((why: "first" | "refused" | "expired") => string | undefined | Promise<string | undefined>);
  /** Further headers of requests. */
  headers?: Record<string, string>;
  /** For cookies; `same-origin` if not given. */
  credentials?: "omit" | "same-origin" | "include";
  /** Where to go on from; it goes before a kept cursor. */
  lastEventId?: string;
  /** Where the cursor is kept across reloads, `null` for nowhere. If not given: in `sessionStorage`, but for streams
   * that tell a fresh page their state (a thread, a task, `/contexts`). */
  storage?: Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length"> | null;
  /** Whether tabs share one connection; `true` if not given. */
  shared?: boolean;
  /** Whether events have ids; if not given, known from the path: all but `/analytics` and `/llm/streams`. */
  resumes?: boolean;
  onEvent?: (event: StreamEvent<T>) => void;
  onGap?: (gap: Gap) => void;
  onClosing?: (closing: Closing) => void;
  onState?: (state: State) => void;
}

/** A stream that a page follows, until it is closed. Also an `EventTarget` of `event`, `gap`, `closing` and `state`. */
export class EventStream<T = any> extends EventTarget implements AsyncIterable<StreamEvent<T>> {
  private constructor();
  /** The id of the last thing that the page was given. */
  readonly cursor: string | null;
  readonly role: Role;
  readonly state: State["state"];
  close(): void;
  /** Events and gaps in their order. At most 1,024 wait: then the stream stands still, and goes on from the hub's log.
   * Ends when the stream is closed; throws an {@link EventStreamError} if it ended for good. Leaving the loop closes it. */
  [Symbol.asyncIterator](): AsyncIterator<StreamEvent<T>, undefined>;
  addEventListener(type: "event", listener: (event: CustomEvent<StreamEvent<T>>) => void, options?: AddEventListenerOptions | boolean): void;
  addEventListener(type: "gap", listener: (event: CustomEvent<Gap>) => void, options?: AddEventListenerOptions | boolean): void;
  addEventListener(type: "closing", listener: (event: CustomEvent<Closing>) => void, options?: AddEventListenerOptions | boolean): void;
  addEventListener(type: "state", listener: (event: CustomEvent<State>) => void, options?: AddEventListenerOptions | boolean): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: AddEventListenerOptions | boolean): void;
}

/** Why a stream has ended for good. */
export class EventStreamError extends Error {
  constructor(reason: string, message?: string, status?: number);
  readonly reason: "revoked" | "token_expired" | "unauthorized" | "forbidden" | "refused" | "iterated" | (string & {});
  readonly status: number | undefined;
}

/** Follows the stream at an address of the hub, such as `/agui?thread=t1`. Handlers are first called after this returns. */
export function connect<T = any>(address: string | URL, options?: Options<T>): EventStream<T>;

/** Reads an event stream by the rules of the HTML standard, from text that is cut anywhere. */
export class Parser {
  constructor(
    sink: {
      /** No data: only an id came. No id: none came with it. */
      block(name: string, data: string | undefined, id: string | undefined): void;
      comment?(text: string): void;
      retry?(milliseconds: number): void;
      tooLarge?(id: string | undefined): void;
    },
    largest?: number,
  );
  push(text: string): void;
}

/** Whether an id is known to be the other one, or later in the same log. */
export function isAtLeast(id: string | null | undefined, other: string | null | undefined): boolean;
