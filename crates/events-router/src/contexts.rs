//! The contexts of a user, as far as this process has seen them.

use events_core::ContextId;
use events_models::{ContextSummary, SystemEvent};

/// A bounded list of contexts, the one that changed last at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContextBook {
    contexts: Vec<ContextSummary>,
}

impl ContextBook {
    /// Contexts remembered per user; beyond it the one that has not changed for the longest goes.
    const MAX: usize = 1_000;

    pub(crate) fn list(&self) -> Vec<ContextSummary> {
        self.contexts.clone()
    }

    /// Notes that a run has begun in a thread, which is a context.
    pub(crate) fn saw_run(&mut self, thread: &str, now_ms: i64) {
        self.touch(&ContextId::new(thread), now_ms);
    }

    pub(crate) fn saw_system(&mut self, event: &SystemEvent, now_ms: i64) {
        match event {
            SystemEvent::ContextCreated {
                context_id, name, ..
            } => {
                self.touch(context_id, now_ms).name.clone_from(name);
            }
            SystemEvent::ContextUpdated {
                context_id, name, ..
            } => {
                let context = self.touch(context_id, now_ms);
                if let Some(name) = name {
                    context.name.clone_from(name);
                }
            }
            SystemEvent::ContextDeleted { context_id, .. } => {
                self.contexts
                    .retain(|context| context.context_id != *context_id);
            }
            SystemEvent::ContextsSnapshot { .. }
            | SystemEvent::Connected { .. }
            | SystemEvent::Heartbeat { .. } => {}
        }
    }

    fn touch(&mut self, id: &ContextId, now_ms: i64) -> &mut ContextSummary {
        let found = self
            .contexts
            .iter()
            .rposition(|context| context.context_id == *id);
        let mut context = match found {
            Some(index) => self.contexts.remove(index),
            None => ContextSummary {
                context_id: id.clone(),
                name: id.as_str().to_owned(),
                created_at_ms: Some(now_ms),
                updated_at_ms: None,
                message_count: None,
            },
        };
        context.updated_at_ms = Some(now_ms);
        if self.contexts.len() == Self::MAX {
            self.contexts.remove(0);
        }
        self.contexts.push(context);
        let last = self.contexts.len() - 1;
        &mut self.contexts[last]
    }
}
