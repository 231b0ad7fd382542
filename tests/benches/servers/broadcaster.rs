//! Our broadcaster by itself, behind our serving loop: events that are JSON already, no protocol and no router.
//!
//! It does what `plain` does, so the two differ in how events reach sockets only. What `hub` costs beyond it is the
//! protocol: reading, checking, the state of runs, and a second stream.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, RawQuery, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::Response,
    routing::{get, post},
};
use events_axum::{RequestContext, create_sse_stream};
use events_broadcast::GenericBroadcaster;
use events_core::{Broadcaster as _, EventError, EventResult, Frame, UserId};
use events_sse::ToSse;

use crate::{
    Outcome,
    options::Options,
    order::{Order, write_delta, write_event},
    serving::{lifted, run},
};

/// An event that was written by whoever publishes it.
struct Json(Bytes);

impl ToSse for Json {
    fn to_frame(&self) -> EventResult<Frame> {
        Ok(Frame::json(self.0.clone()))
    }
}

#[derive(Clone)]
struct Place {
    broadcaster: GenericBroadcaster<Json>,
    /// Names of generated users, by their prefix and number: looked up, not made for each event.
    names: Arc<Mutex<HashMap<String, Vec<UserId>>>>,
}

pub(crate) async fn serve(options: Options) -> Outcome<()> {
    let place = Place {
        broadcaster: GenericBroadcaster::with_limits(lifted()),
        names: Arc::default(),
    };
    let store = place.broadcaster.store().clone();
    let app = Router::new()
        .route("/agui", get(stream_of_query))
        .route("/sse/{user}", get(stream_of_path))
        .route("/publish/agui/{user}", post(publish))
        .route("/gen", post(generate))
        .route("/count", get(count))
        .with_state(place);
    run(&options, app, || store.flush()).await
}

async fn stream_of_query(
    State(place): State<Place>,
    Query(mut query): Query<HashMap<String, String>>,
) -> Response {
    stream(&place, query.remove("user").unwrap_or_default()).await
}

async fn stream_of_path(State(place): State<Place>, Path(user): Path<String>) -> Response {
    stream(&place, user).await
}

async fn stream(place: &Place, user: String) -> Response {
    let context = RequestContext::operator(UserId::new(user));
    create_sse_stream(context, &place.broadcaster, "json").await
}

async fn publish(
    State(place): State<Place>,
    Path(user): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(), (StatusCode, String)> {
    let user = UserId::new(user);
    let is_many = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-ndjson"));
    if !is_many {
        return place
            .send(&user, body.trim_ascii_end())
            .map_err(|error| refused(&error));
    }
    for line in body.split(|byte| *byte == b'\n') {
        if !line.is_empty() {
            place.send(&user, line).map_err(|error| refused(&error))?;
        }
    }
    Ok(())
}

async fn generate(
    State(place): State<Place>,
    RawQuery(query): RawQuery,
) -> Result<(), (StatusCode, String)> {
    let order = Order::parse(&query.unwrap_or_default())
        .map_err(|error| (StatusCode::BAD_REQUEST, error))?;
    let (mut delta, mut json) = (String::new(), Vec::new());
    for user in place.users(&order) {
        for number in order.numbers() {
            write_delta(number, order.size, &mut delta);
            json.clear();
            write_event(&delta, &mut json);
            place.send(&user, &json).map_err(|error| refused(&error))?;
        }
    }
    Ok(())
}

async fn count(State(place): State<Place>) -> String {
    place.broadcaster.total_connections().await.to_string()
}

fn refused(error: &EventError) -> (StatusCode, String) {
    (StatusCode::CONFLICT, error.to_string())
}

impl Place {
    /// Publishes a copy: a slice would keep the whole request in the history.
    fn send(&self, user: &UserId, json: &[u8]) -> EventResult<()> {
        let event = Json(Bytes::copy_from_slice(json));
        self.broadcaster.publish(user, &event).map(drop)
    }

    fn users(&self, order: &Order) -> Vec<UserId> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let names = names.entry(order.prefix.clone()).or_default();
        let made = u32::try_from(names.len()).unwrap_or(u32::MAX);
        names.extend(
            (made..order.to).map(|number| UserId::new(format!("{}{number}", order.prefix))),
        );
        names[order.from as usize..order.to as usize].to_vec()
    }
}
