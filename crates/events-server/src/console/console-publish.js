// Publishes events that a person has typed, and shows the hub's answer.

import { counted } from './console-numbers.js';
import { element } from './console-view.js';

const byId = (id) => document.getElementById(id);

const lines = (...events) => events.map((event) => JSON.stringify(event)).join('\n');
const tag = () => Math.random().toString(36).slice(2, 7);

function run(...events) {
  const [threadId, runId] = [`console-${tag()}`, `run-${tag()}`];
  return lines({ type: 'RUN_STARTED', threadId, runId }, ...events, { type: 'RUN_FINISHED', threadId, runId });
}

const message = (messageId, ...deltas) => [
  { type: 'TEXT_MESSAGE_START', messageId, role: 'assistant' },
  ...deltas.map((delta) => ({ type: 'TEXT_MESSAGE_CONTENT', messageId, delta })),
  { type: 'TEXT_MESSAGE_END', messageId },
];

function task() {
  const [taskId, contextId] = [`task-${tag()}`, `context-${tag()}`];
  const status = (state, text) => ({
    state: `TASK_STATE_${state}`,
    message: text && { messageId: `message-${tag()}`, role: 'ROLE_AGENT', parts: [{ text }] },
  });
  return lines(
    { task: { id: taskId, contextId, status: status('SUBMITTED') } },
    { statusUpdate: { taskId, contextId, status: status('WORKING', 'Reading the report.') } },
    { artifactUpdate: { taskId, contextId, artifact: { artifactId: 'summary', name: 'Summary', parts: [{ text: 'Three findings.' }] } } },
    { statusUpdate: { taskId, contextId, status: status('COMPLETED') } },
  );
}

const SAMPLES = {
  'a message': ['agui', () => run(...message('m1', 'Hello ', 'from the ', 'console.'))],
  'a tool call': ['agui', () => run(
    { type: 'TOOL_CALL_START', toolCallId: 'c1', toolCallName: 'get_weather' },
    { type: 'TOOL_CALL_ARGS', toolCallId: 'c1', delta: '{"city":"Oslo"}' },
    { type: 'TOOL_CALL_END', toolCallId: 'c1' },
    { type: 'TOOL_CALL_RESULT', messageId: 'r1', toolCallId: 'c1', content: '{"celsius":7}' },
    ...message('m1', 'It is 7 degrees in Oslo.'),
  )],
  'state and a patch': ['agui', () => run(
    { type: 'STATE_SNAPSHOT', snapshot: { cart: ['bread'], total: 3 } },
    { type: 'STATE_DELTA', delta: [{ op: 'add', path: '/cart/-', value: 'milk' }, { op: 'replace', path: '/total', value: 5 }] },
  )],
  'an A2A task': ['a2a', task],
  'markup, shown as text': ['agui', () => run(...message('m1', '<img src=x onerror=alert(1)> <script>alert(2)</script>'))],
  'refused: not begun': ['agui', () => run({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'm1', delta: 'too early' })],
};

function pickSample() {
  const [stream, text] = SAMPLES[byId('sample').value];
  byId('stream').value = stream;
  byId('body').value = text();
}

function contentType(text) {
  try {
    JSON.parse(text);
    return 'application/json';
  } catch {
    return 'application/x-ndjson';
  }
}

async function publish(session, user) {
  const text = byId('body').value;
  const thread = byId('thread').value.trim();
  const query = thread ? `?${new URLSearchParams({ thread })}` : '';
  byId('send').disabled = true;
  try {
    const response = await session.fetch(`/publish/${byId('stream').value}/${encodeURIComponent(user)}${query}`, {
      method: 'POST', body: text, headers: { 'content-type': contentType(text) },
    });
    showAnswer(true, accepted(await response.json()));
  } catch (error) {
    showAnswer(false, error.problem ? refused(error.problem) : [['Failed', error.message]]);
  } finally {
    byId('send').disabled = false;
  }
}

const accepted = ({ ids, duplicates, connections }) => [
  ['Published', `${counted(ids.length, 'event')}, ${counted(connections, 'connection')} here, ${counted(duplicates, 'duplicate')}`],
  ['ids', ids.join('\n')],
];

function refused({ status, title, detail, ...places }) {
  const rows = [['Refused', `${status} ${title}`]];
  for (const name of ['line', 'path', 'rule']) if (places[name] !== undefined) rows.push([name, String(places[name])]);
  return [...rows, ['detail', detail]];
}

function showAnswer(isGood, rows) {
  const list = element('dl', {}, ...rows.flatMap(([name, text]) => [element('dt', { text: name }), element('dd', { text })]));
  byId('answer').dataset.tone = isGood ? 'good' : 'bad';
  byId('answer').replaceChildren(list);
  byId('answer').scrollIntoView({ block: 'nearest' });
}

/** Lets a person publish for a user. */
export function beginPublishing(session, user) {
  byId('sample').append(...Object.keys(SAMPLES).map((name) => element('option', { text: name })));
  byId('sample').addEventListener('change', pickSample);
  byId('publish-form').addEventListener('submit', (event) => {
    event.preventDefault();
    publish(session, user);
  });
  pickSample();
}
