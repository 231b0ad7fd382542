// An AG-UI thread, folded from its events as the official client folds them: what it holds depends on where the
// thread stands, and not on which events have led there. So a page that joins late reads the same as one that saw
// everything. Events that only pass by (CUSTOM, RAW) are in the raw frames.

import { Conversation, pretty, textOf } from './console-conversation.js';
import { patched } from './console-patch.js';

const MAX_MESSAGES = 1000;

export class AgUiThread extends Conversation {
  runId = undefined;
  state = undefined;
  steps = new Map();
  subagents = new Map();
  #messages = [];
  /** The first message of an id counts. */
  #byId = new Map();
  /** The message that makes a call, and the call. */
  #calls = new Map();
  #results = new Map();
  #openMessages = new Set();
  #openCalls = new Set();
  /** How the last run ended, if it has. */
  #outcome = [];
  #nChanges = 0;

  constructor(key, title) {
    super(key, 'agui', title);
  }

  /** Begins anew with the events that stand for everything before. */
  retell(events) {
    Object.assign(this, { runId: undefined, state: undefined, isStatePartial: false, preface: undefined, hasDropped: false });
    this.#setMessages([]);
    this.#beginRun();
    for (const event of events) this.take(event);
  }

  take(event) {
    HANDLERS[event.type]?.call(this, event);
  }

  get facts() {
    const facts = ['AG-UI thread'];
    if (this.steps.size) facts.push(`step ${[...this.steps.values()].join(', ')}`);
    for (const [id, { name, status }] of this.subagents) facts.push(`${name} (${id}): ${status}`);
    if (this.runId !== undefined) facts.push(`run ${this.runId}`);
    return facts.join(' · ');
  }

  get rows() {
    const rows = [...this.opening];
    for (const message of this.#messages) rows.push(...this.#rowsOf(message));
    return [...rows, ...this.#outcome];
  }

  #rowsOf(message) {
    const { id, role, subagentRunId: owner, toolCalls = [], changed } = message;
    const isOpen = this.#openMessages.has(id);
    if (role === 'activity') return [{ key: `activity ${id}`, kind: 'activity', label: message.activityType, content: message.content, owner, version: changed }];
    if (role === 'reasoning') return [{ key: `reasoning ${id}`, kind: 'reasoning', text: textOf(message.content), isOpen, owner, version: `${changed} ${isOpen}` }];
    if (role === 'tool') return this.#calls.has(message.toolCallId) ? [] : [this.#toolRow({ id: message.toolCallId, function: {} }, message)];
    const text = textOf(message.content);
    const rows = toolCalls.map((call) => this.#toolRow(call, message));
    if (text || isOpen || rows.length === 0) {
      rows.unshift({ key: `message ${id}`, kind: 'message', label: message.name ?? role, role, text, isOpen, owner, version: `${changed} ${isOpen}` });
    }
    return rows;
  }

  #toolRow({ id, function: { name, arguments: text } }, { subagentRunId: owner, changed }) {
    const answer = this.#results.get(id);
    const isOpen = this.#openCalls.has(id);
    const result = answer && textOf(answer.content);
    return { key: `tool ${id}`, kind: 'tool', label: name || id, text: text ?? '', result, error: answer?.error, isOpen, owner, version: `${changed} ${answer?.changed} ${isOpen}` };
  }

  // --- messages ---

  #setMessages(messages) {
    this.#messages = [];
    for (const index of [this.#byId, this.#calls, this.#results]) index.clear();
    for (const message of messages) this.push(message);
  }

  #note(message) {
    this.touch(message);
    if (!this.#byId.has(message.id)) this.#byId.set(message.id, message);
    for (const call of message.toolCalls ?? []) if (!this.#calls.has(call.id)) this.#calls.set(call.id, { message, call });
    if (message.role === 'tool') this.#results.set(message.toolCallId, message);
  }

  push(message) {
    this.#messages.push(message);
    this.#note(message);
    this.#forgetOldest();
    return message;
  }

  #forgetOldest() {
    if (this.#messages.length <= MAX_MESSAGES) return;
    const { id, role, toolCalls = [], toolCallId } = this.#messages.shift();
    this.#byId.delete(id);
    for (const call of toolCalls) this.#calls.delete(call.id);
    if (role === 'tool') this.#results.delete(toolCallId);
    this.hasDropped = true;
  }

  find(id) {
    return this.#byId.get(id);
  }

  call(id) {
    return this.#calls.get(id);
  }

  touch(message) {
    this.#nChanges += 1;
    message.changed = this.#nChanges;
  }

  append(id, delta) {
    const message = this.find(id);
    if (message === undefined || message.role === 'activity') return;
    message.content = (typeof message.content === 'string' ? message.content : '') + delta;
    this.touch(message);
  }

  /** A call goes to the message that is named, if the agent says it or nobody has said it, else to one of its own. */
  startCall({ toolCallId, toolCallName, parentMessageId, subagentRunId }) {
    this.#openCalls.add(toolCallId);
    const known = this.call(toolCallId);
    if (known) {
      known.call.function.name = toolCallName;
      return this.touch(known.message);
    }
    const parent = parentMessageId ? this.find(parentMessageId) : undefined;
    const isTaken = parentMessageId && parent && parent.role !== 'assistant';
    const id = parentMessageId && !isTaken ? parentMessageId : toolCallId;
    const message = !isTaken && parent ? parent : this.push({ id, role: 'assistant', subagentRunId });
    const call = { id: toolCallId, function: { name: toolCallName, arguments: '' } };
    message.toolCalls = [...(message.toolCalls ?? []), call];
    this.#calls.set(toolCallId, { message, call });
    this.touch(message);
  }

  endCall(id) {
    this.#openCalls.delete(id);
  }

  /** An answer stands behind the message that makes the call and the answers that follow it already. */
  answer({ messageId, toolCallId, content, subagentRunId }) {
    const message = { id: messageId, role: 'tool', toolCallId, content, subagentRunId };
    const owner = this.call(toolCallId)?.message;
    let at = owner ? this.#messages.lastIndexOf(owner) + 1 : 0;
    if (at === 0) return void this.push(message);
    while (this.#messages[at]?.role === 'tool') at += 1;
    this.#messages.splice(at, 0, message);
    this.#note(message);
    this.#forgetOldest();
  }

  /** Replaces messages where they stand, appends new ones, and drops the rest, as far as the snapshot speaks of its kind. */
  restate(incoming, authority) {
    const states = (role) => incoming.some((message) => message.role === role);
    const [hasActivity, hasReasoning] = [states('activity'), states('reasoning')];
    const stays = ({ role, activityType }) => {
      if (role === 'reasoning') return !hasReasoning;
      if (role !== 'activity') return false;
      if (authority === undefined) return !hasActivity;
      return Array.isArray(authority) && !authority.includes(activityType);
    };
    const byId = new Map(incoming.map((message) => [message.id, message]));
    const replaced = new Set();
    const kept = [];
    for (const message of this.#messages) {
      const other = byId.get(message.id);
      if (other) {
        kept.push(replaced.has(other.id) ? { ...other } : other);
        replaced.add(other.id);
      } else if (stays(message)) kept.push(message);
    }
    this.#setMessages([...kept, ...incoming.filter(({ id }) => !replaced.has(id))]);
  }

  // --- runs ---

  #beginRun() {
    this.steps.clear();
    this.subagents.clear();
    this.#openMessages.clear();
    this.#openCalls.clear();
    this.#outcome = [];
  }

  begin(runId) {
    this.#beginRun();
    this.runId = runId;
    this.setStatus('running', 'live', true);
  }

  end(status, tone, notes) {
    this.#beginRun();
    this.#outcome = notes.map((note, n) => ({ kind: 'note', key: `outcome ${n}`, version: this.#nChanges, ...note }));
    this.#nChanges += 1;
    this.setStatus(status, tone, false);
  }

  open(id) {
    this.#openMessages.add(id);
  }

  close(id) {
    this.#openMessages.delete(id);
  }

  apply(value, patch, isApplied) {
    try {
      isApplied(patched(value, patch));
    } catch {
      // The official client passes over a patch that does not apply.
    }
  }
}

const statedAuthority = (metadata) => {
  const declared = metadata?.['@ag-ui/client'];
  if (declared === undefined) return undefined;
  const types = declared?.authoritativeActivityTypes;
  return types === null ? null : Array.isArray(types) ? types : types === undefined ? undefined : [];
};

function startMessage(thread, { messageId: id, name, subagentRunId }, role) {
  thread.open(id);
  if (!thread.find(id)) thread.push({ id, role, name, subagentRunId, content: '' });
}

function setSubagent(thread, { subagentRunId }, status) {
  const name = thread.subagents.get(subagentRunId)?.name ?? subagentRunId;
  thread.subagents.set(subagentRunId, { name, status });
}

function outcomeNotes({ outcome, result }) {
  const notes = result === undefined ? [] : [{ label: 'result', detail: pretty(result) }];
  for (const { id, reason, message, ...rest } of outcome?.interrupts ?? []) {
    notes.push({ tone: 'warn', label: `interrupt: ${reason}`, text: message ?? `waits for an answer to ${id}`, detail: pretty({ id, ...rest }) });
  }
  return notes;
}

const OUTCOMES = { interrupt: ['waits for a person', 'warn'], cancelled: ['cancelled', 'warn'] };
const stepKey = ({ subagentRunId, stepName }) => `${subagentRunId ?? ''} ${stepName}`;

const HANDLERS = {
  RUN_STARTED({ runId, input }) {
    this.begin(runId);
    for (const message of input?.messages ?? []) if (!this.find(message.id)) this.push({ ...message });
    if (input?.state !== undefined && input.state !== null) this.state = input.state;
  },
  RUN_FINISHED(event) {
    this.end(...(OUTCOMES[event.outcome?.type] ?? ['finished', 'good']), outcomeNotes(event));
  },
  RUN_ERROR({ message, code }) {
    this.end('failed', 'bad', [{ tone: 'bad', label: code ? `error ${code}` : 'error', text: message }]);
  },
  STEP_STARTED(event) { this.steps.set(stepKey(event), event.stepName); },
  STEP_FINISHED(event) { this.steps.delete(stepKey(event)); },
  TEXT_MESSAGE_START(event) { startMessage(this, event, event.role ?? 'assistant'); },
  TEXT_MESSAGE_CONTENT({ messageId, delta }) { this.append(messageId, delta); },
  TEXT_MESSAGE_END({ messageId }) { this.close(messageId); },
  REASONING_MESSAGE_START(event) { startMessage(this, event, 'reasoning'); },
  REASONING_MESSAGE_CONTENT({ messageId, delta }) { this.append(messageId, delta); },
  REASONING_MESSAGE_END({ messageId }) { this.close(messageId); },
  TOOL_CALL_START(event) { this.startCall(event); },
  TOOL_CALL_ARGS({ toolCallId, delta }) {
    const known = this.call(toolCallId);
    if (!known) return;
    known.call.function.arguments += delta;
    this.touch(known.message);
  },
  TOOL_CALL_END({ toolCallId }) { this.endCall(toolCallId); },
  TOOL_CALL_RESULT(event) { this.answer(event); },
  STATE_SNAPSHOT({ snapshot }) { Object.assign(this, { state: snapshot, isStatePartial: false }); },
  STATE_DELTA({ delta }) { this.apply(this.state ?? {}, delta, (state) => { this.state = state; }); },
  MESSAGES_SNAPSHOT({ messages, metadata }) { this.restate(messages.map((message) => structuredClone(message)), statedAuthority(metadata)); },
  ACTIVITY_SNAPSHOT({ messageId: id, activityType, content, replace, subagentRunId }) {
    const known = this.find(id);
    if (!known) return void this.push({ id, role: 'activity', activityType, content, subagentRunId });
    if (replace === false) return;
    for (const name of Object.keys(known)) if (name !== 'id') delete known[name];
    Object.assign(known, { role: 'activity', activityType, content, subagentRunId });
    this.touch(known);
  },
  ACTIVITY_DELTA({ messageId, activityType, patch }) {
    const message = this.find(messageId);
    if (message?.role !== 'activity') return;
    this.apply(message.content, patch, (content) => Object.assign(message, { content, activityType }));
    this.touch(message);
  },
  SUBAGENT_STARTED({ subagentRunId, name }) { this.subagents.set(subagentRunId, { name, status: 'running' }); },
  SUBAGENT_FINISHED(event) { setSubagent(this, event, event.outcome?.type === 'suspended' ? 'suspended' : 'finished'); },
  SUBAGENT_ERROR(event) { setSubagent(this, event, `failed: ${event.message}`); },
};
