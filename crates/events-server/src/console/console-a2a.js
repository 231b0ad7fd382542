// An A2A task, told from its stream objects.

import { Conversation, textOf } from './console-conversation.js';

const MAX_ITEMS = 1000;
const TONES = { completed: 'good', failed: 'bad', rejected: 'bad', canceled: 'warn', 'input required': 'warn', 'auth required': 'warn' };

const OVER = new Set(['completed', 'failed', 'rejected', 'canceled']);

export class A2ATask extends Conversation {
  #items = new Map();
  #nChanges = 0;

  constructor(key, title) {
    super(key, 'a2a', title);
  }

  take(event) {
    const [kind] = Object.keys(event);
    const handle = HANDLERS[kind];
    if (handle) handle.call(this, event[kind]);
  }

  /** Nothing more happens to it. */
  get isOver() {
    return OVER.has(this.status);
  }

  get facts() {
    return 'A2A task';
  }

  get rows() {
    return [...this.opening, ...this.#items.values()];
  }

  set(key, item) {
    this.#nChanges += 1;
    this.#items.set(key, { key, ...item, version: this.#nChanges });
    if (this.#items.size <= MAX_ITEMS) return;
    this.#items.delete(this.#items.keys().next().value);
    this.hasDropped = true;
  }

  takeStatus({ state, message }) {
    const status = state.replace('TASK_STATE_', '').replaceAll('_', ' ').toLowerCase();
    const tone = TONES[status] ?? 'live';
    if (this.status !== status) this.set(`status ${this.#nChanges}`, { kind: 'note', tone: tone === 'live' ? 'rule' : tone, label: status });
    this.setStatus(status, tone, tone === 'live');
    if (message) this.takeMessage(message);
  }

  takeMessage({ messageId, role, parts }) {
    const name = role === 'ROLE_USER' ? 'user' : 'agent';
    this.set(`message ${messageId}`, { kind: 'message', role: name, label: name, text: textOf(parts) });
  }

  takeArtifact({ artifactId, name, parts }, isAppended) {
    const key = `artifact ${artifactId}`;
    const known = isAppended ? this.#items.get(key) : undefined;
    this.set(key, { kind: 'artifact', label: name ?? known?.label ?? artifactId, text: (known?.text ?? '') + textOf(parts) });
  }
}

const HANDLERS = {
  task({ status, history, artifacts }) {
    for (const message of history ?? []) this.takeMessage(message);
    for (const artifact of artifacts ?? []) this.takeArtifact(artifact, false);
    this.takeStatus(status);
  },
  message(message) { this.takeMessage(message); },
  statusUpdate({ status }) { this.takeStatus(status); },
  artifactUpdate({ artifact, append }) { this.takeArtifact(artifact, append === true); },
};
