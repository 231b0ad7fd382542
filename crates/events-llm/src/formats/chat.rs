//! OpenAI Chat Completions and its many dialects, streamed and whole.
//!
//! Source: OpenAI's API reference; recorded streams of OpenRouter, Groq, DeepSeek, xAI, vLLM and llama.cpp.

use super::{
    Calls, Identity, TooManyBlocks, arguments, choice_index, failure_of, reasoning, refusal, text,
};
use crate::{Extraction, Usage, json::Json};

/// How many bytes of arguments wait for the name of their tool.
const MAX_EARLY_ARGUMENTS: usize = 64 << 10;

/// The index of a call in the old form, which has none.
const FUNCTION_CALL: u64 = u64::MAX;

#[derive(Debug)]
struct OpenCall {
    choice: u32,
    index: u64,
    id: Option<String>,
    /// `None` until its name is known.
    call: Option<u32>,
    early_arguments: String,
    has_ended: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Chat {
    identity: Identity,
    calls: Calls,
    open: Vec<OpenCall>,
    has_failed: bool,
}

impl Chat {
    pub(crate) fn event(
        &mut self,
        json: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<(), TooManyBlocks> {
        self.identity
            .note(json.get("id").text(), json.get("model").text(), out);
        let choices = json.get("choices").elements();
        for choice in choices {
            let index = choice_index(choice);
            // `delta` in a stream, `message` in a whole body, `text` in the old completions.
            let delta = choice.get("delta");
            let delta = if delta.is_object() {
                delta
            } else {
                choice.get("message")
            };
            self.delta(index, delta, out)?;
            text(index, choice.get("text").text(), out);
            if let Some(reason) = choice.get("finish_reason").some_text() {
                self.end_calls_of(index, out);
                out.push(Extraction::Finished {
                    choice: index,
                    reason: reason.to_owned(),
                });
            }
        }
        take_usage(json, choices, out);
        let error = json.get("error");
        if error.is_truthy() && !std::mem::replace(&mut self.has_failed, true) {
            out.push(Extraction::Failed(failure_of(error)));
        }
        if matches!(
            json.get("object").text(),
            Some("chat.completion" | "text_completion")
        ) && choices
            .iter()
            .any(|choice| choice.get("finish_reason").some_text().is_some())
            && choices
                .iter()
                .all(|choice| !choice.get("delta").is_object())
        {
            self.end_calls(out);
            if json.get("object").text() == Some("chat.completion") {
                out.push(Extraction::Ended);
            }
        }
        Ok(())
    }

    fn delta(
        &mut self,
        choice: u32,
        delta: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<(), TooManyBlocks> {
        think(choice, delta, out);
        match delta.get("content") {
            Json::Array(parts) => {
                for part in parts {
                    if part.get("type").text() == Some("thinking") {
                        for thought in part.get("thinking").elements() {
                            reasoning(choice, thought.get("text").text(), out);
                        }
                        reasoning(choice, part.get("thinking").text(), out);
                    } else {
                        text(choice, part.get("text").text(), out);
                    }
                }
            }
            content => text(choice, content.text(), out),
        }
        refusal(choice, delta.get("refusal").text(), out);
        for entry in delta.get("tool_calls").elements() {
            self.tool_call(choice, entry, out)?;
        }
        let function = delta.get("function_call");
        if function.is_object() {
            self.fragment(choice, Some(FUNCTION_CALL), None, function, out)?;
        }
        Ok(())
    }

    fn tool_call(
        &mut self,
        choice: u32,
        entry: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<(), TooManyBlocks> {
        let function = entry.get("function");
        let function = if function.is_object() {
            function
        } else {
            entry.get("custom")
        };
        let index = entry.get("index").count();
        self.fragment(choice, index, entry.get("id").some_text(), function, out)
    }

    fn fragment(
        &mut self,
        choice: u32,
        index: Option<u64>,
        id: Option<&str>,
        function: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<(), TooManyBlocks> {
        let at = self.find(choice, index, id)?;
        let Some(open) = self.open.get_mut(at) else {
            return Ok(());
        };
        if open.id.is_none() {
            open.id = id.map(str::to_owned);
        }
        let fragment = match function.get("arguments") {
            Json::Null => function.get("input"),
            fragment => fragment,
        };
        let fragment = match fragment {
            Json::Object(_) => fragment.to_string(),
            other => other.text().unwrap_or_default().to_owned(),
        };
        if let Some(call) = open.call {
            arguments(call, &fragment, out);
        } else if let Some(name) = function.get("name").some_text() {
            let call = self
                .calls
                .start(choice, open.id.as_deref(), name, false, out)?;
            open.call = Some(call);
            arguments(call, &std::mem::take(&mut open.early_arguments), out);
            arguments(call, &fragment, out);
        } else if open.early_arguments.len() + fragment.len() <= MAX_EARLY_ARGUMENTS {
            open.early_arguments.push_str(&fragment);
        }
        Ok(())
    }

    /// Finds the call that an entry continues, or opens one.
    ///
    /// Some servers number all calls 0 and tell them apart by id, some give no number at all.
    fn find(
        &mut self,
        choice: u32,
        index: Option<u64>,
        id: Option<&str>,
    ) -> Result<usize, TooManyBlocks> {
        let of_choice = |open: &OpenCall| open.choice == choice && !open.has_ended;
        let found = self.open.iter().rposition(|open| {
            of_choice(open)
                && match (index, id) {
                    (Some(index), Some(id)) => {
                        open.index == index && open.id.as_deref().is_none_or(|known| known == id)
                    }
                    (Some(index), None) => open.index == index,
                    (None, Some(id)) => open.id.as_deref() == Some(id),
                    (None, None) => true,
                }
        });
        if let Some(found) = found {
            return Ok(found);
        }
        if self.open.len() >= super::MAX_BLOCKS {
            return Err(TooManyBlocks);
        }
        self.open.push(OpenCall {
            choice,
            index: index.unwrap_or(self.open.len() as u64),
            id: None,
            call: None,
            early_arguments: String::new(),
            has_ended: false,
        });
        Ok(self.open.len() - 1)
    }

    fn end_calls_of(&mut self, choice: u32, out: &mut Vec<Extraction>) {
        let calls = self.open.iter_mut().filter(|open| open.choice == choice);
        end(calls, out);
    }

    pub(crate) fn end_calls(&mut self, out: &mut Vec<Extraction>) {
        end(self.open.iter_mut(), out);
    }
}

fn take_usage(json: &Json<'_>, choices: &[Json<'_>], out: &mut Vec<Extraction>) {
    let of_groq = json.get("x_groq").get("usage");
    let of_choice = choices.first().map(|choice| choice.get("usage"));
    let candidates = [Some(json.get("usage")), Some(of_groq), of_choice];
    if let Some(usage) = candidates
        .into_iter()
        .flatten()
        .find(|usage| usage.is_object())
    {
        let mut usage = usage_of(usage);
        usage.service_tier = json.get("service_tier").some_text().map(str::to_owned);
        out.push(Extraction::Usage(usage));
    }
}

fn end<'c>(calls: impl Iterator<Item = &'c mut OpenCall>, out: &mut Vec<Extraction>) {
    for open in calls.filter(|open| !open.has_ended) {
        open.has_ended = true;
        if let Some(call) = open.call {
            out.push(Extraction::ToolCallEnded { call });
        }
    }
}

/// Reasoning is not part of the standard, so each server has its own member; several may say the same.
fn think(choice: u32, delta: &Json<'_>, out: &mut Vec<Extraction>) {
    let plain = ["reasoning_content", "reasoning"]
        .iter()
        .find_map(|name| delta.get(name).some_text());
    if plain.is_some() {
        reasoning(choice, plain, out);
    }
    for detail in delta.get("reasoning_details").elements() {
        if plain.is_none() {
            let said = detail.get("text").some_text();
            reasoning(choice, said.or_else(|| detail.get("summary").text()), out);
        }
        if choice == 0
            && let Some(data) = detail.get("data").some_text()
        {
            out.push(Extraction::Encrypted {
                call: None,
                value: data.to_owned(),
            });
        }
    }
}

/// Reads the counts: what was read from a cache is part of the prompt, reasoning part of the answer.
fn usage_of(usage: &Json<'_>) -> Usage {
    let of_input = usage.get("prompt_tokens_details");
    let of_output = usage.get("completion_tokens_details");
    let input_tokens = usage.get("prompt_tokens").count();
    let reasoning_tokens = of_output.get("reasoning_tokens").count();
    let mut output_tokens = usage.get("completion_tokens").count();
    if let (Some(input), Some(output), Some(reasoning), Some(total)) = (
        input_tokens,
        output_tokens,
        reasoning_tokens,
        usage.get("total_tokens").count(),
    ) {
        // xAI leaves reasoning out of the answer; its total and its own cost have it.
        if reasoning > 0 && total == input.saturating_add(output).saturating_add(reasoning) {
            output_tokens = Some(output.saturating_add(reasoning));
        }
    }
    Usage {
        input_tokens,
        cached_input_tokens: of_input
            .get("cached_tokens")
            .count()
            .or_else(|| usage.get("prompt_cache_hit_tokens").count())
            .or_else(|| usage.get("cached_tokens").count()),
        cache_write_tokens: of_input.get("cache_write_tokens").count(),
        output_tokens,
        reasoning_tokens,
        ..Usage::default()
    }
}
