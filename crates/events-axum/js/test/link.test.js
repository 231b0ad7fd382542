/** One tab and a hub that answers as it is told to: waits, reasons, tokens, bounds. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, EventStreamError } from "../events.js";

const RETRY = "retry: 2000\n: connected\nid: e.0.0\n\n";
const event = (n) => `id: e.${n}.t\ndata: {"n":${n}}\n\n`;
const closing = (reason, retry = 2_000) => `retry: ${retry}\nevent: closing\ndata: {"reason":"${reason}"}\n\n`;
const HANG = Symbol("leaves the connection open");

/** Answers each request with the next of `answers`: `[status, headers, ...text]`, or text alone, or an error. */
function tab(answers, options = {}, more = {}) {
  const log = { requests: [], states: [], events: [], gaps: [], closings: [], waits: [], errors: [] };
  const timers = new Map();
  let now = 0;
  let n = 0;
  const world = {
    fetch: async (url, { headers, signal }) => {
      log.requests.push({ url, headers, at: now });
      const answer = answers.shift() ?? [HANG];
      if (answer instanceof Error) throw answer;
      const [status, head, ...chunks] = typeof answer[0] === "number" ? answer : [200, {}, ...answer];
      const all = { "content-type": "text/event-stream", ...head };
      const read = async () => {
        const chunk = chunks.shift();
        if (chunk === undefined) return { done: true };
        if (chunk !== HANG) return { done: false, value: typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk };
        chunks.unshift(HANG);
        return new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(new Error("aborted")));
          log.push = (text) => {
            chunks.unshift(text);
          };
        });
      };
      return {
        status,
        headers: { get: (name) => all[name] ?? null },
        body: { getReader: () => ({ read }) },
        text: async () => chunks.join(""),
      };
    },
    AbortController,
    setTimeout: (act, after) => (timers.set(++n, { act, at: now + after }), n),
    clearTimeout: (id) => timers.delete(id),
    now: () => now,
    random: () => 0.5,
    report: (error) => log.errors.push(error),
    page: new EventTarget(),
    base: "http://hub.test/",
    storage: null,
    ...more,
  };
  const stream = connect("/agui", {
    user: "ada",
    onEvent: ({ json }) => log.events.push(json.n),
    onGap: (gap) => log.gaps.push(gap),
    onClosing: ({ reason }) => log.closings.push(reason),
    onState: (state) => {
      log.states.push(state.state);
      if (state.state === "waiting") log.waits.push(Math.round(state.wait));
      log.last = state;
    },
    ...options,
  }, world);
  const rest = async () => {
    for (let turns = 60; turns > 0; turns -= 1) await null;
  };
  /** Lets time pass, timer by timer. */
  const pass = async (time) => {
    await rest();
    const end = now + time;
    for (;;) {
      const due = [...timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (due === undefined) break;
      timers.delete(due[0]);
      now = Math.max(now, due[1].at);
      due[1].act();
      await rest();
    }
    now = end;
    await rest();
  };
  return { ...log, log, stream, pass, world };
}

test("where nothing can be shared a tab has its own connection, and comes back with its cursor", async () => {
  const { log, stream, pass } = tab([[RETRY, event(1), event(2)], [RETRY, event(3), HANG]]);
  await pass(10_000);
  assert.deepEqual(log.events, [1, 2, 3]);
  assert.equal(stream.role, "alone");
  assert.deepEqual(log.requests.map(({ url, headers }) => [url, headers["last-event-id"]]), [
    ["http://hub.test/agui?user=ada", undefined],
    ["http://hub.test/agui?user=ada", "e.2.t"],
  ]);
  assert.deepEqual(log.waits, [1_000], "half of the hub's base");
  stream.close();
  assert.equal(log.last.state, "closed");
});

test("failures in a row wait longer, up to 30 s, and an event ends the row", async () => {
  const failures = Array.from({ length: 7 }, () => new Error("no network"));
  const { log, pass } = tab([...failures, [RETRY, event(1)], [HANG]]);
  await pass(80_000);
  assert.deepEqual(log.waits, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 1_000]);
});

test("what the hub asks for in Retry-After is waited for", async () => {
  const busy = (status, after) => [status, { "retry-after": after, "content-type": "application/problem+json" }, "{}"];
  const { log, pass } = tab([busy(429, "7"), busy(503, "20"), [502, {}, ""], busy(429, "Wed, 21 Oct 2026 07:28:00 GMT"), [HANG]]);
  await pass(50_000);
  assert.deepEqual(log.waits, [7_500, 20_500, 2_000, 4_000]);
  assert.deepEqual(log.requests.length, 5);
});

test("each reason for closing has its consequence", async () => {
  for (const [reason, retry, wait] of [["draining", 2_000, 1_000], ["slow", 2_000, 0], ["max_age", 2_000, 0], ["replaced", 30_000, 45_000], ["news", 2_000, 1_000]]) {
    const { log, pass } = tab([[RETRY, event(1), closing(reason, retry), HANG], [RETRY, event(2), HANG]]);
    await pass(wait + 1_000);
    assert.deepEqual(log.closings, [reason]);
    assert.deepEqual(log.waits, [wait], reason);
    assert.deepEqual(log.events, [1, 2], reason);
  }
  const { log, pass } = tab([[RETRY, closing("revoked"), HANG]]);
  await pass(500_000);
  assert.deepEqual([log.last.state, log.last.reason, log.requests.length], ["closed", "revoked", 1]);
});

test("a closing that comes again and again is not answered in a hurry", async () => {
  const ends = Array.from({ length: 5 }, () => [closing("max_age"), HANG]);
  const { log, pass } = tab(ends);
  await pass(100_000);
  assert.deepEqual(log.waits.slice(0, 5), [0, 2_000, 4_000, 8_000, 15_000]);
});

test("a token is asked for at first, after a refusal and after its end, and a second refusal ends the stream", async () => {
  const whys = [];
  const token = async (why) => `${whys.push(why)}`;
  const problem = { "content-type": "application/problem+json" };
  const refused = [401, problem, '{"detail":"no good"}'];
  const { log, pass } = tab([refused, [RETRY, closing("token_expired"), HANG], [RETRY, event(1)], refused, refused], { token });
  await pass(100_000);
  assert.deepEqual(whys, ["first", "refused", "expired", "refused"]);
  assert.deepEqual(log.requests.map(({ headers }) => headers.authorization), ["Bearer 1", "Bearer 2", "Bearer 3", "Bearer 3", "Bearer 4"]);
  assert.deepEqual([log.last.reason, log.last.error.status], ["unauthorized", 401]);
  assert.match(log.last.error.message, /no good/);
});

test("a hook that fails is asked again, later; one that hangs is given up with the attempt", async () => {
  let n = 0;
  const token = () => {
    n += 1;
    if (n === 1) throw new Error("signed out");
    return n === 2 ? new Promise(() => {}) : "t";
  };
  const { log, pass } = tab([[HANG]], { token });
  await pass(60_000);
  assert.deepEqual(log.waits.slice(0, 2), [500, 1_000]);
});

test("without a hook an expired token, and with one a refusal, end the stream", async () => {
  const expired = tab([[RETRY, closing("token_expired"), HANG]], { token: "t" });
  await expired.pass(1_000);
  assert.equal(expired.log.last.reason, "token_expired");
  for (const [answer, reason] of [[[403, {}, "no"], "forbidden"], [[404, {}, ""], "refused"], [[200, { "content-type": "text/html" }, "<p>"], "refused"]]) {
    const { log, pass } = tab([answer]);
    await pass(100_000);
    assert.deepEqual([log.last.state, log.last.reason, log.requests.length], ["closed", reason, 1]);
  }
});

test("45 s without a byte end a connection, and heartbeats keep it", async () => {
  const { log, pass } = tab([[RETRY, HANG], [RETRY, event(1), HANG]]);
  await pass(44_000);
  assert.equal(log.requests.length, 1);
  await pass(3_000);
  assert.equal(log.requests.length, 2);
  assert.deepEqual(log.events, [1]);
});

test("the network's return ends a wait, but not one that the hub has asked for", async () => {
  const { log, pass, world } = tab([new Error("no network"), [429, { "retry-after": "60" }, ""], [RETRY, HANG]]);
  await pass(1);
  world.page.dispatchEvent(new Event("online"));
  await pass(1);
  assert.equal(log.requests.length, 2);
  world.page.dispatchEvent(new Event("online"));
  await pass(50_000);
  assert.equal(log.requests.length, 2);
  await pass(20_000);
  assert.equal(log.requests.length, 3);
});

test("a gap is told with its cursor, and a prelude that was cut comes whole", async () => {
  const gap = 'id: e.9.t\nevent: gap\ndata: {"reason":"trimmed","from":"e.1.t","to":"e.9.t","lost":8}\n\n';
  const first = 'data: {"n":"a"}\n\n';
  const { log, stream, pass } = tab([[RETRY, gap, first], [first, 'id: e.10.t\ndata: {"n":"b"}\n\n', HANG]]);
  await pass(10_000);
  assert.deepEqual(log.gaps, [{ reason: "trimmed", from: "e.1.t", to: "e.9.t", lost: 8 }]);
  assert.deepEqual(log.events, ["a", "b"]);
  assert.equal(stream.cursor, "e.10.t");
});

test("a page's mistake in a handler is reported, and ends nothing", async () => {
  const mistake = new Error("of the page");
  const seen = [];
  const onEvent = ({ json }) => {
    seen.push(json.n);
    throw mistake;
  };
  const { log, pass } = tab([[RETRY, event(1), event(2), HANG]], { onEvent });
  await pass(1);
  assert.deepEqual([seen, log.errors], [[1, 2], [mistake, mistake]]);
});

test("an iterator that does not keep up stands still at its bound, and then has everything", async () => {
  const all = Array.from({ length: 3_000 }, (_, i) => i + 1);
  // The hub goes on from the cursor that it is sent.
  const bodies = { shift: () => [RETRY, all.slice(Number(log.requests.at(-1).headers["last-event-id"]?.split(".")[1] ?? 0)).map(event).join(""), HANG] };
  const { log, stream, pass } = tab(bodies, { onEvent: undefined });
  const iterator = stream[Symbol.asyncIterator]();
  await pass(10_000);
  assert.equal(stream.cursor, "e.1024.t");
  const seen = [];
  while (seen.length < 3_000) {
    const next = iterator.next();
    await pass(1);
    seen.push((await next).value.json.n);
  }
  assert.deepEqual(seen, all);
  assert.equal(log.requests.length, 5, "once, and for each half of the bound");
  await iterator.return();
  assert.deepEqual(await iterator.next(), { done: true, value: undefined });
});

test("an iterator ends with the error that ended the stream", async () => {
  const { stream, pass } = tab([[RETRY, event(1), closing("revoked"), HANG]]);
  const seen = [];
  const reading = (async () => {
    for await (const { json } of stream) seen.push(json.n);
  })();
  await pass(1_000);
  await assert.rejects(reading, (error) => error instanceof EventStreamError && error.reason === "revoked");
  assert.deepEqual(seen, [1]);
});

test("the cursor is kept across reloads, for 64 streams, and not where the stream tells its state", async () => {
  const items = new Map();
  const storage = {
    get length() {
      return items.size;
    },
    key: (n) => [...items.keys()][n],
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  };
  storage.setItem("of the page", "x");
  const first = tab([[RETRY, event(1), HANG]], {}, { storage });
  await first.pass(1);
  first.stream.close();
  const second = tab([[RETRY, HANG]], {}, { storage });
  await second.pass(1);
  assert.equal(second.log.requests[0].headers["last-event-id"], "e.1.t");
  for (let n = 0; n < 80; n += 1) {
    const other = tab([[RETRY, event(n + 2), HANG]], { user: `user ${n}` }, { storage, now: () => n });
    await other.pass(1);
    other.stream.close();
  }
  assert.equal(items.size, 65, "64 cursors, and what is the page's own");
  const before = items.size;
  const thread = connect("/agui?thread=t", { user: "x" }, { ...first.world, storage });
  await first.pass(1);
  thread.close();
  assert.equal(items.size, before);
});
