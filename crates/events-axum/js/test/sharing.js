/** Tabs that share a stream, in many drawn schedules: everything once, in order, nothing lost, no needless gap. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { connect } from "../events.js";
import { World } from "./world.js";

const N_SCHEDULES = Number(process.argv[2] ?? 2_000);
const FIRST = Number(process.argv[3] ?? 1);

/** Follows the stream in a tab, and checks each thing that it is given against the hub's log. */
class Reader {
  /** The tag and number of the last thing known. */
  place = null;
  part = false;
  nEvents = 0;

  constructor(tab, connect, options) {
    this.tab = tab;
    this.hub = tab.inside.hub;
    this.stream = connect("/agui", {
      user: "ada",
      storage: tab.storage,
      ...options,
      onEvent: (event) => this.#event(event),
      onGap: (gap) => this.#gap(gap),
      onState: ({ state }) => {
        if (state === "open") this.head ??= this.hub.head;
      },
    }, tab.world);
    this.note(this.stream.cursor);
  }

  /** A first place is one that the page can go on from. */
  note(cursor) {
    this.cursor = cursor;
    if (this.place === null && cursor !== null) this.place = placeOf(cursor);
  }

  #event({ id, json }) {
    if (json.part) {
      this.#mayBeReset();
      assert(!this.part, "half a prelude, and then another");
      this.part = true;
      return;
    }
    if (json.state) {
      assert(this.part, "half a prelude");
      this.part = false;
      this.place = placeOf(id);
      return;
    }
    assert(!this.part, "an event within a prelude");
    if (this.place === null) {
      // Nothing that was published since it was open may be missing.
      assert(!this.hub.hasState, `${id} before the prelude`);
      assert(this.head === undefined || json.beforeSeq <= this.head, `${json.beforeSeq} is missing at the beginning`);
      this.place = placeOf(id);
      return;
    }
    const what = `tab ${this.tab.id} at ${this.place.id} got ${id}`;
    assert.equal(json.epoch, this.place.epoch, `${what}: another epoch`);
    assert(json.seq > this.place.seq, `${what}: again`);
    assert(json.beforeSeq <= this.place.seq, `${what}: ${json.beforeSeq} is missing`);
    if (json.beforeSeq === this.place.seq && json.beforeSeq > 0) {
      assert.equal(json.beforeTag, this.place.tag, `${what}: of another past`);
    }
    this.place = placeOf(id);
    this.nEvents += 1;
  }

  #gap({ from, to }) {
    this.#mayBeReset();
    assert([this.place.id, this.cursor].includes(from), "another tab's gap");
    this.place = placeOf(to);
  }

  #mayBeReset() {
    if (this.place === null) return;
    // The cursor may have moved on since, where there was nothing to give.
    const isJudged = [this.place.id, this.cursor].some((cursor) => this.hub.judged.has(cursor));
    assert(isJudged, `tab ${this.tab.id} at ${this.place.id}: nobody has refused its cursor`);
  }
}

function placeOf(id) {
  const [, epoch, seq, tag] = /^e(\d+)\.(\d+)\.(\d+)$/.exec(id).map(Number);
  return { id, epoch, seq, tag };
}

/** Plays one schedule; throws what is wrong with it. */
async function play(seed, connect) {
  const world = new World(seed);
  const { hub } = world;
  hub.hasState = world.chance(0.5);
  hub.trouble = world.chance(0.5) ? 0.15 : 0;
  const isHard = world.chance(0.4);
  let readers = [];
  const open = (storage) => readers.push(new Reader(world.open(storage), connect, {}));
  const some = () => readers[world.draw(readers.length)];
  const away = (reader, type) => {
    reader.tab.isFrozen = type === "pagehide";
    reader.tab.page.dispatchEvent(new Event(type));
  };
  const gone = (reader) => {
    readers = readers.filter((other) => other !== reader);
  };
  const actions = [
    [8, () => {
      for (let n = 1 + world.draw(4); n > 0; n -= 1) hub.publish(world.chance(0.7));
    }],
    [3, () => readers.length < 6 && open()],
    [1, () => readers.length > 1 && ((reader) => (gone(reader), world.kill(reader.tab)))(some())],
    [1, () => readers.length > 1 && ((reader) => (gone(reader), reader.stream.close()))(some())],
    [1, () => ((reader) => {
      // A page that comes back has its storage, and knows nothing else.
      away(reader, "pagehide");
      gone(reader);
      world.kill(reader.tab);
      open(reader.tab.storage);
    })(some())],
    [1, () => ((reader) => away(reader, reader.tab.isFrozen ? "pageshow" : "pagehide"))(some())],
    [1, () => hub.cut()],
    [isHard ? 1 : 0, () => ((reader) => (reader.tab.isHung = !reader.tab.isHung))(some())],
    [isHard ? 1 : 0, () => (hub.trimmed = Math.max(hub.trimmed, hub.head - world.draw(4)))],
    [isHard ? 0.3 : 0, () => hub.restart()],
    [isHard ? 0.3 : 0, () => hub.loseTail(1 + world.draw(3))],
  ];
  const total = actions.reduce((sum, [weight]) => sum + weight, 0);
  for (let n = world.draw(4); n > 0; n -= 1) hub.publish(world.chance(0.7));
  for (let n = 1 + world.draw(4); n > 0; n -= 1) open();
  const note = () => readers.forEach((reader) => reader.note(reader.stream.cursor));
  for (let n = 30; n > 0; n -= 1) {
    for (let steps = world.draw(25); steps > 0; steps -= 1) {
      await world.step();
      note();
    }
    let drawn = world.random() * total;
    for (const [weight, act] of actions) {
      drawn -= weight;
      if (drawn < 0) {
        if (readers.length > 0) act();
        break;
      }
    }
  }
  // Then all is well again, and everybody has to come to the end.
  hub.trouble = 0;
  for (const reader of readers) {
    reader.tab.isHung = false;
    if (reader.tab.isFrozen) away(reader, "pageshow");
  }
  const until = async (limit, isDone) => {
    const end = world.now + limit;
    while (world.now < end && !isDone()) {
      if (!(await world.step(false))) break;
      note();
    }
    return isDone();
  };
  await until(120_000, () => false);
  const isShared = () => hub.connections.size === (readers.length > 0 ? 1 : 0);
  assert(isShared(), `connections after a while: ${[...hub.connections].map(({ tab, n }) => `${n} of tab ${tab.id}`)}`);
  for (let n = 3; n > 0; n -= 1) hub.publish(true);
  const last = hub.id(hub.head);
  const isThere = () => readers.every((reader) => reader.stream.cursor === last && reader.place?.id === last) && isShared();
  assert(await until(100_000, isThere), `not at ${last}: ${readers.map((reader) => `${reader.stream.role} ${reader.stream.cursor}`)}`);
  const leaders = readers.filter((reader) => reader.stream.role === "leader");
  assert.equal(leaders.length, readers.length > 0 ? 1 : 0, "leaders at the end");
  for (const reader of readers) reader.stream.close();
}

/** Plays schedules, and returns what is wrong with the first that goes wrong. */
async function firstFailure(seed, n, connect) {
  for (const end = seed + n; seed < end; seed += 1) {
    try {
      if (process.env.TRACE) console.error(seed);
      await play(seed, connect);
    } catch (error) {
      error.message = `schedule ${seed}: ${error.message}`;
      return error;
    }
  }
  return null;
}

/** The module with one thing wrong. */
async function broken(changes) {
  let text = await readFile(new URL("../events.js", import.meta.url), "utf8");
  for (const [from, to] of changes) {
    assert(text.includes(from), `not there any more: ${from}`);
    text = text.replace(from, () => to);
  }
  return (await import(`data:text/javascript,${encodeURIComponent(text)}`)).connect;
}

/** Mistakes that the schedules have to find. */
const FAULTS = {
  "a tab that is behind takes what the leader posts": [
    ['else if (this.#mode === "behind") {\n      if (!isNext)', 'else if (this.#mode === "behind") {\n      this.#give(unit);\n      if (!isNext)'],
  ],
  "a tab that has met the leader forgets what it held back": [["of held.slice(n)", "of held.slice(held.length)"]],
  "a tab that has met the leader takes all that it held back": [
    ["of held.slice(n)", "of held"],
    ["if (unit.since === this.#cursor || !this.resumes) this.#give(unit);", "if (true) this.#give(unit);"],
  ],
  "a missing number is not noticed": [["const isNext = n === this.#next;", "const isNext = true;"],
    ["if (unit.since === this.#cursor || !this.resumes)", "if (!isAtLeast(this.#cursor, unit.id))"]],
  "a new leader begins at its own cursor, and is believed": [
    ["if (isAtLeast(this.#start, place)) this.#start = place;", ";"],
    ["this.#start = places[0] ??", "this.#start = this.#stream.cursor ??"],
    ["if (!this.resumes || isAtStart ||", "if (n === 0 || isAtStart ||"],
    ["if (unit.since === this.#cursor || !this.resumes)", "if (!isAtLeast(this.#cursor, unit.id))"],
  ],
  "a gap of the leader counts for all": [
    ["if (unit.since === this.#cursor || !this.resumes)", "if (unit.isReset || unit.since === this.#cursor)"],
  ],
  "a cut within a prelude goes on with its rest": [["#drop() {", "#drop() {\n    return;"]],
};

const failure = await firstFailure(FIRST, N_SCHEDULES, connect);
if (failure !== null) {
  console.error(failure.message, failure);
  process.exit(1);
}
console.log(`${N_SCHEDULES} schedules: once, in order, nothing lost`);
for (const [name, changes] of Object.entries(process.env.FAULTS === "0" ? {} : FAULTS)) {
  const found = await firstFailure(FIRST, N_SCHEDULES, await broken(changes));
  if (found === null) {
    console.error(`not found in ${N_SCHEDULES} schedules: ${name}`);
    process.exitCode = 1;
  } else console.log(`found: ${name}: ${found.message.split("\n")[0]}`);
}
