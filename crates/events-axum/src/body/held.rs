//! Telling nothing while it is not known whether the token was revoked.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use crate::{StreamState, tenure::Tenure};

/// What is waited for before anything more is told.
pub(super) struct Held {
    /// A token opened the stream, which may have been revoked.
    is_revocable: bool,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Held {
    pub(super) fn new(tenure: &Tenure) -> Self {
        Self {
            is_revocable: tenure.issued_ms.is_some(),
            waiting: None,
        }
    }

    /// Ready when whatever was revoked is known: then the stream was ended, or may go on.
    pub(super) fn poll(
        &mut self,
        state: Option<&StreamState>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let Some(state) = state.filter(|_| self.is_revocable) else {
            return Poll::Ready(());
        };
        if self.waiting.is_none() && state.is_behind() {
            let state = state.clone();
            self.waiting = Some(Box::pin(async move { state.until_known().await }));
        }
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(context));
            self.waiting = None;
        }
        Poll::Ready(())
    }
}
