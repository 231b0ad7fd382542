// Lets the official JavaScript client follow tasks, and says what it holds at the end.
//
//     node a2a-follow.mjs --packages FOLDER < jobs
//
// Reads and writes what a2a-follow.py does. This client has no fold of its own: the one below does what the Python
// library does.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";

const folder = process.argv[process.argv.indexOf("--packages") + 1];
const require = createRequire(pathToFileURL(`${folder}/`));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { StreamResponse, Task } = (await load("@a2a-js/sdk")).default ?? (await load("@a2a-js/sdk"));
const client = await load("@a2a-js/sdk/client");
const { ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory, RestTransportFactory } =
  client.default ?? client;

const legacyCompat = { enabled: true };
const resolver = new DefaultAgentCardResolver({ legacyCompat });
const factory = new ClientFactory({
  transports: [new JsonRpcTransportFactory({ legacyCompat }), new RestTransportFactory({ legacyCompat })],
  cardResolver: resolver,
});

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

function fold(task, event) {
  if (event.task) return structuredClone(event.task);
  if (event.statusUpdate) {
    const { status, metadata, contextId } = event.statusUpdate;
    if (task.status.message) task.history = [...(task.history ?? []), task.status.message];
    if (metadata) task.metadata = { ...task.metadata, ...metadata };
    return { ...task, status, contextId };
  }
  const { artifact, append, contextId } = event.artifactUpdate;
  const artifacts = [...(task.artifacts ?? [])];
  const at = artifacts.findIndex((known) => known.artifactId === artifact.artifactId);
  if (at < 0) artifacts.push(artifact);
  else if (!append) artifacts[at] = artifact;
  else {
    const known = artifacts[at];
    artifacts[at] = { ...known, parts: [...known.parts, ...artifact.parts] };
    if (artifact.metadata) artifacts[at].metadata = { ...known.metadata, ...artifact.metadata };
  }
  return { ...task, artifacts, contextId };
}

async function follow(job, number) {
  const kinds = [];
  let task;
  let same = false;
  let error = null;
  let detail = null;
  try {
    const card = await resolver.resolve(job.base);
    const isWanted = (one) => one.protocolBinding === job.binding && one.protocolVersion === job.version;
    card.supportedInterfaces = card.supportedInterfaces.filter(isWanted);
    const one = await factory.createFromAgentCard(card);
    for await (const event of one.resubscribeTask({ tenant: "", id: job.task })) {
      const json = StreamResponse.toJSON(event);
      kinds.push(Object.keys(json)[0]);
      task = fold(task, json);
      if (kinds.length === 1) say({ job: number, at: "first" });
    }
    const held = Task.toJSON(await one.getTask({ tenant: "", id: job.task }));
    const plain = (value) => JSON.parse(JSON.stringify(value));
    same = isDeepStrictEqual(plain(held), plain(task));
    if (!same) detail = { folded: task, held };
  } catch (thrown) {
    error = thrown.name === "Error" ? thrown.constructor.name : thrown.name;
    detail = `${thrown.message} ${thrown.cause ?? ""}`;
  }
  say({ job: number, at: "end", kinds, state: task?.status?.state ?? null, same, error, detail });
}

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const jobs = Buffer.concat(chunks).toString().split("\n").filter(Boolean).map((line) => JSON.parse(line));
await Promise.all(jobs.map(follow));
