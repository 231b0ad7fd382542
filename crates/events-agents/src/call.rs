//! One call of an agent, from the run's beginning to its end.

use std::time::Duration;

use bytes::Bytes;
use events_axum::{AgentCall, AgentPlace};
use events_llm::gateway::UpstreamAnswer;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::time::{sleep, timeout};
use tracing::{Instrument as _, field::Empty};

use crate::{
    RunEnd,
    answer::{Answer, Said, invalid_event},
    caller::Place,
    metrics::Dropped,
    writer::{Unwritten, Writer},
};

/// How long an answer is read on after the end of its run, so that the agent can end by itself.
const AFTER_END: Duration = Duration::from_secs(5);

/// The longest part of a foreign header that is shown, in characters.
const MAX_SHOWN: usize = 80;

impl AgentPlace for Place {
    fn begin(self: Box<Self>, call: AgentCall) {
        if !self.admit(&call.run) {
            return;
        }
        let span = tracing::info_span!(
            "agent_run",
            agent = %self.agent.name,
            run = %call.run,
            n_events = Empty,
            end = Empty
        );
        span.in_scope(
            || tracing::debug!(user = %call.user, thread = %call.thread, "run asked for"),
        );
        let shared = std::sync::Arc::clone(&self.shared);
        shared.spawn(Box::pin(self.run(call)).instrument(span));
    }
}

impl Place {
    async fn run(self: Box<Self>, call: AgentCall) {
        let AgentCall {
            user,
            thread,
            run,
            start,
            input,
            authorization,
            open: _open,
            begun,
            started,
        } = call;
        let shared = &self.shared;
        let router = shared.router.clone();
        let writer = Writer::new(router, user, thread.clone(), run.clone());
        let published = writer.begin(start).await;
        let is_ours = published
            .as_ref()
            .is_ok_and(|published| published.duplicates == 0);
        // Whoever asked may have left; the run goes on.
        let _is_told = begun.send(published);
        let name = &*self.agent.name;
        if !is_ours {
            shared.metrics.ended(name, "not_begun");
            return;
        }
        let most = shared.router.store().limits().event_bytes;
        let answer = Answer::new(thread, run, started, most);
        let limit = shared.limits.run_time;
        let (end, rest) = tokio::select! {
            ended = self.follow(&writer, answer, input, authorization) => ended,
            () = self.stop.notified() => (RunEnd::Elsewhere, None),
            () = writer.over_elsewhere() => (RunEnd::Elsewhere, None),
            () = shared.cut_off() => (RunEnd::HubStopped, None),
            () = sleep(limit) => (RunEnd::TooLong(limit), None),
        };
        writer.close(&end).await;
        let span = tracing::Span::current();
        span.record("end", end.code());
        span.record("n_events", writer.n_written());
        tracing::info!("run of an agent ended");
        shared.metrics.ended(name, end.code());
        if let Some((upstream, answer)) = rest {
            // No more is waited for than this, and a hub that goes away does not wait at all.
            let reading = timeout(AFTER_END, self.read_on(upstream, answer));
            tokio::select! {
                _read = reading => {}
                () = shared.cut_off() => {}
            }
        }
    }

    /// Calls the agent and writes what it says. Returns the rest of its answer if the agent itself has ended the run.
    async fn follow(
        &self,
        writer: &Writer,
        mut answer: Answer,
        input: Bytes,
        authorization: Option<HeaderValue>,
    ) -> (RunEnd, Option<(UpstreamAnswer, Answer)>) {
        let (upstream, agent) = (&self.shared.upstream, &self.agent);
        let headers = agent.headers(authorization);
        let calling = upstream.post(&agent.target, headers, input, agent.timeouts);
        let mut upstream = match calling.await {
            Ok(upstream) => upstream,
            Err(failure) => return (RunEnd::Upstream(failure), None),
        };
        if let Some(end) = refuse_head(upstream.status, &upstream.headers) {
            return (end, None);
        }
        loop {
            let said = match upstream.next().await {
                Ok(Some(bytes)) => answer.read(&bytes),
                Ok(None) => answer.finish(),
                Err(failure) => return (RunEnd::Upstream(failure), None),
            };
            self.count(&said);
            let Said {
                events,
                numbers,
                end,
                ..
            } = said;
            match writer.write(events).await {
                Ok(()) => {}
                Err(Unwritten::Refused(index, why)) => {
                    let n = numbers.get(index).copied().unwrap_or_default();
                    return (invalid_event(n, &why), None);
                }
                Err(Unwritten::Log) => return (RunEnd::Log, None),
            }
            match end {
                None => {}
                Some(end @ (RunEnd::Finished | RunEnd::Failed)) => {
                    return (end, Some((upstream, answer)));
                }
                Some(end) => return (end, None),
            }
        }
    }

    fn count(&self, said: &Said) {
        let metrics = &self.shared.metrics;
        metrics.said(&self.agent.name, said.events.len());
        for dropped in &said.dropped {
            metrics.dropped(*dropped);
        }
    }

    /// Reads an answer to its end, after that of its run.
    async fn read_on(&self, mut upstream: UpstreamAnswer, mut answer: Answer) {
        while let Ok(Some(bytes)) = upstream.next().await {
            let said = answer.read(&bytes);
            for _ in 0..said.events.len() + said.dropped.len() {
                self.shared.metrics.dropped(Dropped::AfterEnd);
            }
        }
    }
}

/// Says why an answer with this head is no stream of events.
fn refuse_head(status: StatusCode, headers: &HeaderMap) -> Option<RunEnd> {
    if status != StatusCode::OK {
        return Some(RunEnd::Status(status.as_u16()));
    }
    let shown = |name| {
        let value = headers.get(name)?.to_str().unwrap_or("(no text)");
        Some(value.chars().take(MAX_SHOWN).collect::<String>())
    };
    let content_type = shown(header::CONTENT_TYPE).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("text/event-stream") {
        return Some(RunEnd::Invalid(format!(
            "the agent answered with the content type {content_type:?} in place of text/event-stream"
        )));
    }
    let encoding = shown(header::CONTENT_ENCODING).filter(|encoding| encoding != "identity");
    encoding.map(|encoding| {
        RunEnd::Invalid(format!(
            "the agent compressed its answer ({encoding:?}), which it was asked not to"
        ))
    })
}
