// What has happened, by conversation, and what has arrived. Nothing here knows of the page.

import { A2ATask } from './console-a2a.js';
import { AgUiThread } from './console-agui.js';

const MAX_CONVERSATIONS = 40;

/** Everything that was seen, by conversation. */
export class Story {
  conversations = new Map();
  names = new Map();

  /** Takes one event of `/contexts` and returns the conversation that it belongs to, if any. */
  take({ protocol, thread, event }) {
    if (protocol === 'agui') return this.#agUi(thread ?? event.threadId ?? '(no thread)', event);
    if (protocol === 'a2a') return this.#a2a(event);
    return this.#system(event);
  }

  /** Makes room for a thread that is about to be told, and was last written to at a time. */
  expect(name, updatedAtMs) {
    const { conversation } = this.#conversation(AgUiThread, `agui ${name}`, name);
    conversation.lastActivity = updatedAtMs;
    return conversation;
  }

  /** Puts a thread where it stands, by the events that stand for everything before. */
  retell(name, events) {
    const { conversation } = this.#conversation(AgUiThread, `agui ${name}`, name);
    const { lastActivity } = conversation;
    conversation.retell(events);
    conversation.lastActivity = lastActivity;
    return conversation;
  }

  /** Returns the names of the threads that are shown. */
  threads() {
    const threads = [...this.conversations.values()].filter(({ protocol }) => protocol === 'agui');
    return threads.map(({ title }) => title);
  }

  thread(name) {
    return this.conversations.get(`agui ${name}`);
  }

  /** Returns the tasks to which something may still happen. */
  openTasks() {
    return [...this.conversations.values()].filter(({ protocol, isOver }) => protocol === 'a2a' && !isOver);
  }

  /** Whether something is missing anywhere. */
  isPartial() {
    return [...this.conversations.values()].some(({ preface }) => preface !== undefined);
  }

  /** Events are missing from here on, and nothing stands for them: these conversations say so. */
  miss(conversations, label, text) {
    for (const conversation of conversations) {
      conversation?.miss(label, text);
      if (conversation?.isActive) conversation.setStatus('unknown since then', 'warn', false);
    }
  }

  #conversation(Kind, key, title) {
    const known = this.conversations.get(key);
    const conversation = known ?? new Kind(key, title);
    if (known === undefined) {
      this.conversations.set(key, conversation);
      this.#forgetOldest(conversation);
    }
    return { conversation, isNew: known === undefined };
  }

  #forgetOldest(newest) {
    if (this.conversations.size <= MAX_CONVERSATIONS) return;
    const others = [...this.conversations.values()].filter((conversation) => conversation !== newest);
    const [oldest] = others.sort((one, other) => one.lastActivity - other.lastActivity);
    this.conversations.delete(oldest.key);
  }

  #agUi(name, event) {
    const { conversation, isNew } = this.#conversation(AgUiThread, `agui ${name}`, name);
    conversation.lastActivity = Date.now();
    if (isNew && event.type !== 'RUN_STARTED') {
      conversation.miss('starts in the middle', 'What this thread did before is not shown here.');
      conversation.setStatus('running', 'live', true);
    }
    conversation.take(event);
    return conversation;
  }

  #a2a(event) {
    const [kind] = Object.keys(event);
    const body = event[kind];
    const task = kind === 'task' ? body.id : body.taskId;
    const title = task ?? body.contextId ?? '(no task)';
    const { conversation, isNew } = this.#conversation(A2ATask, `a2a ${title}`, title);
    conversation.lastActivity = Date.now();
    if (isNew && kind !== 'task' && task !== undefined) {
      conversation.miss('starts in the middle', 'What this task did before is not shown here.');
    }
    conversation.take(event);
    return conversation;
  }

  #system(event) {
    if (event.type === 'CONTEXTS_SNAPSHOT') {
      for (const context of event.contexts) this.names.set(context.contextId, context.name);
    } else if (event.type === 'CONTEXT_DELETED') this.names.delete(event.contextId);
    else if (event.contextId && event.name) this.names.set(event.contextId, event.name);
    return undefined;
  }
}

/** The log's epoch and the number of an event's id. */
export function placeOf(id) {
  const [epoch, digits] = id.split('.');
  return [epoch, /^[0-9]+$/.test(digits ?? '') ? Number(digits) : undefined];
}

// === What has arrived ===

/** Counts frames by the numbers in their ids, so that a loss could not go unseen. */
export class Ledger {
  cursor = '';
  nReceived = 0;
  nMisplaced = 0;
  nMissing = 0;
  nResumes = 0;
  gaps = [];
  /** What the gaps have hidden was told again. */
  isHealed = false;
  /** The number at which the view starts. */
  start = undefined;
  /** The first number since the last gap. */
  first = undefined;
  #epoch = '';
  #number = undefined;

  /** Notes the id of an event. */
  take(id) {
    this.nReceived += 1;
    const [epoch, number] = placeOf(id);
    if (number === undefined) return;
    if (this.#number !== undefined && epoch !== this.#epoch) this.nMisplaced += 1;
    else if (this.#number !== undefined) {
      if (number <= this.#number) this.nMisplaced += 1;
      else this.nMissing += number - this.#number - 1;
    }
    this.start ??= number;
    this.first ??= number;
    this.#move(id, epoch, number);
  }

  /** Notes a place from which on events are counted. */
  begin(id) {
    const [epoch, number] = placeOf(id);
    if (number !== undefined) this.#move(id, epoch, number);
  }

  /** Notes that events are missing before the place of an id. */
  takeGap(id, gap) {
    this.gaps.push(gap);
    this.isHealed = false;
    this.first = undefined;
    this.begin(id);
  }

  /** Notes that what was missing has been told again; true if anything was. */
  heal() {
    const isNews = this.gaps.length > 0 && !this.isHealed;
    this.isHealed = true;
    return isNews;
  }

  get last() {
    return this.#number;
  }

  #move(id, epoch, number) {
    this.cursor = id;
    this.#epoch = epoch;
    this.#number = number;
  }
}
