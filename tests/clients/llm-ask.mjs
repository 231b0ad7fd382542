// Asks a provider of language models through its official client, and prints what comes of it.
//
// One JSON object per line in: base, api (anthropic, chat, responses), model, stream. One per line out, in order:
// either events and final, or error. --packages names the folder with node_modules.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const folder = process.argv[process.argv.indexOf("--packages") + 1];
const require = createRequire(`${folder}/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const pick = (module, name) => module[name] ?? module.default[name] ?? module.default;
const Anthropic = pick(await load("@anthropic-ai/sdk"), "Anthropic");
const OpenAI = pick(await load("openai"), "OpenAI");

async function ask({ base, api, model, stream }) {
  const options = { apiKey: "not-a-key", maxRetries: 0, timeout: 20_000 };
  const messages = [{ role: "user", content: "Hi" }];
  let create, helper, finalOf;
  if (api === "anthropic") {
    const client = new Anthropic({ baseURL: base, ...options });
    const request = { model, max_tokens: 64, messages };
    create = (more) => client.messages.create({ ...request, ...more });
    helper = () => client.messages.stream(request);
    finalOf = (running) => running.finalMessage();
  } else {
    const client = new OpenAI({ baseURL: `${base}/v1`, ...options });
    if (api === "chat") {
      create = (more) => client.chat.completions.create({ model, messages, ...more });
      helper = () => client.chat.completions.stream({ model, messages });
      finalOf = (running) => running.finalChatCompletion();
    } else {
      create = (more) => client.responses.create({ model, input: "Hi", ...more });
      helper = () => client.responses.stream({ model, input: "Hi" });
      finalOf = (running) => running.finalResponse();
    }
  }
  if (!stream) return { final: await create({}) };
  const events = [];
  for await (const event of await create({ stream: true })) events.push(event);
  try {
    return { events, final: await finalOf(helper()) };
  } catch (error) {
    // Some clients make no whole of what they read piece by piece.
    return { events, error: failure(error) };
  }
}

function failure(error) {
  const names = ["retry-after", "x-should-retry", "request-id", "x-request-id", "content-type"];
  const headers = error.headers && Object.fromEntries(names.map((name) => [name, error.headers.get?.(name) ?? null]));
  return { name: error.constructor.name, message: error.message, status: error.status, body: error.error, headers };
}

for await (const line of createInterface({ input: process.stdin })) {
  let outcome;
  try {
    outcome = await ask(JSON.parse(line));
  } catch (error) {
    outcome = { error: failure(error) };
  }
  console.log(JSON.stringify(outcome));
}
process.exit(0);
