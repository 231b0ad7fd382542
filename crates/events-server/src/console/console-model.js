// What has happened, folded from the events of one user. Nothing here knows of the page.

const MAX_ITEMS = 200;
const MAX_CONVERSATIONS = 40;

// === JSON Patch ===

function pointerTokens(pointer) {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) throw new Error(`no JSON pointer: ${pointer}`);
  const tokens = pointer.slice(1).split('/').map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  // Assigned to, this name would change the object's kind instead of its members.
  if (tokens.includes('__proto__')) throw new Error('a member that is not written');
  return tokens;
}

function arrayIndex(array, token, last) {
  const index = token === '-' ? array.length : Number(token);
  if (!/^(-|0|[1-9][0-9]*)$/.test(token) || index > last) throw new Error(`no element ${token}`);
  return index;
}

function child(parent, token) {
  if (Array.isArray(parent)) return parent[arrayIndex(parent, token, parent.length - 1)];
  if (parent === null || typeof parent !== 'object' || !Object.hasOwn(parent, token)) throw new Error(`no member ${token}`);
  return parent[token];
}

const valueAt = (root, pointer) => pointerTokens(pointer).reduce(child, root);

function add(root, pointer, value) {
  const tokens = pointerTokens(pointer);
  if (tokens.length === 0) return value;
  const last = tokens.pop();
  const parent = tokens.reduce(child, root);
  if (Array.isArray(parent)) parent.splice(arrayIndex(parent, last, parent.length), 0, value);
  else if (parent !== null && typeof parent === 'object') parent[last] = value;
  else throw new Error(`nothing to add ${last} to`);
  return root;
}

function remove(root, pointer) {
  const tokens = pointerTokens(pointer);
  if (tokens.length === 0) return null;
  const last = tokens.pop();
  const parent = tokens.reduce(child, root);
  child(parent, last);
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return root;
}

function isEqual(one, other) {
  if (one === null || other === null || typeof one !== 'object' || typeof other !== 'object') return one === other;
  const names = Object.keys(one);
  return Array.isArray(one) === Array.isArray(other) && names.length === Object.keys(other).length
    && names.every((name) => Object.hasOwn(other, name) && isEqual(one[name], other[name]));
}

function applyOperation(root, { op, path, from, value }) {
  switch (op) {
    case 'add': return add(root, path, structuredClone(value));
    case 'remove': return remove(root, path);
    case 'replace':
      valueAt(root, path);
      return path === '' ? value : add(remove(root, path), path, structuredClone(value));
    case 'copy': return add(root, path, structuredClone(valueAt(root, from)));
    case 'move': {
      const moved = valueAt(root, from);
      return add(remove(root, from), path, moved);
    }
    case 'test':
      if (!isEqual(valueAt(root, path), value)) throw new Error(`test of ${path} failed`);
      return root;
    default: throw new Error(`no operation ${op}`);
  }
}

/** Applies a patch (RFC 6902) as a whole or not at all, and returns the changed copy. */
export function patched(value, operations) {
  return operations.reduce(applyOperation, structuredClone(value));
}

// === Text ===

export const pretty = (value) => JSON.stringify(value, null, 2) ?? '';

/** The text of a string or of content parts, of AG-UI or A2A. */
export function textOf(content) {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return content === undefined || content === null ? '' : pretty(content);
  return content.map((part) => part.text ?? (part.data !== undefined ? pretty(part.data) : `[${part.type ?? part.mediaType ?? part.url ?? 'file'}]`)).join('\n');
}

// === Conversations ===

/** An AG-UI thread or an A2A task: what a person reads as one. */
class Conversation {
  constructor(key, protocol, title) {
    Object.assign(this, { key, protocol, title, status: '', tone: '', isActive: false, lastActivity: 0 });
    Object.assign(this, { items: [], nDropped: 0, steps: new Map(), subagents: new Map() });
    Object.assign(this, { state: undefined, isStatePartial: false, nSkippedPatches: 0, isBegun: false });
  }

  setStatus(status, tone, isActive) {
    Object.assign(this, { status, tone, isActive });
  }

  find(id) {
    return this.items.find((item) => item.id === id);
  }

  /** Returns the item of an id, made now if need be; an id that is undefined is always new. */
  item(id, kind, fields = {}) {
    let item = id === undefined ? undefined : this.find(id);
    if (item === undefined) {
      item = { id, kind, text: '', isOpen: false, version: 0, ...fields };
      this.items.push(item);
      if (this.items.length > MAX_ITEMS) {
        this.items.shift();
        this.nDropped += 1;
      }
    } else {
      Object.assign(item, fields);
    }
    item.version += 1;
    return item;
  }

  note(tone, label, text, detail) {
    this.item(undefined, 'note', { tone, label, text, detail });
  }

  closeAll() {
    for (const item of this.items) if (item.isOpen) Object.assign(item, { isOpen: false, version: item.version + 1 });
    this.steps.clear();
    for (const [run, agent] of this.subagents) if (agent.status === 'running') this.subagents.set(run, { ...agent, status: 'ended' });
  }
}

/** Everything that was seen, by conversation. */
export class Story {
  conversations = new Map();
  names = new Map();

  /** Takes one event of `/contexts` and returns the conversation that it belongs to, if any. */
  take({ protocol, thread, event }) {
    if (protocol === 'agui') return this.#agUi(thread, event);
    if (protocol === 'a2a') return this.#a2a(event);
    return this.#system(event);
  }

  /** Events are missing from here on: every conversation says so. */
  takeGap(text) {
    for (const conversation of this.conversations.values()) {
      conversation.note('warn', 'gap', text);
      if (conversation.isActive) conversation.setStatus('unknown since the gap', 'warn', false);
      conversation.isStatePartial = conversation.state !== undefined;
    }
  }

  #conversation(key, protocol, title) {
    const known = this.conversations.get(key);
    const conversation = known ?? new Conversation(key, protocol, title);
    conversation.lastActivity = Date.now();
    if (known === undefined) {
      this.conversations.set(key, conversation);
      this.#forgetOldest();
    }
    return conversation;
  }

  #forgetOldest() {
    if (this.conversations.size <= MAX_CONVERSATIONS) return;
    const [oldest] = [...this.conversations.values()].sort((one, other) => one.lastActivity - other.lastActivity);
    this.conversations.delete(oldest.key);
  }

  #agUi(thread, event) {
    const name = thread ?? event.threadId ?? '(no thread)';
    const conversation = this.#conversation(`agui ${name}`, 'agui', name);
    if (!conversation.isBegun && event.type !== 'RUN_STARTED') {
      conversation.note('warn', 'starts in the middle', 'What this thread did before is not shown here.');
      conversation.isStatePartial = true;
      conversation.setStatus('running', 'live', true);
    }
    conversation.isBegun = true;
    const handle = AGUI[event.type];
    if (handle) handle(conversation, event);
    else conversation.note('', event.type, '', pretty(event));
    return conversation;
  }

  #a2a(event) {
    const [kind] = Object.keys(event);
    const body = event[kind];
    const task = kind === 'task' ? body.id : body.taskId;
    const title = task ?? body.contextId ?? '(no task)';
    const conversation = this.#conversation(`a2a ${title}`, 'a2a', title);
    if (!conversation.isBegun && kind !== 'task' && task !== undefined) {
      conversation.note('warn', 'starts in the middle', 'What this task did before is not shown here.');
    }
    conversation.isBegun = true;
    const handle = A2A[kind];
    if (handle) handle(conversation, body);
    else conversation.note('', kind, '', pretty(body));
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

// === AG-UI ===

const grow = (kind, label) => (conversation, event) => {
  const item = conversation.item(event.messageId, kind, { isOpen: true, owner: owner(conversation, event) });
  item.label ??= label;
  item.text += event.delta ?? '';
};
const close = (idOf) => (conversation, event) => {
  const id = idOf(event);
  if (conversation.find(id)) conversation.item(id, '', { isOpen: false });
};
const owner = (conversation, { subagentRunId }) => subagentRunId && (conversation.subagents.get(subagentRunId)?.name ?? subagentRunId);

// A span and its message may share an id; a reasoning message may share one with a text message.
const reasoning = (event) => ({ ...event, messageId: `reasoning ${event.messageId}` });

const tool = (id) => `tool ${id}`;

function takeMessage(conversation, message) {
  const { id, role, content } = message;
  if (role === 'tool') return takeToolResult(conversation, message.toolCallId, content, message.error);
  if (role === 'activity') return void conversation.item(id, 'activity', { label: message.activityType, content });
  if (role === 'reasoning') return void conversation.item(`reasoning ${id}`, 'reasoning', { text: textOf(content) });
  if (content || !message.toolCalls) conversation.item(id, 'message', { label: message.name ?? role, role, text: textOf(content) });
  for (const call of message.toolCalls ?? []) {
    conversation.item(tool(call.id), 'tool', { label: call.function.name, text: call.function.arguments });
  }
}

function takeToolResult(conversation, call, content, error) {
  const item = conversation.item(tool(call), 'tool', { isOpen: false, result: textOf(content), error });
  item.label ??= call;
}

function applyTo(conversation, value, patch) {
  try {
    return patched(value, patch);
  } catch {
    conversation.nSkippedPatches += 1;
    return value;
  }
}

const outcomeText = (value) => (value === undefined ? '' : pretty(value));

function takeOutcome(conversation, { outcome, result }) {
  if (result !== undefined) conversation.note('', 'result', '', pretty(result));
  if (outcome?.type === 'interrupt') {
    for (const interrupt of outcome.interrupts) {
      const { id, reason, message, ...rest } = interrupt;
      conversation.note('warn', `interrupt: ${reason}`, message ?? `waits for an answer to ${id}`, pretty({ id, ...rest }));
    }
    conversation.setStatus('waits for a person', 'warn', false);
  } else if (outcome?.type === 'cancelled') conversation.setStatus('cancelled', 'warn', false);
  else conversation.setStatus('finished', 'good', false);
}

const AGUI = {
  RUN_STARTED(conversation, { runId, input }) {
    conversation.setStatus('running', 'live', true);
    conversation.subagents.clear();
    conversation.note('rule', `run ${runId}`, '');
    if (input?.state !== undefined && input.state !== null) conversation.state = input.state;
    for (const message of input?.messages ?? []) takeMessage(conversation, message);
    for (const answer of input?.resume ?? []) {
      conversation.note('', 'answer', `${answer.interruptId}: ${answer.status}`, outcomeText(answer.payload));
    }
  },
  RUN_FINISHED(conversation, event) {
    conversation.closeAll();
    takeOutcome(conversation, event);
  },
  RUN_ERROR(conversation, { message, code }) {
    conversation.closeAll();
    conversation.setStatus('failed', 'bad', false);
    conversation.note('bad', code ? `error ${code}` : 'error', message);
  },
  STEP_STARTED: (conversation, event) => void conversation.steps.set(`${event.subagentRunId ?? ''} ${event.stepName}`, event.stepName),
  STEP_FINISHED: (conversation, event) => void conversation.steps.delete(`${event.subagentRunId ?? ''} ${event.stepName}`),
  TEXT_MESSAGE_START(conversation, event) {
    const role = event.role ?? 'assistant';
    conversation.item(event.messageId, 'message', { role, label: event.name ?? role, isOpen: true, owner: owner(conversation, event) });
  },
  TEXT_MESSAGE_CONTENT: grow('message', 'assistant'),
  TEXT_MESSAGE_END: close((event) => event.messageId),
  REASONING_START() {},
  REASONING_END() {},
  REASONING_MESSAGE_START: (conversation, event) => grow('reasoning')(conversation, reasoning(event)),
  REASONING_MESSAGE_CONTENT: (conversation, event) => grow('reasoning')(conversation, reasoning(event)),
  REASONING_MESSAGE_END: close((event) => reasoning(event).messageId),
  REASONING_ENCRYPTED_VALUE() {},
  TOOL_CALL_START(conversation, event) {
    conversation.item(tool(event.toolCallId), 'tool', { label: event.toolCallName, isOpen: true, owner: owner(conversation, event) });
  },
  TOOL_CALL_ARGS(conversation, { toolCallId, delta }) {
    const item = conversation.item(tool(toolCallId), 'tool', { isOpen: true });
    item.label ??= toolCallId;
    item.text += delta;
  },
  TOOL_CALL_END: close((event) => tool(event.toolCallId)),
  TOOL_CALL_RESULT: (conversation, { toolCallId, content }) => takeToolResult(conversation, toolCallId, content),
  STATE_SNAPSHOT: (conversation, { snapshot }) => Object.assign(conversation, { state: snapshot, isStatePartial: false }),
  STATE_DELTA(conversation, { delta }) {
    conversation.state = applyTo(conversation, conversation.state ?? {}, delta);
  },
  MESSAGES_SNAPSHOT(conversation, { messages }) {
    for (const message of messages) takeMessage(conversation, message);
  },
  ACTIVITY_SNAPSHOT(conversation, { messageId, activityType, content, replace }) {
    if (replace === false && conversation.find(messageId)) return;
    conversation.item(messageId, 'activity', { label: activityType, content });
  },
  ACTIVITY_DELTA(conversation, { messageId, activityType, patch }) {
    const item = conversation.item(messageId, 'activity', { label: activityType });
    item.content = applyTo(conversation, item.content ?? {}, patch);
  },
  SUBAGENT_STARTED(conversation, { subagentRunId, name, description }) {
    conversation.subagents.set(subagentRunId, { name, status: 'running' });
    conversation.note('', `subagent ${name}`, description ?? 'started');
  },
  SUBAGENT_FINISHED(conversation, { subagentRunId, result, outcome }) {
    const name = conversation.subagents.get(subagentRunId)?.name ?? subagentRunId;
    const status = outcome?.type === 'suspended' ? 'suspended' : 'finished';
    conversation.subagents.set(subagentRunId, { name, status });
    conversation.note('', `subagent ${name}`, status, outcomeText(result));
  },
  SUBAGENT_ERROR(conversation, { subagentRunId, message }) {
    const name = conversation.subagents.get(subagentRunId)?.name ?? subagentRunId;
    conversation.subagents.set(subagentRunId, { name, status: 'failed' });
    conversation.note('bad', `subagent ${name}`, message);
  },
  CUSTOM: (conversation, { name, value }) => conversation.note('', `custom ${name}`, '', pretty(value)),
  RAW: (conversation, { source, event }) => conversation.note('', `raw ${source ?? ''}`, '', pretty(event)),
};

// === A2A ===

const TASK_TONES = { completed: 'good', failed: 'bad', rejected: 'bad', canceled: 'warn', 'input required': 'warn', 'auth required': 'warn' };

function takeTaskStatus(conversation, { state, message }) {
  const status = state.replace('TASK_STATE_', '').replaceAll('_', ' ').toLowerCase();
  const tone = TASK_TONES[status] ?? 'live';
  if (conversation.status !== status) conversation.note(tone === 'live' ? 'rule' : tone, status, '');
  conversation.setStatus(status, tone, tone === 'live');
  if (message) takeTaskMessage(conversation, message);
}

function takeTaskMessage(conversation, { messageId, role, parts }) {
  const name = role === 'ROLE_USER' ? 'user' : 'agent';
  conversation.item(messageId, 'message', { role: name, label: name, text: textOf(parts) });
}

function takeArtifact(conversation, artifact, isAppended) {
  const id = `artifact ${artifact.artifactId}`;
  const before = isAppended ? conversation.find(id)?.text ?? '' : '';
  conversation.item(id, 'artifact', { label: artifact.name ?? artifact.artifactId, text: before + textOf(artifact.parts) });
}

const A2A = {
  task(conversation, { status, history, artifacts }) {
    for (const message of history ?? []) takeTaskMessage(conversation, message);
    for (const artifact of artifacts ?? []) takeArtifact(conversation, artifact, false);
    takeTaskStatus(conversation, status);
  },
  message: takeTaskMessage,
  statusUpdate: (conversation, { status }) => takeTaskStatus(conversation, status),
  artifactUpdate: (conversation, { artifact, append }) => takeArtifact(conversation, artifact, append === true),
};

// === What has arrived ===

/** Counts frames by the numbers in their ids, so that a loss could not go unseen. */
export class Ledger {
  cursor = '';
  nReceived = 0;
  nMisplaced = 0;
  nMissing = 0;
  nResumes = 0;
  gaps = [];
  /** The number at which the view starts. */
  start = undefined;
  /** The first number since the last gap. */
  first = undefined;
  #epoch = '';
  #number = undefined;

  /** Notes the id of an event. */
  take(id) {
    this.nReceived += 1;
    const [epoch, number] = this.#read(id);
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
    const [epoch, number] = this.#read(id);
    if (number !== undefined) this.#move(id, epoch, number);
  }

  /** Notes that events are missing before the place of an id. */
  takeGap(id, gap) {
    this.gaps.push(gap);
    this.first = undefined;
    this.begin(id);
  }

  get last() {
    return this.#number;
  }

  #move(id, epoch, number) {
    this.cursor = id;
    this.#epoch = epoch;
    this.#number = number;
  }

  #read(id) {
    const [epoch, digits] = id.split('.');
    return [epoch, /^[0-9]+$/.test(digits ?? '') ? Number(digits) : undefined];
  }
}
