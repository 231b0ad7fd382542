// The page: who is asked for, which view is shown, and how the hub is.

import { AgentsView } from './console-agents.js';
import { HubView, HubWatch, showHubState } from './console-hub.js';
import { LlmView } from './console-llm.js';
import { beginPublishing } from './console-publish.js';
import { readable, setText } from './console-rows.js';
import { Session } from './console-session.js';
import { UsersView } from './console-users.js';
import { beginWatch, pauseWatch, resumeWatch, showThread } from './console-watch.js';

const byId = (id) => document.getElementById(id);
const within = (id, names) => Object.fromEntries(Object.entries(names).map(([key, name]) => [key, byId(`${id}-${name}`)]));

const session = new Session();
const hub = new HubWatch(session);
/** What the user is called whose events are watched: with a token, its own. */
const user = () => session.claims?.user ?? (new URLSearchParams(location.search).get('user') || 'demo');
let watched = undefined;

// === Views ===

const hubView = new HubView(hub, within('hub', { title: 'title', plots: 'plots', tallies: 'tallies', verdict: 'verdict', reason: 'reason' }));
const usersView = new UsersView(session, hub, within('users', {
  filter: 'filter', order: 'order', count: 'count', list: 'list', empty: 'empty', more: 'more', announcement: 'announcement',
  dialog: 'dialog', dialogTitle: 'dialog-title', whole: 'revoke',
}));
const llmView = new LlmView(session, within('llm', {
  contact: 'contact', totals: 'totals', alerts: 'alerts', moreAlerts: 'more-alerts', list: 'list', empty: 'empty', more: 'more', follow: 'follow',
  title: 'title', badge: 'badge', facts: 'facts', text: 'text', models: 'models', noModels: 'no-models', moreModels: 'more-models',
}));
const agentsView = new AgentsView(session, user, within('agents', {
  form: 'form', agent: 'agent', thread: 'thread', message: 'message', list: 'list', none: 'none',
}), (thread) => {
  location.hash = '#/';
  showThread(thread);
});

/** By its address: the element, its title, whether only operators see it, and what is told when it comes and goes. */
const VIEWS = {
  '#/': { id: 'watch', title: '' },
  '#/users': { id: 'users', title: 'Users', isForOperators: true, view: usersView },
  '#/llm': { id: 'llm', title: 'LLM', isForOperators: true, view: llmView },
  '#/agents': { id: 'agents', title: 'Agents', view: agentsView },
  '#/hub': { id: 'hub', title: 'Hub', isForOperators: true, view: { show: () => hubView.draw(), hide() {} } },
};
let wanted = VIEWS['#/'];
let shown = undefined;

function route() {
  // Other hashes are places within a view.
  wanted = VIEWS[location.hash || '#/'] ?? wanted;
  const isAllowed = session.state === 'open' && (session.isOperator || !wanted.isForOperators);
  const id = { unknown: 'asking', asked: 'sign', open: isAllowed ? wanted.id : 'forbidden' }[session.state];
  for (const view of document.querySelectorAll('main > .view')) view.hidden = view.id !== id;
  byId('watch-skips').hidden = id !== 'watch';
  for (const link of document.querySelectorAll('.views a')) link.ariaCurrent = VIEWS[link.hash] === wanted ? 'page' : null;
  if (session.state === 'open') document.title = `${wanted.title || user()} · events console`;
  const next = isAllowed ? wanted : undefined;
  if (next === shown) return;
  shown?.view?.hide();
  shown = next;
  shown?.view?.show();
  if (shown?.id === 'watch') watch();
}

/** The connection stays when other views are looked at. */
function watch() {
  if (watched !== undefined) return watched === user() ? resumeWatch() : location.reload();
  watched = user();
  byId('user').value = watched;
  byId('user-form').hidden = session.hasToken;
  const search = session.hasToken ? '/' : `/?${new URLSearchParams({ user: watched })}`;
  history.replaceState(null, '', `${search}${location.hash}`);
  beginPublishing(session, watched);
  beginWatch(session, watched);
}

// === Who is asked ===

function showSession() {
  const { claims } = session;
  const until = claims?.expiresMs ? `, until ${new Date(claims.expiresMs).toLocaleTimeString()}` : '';
  setText(byId('who'), claims ? readable(`${claims.user} (${claims.role})`) : '');
  byId('who').title = claims ? readable(`${claims.user}, ${claims.role}${until}`) : '';
  byId('forget').hidden = !session.hasToken;
  setText(byId('sign-reason'), session.reason);
  setText(byId('forbidden-role'), claims ? readable(`The token of ${claims.user} has the role ${claims.role}.`) : 'You have not said that you are an operator.');
  if (session.state === 'open') hub.begin();
  else pauseWatch();
  route();
  if (session.state === 'asked') byId('sign-token').focus();
}

async function sign() {
  const field = byId('sign-token');
  const text = field.value;
  field.value = '';
  byId('sign-send').disabled = true;
  session.reason = '';
  const wrong = await session.sign(text);
  byId('sign-send').disabled = false;
  if (wrong) setText(byId('sign-reason'), wrong);
}

// === The page ===

function onSubmit(id, act) {
  byId(id).addEventListener('submit', (event) => {
    event.preventDefault();
    act();
  });
}

onSubmit('sign-form', sign);
onSubmit('user-form', () => location.assign(`/?${new URLSearchParams({ user: byId('user').value })}`));
byId('forget').addEventListener('click', () => session.forget('The token is forgotten.'));
byId('forbidden-sign').addEventListener('click', () => session.forget('Use the token of an operator.'));
addEventListener('hashchange', route);
hub.onChange(() => {
  showHubState(byId('hub-state'), hub);
  if (shown?.id === 'hub') hubView.draw();
});
session.onChange(showSession);
session.begin();
