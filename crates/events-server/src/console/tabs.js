// Follows one stream in as many tabs as a person likes to open, and shows which of them holds the connection.

import { connect } from "/events.js";

/** Rows of tabs that have said nothing for so long are taken away; milliseconds. */
const GONE_AFTER = 5_000;
const MOST_EVENTS = 12;
const PARTS = { leader: "leads", follower: "follows", alone: "is alone: this browser shares nothing" };

const user = new URLSearchParams(location.search).get("user") ?? "demo";
const find = (id) => document.getElementById(id);
const own = { name: Math.random().toString(36).slice(2, 6), part: "", state: "connecting", nEvents: 0, cursor: "" };
const tabs = new Map();
const company = "BroadcastChannel" in globalThis ? new BroadcastChannel(`tabs ${user}`) : undefined;

const stream = connect("/contexts", {
  user,
  onState: ({ state, role, reason }) => {
    own.part = role;
    own.state = reason === undefined ? state : `${state}: ${reason}`;
    show();
  },
  onEvent: ({ id, json }) => {
    own.nEvents += 1;
    tell(id, [json?.protocol, json?.thread, json?.event?.type ?? Object.keys(json?.event ?? {})[0], delta(json?.event)]);
  },
  onGap: ({ reason, lost, to }) => tell(to, ["gap", reason, lost === null ? "an unknown number lost" : `${lost} lost`]),
});

function delta(event) {
  return typeof event?.delta === "object" ? JSON.stringify(event.delta) : event?.delta;
}

function tell(id, words) {
  own.cursor = stream.cursor ?? "";
  const line = document.createElement("li");
  const place = document.createElement("span");
  place.className = "frame-id";
  place.textContent = `${id ?? "–"} `;
  line.append(place, words.filter((word) => word !== undefined && word !== null).join(" · ").slice(0, 200));
  find("events").prepend(line);
  while (find("events").children.length > MOST_EVENTS) find("events").lastChild.remove();
  // Many events in one frame are drawn once.
  draw ??= requestAnimationFrame(show);
}

let draw;
function show() {
  draw = undefined;
  const isOver = own.state.startsWith("closed");
  find("role").dataset.role = isOver ? "closed" : own.part;
  find("role").textContent = isOver ? "This tab has stopped" : `This tab ${PARTS[own.part] ?? "waits"}`;
  document.title = `${isOver ? "○" : own.part === "leader" ? "★" : "●"} ${own.name} · tabs`;
  company?.postMessage(own);
  const now = Date.now();
  hear(own);
  for (const [name, tab] of tabs) if (now - tab.at > GONE_AFTER) tabs.delete(name);
  const sorted = [...tabs.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  find("rows").replaceChildren(...sorted.map(row));
}

function row(tab) {
  const line = document.createElement("tr");
  line.dataset.own = String(tab.name === own.name);
  const part = { leader: "★ leads", follower: "follows", alone: "alone" }[tab.part] ?? "";
  const name = tab.name === own.name ? `${tab.name} (this one)` : tab.name;
  for (const text of [name, part, tab.state, tab.nEvents, tab.cursor]) {
    const cell = line.insertCell();
    cell.textContent = text;
    if (typeof text === "number") cell.className = "number";
  }
  return line;
}

/** Takes what a tab says of itself. Only one leads: whoever did before is gone or will say so. */
function hear(tab) {
  const leads = tab.part === "leader" && !tab.state.startsWith("closed");
  if (leads) for (const other of tabs.values()) if (other.part === "leader") other.part = "";
  tabs.set(tab.name, { ...tab, at: Date.now() });
}

if (company) {
  company.onmessage = ({ data }) => (data.isGone ? tabs.delete(data.name) : hear(data));
  addEventListener("pagehide", () => company.postMessage({ name: own.name, isGone: true }));
}
find("address").textContent = `/contexts?user=${user}`;
find("open").href = `/tabs?user=${encodeURIComponent(user)}`;
find("stop").addEventListener("click", () => stream.close());
setInterval(show, 1_000);
show();
