//! Heads, frames, resume, caps and refusals, through the router and without a socket.

mod a2a;
mod bounds;
mod frames;
mod operations;
mod publishing;
mod rates;
mod streams;

use std::time::Duration;

use axum::{
    Extension, Router,
    body::Body,
    http::{Request, Response, StatusCode},
};
use events_broadcast::Limits;
use events_core::UserId;
use events_models::AgUiEventBuilder;
use events_router::{EventRouter, RouterConfig};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{RequestContext, StreamConfig, StreamState, create_sse_stream, hub_router};

struct Hub {
    state: StreamState,
    app: Router,
}

impl Hub {
    fn new() -> Self {
        Self::with(RouterConfig::default())
    }

    fn with(config: RouterConfig) -> Self {
        Self::of(config, StreamConfig::default())
    }

    fn of(config: RouterConfig, streams: StreamConfig) -> Self {
        let state = StreamState::with_config(EventRouter::new(config), streams);
        let app = hub_router(state.clone()).layer(Extension(RequestContext::operator(ada())));
        Self { state, app }
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.app.clone().oneshot(request).await.expect("infallible")
    }

    async fn stream(&self, path: &str) -> Stream {
        let response = self
            .send(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(
            response.headers()["cache-control"],
            "no-cache, no-store, no-transform"
        );
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Stream {
            body: response.into_body(),
        }
    }

    async fn post(&self, path: &str, content_type: &str, body: impl Into<Body>) -> (u16, Value) {
        let request = Request::post(path)
            .header("content-type", content_type)
            .body(body.into())
            .unwrap();
        let response = self.send(request).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn publish(&self, thread: &str) -> String {
        let events = [
            AgUiEventBuilder::run_started(thread, "r", None),
            AgUiEventBuilder::run_finished(thread, "r", None),
        ];
        let mut last = String::new();
        for event in events {
            last = self
                .state
                .router()
                .publish(&ada(), event)
                .await
                .unwrap()
                .ids[0]
                .to_string();
        }
        last
    }
}

struct Stream {
    body: Body,
}

impl Stream {
    /// Reads one write of the server; `None` at the end.
    async fn read(&mut self) -> Option<String> {
        let frame = tokio::time::timeout(Duration::from_secs(60), self.body.frame())
            .await
            .expect("in time")?;
        Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
    }
}

fn ada() -> UserId {
    UserId::new("ada")
}

fn ids(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect()
}

const NDJSON: &str = "application/x-ndjson";
