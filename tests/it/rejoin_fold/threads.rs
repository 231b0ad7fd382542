//! The threads of the fixtures, as a log has them.

use std::fs;

use events_models::{AgUiEvent, agui::intake::ThreadIntake};
use events_tests::skip::workspace_root;

/// A named thread.
pub(super) struct Thread {
    pub(super) name: String,
    pub(super) log: Vec<AgUiEvent>,
}

/// Reads events and expands chunks.
pub(super) fn thread(name: &str, events: impl IntoIterator<Item = AgUiEvent>) -> Thread {
    let mut intake = ThreadIntake::default();
    let mut log = Vec::new();
    for event in events {
        intake.admit(event, &mut log).expect("a valid thread");
    }
    let name = name.to_owned();
    Thread { name, log }
}

/// Reads JSON, one event in a line.
pub(super) fn thread_of(name: &str, lines: &str) -> Thread {
    let read = |line: &str| AgUiEvent::from_json(line.as_bytes()).expect("a valid event");
    thread(
        name,
        lines
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(read),
    )
}

/// Reads every transcript of the fixtures.
pub(super) fn transcripts() -> Vec<Thread> {
    let folder = workspace_root().join("tests/fixtures/agui/transcripts");
    let mut threads: Vec<_> = fs::read_dir(folder)
        .expect("the fixtures are in the repository")
        .map(|entry| entry.expect("readable").path())
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy();
            thread_of(&name, &fs::read_to_string(&path).expect("readable"))
        })
        .collect();
    threads.sort_by(|one, two| one.name.cmp(&two.name));
    assert!(threads.len() >= 35);
    threads
}

/// Threads with turns that made-up ones rarely take.
pub(super) fn handmade() -> Vec<Thread> {
    vec![
        thread_of(
            "a snapshot takes an open message away",
            r#"
{"type":"RUN_STARTED","threadId":"thread","runId":"r"}
{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n"}
{"type":"TEXT_MESSAGE_START","messageId":"m1","role":"assistant","subagentRunId":"s"}
{"type":"TEXT_MESSAGE_CONTENT","messageId":"m1","delta":"gone","subagentRunId":"s"}
{"type":"TOOL_CALL_START","toolCallId":"c1","toolCallName":"f","parentMessageId":"m1","subagentRunId":"s"}
{"type":"MESSAGES_SNAPSHOT","messages":[{"id":"m2","role":"assistant","content":"stays"}]}
{"type":"TEXT_MESSAGE_CONTENT","messageId":"m1","delta":"swallowed","subagentRunId":"s"}
{"type":"TOOL_CALL_ARGS","toolCallId":"c1","delta":"{}","subagentRunId":"s"}
{"type":"TOOL_CALL_END","toolCallId":"c1","subagentRunId":"s"}
{"type":"TEXT_MESSAGE_END","messageId":"m1","subagentRunId":"s"}
{"type":"SUBAGENT_FINISHED","subagentRunId":"s"}
{"type":"RUN_FINISHED","threadId":"thread","runId":"r"}"#,
        ),
        thread_of(
            "an answer comes after what was said since",
            r#"
{"type":"RUN_STARTED","threadId":"thread","runId":"r","input":{"threadId":"thread","runId":"r","messages":[{"id":"u","role":"user","content":"?"}],"tools":[],"context":[]}}
{"type":"TOOL_CALL_START","toolCallId":"c1","toolCallName":"f","parentMessageId":"m1"}
{"type":"TOOL_CALL_END","toolCallId":"c1"}
{"type":"TOOL_CALL_START","toolCallId":"c2","toolCallName":"f","parentMessageId":"m1"}
{"type":"TOOL_CALL_END","toolCallId":"c2"}
{"type":"TEXT_MESSAGE_START","messageId":"m2","role":"assistant"}
{"type":"TEXT_MESSAGE_CONTENT","messageId":"m2","delta":"meanwhile"}
{"type":"TOOL_CALL_RESULT","messageId":"t2","toolCallId":"c2","content":"2"}
{"type":"TEXT_MESSAGE_CONTENT","messageId":"m2","delta":" ..."}
{"type":"TOOL_CALL_RESULT","messageId":"t1","toolCallId":"c1","content":"1"}
{"type":"TEXT_MESSAGE_END","messageId":"m2"}
{"type":"RUN_FINISHED","threadId":"thread","runId":"r"}"#,
        ),
        thread_of(
            "subagents are named as parents after their end",
            r#"
{"type":"RUN_STARTED","threadId":"thread","runId":"r"}
{"type":"SUBAGENT_STARTED","subagentRunId":"a","name":"n","parentToolCallId":"c"}
{"type":"STEP_STARTED","stepName":"s","subagentRunId":"a"}
{"type":"STEP_STARTED","stepName":"s"}
{"type":"STEP_FINISHED","stepName":"s","subagentRunId":"a"}
{"type":"SUBAGENT_FINISHED","subagentRunId":"a","outcome":{"type":"suspended","interruptIds":["i"]}}
{"type":"SUBAGENT_STARTED","subagentRunId":"b","name":"n","parentSubagentRunId":"a"}
{"type":"REASONING_START","messageId":"t","subagentRunId":"b"}
{"type":"REASONING_MESSAGE_START","messageId":"t","role":"reasoning","subagentRunId":"b"}
{"type":"REASONING_MESSAGE_CONTENT","messageId":"t","delta":"hm","subagentRunId":"b"}
{"type":"REASONING_ENCRYPTED_VALUE","subtype":"message","entityId":"t","encryptedValue":"x","subagentRunId":"b"}
{"type":"REASONING_MESSAGE_END","messageId":"t"}
{"type":"REASONING_END","messageId":"t","subagentRunId":"b"}
{"type":"STEP_FINISHED","stepName":"s"}
{"type":"SUBAGENT_ERROR","subagentRunId":"b","message":"no"}
{"type":"RUN_FINISHED","threadId":"thread","runId":"r","outcome":{"type":"interrupt","interrupts":[{"id":"i","reason":"ask"}]}}
{"type":"RUN_STARTED","threadId":"thread","runId":"r2","parentRunId":"r"}
{"type":"SUBAGENT_STARTED","subagentRunId":"a","name":"n"}
{"type":"RUN_ERROR","message":"no","code":"c"}
{"type":"RUN_STARTED","threadId":"thread","runId":"r3"}
{"type":"RUN_FINISHED","threadId":"thread","runId":"r3"}"#,
        ),
        thread_of(
            "a run fails after its end",
            r#"
{"type":"RUN_STARTED","threadId":"thread","runId":"r"}
{"type":"TEXT_MESSAGE_START","messageId":"m1","role":"assistant"}
{"type":"TEXT_MESSAGE_CONTENT","messageId":"m1","delta":"done"}
{"type":"TEXT_MESSAGE_END","messageId":"m1"}
{"type":"RUN_FINISHED","threadId":"thread","runId":"r"}
{"type":"RUN_ERROR","message":"no"}"#,
        ),
        thread_of(
            "a state begins with a patch",
            r#"
{"type":"RUN_STARTED","threadId":"thread","runId":"r"}
{"type":"TEXT_MESSAGE_START","messageId":"m1","role":"assistant"}
{"type":"STATE_DELTA","delta":[{"op":"add","path":"/a","value":1}]}
{"type":"TEXT_MESSAGE_END","messageId":"m1"}
{"type":"RUN_FINISHED","threadId":"thread","runId":"r"}"#,
        ),
        thread_of(
            "text goes where other things are",
            r#"
{"type":"RUN_STARTED","threadId":"thread","runId":"r"}
{"type":"MESSAGES_SNAPSHOT","messages":[{"id":"u","role":"user","content":[{"type":"text","text":"look"},{"type":"image","source":{"type":"url","value":"https://example.com/a.png"}}]},{"id":"c","role":"assistant"}]}
{"type":"TEXT_MESSAGE_START","messageId":"u","role":"user"}
{"type":"TEXT_MESSAGE_CONTENT","messageId":"u","delta":"no parts"}
{"type":"TEXT_MESSAGE_END","messageId":"u","metadata":{"a":1}}
{"type":"ACTIVITY_SNAPSHOT","messageId":"a","activityType":"P","content":{"n":1},"metadata":{"k":1}}
{"type":"TEXT_MESSAGE_START","messageId":"a","metadata":{"lost":1}}
{"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"lost"}
{"type":"TEXT_MESSAGE_END","messageId":"a"}
{"type":"TOOL_CALL_START","toolCallId":"call","toolCallName":"f","parentMessageId":"u"}
{"type":"TOOL_CALL_ARGS","toolCallId":"call","delta":"{"}
{"type":"TEXT_MESSAGE_START","messageId":"call"}
{"type":"TEXT_MESSAGE_CONTENT","messageId":"call","delta":"said"}
{"type":"TEXT_MESSAGE_END","messageId":"call"}
{"type":"TOOL_CALL_ARGS","toolCallId":"call","delta":"}"}
{"type":"TOOL_CALL_END","toolCallId":"call"}
{"type":"ACTIVITY_SNAPSHOT","messageId":"c","activityType":"P","content":{"n":2},"replace":false,"metadata":{"k":2}}
{"type":"ACTIVITY_SNAPSHOT","messageId":"c","activityType":"P","content":{"n":2}}
{"type":"ACTIVITY_DELTA","messageId":"a","activityType":"Q","patch":[{"op":"replace","path":"/n","value":[]}],"metadata":{"m":1}}
{"type":"ACTIVITY_DELTA","messageId":"a","activityType":"R","patch":[{"op":"remove","path":"/absent"}],"metadata":{"m":2}}
{"type":"RUN_FINISHED","threadId":"thread","runId":"r"}"#,
        ),
    ]
}

/// Threads that only clients since 1.0 take as they are meant.
pub(super) fn for_1_0() -> Vec<Thread> {
    vec![
        thread_of(
            "a state is nothing",
            r#"
{"type":"RUN_STARTED","threadId":"thread","runId":"r"}
{"type":"STATE_SNAPSHOT","snapshot":{"a":1}}
{"type":"STATE_SNAPSHOT","snapshot":null}
{"type":"STATE_DELTA","delta":[{"op":"add","path":"/a","value":1}]}
{"type":"STATE_DELTA","delta":[{"op":"add","path":"","value":{"b":1.0}},{"op":"test","path":"/b","value":1}]}
{"type":"STATE_DELTA","delta":[{"op":"remove","path":""}]}
{"type":"RUN_FINISHED","threadId":"thread","runId":"r"}"#,
        ),
        thread_of(
            "a snapshot owns activities",
            r#"
{"type":"RUN_STARTED","threadId":"thread","runId":"r"}
{"type":"ACTIVITY_SNAPSHOT","messageId":"p","activityType":"P","content":{}}
{"type":"ACTIVITY_SNAPSHOT","messageId":"q","activityType":"Q","content":{}}
{"type":"MESSAGES_SNAPSHOT","messages":[],"metadata":{"@ag-ui/client":{"authoritativeActivityTypes":["P"]}}}
{"type":"MESSAGES_SNAPSHOT","messages":[],"metadata":{"@ag-ui/client":{"authoritativeActivityTypes":null}}}
{"type":"ACTIVITY_SNAPSHOT","messageId":"q","activityType":"Q","content":{}}
{"type":"RUN_FINISHED","threadId":"thread","runId":"r"}"#,
        ),
    ]
}
