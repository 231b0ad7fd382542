use super::*;
use tokio::sync::oneshot;

const STARTED: &str = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#;
const TEXT: &str = r#"{"type":"TEXT_MESSAGE_START","messageId":"m","role":"assistant"}"#;
const FINISHED: &str = r#"{"type":"RUN_FINISHED","threadId":"t","runId":"r"}"#;

fn answer() -> (Answer, oneshot::Receiver<AgUiEvent>) {
    let (start, started) = AgentStart::channel();
    let answer = Answer::new(ThreadId::from("t"), TaskId::from("r"), start, 1_000);
    (answer, started)
}

fn frames(events: &[&str]) -> String {
    let frame = |event: &&str| format!("data: {event}\n\n");
    events.iter().map(frame).collect()
}

/// Reads a whole answer in one piece.
fn read(events: &[&str]) -> Said {
    let (mut answer, _started) = answer();
    answer.read(frames(events).as_bytes())
}

fn types(said: &Said) -> Vec<&'static str> {
    let kind = |event: &AgUiEvent| event.event_type().as_str();
    said.events.iter().map(kind).collect()
}

#[test]
fn the_agent_s_beginning_goes_to_the_caller_and_the_rest_into_the_log() {
    let (mut answer, mut started) = answer();
    let begins = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r","timestamp":7}"#;
    let said = answer.read(frames(&[begins, TEXT]).as_bytes());
    assert_eq!(types(&said), ["TEXT_MESSAGE_START"]);
    assert_eq!((said.numbers, said.end), (vec![2], None));
    assert_eq!(started.try_recv().unwrap().timestamp(), Some(7));
    let said = answer.read(frames(&[FINISHED, TEXT]).as_bytes());
    assert_eq!(said.end, Some(RunEnd::Finished));
    assert_eq!(said.dropped, [Dropped::AfterEnd]);
}

#[test]
fn an_answer_that_is_cut_anywhere_says_the_same() {
    let text = frames(&[STARTED, TEXT, FINISHED]).replace('\n', "\r\n");
    for at in 0..text.len() {
        let (mut answer, _started) = answer();
        let (one, other) = text.as_bytes().split_at(at);
        let (one, other) = (answer.read(one), answer.read(other));
        let both = [types(&one), types(&other)].concat();
        assert_eq!(both, ["TEXT_MESSAGE_START", "RUN_FINISHED"], "{at}");
    }
}

#[test]
fn names_that_the_agent_was_not_asked_for_become_those_that_it_was() {
    let (mut answer, mut started) = answer();
    let events = [STARTED, FINISHED].map(|event| event.replace("\"r\"", "\"other\""));
    let said = answer.read(frames(&[&events[0], &events[1]]).as_bytes());
    assert_eq!(said.events[0].run_id(), Some("r"));
    assert_eq!(started.try_recv().unwrap().run_id(), Some("r"));
}

#[test]
fn what_is_not_ag_ui_ends_the_run_and_says_which_event_it_is() {
    for (bad, says) in [
        ("[DONE]", "event 2"),
        ("{", "event 2"),
        (r#"{"type":"TEXT_MESSAGE_START"}"#, "messageId"),
        (
            r#"{"type":"CUSTOM","name":"a","value":1,"timestamp":"now"}"#,
            "timestamp",
        ),
    ] {
        let said = read(&[STARTED, bad, TEXT]);
        let Some(RunEnd::Invalid(why)) = said.end else {
            panic!("{bad}: {said:?}");
        };
        assert!(why.contains(says) && why.contains("event 2"), "{why}");
        assert!(said.events.is_empty());
    }
    let said = read(&[TEXT]);
    assert!(matches!(said.end, Some(RunEnd::Invalid(why)) if why.contains("rule 1")));
    let large = format!(
        r#"{{"type":"CUSTOM","name":"a","value":"{}"}}"#,
        "x".repeat(3_000)
    );
    let said = read(&[STARTED, &large]);
    assert!(matches!(said.end, Some(RunEnd::Invalid(why)) if why.contains("1000 bytes")));
}

#[test]
fn what_the_official_client_forgives_is_forgiven() {
    let call =
        r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"n","parentMessageId":null}"#;
    let said = read(&[STARTED, call, r#"{"type":"THINKING_START"}"#, TEXT]);
    assert_eq!(types(&said), ["TOOL_CALL_START", "TEXT_MESSAGE_START"]);
    assert_eq!(said.numbers, [2, 4]);
    assert_eq!((said.end, said.dropped), (None, vec![Dropped::UnknownType]));
}

#[test]
fn an_answer_that_ends_before_its_run_is_unfinished() {
    let (mut answer, _started) = answer();
    answer.read(frames(&[STARTED]).as_bytes());
    assert_eq!(answer.finish().end, Some(RunEnd::Unfinished));
    // The last event may lack its blank line.
    let (mut answer, _started) = self::answer();
    answer.read(format!("{}data: {FINISHED}", frames(&[STARTED])).as_bytes());
    assert_eq!(answer.finish().end, Some(RunEnd::Finished));
}
