// Puts conversations and frames on the page. Text goes in as text, never as markup.

import { pretty, prettySorted } from './console-conversation.js';

const MAX_ROWS = 200;
const MAX_FRAMES = 500;
const MAX_FRAME_TEXT = 4000;

export function element(name, { className, text, ...properties } = {}, ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  Object.assign(node, properties);
  node.append(...children);
  return node;
}

/** Sets a node's text; a text that has only grown is appended to, so that selections stay. */
function setText(node, text) {
  const shown = node.firstChild?.data ?? '';
  if (shown === text) return;
  if (shown && text.startsWith(shown)) node.firstChild.appendData(text.slice(shown.length));
  else node.textContent = text;
}

/** Keeps a pane at its end while it is there, also when the pane changes its size; a reader who has scrolled up stays. */
class EndKeeper {
  #pane;
  #isAtEnd = true;

  constructor(pane) {
    this.#pane = pane;
    pane.addEventListener('scroll', () => {
      this.#isAtEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 24;
    });
    new ResizeObserver(() => this.keep()).observe(pane);
  }

  keep() {
    if (this.#isAtEnd) this.#pane.scrollTop = this.#pane.scrollHeight;
  }

  goToEnd() {
    this.#isAtEnd = true;
  }
}

/** JSON laid out, as far as it is JSON already. */
function laidOut(text) {
  try {
    return pretty(JSON.parse(text));
  } catch {
    return text;
  }
}

// === Rows ===

/** A labelled block that is there only while it has text. */
function part(name, label) {
  const body = element('pre');
  const node = element('div', { className: `part ${name}`, hidden: true }, element('span', { className: 'part-label', text: label }), body);
  return { node, show: (text) => { node.hidden = !text; setText(body, text ?? ''); } };
}

function messageBody() {
  const text = element('p', { className: 'text' });
  return { nodes: [text], update: (item) => setText(text, item.text) };
}

function reasoningBody() {
  const text = element('p', { className: 'text' });
  const summary = element('summary', { text: 'reasoning' });
  return { nodes: [element('details', { open: true }, summary, text)], update: (item) => setText(text, item.text) };
}

function toolBody() {
  const parts = [part('arguments', 'arguments'), part('result', 'result'), part('failure', 'error')];
  const update = (item) => {
    parts[0].show(item.isOpen ? item.text : laidOut(item.text));
    parts[1].show(item.result === undefined ? '' : laidOut(item.result) || '(empty)');
    parts[2].show(item.error);
  };
  return { nodes: parts.map(({ node }) => node), update };
}

function activityBody() {
  const content = element('pre');
  return { nodes: [content], update: (item) => setText(content, prettySorted(item.content)) };
}

function noteBody() {
  const text = element('p', { className: 'text' });
  const detail = element('pre');
  const update = (item) => {
    text.hidden = !item.text;
    detail.hidden = !item.detail;
    setText(text, item.text);
    setText(detail, item.detail ?? '');
  };
  return { nodes: [text, detail], update };
}

const BODIES = { message: messageBody, artifact: messageBody, reasoning: reasoningBody, tool: toolBody, activity: activityBody, note: noteBody };
const KIND_LABELS = { tool: 'tool', activity: 'activity', artifact: 'artifact' };

function rowView(item) {
  const label = element('span', { className: 'label' });
  const owner = element('span', { className: 'owner' });
  const head = element('header', {}, element('span', { className: 'kind', text: KIND_LABELS[item.kind] ?? '' }), label, owner);
  const body = BODIES[item.kind]();
  const node = element('article', {}, head, ...body.nodes);
  let version;
  const update = (item) => {
    if (version === item.version) return;
    version = item.version;
    node.className = `item ${item.kind} ${item.tone ?? ''} ${item.isOpen ? 'open' : ''}`;
    node.dataset.role = item.role ?? '';
    setText(label, item.kind === 'reasoning' ? '' : item.label ?? '');
    setText(owner, item.owner ? `by ${item.owner}` : '');
    body.update(item);
  };
  return { node, update };
}

// === Conversation ===

/** The one conversation that is being read. */
export class ConversationView {
  #nodes;
  #shown = undefined;
  #state = undefined;
  #views = new Map();
  #end;

  constructor(nodes) {
    this.#nodes = nodes;
    this.#end = new EndKeeper(nodes.items);
  }

  show(conversation, isAsking) {
    const nodes = this.#nodes;
    if (conversation !== this.#shown) this.#turnTo(conversation);
    setText(nodes.title, conversation?.title ?? (isAsking ? 'Asking what has been said' : 'No runs yet'));
    setText(nodes.badge, conversation?.status ?? '');
    nodes.badge.dataset.tone = conversation?.tone ?? '';
    setText(nodes.facts, conversation?.facts ?? 'They appear here as they happen.');
    if (!conversation) return;
    this.#showState(conversation);
    this.#showRows(conversation);
    this.#end.keep();
  }

  #turnTo(conversation) {
    this.#shown = conversation;
    this.#views.clear();
    this.#nodes.list.replaceChildren();
    this.#end.goToEnd();
  }

  #showRows({ rows, hasDropped }) {
    const { list, dropped } = this.#nodes;
    const shown = new Map(rows.slice(-MAX_ROWS).map((row) => [row.key, row]));
    dropped.hidden = !hasDropped && rows.length <= MAX_ROWS;
    for (const [key, view] of this.#views) {
      if (shown.has(key)) continue;
      view.node.remove();
      this.#views.delete(key);
    }
    let next = list.firstChild;
    for (const [key, row] of shown) {
      let view = this.#views.get(key);
      if (view === undefined) {
        view = rowView(row);
        this.#views.set(key, view);
      }
      if (view.node === next) next = next.nextSibling;
      else list.insertBefore(view.node, next);
      view.update(row);
    }
  }

  #showState({ state, isStatePartial }) {
    const { statePanel, stateText, stateNote } = this.#nodes;
    statePanel.hidden = state === undefined;
    // A changed state is another object.
    if (state !== this.#state) setText(stateText, prettySorted(state));
    this.#state = state;
    setText(stateNote, isStatePartial ? 'not all of it' : '');
  }
}

// === The list of conversations ===

export class ConversationList {
  #list;
  #choose;
  #rows = new Map();

  constructor(list, choose) {
    this.#list = list;
    this.#choose = choose;
  }

  show(story, chosen) {
    for (const [key, row] of this.#rows) {
      if (story.conversations.has(key)) continue;
      row.node.remove();
      this.#rows.delete(key);
    }
    // New ones go to the top; rows do not move afterwards, so that they can be aimed at.
    for (const conversation of story.conversations.values()) this.#showRow(story, conversation, conversation === chosen);
  }

  #showRow(story, conversation, isChosen) {
    const row = this.#rows.get(conversation.key) ?? this.#newRow(conversation.key);
    setText(row.title, story.names.get(conversation.title) ?? conversation.title);
    setText(row.status, conversation.status);
    setText(row.when, age(conversation.lastActivity));
    row.button.dataset.tone = conversation.tone;
    if (isChosen) row.button.setAttribute('aria-current', 'true');
    else row.button.removeAttribute('aria-current');
  }

  #newRow(key) {
    const [title, status, when] = ['title', 'status', 'when'].map((className) => element('span', { className }));
    const button = element('button', { type: 'button', onclick: () => this.#choose(key) }, title, status, when);
    const row = { node: element('li', {}, button), button, title, status, when };
    this.#rows.set(key, row);
    this.#list.prepend(row.node);
    return row;
  }
}

function age(time) {
  const seconds = Math.round((Date.now() - time) / 1000);
  if (seconds < 2) return 'now';
  return seconds < 60 ? `${seconds} s ago` : `${Math.floor(seconds / 60)} min ago`;
}

// === Frames ===

/** The frames as they came, the newest at the end. */
export class FrameList {
  #end;
  #list;
  #waiting = [];

  constructor(pane, list) {
    this.#end = new EndKeeper(pane);
    this.#list = list;
  }

  take({ name, id, data, isControl }) {
    this.#waiting.push({ name, id, data, isControl });
    if (this.#waiting.length > MAX_FRAMES) this.#waiting.shift();
  }

  show() {
    if (this.#waiting.length === 0) return;
    this.#list.append(...this.#waiting.map(frameRow));
    this.#waiting = [];
    while (this.#list.childElementCount > MAX_FRAMES) this.#list.firstElementChild.remove();
    this.#end.keep();
  }
}

function frameRow({ name, id, data, isControl }) {
  const shown = data.length > MAX_FRAME_TEXT ? `${data.slice(0, MAX_FRAME_TEXT)}… (${data.length} characters)` : data;
  const summary = element('summary', {},
    element('span', { className: 'frame-id', text: id || 'no id' }),
    element('span', { className: 'frame-name', text: name }),
    element('code', { text: shown }));
  return element('li', { className: isControl ? 'control' : '' }, element('details', {}, summary));
}
