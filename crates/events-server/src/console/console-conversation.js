// What a person reads as one conversation, of whatever protocol. Nothing here knows of the page.

export const pretty = (value) => JSON.stringify(value, null, 2) ?? '';

/** JSON with the members of objects in the order of their names: which came first says nothing. */
export function prettySorted(value) {
  return pretty(sorted(value));
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  // Made from entries, a member of any name is only a member.
  return Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]));
}

/** The text of a string or of content parts, of AG-UI or A2A. */
export function textOf(content) {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return content === undefined || content === null ? '' : pretty(content);
  return content.map((part) => part.text ?? (part.data !== undefined ? pretty(part.data) : `[${part.type ?? part.mediaType ?? part.url ?? 'file'}]`)).join('\n');
}

/** An AG-UI thread or an A2A task. Its `rows` are what it shows, its `facts` a line about it. */
export class Conversation {
  /** The state is what was heard of it, and may not be all. */
  isStatePartial = false;
  /** Earlier rows were let go of. */
  hasDropped = false;
  /** What is to be said before everything else. */
  preface = undefined;
  lastActivity = 0;

  constructor(key, protocol, title) {
    Object.assign(this, { key, protocol, title });
    this.setStatus('', '', false);
  }

  setStatus(status, tone, isActive) {
    Object.assign(this, { status, tone, isActive });
  }

  /** Events are missing, and nothing stands for them. */
  miss(label, text) {
    this.preface = { label, text };
    this.isStatePartial = true;
  }

  get opening() {
    return this.preface ? [{ kind: 'note', key: 'preface', tone: 'warn', ...this.preface, version: this.preface.text }] : [];
  }
}
