#!/usr/bin/env node
// Puts a stream through the official AG-UI client and tells what that client thinks of it.
//
//   node agui-check.mjs --packages DIR SOURCE [options]
//
// SOURCE is a URL, a file of SSE text, or a file ending in .jsonl (one event per line).
// DIR is a folder in which `npm ci` has put the client's packages.
//
//   --order            also check the order of events (chunk expansion, then verifyEvents)
//   --whole            also run every stage of the receive pipeline (client 1.0 only)
//   --agent            let HttpAgent.runAgent() do the whole work; SOURCE is a URL
//   --body FILE        POST this JSON instead of GET; with --agent: the RunAgentInput to start from
//   --header 'K: V'    a request header, repeatable
//   --seconds S        stop reading after S seconds (30); stopping is not a failure
//   --max N            stop after N events
//   --min N            fewer events than this is exit code 3 (1)
//   --piece N          hand a file over in pieces of N bytes
//   --json             one JSON object per finding, instead of text
//
// The last line is always `N events, M invalid`; a refused order counts as one invalid.
// Exit: 0 clean, 1 something invalid, 2 transport or framing failed, 3 too few events, 64 usage.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { parseArgs } from "node:util";

const EXIT = { clean: 0, invalid: 1, broken: 2, few: 3, usage: 64 };

class Usage extends Error {}

function settings(argv) {
  const text = { type: "string" };
  const flag = { type: "boolean", default: false };
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      packages: text, body: text, seconds: text, max: text, min: text, piece: text,
      header: { type: "string", multiple: true, default: [] },
      order: flag, whole: flag, agent: flag, json: flag,
    },
  });
  const number = (name, otherwise) => {
    const value = Number(values[name] ?? otherwise);
    if (!(value >= 0)) throw new Usage(`--${name} is not a number`);
    return value;
  };
  if (!values.packages) throw new Usage("--packages is missing");
  if (positionals.length !== 1) throw new Usage("exactly one SOURCE is needed");
  const headers = Object.fromEntries(values.header.map((line) => {
    const colon = line.indexOf(":");
    if (colon < 1) throw new Usage(`not a header: ${line}`);
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
  }));
  return {
    ...values, headers, source: positionals[0], isUrl: /^https?:/.test(positionals[0]),
    seconds: number("seconds", 30), max: number("max", Infinity), min: number("min", 1), piece: number("piece", 0),
  };
}

// The official packages, loaded from the folder that was named.
function load(folder) {
  const require = createRequire(resolve(folder, "package.json"));
  let schemas;
  try {
    schemas = require("@ag-ui/core/schemas");
  } catch {
    schemas = require("@ag-ui/core"); // Before 1.0 the validators were in the main entry.
  }
  return { client: require("@ag-ui/client"), rx: require("rxjs"), EventSchemas: schemas.EventSchemas };
}

// A bounded wait around one fetch: when it is over, reading stops and that is no error.
function limited(seconds) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), seconds * 1000);
  return { signal: controller.signal, stop: () => controller.abort(), clear: () => clearTimeout(timer) };
}

async function responseOf(options, signal, report) {
  const request = { signal, headers: { accept: "text/event-stream", ...options.headers } };
  if (options.body) {
    request.method = "POST";
    request.headers["content-type"] = "application/json";
    request.body = readFileSync(options.body);
  }
  const response = await fetch(options.source, request);
  const contentType = response.headers.get("content-type") ?? "";
  report({ kind: "response", status: response.status, contentType });
  if (response.ok && !contentType.startsWith("text/event-stream")) throw new Error(`content-type is '${contentType}'`);
  return response;
}

// A file in the shape in which the client's parser gets its bytes from the network.
function fileAsHttp(options, rx) {
  let bytes = readFileSync(options.source);
  if (options.source.endsWith(".jsonl")) {
    const lines = bytes.toString("utf8").split("\n").filter((line) => line.trim());
    bytes = Buffer.from(lines.map((line) => `data: ${line}\n\n`).join(""));
  }
  const size = options.piece || Math.max(bytes.length, 1);
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
  const head = { type: "headers", status: 200, headers: new Headers({ "content-type": "text/event-stream" }) };
  // Asynchronous, since the parser subscribes at once but is listened to only afterwards.
  return rx.from([head, ...pieces.map((data) => ({ type: "data", data }))], rx.asapScheduler).pipe(rx.observeOn(rx.asyncScheduler));
}

async function collect(options, official, report) {
  const { client, rx } = official;
  const limit = limited(options.seconds);
  const events = [];
  let failure;
  try {
    const http = options.isUrl
      ? client.runHttpRequest(() => responseOf(options, limit.signal, report))
      : fileAsHttp(options, rx);
    const counted = client.parseSSEStream(http).pipe(rx.tap((event) => {
      events.push(event);
      if (events.length >= options.max) limit.stop();
    }));
    await rx.lastValueFrom(counted, { defaultValue: undefined });
  } catch (error) {
    if (!limit.signal.aborted) failure = error;
  } finally {
    limit.clear();
  }
  return { events, failure };
}

// The message of a refusal, or undefined when all events pass the stages.
async function refusal(rx, events, stages) {
  let passed = 0;
  try {
    await rx.lastValueFrom(rx.from(events).pipe(...stages, rx.tap(() => passed++)), { defaultValue: undefined });
  } catch (error) {
    return `after ${passed} events: ${error.message}`;
  }
}

async function judge(events, options, { client, rx, EventSchemas }, report) {
  let invalid = 0;
  const valid = [];
  events.forEach((event, index) => {
    const checked = EventSchemas.safeParse(event);
    const line = { kind: checked.success ? "event" : "invalid", n: index + 1, type: event?.type ?? null, event };
    if (checked.success) valid.push(checked.data);
    else {
      invalid++;
      line.why = checked.error.issues.slice(0, 3).map((issue) => `${issue.path.join(".") || "event"}: ${issue.message}`).join("; ").slice(0, 400);
    }
    report(line);
  });
  const runs = [];
  if (options.order) runs.push(["order", valid, [client.transformChunks(), client.verifyEvents()]]);
  if (options.whole) {
    if (!client.enforceEvents) throw new Usage("--whole needs client 1.0");
    const boundary = new client.CompatibilityBoundary();
    const input = { threadId: "thread", runId: "run", messages: [], tools: [], context: [] };
    const compatible = (source) => boundary.run(input, { run: () => source });
    runs.push(["whole", events, [compatible, client.enforceEvents(), client.transformChunks(), client.verifyEvents()]]);
  }
  for (const [check, material, stages] of runs) {
    const why = await refusal(rx, material, stages);
    if (why) invalid++;
    report({ kind: "check", check, ok: !why, why });
  }
  return invalid;
}

// What an application does: one HttpAgent, one runAgent(), and a look at what it then holds.
async function runAgent(options, { client }, report) {
  const input = options.body ? JSON.parse(readFileSync(options.body, "utf8")) : {};
  const agent = new client.HttpAgent({
    url: options.source, headers: options.headers, threadId: input.threadId,
    initialMessages: input.messages ?? [], initialState: input.state ?? {},
  });
  const result = { events: [], failure: undefined, invalid: 0 };
  const timer = setTimeout(() => agent.abortRun(), options.seconds * 1000);
  const parameters = { runId: input.runId, tools: input.tools, context: input.context, forwardedProps: input.forwardedProps };
  try {
    await agent.runAgent(parameters, {
      onEvent: ({ event }) => {
        result.events.push(event);
        report({ kind: "event", n: result.events.length, type: event.type, event });
      },
    });
  } catch (error) {
    result.invalid = 1;
    report({ kind: "check", check: "agent", ok: false, why: error.message });
  } finally {
    clearTimeout(timer);
  }
  report({ kind: "agent", messages: agent.messages, state: agent.state });
  return result;
}

function printer(asJson) {
  if (asJson) return (finding) => console.log(JSON.stringify(finding));
  return (finding) => {
    if (finding.kind === "invalid") console.log(`invalid #${finding.n} ${finding.type}: ${finding.why}`);
    if (finding.kind === "check") console.log(`${finding.check}: ${finding.ok ? "ok" : finding.why}`);
    if (finding.kind === "failure") console.log(`failed: ${finding.why}`);
  };
}

async function main() {
  const options = settings(process.argv.slice(2));
  const report = printer(options.json);
  const official = load(options.packages);
  console.warn = (...words) => process.stderr.write(`${words.join(" ")}\n`);
  const outcome = options.agent ? await runAgent(options, official, report) : await collect(options, official, report);
  const invalid = outcome.invalid ?? await judge(outcome.events, options, official, report);
  const count = outcome.events.length;
  if (outcome.failure) report({ kind: "failure", why: String(outcome.failure.message ?? outcome.failure) });
  console.log(`${count} events, ${invalid} invalid`);
  if (outcome.failure) return EXIT.broken;
  if (invalid) return EXIT.invalid;
  return count < options.min ? EXIT.few : EXIT.clean;
}

// A pipe takes its time: `process.exit` would cut what it has not taken yet. Open sockets must not keep us, though.
function leave(code) {
  process.stdout.write("", () => process.exit(code));
}

main().then(leave, (error) => {
  console.error(`agui-check: ${error.message}`);
  leave(error instanceof Usage || error.code?.startsWith("ERR_PARSE_ARGS") ? EXIT.usage : EXIT.broken);
});
