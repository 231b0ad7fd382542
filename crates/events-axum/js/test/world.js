/**
 * A world of tabs for the tests: a hub, locks, channels, timers and a clock, all driven by one seed. Whatever a browser
 * may do in another order happens in a drawn one; what it keeps in order (one sender to one receiver, one connection,
 * one queue for a lock) stays in order.
 */

/** Small and fast; the same seed draws the same numbers everywhere. */
export function random(seed) {
  let state = (seed * 2654435761) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class World {
  now = 0;
  tabs = [];
  /** What handlers have thrown. */
  errors = [];
  #queues = new Map();
  #timers = new Map();
  #nTimers = 0;
  #locks = new Map();

  constructor(seed) {
    this.random = random(seed);
    this.hub = new Hub(this);
  }

  draw(n) {
    return Math.floor(this.random() * n);
  }

  chance(p) {
    return this.random() < p;
  }

  /** Puts something to do at the end of a queue; `tab` is who does it, if that matters. */
  later(queue, tab, act) {
    if (!this.#queues.has(queue)) this.#queues.set(queue, []);
    this.#queues.get(queue).push({ tab, act });
  }

  /** Does one thing that is due, or lets time pass; false if there is nothing at all. */
  async step(mayRush = true) {
    // What was begun goes on for a few turns; what takes longer than that is overtaken.
    for (let turns = 12; turns > 0; turns -= 1) await null;
    const ready = [...this.#queues].filter(([, [first]]) => first.tab === null || !first.tab.isHung);
    if (ready.length > 0 && !(mayRush && this.chance(0.03))) {
      const [name, queue] = ready[this.draw(ready.length)];
      const { tab, act } = queue.shift();
      if (queue.length === 0) this.#queues.delete(name);
      if (tab === null || tab.isAlive) act();
    } else if (!this.#tick()) return ready.length > 0;
    if (this.errors.length > 0) throw this.errors[0];
    return true;
  }

  /** Goes to the next timer. */
  #tick() {
    let next = null;
    for (const timer of this.#timers.values()) {
      if (!timer.tab?.isHung && (next === null || timer.at < next.at)) next = timer;
    }
    if (next === null) return false;
    this.#timers.delete(next.id);
    this.now = Math.max(this.now, next.at);
    if (next.tab === null || next.tab.isAlive) next.act();
    return true;
  }

  setTimeout(tab, act, after) {
    const id = ++this.#nTimers;
    this.#timers.set(id, { id, tab, act, at: this.now + Math.max(0, after) });
    return id;
  }

  clearTimeout(id) {
    this.#timers.delete(id);
  }

  /** Opens a tab; `storage` is that of the one whose reload it is. */
  open(storage = new Storage()) {
    const tab = new Tab(this, this.tabs.length, storage);
    this.tabs.push(tab);
    return tab;
  }

  /** Ends a tab as a crash does. */
  kill(tab) {
    tab.isAlive = false;
    for (const lock of this.#locks.values()) {
      lock.waiting = lock.waiting.filter((request) => request.tab !== tab);
      if (lock.holder?.tab === tab) this.#release(lock, lock.holder);
    }
    this.hub.forget(tab);
  }

  // === Locks ===

  lock(tab, name, { signal, steal }, act) {
    if (!this.#locks.has(name)) this.#locks.set(name, { holder: null, waiting: [] });
    const lock = this.#locks.get(name);
    return new Promise((resolve, reject) => {
      const request = { tab, act, resolve, reject };
      if (steal) {
        const old = lock.holder;
        lock.holder = null;
        if (old) this.later(`lock ${old.tab.id}`, old.tab, () => old.reject(new DOMException("stolen", "AbortError")));
        lock.waiting.unshift(request);
      } else lock.waiting.push(request);
      signal?.addEventListener("abort", () => {
        if (!lock.waiting.includes(request)) return;
        lock.waiting = lock.waiting.filter((other) => other !== request);
        reject(new DOMException("aborted", "AbortError"));
      });
      this.#grant(lock);
    });
  }

  #grant(lock) {
    if (lock.holder !== null || lock.waiting.length === 0) return;
    const request = lock.waiting.shift();
    lock.holder = request;
    this.later(`lock ${request.tab.id}`, request.tab, async () => {
      if (lock.holder !== request) return;
      request.resolve(await request.act());
      this.#release(lock, request);
    });
  }

  #release(lock, request) {
    if (lock.holder !== request) return;
    lock.holder = null;
    this.#grant(lock);
  }
}

class Storage {
  #items = new Map();
  get length() {
    return this.#items.size;
  }
  key(n) {
    return [...this.#items.keys()][n] ?? null;
  }
  getItem(key) {
    return this.#items.get(key) ?? null;
  }
  setItem(key, value) {
    this.#items.set(key, value);
  }
  removeItem(key) {
    this.#items.delete(key);
  }
}

class Tab {
  isAlive = true;
  isHung = false;
  isFrozen = false;
  page = new EventTarget();
  channels = new Set();

  constructor(world, id, storage) {
    this.id = id;
    this.storage = storage;
    this.inside = world;
  }

  /** What the module is given in the browser's place. */
  get world() {
    const world = this.inside;
    return {
      fetch: (url, options) => world.hub.fetch(this, url, options),
      AbortController,
      setTimeout: (act, after) => world.setTimeout(this, act, after),
      clearTimeout: (id) => world.clearTimeout(id),
      now: () => world.now,
      random: () => world.random(),
      report: (error) => world.errors.push(error),
      locks: { request: (name, options, act) => world.lock(this, name, options, act) },
      channel: (name) => new Channel(this, name),
      page: this.page,
      document: undefined,
      base: "http://hub.test/page",
      storage: this.storage,
    };
  }
}

class Channel {
  onmessage = null;
  #tab;

  constructor(tab, name) {
    this.#tab = tab;
    this.name = name;
    tab.channels.add(this);
  }

  postMessage(message) {
    const from = this.#tab;
    if (!from.isAlive) return;
    const text = JSON.stringify(message);
    for (const tab of from.inside.tabs) {
      for (const channel of tab.channels) {
        if (tab === from || channel.name !== this.name) continue;
        const act = () => tab.channels.has(channel) && channel.onmessage?.({ data: JSON.parse(text) });
        from.inside.later(`channel ${from.id} ${tab.id}`, tab, act);
      }
    }
  }

  close() {
    this.#tab.channels.delete(this);
  }
}

/** One user's log, and the connections that read it. Some events are of another stream, and not seen on this one. */
export class Hub {
  epoch = 1;
  /** `{ seq, tag, isSeen, beforeSeq, beforeTag }`; what stands before is the last seen event before it. */
  log = [];
  trimmed = 0;
  lastTag = 0;
  connections = new Set();
  /** Cursors that were refused: a gap or a prelude for these is right. */
  judged = new Set();
  hasState = false;
  /** How often something goes wrong. */
  trouble = 0;
  n = 0;
  most = 0;
  #world;

  constructor(world) {
    this.#world = world;
  }

  get head() {
    return this.log.length;
  }

  id(seq) {
    const tag = seq === 0 ? 0 : this.log[seq - 1].tag;
    return `e${this.epoch}.${seq}.${tag}`;
  }

  publish(isSeen) {
    const before = this.log.findLast((event) => event.isSeen);
    const seq = this.log.length + 1;
    const tag = ++this.lastTag;
    this.log.push({ seq, tag, isSeen, beforeSeq: before?.seq ?? 0, beforeTag: before?.tag ?? 0 });
    for (const connection of this.connections) this.#pump(connection);
  }

  cut() {
    for (const connection of [...this.connections]) this.#end(connection);
  }

  restart() {
    this.cut();
    this.epoch += 1;
    this.log = [];
    this.trimmed = 0;
  }

  /** Loses what was last; its numbers are given again. */
  loseTail(n) {
    this.cut();
    this.log.length = Math.max(this.trimmed, this.log.length - n);
  }

  forget(tab) {
    for (const connection of [...this.connections]) if (connection.tab === tab) this.connections.delete(connection);
  }

  fetch(tab, url, { headers, signal }) {
    const world = this.#world;
    const connection = { n: ++this.n, tab, chunks: [], reader: null, at: 0, view: 0, isOver: false, isLossy: false };
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => {
        this.connections.delete(connection);
        connection.isOver = true;
        const error = new Error("aborted");
        reject(error);
        connection.reader?.reject(error);
      });
      world.later(`net ${connection.n}`, tab, () => {
        if (signal.aborted) return;
        if (world.chance(this.trouble)) {
          const kind = world.draw(3);
          if (kind === 0) return reject(new Error("no network"));
          if (kind === 1) return resolve(answer(429, { "retry-after": "1" }, null));
          const closing = 'retry: 2000\nevent: closing\ndata: {"reason":"draining"}\n\n';
          resolve(answer(200, STREAM, this.#body(connection)));
          this.#write(connection, closing);
          return this.#end(connection);
        }
        this.connections.add(connection);
        this.most = Math.max(this.most, this.connections.size);
        resolve(answer(200, STREAM, this.#body(connection)));
        this.#begin(connection, headers["last-event-id"] ?? null);
        return undefined;
      });
    });
  }

  #begin(connection, cursor) {
    const world = this.#world;
    this.#write(connection, `retry: ${2000 + world.draw(3000)}\n: connected\n`);
    const place = cursor === null ? null : this.#place(cursor);
    // A replica may be a little behind, but has what it is asked to go on from.
    connection.view = Math.max(place ?? this.trimmed, this.head - world.draw(3));
    if (cursor !== null && place === null) this.judged.add(cursor);
    connection.at = place ?? connection.view;
    const id = this.id(connection.at);
    if (place !== null || (cursor === null && !this.hasState)) this.#write(connection, `id: ${id}\n\n`);
    else if (this.hasState) {
      this.#write(connection, `data: {"part":1}\n\n`);
      this.#write(connection, `id: ${id}\ndata: {"state":"${id}"}\n\n`);
    } else {
      const gap = JSON.stringify({ reason: "unknown", from: cursor, to: id, lost: null });
      this.#write(connection, `id: ${id}\nevent: gap\ndata: ${gap}\n\n`);
    }
    this.#pump(connection);
    this.#beat(connection);
  }

  #place(cursor) {
    const [, epoch, seq, tag] = /^e(\d+)\.(\d+)\.(\d+)$/.exec(cursor) ?? [];
    const isHere = Number(epoch) === this.epoch && Number(seq) <= this.head && Number(seq) >= this.trimmed;
    return isHere && this.id(Number(seq)) === cursor && Number(tag) >= 0 ? Number(seq) : null;
  }

  #pump(connection) {
    this.#world.later(`pump ${connection.n}`, null, () => {
      if (!this.connections.has(connection)) return;
      connection.view = this.head;
      let text = "";
      for (const event of this.log.slice(connection.at)) {
        if (event.isSeen) text += `id: ${this.id(event.seq)}\ndata: ${JSON.stringify({ ...event, epoch: this.epoch })}\n\n`;
      }
      connection.at = this.head;
      if (text !== "") this.#write(connection, text);
    });
  }

  #beat(connection) {
    this.#world.setTimeout(null, () => {
      if (!this.connections.has(connection)) return;
      if (connection.at === this.head) this.#write(connection, ': {"type":"heartbeat"}\n');
      this.#beat(connection);
    }, 15_000);
  }

  /** Sends text, cut anywhere. */
  #write(connection, text) {
    const bytes = new TextEncoder().encode(text);
    let at = 0;
    while (at < bytes.length) {
      const n = this.#world.chance(0.2) ? 1 + this.#world.draw(20) : bytes.length - at;
      const chunk = bytes.slice(at, at + n);
      at += n;
      this.#world.later(`net ${connection.n}`, connection.tab, () => this.#arrive(connection, { done: false, value: chunk }));
    }
  }

  #end(connection) {
    this.connections.delete(connection);
    // What is on its way may be lost.
    connection.isLossy = this.#world.chance(0.5);
    this.#world.later(`net ${connection.n}`, connection.tab, () => this.#arrive(connection, { done: true }));
  }

  #arrive(connection, piece) {
    if (connection.isOver || (connection.isLossy && !piece.done)) return;
    if (connection.reader === null) connection.chunks.push(piece);
    else {
      const { resolve } = connection.reader;
      connection.reader = null;
      resolve(piece);
    }
  }

  #body(connection) {
    const read = () =>
      new Promise((resolve, reject) => {
        if (connection.isOver) reject(new Error("aborted"));
        else if (connection.chunks.length > 0) resolve(connection.chunks.shift());
        else connection.reader = { resolve, reject };
      });
    return { getReader: () => ({ read }) };
  }
}

const STREAM = { "content-type": "text/event-stream" };

function answer(status, headers, body) {
  return { status, headers: { get: (name) => headers[name] ?? null }, body, text: async () => "{}" };
}
