// What is known of all requests to models, from the frames of `/llm/streams`; as in `events top`. Nothing of the page.

const MAX_ACTIVE = 4096;
const MAX_ENDED = 256;
const MAX_TEXT = 4096;
const MAX_READ_TEXT = 65_536;
const MAX_MODELS = 512;
const MAX_ALERTS = 64;
const MAX_NAME = 256;
const MAX_MESSAGE = 4096;
const CHARACTERS_PER_TOKEN = 4;
const STALLED_MS = 5000;
const RATE_SECONDS = 5;
/** An answer whose first and last token are nearer than this came whole: its rate would be the network's. */
const WHOLE_MS = 50;

const NO_TOTALS = { started: 0, completed: 0, failed: 0, input_tokens: 0, cached_input_tokens: 0, output_tokens: 0, cost_usd: 0, unpriced: 0, unreported: 0 };
const NAMES = ['model', 'response_model', 'agent_type', 'provider', 'finish_reason', 'error_code'];

const sumUp = (totals = {}) => Object.fromEntries(Object.entries(NO_TOTALS).map(([key, none]) => [key, Number(totals[key] ?? none)]));
const nameOf = ({ provider, model }) => JSON.stringify([provider ?? null, model]);

/** How fast text comes, by second. */
class Rate {
  #seconds = new Map();

  add(n, now) {
    const second = Math.floor(now / 1000);
    this.#seconds.set(second, (this.#seconds.get(second) ?? 0) + n);
    for (const key of this.#seconds.keys()) if (key < second - RATE_SECONDS) this.#seconds.delete(key);
  }

  /** Tokens per second, as a guess, of something that began at a time. */
  at(now, since = 0) {
    const second = Math.floor(now / 1000);
    let n = 0;
    for (const [key, more] of this.#seconds) if (key > second - RATE_SECONDS) n += more;
    const seconds = Math.min(RATE_SECONDS - 1 + (now % 1000) / 1000, Math.max((now - since) / 1000, 0.5));
    return n / seconds / CHARACTERS_PER_TOKEN;
  }
}

/** One request. */
export class LlmStream {
  text = '';
  isAlerted = false;
  firstTextMs = undefined;
  rate = new Rate();

  constructor(number, summary) {
    this.number = number;
    this.take(summary);
    this.text = summary.text ?? '';
    this.textLength = summary.text_bytes ?? 0;
  }

  /** Takes what is known of it; names are cut, so that memory is bounded whatever comes. */
  take(facts) {
    for (const name of NAMES) if (typeof facts[name] === 'string') facts[name] = facts[name].slice(0, MAX_NAME);
    for (const name of ['message', 'notice']) if (typeof facts[name] === 'string') facts[name] = facts[name].slice(0, MAX_MESSAGE);
    const { text, ...rest } = facts;
    Object.assign(this, rest);
  }

  append(more, at, now, isRead) {
    this.state = 'streaming';
    this.last_event_at = at;
    if (this.textLength === 0) this.firstTextMs ??= Math.max(at - this.started_at, 0);
    this.textLength += more.length;
    const most = isRead ? MAX_READ_TEXT : MAX_TEXT;
    this.text += more.slice(-most);
    // Cut at more than the bound, so that not every piece moves the text.
    if (this.text.length > most * 1.5) this.text = this.text.slice(-most);
    this.rate.add(more.length, now);
  }

  get isActive() {
    return this.state === 'waiting' || this.state === 'streaming';
  }

  get outcome() {
    if (this.state !== 'failed') return this.state;
    const isCancelled = this.message === 'client disconnected' || ['cancelled', 'canceled'].includes(this.error_code);
    return isCancelled ? 'cancelled' : 'failed';
  }

  get name() {
    return this.model || this.response_model || '-';
  }

  /** Tokens of the answer, and whether they are a guess. */
  get output() {
    if (!this.isActive && this.output_tokens !== undefined) return [this.output_tokens, this.partial === true];
    const length = this.textLength + (this.reasoning_bytes ?? 0);
    const guess = Math.max(this.estimated_output_tokens ?? Math.ceil(length / CHARACTERS_PER_TOKEN), this.output_tokens ?? 0);
    return guess > 0 ? [guess, true] : undefined;
  }

  get firstToken() {
    if (this.time_to_first_token_ms !== undefined) return [this.time_to_first_token_ms, false];
    return this.firstTextMs === undefined ? undefined : [this.firstTextMs, true];
  }

  duration(now) {
    return this.duration_ms ?? Math.max((this.ended_at ?? now) - this.started_at, 0);
  }

  /** Tokens per second, and whether they are a guess. */
  tokenRate(now) {
    if (this.isActive) return this.state === 'streaming' ? [this.rate.at(now, this.started_at), true] : undefined;
    const answering = this.duration(now) - (this.firstToken?.[0] ?? 0);
    if (this.output === undefined || answering < WHOLE_MS) return undefined;
    return [this.output[0] * 1000 / answering, this.output[1]];
  }

  /** For how long a running answer has been silent, if that is long. */
  stalled(now) {
    const silent = this.state === 'streaming' ? now - (this.last_event_at ?? now) : 0;
    return silent >= STALLED_MS ? silent : undefined;
  }
}

export class LlmModel {
  totals = { ...NO_TOTALS };
  models = new Map();
  alerts = [];
  /** Events that we were too slow for. */
  nLost = 0;
  since = undefined;
  #streams = new Map();
  #nStreams = 0;
  #clockAhead = 0;
  #rate = new Rate();
  #read = undefined;

  /** The time by the gateway's clock. */
  now(ours = Date.now()) {
    return ours + this.#clockAhead;
  }

  get streams() {
    return [...this.#streams.values()];
  }

  get nRunning() {
    return Math.max(this.totals.started - this.totals.completed - this.totals.failed, 0);
  }

  get rate() {
    return this.#rate.at(this.now());
  }

  stream(id) {
    return this.#streams.get(id);
  }

  /** Keeps more of the text of this request, and less of the one before. */
  read(id) {
    const before = this.#streams.get(this.#read);
    if (id !== this.#read && before) before.text = before.text.slice(-MAX_TEXT);
    this.#read = id;
  }

  apply(frame, ours = Date.now()) {
    if (frame.type === 'active') this.#replace(frame, ours);
    else if (frame.type === 'alert') this.#alert(frame);
    else this.#event(frame, this.now(ours));
  }

  /** Takes the picture of a moment. What has ended stays known; what ran and is not in the picture does not. */
  #replace({ at, since, streams, totals, models = [], alerts = [], lost = 0 }, ours) {
    this.#clockAhead = at - ours;
    this.since = since;
    this.totals = sumUp(totals);
    this.models.clear();
    for (const model of models.slice(0, MAX_MODELS)) this.#sums(model, sumUp(model));
    this.nLost += lost;
    const before = new Map([...this.#streams].filter(([, stream]) => stream.isActive));
    for (const id of before.keys()) this.#streams.delete(id);
    for (const summary of streams) {
      const known = before.get(summary.request_id);
      if (this.#streams.has(summary.request_id)) continue;
      const stream = this.#insert(summary, known?.number);
      if (!stream || !known) continue;
      // The picture has only the end of the text.
      if (known.text.endsWith(stream.text)) stream.text = known.text;
      Object.assign(stream, { rate: known.rate, firstTextMs: known.firstTextMs });
    }
    this.alerts = [];
    for (const alert of alerts) this.#alert(alert);
  }

  #insert(summary, number) {
    const id = summary.request_id;
    if (typeof id !== 'string' || id.length > MAX_NAME) return undefined;
    let [nActive, oldest] = [0, undefined];
    for (const stream of this.#streams.values()) {
      if (stream.isActive) nActive += 1;
      else oldest ??= stream;
    }
    if (nActive >= MAX_ACTIVE) return undefined;
    if (this.#streams.size - nActive >= MAX_ENDED) this.#streams.delete(oldest.request_id);
    this.#nStreams += 1;
    const stream = new LlmStream(number ?? this.#nStreams, summary);
    this.#streams.delete(id);
    this.#streams.set(id, stream);
    return stream;
  }

  #sums({ provider, model }, totals = undefined) {
    const name = nameOf({ provider, model });
    if (!this.models.has(name) && this.models.size < MAX_MODELS) this.models.set(name, { provider, model: String(model).slice(0, MAX_NAME), totals: totals ?? { ...NO_TOTALS } });
    return this.models.get(name)?.totals;
  }

  #event(event, now) {
    const { type, request_id: id, text, timestamp: at = now, ...facts } = event;
    if (type === 'started') {
      const summary = { request_id: id, model: '', state: 'waiting', started_at: at, ...facts };
      for (const totals of [this.totals, this.#sums(summary)]) if (totals) totals.started += 1;
      this.#insert(summary);
      return;
    }
    const stream = this.#streams.get(id);
    if (type === 'text_delta') {
      this.#rate.add(text.length, now);
      if (stream?.isActive) stream.append(text, at, now, id === this.#read);
    } else if (type === 'completed' || type === 'error') {
      const sums = stream?.isActive ? this.#sums({ provider: stream.provider, model: stream.model }) : undefined;
      for (const totals of [this.totals, sums]) if (totals) addEnd(totals, type, facts);
      if (!stream?.isActive) return;
      // Those that have ended are let go in the order of their ends.
      this.#streams.delete(id);
      this.#streams.set(id, stream);
      stream.take({ ...facts, ended_at: at, state: type === 'error' ? 'failed' : 'completed' });
    }
  }

  #alert(alert) {
    const { kind, request_id: id, is_raised: isRaised } = alert;
    const stream = this.#streams.get(id);
    if (stream) stream.isAlerted = isRaised;
    this.alerts = this.alerts.filter((known) => known.kind !== kind || known.request_id !== id);
    if (isRaised) this.alerts.push({ ...alert, message: String(alert.message).slice(0, 512) });
    if (this.alerts.length > MAX_ALERTS) this.alerts.splice(Math.max(this.alerts.findIndex((known) => known.kind === 'stream_cost'), 0), 1);
  }
}

function addEnd(totals, type, { input_tokens: input, output_tokens: output, cached_input_tokens: cached, cost_usd: cost }) {
  totals[type === 'error' ? 'failed' : 'completed'] += 1;
  totals.input_tokens += input ?? 0;
  totals.output_tokens += output ?? 0;
  totals.cached_input_tokens += cached ?? 0;
  totals.cost_usd += Number(cost ?? 0);
  if (input === undefined && output === undefined) totals.unreported += 1;
  if (cost === undefined) totals.unpriced += 1;
}
