//! Gemini `streamGenerateContent` and `generateContent`: each chunk has the shape of a whole answer.
//!
//! Source: Google's API reference and recorded streams. A finish reason is not the end: text may follow it.

use super::{
    Calls, Identity, TooManyBlocks, arguments, choice_index, failure_of, partial_args::PartialArgs,
    reasoning, text, whole_arguments,
};
use crate::{Extraction, Usage, json::Json};

/// A call whose arguments come in pieces.
#[derive(Debug)]
struct OpenCall {
    call: u32,
    arguments: PartialArgs,
}

#[derive(Debug, Default)]
pub(crate) struct Gemini {
    identity: Identity,
    calls: Calls,
    open: Option<OpenCall>,
    usage: Counts,
    is_thinking: bool,
    has_failed: bool,
}

impl Gemini {
    pub(crate) fn event(
        &mut self,
        json: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<(), TooManyBlocks> {
        // A proxy or SDK may wrap the answer.
        let wrapped = json.get("response");
        let json = if wrapped.get("candidates").elements().is_empty() {
            json
        } else {
            wrapped
        };
        self.identity.note(
            json.get("responseId").text(),
            json.get("modelVersion").text(),
            out,
        );
        for candidate in json.get("candidates").elements() {
            let choice = choice_index(candidate);
            for part in candidate.get("content").get("parts").elements() {
                self.part(choice, part, out)?;
            }
            if let Some(reason) = candidate.get("finishReason").some_text() {
                self.end_call(out);
                finished(choice, reason.to_owned(), out);
            }
        }
        let blocked = json.get("promptFeedback").get("blockReason");
        if let Some(reason) = blocked.some_text() {
            finished(0, format!("BLOCKED:{reason}"), out);
        }
        let usage = json.get("usageMetadata");
        if usage.is_object() {
            self.usage.merge(usage);
            out.push(Extraction::Usage(self.usage.usage()));
        }
        let error = json.get("error");
        if error.is_truthy() && !std::mem::replace(&mut self.has_failed, true) {
            out.push(Extraction::Failed(failure_of(error)));
        }
        Ok(())
    }

    fn part(
        &mut self,
        choice: u32,
        part: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<(), TooManyBlocks> {
        let said = part.get("text").some_text();
        let is_thought = part.get("thought").is_truthy();
        if choice == 0 && self.is_thinking && !is_thought {
            self.is_thinking = false;
            out.push(Extraction::ReasoningEnded { choice });
        }
        let mut signed_call = None;
        if part.get("functionCall").is_object() {
            signed_call = self.function_call(choice, part.get("functionCall"), out)?;
        } else if is_thought {
            self.is_thinking |= choice == 0 && said.is_some();
            reasoning(choice, said, out);
        } else {
            text(choice, said, out);
        }
        if choice == 0
            && let Some(signature) = part.get("thoughtSignature").some_text()
        {
            out.push(Extraction::Encrypted {
                call: signed_call,
                value: signature.to_owned(),
            });
        }
        Ok(())
    }

    /// Takes a call, or a piece of one; returns the number of the call.
    fn function_call(
        &mut self,
        choice: u32,
        function: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<Option<u32>, TooManyBlocks> {
        let goes_on = function.get("willContinue").is_truthy();
        let pieces = function.get("partialArgs").elements();
        if let Some(name) = function.get("name").some_text() {
            self.end_call(out);
            let call = self
                .calls
                .start(choice, function.get("id").text(), name, false, out)?;
            if goes_on || !pieces.is_empty() {
                self.open = Some(OpenCall {
                    call,
                    arguments: PartialArgs::default(),
                });
            } else {
                whole_arguments(call, function.get("args"), out);
                out.push(Extraction::ToolCallEnded { call });
                return Ok(Some(call));
            }
        }
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        let call = open.call;
        for piece in pieces {
            open.arguments.add(piece)?;
        }
        if !goes_on {
            self.end_call(out);
        }
        Ok(Some(call))
    }

    /// The pieces become one text: they name paths, so that only the whole is JSON.
    fn end_call(&mut self, out: &mut Vec<Extraction>) {
        if let Some(open) = self.open.take() {
            arguments(open.call, &open.arguments.to_string(), out);
            out.push(Extraction::ToolCallEnded { call: open.call });
        }
    }
}

fn finished(choice: u32, reason: String, out: &mut Vec<Extraction>) {
    out.push(Extraction::Finished { choice, reason });
    if choice == 0 {
        out.push(Extraction::Ended);
    }
}

/// The provider's own counts: cumulative, early chunks lack some, the last value counts.
#[derive(Debug, Default)]
struct Counts {
    prompt: Option<u64>,
    cached: Option<u64>,
    tool_prompt: Option<u64>,
    candidates: Option<u64>,
    thoughts: Option<u64>,
    service_tier: Option<String>,
}

impl Counts {
    fn merge(&mut self, usage: &Json<'_>) {
        let replace = |count: &mut Option<u64>, name: &str| {
            if let Some(said) = usage.get(name).count() {
                *count = Some(said);
            }
        };
        replace(&mut self.prompt, "promptTokenCount");
        replace(&mut self.cached, "cachedContentTokenCount");
        replace(&mut self.tool_prompt, "toolUsePromptTokenCount");
        replace(&mut self.candidates, "candidatesTokenCount");
        replace(&mut self.thoughts, "thoughtsTokenCount");
        if let Some(tier) = usage.get("serviceTier").some_text() {
            self.service_tier = Some(tier.to_owned());
        }
    }

    /// The prompt leaves out what tools added to it, and candidates leave out thoughts; both are billed.
    fn usage(&self) -> Usage {
        let Some(prompt) = self.prompt else {
            return Usage {
                output_tokens: self.candidates,
                reasoning_tokens: self.thoughts,
                ..Usage::default()
            };
        };
        let thoughts = self.thoughts.unwrap_or(0);
        Usage {
            input_tokens: Some(prompt.saturating_add(self.tool_prompt.unwrap_or(0))),
            cached_input_tokens: Some(self.cached.unwrap_or(0)),
            output_tokens: Some(self.candidates.unwrap_or(0).saturating_add(thoughts)),
            reasoning_tokens: Some(thoughts),
            service_tier: self.service_tier.clone(),
            ..Usage::default()
        }
    }
}
