// The models' view: requests that run or have just ended, the text of one, alerts, and sums by model.

import { LlmModel } from './console-llm-model.js';
import { UNKNOWN, age, count, money, rate, span } from './console-numbers.js';
import { KeyedRows, readable, setText, showMore } from './console-rows.js';
import { element } from './console-view.js';

const REDRAW_MS = 200;
const AGE_MS = 1000;
const MAX_ROWS = 100;
const MAX_MODELS = 50;
const MAX_ALERTS = 3;
const END_OF_TEXT = 160;

const SIGNS = { waiting: '◌', streaming: '●', completed: '✓', failed: '✗', cancelled: '⊘' };
const TONES = { waiting: '', streaming: 'live', completed: 'good', failed: 'bad', cancelled: 'warn' };

/** A number that may be unknown, or a guess, which is marked by `~`. */
const guess = (known, form) => (known === undefined ? UNKNOWN : `${known[1] ? '~' : ''}${form(known[0])}`);
const maybe = (number, form) => (number === undefined ? UNKNOWN : form(Number(number)));

function facts(stream, now) {
  const list = [
    ['in', stream.input_tokens, (number) => count(number)], ['out', stream.output, (known) => guess(known, count)],
    ['tok/s', stream.tokenRate(now), (known) => guess(known, rate)], ['TTFT', stream.firstToken, (known) => guess(known, span)],
    ['cost', stream.cost_usd, (cost) => money(Number(cost))],
  ].filter(([, known]) => known !== undefined).map(([name, known, form]) => `${name} ${form(known)}`);
  const silent = stream.stalled(now);
  if (silent !== undefined) list.push(`stalled ${age(silent)}`);
  return [stream.isActive ? age(stream.duration(now)) : `took ${span(stream.duration(now))}`, ...list];
}

export class LlmView {
  model = new LlmModel();
  #session;
  #nodes;
  #rows;
  #models;
  #alerts;
  #totals;
  #details;
  #source = undefined;
  #contact = ['', 'connecting'];
  #chosen = undefined;
  #timers = [];
  #isDrawPlanned = false;
  #isAtEnd = true;

  constructor(session, nodes) {
    this.#session = session;
    this.#nodes = nodes;
    this.#rows = new KeyedRows(nodes.list, (id) => this.#row(id));
    this.#models = new KeyedRows(nodes.models, modelRow);
    this.#alerts = new KeyedRows(nodes.alerts, () => {
      const node = element('li');
      return { node, update: ({ message, request_id: id }) => setText(node, id ? readable(`${this.model.stream(id)?.name ?? id}: ${message}`) : message) };
    });
    this.#totals = new KeyedRows(nodes.totals, factRow);
    this.#details = new KeyedRows(nodes.facts, factRow);
    nodes.text.addEventListener('scroll', () => {
      const { scrollHeight, scrollTop, clientHeight } = nodes.text;
      this.#isAtEnd = scrollHeight - scrollTop - clientHeight < 24;
    });
    nodes.follow.addEventListener('change', () => this.#draw());
  }

  show() {
    this.#contact = ['', 'connecting'];
    this.#source = this.#session.follow('/llm/streams', {
      onEvent: ({ json }) => {
        if (json) this.model.apply(json);
        this.#planDraw();
      },
      onState: (state) => this.#setContact(state),
    });
    this.#timers = [setInterval(() => this.#draw(), AGE_MS)];
    this.#draw();
  }

  hide() {
    this.#source?.close();
    this.#source = undefined;
    this.#timers.forEach(clearInterval);
  }

  #setContact({ state, cause, error, reason }) {
    if (state === 'open') this.#contact = ['live', 'connected'];
    else if (state === 'waiting') this.#contact = ['reconnecting', `reconnecting: ${cause}`];
    else if (state === 'closed' && (error ?? reason)) this.#contact = ['refused', error?.message ?? reason];
    this.#planDraw();
  }

  #planDraw() {
    if (this.#isDrawPlanned) return;
    this.#isDrawPlanned = true;
    setTimeout(() => this.#draw(), REDRAW_MS);
  }

  /** Those that run, the newest first, then those that have ended, the last first. */
  #sorted() {
    const streams = this.model.streams;
    const running = streams.filter(({ isActive }) => isActive).sort((one, other) => other.number - one.number);
    return [...running, ...streams.filter(({ isActive }) => !isActive).reverse()];
  }

  #draw() {
    this.#isDrawPlanned = false;
    if (this.#source === undefined) return;
    const { model } = this;
    const { contact, empty, more, noModels, moreModels, moreAlerts, follow } = this.#nodes;
    [contact.dataset.state] = this.#contact;
    setText(contact, this.#contact[1]);
    const streams = this.#sorted();
    const chosen = model.stream(this.#chosen);
    // It stays with one answer until that has ended.
    if (follow.checked && !chosen?.isActive && streams[0]?.isActive) this.#choose(streams[0].request_id);
    else if (chosen === undefined) this.#choose(streams[0]?.request_id);
    this.#rows.show(streams.slice(0, MAX_ROWS).map((stream) => [stream.request_id, stream]));
    showMore(more, streams.length - MAX_ROWS);
    empty.hidden = streams.length > 0;
    this.#drawTotals();
    const sums = [...model.models].sort(([, one], [, other]) => other.totals.started - one.totals.started);
    this.#models.show(sums.slice(0, MAX_MODELS));
    noModels.hidden = sums.length > 0;
    showMore(moreModels, sums.length - MAX_MODELS);
    // Those about all requests first: those about one are never taken back, and there are many.
    const alerts = model.alerts.toReversed().sort((one, other) => (one.kind === 'stream_cost') - (other.kind === 'stream_cost'));
    this.#alerts.show(alerts.slice(0, MAX_ALERTS).map((alert) => [`${alert.kind} ${alert.request_id ?? ''}`, alert]));
    showMore(moreAlerts, alerts.length - MAX_ALERTS);
    this.#drawDetail(model.stream(this.#chosen));
  }

  #drawTotals() {
    const { model } = this;
    const { totals } = model;
    const known = (text) => (model.since === undefined ? UNKNOWN : text);
    const { rate: tokens } = model;
    const cost = `${money(totals.cost_usd)}${totals.unpriced > 0 ? ` +${count(totals.unpriced)} unpriced` : ''}`;
    const entries = [
      ['active', count(model.nRunning)], ['started', count(totals.started)], ['done', count(totals.completed)], ['errors', count(totals.failed), totals.failed > 0],
      ['in', count(totals.input_tokens)], ['out', count(totals.output_tokens)], ['tok/s', tokens > 0 ? `~${rate(tokens)}` : '0'], ['cost', cost],
      ['lost', count(model.nLost), model.nLost > 0],
    ];
    this.#totals.show(entries.map(([name, value, isBad]) => [name, [known(value), isBad]]));
  }

  #choose(id) {
    this.#chosen = id;
    this.#isAtEnd = true;
    this.model.read(id);
  }

  #drawDetail(stream) {
    const { title, badge, text } = this.#nodes;
    setText(title, stream ? readable(stream.name) : 'No request chosen');
    setText(badge, stream ? stream.outcome : '');
    badge.dataset.tone = TONES[stream?.outcome] ?? '';
    const now = this.model.now();
    const rows = !stream ? [] : [
      ['request', stream.request_id], ['agent', stream.agent_type], ['provider', stream.provider], ['in', maybe(stream.input_tokens, count)],
      ['cached', stream.cached_input_tokens], ['out', guess(stream.output, count)], ['tok/s', guess(stream.tokenRate(now), rate)],
      ['TTFT', guess(stream.firstToken, span)], ['cost', maybe(stream.cost_usd, money)], ['took', span(stream.duration(now))], ['finish', stream.finish_reason],
      ['code', stream.error_code], ['http', stream.http_status], ['tool calls', stream.tool_calls || undefined], ['message', stream.message ?? stream.notice, true],
    ];
    this.#details.show(rows.filter(([, value]) => value !== undefined).map(([name, value, isBad]) => [name, [readable(value), isBad]]));
    const shown = !stream ? '' : stream.text || (stream.isActive ? 'waiting for the first words' : 'It said nothing.');
    const before = text.firstChild?.data ?? '';
    if (before !== shown) {
      if (before && shown.startsWith(before)) text.firstChild.appendData(shown.slice(before.length));
      else text.textContent = shown;
    }
    if (this.#isAtEnd) text.scrollTop = text.scrollHeight;
  }

  #row(id) {
    const sign = element('span', { className: 'sign' });
    const name = element('bdi', { className: 'name' });
    const agent = element('span', { className: 'agent' });
    const numbers = element('span', { className: 'facts' });
    const end = element('bdi', { className: 'end' });
    const button = element('button', { type: 'button' }, element('span', { className: 'first' }, sign, name, agent), numbers, end);
    button.addEventListener('click', () => {
      this.#nodes.follow.checked = false;
      this.#choose(id);
      this.#draw();
    });
    const update = (stream) => {
      const { outcome } = stream;
      button.dataset.tone = TONES[outcome];
      button.ariaCurrent = id === this.#chosen ? 'true' : null;
      setText(sign, `${SIGNS[outcome]}${stream.isAlerted ? '!' : ''}`);
      sign.title = outcome;
      sign.setAttribute('aria-label', outcome + (stream.isAlerted ? ', alert' : ''));
      sign.setAttribute('role', 'img');
      setText(name, readable(stream.name));
      setText(agent, readable(stream.agent_type ?? ''));
      setText(numbers, facts(stream, this.model.now()).join(' · '));
      setText(end, readable(stream.message ?? (stream.text.slice(-END_OF_TEXT).trim().replace(/\s+/g, ' ') || outcome)));
    };
    return { node: element('li', {}, button), update };
  }
}

function factRow(name) {
  const value = element('dd');
  const node = element('div', {}, element('dt', { text: name }), value);
  return { node, update: ([text, isBad]) => {
    setText(value, text);
    node.dataset.tone = isBad ? 'bad' : '';
  } };
}

function modelRow(_, { model, provider }) {
  const cells = Array.from({ length: 6 }, () => element('td', { className: 'number' }));
  const head = element('th', { scope: 'row' }, element('bdi', { text: readable(model || UNKNOWN), title: readable(model) }), element('span', { className: 'agent', text: readable(provider ?? '') }));
  const update = ({ totals }) => {
    const running = Math.max(totals.started - totals.completed - totals.failed, 0);
    const cost = totals.cost_usd === 0 && totals.unpriced > 0 ? UNKNOWN : money(totals.cost_usd);
    [running, totals.completed, totals.failed, totals.input_tokens, totals.output_tokens].forEach((number, index) => setText(cells[index], count(number)));
    setText(cells[5], cost);
  };
  return { node: element('tr', {}, head, ...cells), update };
}
