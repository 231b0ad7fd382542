//! Every rule once, and the fixtures of both kinds.

use super::*;
use crate::agui::{
    AgUiEventBuilder as Make,
    tests::{event, lines_of},
};

/// Runs events through a fresh checker; returns the place of the first refusal, counted from 1.
fn first_refusal(events: &[AgUiEvent]) -> Option<(usize, OrderError)> {
    let mut order = ThreadOrder::default();
    events.iter().enumerate().find_map(|(at, event)| {
        let before = order.clone();
        let refusal = order.check(event).err()?;
        assert_eq!(order, before, "a refusal changes nothing");
        Some((at + 1, refusal))
    })
}

/// Checks that the last of some JSON events after RUN_STARTED is refused by a rule, with a text.
fn check_last_refused(events: &[&str], rule: u8, text: &str) {
    let mut all = vec![Make::run_started("t", "r1", None)];
    all.extend(events.iter().map(|json| event(json)));
    let (at, refusal) = first_refusal(&all).expect("one event is refused");
    assert_eq!(at, all.len(), "{refusal}");
    assert_eq!(refusal.rule(), rule, "{refusal}");
    assert_eq!(refusal.to_string(), text);
}

#[test]
fn sequences_without_chunks_are_judged_as_the_official_client_does() {
    let mut n_refused = 0;
    for line in lines_of("invalid-sequences.jsonl") {
        let events: Vec<_> = line
            .events
            .iter()
            .map(|json| event(json.as_str()))
            .collect();
        if events
            .iter()
            .any(|event| event.event_type().as_str().ends_with("_CHUNK"))
        {
            continue;
        }
        let (at, refusal) = first_refusal(&events).expect(&line.name);
        assert_eq!(at, line.rejected_at, "{}: {refusal}", line.name);
        n_refused += 1;
    }
    assert!(n_refused > 0);
}

#[test]
fn a_thread_begins_with_a_run() {
    let refused = first_refusal(&[event(r#"{"type":"CUSTOM","name":"heartbeat","value":1}"#)]);
    let (_, refusal) = refused.unwrap();
    assert_eq!(refusal.rule(), 1);
    assert_eq!(
        refusal.to_string(),
        "rule 1: CUSTOM cannot be first on a thread, which begins with RUN_STARTED or RUN_ERROR"
    );
}

#[test]
fn runs_follow_one_another() {
    check_last_refused(
        &[r#"{"type":"RUN_STARTED","threadId":"t","runId":"r2"}"#],
        2,
        "rule 2: run `r2` cannot start while run `r1` is active; end that one first, or use another thread",
    );
    check_last_refused(
        &[
            r#"{"type":"RUN_FINISHED","threadId":"t","runId":"r1"}"#,
            r#"{"type":"STATE_SNAPSHOT","snapshot":1}"#,
        ],
        3,
        "rule 3: STATE_SNAPSHOT cannot follow RUN_FINISHED, only RUN_STARTED or RUN_ERROR can",
    );
    check_last_refused(
        &[
            r#"{"type":"RUN_ERROR","message":"m"}"#,
            r#"{"type":"RUN_ERROR","message":"m"}"#,
        ],
        3,
        "rule 3: RUN_ERROR cannot follow RUN_ERROR, only RUN_STARTED can",
    );
}

#[test]
fn a_new_run_begins_with_nothing_open_and_nobody_owning() {
    let events = [
        Make::run_started("t", "r1", None),
        event(r#"{"type":"TEXT_MESSAGE_START","messageId":"m","subagentRunId":"s1"}"#),
        event(r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s1","name":"n"}"#),
        Make::run_error("m", None),
        Make::run_started("t", "r2", None),
        event(r#"{"type":"TEXT_MESSAGE_START","messageId":"m","subagentRunId":"s2"}"#),
        event(r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s1","name":"n"}"#),
    ];
    assert_eq!(first_refusal(&events), None);
}

#[test]
fn messages_and_calls_are_used_only_while_open() {
    check_last_refused(
        &[r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#],
        4,
        "rule 4: TEXT_MESSAGE_END needs text message `m` to be open, and it is not",
    );
    check_last_refused(
        &[
            r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}"#,
            r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}"#,
        ],
        5,
        "rule 5: tool call `c` is open already",
    );
    check_last_refused(
        &[
            r#"{"type":"REASONING_START","messageId":"r"}"#,
            r#"{"type":"REASONING_MESSAGE_START","messageId":"r","role":"reasoning"}"#,
            r#"{"type":"REASONING_MESSAGE_END","messageId":"r"}"#,
            r#"{"type":"REASONING_MESSAGE_CONTENT","messageId":"r","delta":"x"}"#,
        ],
        7,
        "rule 7: REASONING_MESSAGE_CONTENT needs reasoning message `r` to be open, and it is not",
    );
}

#[test]
fn steps_belong_to_their_owner() {
    check_last_refused(
        &[
            r#"{"type":"STEP_STARTED","stepName":"a","subagentRunId":"s"}"#,
            r#"{"type":"STEP_STARTED","stepName":"a"}"#,
            r#"{"type":"STEP_STARTED","stepName":"a","subagentRunId":"s"}"#,
        ],
        6,
        "rule 6: step `a` of subagent `s` is active already",
    );
    check_last_refused(
        &[
            r#"{"type":"STEP_STARTED","stepName":"a","subagentRunId":"s"}"#,
            r#"{"type":"STEP_FINISHED","stepName":"a"}"#,
        ],
        6,
        "rule 6: step `a` of the parent agent is not active",
    );
}

#[test]
fn subagents_live_once_and_after_their_parents() {
    const STARTED: &str = r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n"}"#;
    check_last_refused(
        &[STARTED, STARTED],
        8,
        "rule 8: subagent `s` is active already",
    );
    check_last_refused(
        &[
            STARTED,
            r#"{"type":"SUBAGENT_FINISHED","subagentRunId":"s"}"#,
            STARTED,
        ],
        8,
        "rule 8: subagent `s` has ended in this run, and its id cannot be used again",
    );
    check_last_refused(
        &[
            r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n","parentSubagentRunId":"s"}"#,
        ],
        8,
        "rule 8: subagent `s` cannot start before its parent `s`",
    );
    check_last_refused(
        &[r#"{"type":"SUBAGENT_FINISHED","subagentRunId":"s"}"#],
        8,
        "rule 8: SUBAGENT_FINISHED needs subagent `s` to be active, and it is not",
    );
}

#[test]
fn a_run_finishes_only_with_everything_closed() {
    check_last_refused(
        &[
            r#"{"type":"STEP_STARTED","stepName":"a"}"#,
            r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}"#,
            r#"{"type":"RUN_FINISHED","threadId":"t","runId":"r1"}"#,
        ],
        9,
        "rule 9: RUN_FINISHED needs everything closed; still open: tool call `c`, step `a`",
    );
}

#[test]
fn owners_are_known_from_every_source() {
    const OF_S1: &str = r#"{"type":"MESSAGES_SNAPSHOT","messages":[{"id":"m","role":"assistant","subagentRunId":"s1","toolCalls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}]}"#;
    check_last_refused(
        &[
            OF_S1,
            r#"{"type":"TEXT_MESSAGE_START","messageId":"m","subagentRunId":"s2"}"#,
        ],
        10,
        "rule 10: TEXT_MESSAGE_START of subagent `s2` continues `m`, which belongs to subagent `s1`",
    );
    check_last_refused(
        &[
            OF_S1,
            r#"{"type":"REASONING_ENCRYPTED_VALUE","subtype":"tool-call","entityId":"c","encryptedValue":"x","subagentRunId":"s2"}"#,
        ],
        10,
        "rule 10: REASONING_ENCRYPTED_VALUE of subagent `s2` continues `c`, which belongs to subagent `s1`",
    );
    check_last_refused(
        &[
            r#"{"type":"TOOL_CALL_RESULT","messageId":"m","toolCallId":"c","content":"x"}"#,
            r#"{"type":"TOOL_CALL_START","toolCallId":"c2","toolCallName":"f","parentMessageId":"m","subagentRunId":"s"}"#,
        ],
        10,
        "rule 10: tool call `c2` of subagent `s` is made by message `m`, which belongs to the parent agent",
    );
    check_last_refused(
        &[
            OF_S1,
            r#"{"type":"TEXT_MESSAGE_START","messageId":"p"}"#,
            r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","parentMessageId":"p"}"#,
        ],
        10,
        "rule 10: tool call `c` of subagent `s1` is made by message `p`, which belongs to the parent agent",
    );
    check_last_refused(
        &[
            r#"{"type":"ACTIVITY_SNAPSHOT","messageId":"a","activityType":"P","content":{},"subagentRunId":"s1"}"#,
            r#"{"type":"ACTIVITY_SNAPSHOT","messageId":"a","activityType":"P","content":{},"replace":false}"#,
            r#"{"type":"ACTIVITY_DELTA","messageId":"a","activityType":"P","patch":[],"subagentRunId":"s2"}"#,
        ],
        10,
        "rule 10: ACTIVITY_DELTA of subagent `s2` continues `a`, which belongs to subagent `s1`",
    );
}

#[test]
fn an_input_s_messages_have_owners_and_the_first_of_an_id_counts() {
    let json = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r","input":{"threadId":"t","runId":"r","messages":[{"id":"m","role":"reasoning","content":"x","subagentRunId":"s1"},{"id":"m","role":"reasoning","content":"x"}]}}"#;
    let mut order = ThreadOrder::default();
    order.check(&event(json)).unwrap();
    let tagged = |tag| {
        event(&format!(
            r#"{{"type":"REASONING_START","messageId":"m","subagentRunId":"{tag}"}}"#
        ))
    };
    assert_eq!(order.check(&tagged("s2")).unwrap_err().rule(), 10);
    order.check(&tagged("s1")).unwrap();
}

#[test]
fn a_call_without_a_tag_belongs_to_its_message_s_owner() {
    check_last_refused(
        &[
            r#"{"type":"TEXT_MESSAGE_START","messageId":"m","subagentRunId":"s1"}"#,
            r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","parentMessageId":"m"}"#,
            r#"{"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"","subagentRunId":"s1"}"#,
            r#"{"type":"TOOL_CALL_END","toolCallId":"c","subagentRunId":"s2"}"#,
        ],
        10,
        "rule 10: TOOL_CALL_END of subagent `s2` continues `c`, which belongs to subagent `s1`",
    );
}

#[test]
fn chunks_have_to_be_expanded_first() {
    check_last_refused(
        &[r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m"}"#],
        12,
        "rule 12: TEXT_MESSAGE_CHUNK has to be expanded before its order is checked",
    );
}

#[test]
fn a_run_holds_no_more_ids_than_its_limit_and_the_next_run_begins_anew() {
    let mut order = ThreadOrder::with_max_ids(4);
    order.check(&Make::run_started("t", "r", None)).unwrap();
    for id in ["a", "b"] {
        // One id while open, one to remember the owner.
        order
            .check(&Make::text_message_start(id, crate::MessageRole::User))
            .unwrap();
    }
    let full = OrderError::TooManyIds { limit: 4 };
    assert_eq!(order.check(&Make::step_started("s")), Err(full.clone()));
    assert_eq!(
        order.check(&Make::tool_call_result("d", "c", "x")),
        Err(full.clone())
    );
    assert_eq!(
        (full.rule(), full.to_string().as_str()),
        (0, "the run uses more than 4 ids")
    );
    let restated = r#"{"type":"MESSAGES_SNAPSHOT","messages":[{"id":"a","role":"user","content":"x"},{"id":"b","role":"user","content":"x"}]}"#;
    order.check(&event(restated)).unwrap();
    order.check(&Make::text_message_end("a")).unwrap();
    order.check(&Make::step_started("s")).unwrap();
    order.check(&Make::run_error("m", None)).unwrap();
    order.check(&Make::run_started("t", "r2", None)).unwrap();
    order.check(&Make::step_started("s")).unwrap();
}

#[test]
fn what_closes_a_run_closes_the_last_opened_first() {
    let mut order = ThreadOrder::default();
    assert!(order.closing_events(None).is_empty());
    for json in [
        r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#,
        r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n"}"#,
        r#"{"type":"STEP_STARTED","stepName":"a","subagentRunId":"s"}"#,
        r#"{"type":"REASONING_START","messageId":"r"}"#,
        r#"{"type":"REASONING_MESSAGE_START","messageId":"r","role":"reasoning"}"#,
        r#"{"type":"TEXT_MESSAGE_START","messageId":"m","subagentRunId":"s"}"#,
        r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","parentMessageId":"m"}"#,
    ] {
        order.check(&event(json)).unwrap();
    }
    assert!(order.has_open_items());
    let closing = order.closing_events(Some(7));
    let types: Vec<_> = closing
        .iter()
        .map(|event| event.event_type().as_str())
        .collect();
    assert_eq!(
        types,
        [
            "TOOL_CALL_END",
            "TEXT_MESSAGE_END",
            "REASONING_MESSAGE_END",
            "REASONING_END",
            "STEP_FINISHED",
            "SUBAGENT_ERROR",
        ]
    );
    for event in &closing {
        assert_eq!(event.timestamp(), Some(7));
        order.check(event).unwrap();
    }
    order.check(&Make::run_finished("t", "r", None)).unwrap();
    assert!(order.is_finished() && !order.is_run_active() && !order.is_failed());
    assert_eq!(order.run_id(), None);
}
