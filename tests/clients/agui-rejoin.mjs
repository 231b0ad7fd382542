// Lets agents of the official AG-UI client take in streams, and tells what each then holds.
//
//   node agui-rejoin.mjs --packages DIR FILE
//
// FILE has one JSON object a line. A log is {"log": NAME, "events": [...]}. A case is
// {"case": NAME, "messages": [...], "state": ..., "connections": [[PART, ...], ...]}: an agent that holds these
// messages and this state runs once for each connection. A part is {"log": NAME, "from": n, "to": n} or
// {"events": [...]}.
// For each case one line is printed: {"case", "messages", "state"}, and "why" if a run was refused.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { packages: { type: "string" } } });
const require = createRequire(resolve(values.packages, "package.json"));
const { AbstractAgent } = require("@ag-ui/client");
const { from } = require("rxjs");

for (const name of ["warn", "error", "debug", "log"]) console[name] = () => {};

class Player extends AbstractAgent {
  play = [];

  run() {
    return from(structuredClone(this.play));
  }
}

const logs = new Map();

async function judge({ case: name, messages, state, connections }) {
  const agent = new Player({ threadId: "thread", initialMessages: messages ?? [], initialState: state ?? {} });
  let why;
  for (const parts of connections) {
    agent.play = parts.flatMap((part) => part.events ?? logs.get(part.log).slice(part.from, part.to));
    // An agent does not run again before its questions are answered.
    const resume = agent.pendingInterrupts?.map(({ id }) => ({ interruptId: id, status: "cancelled" }));
    try {
      await agent.runAgent({ runId: "request", resume });
    } catch (error) {
      why ??= String(error?.message ?? error);
    }
  }
  return { case: name, messages: agent.messages, state: agent.state, why };
}

const lines = readFileSync(positionals[0], "utf8").split("\n").filter(Boolean);
for (const line of lines) {
  const parsed = JSON.parse(line);
  if (parsed.log) logs.set(parsed.log, parsed.events);
  else process.stdout.write(`${JSON.stringify(await judge(parsed))}\n`);
}
