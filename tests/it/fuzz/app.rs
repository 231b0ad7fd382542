//! The hub's routes without a socket, in a time that stands still.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use axum::{Extension, Router};
use events_axum::{RequestContext, StreamState, hub_router};
use events_core::UserId;
use events_router::EventRouter;
use events_tests::raw_client::{FrameSplitter, RawFrame};
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

use super::ensure;

/// After so many cases the hub is made anew, so that no case is slow for what came before it.
const CASES_PER_HUB: usize = 300;

/// A hub that every case asks as a user of its own.
pub(super) struct App {
    runtime: Runtime,
    pub(super) router: Router,
    pub(super) state: StreamState,
    prepare: fn(&StreamState) -> Prepared<'_>,
    n_cases: usize,
    is_broken: bool,
}

type Prepared<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
    /// The body has come to its end; a stream that waits has not.
    pub(super) has_ended: bool,
}

/// The user of a hub in which nothing has happened to them.
pub(super) fn ada() -> UserId {
    UserId::new("ada")
}

fn hub() -> (StreamState, Router) {
    let state = StreamState::new(EventRouter::default());
    let operator = RequestContext::operator(ada());
    let router = hub_router(state.clone()).layer(Extension(operator));
    (state, router)
}

impl App {
    /// Makes a hub in which what `prepare` does has happened before each case.
    pub(super) fn new(prepare: fn(&StreamState) -> Prepared<'_>) -> Self {
        let (state, router) = hub();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        Self {
            runtime,
            router,
            state,
            prepare,
            n_cases: CASES_PER_HUB,
            is_broken: false,
        }
    }

    /// Runs one case; its number names a user to whom nothing has happened.
    pub(super) fn case<'a, C, F>(&'a mut self, input: &'a [u8], check: C) -> Result<(), String>
    where
        C: FnOnce(Router, StreamState, usize, &'a [u8]) -> F,
        F: Future<Output = Result<(), String>>,
    {
        self.n_cases += 1;
        if self.is_broken || self.n_cases > CASES_PER_HUB {
            (self.state, self.router) = hub();
            self.runtime.block_on((self.prepare)(&self.state));
            self.n_cases = 0;
        }
        // A panic leaves locks behind that nobody should meet.
        self.is_broken = true;
        let work = check(self.router.clone(), self.state.clone(), self.n_cases, input);
        let outcome = self.runtime.block_on(work);
        self.is_broken = false;
        outcome
    }
}

/// Nothing has happened.
pub(super) fn nothing(_state: &StreamState) -> Prepared<'_> {
    Box::pin(async {})
}

/// Sends a request and reads the answer until it ends or waits for something.
pub(super) async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let answer = router.clone().oneshot(request).await;
    let answer: Response<Body> = answer.expect("a router answers");
    let status = answer.status().as_u16();
    let content_type = answer.headers().get("content-type");
    let content_type = content_type.map(|value| value.to_str().expect("ASCII").to_owned());
    let mut chunks = answer.into_body().into_data_stream();
    let (mut body, mut has_ended) = (Vec::new(), false);
    while let Ok(chunk) = tokio::time::timeout(Duration::from_millis(1), chunks.next()).await {
        match chunk {
            Some(Ok(chunk)) => body.extend_from_slice(&chunk),
            Some(Err(_)) => break,
            None => {
                has_ended = true;
                break;
            }
        }
        // Nothing here is as long: something goes round in a circle.
        assert!(body.len() < 64 << 20, "an answer without an end");
    }
    Answer {
        status,
        content_type: content_type.unwrap_or_default(),
        body,
        has_ended,
    }
}

impl Answer {
    pub(super) fn json(&self) -> Result<Value, String> {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&text).map_err(|error| format!("{error} in '{text}'"))
    }

    /// Reads the body as a stream, by a reader that shares no code with the writer.
    pub(super) fn frames(&self) -> Result<Vec<RawFrame>, String> {
        ensure!(
            self.content_type == "text/event-stream",
            "{} is {:?}",
            self.status,
            self.content_type
        );
        let mut splitter = FrameSplitter::default();
        let text = |error: std::io::Error| error.to_string();
        splitter.push(&self.body).map_err(text)?;
        let mut frames = Vec::new();
        while let Some(frame) = splitter.next_frame().map_err(text)? {
            frames.push(frame);
        }
        Ok(frames)
    }

    /// Checks a refusal: a status of the request's fault, and a problem that says so (RFC 9457).
    pub(super) fn check_refusal(&self) -> Result<(), String> {
        ensure!(
            (400..500).contains(&self.status),
            "status {}: {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        ensure!(
            self.content_type == "application/problem+json",
            "a refusal as {:?}",
            self.content_type
        );
        let problem = self.json()?;
        ensure!(
            problem["status"] == self.status
                && problem["title"].is_string()
                && problem["type"].is_string()
                && problem["detail"]
                    .as_str()
                    .is_some_and(|detail| !detail.is_empty()),
            "no whole problem: {problem}"
        );
        // It is shown to people, in a log too.
        let detail = problem["detail"].as_str().unwrap_or_default();
        ensure!(
            detail.len() < 2_000 && !detail.contains(['\n', '\r', '\0']),
            "a detail of {} bytes: {detail:?}",
            detail.len()
        );
        Ok(())
    }
}
