// The console: watches one user's events, and publishes some.

import { Ledger, Story } from './console-model.js';
import { Rejoin } from './console-rejoin.js';
import { ConversationList, ConversationView, FrameList, element } from './console-view.js';

const REDRAW_MS = 50;
const AGE_MS = 1000;
const RESTING_MS = 10_000;
const NOT_SHOWN = ['starts in the middle', 'What this thread did before is not shown here.'];

const byId = (id) => document.getElementById(id);
const user = new URLSearchParams(location.search).get('user') || 'demo';

const story = new Story();
const ledger = new Ledger();
let source = undefined;
let hasPrelude = false;
/** The threads could not all be told; that is asked for again with the next connection. */
let isRejoinOwed = false;
let isAsking = true;
/** What the next conversations say that cannot be told. */
let missing = NOT_SHOWN;
let chosenKey = undefined;
let latestKey = undefined;
let isDrawPlanned = false;

const frames = new FrameList(byId('frames'), byId('frame-list'));
const conversations = new ConversationList(byId('conversations'), chooseConversation);
const conversationView = new ConversationView({
  title: byId('title'), badge: byId('badge'), facts: byId('facts'),
  items: byId('items'), list: byId('item-list'), dropped: byId('dropped'),
  statePanel: byId('state-panel'), stateText: byId('state-text'), stateNote: byId('state-note'),
});

// === Connection ===

function connect() {
  const query = new URLSearchParams({ user });
  if (ledger.cursor) query.set('last_event_id', ledger.cursor);
  source = new EventSource(`/contexts?${query}`);
  setConnection('connecting', 'connecting');
  source.onopen = opened;
  source.onerror = lost;
  source.onmessage = takeEvent;
  source.addEventListener('gap', takeGap);
  source.addEventListener('closing', takeClosing);
}

function opened() {
  setConnection('live', 'connected');
  if (isRejoinOwed) rejoin();
}

function cut() {
  source.close();
  source = undefined;
  setConnection('cut', 'cut by you');
  announce(ledger.cursor ? `Cut after ${ledger.cursor}: what happens now comes when you resume.` : '');
}

function resume() {
  if (ledger.cursor) ledger.nResumes += 1;
  announce(ledger.cursor ? `Resuming after ${ledger.cursor}.` : '');
  connect();
  planDraw();
}

function lost() {
  if (source?.readyState === EventSource.CLOSED) {
    source = undefined;
    setConnection('refused', 'refused');
    announce('The server has refused the connection: it may be stopping, or this user may have too many connections.');
  } else if (source) {
    if (byId('connection').dataset.state === 'live' && ledger.cursor) ledger.nResumes += 1;
    setConnection('reconnecting', 'reconnecting');
  }
  planDraw();
}

function setConnection(state, text) {
  const node = byId('connection');
  node.dataset.state = state;
  node.textContent = text;
  byId('cut').textContent = source ? 'Cut connection' : 'Resume';
}

function announce(text) {
  byId('announcement').textContent = text;
}

// === Frames ===

function takeEvent({ data, lastEventId }) {
  let frame;
  try {
    frame = JSON.parse(data);
  } catch {
    frames.take({ name: 'not JSON', id: lastEventId, data, isControl: true });
    return planDraw();
  }
  const { protocol, event } = frame;
  const isPrelude = takePrelude(frame, lastEventId);
  const name = protocol === 'a2a' ? Object.keys(event)[0] : event.type;
  frames.take({ name, id: isPrelude && event.type === 'CONNECTED' ? '' : lastEventId, data, isControl: isPrelude });
  if (!isPrelude) ledger.take(lastEventId);
  if (!threads.hold(frame, lastEventId)) take(frame);
  planDraw();
}

function take(frame) {
  const conversation = story.take(frame);
  if (conversation) latestKey = conversation.key;
}

/** A fresh connection begins with two frames that are about now, and are no events of the log. */
function takePrelude({ protocol, event }, id) {
  if (protocol !== 'system') return false;
  if (event.type === 'CONNECTED') {
    hasPrelude = true;
    return true;
  }
  if (event.type !== 'CONTEXTS_SNAPSHOT' || !hasPrelude) return false;
  hasPrelude = false;
  ledger.begin(id);
  rejoin();
  return true;
}

function takeGap({ data, lastEventId }) {
  frames.take({ name: 'gap', id: lastEventId, data, isControl: true });
  const { reason, lost: nLost } = JSON.parse(data);
  ledger.takeGap(lastEventId, { reason, nLost });
  const text = `${nLost ?? 'An unknown number of'} events are missing here: ${GAP_REASONS[reason] ?? reason}.`;
  missing = ['gap', text];
  story.miss(story.openTasks(), ...missing);
  announce(text);
  rejoin();
  planDraw();
}

const GAP_REASONS = {
  epoch: 'the log has been begun anew',
  trimmed: 'the history no longer holds them',
  expired: 'the history no longer holds them',
  unknown: 'the log does not know the cursor',
  overflow: 'this connection was too slow',
};

function takeClosing({ data, lastEventId }) {
  frames.take({ name: 'closing', id: lastEventId, data, isControl: true });
  announce(`The server ends this connection: ${JSON.parse(data).reason}.`);
  planDraw();
}

// === Joining late ===

const threads = new Rejoin(user, {
  shown: () => story.threads(),
  expect(name, updatedAtMs) {
    latestKey = story.expect(name, updatedAtMs).key;
    planDraw();
  },
  retell(name, events) {
    story.retell(name, events);
    planDraw();
  },
  miss(names) {
    story.miss(names.map((name) => story.thread(name)), ...missing);
    planDraw();
  },
  take,
  done(isWhole) {
    isRejoinOwed = !isWhole;
    isAsking = false;
    if (isWhole && !story.isPartial() && ledger.heal()) announce('The threads were told again: they are whole.');
    planDraw();
  },
});

function rejoin() {
  isRejoinOwed = false;
  threads.begin();
}

// === Drawing ===

function chooseConversation(key) {
  byId('follow').checked = false;
  chosenKey = key;
  draw();
}

/** The conversation to read: the chosen one, or the one that moves, once the one before it has come to rest. */
function conversationToShow() {
  const chosen = story.conversations.get(chosenKey);
  const isResting = !chosen?.isActive || Date.now() - chosen.lastActivity > RESTING_MS;
  if (((byId('follow').checked && isResting) || !chosen) && latestKey !== undefined) chosenKey = latestKey;
  return story.conversations.get(chosenKey);
}

function planDraw() {
  if (isDrawPlanned) return;
  isDrawPlanned = true;
  setTimeout(draw, REDRAW_MS);
}

function draw() {
  isDrawPlanned = false;
  const conversation = conversationToShow();
  conversations.show(story, conversation);
  conversationView.show(conversation, isAsking);
  frames.show();
  drawIntegrity();
}

const counted = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

function drawIntegrity() {
  const { nReceived, nMisplaced, nMissing, nResumes, gaps, isHealed, start, first, last } = ledger;
  const isInOrder = nMisplaced === 0 && nMissing === 0;
  const isWhole = isInOrder && gaps.length === 0;
  const isCaughtUp = isInOrder && !isWhole && isHealed;
  byId('integrity').dataset.tone = isWhole ? (nReceived === 0 ? '' : 'good') : isCaughtUp ? 'warn' : 'bad';
  byId('verdict').textContent = isWhole ? (nReceived === 0 ? 'Nothing new yet.' : 'Nothing lost.')
    : isCaughtUp ? `Caught up: ${gapText(gaps, 'missed')}, and the threads were told again.` : lossText(gaps, nMissing, nMisplaced);
  const facts = [counted(nReceived, 'event')];
  if (first !== undefined) facts.push(`numbers ${first} to ${last}${gaps.length ? ' since the gap' : ''}${nMisplaced === 0 ? ', strictly increasing' : ''}`);
  facts.push(counted(nResumes, 'resume'), counted(gaps.length, 'gap'));
  const beginning = start > 1 ? ` The raw frames start at ${start}.` : '';
  byId('counts').textContent = `${facts.join(' · ')}.${beginning}`;
}

const gapText = (gaps, word) => gaps.map(({ reason, nLost }) => `${nLost ?? 'unknown number'} ${word} (${reason})`).slice(-3).join(', ');

function lossText(gaps, nMissing, nMisplaced) {
  const losses = gaps.length ? [gapText(gaps, 'lost')] : [];
  if (nMissing) losses.push(`${counted(nMissing, 'number')} missing`);
  if (nMisplaced) losses.push(`${nMisplaced} out of order`);
  return `Not whole: ${losses.join(', ')}.`;
}

// === Publishing ===

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

async function publish() {
  const text = byId('body').value;
  const thread = byId('thread').value.trim();
  const query = thread ? `?${new URLSearchParams({ thread })}` : '';
  byId('send').disabled = true;
  try {
    const response = await fetch(`/publish/${byId('stream').value}/${encodeURIComponent(user)}${query}`, {
      method: 'POST', body: text, headers: { 'content-type': contentType(text) },
    });
    const answer = await response.json();
    showAnswer(response.ok, response.ok ? accepted(answer) : refused(answer));
  } catch (error) {
    showAnswer(false, [['Failed', String(error)]]);
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

// === The page ===

function onSubmit(id, act) {
  byId(id).addEventListener('submit', (event) => {
    event.preventDefault();
    act();
  });
}

byId('user').value = user;
byId('sample').append(...Object.keys(SAMPLES).map((name) => element('option', { text: name })));
byId('sample').addEventListener('change', pickSample);
byId('follow').addEventListener('change', draw);
byId('cut').addEventListener('click', () => (source ? cut() : resume()));
onSubmit('user-form', () => location.assign(`/?${new URLSearchParams({ user: byId('user').value })}`));
onSubmit('publish-form', publish);
document.title = `${user} · events console`;
history.replaceState(null, '', `/?${new URLSearchParams({ user })}`);
pickSample();
connect();
setInterval(draw, AGE_MS);
