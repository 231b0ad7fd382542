//! The contexts of a user, as far as this process has seen them.

use events_core::ContextId;
use events_models::{ContextSummary, SystemEvent};

use crate::order_budget::{OrderBudget, count};

/// A bounded list of contexts, the one that changed last at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContextBook {
    contexts: Vec<ContextSummary>,
    /// What a snapshot of them takes, in bytes of JSON, estimated from above.
    json_bytes: usize,
}

/// What one context takes in a snapshot beside its texts, in bytes of JSON.
const JSON_AROUND: usize = 160;

impl ContextBook {
    /// What all contexts of a user may take in a snapshot, in bytes of JSON; each stream that begins is sent one.
    pub(crate) const MAX_JSON_BYTES: usize = 256 << 10;

    /// Counts the bytes that it holds, from above.
    pub(crate) fn held_bytes(&self) -> usize {
        let names = self
            .contexts
            .iter()
            .map(|context| context.context_id.as_str().len() + 48 + context.name.capacity());
        self.contexts.capacity() * size_of::<ContextSummary>() + names.sum::<usize>()
    }

    /// Puts contexts back as they were saved.
    pub(crate) fn put_back(&mut self, contexts: Vec<ContextSummary>) {
        self.json_bytes = contexts.iter().map(json_bytes).sum();
        self.contexts = contexts;
    }

    pub(crate) fn list(&self) -> Vec<ContextSummary> {
        self.contexts.clone()
    }

    /// Notes that a run has begun in a thread, which is a context.
    pub(crate) fn saw_run(&mut self, thread: &str, now_ms: i64, budget: &OrderBudget) {
        self.touch(&ContextId::new(thread), None, now_ms, budget);
    }

    pub(crate) fn saw_system(&mut self, event: &SystemEvent, now_ms: i64, budget: &OrderBudget) {
        match event {
            SystemEvent::ContextCreated {
                context_id, name, ..
            } => {
                self.touch(context_id, Some(name), now_ms, budget);
            }
            SystemEvent::ContextUpdated {
                context_id, name, ..
            } => {
                self.touch(context_id, name.as_deref(), now_ms, budget);
            }
            SystemEvent::ContextDeleted { context_id, .. } => {
                self.contexts
                    .retain(|context| context.context_id != *context_id);
                self.json_bytes = self.contexts.iter().map(json_bytes).sum();
            }
            SystemEvent::ContextsSnapshot { .. }
            | SystemEvent::Connected { .. }
            | SystemEvent::Heartbeat { .. } => {}
        }
    }

    /// Puts a context at the end, with its new name if it has one; beyond the bounds those that have not changed for
    /// the longest go.
    fn touch(&mut self, id: &ContextId, name: Option<&str>, now_ms: i64, budget: &OrderBudget) {
        let found = self
            .contexts
            .iter()
            .rposition(|context| context.context_id == *id);
        let mut context = match found {
            Some(index) => {
                let context = self.contexts.remove(index);
                self.json_bytes -= json_bytes(&context);
                context
            }
            None => ContextSummary {
                context_id: id.clone(),
                name: id.as_str().to_owned(),
                created_at_ms: Some(now_ms),
                updated_at_ms: None,
                message_count: None,
            },
        };
        if let Some(name) = name {
            name.clone_into(&mut context.name);
        }
        context.updated_at_ms = Some(now_ms);
        self.json_bytes += json_bytes(&context);
        self.contexts.push(context);
        while self.contexts.len() > budget.contexts_per_user
            || self.json_bytes > Self::MAX_JSON_BYTES
        {
            let oldest = self.contexts.remove(0);
            self.json_bytes -= json_bytes(&oldest);
            count(&budget.counters.contexts_forgotten);
        }
    }
}

fn json_bytes(context: &ContextSummary) -> usize {
    JSON_AROUND + escaped_len(context.context_id.as_str()) + escaped_len(&context.name)
}

/// The length of a text as JSON, without its quotes, from above. It is asked for with each event that names a context.
fn escaped_len(text: &str) -> usize {
    /// Bytes whose count is one as well.
    const SLICE: usize = 255;
    let count = |is_it: fn(u8) -> bool| -> usize {
        let slices = text.as_bytes().chunks(SLICE);
        let of_slice = |slice: &[u8]| slice.iter().map(|byte| u8::from(is_it(*byte))).sum::<u8>();
        slices.map(|slice| usize::from(of_slice(slice))).sum()
    };
    text.len() + count(|byte| matches!(byte, b'"' | b'\\')) + 5 * count(|byte| byte < 0x20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_text_as_json_is_not_underestimated() {
        for text in [
            "",
            "plain",
            "\"quoted\" \\ and \n",
            &"\u{1}\"".repeat(300),
            "é\u{7f}",
        ] {
            let exact = serde_json::to_string(text).unwrap().len() - 2;
            assert!(
                (exact..=6 * text.len()).contains(&escaped_len(text)),
                "{text:?}"
            );
        }
        assert_eq!(escaped_len(&"x".repeat(1_000)), 1_000);
    }
}
