// Uses every type as a page would; the compiler is the judge, nothing is run.

import { connect, EventStreamError, isAtLeast, Parser, type Gap, type StreamEvent } from "../events.js";

type AgUi = { type: string; delta?: string };

const stream = connect<AgUi>("/agui?thread=t1", {
  user: "ada",
  token: async (why) => (why === "first" ? "a" : undefined),
  storage: sessionStorage,
  onEvent: ({ id, json }) => console.log(id?.length, json.delta),
  onGap: (gap: Gap) => console.log(gap.lost ?? "unknown", gap.reason === "epoch"),
  onState: ({ state, role, wait }) => console.log(state === "open", role === "leader", wait),
});
stream.addEventListener("event", ({ detail }) => console.log(detail.json.type));
stream.addEventListener("gap", ({ detail }) => console.log(detail.to));

export async function read(): Promise<void> {
  try {
    for await (const event of stream) {
      const own: StreamEvent<AgUi> = event;
      console.log(own.json.type, isAtLeast(stream.cursor, own.id));
    }
  } catch (error) {
    if (error instanceof EventStreamError) console.log(error.reason, error.status);
  }
}

new Parser({ block: (name, data, id) => console.log(name, data, id) }).push("data: x\n\n");
stream.close();
// @ts-expect-error There is no such option.
connect("/agui", { usr: "ada" });
// @ts-expect-error It is for reading only.
stream.cursor = "x";
