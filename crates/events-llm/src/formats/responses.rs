//! OpenAI Responses, streamed and whole.
//!
//! Source: OpenAI's API reference and recorded streams. Text is taken from `.delta` events only: `.done` events and
//! the terminal event repeat it.

use super::{
    Calls, Identity, MAX_BLOCKS, TooManyBlocks, arguments, failure_of, reasoning, refusal, text,
};
use crate::{Extraction, Usage, json::Json};

/// One item of the answer's output that is a call.
#[derive(Debug)]
struct OpenCall {
    output_index: Option<u64>,
    item_id: Option<String>,
    call: u32,
    has_fragments: bool,
    has_ended: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Responses {
    identity: Identity,
    calls: Calls,
    open: Vec<OpenCall>,
    has_failed: bool,
}

impl Responses {
    pub(crate) fn event(
        &mut self,
        json: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<(), TooManyBlocks> {
        let Some(kind) = json.get("type").text() else {
            return self.untyped(json, out);
        };
        match kind {
            "response.created" => {
                // Output indexes start anew with each response.
                self.end_calls(out);
                self.open.clear();
                self.note(json.get("response"), out);
            }
            "response.queued" | "response.in_progress" => self.note(json.get("response"), out),
            "response.output_text.delta" => text(0, json.get("delta").text(), out),
            "response.refusal.delta" => refusal(0, json.get("delta").text(), out),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                reasoning(0, json.get("delta").text(), out);
            }
            "response.output_item.added" => {
                return self.item_added(json.get("output_index").count(), json.get("item"), out);
            }
            "response.function_call_arguments.delta"
            | "response.custom_tool_call_input.delta"
            | "response.mcp_call_arguments.delta"
            | "response.code_interpreter_call_code.delta" => self.fragment(json, out),
            "response.output_item.done" => self.item_done(json, out),
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled" => self.end(json.get("response"), out),
            "error" => {
                let nested = json.get("error");
                let error = if nested.is_truthy() { nested } else { json };
                self.fail(error, out);
            }
            _ => {}
        }
        Ok(())
    }

    /// A whole body, or an error without a type.
    fn untyped(&mut self, json: &Json<'_>, out: &mut Vec<Extraction>) -> Result<(), TooManyBlocks> {
        if json.get("object").text() == Some("response") {
            for item in json.get("output").elements() {
                self.whole_item(item, out)?;
            }
            self.end(json, out);
        } else if json.get("error").is_truthy() {
            self.fail(json.get("error"), out);
        }
        Ok(())
    }

    fn note(&mut self, response: &Json<'_>, out: &mut Vec<Extraction>) {
        self.identity
            .note(response.get("id").text(), response.get("model").text(), out);
    }

    fn item_added(
        &mut self,
        output_index: Option<u64>,
        item: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<(), TooManyBlocks> {
        let Some(kind) = call_kind(item) else {
            return Ok(());
        };
        if self.open.len() >= MAX_BLOCKS {
            return Err(TooManyBlocks);
        }
        let id = item
            .get("call_id")
            .some_text()
            .or_else(|| item.get("id").some_text());
        let name = item.get("name").some_text().unwrap_or(kind);
        let call = self.calls.start(0, id, name, is_server(kind), out)?;
        let given = given_arguments(item);
        arguments(call, &given, out);
        self.open.push(OpenCall {
            output_index,
            item_id: item.get("id").some_text().map(str::to_owned),
            call,
            has_fragments: !given.is_empty(),
            has_ended: false,
        });
        Ok(())
    }

    fn find(&mut self, output_index: Option<u64>, item_id: Option<&str>) -> Option<&mut OpenCall> {
        self.open
            .iter_mut()
            .rev()
            .find(|open| match (item_id, &open.item_id) {
                (Some(item_id), Some(known)) => item_id == known,
                _ => output_index.is_some() && open.output_index == output_index,
            })
    }

    fn fragment(&mut self, json: &Json<'_>, out: &mut Vec<Extraction>) {
        let output_index = json.get("output_index").count();
        if let Some(open) = self.find(output_index, json.get("item_id").some_text())
            && let Some(delta) = json.get("delta").some_text()
        {
            open.has_fragments = true;
            arguments(open.call, delta, out);
        }
    }

    fn item_done(&mut self, json: &Json<'_>, out: &mut Vec<Extraction>) {
        let item = json.get("item");
        if item.get("type").text() == Some("reasoning") {
            out.push(Extraction::ReasoningEnded { choice: 0 });
            encrypted(item, out);
            return;
        }
        let output_index = json.get("output_index").count();
        if let Some(open) = self.find(output_index, item.get("id").some_text())
            && !open.has_ended
        {
            open.has_ended = true;
            if !open.has_fragments {
                arguments(open.call, &given_arguments(item), out);
            }
            let call = open.call;
            // An item that was cut by the length of the answer is `incomplete`: its arguments are not whole.
            out.push(Extraction::ToolCallEnded { call });
            result_of(item, call, out);
        }
    }

    fn whole_item(
        &mut self,
        item: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<(), TooManyBlocks> {
        match item.get("type").text() {
            Some("message") => {
                for part in item.get("content").elements() {
                    text(0, part.get("text").text(), out);
                    refusal(0, part.get("refusal").text(), out);
                }
            }
            Some("reasoning") => {
                for part in item.get("summary").elements() {
                    reasoning(0, part.get("text").text(), out);
                }
                for part in item.get("content").elements() {
                    reasoning(0, part.get("text").text(), out);
                }
                out.push(Extraction::ReasoningEnded { choice: 0 });
                encrypted(item, out);
            }
            _ => {
                self.item_added(None, item, out)?;
                if call_kind(item).is_some()
                    && let Some(open) = self.open.last_mut()
                {
                    open.has_ended = true;
                    let call = open.call;
                    out.push(Extraction::ToolCallEnded { call });
                    result_of(item, call, out);
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, response: &Json<'_>, out: &mut Vec<Extraction>) {
        self.note(response, out);
        self.end_calls(out);
        let usage = response.get("usage");
        if usage.is_object() {
            let mut usage = usage_of(usage);
            usage.service_tier = response.get("service_tier").some_text().map(str::to_owned);
            out.push(Extraction::Usage(usage));
        }
        let error = response.get("error");
        if error.is_truthy() {
            self.fail(error, out);
        }
        let reason = response.get("incomplete_details").get("reason").some_text();
        if let Some(reason) = reason.or_else(|| response.get("status").some_text()) {
            if reason == "failed" && !self.has_failed {
                self.fail(&Json::Null, out);
            }
            out.push(Extraction::Finished {
                choice: 0,
                reason: reason.to_owned(),
            });
        }
        out.push(Extraction::Ended);
    }

    fn end_calls(&mut self, out: &mut Vec<Extraction>) {
        for open in self.open.iter_mut().filter(|open| !open.has_ended) {
            open.has_ended = true;
            out.push(Extraction::ToolCallEnded { call: open.call });
        }
    }

    /// `response.failed` repeats the `error` event before it.
    fn fail(&mut self, error: &Json<'_>, out: &mut Vec<Extraction>) {
        if !std::mem::replace(&mut self.has_failed, true) {
            let mut failure = failure_of(error);
            // The flat form's type is the event's; the nested one's repeats the code.
            if failure.kind.as_deref() == Some("error") || failure.kind == failure.code {
                failure.kind = None;
            }
            out.push(Extraction::Failed(failure));
        }
    }
}

/// The kind of call that an item is, if it is one.
fn call_kind<'j>(item: &'j Json<'_>) -> Option<&'j str> {
    item.get("type")
        .text()
        .filter(|kind| kind.ends_with("_call"))
}

/// Calls that the provider answers itself.
fn is_server(kind: &str) -> bool {
    !matches!(
        kind,
        "function_call"
            | "custom_tool_call"
            | "computer_call"
            | "local_shell_call"
            | "apply_patch_call"
    )
}

/// The arguments or the input that an item carries itself.
fn given_arguments(item: &Json<'_>) -> String {
    let given = ["arguments", "input"]
        .iter()
        .find_map(|name| item.get(name).some_text());
    given.unwrap_or_default().to_owned()
}

fn encrypted(item: &Json<'_>, out: &mut Vec<Extraction>) {
    if let Some(value) = item.get("encrypted_content").some_text() {
        out.push(Extraction::Encrypted {
            call: None,
            value: value.to_owned(),
        });
    }
}

fn result_of(item: &Json<'_>, call: u32, out: &mut Vec<Extraction>) {
    let content = item.get("output");
    if content.is_truthy() {
        out.push(Extraction::ToolCallResult {
            call,
            content: content
                .text()
                .map_or_else(|| content.to_string(), str::to_owned),
        });
    }
}

fn usage_of(usage: &Json<'_>) -> Usage {
    let of_input = usage.get("input_tokens_details");
    Usage {
        input_tokens: usage.get("input_tokens").count(),
        cached_input_tokens: of_input.get("cached_tokens").count(),
        cache_write_tokens: of_input.get("cache_write_tokens").count(),
        output_tokens: usage.get("output_tokens").count(),
        reasoning_tokens: usage
            .get("output_tokens_details")
            .get("reasoning_tokens")
            .count(),
        ..Usage::default()
    }
}
