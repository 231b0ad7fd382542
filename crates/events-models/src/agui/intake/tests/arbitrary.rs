//! Arbitrary sequences of events.

use proptest::prelude::*;

use super::{FINISHED, check_explicit};
use crate::agui::{AgUiEvent, AgUiEventBuilder as Make, intake::ThreadIntake, tests::event};

/// An event out of a small world, so that ids meet.
pub(in crate::agui) fn any_event() -> impl Strategy<Value = AgUiEvent> {
    let id = || prop::sample::select(vec!["a", "b"]);
    let tag = prop::sample::select(vec![None, None, Some("s1"), Some("s2")]);
    let parent = prop::sample::select(vec![None, Some("a"), Some("b")]);
    (0..33_u8, id(), tag, parent, any::<bool>()).prop_map(|(kind, id, tag, parent, flag)| {
        let optional = |name: &str, value: Option<&str>| {
            value.map_or_else(String::new, |value| format!(r#","{name}":"{value}""#))
        };
        let (tag_of, parent_of) = (
            optional("subagentRunId", tag),
            optional("parentMessageId", parent),
        );
        let subagent = tag.unwrap_or("s1");
        let some_id = optional("messageId", flag.then_some(id));
        let json = match kind {
            0 | 1 => format!(r#"{{"type":"RUN_STARTED","threadId":"t","runId":"{id}"}}"#),
            2 => FINISHED.to_owned(),
            3 => format!(r#"{{"type":"RUN_ERROR","message":"{id}"}}"#),
            4 => format!(r#"{{"type":"TEXT_MESSAGE_START","messageId":"{id}"{tag_of}}}"#),
            5 => format!(r#"{{"type":"TEXT_MESSAGE_CONTENT","messageId":"{id}","delta":"x"{tag_of}}}"#),
            6 => format!(r#"{{"type":"TEXT_MESSAGE_END","messageId":"{id}"{tag_of}}}"#),
            7..=9 => format!(r#"{{"type":"TEXT_MESSAGE_CHUNK","delta":"x"{some_id}{tag_of}}}"#),
            10 => format!(r#"{{"type":"TOOL_CALL_START","toolCallId":"{id}","toolCallName":"f"{parent_of}{tag_of}}}"#),
            11 => format!(r#"{{"type":"TOOL_CALL_ARGS","toolCallId":"{id}","delta":"x"{tag_of}}}"#),
            12 => format!(r#"{{"type":"TOOL_CALL_END","toolCallId":"{id}"{tag_of}}}"#),
            13 | 14 => format!(r#"{{"type":"TOOL_CALL_CHUNK","toolCallId":"{id}","toolCallName":"f","delta":"x"{parent_of}{tag_of}}}"#),
            15 => format!(r#"{{"type":"TOOL_CALL_CHUNK","delta":"y"{tag_of}}}"#),
            16 => format!(r#"{{"type":"TOOL_CALL_RESULT","messageId":"{id}","toolCallId":"c","content":"x"{tag_of}}}"#),
            17 => format!(r#"{{"type":"REASONING_START","messageId":"{id}"{tag_of}}}"#),
            18 => format!(r#"{{"type":"REASONING_END","messageId":"{id}"{tag_of}}}"#),
            19 => format!(r#"{{"type":"REASONING_MESSAGE_START","messageId":"{id}","role":"reasoning"{tag_of}}}"#),
            20 => format!(r#"{{"type":"REASONING_MESSAGE_END","messageId":"{id}"{tag_of}}}"#),
            21 | 22 => format!(r#"{{"type":"REASONING_MESSAGE_CHUNK","delta":"x"{some_id}{tag_of}}}"#),
            23 => format!(r#"{{"type":"STEP_STARTED","stepName":"{id}"{tag_of}}}"#),
            24 => format!(r#"{{"type":"STEP_FINISHED","stepName":"{id}"{tag_of}}}"#),
            25 => format!(r#"{{"type":"SUBAGENT_STARTED","subagentRunId":"{subagent}","name":"n"}}"#),
            26 => format!(r#"{{"type":"SUBAGENT_FINISHED","subagentRunId":"{subagent}"}}"#),
            27 => format!(r#"{{"type":"ACTIVITY_SNAPSHOT","messageId":"{id}","activityType":"P","content":{{}},"replace":{flag}{tag_of}}}"#),
            28 => format!(r#"{{"type":"ACTIVITY_DELTA","messageId":"{id}","activityType":"P","patch":[]{tag_of}}}"#),
            29 => format!(r#"{{"type":"REASONING_ENCRYPTED_VALUE","subtype":"message","entityId":"{id}","encryptedValue":"x"{tag_of}}}"#),
            30 => format!(r#"{{"type":"MESSAGES_SNAPSHOT","messages":[{{"id":"{id}","role":"assistant"{tag_of}}}]}}"#),
            31 => format!(r#"{{"type":"RAW","event":1{tag_of}}}"#),
            _ => format!(r#"{{"type":"CUSTOM","name":"n","value":1{tag_of}}}"#),
        };
        event(&json)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_refusal_changes_nothing_and_what_is_emitted_is_always_legal(
        events in prop::collection::vec(any_event(), 0..60),
    ) {
        let mut intake = ThreadIntake::default();
        let mut out = Vec::new();
        intake.admit(Make::run_started("t", "r", None), &mut out).unwrap();
        for event in events {
            let before = (intake.clone(), out.len());
            let passes = intake.passes(&event);
            let admitted = intake.admit(event.clone(), &mut out);
            if admitted.is_err() {
                prop_assert_eq!(&intake, &before.0);
                prop_assert_eq!(out.len(), before.1);
            }
            match passes {
                Ok(true) => {
                    prop_assert_eq!(&intake, &before.0);
                    prop_assert_eq!(&out[before.1..], [event]);
                }
                Ok(false) => {}
                Err(refusal) => prop_assert_eq!(admitted, Err(refusal)),
            }
        }
        if intake.order().is_run_active() {
            out.extend(intake.close_all(None));
            intake.admit(event(FINISHED), &mut out).unwrap();
        }
        check_explicit(&out);
    }
}
