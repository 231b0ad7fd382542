// The hub's metrics: read from OpenMetrics text, and kept as what the plots show of the last ten minutes.

const SPAN_MS = 600_000;
const MAX_SAMPLES = 320;
const MAX_LINES = 20_000;
const LAG_SAMPLES = 5;

/** Reads the text: by name, a list of `[labels, value]`. */
export function parseMetrics(text) {
  const metrics = new Map();
  for (const line of text.split('\n', MAX_LINES)) {
    const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (found === null) continue;
    const [, name, labels = '', value] = found;
    if (!metrics.has(name)) metrics.set(name, []);
    metrics.get(name).push([labelsOf(labels), Number(value)]);
  }
  return metrics;
}

const labelsOf = (text) => Object.fromEntries(
  [...text.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name, value.replace(/\\(.)/g, (_, letter) => (letter === 'n' ? '\n' : letter))]),
);

/** The sum of metrics over all their labels; nothing if none of them is there. */
export function sum(metrics, names, isMeant = () => true) {
  const rows = names.flatMap((name) => metrics.get(name) ?? []);
  if (rows.length === 0) return undefined;
  return rows.reduce((all, [labels, value]) => (isMeant(labels) ? all + value : all), 0);
}

const isRefused = ({ status }) => Number(status) >= 400;

/** What is sampled: a gauge, or a counter whose growth counts. */
const SOURCES = {
  published: { counter: ['events_log_appended_total', 'events_analytics_appended_total'] },
  reached: { counter: ['events_log_reached_total', 'events_analytics_reached_total'] },
  sentOwn: { counter: ['events_written_bytes_total'], isMeant: ({ transport }) => transport === 'taken_over' },
  sentHttp: { counter: ['events_written_bytes_total'], isMeant: ({ transport }) => transport !== 'taken_over' },
  connections: { gauge: ['events_connections'] },
  sockets: { gauge: ['events_sockets'] },
  users: { gauge: ['events_log_users'] },
  runs: { gauge: ['events_active_runs'] },
  llm: { gauge: ['events_llm_active'] },
  kept: { gauge: ['events_log_bytes', 'events_analytics_bytes', 'events_fold_bytes', 'events_order_bytes'] },
  gaps: { counter: ['events_gaps_total'], orZero: true },
  refused: { counter: ['events_publishes_total'], isMeant: isRefused, orZero: true },
  bounds: { counter: ['events_bound_hits_total'] },
  tail: { gauge: ['events_log_tail_lag_appends', 'events_log_tail_lag_messages', 'events_log_tail_lag_users'] },
  behind: { gauge: ['events_replica_users_behind'] },
};

/** Counters that only a new process takes back. */
const WITNESSES = ['published', 'reached', 'bounds'];

export class History {
  /** `{ at, isRestart, values }`, the oldest first; times are the browser's. */
  samples = [];
  /** The last text, read. */
  metrics = new Map();
  #counters = undefined;
  /** Of the last moments: single writes are measured, too few of them to tell anything from one moment to the next. */
  #lags = [];

  /** Takes the metrics of a moment. */
  take(text, at = Date.now()) {
    this.metrics = parseMetrics(text);
    const counters = { at };
    const values = {};
    for (const [key, { gauge, counter, isMeant, orZero }] of Object.entries(SOURCES)) {
      const value = sum(this.metrics, gauge ?? counter, isMeant) ?? (orZero ? 0 : undefined);
      if (gauge) values[key] = value;
      else counters[key] = value;
    }
    const before = this.#counters;
    const isRestart = before !== undefined && WITNESSES.some((key) => counters[key] < before[key]);
    const seconds = before && (at - before.at) / 1000;
    const lags = lagBuckets(this.metrics);
    if (before !== undefined && !isRestart && seconds > 0) {
      for (const [key, value] of Object.entries(counters)) if (key !== 'at' && value >= before[key]) values[key] = (value - before[key]) / seconds;
      Object.assign(values, lagOf(this.#lags[0], lags));
    } else this.#lags = [];
    this.#counters = counters;
    this.#lags.push(lags);
    if (this.#lags.length > LAG_SAMPLES) this.#lags.shift();
    this.samples.push({ at, isRestart, values });
    const oldest = at - SPAN_MS;
    while (this.samples.length > MAX_SAMPLES || this.samples[0].at < oldest) this.samples.shift();
  }

  /** Over how many minutes there is something to show, from 1 to 10. */
  minutes(now = Date.now()) {
    const known = Math.min(now - (this.samples[0]?.at ?? now), SPAN_MS);
    return Math.max(Math.ceil(known / 60_000), 1);
  }

  /** The hub did not answer: nothing is drawn between what was before and what comes. */
  miss(at = Date.now()) {
    if (this.samples.length > 0 && Object.keys(this.samples.at(-1).values).length > 0) this.samples.push({ at, isRestart: false, values: {} });
  }
}

function lagBuckets(metrics) {
  const buckets = (metrics.get('events_lag_seconds_bucket') ?? []).map(([{ le }, n]) => [le === '+Inf' ? Infinity : Number(le), n]);
  return buckets.sort(([one], [other]) => one - other);
}

/** The middle and the slowest hundredth of the lags between two moments, in milliseconds: the bucket's upper bound. */
function lagOf(before, now) {
  if (before?.length !== now.length) return {};
  const counts = now.map(([bound, n], index) => [bound, n - before[index][1]]);
  const all = counts.at(-1)?.[1] ?? 0;
  if (all <= 0) return {};
  const largest = counts.at(-2)?.[0] ?? 0;
  const at = (share) => Math.min(counts.find(([, n]) => n >= all * share)?.[0] ?? largest, largest) * 1000;
  return { lagMiddle: at(0.5), lagHigh: at(0.99) };
}

/** What has been counted since the start under a label, the largest first. */
export function tally(metrics, name, label) {
  const sums = new Map();
  for (const [labels, value] of metrics.get(name) ?? []) {
    const key = labels[label] ?? '';
    if (value > 0) sums.set(key, (sums.get(key) ?? 0) + value);
  }
  return [...sums].sort(([, one], [, other]) => other - one);
}
