//! A hub inside the test, behind a real socket, where everybody is whom they say they are.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use events_axum::serve::{ConnectionLimits, Server};
use events_axum::{RequestContext, StreamConfig, StreamState, hub_router};
use events_broadcast::Limits;
use events_core::UserId;
use events_router::{BusEvent, EventRouter, RouterConfig};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::deadline::{PATIENCE, within};
use crate::raw_client::{RawSse, Request as RawRequest, Response as RawResponse};

/// What is special about a hub.
#[derive(Debug, Clone, Default)]
pub struct HubOptions {
    /// Bounds of the logs and connections.
    pub limits: Limits,
    /// Settings of the streams and of publishing.
    pub streams: StreamConfig,
    /// Bounds of sockets.
    pub connections: ConnectionLimits,
}

/// A running hub; dropping it closes its listener and lets go of its connections.
#[derive(Debug)]
pub struct Hub {
    address: SocketAddr,
    state: StreamState,
    signal: Option<oneshot::Sender<()>>,
    server: JoinSet<()>,
}

impl Hub {
    /// Starts a hub on a free port of 127.0.0.1. The user is `?user=NAME`, the header `X-Events-User`, or in
    /// the path as on an agent card, and an operator; to publish no name is needed.
    ///
    /// # Errors
    ///
    /// When no socket can be opened.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind when the future is dropped.
    pub async fn start(options: HubOptions) -> io::Result<Self> {
        let HubOptions {
            limits,
            streams,
            connections,
        } = options;
        let router = EventRouter::new(RouterConfig {
            limits,
            ..RouterConfig::default()
        });
        let state = StreamState::with_config(router, streams);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (signal, signalled) = oneshot::channel::<()>();
        // A hub that is dropped drops its sender too, and that is a signal as well.
        let drained = state.drain_on(async { signalled.await.unwrap_or_default() });
        let app = hub_router(state.clone()).layer(from_fn(name_user));
        let mut server = JoinSet::new();
        let serving = Server::new(listener, app)
            .with_limits(connections)
            .with_edge(state.edge().clone())
            .take_over(takes_over());
        server.spawn(serving.run(drained));
        Ok(Self {
            address,
            state,
            signal: Some(signal),
            server,
        })
    }

    /// Starts a hub with the usual options.
    ///
    /// # Errors
    ///
    /// As [`Hub::start`].
    ///
    /// # Cancel safety
    ///
    /// As [`Hub::start`].
    pub async fn plain() -> io::Result<Self> {
        Self::start(HubOptions::default()).await
    }

    /// Starts a hub with these bounds.
    ///
    /// # Errors
    ///
    /// As [`Hub::start`].
    ///
    /// # Cancel safety
    ///
    /// As [`Hub::start`].
    pub async fn with_limits(limits: Limits) -> io::Result<Self> {
        Self::start(HubOptions {
            limits,
            ..HubOptions::default()
        })
        .await
    }

    /// Returns where the hub listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the router behind the hub.
    #[must_use]
    pub fn router(&self) -> &EventRouter {
        self.state.router()
    }

    /// Returns the state behind the hub's routes.
    #[must_use]
    pub fn state(&self) -> &StreamState {
        &self.state
    }

    /// Opens a stream by its path and query.
    ///
    /// # Errors
    ///
    /// As [`RawSse::connect`].
    ///
    /// # Cancel safety
    ///
    /// As [`RawSse::connect`].
    pub async fn stream(&self, path: &str) -> io::Result<RawSse> {
        RawSse::connect(self.address, path, &[]).await
    }

    /// Opens a stream behind a cursor, which goes into the header.
    ///
    /// # Errors
    ///
    /// As [`RawSse::connect`].
    ///
    /// # Cancel safety
    ///
    /// As [`RawSse::connect`].
    pub async fn resume(&self, path: &str, cursor: &str) -> io::Result<RawSse> {
        RawSse::connect(self.address, path, &[("last-event-id", cursor)]).await
    }

    /// Publishes an event without a socket and returns its ids.
    ///
    /// # Errors
    ///
    /// When it is refused.
    ///
    /// # Cancel safety
    ///
    /// The event may or may not have been published.
    pub async fn publish(&self, user: &str, event: impl Into<BusEvent>) -> io::Result<Vec<String>> {
        let published = self.router().publish(&UserId::new(user), event).await;
        let published = published.map_err(io::Error::other)?;
        Ok(published.ids.iter().map(ToString::to_string).collect())
    }

    /// Publishes lines of AG-UI events as one request through the socket, and returns their ids.
    ///
    /// # Errors
    ///
    /// When the answer is not 200, with its text.
    ///
    /// # Cancel safety
    ///
    /// The events may or may not have been published.
    pub async fn publish_lines(&self, user: &str, lines: &[String]) -> io::Result<Vec<String>> {
        let path = format!("/publish/agui/{user}?user={user}");
        let answer = self.post(&path, &lines.join("\n")).await?;
        if answer.status() != 200 {
            let text = format!("{}: {}", answer.status(), answer.text());
            return Err(io::Error::other(text));
        }
        Ok(ids_of(&answer.json()?))
    }

    /// Posts NDJSON.
    ///
    /// # Errors
    ///
    /// As [`RawRequest::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`RawRequest::send`].
    pub async fn post(&self, path: &str, body: &str) -> io::Result<RawResponse> {
        RawRequest::post(path, "application/x-ndjson", body)
            .send(self.address)
            .await
    }

    /// Reads `/connections` of a user until there are `n_wanted`, at most for the usual patience.
    ///
    /// # Errors
    ///
    /// `TimedOut` when that many are never reached.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn wait_for_connections(&self, user: &str, n_wanted: usize) -> io::Result<()> {
        let path = format!("/connections?user={user}");
        let request = RawRequest::get(&path);
        let what = format!("{n_wanted} connections of {user}");
        within(&what, PATIENCE, async {
            loop {
                let listed = request.send(self.address).await?.json()?;
                if listed.as_array().map(Vec::len) == Some(n_wanted) {
                    return Ok(());
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// Gives the signal to end, and returns at once.
    pub fn signal(&mut self) {
        if let Some(signal) = self.signal.take() {
            // A server that has ended already needs none.
            let _ = signal.send(());
        }
    }

    /// Waits until the server has ended by itself.
    ///
    /// # Errors
    ///
    /// `TimedOut` after `limit`, and the server's own error.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn ended(&mut self, limit: Duration) -> io::Result<()> {
        within("the hub's end", limit, async {
            match self.server.join_next().await {
                Some(ended) => ended.map_err(io::Error::other),
                None => Ok(()),
            }
        })
        .await
    }

    /// Drops the server in the middle of whatever it does.
    ///
    /// # Cancel safety
    ///
    /// The server ends all the same.
    pub async fn abort(mut self) {
        self.server.shutdown().await;
    }

    /// Gives the signal and waits until the server has ended.
    ///
    /// # Errors
    ///
    /// As [`Hub::ended`].
    ///
    /// # Cancel safety
    ///
    /// As [`Hub::ended`].
    pub async fn shutdown(&mut self, limit: Duration) -> io::Result<()> {
        self.signal();
        self.ended(limit).await
    }
}

/// Whether streams are given their sockets: as for the binary, and so both ways can be tested.
#[must_use]
pub fn takes_over() -> bool {
    std::env::var("EVENTS_SERVE__TAKE_OVER").as_deref() != Ok("false")
}

/// Returns the `ids` of a publish's answer, or of a receipt.
#[must_use]
pub fn ids_of(answer: &Value) -> Vec<String> {
    let ids = answer["ids"].as_array().map(Vec::as_slice);
    ids.unwrap_or_default()
        .iter()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect()
}

/// The layer that stands in for authentication.
async fn name_user(mut request: Request, next: Next) -> Response {
    if let Some(user) = user_of(request.uri(), request.headers()) {
        let context = RequestContext::operator(UserId::new(user));
        request.extensions_mut().insert(context);
    }
    next.run(request).await
}

fn user_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let query = uri.query().unwrap_or_default();
    let named = query
        .split('&')
        .find_map(|field| field.strip_prefix("user="));
    let named = named.or_else(|| headers.get("x-events-user")?.to_str().ok());
    let in_path = || uri.path().strip_prefix("/a2a/users/")?.split('/').next();
    let named = named.or_else(in_path);
    named.or_else(|| uri.path().starts_with("/publish/").then_some("publisher"))
}
