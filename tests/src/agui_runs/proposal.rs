//! One event out of all that there are, allowed or not.

use events_models::{
    AgUiEvent, JsonPatchOperation, Message, MessageRole,
    agui::{
        ActivityDelta, ActivityMessage, ActivitySnapshot, AssistantMessage, ContentPart, Custom,
        EncryptedSubtype, FileSource, MediaPart, MessagesSnapshot, OpenObject, PartSource, Raw,
        ReasoningEncryptedValue, ReasoningEnd, ReasoningMessage, ReasoningMessageChunk,
        ReasoningMessageContent, ReasoningMessageEnd, ReasoningMessageStart, ReasoningStart,
        StateDelta, StateSnapshot, StepFinished, StepStarted, SubagentError, SubagentFinished,
        SubagentOutcome, SubagentStarted, TextMessageChunk, TextMessageContent, TextMessageEnd,
        TextMessageStart, TextPart, ToolCallArgs, ToolCallChunk, ToolCallEnd, ToolCallResult,
        ToolCallStart, ToolResultContent,
    },
};
use serde_json::{Map, json};

use super::{Maker, tool_call};

const SUBAGENTS: [&str; 3] = ["sub-0", "sub-1", "sub-2"];
const TEXTS: [&str; 6] = [
    "a",
    "Wort ",
    "\"quoted\"\n",
    "",
    "\u{1F9ED}\u{0007}",
    "{\"q\":",
];

/// The agent that an id of a small world belongs to: every third is a subagent's.
fn owner_of(number: usize) -> Option<&'static str> {
    (number % 3 == 2).then(|| SUBAGENTS[number / 3 % SUBAGENTS.len()])
}

/// Sets the tag of an event that continues something: the owner's, or none.
macro_rules! tagged {
    ($maker:ident, $number:expr, $event:expr) => {{
        let mut event = $event;
        if !$maker.one_in(3) {
            event.subagent_run_id = owner_of($number).map(str::to_owned);
        }
        if $maker.one_in(6) {
            event.metadata = Some($maker.metadata());
        }
        event.into()
    }};
}

/// Sets the tag of an event that opens something: always the owner's.
macro_rules! owned {
    ($maker:ident, $number:expr, $event:expr) => {{
        let mut event = $event;
        event.subagent_run_id = owner_of($number).map(str::to_owned);
        if $maker.one_in(6) {
            event.metadata = Some($maker.metadata());
        }
        event.timestamp = Some(1_790_000_000_000);
        event.into()
    }};
}

impl Maker {
    pub(super) fn propose(&mut self) -> AgUiEvent {
        let number = self.random.usize(..9);
        let text = TEXTS[self.random.usize(..TEXTS.len())];
        let message = format!("message-{number}");
        let call = format!("call-{number}");
        let thought = format!("thought-{number}");
        match self.random.u8(..42) {
            0..=2 => {
                let mut start = TextMessageStart::new(message);
                let roles = [
                    MessageRole::Assistant,
                    MessageRole::User,
                    MessageRole::System,
                ];
                start.role = Some(roles[number % 3]).filter(|_| number < 6);
                start.name = Some("Ada".to_owned()).filter(|_| number == 3);
                owned!(self, number, start)
            }
            3..=9 => tagged!(self, number, TextMessageContent::new(message, text)),
            10 => tagged!(self, number, TextMessageEnd::new(message)),
            11 => {
                let mut chunk = TextMessageChunk::new();
                chunk.message_id = Some(message.into());
                chunk.delta = Some(text.to_owned());
                owned!(self, number, chunk)
            }
            12 | 13 => {
                let mut start = ToolCallStart::new(call, format!("tool-{number}"));
                // A message of the same agent.
                start.parent_message_id = Some(message.into()).filter(|_| number % 2 == 1);
                owned!(self, number, start)
            }
            14..=17 => tagged!(self, number, ToolCallArgs::new(call, text)),
            18 => tagged!(self, number, ToolCallEnd::new(call)),
            19 => {
                let mut chunk = ToolCallChunk::new();
                chunk.tool_call_id = Some(call.into());
                chunk.tool_call_name = Some(format!("tool-{number}"));
                chunk.delta = Some(text.to_owned());
                owned!(self, number, chunk)
            }
            20 | 21 => {
                let id = self.fresh("result");
                let content = self.answer(text);
                owned!(self, number, ToolCallResult::new(id, call, content))
            }
            22 => owned!(
                self,
                number,
                StateSnapshot::new(super::json(r#"{"count":0,"list":[1,2],"deep":{"a":{}}}"#))
            ),
            23 | 24 => tagged!(self, number, StateDelta::new(self.patch())),
            25 => self.snapshot(),
            26 => {
                let mut snapshot = ActivitySnapshot::new(
                    format!("activity-{number}"),
                    "PLAN",
                    object(json!({"count": number, "list": [1]})),
                );
                snapshot.replace = [None, Some(true), Some(false)][self.random.usize(..3)];
                owned!(self, number, snapshot)
            }
            27 | 28 => {
                let id = format!("activity-{number}");
                tagged!(
                    self,
                    number,
                    ActivityDelta::new(id, "PATCHED", self.patch())
                )
            }
            29 => owned!(self, number, Raw::new(super::json("null"))),
            30 => owned!(
                self,
                number,
                Custom::new("app.progress", super::json("0.5"))
            ),
            31 => owned!(
                self,
                number,
                StepStarted::new(format!("step-{}", number % 3))
            ),
            32 => owned!(
                self,
                number,
                StepFinished::new(format!("step-{}", number % 3))
            ),
            33 => owned!(self, number, ReasoningStart::new(thought)),
            34 => tagged!(self, number, ReasoningEnd::new(thought)),
            35 => owned!(self, number, ReasoningMessageStart::new(thought)),
            36 | 37 => tagged!(self, number, ReasoningMessageContent::new(thought, text)),
            38 => tagged!(self, number, ReasoningMessageEnd::new(thought)),
            39 => {
                let mut chunk = ReasoningMessageChunk::new();
                chunk.message_id = Some(thought.into());
                chunk.delta = Some(text.to_owned());
                owned!(self, number, chunk)
            }
            40 => {
                let (subtype, id) = match number % 3 {
                    0 => (EncryptedSubtype::ToolCall, call),
                    1 => (EncryptedSubtype::Message, message),
                    _ => (EncryptedSubtype::Message, thought),
                };
                tagged!(
                    self,
                    number,
                    ReasoningEncryptedValue::new(subtype, id, "b64==")
                )
            }
            _ => self.subagent(number),
        }
    }

    fn subagent(&mut self, number: usize) -> AgUiEvent {
        let id = SUBAGENTS[number % 3];
        match self.random.u8(..4) {
            0 | 1 => {
                let mut start = SubagentStarted::new(id, "researcher");
                let parent = SUBAGENTS[(number + 1) % 3];
                start.parent_subagent_run_id = Some(parent.to_owned()).filter(|_| number > 5);
                start.into()
            }
            2 => {
                let mut end = SubagentFinished::new(id);
                end.outcome = Some(SubagentOutcome::Success).filter(|_| number > 3);
                end.result = Some(super::json("[1]"));
                end.into()
            }
            _ => SubagentError::new(id, "no sources").into(),
        }
    }

    fn metadata(&mut self) -> OpenObject {
        let key = ["usage", "trace", "finish"][self.random.usize(..3)];
        object(json!({ key: self.random.u8(..), "nested": {"n": null} }))
    }

    fn answer(&mut self, text: &str) -> ToolResultContent {
        if !self.one_in(4) {
            return text.into();
        }
        let source = PartSource::File(FileSource::new("file-9"));
        vec![
            ContentPart::Text(TextPart::new(text)),
            ContentPart::Document(MediaPart::new(source)),
        ]
        .into()
    }

    /// Some operations; not all fit.
    fn patch(&mut self) -> Vec<JsonPatchOperation> {
        let n_operations = self.random.usize(..4);
        (0..n_operations)
            .map(|_| match self.random.u8(..14) {
                0..=2 => JsonPatchOperation::replace("/count", json!(self.random.u8(..))),
                3 | 4 => JsonPatchOperation::add("/list/-", json!({"text": "x"})),
                5 => JsonPatchOperation::add("/list/0", json!(1.0)),
                6 => JsonPatchOperation::remove("/list/0"),
                7 => JsonPatchOperation::add("/deep", json!({"a~b/c": [[]]})),
                8 => JsonPatchOperation::copy_from("/list", "/copied"),
                9 => JsonPatchOperation::move_from("/copied", "/moved"),
                10 => JsonPatchOperation::test("/list/0", json!(1)),
                11 => JsonPatchOperation::remove("/absent"),
                12 => JsonPatchOperation::add("", json!({"count": 7, "list": []})),
                _ => JsonPatchOperation::replace("/deep/a~0b~1c/0", json!(null)),
            })
            .collect()
    }

    /// Most of the messages as they are, and something new.
    fn snapshot(&mut self) -> AgUiEvent {
        let mut messages = self.content.messages();
        messages.retain(|_| !self.one_in(5));
        // Ids of reasoning and activities come back as such; the rest may say something else now.
        let is_open = self.one_in(2);
        for message in &mut messages {
            if let Message::Assistant(assistant) = message
                && is_open
                && self.random.bool()
            {
                assistant.content = Some("restated".to_owned());
            }
        }
        match self.random.u8(..4) {
            0 => {
                let mut assistant = AssistantMessage::new(self.fresh("restated"));
                assistant.tool_calls = Some(vec![tool_call(self.fresh("restated-call"))]);
                messages.push(assistant.into());
            }
            1 => messages.push(ReasoningMessage::new(self.fresh("restated-thought"), "so").into()),
            2 => messages.push(
                ActivityMessage::new(self.fresh("shown"), "PLAN", object(json!({"list": []})))
                    .into(),
            ),
            _ => {}
        }
        MessagesSnapshot::new(messages).into()
    }
}

fn object(value: serde_json::Value) -> OpenObject {
    match value {
        serde_json::Value::Object(members) => members.into(),
        _ => Map::new().into(),
    }
}
