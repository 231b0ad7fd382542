// A page that joins late, or has missed events, asks the hub where the threads stand. A thread's events wait until
// that is known; those that the answer has in it already are passed over, so nothing is shown twice or lost.

import { placeOf } from './console-model.js';

const MAX_THREADS = 20;
const AT_A_TIME = 2;
const MAX_HELD = 5000;
const PATIENCE_MS = 15_000;

export class Rejoin {
  #user;
  #page;
  #fetch;
  #round = undefined;

  /**
   * The page has `shown()`, the names of the threads that it shows; `expect(thread, updatedAtMs)`; `retell(thread, events)`;
   * `miss(threads)` for those of which nothing is told; `take(frame, id)` for events that have waited; and `done(isWhole)`.
   */
  constructor(user, page, get = (...request) => fetch(...request)) {
    this.#user = user;
    this.#page = page;
    this.#fetch = get;
  }

  /** Asks anew. What is on the way from before is dropped. */
  begin() {
    this.#end(false);
    const round = { abort: new AbortController(), list: [], waiting: new Map(), untold: new Set(), nHeld: 0, nPending: 0, isWhole: true };
    this.#round = round;
    this.#askAll(round);
  }

  /** Keeps an event until its thread has been told; false if there is nothing to wait for. */
  hold(frame, id) {
    const round = this.#round;
    if (round === undefined || frame.protocol !== 'agui') return false;
    const { thread } = frame;
    let queue = round.list ?? round.waiting.get(thread);
    if (queue === undefined) {
      if (!round.untold.delete(thread)) return false;
      queue = [];
      round.waiting.set(thread, queue);
      this.#ask(round, thread);
    }
    queue.push([frame, id]);
    round.nHeld += 1;
    if (round.nHeld > MAX_HELD) this.#end(true);
    return true;
  }

  async #askAll(round) {
    let threads;
    try {
      ({ threads } = await this.#get(round, '/agui/threads'));
    } catch {
      if (this.#round === round) this.#end(true);
      return;
    }
    if (this.#round !== round) return;
    round.untold = new Set(threads.map(({ threadId }) => threadId));
    const shown = new Set(this.#page.shown());
    const told = threads.filter(({ threadId }, n) => n < MAX_THREADS || shown.has(threadId));
    for (const { threadId, updatedAtMs } of told.toReversed()) {
      round.untold.delete(threadId);
      round.waiting.set(threadId, []);
      this.#page.expect(threadId, updatedAtMs);
    }
    this.#page.miss([...shown].filter((thread) => !round.waiting.has(thread)));
    this.#releaseList(round);
    const names = told.map(({ threadId }) => threadId);
    round.nPending += 1;
    await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
      while (names.length && this.#round === round) await this.#ask(round, names.shift());
    }));
    this.#settle(round);
  }

  #releaseList(round) {
    const { list } = round;
    round.list = undefined;
    for (const [frame, id] of list ?? []) if (!this.hold(frame, id)) this.#page.take(frame, id);
  }

  async #ask(round, thread) {
    round.nPending += 1;
    let told;
    try {
      told = await this.#get(round, `/agui/threads/${encodeURIComponent(thread)}`, { form: 'events' });
    } catch {
      round.isWhole = false;
    }
    if (this.#round !== round) return;
    const held = round.waiting.get(thread) ?? [];
    round.waiting.delete(thread);
    round.nHeld -= held.length;
    if (told) this.#page.retell(thread, told.events);
    else this.#page.miss([thread]);
    for (const [frame, id] of held) if (!told || isBehind(id, told.cursor)) this.#page.take(frame, id);
    this.#settle(round);
  }

  #settle(round) {
    round.nPending -= 1;
    if (round.nPending === 0 && this.#round === round) this.#page.done(round.isWhole);
  }

  /** Gives up on what has not been told; its events go on as they are. */
  #end(isMissed) {
    const round = this.#round;
    this.#round = undefined;
    if (round === undefined) return;
    round.abort.abort();
    const isUnfinished = round.list !== undefined || round.waiting.size > 0;
    if (isMissed && isUnfinished) this.#page.miss(round.list ? this.#page.shown() : [...round.waiting.keys()]);
    for (const queue of [round.list ?? [], ...round.waiting.values()]) for (const [frame, id] of queue) this.#page.take(frame, id);
    if (isMissed && isUnfinished) this.#page.done(false);
  }

  async #get({ abort }, path, query = {}) {
    const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(PATIENCE_MS)]);
    const response = await this.#fetch(`${path}?${new URLSearchParams({ user: this.#user, ...query })}`, { signal });
    if (!response.ok) throw new Error(`${response.status}`);
    return response.json();
  }
}

/** Whether an event came after a place; in another epoch nothing can be said, and it is shown. */
function isBehind(id, cursor) {
  const [[epoch, number], [otherEpoch, last]] = [placeOf(id), placeOf(cursor)];
  return epoch !== otherEpoch || number === undefined || number > last;
}
