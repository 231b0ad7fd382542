// Runs of agents behind the hub: begin one, read what it says, stop it. The run is in the log: it survives this page.

import { Parser } from '/events.js';
import { setText } from './console-rows.js';
import { element } from './console-view.js';

const MAX_RUNS = 10;
const MAX_TEXT = 16_384;

const tag = () => crypto.getRandomValues(new Uint32Array(2)).reduce((text, number) => text + number.toString(36), '');

export class AgentsView {
  #session;
  #user;
  #nodes;
  #open;

  /** `open(thread)` shows a conversation. */
  constructor(session, user, nodes, open) {
    this.#session = session;
    this.#user = user;
    this.#nodes = nodes;
    this.#open = open;
    nodes.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#begin();
    });
  }

  show() {
    if (!this.#nodes.thread.value) this.#nodes.thread.value = `console-${tag()}`;
  }

  /** What runs is read on. */
  hide() {}

  #begin() {
    const { agent, thread, message, list, none } = this.#nodes;
    const run = new Run({ session: this.#session, user: this.#user(), agent: agent.value.trim(), thread: thread.value.trim(), text: message.value, open: this.#open });
    list.prepend(run.node);
    none.hidden = true;
    while (list.childElementCount > MAX_RUNS) list.lastElementChild.remove();
    run.read();
  }
}

class Run {
  #facts;
  #abort = new AbortController();
  #text = '';
  #isOver = false;
  #status = element('span', { className: 'badge', text: 'asking', role: 'status' });
  #body = element('p', { className: 'run-text' });
  #stop = element('button', { type: 'button', text: 'Stop' });

  constructor(facts) {
    const id = `run-${tag()}`;
    this.#facts = { ...facts, id };
    const open = element('button', { type: 'button', text: 'Show conversation' });
    open.addEventListener('click', () => facts.open(facts.thread));
    this.#stop.addEventListener('click', () => this.#end());
    const head = element('header', {}, element('strong', { text: facts.agent }), element('bdi', { className: 'agent', text: facts.thread, title: facts.thread }), this.#status);
    this.node = element('article', { className: 'run' }, head, element('p', { className: 'question', text: facts.text }), this.#body, element('p', { className: 'actions' }, this.#stop, open));
  }

  get #query() {
    return new URLSearchParams({ user: this.#facts.user });
  }

  async read() {
    const { session, agent, thread, text, id } = this.#facts;
    const input = {
      threadId: thread, runId: id, state: {}, tools: [], context: [], forwardedProps: {},
      messages: [{ id: `${id}-question`, role: 'user', content: text }],
    };
    try {
      const response = await session.fetch(`/agui/run/${encodeURIComponent(agent)}?${this.#query}`, {
        method: 'POST', isStream: true, body: JSON.stringify(input), signal: this.#abort.signal,
        headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      });
      const parser = new Parser({ block: (_, data) => data !== undefined && this.#take(JSON.parse(data)) });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        parser.push(value);
      }
      if (!this.#isOver) this.#say('cut off', 'warn', 'The connection has ended; the run goes on in the log.');
    } catch (error) {
      if (this.#isOver) return;
      if (error.status) this.#say('refused', 'bad', error.message);
      else this.#say('cut off', 'warn', 'The hub does not answer any more. If the run began, it is in the log.');
    } finally {
      this.#stop.disabled = true;
    }
  }

  #take(event) {
    if (event.type === 'RUN_STARTED') this.#say('running', 'live');
    else if (event.type === 'TEXT_MESSAGE_CONTENT' || event.type === 'TEXT_MESSAGE_CHUNK') this.#add(event.delta ?? '');
    else if (event.type === 'TOOL_CALL_START') this.#add(`${this.#text && '\n'}[tool ${event.toolCallName}]\n`);
    else if (event.type === 'RUN_FINISHED') this.#say('finished', 'good');
    else if (event.type === 'RUN_ERROR') this.#say(...(event.code === 'cancelled' ? ['stopped', 'warn'] : ['failed', 'bad']), event.message);
    if (event.type === 'RUN_FINISHED' || event.type === 'RUN_ERROR') {
      this.#isOver = true;
      this.#stop.disabled = true;
    }
  }

  #add(more) {
    this.#text = (this.#text + more).slice(-MAX_TEXT);
    setText(this.#body, this.#text);
  }

  #say(status, tone, more) {
    setText(this.#status, status);
    this.#status.dataset.tone = tone;
    if (more) this.#add(`${this.#text && '\n'}${more}`);
  }

  async #end() {
    const { session, id } = this.#facts;
    this.#stop.disabled = true;
    try {
      await session.fetch(`/agui/runs/${encodeURIComponent(id)}/stop?${this.#query}`, { method: 'POST' });
    } catch (error) {
      this.#stop.disabled = this.#isOver;
      this.#add(`${this.#text && '\n'}It was not stopped: ${error.status ? error.message : 'the hub does not answer'}.`);
    }
  }
}
