//! What people write from axum's own example of `Sse`: a channel for each connection, and an event cloned into each.

use std::{
    collections::HashMap,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, Query, RawQuery, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
    routing::{get, post},
};
use futures_util::Stream;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    Outcome, announce,
    options::Options,
    order::{Order, write_delta, write_event},
};

/// Events that wait for a connection; one that is further behind is dropped.
const BUFFER: usize = 1_024;

type Sender = mpsc::Sender<Result<Event, Infallible>>;

/// Everybody's connections.
#[derive(Default)]
struct Hub {
    connections: Mutex<HashMap<String, HashMap<u64, Sender>>>,
    next: AtomicU64,
}

pub(crate) async fn serve(options: Options) -> Outcome<()> {
    let listener = TcpListener::bind(options.listen).await?;
    announce(listener.local_addr()?);
    let app = Router::new()
        .route("/agui", get(stream_of_query))
        .route("/sse/{user}", get(stream_of_path))
        .route("/publish/agui/{user}", post(publish))
        .route("/gen", post(generate))
        .route("/count", get(count))
        .with_state(Arc::new(Hub::default()));
    Ok(axum::serve(listener, app).await?)
}

/// The receiving end, which leaves when the client has left.
struct Connection {
    events: ReceiverStream<Result<Event, Infallible>>,
    hub: Arc<Hub>,
    user: String,
    number: u64,
}

impl Stream for Connection {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.events).poll_next(cx)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.hub.change(|connections| {
            if let Some(of_user) = connections.get_mut(&self.user) {
                of_user.remove(&self.number);
                if of_user.is_empty() {
                    connections.remove(&self.user);
                }
            }
        });
    }
}

impl Hub {
    fn change<T>(&self, change: impl FnOnce(&mut HashMap<String, HashMap<u64, Sender>>) -> T) -> T {
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut connections)
    }

    fn connect(self: &Arc<Self>, user: String) -> Connection {
        let (sender, receiver) = mpsc::channel(BUFFER);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.change(|connections| {
            let of_user = connections.entry(user.clone()).or_default();
            of_user.insert(number, sender);
        });
        Connection {
            events: ReceiverStream::new(receiver),
            hub: Arc::clone(self),
            user,
            number,
        }
    }

    /// Hands an event to each connection of a user; one that is full or gone is dropped.
    fn send(&self, user: &str, data: &str) {
        let event = Event::default().data(data);
        self.change(|connections| {
            if let Some(of_user) = connections.get_mut(user) {
                of_user.retain(|_, sender| sender.try_send(Ok(event.clone())).is_ok());
            }
        });
    }
}

async fn stream_of_query(
    State(hub): State<Arc<Hub>>,
    Query(mut query): Query<HashMap<String, String>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    stream(&hub, query.remove("user").unwrap_or_default())
}

async fn stream_of_path(
    State(hub): State<Arc<Hub>>,
    Path(user): Path<String>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    stream(&hub, user)
}

fn stream(
    hub: &Arc<Hub>,
    user: String,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
    let heartbeat = KeepAlive::new().interval(Duration::from_secs(15));
    Sse::new(hub.connect(user)).keep_alive(heartbeat)
}

async fn publish(
    State(hub): State<Arc<Hub>>,
    Path(user): Path<String>,
    headers: HeaderMap,
    body: String,
) {
    let is_many = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-ndjson"));
    if is_many {
        for line in body.lines().filter(|line| !line.is_empty()) {
            hub.send(&user, line);
        }
    } else {
        hub.send(&user, body.trim_end());
    }
}

async fn generate(
    State(hub): State<Arc<Hub>>,
    RawQuery(query): RawQuery,
) -> Result<(), (StatusCode, String)> {
    let order = Order::parse(&query.unwrap_or_default())
        .map_err(|error| (StatusCode::BAD_REQUEST, error))?;
    let (mut delta, mut json) = (String::new(), Vec::new());
    for user in order.users() {
        let user = format!("{}{user}", order.prefix);
        for number in order.numbers() {
            write_delta(number, order.size, &mut delta);
            json.clear();
            write_event(&delta, &mut json);
            hub.send(&user, &String::from_utf8_lossy(&json));
        }
    }
    Ok(())
}

async fn count(State(hub): State<Arc<Hub>>) -> String {
    let n = hub.change(|connections| connections.values().map(HashMap::len).sum::<usize>());
    n.to_string()
}
