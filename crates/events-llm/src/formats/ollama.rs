//! Ollama's `/api/chat` and `/api/generate`: one JSON object per line, the last one with `done`.
//!
//! Source: Ollama's API documentation and recorded streams.

use super::{Calls, Identity, TooManyBlocks, failure_of, reasoning, text, whole_arguments};
use crate::{Extraction, Usage, json::Json};

#[derive(Debug, Default)]
pub(crate) struct Ollama {
    identity: Identity,
    calls: Calls,
    has_failed: bool,
}

impl Ollama {
    pub(crate) fn event(
        &mut self,
        json: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<(), TooManyBlocks> {
        self.identity.note(None, json.get("model").text(), out);
        let message = json.get("message");
        reasoning(0, message.get("thinking").text(), out);
        text(0, message.get("content").text(), out);
        // The form of `/api/generate`.
        reasoning(0, json.get("thinking").text(), out);
        text(0, json.get("response").text(), out);
        for entry in message.get("tool_calls").elements() {
            let function = entry.get("function");
            let name = function.get("name").text().unwrap_or_default();
            let call = self
                .calls
                .start(0, entry.get("id").text(), name, false, out)?;
            whole_arguments(call, function.get("arguments"), out);
            out.push(Extraction::ToolCallEnded { call });
        }
        let error = json.get("error");
        if error.is_truthy() && !std::mem::replace(&mut self.has_failed, true) {
            out.push(Extraction::Failed(failure_of(error)));
        }
        if json.get("done").is_truthy() {
            let usage = Usage {
                // Older servers leave it out when the prompt was in the cache.
                input_tokens: json.get("prompt_eval_count").count(),
                output_tokens: json.get("eval_count").count(),
                ..Usage::default()
            };
            if !usage.is_empty() {
                out.push(Extraction::Usage(usage));
            }
            if let Some(reason) = json.get("done_reason").some_text() {
                out.push(Extraction::Finished {
                    choice: 0,
                    reason: reason.to_owned(),
                });
            }
            out.push(Extraction::Ended);
        }
        Ok(())
    }
}
