/** The parser against the recorded streams of the hub's own decoder, and against the standard by the letter. */

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { isAtLeast, Parser } from "../events.js";
import { random } from "./world.js";

const FIXTURES = process.env.FIXTURES ?? new URL("../../../events-sse/src/testdata/", import.meta.url).pathname;

/** What a reader of the chunks sees: name, data, and the cursor then. */
function read(chunks, largest) {
  const seen = [];
  let cursor = "";
  const decoder = new TextDecoder();
  const parser = new Parser({
    block: (name, data, id) => {
      cursor = id ?? cursor;
      if (data !== undefined) seen.push([name, data, cursor]);
    },
    tooLarge: (id) => {
      cursor = id ?? cursor;
      seen.push("too large");
    },
  }, largest);
  for (const chunk of chunks) parser.push(decoder.decode(chunk, { stream: true }));
  return seen;
}

/** The standard's steps on the whole stream at once. */
function byTheLetter(bytes) {
  const lines = new TextDecoder().decode(bytes).replaceAll("\r\n", "\n").replaceAll("\r", "\n").split("\n");
  lines.pop();
  let [data, name, id] = ["", "", ""];
  let last = "";
  const seen = [];
  for (const line of lines) {
    if (line === "") {
      last = id;
      if (data !== "") seen.push([name || "message", data.slice(0, -1), last]);
      [data, name] = ["", ""];
      continue;
    }
    const at = line.indexOf(":");
    const field = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (field === "event") name = value;
    else if (field === "data") data += `${value}\n`;
    else if (field === "id" && !value.includes("\0")) id = value;
  }
  return seen;
}

function cutAtRandom(bytes, draw) {
  const chunks = [];
  for (let at = 0; at < bytes.length; ) {
    const n = 1 + Math.floor(draw() ** 2 * 30);
    chunks.push(bytes.slice(at, at + n));
    at += n;
  }
  return chunks;
}

test("recorded streams, cut anywhere, read as by the letter", async () => {
  const draw = random(7);
  const names = (await readdir(FIXTURES)).filter((name) => name.endsWith(".sse"));
  assert(names.length >= 9, `${names.length} fixtures`);
  for (const name of names) {
    const bytes = await readFile(`${FIXTURES}/${name}`);
    const expected = byTheLetter(bytes);
    assert.deepEqual(read([bytes]), expected, name);
    assert.deepEqual(read([...bytes].map((byte) => Uint8Array.of(byte))), expected, `${name}, byte by byte`);
    for (let n = 0; n < 50; n += 1) assert.deepEqual(read(cutAtRandom(bytes, draw)), expected, name);
  }
});

test("drawn streams, cut anywhere, read as by the letter", () => {
  const draw = random(11);
  const words = ["data", "data:", "data: ", "id: ", "id:", "event: ", "retry: 5", ":", ": x", "\r", "\n", "\r\n", "\n\n",
    "\r\r", "a", " ", "é", "\u{1f600}", "\0", "x: y", "7", "\ufeff"];
  for (let n = 0; n < 5_000; n += 1) {
    let text = draw() < 0.2 ? "\ufeff" : "";
    for (let length = draw() * 40; length > 0; length -= 1) text += words[Math.floor(draw() * words.length)];
    const bytes = new TextEncoder().encode(text);
    assert.deepEqual(read(cutAtRandom(bytes, draw)), byTheLetter(bytes), JSON.stringify(text));
  }
});

test("a block over the bound is passed over, and its id counts", () => {
  const large = `data: ${"x".repeat(100)}\n`;
  const text = `data: a\n\nid: 7\n${large}${large}data: b\n\ndata: c\n\n${"y".repeat(300)}\n\ndata: d\n\n`;
  const expected = [["message", "a", ""], "too large", ["message", "c", "7"], "too large", ["message", "d", "7"]];
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 7, 50, 1_000]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.slice(i * size, (i + 1) * size));
    assert.deepEqual(read(chunks, 150), expected, `chunks of ${size}`);
  }
});

test("places are compared within one epoch, as numbers of 64 bits", () => {
  for (const [a, b, expected] of [
    ["e.2.x", "e.10.x", [false, true]],
    ["e.18446744073709551615.x", "e.18446744073709551614.x", [true, false]],
    ["e.5.x", "e.5.x", [true, true]],
    ["e.5.x", "e.5.y", [false, false]],
    ["e.5.x", "f.4.x", [false, false]],
    ["e.0.0", "e.1.x", [false, true]],
    ["same", "same", [true, true]],
    ["other", "same", [false, false]],
    [null, "e.1.x", [false, false]],
  ]) assert.deepEqual([isAtLeast(a, b), isAtLeast(b, a)], expected, `${a} ${b}`);
});
