// Watches one user's events: the connection, what came, and the conversations that it adds up to.

import { Ledger, Story } from './console-model.js';
import { counted } from './console-numbers.js';
import { Rejoin } from './console-rejoin.js';
import { ConversationList, ConversationView, FrameList } from './console-view.js';

const REDRAW_MS = 50;
const AGE_MS = 1000;
const RESTING_MS = 10_000;
const NOT_SHOWN = ['starts in the middle', 'What this thread did before is not shown here.'];

const byId = (id) => document.getElementById(id);

const story = new Story();
const ledger = new Ledger();
let session = undefined;
let user = '';
let threads = undefined;
let source = undefined;
let isOpen = false;
/** It is the token that is missing, and not a person who has cut it. */
let isPaused = false;
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

/** Begins to watch a user. */
export function beginWatch(ownSession, ownUser) {
  [session, user] = [ownSession, ownUser];
  threads = new Rejoin(user, page, (path, options) => session.fetch(path, options));
  byId('follow').addEventListener('change', draw);
  byId('cut').addEventListener('click', () => (source ? cut() : resume()));
  connect();
  setInterval(draw, AGE_MS);
}

/** Lets go of the connection: whose token it had is not here any more. */
export function pauseWatch() {
  isPaused = true;
  if (source !== undefined) cut();
}

/** Goes on after a new token. */
export function resumeWatch() {
  if (source === undefined && isPaused) resume();
}

/** Shows a thread, now or when it is there. */
export function showThread(name) {
  chooseConversation(`agui ${name}`);
}

// === Connection ===

function connect() {
  isPaused = false;
  setConnection('connecting', 'connecting');
  source = session.follow(`/contexts?${new URLSearchParams({ user })}`, {
    ...(ledger.cursor && { lastEventId: ledger.cursor }), onEvent: takeEvent, onGap: takeGap, onClosing: takeClosing, onState: takeState,
  });
  setConnection('connecting', 'connecting');
}

function takeState({ state, cause, error, reason }) {
  if (state === 'open') {
    isOpen = true;
    setConnection('live', 'connected');
    if (isRejoinOwed) rejoin();
  } else if (state === 'waiting') {
    if (isOpen && ledger.cursor) ledger.nResumes += 1;
    isOpen = false;
    setConnection('reconnecting', 'reconnecting');
    byId('connection').title = cause ?? '';
  } else if (state === 'closed' && (error ?? reason)) {
    source = undefined;
    isOpen = false;
    setConnection('refused', 'refused');
    announce(`The hub has ended the connection: ${error?.message ?? reason}.`);
  }
  planDraw();
}

function cut() {
  const before = source;
  source = undefined;
  isOpen = false;
  before.close();
  setConnection('cut', 'cut by you');
  announce(ledger.cursor ? `Cut after ${ledger.cursor}: what happens now comes when you resume.` : '');
}

function resume() {
  if (ledger.cursor) ledger.nResumes += 1;
  announce(ledger.cursor ? `Resuming after ${ledger.cursor}.` : '');
  connect();
  planDraw();
}

function setConnection(state, text) {
  const node = byId('connection');
  node.dataset.state = state;
  node.textContent = text;
  node.title = '';
  byId('cut').textContent = source ? 'Cut connection' : 'Resume';
}

function announce(text) {
  byId('announcement').textContent = text;
}

// === Frames ===

function takeEvent({ data, id }) {
  const lastEventId = id ?? '';
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

function takeGap(gap) {
  const { reason, to, lost: nLost } = gap;
  frames.take({ name: 'gap', id: to ?? '', data: JSON.stringify(gap), isControl: true });
  ledger.takeGap(to ?? '', { reason, nLost });
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

function takeClosing(closing) {
  frames.take({ name: 'closing', id: '', data: JSON.stringify(closing), isControl: true });
  announce(`The server ends this connection: ${closing.reason}.`);
  planDraw();
}

// === Joining late ===

/** What is asked of this page by whoever finds out where the threads stand. */
const page = {
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
};

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
