// Who is connected: every user with their connections, and how to end them.

import { age, bytes, count, counted } from './console-numbers.js';
import { KeyedRows, readable, setText, showMore } from './console-rows.js';
import { element } from './console-view.js';

const REFRESH_MS = 2000;
/** Asking for a list may take this share of the time. */
const COST = 10;
const MAX_USERS = 100;
const MAX_CONNECTIONS = 20;
/** Beyond so many connections only those of one user are asked for. */
const MAX_LISTED = 20_000;

const ORDERS = {
  lag: (one, other) => other.lag - one.lag,
  name: () => 0,
  connections: (one, other) => other.connections.length - one.connections.length,
  since: (one, other) => one.since - other.since,
  flow: (one, other) => (other.flow ?? 0) - (one.flow ?? 0),
};

/** By what a connection goes, in a word; the hub's own words are in docs/metrics.md. */
const TRANSPORTS = { taken_over: 'own socket', http1: 'HTTP/1.1', http2: 'HTTP/2', body: 'HTTP' };

/** How much goes to each connection: two lists are compared, so it is known from the second on. */
export class Flows {
  #at = 0;
  #written = new Map();

  /** Gives each connection the bytes of a second since the list before: `flow`. */
  take(connections, at) {
    const seconds = (at - this.#at) / 1000;
    const written = new Map();
    for (const connection of connections) {
      const before = this.#written.get(connection.connection);
      connection.flow = before === undefined || seconds <= 0 ? undefined : Math.max(connection.written_bytes - before, 0) / seconds;
      if (connection.written_bytes !== undefined) written.set(connection.connection, connection.written_bytes);
    }
    this.#at = at;
    this.#written = written;
  }
}

const flowText = (flow) => (flow === undefined ? '-' : `${bytes(flow)}/s`);

/** Puts connections together by user, those with names that come first, first. */
export function byUser(connections) {
  const users = new Map();
  for (const connection of connections) {
    const user = users.get(connection.user) ?? { name: connection.user, connections: [], lag: 0, flow: undefined, since: Infinity };
    users.set(connection.user, user);
    user.connections.push(connection);
    user.lag = Math.max(user.lag, connection.lag);
    if (connection.flow !== undefined) user.flow = (user.flow ?? 0) + connection.flow;
    user.since = Math.min(user.since, connection.since_ms);
  }
  return [...users.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
}

function streamsOf(connections) {
  const counts = new Map();
  for (const { stream } of connections) counts.set(stream, (counts.get(stream) ?? 0) + 1);
  return [...counts].map(([stream, n]) => (n > 1 ? `${stream} ×${n}` : stream)).join(', ');
}

const tell = (lag) => (lag === 0 ? 'none' : counted(lag, 'event'));

function cell(label, className = '') {
  const value = element('span', { className: 'value' });
  return { value, node: element('span', { className: `cell ${className}` }, element('span', { className: 'cell-label', text: label }), value) };
}

export class UsersView {
  #session;
  #hub;
  #nodes;
  #rows;
  #users = [];
  #problem = 'Asking who is connected.';
  #timer = undefined;
  #asked = 0;
  #ending = undefined;
  #flows = new Flows();

  constructor(session, hub, nodes) {
    this.#session = session;
    this.#hub = hub;
    this.#nodes = nodes;
    this.#rows = new KeyedRows(nodes.list, (name) => this.#row(name));
    nodes.filter.addEventListener('input', () => (this.#isTooMany() ? this.#ask() : this.#draw()));
    nodes.order.addEventListener('change', () => this.#draw());
    nodes.dialog.addEventListener('close', () => this.#answered());
  }

  show() {
    this.#ask();
  }

  hide() {
    clearTimeout(this.#timer);
    this.#asked += 1;
  }

  #isTooMany() {
    return this.#hub.history.samples.at(-1)?.values.connections > MAX_LISTED;
  }

  async #ask() {
    clearTimeout(this.#timer);
    this.#asked += 1;
    const asked = this.#asked;
    const began = performance.now();
    const user = this.#nodes.filter.value.trim();
    const isTooMany = this.#isTooMany();
    try {
      if (isTooMany && user === '') this.#take([], `More than ${count(MAX_LISTED)} connections are too many to list: name a user.`);
      else {
        const query = isTooMany ? `?${new URLSearchParams({ user })}` : '';
        const connections = JSON.parse(await this.#session.get(`/connections${query}`));
        if (asked !== this.#asked) return;
        this.#flows.take(connections, performance.now());
        this.#take(byUser(connections), '');
      }
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#problem = error.status ? `The hub has refused to say who is connected: ${error.message}` : `The hub does not answer.${this.#users.length ? ' What is shown is what it said last.' : ''}`;
    }
    this.#draw();
    const wait = Math.max(REFRESH_MS, (performance.now() - began) * COST);
    this.#timer = setTimeout(() => this.#ask(), wait);
  }

  #take(users, problem) {
    this.#users = users;
    this.#problem = problem;
  }

  #draw() {
    const { filter, order, count: total, empty, more } = this.#nodes;
    const wanted = filter.value.trim().toLowerCase();
    const found = this.#users.filter(({ name }) => name.toLowerCase().includes(wanted)).sort(ORDERS[order.value]);
    this.#rows.show(found.slice(0, MAX_USERS).map((user) => [user.name, user]));
    const nConnections = found.reduce((all, { connections }) => all + connections.length, 0);
    setText(total, `${counted(found.length, 'user')}, ${counted(nConnections, 'connection')}`);
    const isEmpty = found.length === 0 && !this.#problem;
    empty.hidden = !isEmpty && !this.#problem;
    setText(empty, this.#problem || (wanted && isEmpty ? 'Nobody who is connected has such a name.' : 'Nobody is connected.'));
    showMore(more, found.length - MAX_USERS, 'a filter finds them');
  }

  // === Rows ===

  #row(name) {
    const cells = { connections: cell('connections', 'number'), streams: cell('streams'), since: cell('connected', 'number'), flow: cell('sent', 'number'), lag: cell('lag', 'number') };
    const body = element('div', { className: 'connections' });
    const list = element('ul', { className: 'plain' });
    const more = element('p', { className: 'more', hidden: true });
    const end = element('button', { type: 'button', text: 'End connections…' });
    end.setAttribute('aria-label', `End connections of ${readable(name)}`);
    end.addEventListener('click', () => this.#confirm(name));
    const watch = element('a', { className: 'button', text: 'Watch', href: `/?${new URLSearchParams({ user: name })}#/` });
    watch.setAttribute('aria-label', `Watch ${readable(name)}`);
    // With tokens everybody sees their own streams only.
    watch.hidden = this.#session.hasToken;
    body.append(list, more, element('p', { className: 'actions' }, watch, end));
    const summary = element('summary', {}, element('bdi', { className: 'name', text: readable(name), title: readable(name) }), ...Object.values(cells).map(({ node }) => node));
    const details = element('details', {}, summary, body);
    const rows = new KeyedRows(list, connectionRow);
    let shown;
    const draw = () => {
      if (!details.open) return;
      rows.show(shown.connections.slice(0, MAX_CONNECTIONS).map((connection) => [`${connection.stream} ${connection.connection}`, connection]));
      showMore(more, shown.connections.length - MAX_CONNECTIONS);
    };
    details.addEventListener('toggle', draw);
    const update = (user) => {
      shown = user;
      setText(cells.connections.value, count(user.connections.length));
      setText(cells.streams.value, streamsOf(user.connections));
      setText(cells.since.value, age(Date.now() - user.since));
      setText(cells.flow.value, flowText(user.flow));
      setText(cells.lag.value, tell(user.lag));
      cells.lag.node.dataset.tone = user.lag > 100 ? 'bad' : user.lag > 0 ? 'warn' : '';
      draw();
    };
    return { node: element('li', {}, details), update };
  }

  // === Ending ===

  #confirm(name) {
    const { dialog, dialogTitle, whole } = this.#nodes;
    this.#ending = name;
    setText(dialogTitle, `End the connections of ${readable(name)}?`);
    whole.checked = false;
    dialog.querySelector('[value="close"]').checked = true;
    dialog.returnValue = '';
    dialog.showModal();
  }

  async #answered() {
    const { dialog, whole, announcement } = this.#nodes;
    const user = this.#ending;
    this.#ending = undefined;
    if (dialog.returnValue !== 'end' || user === undefined) return;
    const query = new URLSearchParams({ user, ...(!whole.checked && { only: 'close' }) });
    announcement.dataset.tone = '';
    setText(announcement, `Ending the connections of ${readable(user)}.`);
    try {
      const { ended } = JSON.parse(await this.#session.get(`/connections?${query}`, { method: 'DELETE' }));
      const what = whole.checked ? 'revoked: tokens issued up to now are refused' : 'closed: they come back by themselves';
      announcement.dataset.tone = 'good';
      setText(announcement, `${counted(ended, 'connection')} of ${readable(user)} ${what}.`);
    } catch (error) {
      announcement.dataset.tone = 'bad';
      setText(announcement, `The connections of ${readable(user)} were not ended: ${error.status ? error.message : 'the hub does not answer'}.`);
    }
    this.#ask();
  }
}

function connectionRow(_, { stream, thread, connection }) {
  const transport = cell('by');
  const written = cell('sent', 'number');
  const since = cell('since', 'number');
  const lag = cell('lag', 'number');
  const cursor = cell('cursor');
  const id = cell('connection');
  const head = element('span', { className: 'name' }, element('strong', { text: stream }), thread === undefined ? '' : element('bdi', { text: ` ${readable(thread)}`, title: readable(thread) }));
  setText(id.value, connection);
  const update = (info) => {
    setText(since.value, new Date(info.since_ms).toLocaleTimeString());
    setText(transport.value, TRANSPORTS[info.transport] ?? info.transport ?? '-');
    setText(written.value, info.written_bytes === undefined ? '-' : `${bytes(info.written_bytes)}, ${flowText(info.flow)}`);
    setText(lag.value, tell(info.lag));
    setText(cursor.value, info.cursor ?? '-');
  };
  return { node: element('li', {}, head, transport.node, since.node, written.node, lag.node, cursor.node, id.node), update };
}
