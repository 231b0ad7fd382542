/**
 * Follows a stream of an events hub from a browser: one connection for all tabs of an origin, across reloads and lost
 * connections. No dependency, no build step.
 *
 * Over 400 lines because it is served and copied as one file. In it, from the bottom up: `Parser` makes blocks of text,
 * `Link` is one connection that comes back, `Leader` shares a link with other tabs, `EventStream` is what a page holds.
 *
 * ## How tabs share a connection
 *
 * Every tab keeps a cursor of its own: the id of the last thing that its page was given. One tab, the leader, holds a
 * Web Lock and a connection, and posts what comes as numbered *units* on a BroadcastChannel. A unit is what one id
 * covers: an event, a gap, or a prelude, of which only the last frame has an id. A page is given whole units.
 *
 * - A tab is *in step* if it has everything before the leader's next unit. It takes unit after unit, and passes over
 *   those that its cursor covers already.
 * - A tab that is not (it is new, was frozen, missed a number, or waited too long) is *behind*: it reads on a connection
 *   of its own, from its own cursor, and holds back what the leader posts meanwhile. When the hub has accepted the
 *   cursor, and it has reached a place that the leader has told, or the hub is silent there, everything after it is in
 *   the tab's hands: it lets go of the connection, takes what it held back and is not covered, and is in step.
 * - The lock passes on when its holder closes, crashes, freezes or is deposed. The new holder *claims*: those in step
 *   answer with their cursors, and it reads on from the smallest. Nobody waits for an answer that does not come: who
 *   finds that the new leader begins elsewhere is behind, and catches up by itself.
 * - A unit says which cursor it follows. A tab that has another one, and that the unit does not lie before, is behind:
 *   the hub has to judge its own cursor. The same when the leader's link is opened anew. So a gap or a new prelude counts
 *   only for those who had the same cursor, and a tab finds out when the log has lost what it saw.
 *
 * So units are delivered in the order of ids, once, and a place between two units is only ever crossed by a connection
 * that the hub has accepted with that cursor, or by a leader's unbroken numbers.
 *
 * Messages: `ask` (a tab has come), `claim` (a tab has the lock), `place` (the answer: a cursor), `here` (the leader:
 * its next number, the place before it, its state), `unit`, `closing`, `end`, `nudge` (somebody looks at a page).
 */

/** Nothing for so long, not even a heartbeat, and a connection is given up; milliseconds. */
const SILENCE = 45_000;
/** A leader that has not said anything for so long is deposed; hidden pages may have one timer a minute. */
const DEAD = 100_000;
/** How long a new leader gathers the places of others. */
const GATHERING = 150;
/** How long a new tab waits for a leader's word before it reads by itself. */
const PATIENCE = 2_000;
/** How often a leader says that it is there. */
const BEAT = 10_000;
/** A connection that has held for so long was a good one, even if it brought no event. */
const GOOD = 30_000;
/** Waits are drawn between zero and a bound that doubles from the hub's `retry:` to this. */
const LONGEST_WAIT = 30_000;
/** The base of waits before the hub has named one, and the smallest that it can name. */
const BASE = 1_000;
const SMALLEST_BASE = 100;
/** One block of the stream, in characters. */
const LARGEST_BLOCK = 16 << 20;
/** What a tab that is behind holds back: units and characters. Beyond it, it forgets them and reads on. */
const MOST_HELD = 1_024;
const MOST_HELD_CHARS = 8 << 20;
/** Events that wait for an iterator. */
const MOST_QUEUED = 1_024;
/** Streams whose cursors are kept, and the longest cursor that is. */
const MOST_KEPT = 64;
const LONGEST_KEPT = 256;
const KEPT = "events.js cursor ";

/** Follows a stream: see `events.d.ts`. The third argument is what a test puts in the browser's place. */
export function connect(address, options = {}, world = browser()) {
  return new EventStream(address, options, world);
}

/** Why a stream has ended for good. */
export class EventStreamError extends Error {
  constructor(reason, message = reason, status = undefined) {
    super(message);
    this.name = "EventStreamError";
    this.reason = reason;
    this.status = status;
  }
}

/** Reads an event stream by the rules of the HTML standard, from text that is cut anywhere. */
export class Parser {
  #sink;
  #largest;
  #line = "";
  #isAfterCr = false;
  #isSkipping = false;
  #nHeld = 0;
  #name = "";
  #data = [];
  #id = undefined;

  /** The sink has `block(name, data, id)`, with no data if only an id came and no id if none did, `comment(text)`,
   * `retry(milliseconds)`, and `tooLarge(id)` for a block that was skipped. */
  constructor(sink, largest = LARGEST_BLOCK) {
    this.#sink = sink;
    this.#largest = largest;
  }

  push(text) {
    let at = 0;
    if (this.#isAfterCr && text !== "") {
      this.#isAfterCr = false;
      at = text[0] === "\n" ? 1 : 0;
    }
    let cr = text.indexOf("\r", at);
    let lf = text.indexOf("\n", at);
    while (cr >= 0 || lf >= 0) {
      const isCr = cr >= 0 && (lf < 0 || cr < lf);
      const end = isCr ? cr : lf;
      this.#hold(text.slice(at, end));
      at = end + 1;
      if (isCr && at === text.length) this.#isAfterCr = true;
      if (isCr && text[at] === "\n") at += 1;
      const line = this.#line;
      this.#line = "";
      this.#take(line);
      if (cr >= 0 && cr < at) cr = text.indexOf("\r", at);
      if (lf >= 0 && lf < at) lf = text.indexOf("\n", at);
    }
    this.#hold(text.slice(at));
  }

  #hold(part) {
    this.#line += part;
    if (this.#nHeld + this.#line.length <= this.#largest) return;
    this.#isSkipping = true;
    this.#data = [];
    this.#nHeld = 0;
    // What is left says that the line is not empty, and nothing else.
    this.#line = ":";
  }

  #take(line) {
    if (line === "") return this.#end();
    const colon = line.indexOf(":");
    if (colon === 0) return this.#isSkipping ? undefined : this.#sink.comment?.(line.slice(line[1] === " " ? 2 : 1));
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data" && !this.#isSkipping) {
      this.#data.push(value);
      this.#nHeld += value.length + 1;
    } else if (field === "event") this.#name = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^[0-9]+$/.test(value)) this.#sink.retry?.(Number(value));
    return undefined;
  }

  #end() {
    const [name, data, id, isSkipped] = [this.#name || "message", this.#data, this.#id, this.#isSkipping];
    [this.#name, this.#data, this.#id, this.#isSkipping, this.#nHeld] = ["", [], undefined, false, 0];
    if (isSkipped) this.#sink.tooLarge?.(id);
    else if (data.length > 0) this.#sink.block(name, data.join("\n"), id);
    else if (id !== undefined) this.#sink.block(name, undefined, id);
  }
}

/**
 * Whether a place is known to be the other one or after it. Ids are `<epoch>.<number>.<tag>`; of two epochs nothing is
 * known, and of ids in another form only whether they are the same.
 */
export function isAtLeast(id, other) {
  if (id === null || other === null || id === undefined || other === undefined) return false;
  if (id === other) return true;
  const [a, b] = [/^([^.]+)\.(\d{1,20})\./.exec(id), /^([^.]+)\.(\d{1,20})\./.exec(other)];
  if (a === null || b === null || a[1] !== b[1]) return false;
  // Compared as text: the numbers have 64 bits.
  const [x, y] = [a[2].replace(/^0+/, ""), b[2].replace(/^0+/, "")];
  return x.length === y.length ? x > y : x.length > y.length;
}

/** One connection, which comes back with its cursor until it is stopped or not wanted. */
class Link {
  #stream;
  #sink;
  #world;
  #abort = null;
  #wake = null;
  #dueAt = 0;
  #isHeldOff = false;
  #lastByte = 0;
  #base = BASE;
  #nFailures = 0;
  #isRenewed = false;
  #frames = [];
  #closing = null;
  #isDegraded = false;
  #isOpen = false;
  isStopped = false;
  cursor;

  /** The sink has `unit`, `closing`, `state`, `beat` and `end`. */
  constructor(stream, cursor, sink) {
    this.#stream = stream;
    this.#world = stream.world;
    this.#sink = sink;
    this.cursor = cursor;
    this.#run();
  }

  stop() {
    this.isStopped = true;
    this.#abort?.abort();
    this.#wake?.();
  }

  /** Tries at once, unless the hub has asked for a time. */
  hurry() {
    if (!this.#isHeldOff) this.#wake?.();
  }

  /** Does what a timer should have done: a hidden page has few of them. */
  look() {
    const now = this.#world.now();
    if (this.#wake !== null && now >= this.#dueAt) this.#wake();
    if (this.#wake === null && now - this.#lastByte >= SILENCE) this.#abort?.abort();
  }

  async #run() {
    while (!this.isStopped) {
      this.#state("connecting");
      const since = this.#world.now();
      let wait;
      try {
        wait = await this.#connect();
      } catch (error) {
        // Without a word from the hub it is the network, or the hook for tokens.
        wait = { cause: String(error?.message ?? error) };
      }
      this.#drop();
      if (this.isStopped) return;
      if (wait.end !== undefined) {
        this.isStopped = true;
        this.#sink.end(wait.end);
        return;
      }
      if (this.#world.now() - since >= GOOD) this.#nFailures = 0;
      await this.#pause(wait);
    }
  }

  /** Waits with full jitter; what the hub asks for comes before it. */
  #pause({ least = 0, isAtOnce = false, cause = "ended" }) {
    const bound = Math.min(this.#base * 2 ** Math.min(this.#nFailures, 20), Math.max(LONGEST_WAIT, this.#base));
    const isWelcome = isAtOnce && this.#nFailures === 0;
    this.#nFailures += 1;
    const jitter = this.#world.random() * (least > 0 ? Math.min(bound, this.#base) : bound);
    const wait = isWelcome ? 0 : least + jitter;
    this.#isHeldOff = least > 0;
    this.#dueAt = this.#world.now() + wait;
    this.#state("waiting", { wait, cause });
    if (this.isStopped) return undefined;
    return new Promise((resolve) => {
      const timer = this.#world.setTimeout(() => this.#wake?.(), Math.min(wait, 2 ** 31 - 1));
      this.#wake = () => {
        this.#wake = null;
        this.#world.clearTimeout(timer);
        resolve();
      };
    });
  }

  async #connect() {
    const abort = new this.#world.AbortController();
    this.#abort = abort;
    let watch;
    let giveUp;
    const silence = new Promise((_, reject) => {
      giveUp = () => {
        abort.abort();
        reject(new Error("nothing came for 45 s"));
      };
    });
    silence.catch(() => {});
    const heard = () => {
      this.#lastByte = this.#world.now();
      this.#world.clearTimeout(watch);
      watch = this.#world.setTimeout(giveUp, SILENCE);
    };
    heard();
    try {
      // No abort ends a hook.
      const token = await Promise.race([this.#stream.token(), silence]);
      if (this.isStopped) return {};
      const response = await this.#world.fetch(...this.#request(token, abort.signal));
      if (this.isStopped) return {};
      heard();
      const refusal = await this.#refusal(response, token);
      if (refusal !== undefined) return refusal;
      return await this.#read(response.body.getReader(), heard);
    } finally {
      this.#world.clearTimeout(watch);
      abort.abort();
    }
  }

  #request(token, signal) {
    const headers = { ...this.#stream.headers, accept: "text/event-stream" };
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    let { url } = this.#stream;
    if (this.cursor !== null && /^[\x21-\x7e]+$/.test(this.cursor)) headers["last-event-id"] = this.cursor;
    else if (this.cursor !== null) {
      const named = new URL(url);
      named.searchParams.set("last_event_id", this.cursor);
      url = named.href;
    }
    return [url, { headers, signal, cache: "no-store", credentials: this.#stream.credentials }];
  }

  /** What follows from an answer that is no stream; nothing if it is one. */
  async #refusal(response, token) {
    const { status } = response;
    const isStream = (response.headers.get("content-type") ?? "").trim().toLowerCase().startsWith("text/event-stream");
    if (status === 200 && isStream) return undefined;
    if ([408, 425, 429].includes(status) || status >= 500) {
      const seconds = Number((response.headers.get("retry-after") ?? "").trim() || NaN);
      const least = seconds > 0 ? Math.min(seconds, 86_400) * 1_000 : 0;
      return { least, cause: `status ${status}` };
    }
    if (status === 401 && this.#stream.hasTokens && !this.#isRenewed) {
      this.#isRenewed = true;
      this.#stream.forgetToken("refused", token);
      return { isAtOnce: true, cause: "status 401" };
    }
    let detail = "";
    try {
      detail = (await response.text()).slice(0, 2_000);
      detail = JSON.parse(detail).detail ?? detail;
    } catch {
      // The status has to say it.
    }
    const reason = status === 401 ? "unauthorized" : status === 403 ? "forbidden" : "refused";
    const what = status === 200 ? "the answer is no event stream" : `status ${status}`;
    return { end: new EventStreamError(reason, detail === "" ? what : `${what}: ${detail}`, status) };
  }

  async #read(reader, heard) {
    this.#closing = null;
    this.#isDegraded = false;
    this.#isRenewed = false;
    const decoder = new TextDecoder();
    const parser = new Parser(this);
    this.#isOpen = false;
    // From an open stream nothing is missed, so there has to be a cursor.
    if (this.cursor !== null || !this.#stream.resumes) this.#open();
    for (;;) {
      const { done, value } = await reader.read();
      if (this.isStopped) return {};
      if (done) break;
      heard();
      parser.push(decoder.decode(value, { stream: true }));
      if (this.isStopped) return {};
      if (this.#closing !== null) break;
    }
    const reason = this.#closing;
    if (reason === null) return {};
    // The hub has named the time after which it wants this tab back.
    if (reason === "draining" || reason === "replaced") this.#nFailures = 0;
    if (reason === "revoked") return { end: new EventStreamError(reason, "an operator has ended the user's streams") };
    if (reason === "token_expired") {
      if (!this.#stream.hasTokens) return { end: new EventStreamError(reason, "the token has expired") };
      this.#stream.forgetToken("expired");
    }
    const least = reason === "replaced" ? this.#base : 0;
    return { least, isAtOnce: ["token_expired", "slow", "max_age"].includes(reason), cause: reason };
  }

  // What the parser finds.

  block(name, data, id) {
    if (this.isStopped) return;
    if (name === "heartbeat" && id === undefined) return this.#beat();
    if (name === "closing" && id === undefined) {
      this.#closing = reasonOf(data) ?? "draining";
      return this.#sink.closing(this.#closing);
    }
    if (data !== undefined) {
      // What comes proves that the connection is good.
      this.#nFailures = 0;
      this.#frames.push({ id: id ?? null, event: name, data });
      if (!this.#stream.resumes) return this.#unit(null);
    }
    if (id !== undefined) this.#unit(id === "" ? null : id);
  }

  comment(text) {
    if (text === "degraded") this.#isDegraded = true;
    else if (text.startsWith('{"type":"heartbeat"')) this.#beat();
  }

  retry(milliseconds) {
    this.#base = Math.min(Math.max(milliseconds, SMALLEST_BASE), 3_600_000);
  }

  tooLarge(id) {
    const gap = { reason: "too_large", from: this.cursor, to: id ?? null, lost: 1 };
    this.#frames.push({ id: id ?? null, event: "gap", data: JSON.stringify(gap) });
    this.#unit(id ?? null);
  }

  #unit(id) {
    const frames = this.#frames;
    this.#frames = [];
    const [first] = frames;
    // Told to a reader whose place the hub has lost, or who had none.
    const isReset = first !== undefined && (first.id === null || first.event === "gap");
    const unit = { id, frames, since: this.cursor, isReset: isReset && this.#stream.resumes };
    if (id !== null) this.cursor = id;
    this.#sink.unit(unit);
    if (id !== null) this.#open();
  }

  #open() {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#state("open");
  }

  #beat() {
    // The hub is silent, so no id follows for these.
    if (this.#frames.length > 0) this.#unit(null);
    if (!this.isStopped) this.#sink.beat(!this.#isDegraded);
  }

  /** Forgets the part of a unit whose id has not come: it comes again. */
  #drop() {
    this.#frames = [];
  }

  #state(state, more = {}) {
    if (!this.isStopped) this.#sink.state(state, more);
  }
}

/** Shares a link: made when the lock is held, gone when it is not. */
class Leader {
  #stream;
  #world;
  #places = [];
  #timer;
  #link = null;
  #start = null;
  #mark = null;
  #n = 0;
  #nOpened = 0;
  #state = ["connecting", {}];
  #isOver = false;

  constructor(stream) {
    this.#stream = stream;
    this.#world = stream.world;
    stream.post({ kind: "claim" });
    this.#timer = this.#world.setTimeout(() => this.#begin(), GATHERING);
  }

  place(cursor) {
    if (this.#link === null && this.#places.length < 10_000) this.#places.push(cursor);
  }

  /** Reads on from the smallest place of those in step, or begins where its own tab stands. */
  #begin() {
    const places = this.#places.filter((place) => place !== null);
    this.#start = places[0] ?? (this.#places.length > 0 ? null : this.#stream.cursor);
    for (const place of places) if (isAtLeast(this.#start, place)) this.#start = place;
    this.#mark = this.#start;
    // Said before anything can come, so that nobody takes a unit without knowing what it follows.
    this.#link = { cursor: this.#start };
    this.here();
    if (this.#isOver) return;
    this.#link = new Link(this.#stream, this.#start, this);
    this.#beat();
  }

  #beat() {
    this.#timer = this.#world.setTimeout(() => {
      this.here();
      if (!this.#isOver) this.#beat();
    }, BEAT);
  }

  /** Says where it is. */
  here() {
    if (this.#link === null) return;
    const [n, mark, start, nOpened] = [this.#n, this.#mark, this.#start, this.#nOpened];
    this.#stream.post({ kind: "here", n, mark, start, cursor: this.#link.cursor, nOpened, state: this.#state });
  }

  hurry() {
    this.#link?.hurry?.();
  }

  look() {
    this.#link?.look?.();
  }

  stop() {
    this.#isOver = true;
    this.#world.clearTimeout(this.#timer);
    this.#link?.stop?.();
  }

  // What the link says.

  unit(unit) {
    // The mark is a place that others can reach by events alone; before the first one it is any cursor.
    // After what has no id there is no place at which anybody could come in.
    if (unit.id === null) this.#mark = null;
    else if (unit.frames.length > 0 || this.#n === 0 || this.#mark === null) this.#mark = unit.id;
    const n = this.#n++;
    this.#stream.post({ kind: "unit", n, unit });
  }

  closing(reason) {
    this.#stream.post({ kind: "closing", reason });
  }

  state(state, more) {
    this.#state = [state, more];
    if (state === "open") this.#nOpened += 1;
    this.here();
  }

  beat() {
    this.here();
  }

  end(error) {
    this.#stream.post({ kind: "end", reason: error.reason, message: error.message, status: error.status });
  }
}

/** A stream that a page follows. */
export class EventStream extends EventTarget {
  /** What stands for the browser. */
  world;
  url;
  headers;
  credentials;
  /** Whether the stream has ids. */
  resumes;
  role = "alone";
  state = "connecting";
  #options;
  #name;
  #tab;
  #storage;
  #key;
  #token;
  #tokenWhy = "first";
  #asking = null;
  #cursor = null;
  /** `new`: has asked, or will; `tail`: in step; `behind`: on a link of its own; `paused`: its iterator is full;
   * `away`: the page is frozen; `over`. */
  #mode = "new";
  #channel = null;
  #claim = null;
  #leader = null;
  #leaderTab = null;
  #next = 0;
  /** How often the leader's link had been opened when it was last heard. */
  #nOpened = 0;
  #point = null;
  #isInDoubt = false;
  #held = [];
  #isHeldReset = false;
  #nHeldChars = 0;
  #link = null;
  #patience;
  #lastWord = 0;
  #queue = null;
  #error = null;
  #listeners = [];
  #said = "";

  constructor(address, options, world) {
    super();
    this.world = world;
    this.#options = options;
    const url = new URL(address, world.base);
    if (options.user !== undefined && !url.searchParams.has("user")) url.searchParams.set("user", options.user);
    const path = url.pathname;
    this.url = url.href;
    this.headers = options.headers ?? {};
    this.credentials = options.credentials ?? "same-origin";
    this.resumes = options.resumes ?? !/\/(analytics|llm\/streams)$/.test(path);
    this.#name = `events.js 1 ${options.user ?? ""} ${this.url}`;
    this.#tab = Array.from({ length: 4 }, () => Math.floor(world.random() * 2 ** 32).toString(36)).join("");
    // What tells its state to whoever comes is told it after a reload: the page has lost what it showed.
    const tellsState = /\/contexts$/.test(path) || url.searchParams.has("thread") || url.searchParams.has("task");
    const storage = options.storage === undefined && !tellsState ? world.storage : options.storage;
    this.#storage = this.resumes ? (storage ?? null) : null;
    this.#key = KEPT + this.#name;
    this.#cursor = options.lastEventId ?? this.#kept() ?? null;
    // Without a name nobody could say whether two tabs may see the same.
    const isShared = (options.shared ?? !/\/llm\/streams$/.test(path)) && options.user !== undefined;
    this.#claim = isShared && world.locks && world.channel ? { isWanted: true } : null;
    this.#listen();
    // Whoever has called gets to add listeners first.
    Promise.resolve().then(() => this.#mode === "new" && this.#join());
  }

  /** The id of the last thing that the page was given. */
  get cursor() {
    return this.#cursor;
  }

  close() {
    this.#finish(null);
  }

  // === Tokens ===

  /** Whether there can be another token than this one. */
  get hasTokens() {
    return typeof this.#options.token === "function";
  }

  /** One token for all connections of this tab, asked for when it is needed. */
  async token() {
    const { token } = this.#options;
    if (!this.hasTokens) return token;
    this.#asking ??= this.#askToken(token);
    return this.#asking;
  }

  async #askToken(hook) {
    try {
      this.#token = await hook(this.#tokenWhy);
      return this.#token;
    } catch (error) {
      this.#asking = null;
      throw error;
    }
  }

  /** Has the hook asked again, unless it was since a connection has used the token. */
  forgetToken(why, used = this.#token) {
    if (used !== this.#token) return;
    this.#tokenWhy = why;
    this.#asking = null;
  }

  // === Coming and going ===

  #join() {
    this.#mode = "new";
    if (this.#claim === null) return this.#fallBehind(null);
    try {
      this.#channel = this.world.channel(this.#name);
    } catch {
      return this.#goAlone();
    }
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.role = "follower";
    this.#lastWord = this.world.now();
    this.#seek({});
    this.post({ kind: "ask" });
    this.#wait(PATIENCE);
    return undefined;
  }

  #goAlone() {
    this.world.clearTimeout(this.#patience);
    this.#channel?.close();
    this.#channel = null;
    this.#claim = null;
    this.#leaderTab = null;
    this.role = "alone";
    if (this.#mode === "new" || this.#mode === "tail") this.#fallBehind(null);
  }

  /** Waits for the leader's word; without one this tab reads by itself, and at last deposes a leader that hangs. */
  #wait(after) {
    this.world.clearTimeout(this.#patience);
    this.#patience = this.world.setTimeout(() => {
      const silence = this.world.now() - this.#lastWord;
      if (this.#mode === "new" && silence >= PATIENCE) this.#fallBehind(null);
      if (this.#leader === null && silence >= DEAD) {
        this.#lastWord = this.world.now();
        this.#leaderTab = null;
        if (this.#mode === "tail") this.#fallBehind(null);
        this.#giveBack();
        this.#seek({ steal: true });
      }
      this.#wait(this.#mode === "new" ? PATIENCE : BEAT);
    }, after);
  }

  /** Asks for the lock, and leads while it is held. */
  #seek(how) {
    const claim = { isWanted: true, release: () => {}, abort: new this.world.AbortController() };
    this.#claim = claim;
    const lead = () =>
      new Promise((release) => {
        if (!claim.isWanted) return release();
        claim.release = release;
        this.role = "leader";
        this.#leaderTab = this.#tab;
        this.#leader = new Leader(this);
        return undefined;
      });
    const more = how.steal ? { steal: true } : { signal: claim.abort.signal };
    this.world.locks.request(this.#name, more, lead).catch((error) => {
      if (!claim.isWanted) return;
      this.#giveBack();
      // Deposed by a tab that could not hear this one; or locks are not to be had here.
      if (error?.name === "AbortError") this.#seek({});
      else this.#goAlone();
    });
  }

  /** Lets go of the lock, or of the place in its queue. */
  #giveBack() {
    const claim = this.#claim;
    this.#leader?.stop();
    this.#leader = null;
    if (claim === null) return;
    this.role = "follower";
    claim.isWanted = false;
    claim.release?.();
    claim.abort?.abort();
  }

  #leave(mode) {
    this.#mode = mode;
    this.world.clearTimeout(this.#patience);
    this.#dropLink();
    this.#giveBack();
    this.#channel?.close();
    this.#channel = null;
    this.#leaderTab = null;
    this.#keep();
  }

  #listen() {
    const on = (target, type, act) => {
      target?.addEventListener?.(type, act);
      this.#listeners.push(() => target?.removeEventListener?.(type, act));
    };
    const { page, document } = this.world;
    const away = () => this.#mode !== "away" && this.#leave("away");
    const back = () => this.#mode === "away" && this.#join();
    on(page, "pagehide", away);
    on(page, "pageshow", back);
    on(document, "freeze", away);
    on(document, "resume", back);
    on(page, "online", () => {
      this.#link?.hurry();
      this.#leader?.hurry();
    });
    on(document, "visibilitychange", () => {
      if (document.visibilityState !== "visible" || this.#mode === "away") return;
      this.#link?.look();
      this.#leader?.look();
      this.post({ kind: "nudge" });
    });
  }

  #finish(error) {
    if (this.#mode === "over") return;
    this.#error = error;
    this.#leave("over");
    for (const remove of this.#listeners) remove();
    this.#say("closed", error === null ? {} : { reason: error.reason, error });
    this.#queue?.wake();
  }

  // === Messages ===

  /** Says something to the other tabs; what a leader says is for its own tab too. */
  post(message) {
    const whole = { ...message, from: this.#tab };
    this.#channel?.postMessage(whole);
    if (this.#leader !== null || message.kind === "claim") this.#hear(whole);
  }

  #hear(message) {
    const { kind, from } = message;
    if (this.#mode === "over" || this.#mode === "away") return;
    const isOwn = from === this.#tab;
    if (kind === "ask") return isOwn ? undefined : this.#leader?.here();
    if (kind === "nudge") return this.#leader?.look();
    if (kind === "place") return message.to === this.#tab ? this.#leader?.place(message.cursor) : undefined;
    // What is left is a leader's word. This tab holds the lock, so another's is old, or this one's lock was taken away.
    if (this.#leader !== null && !isOwn) return undefined;
    if (kind === "claim") this.#claimed(from, isOwn);
    else if (kind === "here") this.#place(message);
    else if (from !== this.#leaderTab) return undefined;
    else if (kind === "unit") this.#number(message);
    else if (kind === "closing") this.#fire("closing", { reason: message.reason }, this.#options.onClosing);
    else if (kind === "end") this.#finish(new EventStreamError(message.reason, message.message, message.status));
    this.#lastWord = this.world.now();
    return undefined;
  }

  #claimed(from, isOwn) {
    this.#leaderTab = from;
    this.#next = 0;
    // Where it begins has to be compared once.
    this.#nOpened = -1;
    if (this.#mode === "behind") this.#hold(null);
    if (this.#mode !== "tail") return;
    // The leader that is being made is not there to hear it yet.
    if (isOwn) Promise.resolve().then(() => this.#leader?.place(this.#cursor));
    else this.post({ kind: "place", to: from, cursor: this.#cursor });
  }

  /** Hears where a leader is, and finds out whether this tab is in step with it. */
  #place({ from, n, mark, start, cursor, nOpened, state }) {
    const isFollowed = from === this.#leaderTab && n === this.#next;
    this.#leaderTab = from;
    this.#next = n;
    const isSameLink = isFollowed && nOpened === this.#nOpened;
    this.#nOpened = nOpened;
    if (this.#mode === "tail" && isSameLink) return this.#say(...state);
    if (this.#mode === "behind") {
      if (!isFollowed) this.#hold(mark);
      else if (this.#held.length === 0) this.#point = mark;
      return this.#meet(false);
    }
    if (this.#mode === "paused") return undefined;
    const isAtStart = n === 0 && start === null && this.#cursor === null;
    const isThere = this.#cursor !== null && (this.#cursor === cursor || this.#cursor === mark);
    if (!this.resumes || isAtStart || (isThere && mark !== null)) {
      this.#mode = "tail";
      return this.#say(...state);
    }
    return this.#fallBehind(mark);
  }

  #number({ n, unit }) {
    const isNext = n === this.#next;
    this.#next = n + 1;
    if (this.#mode === "tail" && !isNext) this.#fallBehind(null);
    if (this.#mode === "tail") this.#take(unit);
    else if (this.#mode === "behind") {
      if (!isNext) this.#hold(null);
      this.#holdBack(unit);
      this.#meet(false);
    }
  }

  // === In step ===

  #take(unit) {
    if (unit.since === this.#cursor || !this.resumes) this.#give(unit);
    else if (unit.isReset || !isAtLeast(this.#cursor, unit.id)) {
      // What the leader had before is not what this tab had: the hub has to say what follows its cursor.
      this.#fallBehind(null);
      this.#holdBack(unit);
    }
  }

  // === Behind ===

  /** Reads by itself until it has reached the point, or anything that is held back. */
  #fallBehind(point) {
    this.#mode = "behind";
    // The hub has not said yet that it knows this cursor.
    this.#isInDoubt = true;
    this.#hold(point);
    this.#dropLink();
    const link = new Link(this, this.#cursor, {
      unit: (unit) => {
        this.#isInDoubt = false;
        this.#give(unit);
        if (this.#link === link) this.#meet(false);
      },
      beat: (isWhole) => {
        if (!isWhole) return;
        this.#isInDoubt = false;
        // The hub has nothing more than this tab has: what the leader posts is all there is.
        this.#meet(true);
      },
      closing: (reason) => this.#fire("closing", { reason }, this.#options.onClosing),
      state: (state, more) => this.#say(state, more),
      end: (error) => this.#finish(error),
    });
    this.#link = link;
  }

  #hold(point) {
    this.#point = point;
    this.#held = [];
    this.#isHeldReset = false;
    this.#nHeldChars = 0;
  }

  #holdBack(unit) {
    this.#held.push(unit);
    this.#isHeldReset ||= unit.isReset;
    this.#nHeldChars += unit.frames.reduce((sum, frame) => sum + frame.data.length, 0);
    const isFull = this.#held.length > MOST_HELD || this.#nHeldChars > MOST_HELD_CHARS;
    // Its own link brings them; from here on the leader's are held again.
    if (isFull) this.#hold(unit.id);
  }

  /** Joins the leader's units, if this tab has come to a place from which it holds them all. */
  #meet(isSilent) {
    if (this.#mode !== "behind" || this.#isInDoubt || this.#leaderTab === null) return;
    const held = this.#held;
    let n = -1;
    if (isSilent || isAtLeast(this.#cursor, this.#point)) n = 0;
    // They are in order until the hub takes something back, so before that the first that is later ends the search.
    for (let i = 0; i < held.length; i += 1) {
      if (isAtLeast(this.#cursor, held[i].id)) n = i + 1;
      else if (!this.#isHeldReset && isAtLeast(held[i].id, this.#cursor)) break;
    }
    if (n < 0) return;
    this.#dropLink();
    this.#mode = "tail";
    this.#hold(null);
    if (isSilent) {
      // Silent at this tab's cursor, so nothing lies between it and a place that a leader was told without an event.
      const isPlace = (unit) => (unit.frames.length === 0 || unit.isReset) && isAtLeast(unit.id, this.#cursor);
      const last = held.findLastIndex(isPlace);
      if (last >= n) {
        this.#give({ ...held[last], frames: [] });
        n = last + 1;
      }
    }
    for (const unit of held.slice(n)) {
      if (this.#mode === "tail") this.#take(unit);
      else if (this.#mode === "behind") this.#holdBack(unit);
    }
    if (this.#mode === "tail") this.#ask();
  }

  /** Has the leader say where it is. */
  #ask() {
    if (this.#leader === null) this.post({ kind: "ask" });
    else this.#leader.here();
  }

  #dropLink() {
    this.#link?.stop();
    this.#link = null;
  }

  // === For the page ===

  /** Gives a unit to the page, whole. */
  #give(unit) {
    const from = this.#cursor;
    if (unit.id !== null) this.#cursor = unit.id;
    for (const { id, event, data } of unit.frames) {
      if (this.#mode === "over") return;
      const item = new StreamEvent(id, event, data);
      if (event === "gap") this.#fire("gap", { from, ...item.json }, this.#options.onGap);
      else this.#fire("event", item, this.#options.onEvent);
      this.#queue?.push(item, unit.id);
    }
    if (this.#queue === null) this.#keep();
  }

  #say(state, more = {}) {
    const { role } = this;
    const said = `${state} ${role}`;
    const isNews = said !== this.#said;
    this.state = state;
    this.#said = said;
    if (isNews) this.#fire("state", { state, role, ...more }, this.#options.onState);
  }

  #fire(type, detail, handler) {
    try {
      handler?.(detail);
    } catch (error) {
      // The page's mistake is the page's to hear of; the stream goes on.
      this.world.report(error);
    }
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** Events and gaps in their order. While 1,024 wait, the stream stands still; the hub's log has what comes. */
  [Symbol.asyncIterator]() {
    if (this.#queue !== null) throw new EventStreamError("iterated", "one iterator at a time");
    const items = [];
    let waiting = null;
    let taken = null;
    this.#queue = {
      push: (item, id) => {
        items.push({ item, id });
        this.#queue?.wake();
        if (items.length >= MOST_QUEUED && this.#mode !== "over") {
          this.#dropLink();
          this.#mode = "paused";
        }
      },
      wake: () => {
        waiting?.();
        waiting = null;
      },
      /** What the page has dealt with. */
      get cursor() {
        return taken;
      },
    };
    const next = async () => {
      this.#keep();
      while (items.length === 0) {
        if (this.#mode === "over") {
          if (this.#error !== null) throw this.#error;
          return { done: true, value: undefined };
        }
        await new Promise((resolve) => {
          waiting = resolve;
        });
      }
      const { item, id } = items.shift();
      // An event that is one of several with one id is dealt with when the last of them is.
      if (items[0]?.id !== id) taken = id ?? taken;
      if (this.#mode === "paused" && items.length <= MOST_QUEUED / 2) this.#catchUp();
      return { done: false, value: item };
    };
    const end = async () => {
      this.#queue = null;
      this.close();
      return { done: true, value: undefined };
    };
    return { next, return: end, [Symbol.asyncIterator]: () => this };
  }

  /** Goes on after a pause, from its cursor. */
  #catchUp() {
    this.#mode = "new";
    if (this.#claim === null) return this.#fallBehind(null);
    this.#ask();
    return undefined;
  }

  // === The cursor across reloads ===

  #kept() {
    try {
      return this.#storage?.getItem(this.#key)?.split(" ")[1];
    } catch {
      return undefined;
    }
  }

  #keep() {
    const cursor = this.#queue === null ? this.#cursor : this.#queue.cursor;
    if (this.#storage === null || cursor === null || cursor.length > LONGEST_KEPT) return;
    try {
      if (this.#storage.getItem(this.#key) === null) this.#makeRoom();
      this.#storage.setItem(this.#key, `${this.world.now()} ${cursor}`);
    } catch {
      // Full, or forbidden: the next page begins anew.
    }
  }

  /** Forgets the cursors that were kept longest ago. */
  #makeRoom() {
    const storage = this.#storage;
    const all = Array.from({ length: storage.length }, (_, i) => storage.key(i));
    const keys = all.filter((key) => key?.startsWith(KEPT));
    const age = (key) => Number(storage.getItem(key)?.split(" ")[0]);
    keys.sort((a, b) => age(a) - age(b));
    for (const key of keys.slice(0, Math.max(0, keys.length - MOST_KEPT + 1))) storage.removeItem(key);
  }
}

/** One event. */
class StreamEvent {
  #json;
  #isRead = false;

  constructor(id, event, data) {
    this.id = id;
    this.event = event;
    this.data = data;
  }

  get json() {
    if (!this.#isRead) {
      this.#isRead = true;
      try {
        this.#json = JSON.parse(this.data);
      } catch {
        this.#json = undefined;
      }
    }
    return this.#json;
  }
}

function reasonOf(data) {
  try {
    const { reason } = JSON.parse(data);
    return typeof reason === "string" ? reason : undefined;
  } catch {
    return undefined;
  }
}

/** What the stream needs of a browser. */
function browser() {
  const all = globalThis;
  let storage = null;
  try {
    storage = all.sessionStorage ?? null;
  } catch {
    // Forbidden to this page.
  }
  return {
    fetch: (...request) => all.fetch(...request),
    AbortController: all.AbortController,
    setTimeout: (act, after) => all.setTimeout(act, after),
    clearTimeout: (timer) => all.clearTimeout(timer),
    now: () => Date.now(),
    random: () => Math.random(),
    report: (error) => (all.reportError ?? all.console.error)(error),
    locks: all.navigator?.locks,
    channel: all.BroadcastChannel && ((name) => new all.BroadcastChannel(name)),
    page: all.window,
    document: all.document,
    base: all.location?.href,
    storage,
  };
}
