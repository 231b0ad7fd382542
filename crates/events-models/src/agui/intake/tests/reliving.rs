//! What is put out leads another intake to the same.

use proptest::prelude::*;

use super::{FINISHED, STARTED, arbitrary::any_event};
use crate::agui::{
    AgUiEvent,
    intake::ThreadIntake,
    order::{OrderError, ThreadOrder},
    tests::event,
};

/// One intake that writes, and one that relives what it has written.
#[derive(Default)]
struct Pair {
    writer: ThreadIntake,
    reader: ThreadIntake,
}

impl Pair {
    fn admit(&mut self, event: AgUiEvent) -> Result<Vec<AgUiEvent>, OrderError> {
        let mut out = Vec::new();
        self.writer.admit(event, &mut out)?;
        self.relive(&out);
        Ok(out)
    }

    #[track_caller]
    fn relive(&mut self, written: &[AgUiEvent]) {
        for event in written {
            let is_chunked = self.writer.is_made_of_chunks(event);
            self.reader
                .relive(event, is_chunked)
                .expect("it was put out");
        }
        assert_eq!(self.reader, self.writer, "after {written:?}");
    }
}

const CHUNK: &str = r#"{"type":"TOOL_CALL_CHUNK","toolCallId":"c","toolCallName":"f","parentMessageId":"p","delta":"{","subagentRunId":"s"}"#;

#[test]
fn only_the_start_that_a_chunk_made_is_marked() {
    let mut pair = Pair::default();
    let mut marked = Vec::new();
    for json in [
        STARTED,
        r#"{"type":"TEXT_MESSAGE_START","messageId":"c"}"#,
        CHUNK,
        r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"a","subagentRunId":"s"}"#,
        r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","subagentRunId":"s"}"#,
    ] {
        let out = pair.admit(event(json)).unwrap();
        let is_marked = |event: &&AgUiEvent| pair.writer.is_made_of_chunks(event);
        let types = out.iter().filter(is_marked).map(AgUiEvent::event_type);
        marked.push(types.map(|kind| kind.as_str()).collect::<Vec<_>>());
    }
    let expected: [&[&str]; 5] = [
        &[],
        &[],
        &["TOOL_CALL_START"],
        &["TEXT_MESSAGE_START"],
        // The same item again, and not of chunks this time.
        &[],
    ];
    assert_eq!(marked, expected);
}

#[test]
fn chunks_continue_what_was_relived_and_have_to_agree_with_it() {
    let mut pair = Pair::default();
    for json in [STARTED, CHUNK] {
        pair.admit(event(json)).unwrap();
    }
    let mut out = Vec::new();
    for (json, is_taken) in [
        (r#"{"type":"TOOL_CALL_CHUNK","delta":"}"}"#, true),
        (
            r#"{"type":"TOOL_CALL_CHUNK","toolCallId":"c","parentMessageId":"q"}"#,
            false,
        ),
        (
            r#"{"type":"TOOL_CALL_CHUNK","toolCallId":"c","toolCallName":"g"}"#,
            false,
        ),
        (r#"{"type":"TOOL_CALL_END","toolCallId":"c"}"#, false),
    ] {
        let taken = pair.reader.admit(event(json), &mut out);
        assert_eq!(taken.is_ok(), is_taken, "{json}");
        assert_eq!(taken, pair.writer.admit(event(json), &mut Vec::new()));
    }
    assert_eq!(out.len(), 1);
}

#[test]
fn without_the_mark_no_chunk_continues() {
    let (mut writer, mut reader) = (ThreadIntake::default(), ThreadIntake::default());
    let mut out = Vec::new();
    for json in [STARTED, CHUNK] {
        writer.admit(event(json), &mut out).unwrap();
    }
    for event in &out {
        reader.relive(event, false).unwrap();
    }
    assert_eq!(reader.order(), writer.order());
    assert_eq!(reader.open_chunks(), 0);
    let refused = reader.admit(event(CHUNK), &mut out).unwrap_err();
    assert!(
        matches!(refused, OrderError::AlreadyOpen { .. }),
        "{refused}"
    );
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut pair = Pair::default();
    for json in [STARTED, CHUNK] {
        pair.admit(event(json)).unwrap();
    }
    for json in [
        CHUNK,
        STARTED,
        FINISHED,
        r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","subagentRunId":"s"}"#,
        r#"{"type":"TOOL_CALL_END","toolCallId":"c","subagentRunId":"other"}"#,
        r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#,
    ] {
        for is_chunked in [true, false] {
            pair.reader.relive(&event(json), is_chunked).unwrap_err();
            assert_eq!(pair.reader, pair.writer, "{json}");
        }
    }
}

#[test]
fn a_log_that_has_lost_an_end_leaves_no_lane_behind() {
    let mut reader = ThreadIntake::default();
    let start = |id: &str| {
        let start = r#"{"type":"TEXT_MESSAGE_START","messageId":"ID","subagentRunId":"s"}"#;
        event(&start.replace("ID", id))
    };
    reader.relive(&event(STARTED), false).unwrap();
    reader.relive(&start("a"), true).unwrap();
    reader.relive(&start("b"), true).unwrap();
    assert_eq!(reader.open_chunks(), 1);
    let failed = event(r#"{"type":"RUN_ERROR","message":"m"}"#);
    reader.relive(&failed, true).unwrap();
    assert_eq!(reader.open_chunks(), 0);
    let mut order = ThreadOrder::default();
    order.check(&failed).unwrap();
    assert_eq!(reader, ThreadIntake::new(order));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn reliving_leads_to_an_equal_intake_that_takes_and_refuses_the_same(
        events in prop::collection::vec((any_event(), 0..12_u8), 0..60),
    ) {
        let mut pair = Pair::default();
        pair.admit(event(STARTED)).unwrap();
        for (event, what) in events {
            if what == 0 {
                let closed = pair.writer.close_all(Some(1));
                pair.relive(&closed);
            }
            let (mut again, mut out) = (pair.reader.clone(), Vec::new());
            let relived = again.admit(event.clone(), &mut out);
            let admitted = pair.admit(event);
            prop_assert_eq!(relived.map(|()| out), admitted);
            prop_assert_eq!(&again, &pair.writer);
        }
    }
}
