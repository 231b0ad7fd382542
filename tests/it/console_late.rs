//! The console in tabs that open late, or have missed events: they come to show what the others show.

use std::io;

use events_tests::{devtools::DrivenPage, sample, server_process::ServerProcess};
use serde_json::{Value, json};

/// All that is shown of the chosen conversation.
const SHOWN: &str = "['#title', '#badge', '#facts', '#item-list', '#state-text', '#state-note', '#dropped'].map((name) \
                     => { const node = document.querySelector(name); return node.hidden ? '' : node.innerText; })";

fn lines(events: &[Value]) -> Vec<String> {
    events.iter().map(ToString::to_string).collect()
}

/// The first half of a run: where it ends, a message, a call, a reasoning, a step and a subagent are open.
fn first_half() -> Vec<String> {
    lines(&[
        json!({ "type": "RUN_STARTED", "threadId": "t", "runId": "r", "input": {
            "threadId": "t", "runId": "r", "state": { "z": 0, "a": [] }, "tools": [], "context": [],
            "forwardedProps": {}, "messages": [{ "id": "q", "role": "user", "content": "What is it?" }],
        } }),
        json!({ "type": "STEP_STARTED", "stepName": "look" }),
        json!({ "type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant", "name": "scout" }),
        json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "Let me " }),
        json!({ "type": "TOOL_CALL_START", "toolCallId": "c0", "toolCallName": "search", "parentMessageId": "m" }),
        json!({ "type": "TOOL_CALL_END", "toolCallId": "c0" }),
        json!({ "type": "CUSTOM", "name": "passing", "value": 1 }),
        json!({ "type": "ACTIVITY_SNAPSHOT", "messageId": "v", "activityType": "PLAN", "content": { "y": 1, "b": 2 } }),
        json!({ "type": "TOOL_CALL_START", "toolCallId": "c1", "toolCallName": "read", "parentMessageId": "m" }),
        json!({ "type": "TOOL_CALL_ARGS", "toolCallId": "c1", "delta": "{\"for\":" }),
        json!({ "type": "TOOL_CALL_RESULT", "messageId": "a0", "toolCallId": "c0", "content": "{\"n\":1}" }),
        json!({ "type": "STATE_DELTA", "delta": [{ "op": "add", "path": "/m", "value": { "k": 1, "c": 2 } }] }),
        json!({ "type": "SUBAGENT_STARTED", "subagentRunId": "s", "name": "reader" }),
        json!({ "type": "REASONING_START", "messageId": "th", "subagentRunId": "s" }),
        json!({ "type": "REASONING_MESSAGE_START", "messageId": "th", "role": "reasoning", "subagentRunId": "s" }),
        json!({ "type": "REASONING_MESSAGE_CONTENT", "messageId": "th", "delta": "hard ", "subagentRunId": "s" }),
    ])
}

fn second_half() -> Vec<String> {
    lines(&[
        json!({ "type": "REASONING_MESSAGE_CONTENT", "messageId": "th", "delta": "thought", "subagentRunId": "s" }),
        json!({ "type": "REASONING_MESSAGE_END", "messageId": "th" }),
        json!({ "type": "REASONING_END", "messageId": "th" }),
        json!({ "type": "SUBAGENT_FINISHED", "subagentRunId": "s" }),
        json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "see." }),
        json!({ "type": "TEXT_MESSAGE_END", "messageId": "m" }),
        json!({ "type": "TOOL_CALL_ARGS", "toolCallId": "c1", "delta": "\"it\"}" }),
        json!({ "type": "TOOL_CALL_END", "toolCallId": "c1" }),
        json!({ "type": "TOOL_CALL_RESULT", "messageId": "a1", "toolCallId": "c1", "content": "a bird" }),
        json!({ "type": "ACTIVITY_DELTA", "messageId": "v", "activityType": "PLAN", "patch": [{ "op": "remove", "path": "/y" }] }),
        json!({ "type": "STATE_DELTA", "delta": [{ "op": "replace", "path": "/z", "value": 9 }] }),
        json!({ "type": "STEP_FINISHED", "stepName": "look" }),
        json!({ "type": "RUN_FINISHED", "threadId": "t", "runId": "r", "outcome": { "type": "interrupt", "interrupts": [
            { "id": "i", "reason": "approval", "message": "Shall I go on?" },
        ] } }),
    ])
}

/// Opens so many tabs, and waits until each follows.
async fn open(name: &str, server: &ServerProcess, n_tabs: usize) -> io::Result<Option<DrivenPage>> {
    let url = server.url("/?user=ada");
    let Some(mut tabs) = DrivenPage::open(name, &url).await? else {
        return Ok(None);
    };
    wait_until_live(&mut tabs).await?;
    for _ in 1..n_tabs {
        tabs.open_tab(&url).await?;
        wait_until_live(&mut tabs).await?;
    }
    Ok(Some(tabs))
}

async fn wait_until_live(tabs: &mut DrivenPage) -> io::Result<()> {
    tabs.wait_until("document.querySelector('#connection').dataset.state === 'live' && document.querySelectorAll('#frame-list li').length >= 2")
        .await
}

/// Waits until each tab shows a text in its conversation, and returns what all of them show.
async fn shown_in_all(tabs: &mut DrivenPage, n_tabs: usize, text: &str) -> io::Result<Value> {
    let mut first = None;
    for tab in 0..n_tabs {
        tabs.turn_to(tab);
        tabs.wait_until(&format!("{SHOWN}.join().includes({})", json!(text)))
            .await?;
        let shown = tabs.evaluate(SHOWN).await?;
        assert_eq!(
            *first.get_or_insert_with(|| shown.clone()),
            shown,
            "tab {tab}"
        );
    }
    Ok(first.unwrap_or_default())
}

#[tokio::test]
async fn three_tabs_show_the_same_one_of_which_has_opened_in_mid_run() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let name = "three_tabs_show_the_same_one_of_which_has_opened_in_mid_run";
    let Some(mut tabs) = open(name, &server, 2).await? else {
        return Ok(());
    };
    server.publish("agui", "ada", &first_half()).await?;
    shown_in_all(&mut tabs, 2, "hard").await?;
    tabs.open_tab(&server.url("/?user=ada")).await?;
    let middle = shown_in_all(&mut tabs, 3, "hard").await?.to_string();
    for text in [
        "AG-UI thread · step look · reader (s): running · run r",
        "What is it?",
        "Let me",
        "PLAN",
    ] {
        assert!(middle.contains(text), "{text}: {middle}");
    }
    server.publish("agui", "ada", &second_half()).await?;
    let end = shown_in_all(&mut tabs, 3, "Shall I go on?")
        .await?
        .to_string();
    for text in [
        "waits for a person",
        "Let me see.",
        "hard thought",
        "a bird",
        "interrupt: approval",
    ] {
        assert!(end.contains(text), "{text}: {end}");
    }
    assert!(!end.contains("starts in the middle"), "{end}");
    // A tab that opens when all is over.
    tabs.open_tab(&server.url("/?user=ada")).await?;
    shown_in_all(&mut tabs, 4, "Shall I go on?").await?;
    tabs.wait_until("document.querySelector('#verdict').innerText === 'Nothing new yet.'")
        .await
}

#[tokio::test]
async fn a_tab_that_has_missed_events_is_told_the_threads_again() -> io::Result<()> {
    let server = ServerProcess::dev(&["--history.events", "32"]).await?;
    let name = "a_tab_that_has_missed_events_is_told_the_threads_again";
    let Some(mut tabs) = open(name, &server, 2).await? else {
        return Ok(());
    };
    server.publish("agui", "ada", &first_half()).await?;
    shown_in_all(&mut tabs, 2, "hard").await?;
    tabs.evaluate("document.querySelector('#cut').click()")
        .await?;
    let deltas: Vec<_> = (0..60)
        .map(|n| json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": format!("{n} ") }))
        .collect();
    server.publish("agui", "ada", &lines(&deltas)).await?;
    server
        .publish("agui", "ada", &sample::run("other", "meanwhile", 2))
        .await?;
    server
        .publish(
            "agui",
            "ada",
            &lines(&[json!({ "type": "STEP_STARTED", "threadId": "t", "stepName": "again" })]),
        )
        .await?;
    tabs.evaluate("document.querySelector('#cut').click()")
        .await?;
    tabs.wait_until("document.querySelector('#verdict').innerText === 'Caught up: 35 missed (trimmed), and the threads were told again.'")
        .await?;
    for tab in 0..2 {
        tabs.turn_to(tab);
        choose(&mut tabs, "t").await?;
    }
    tabs.open_tab(&server.url("/?user=ada")).await?;
    tabs.wait_until("document.querySelectorAll('#conversations li').length === 2")
        .await?;
    choose(&mut tabs, "t").await?;
    shown_in_all(&mut tabs, 3, "step look, again").await?;
    server
        .publish(
            "agui",
            "ada",
            &lines(&[json!({ "type": "STEP_FINISHED", "stepName": "again" })]),
        )
        .await?;
    server.publish("agui", "ada", &second_half()).await?;
    let end = shown_in_all(&mut tabs, 3, "Shall I go on?")
        .await?
        .to_string();
    assert!(end.contains("58 59 see."), "{end}");
    for tab in 0..3 {
        tabs.turn_to(tab);
        choose(&mut tabs, "other").await?;
    }
    shown_in_all(&mut tabs, 3, "meanwhile 1").await.map(drop)
}

async fn choose(tabs: &mut DrivenPage, thread: &str) -> io::Result<()> {
    let script = format!(
        "[...document.querySelectorAll('#conversations button')].find((button) => \
         button.querySelector('.title').textContent === {}).click()",
        json!(thread)
    );
    tabs.evaluate(&script).await.map(drop)
}

/// A page that notes what it is asked to do, and a hub whose answers are given by hand.
const BY_HAND: &str = r"
globalThis.wait = () => new Promise((done) => setTimeout(done));
globalThis.asked = new Map();
globalThis.fetch = (url, { signal }) => new Promise((answer, fail) => {
  signal.addEventListener('abort', () => fail(signal.reason));
  asked.set(new URL(url, location).pathname.split('/').at(-1), (body) => answer({ ok: body !== null, json: () => body }));
});
globalThis.give = async (name, body) => { asked.get(name)(body); await wait(); await wait(); };
globalThis.notes = [];
const note = (kind) => (...words) => { notes.push([kind, ...words].join(' ')); };
const page = { shown: () => ['old'], expect: note('expect'), retell: note('retell'), miss: (names) => names.length && note('miss')(names),
  take: ({ event }) => note('take')(event), done: note('done') };
globalThis.frame = (thread, event) => ({ protocol: 'agui', thread, event });
globalThis.started = import('/console-rejoin.js').then(({ Rejoin }) => { globalThis.rejoin = new Rejoin('ada', page); rejoin.begin(); return true; });
";

async fn by_hand(name: &str) -> io::Result<Option<(ServerProcess, DrivenPage)>> {
    let server = ServerProcess::dev(&[]).await?;
    let Some(mut page) = DrivenPage::open(name, &server.url("/?user=ada")).await? else {
        return Ok(None);
    };
    wait_until_live(&mut page).await?;
    page.evaluate(BY_HAND).await?;
    assert_eq!(page.evaluate("started").await?, true);
    Ok(Some((server, page)))
}

#[tokio::test]
async fn events_wait_for_their_thread_and_none_is_shown_twice() -> io::Result<()> {
    let Some((_server, mut page)) =
        by_hand("events_wait_for_their_thread_and_none_is_shown_twice").await?
    else {
        return Ok(());
    };
    let script = "(async () => {
        const held = [rejoin.hold(frame('t', 'in it'), 'e.5.x'), rejoin.hold(frame('new', 'n'), 'e.6.x')];
        await give('threads', { threads: [{ threadId: 'old', updatedAtMs: 2 }, { threadId: 't', updatedAtMs: 1 }] });
        held.push(rejoin.hold(frame('t', 'after'), 'e.8.x'), rejoin.hold(frame('t', 'elsewhere'), 'f.1.x'));
        held.push(rejoin.hold(frame('new', 'n'), 'e.9.x'), rejoin.hold({ protocol: 'a2a' }, 'e.9.x'));
        await give('t', { cursor: 'e.7.x', events: 'T' });
        held.push(rejoin.hold(frame('t', 'live'), 'e.10.x'), rejoin.hold(frame('old', 'late'), 'e.11.x'));
        await give('old', { cursor: 'e.10.x', events: 'O' });
        return [held, notes];
    })()";
    let expected = json!([
        [true, true, true, true, false, false, false, true],
        [
            "expect t 1",
            "expect old 2",
            "take n",
            "retell t T",
            "take after",
            "take elsewhere",
            "retell old O",
            "take late",
            "done true"
        ],
    ]);
    assert_eq!(page.evaluate(script).await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_thread_beyond_the_first_ones_is_asked_for_when_it_moves() -> io::Result<()> {
    let Some((_server, mut page)) =
        by_hand("a_thread_beyond_the_first_ones_is_asked_for_when_it_moves").await?
    else {
        return Ok(());
    };
    let script = "(async () => {
        const threads = Array.from({ length: 22 }, (_, n) => ({ threadId: `t${n}`, updatedAtMs: -n }));
        await give('threads', { threads });
        for (let n = 0; n < 20; n += 1) await give(`t${n}`, { cursor: 'e.1.x', events: '' });
        const before = notes.splice(0).at(-1);
        const held = [rejoin.hold(frame('t20', 'one'), 'e.2.x'), rejoin.hold(frame('t20', 'two'), 'e.3.x')];
        await wait();
        await give('t20', { cursor: 'e.2.x', events: 'T' });
        held.push(rejoin.hold(frame('t21', 'gone'), 'e.4.x'));
        await wait();
        await give('t21', null);
        return [before, asked.size, held, notes];
    })()";
    let expected = json!([
        "done true",
        23,
        [true, true, true],
        [
            "retell t20 T",
            "take two",
            "done true",
            "miss t21",
            "take gone",
            "done false"
        ],
    ]);
    assert_eq!(page.evaluate(script).await?, expected);
    Ok(())
}

#[tokio::test]
async fn what_waits_is_bounded_and_let_go_of_when_nothing_comes() -> io::Result<()> {
    let Some((_server, mut page)) =
        by_hand("what_waits_is_bounded_and_let_go_of_when_nothing_comes").await?
    else {
        return Ok(());
    };
    let script = "(async () => {
        const held = [];
        for (let n = 0; n < 5002; n += 1) held.push(rejoin.hold(frame('t', n), `e.${n}.x`));
        const full = [held.indexOf(false), notes.length, notes[0], notes.at(-1)];
        notes.length = 0;
        rejoin.begin();
        rejoin.hold(frame('t', 'a'), 'e.1.x');
        await give('threads', null);
        const refused = notes.splice(0);
        rejoin.begin();
        rejoin.hold(frame('t', 'b'), 'e.2.x');
        rejoin.begin();
        return [full, refused, notes, rejoin.hold(frame('t', 'c'), 'e.3.x')];
    })()";
    let expected = json!([
        [5001, 5003, "miss old", "done false"],
        ["miss old", "take a", "done false"],
        ["take b"],
        true,
    ]);
    assert_eq!(page.evaluate(script).await?, expected);
    Ok(())
}
