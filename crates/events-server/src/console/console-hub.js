// The hub's view: how it is doing, as plots of the last ten minutes, and what it has refused.

import { History, tally } from './console-metrics.js';
import { bytes, count, counted, rate, span } from './console-numbers.js';
import { Plot } from './console-plot.js';
import { KeyedRows, setText, showMore } from './console-rows.js';
import { element } from './console-view.js';

const SAMPLE_MS = 2000;
const MAX_TALLIES = 12;
/** For so long a hub that has said that it goes away may be going. */
const DRAIN_MS = 30_000;

const PLOTS = [
  { title: 'Published', unit: '/s', form: rate, lines: [['published', 'events']] },
  { title: 'Deliveries', hint: 'Times that a connection was handed what was new, one event or many', unit: '/s', form: rate, lines: [['reached', 'deliveries']] },
  { title: 'Sent', hint: 'Bytes of streams that were handed to their connections, by what they go', unit: '/s', form: bytes, lines: [['sentOwn', 'own sockets'], ['sentHttp', 'others']] },
  { title: 'Connections', form: count, lines: [['connections', 'streams'], ['sockets', 'sockets']] },
  { title: 'Users with a log', form: count, lines: [['users', 'users']] },
  { title: 'Lag', hint: 'From the append of an event to the write of it, of streams that have caught up', form: span, lines: [['lagMiddle', 'p50'], ['lagHigh', 'p99']] },
  { title: 'Kept in memory', hint: 'Bytes of history, of folds and of order, as the hub counts them', form: bytes, lines: [['kept', 'kept']] },
  { title: 'Gaps', hint: 'Gaps told to clients', unit: '/s', form: rate, lines: [['gaps', 'gaps']] },
  { title: 'Refusals', unit: '/s', form: rate, lines: [['refused', 'publishes'], ['bounds', 'bounds']] },
  { title: 'Running', form: count, lines: [['runs', 'agents'], ['llm', 'models']] },
  { title: 'Engine lag', hint: 'What the log has and this replica has not', form: count, lines: [['tail', 'tail'], ['behind', 'users behind']] },
];

const TALLIES = [
  ['Streams have ended', 'events_stream_ends_total', 'reason'],
  ['Gaps were told', 'events_gaps_total', 'reason'],
  ['Bounds were hit', 'events_bound_hits_total', 'bound'],
  ['Publishes were answered', 'events_publishes_total', 'status'],
];

/** Asks how the hub is, all the time, so that a look at it shows what was. */
export class HubWatch {
  history = new History();
  /** `unknown`, `ready`, `draining`, `not ready`, `gone`. */
  state = 'unknown';
  detail = '';
  #session;
  #listeners = [];
  #isRunning = false;

  constructor(session) {
    this.#session = session;
  }

  onChange(listener) {
    this.#listeners.push(listener);
  }

  begin() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#sample();
  }

  async #sample() {
    const began = performance.now();
    if (this.#session.state === 'open') {
      const [health] = await Promise.all([this.#health(), this.#session.isOperator && this.#metrics()]);
      [this.state, this.detail] = health;
      for (const listener of this.#listeners) listener();
    }
    setTimeout(() => this.#sample(), Math.max(SAMPLE_MS - (performance.now() - began), 500));
  }

  /** Whether it has said so to a stream of this page: to others it says nothing any more. */
  #isDraining() {
    const { reason, at } = this.#session.lastClosing;
    return reason === 'draining' && Date.now() - at < DRAIN_MS;
  }

  async #metrics() {
    try {
      this.history.take(await this.#session.get('/metrics'));
    } catch {
      this.history.miss();
    }
  }

  async #health() {
    try {
      await this.#session.get('/health/ready');
      return ['ready', ''];
    } catch (error) {
      if (error.status === undefined && this.#isDraining()) return ['draining', 'It answers nothing new. It is asked again every 2 seconds.'];
      if (error.status === undefined) return ['gone', 'The hub does not answer. It is asked again every 2 seconds.'];
      if (error.status !== 503) return ['not ready', error.message];
      return [/draining|going away|shutting/i.test(error.message) ? 'draining' : 'not ready', error.message];
    }
  }
}

const TONES = { ready: 'good', gone: 'bad', unknown: '' };

export function showHubState(node, { state, detail }) {
  node.dataset.tone = TONES[state] ?? 'warn';
  setText(node, state === 'unknown' ? '' : `hub ${state}`);
  node.title = detail;
}

export class HubView {
  #watch;
  #nodes;
  #plots = PLOTS.map((plot) => new Plot(plot));
  #tallies;

  constructor(watch, nodes) {
    this.#watch = watch;
    this.#nodes = nodes;
    nodes.plots.append(...this.#plots.map(({ node }) => node));
    this.#tallies = TALLIES.map(([title, name, label]) => {
      const list = element('dl');
      const more = element('p', { className: 'more', hidden: true });
      const none = element('p', { className: 'more', text: 'none' });
      const rows = new KeyedRows(list, (key) => {
        const value = element('dd');
        return { node: element('div', {}, element('dt', { text: key || '-' }), value), update: (n) => setText(value, count(n)) };
      });
      nodes.tallies.append(element('section', { className: 'tally' }, element('h3', { text: title }), list, none, more));
      return { name, label, rows, more, none };
    });
  }

  draw() {
    const { state, detail, history } = this.#watch;
    const { title, verdict, reason } = this.#nodes;
    const words = { unknown: 'Asking how the hub is.', ready: 'The hub is ready.', draining: 'The hub is draining: it goes away, and streams end.', gone: 'The hub is gone.' };
    verdict.parentElement.dataset.tone = TONES[state] ?? 'warn';
    setText(verdict, words[state] ?? 'The hub is not ready.');
    setText(reason, detail);
    const now = Date.now();
    const nMinutes = history.minutes(now);
    setText(title, `The hub, the last ${counted(nMinutes, 'minute')}`.replace('last 1 minute', 'last minute'));
    for (const plot of this.#plots) plot.show(history.samples, now, nMinutes);
    for (const { name, label, rows, more, none } of this.#tallies) {
      const found = tally(history.metrics, name, label);
      rows.show(found.slice(0, MAX_TALLIES));
      none.hidden = found.length > 0;
      showMore(more, found.length - MAX_TALLIES);
    }
  }
}
