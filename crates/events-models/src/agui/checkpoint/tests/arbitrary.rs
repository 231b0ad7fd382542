//! Arbitrary threads, and arbitrary damage.

use proptest::prelude::*;

use super::{Live, MAX_BYTES, Step, form::rich, limits, read};
use crate::agui::{AgUiEvent, fold::Reader, intake::tests::arbitrary::any_event, tests::event};

/// An event that says something that lasts, out of a small world in which ids meet.
fn any_saying() -> impl Strategy<Value = AgUiEvent> {
    let id = || prop::sample::select(vec!["a", "b", "c"]);
    let tag = prop::sample::select(vec!["", "", r#","subagentRunId":"s1""#]);
    (0..22_u8, id(), id(), tag, 0..400_usize).prop_map(|(kind, id, other, tag, length)| {
        let text = "\\\"é\\n".repeat(length / 4);
        let json = match kind {
            0 => format!(r#"{{"type":"RUN_STARTED","threadId":"t","runId":"{id}","input":{{"threadId":"t","runId":"{id}","messages":[{{"id":"{id}","role":"user","content":"{text}"}}],"state":{{"n":1.50}}}}}}"#),
            1 => format!(r#"{{"type":"STATE_SNAPSHOT","snapshot":{{"n":1.10,"f":0.1234567890123456789,"big":12345678901234567890123,"list":[1.0,"{text}"]}}}}"#),
            2 => r#"{"type":"STATE_DELTA","delta":[{"op":"replace","path":"/n","value":5.70e-7}]}"#.to_owned(),
            3 => format!(r#"{{"type":"STATE_DELTA","delta":[{{"op":"add","path":"/{id}","value":{{"x":9007199254740993}}}},{{"op":"copy","from":"/{id}","path":"/{other}"}}]}}"#),
            4 => format!(r#"{{"type":"STATE_DELTA","delta":[{{"op":"remove","path":"/{id}"}}]}}"#),
            5 => format!(r#"{{"type":"ACTIVITY_SNAPSHOT","messageId":"{id}","activityType":"P","content":{{"list":[2.50]}},"metadata":{{"{other}":1}}{tag}}}"#),
            6 => format!(r#"{{"type":"ACTIVITY_SNAPSHOT","messageId":"{id}","activityType":"Q","content":{{}},"replace":false,"metadata":{{"k":{length}}}{tag}}}"#),
            7 | 8 => format!(r#"{{"type":"ACTIVITY_DELTA","messageId":"{id}","activityType":"R","patch":[{{"op":"add","path":"/list/-","value":"{text}"}}],"metadata":{{"d":1}}}}"#),
            9 => format!(r#"{{"type":"ACTIVITY_DELTA","messageId":"{id}","activityType":"R","patch":[{{"op":"add","path":"/~1__proto__","value":1}}]}}"#),
            10 => format!(r#"{{"type":"REASONING_ENCRYPTED_VALUE","subtype":"tool-call","entityId":"{id}","encryptedValue":"{text}"}}"#),
            11 => format!(r#"{{"type":"REASONING_ENCRYPTED_VALUE","subtype":"message","entityId":"{id}","encryptedValue":"{text}"}}"#),
            12 => format!(r#"{{"type":"MESSAGES_SNAPSHOT","messages":[{{"id":"{id}","role":"assistant","toolCalls":[{{"id":"{other}","type":"function","function":{{"name":"f","arguments":""}}}}]}},{{"id":"{other}","role":"assistant","content":"x","toolCalls":[{{"id":"{other}","type":"function","function":{{"name":"g","arguments":"1"}}}}]}}]}}"#),
            13 => format!(r#"{{"type":"MESSAGES_SNAPSHOT","messages":[{{"id":"{id}","role":"user","content":"{text}"}},{{"id":"{id}","role":"tool","content":"twice","toolCallId":"{other}"}}],"metadata":{{"@ag-ui/client":{{"authoritativeActivityTypes":["P","{other}"]}}}}}}"#),
            14 => r#"{"type":"MESSAGES_SNAPSHOT","messages":[],"metadata":{"@ag-ui/client":{"authoritativeActivityTypes":null}}}"#.to_owned(),
            15 | 16 => format!(r#"{{"type":"TOOL_CALL_RESULT","messageId":"{id}","toolCallId":"{other}","content":[{{"type":"text","text":"{text}"}}]{tag}}}"#),
            17 => format!(r#"{{"type":"TEXT_MESSAGE_CONTENT","messageId":"{id}","delta":"{text}","metadata":{{"{other}":{length}}}}}"#),
            18 => format!(r#"{{"type":"TOOL_CALL_START","toolCallId":"{id}","toolCallName":"{other}","parentMessageId":"{other}","metadata":{{"k":1}}}}"#),
            19 => format!(r#"{{"type":"RUN_FINISHED","threadId":"t","runId":"{id}","outcome":{{"type":"cancelled"}},"usage":[{{"model":"{text}"}}],"rawEvent":1}}"#),
            20 => format!(r#"{{"type":"SUBAGENT_STARTED","subagentRunId":"{id}","name":"{text}","rawEvent":1}}"#),
            _ => format!(r#"{{"type":"SUBAGENT_ERROR","subagentRunId":"{id}","message":"{text}"}}"#),
        };
        event(&json)
    })
}

pub(super) fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => any_event().prop_map(Step::Event),
        20 => any_saying().prop_map(Step::Event),
        1 => Just(Step::CloseAll),
        1 => Just(Step::GiveUp),
    ]
}

/// A checkpoint with some of its bytes changed.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let saved = rich().saved();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..6);
    edits.prop_map(move |edits| {
        let mut bytes = saved.clone();
        for (index, byte, what) in edits {
            let at = index.index(bytes.len());
            let punctuation = b"{}[]\",:\\/0-e.nt\xff \n0123456789";
            let other = punctuation[usize::from(byte) % punctuation.len()];
            match what {
                0 => bytes[at] = byte,
                1 => bytes[at] = other,
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, other),
            }
        }
        bytes
    })
}

/// Reads anything; what is accepted can be told, saved and continued.
fn check_anything(bytes: &[u8], steps: &[Step]) {
    let Ok((intake, content)) = read(bytes, limits(MAX_BYTES)) else {
        return;
    };
    let mut live = Live {
        intake,
        content,
        limits: limits(MAX_BYTES),
    };
    live.again().check_same(&live, &[], "damaged");
    for step in steps {
        let _ = live.take(step);
        let _ = live
            .content
            .prelude(live.intake.order(), &Reader::default());
    }
    live.again().check_same(&live, &[], "damaged");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_anything(&bytes, &[]);
    }

    #[test]
    fn no_damage_makes_a_thread_that_panics(
        bytes in damaged(),
        steps in prop::collection::vec(any_step(), 0..6),
    ) {
        check_anything(&bytes, &steps);
    }
}
