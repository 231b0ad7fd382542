//! Anthropic Messages, streamed and whole.
//!
//! Source: Anthropic's documentation of streaming messages and of prompt caching, and recorded streams.

use std::collections::BTreeMap;

use super::{
    Calls, Identity, MAX_BLOCKS, TooManyBlocks, arguments, failure_of, reasoning, text,
    whole_arguments,
};
use crate::{Extraction, Usage, json::Json};

/// What is remembered of an open block.
#[derive(Debug)]
enum Block {
    Text,
    Reasoning {
        signature: String,
    },
    ToolCall {
        call: u32,
        input: Option<String>,
        has_fragments: bool,
    },
    Other,
}

#[derive(Debug, Default)]
pub(crate) struct Anthropic {
    identity: Identity,
    calls: Calls,
    blocks: BTreeMap<u64, Block>,
    /// Calls of the provider's own tools by their id, to find whom a result answers.
    server_calls: Vec<(String, u32)>,
    usage: Tokens,
    has_begun: bool,
    has_failed: bool,
}

impl Anthropic {
    pub(crate) fn event(
        &mut self,
        json: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<(), TooManyBlocks> {
        match json.get("type").text() {
            Some("message_start") => self.begin(json.get("message"), out),
            Some("content_block_start") => {
                let index = json.get("index").count().unwrap_or(0);
                return self.open(index, json.get("content_block"), out);
            }
            Some("content_block_delta") => {
                let index = json.get("index").count().unwrap_or(0);
                self.delta(index, json.get("delta"), out);
            }
            Some("content_block_stop") => {
                let index = json.get("index").count().unwrap_or(0);
                if let Some(block) = self.blocks.remove(&index) {
                    close(block, out);
                }
            }
            Some("message_delta") => {
                stop_reason(json.get("delta"), out);
                self.take_usage(json.get("usage"), out);
            }
            Some("message_stop") => {
                self.close_all(out);
                out.push(Extraction::Ended);
            }
            Some("message") => return self.whole(json, out),
            Some("error") => self.fail(json.get("error"), out),
            Some(_) => {}
            None if json.get("error").is_truthy() => self.fail(json.get("error"), out),
            None => {}
        }
        Ok(())
    }

    fn begin(&mut self, message: &Json<'_>, out: &mut Vec<Extraction>) {
        if self.has_begun {
            // A proxy has spliced another try into the stream.
            let n_started = self.calls.n_started;
            *self = Self::default();
            self.calls.n_started = n_started;
            out.push(Extraction::Restarted);
        }
        self.has_begun = true;
        self.identity
            .note(message.get("id").text(), message.get("model").text(), out);
        stop_reason(message, out);
        self.take_usage(message.get("usage"), out);
    }

    fn open(
        &mut self,
        index: u64,
        block: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<(), TooManyBlocks> {
        if self.blocks.len() >= MAX_BLOCKS {
            return Err(TooManyBlocks);
        }
        if let Some(unclosed) = self.blocks.remove(&index) {
            close(unclosed, out);
        }
        let kind = block.get("type").text().unwrap_or_default();
        let opened = match kind {
            "text" => {
                text(0, block.get("text").text(), out);
                Block::Text
            }
            "thinking" => {
                reasoning(0, block.get("thinking").text(), out);
                Block::Reasoning {
                    signature: block.get("signature").text().unwrap_or_default().to_owned(),
                }
            }
            "redacted_thinking" => {
                if let Some(data) = block.get("data").some_text() {
                    out.push(Extraction::Encrypted {
                        call: None,
                        value: data.to_owned(),
                    });
                }
                Block::Other
            }
            "tool_use" | "server_tool_use" | "mcp_tool_use" => {
                let id = block.get("id").text();
                let name = block.get("name").text().unwrap_or_default();
                let is_server = kind != "tool_use";
                let call = self.calls.start(0, id, name, is_server, out)?;
                if let (true, Some(id)) = (is_server, id) {
                    self.server_calls.push((id.to_owned(), call));
                }
                let input = block.get("input");
                Block::ToolCall {
                    call,
                    input: (input.is_truthy()).then(|| match input {
                        Json::Text(text) => text.clone().into_owned(),
                        input => input.to_string(),
                    }),
                    has_fragments: false,
                }
            }
            _ if kind.ends_with("tool_result") => {
                self.tool_result(block, out);
                Block::Other
            }
            _ => Block::Other,
        };
        self.blocks.insert(index, opened);
        Ok(())
    }

    fn delta(&mut self, index: u64, delta: &Json<'_>, out: &mut Vec<Extraction>) {
        match delta.get("type").text() {
            Some("text_delta") => text(0, delta.get("text").text(), out),
            Some("thinking_delta") => reasoning(0, delta.get("thinking").text(), out),
            Some("signature_delta") => {
                if let Some(Block::Reasoning { signature }) = self.blocks.get_mut(&index) {
                    signature.push_str(delta.get("signature").text().unwrap_or_default());
                }
            }
            Some("input_json_delta") => {
                if let Some(Block::ToolCall {
                    call,
                    has_fragments,
                    ..
                }) = self.blocks.get_mut(&index)
                    && let Some(fragment) = delta.get("partial_json").some_text()
                {
                    *has_fragments = true;
                    arguments(*call, fragment, out);
                }
            }
            _ => {}
        }
    }

    fn tool_result(&self, block: &Json<'_>, out: &mut Vec<Extraction>) {
        let id = block.get("tool_use_id").text().unwrap_or_default();
        if let Some((_, call)) = self.server_calls.iter().find(|(known, _)| known == id) {
            out.push(Extraction::ToolCallResult {
                call: *call,
                content: block.get("content").to_string(),
            });
        }
    }

    fn close_all(&mut self, out: &mut Vec<Extraction>) {
        for (_, block) in std::mem::take(&mut self.blocks) {
            close(block, out);
        }
    }

    /// A body that is not streamed.
    fn whole(
        &mut self,
        message: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<(), TooManyBlocks> {
        self.identity
            .note(message.get("id").text(), message.get("model").text(), out);
        for (index, block) in (0..).zip(message.get("content").elements()) {
            self.open(index, block, out)?;
            if let Some(block) = self.blocks.remove(&index) {
                close(block, out);
            }
        }
        stop_reason(message, out);
        self.take_usage(message.get("usage"), out);
        out.push(Extraction::Ended);
        Ok(())
    }

    fn take_usage(&mut self, usage: &Json<'_>, out: &mut Vec<Extraction>) {
        if usage.is_object() {
            self.usage.merge(usage);
            out.push(Extraction::Usage(self.usage.usage()));
        }
    }

    fn fail(&mut self, error: &Json<'_>, out: &mut Vec<Extraction>) {
        if !std::mem::replace(&mut self.has_failed, true) {
            out.push(Extraction::Failed(failure_of(error)));
        }
    }
}

fn stop_reason(holder: &Json<'_>, out: &mut Vec<Extraction>) {
    if let Some(reason) = holder.get("stop_reason").some_text() {
        out.push(Extraction::Finished {
            choice: 0,
            reason: reason.to_owned(),
        });
    }
}

fn close(block: Block, out: &mut Vec<Extraction>) {
    match block {
        Block::Text | Block::Other => {}
        Block::Reasoning { signature } => {
            out.push(Extraction::ReasoningEnded { choice: 0 });
            if !signature.is_empty() {
                out.push(Extraction::Encrypted {
                    call: None,
                    value: signature,
                });
            }
        }
        Block::ToolCall {
            call,
            input,
            has_fragments,
        } => {
            if !has_fragments {
                // A call without arguments may send none at all.
                match input {
                    Some(input) => arguments(call, &input, out),
                    None => whole_arguments(call, &Json::Null, out),
                }
            }
            out.push(Extraction::ToolCallEnded { call });
        }
    }
}

/// The provider's own counts. Those of `message_delta` are cumulative and replace those of `message_start`, each
/// for itself; what is `null` or absent says nothing.
#[derive(Debug, Default)]
struct Tokens {
    uncached: Option<u64>,
    cache_read: Option<u64>,
    cache_creation: Option<u64>,
    cache_creation_5m: Option<u64>,
    cache_creation_1h: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
    web_searches: Option<u64>,
    service_tier: Option<String>,
    billed: Option<Box<Usage>>,
}

impl Tokens {
    fn merge(&mut self, usage: &Json<'_>) {
        let replace = |count: &mut Option<u64>, said: &Json<'_>| {
            if let Some(said) = said.count() {
                *count = Some(said);
            }
        };
        let creation = usage.get("cache_creation");
        replace(&mut self.uncached, usage.get("input_tokens"));
        replace(&mut self.cache_read, usage.get("cache_read_input_tokens"));
        replace(
            &mut self.cache_creation,
            usage.get("cache_creation_input_tokens"),
        );
        replace(
            &mut self.cache_creation_5m,
            creation.get("ephemeral_5m_input_tokens"),
        );
        replace(
            &mut self.cache_creation_1h,
            creation.get("ephemeral_1h_input_tokens"),
        );
        replace(&mut self.output, usage.get("output_tokens"));
        let details = usage.get("output_tokens_details");
        replace(&mut self.thinking, details.get("thinking_tokens"));
        let server_tools = usage.get("server_tool_use");
        replace(
            &mut self.web_searches,
            server_tools.get("web_search_requests"),
        );
        if let Some(tier) = usage.get("service_tier").some_text() {
            self.service_tier = Some(tier.to_owned());
        }
        let turns = usage.get("iterations").elements();
        if turns.len() > 1 {
            self.billed = Some(Box::new(sum_of_turns(turns)));
        }
    }

    fn usage(&self) -> Usage {
        let is_known = self.uncached.is_some() || self.output.is_some();
        // Without a total, it is the sum of its parts.
        let parts = self
            .cache_creation_5m
            .unwrap_or(0)
            .saturating_add(self.cache_creation_1h.unwrap_or(0));
        let cache_write = self.cache_creation.unwrap_or(parts);
        let cache_read = self.cache_read.unwrap_or(0);
        let mut billed = self.billed.clone();
        if let Some(billed) = &mut billed {
            billed.service_tier.clone_from(&self.service_tier);
            billed.web_searches = self.web_searches;
        }
        Usage {
            input_tokens: self.uncached.map(|uncached| {
                uncached
                    .saturating_add(cache_read)
                    .saturating_add(cache_write)
            }),
            cached_input_tokens: is_known.then_some(cache_read),
            cache_write_tokens: is_known.then_some(cache_write),
            cache_write_1h_tokens: self.cache_creation_1h,
            output_tokens: self.output,
            reasoning_tokens: self.thinking,
            web_searches: self.web_searches,
            service_tier: self.service_tier.clone(),
            billed,
        }
    }
}

/// With compaction each turn is billed, and the counts outside are those of the last turn.
fn sum_of_turns(turns: &[Json<'_>]) -> Usage {
    let mut sum = Usage::default();
    let add = |count: &mut Option<u64>, more: Option<u64>| {
        if let Some(more) = more {
            *count = Some(count.unwrap_or(0).saturating_add(more));
        }
    };
    for turn in turns {
        let mut tokens = Tokens::default();
        tokens.merge(turn);
        let turn = tokens.usage();
        add(&mut sum.input_tokens, turn.input_tokens);
        add(&mut sum.cached_input_tokens, turn.cached_input_tokens);
        add(&mut sum.cache_write_tokens, turn.cache_write_tokens);
        add(&mut sum.cache_write_1h_tokens, turn.cache_write_1h_tokens);
        add(&mut sum.output_tokens, turn.output_tokens);
        add(&mut sum.reasoning_tokens, turn.reasoning_tokens);
    }
    sum
}
