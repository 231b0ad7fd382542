//! The GET streams.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use events_broadcast::{ConnectError, GenericBroadcaster, Subscription};
use events_core::{Envelope, EventId, Frame};
use events_models::SystemEvent;
use events_sse::{ToSse, encode_comment, encode_frame};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    Problem, RequestContext, StreamState,
    body::{EventBody, Manner, Prelude},
    head::{come_back_later, stream_response},
    metrics::Bound,
    query::StreamQuery,
    source::Source,
};

/// The GET streams `/agui`, `/a2a`, `/contexts` and `/analytics`.
///
/// Each request needs a [`RequestContext`] extension; without one the answer is 401.
pub fn stream_router(state: StreamState) -> Router {
    Router::new()
        .route("/agui", get(agui))
        .route("/a2a", get(a2a))
        .route("/contexts", get(contexts))
        .route("/analytics", get(analytics))
        .with_state(state)
}

async fn agui(
    State(state): State<StreamState>,
    context: RequestContext,
    query: StreamQuery,
) -> Response {
    match &query.thread {
        Some(thread) => state.open_thread(&context, thread, &query),
        None => state.open(&context, state.router().agui(), &query, |_, _| None),
    }
}

async fn a2a(
    State(state): State<StreamState>,
    context: RequestContext,
    query: StreamQuery,
) -> Response {
    match &query.task {
        Some(task) => state.open_task(&context, task, &query),
        None => state.open(&context, state.router().a2a(), &query, |_, _| None),
    }
}

async fn analytics(
    State(state): State<StreamState>,
    context: RequestContext,
    query: StreamQuery,
) -> Response {
    state.open(&context, state.router().analytics(), &query, |_, _| None)
}

async fn contexts(
    State(state): State<StreamState>,
    context: RequestContext,
    query: StreamQuery,
) -> Response {
    let is_fresh = query.cursor.is_none();
    state.open(
        &context,
        state.router().contexts(),
        &query,
        |state, subscription| {
            (is_fresh || subscription.missed().is_some())
                .then(|| state.context_prelude(subscription))
        },
    )
}

impl StreamState {
    /// Takes a slot and answers with the stream. No await lies between the two.
    fn open<E>(
        &self,
        context: &RequestContext,
        broadcaster: &GenericBroadcaster<E>,
        query: &StreamQuery,
        prelude: impl FnOnce(&Self, &Subscription) -> Option<Prelude>,
    ) -> Response {
        let place = match self.place(context) {
            Ok(place) => place,
            Err(answer) => return *answer,
        };
        let subscription = match broadcaster.connect(context.user_id(), query.attach()) {
            Ok(subscription) => subscription,
            Err(ConnectError::Closed) => return come_back_later(),
            Err(error) => return Problem::from(error).into_response(),
        };
        let prelude = prelude(self, &subscription);
        let name = broadcaster.name();
        let manner = self.manner(name, query, !broadcaster.is_ephemeral(), place);
        stream(Source::Log(subscription), manner, prelude, name)
    }

    fn open_thread(
        &self,
        context: &RequestContext,
        thread: &Arc<str>,
        query: &StreamQuery,
    ) -> Response {
        let place = match self.place(context) {
            Ok(place) => place,
            Err(answer) => return *answer,
        };
        let wish = self.router().subscribe(context.user_id());
        let wish = wish.from_cursor(query.cursor.as_deref());
        match wish.thread(&**thread) {
            Ok(subscription) => {
                let manner = self.manner("agui", query, true, place);
                stream(Source::thread(subscription, None), manner, None, "agui")
            }
            Err(ConnectError::Closed) => come_back_later(),
            Err(error) => Problem::from(error).into_response(),
        }
    }

    fn open_task(
        &self,
        context: &RequestContext,
        task: &Arc<str>,
        query: &StreamQuery,
    ) -> Response {
        let place = match self.place(context) {
            Ok(place) => place,
            Err(answer) => return *answer,
        };
        let wish = self.router().subscribe(context.user_id());
        let wish = wish.from_cursor(query.cursor.as_deref());
        match wish.task(&**task) {
            Ok(subscription) => {
                let manner = self.manner("a2a", query, true, place);
                stream(Source::task(subscription), manner, None, "a2a")
            }
            Err(ConnectError::Closed) => come_back_later(),
            Err(error) => Problem::from(error).into_response(),
        }
    }

    /// Takes a place among all streams, or says why there is none in a way that browsers come back after.
    fn place(&self, context: &RequestContext) -> Result<OwnedSemaphorePermit, Box<Response>> {
        if self.is_draining() {
            return Err(come_back_later().into());
        }
        if let Err(problem) = self.check_user(context.user_id()) {
            self.count_bound(&problem);
            return Err(problem.into_response().into());
        }
        self.take_place().map_err(|_full| come_back_later().into())
    }

    /// Takes a place among all streams.
    pub(crate) fn take_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.inner.streams)
            .try_acquire_owned()
            .map_err(|_full| {
                self.inner.metrics.hit(Bound::Streams);
                Problem::too_many("too many streams are open; try again", Bound::Streams)
            })
    }

    fn manner(
        &self,
        name: &str,
        query: &StreamQuery,
        has_ids: bool,
        place: OwnedSemaphorePermit,
    ) -> Manner {
        Manner {
            heartbeat: self.inner.config.heartbeat,
            heartbeat_form: query.heartbeat,
            has_control: query.has_control,
            has_ids,
            is_cut_short: false,
            before: None,
            drain: Some(self.inner.drain.clone()),
            ends: self.inner.metrics.ends_of(name),
            _place: Some(place),
        }
    }

    /// Asks for the user's contexts and writes CONNECTED and CONTEXTS_SNAPSHOT.
    ///
    /// Only the last frame carries the cursor, which was taken before the snapshot is asked for: a cut in between
    /// brings the whole prelude again, and no event falls between snapshot and stream. When the client's own cursor
    /// could not be followed, the gap after the prelude carries it.
    fn context_prelude(&self, subscription: &Subscription) -> Prelude {
        let state = Arc::clone(&self.inner);
        let user = subscription.user().clone();
        let connection_id = subscription.connection().to_string();
        let cursor = subscription
            .missed()
            .is_none()
            .then(|| subscription.primed());
        Box::pin(async move {
            let clock = state.router.clock();
            let mut out = Vec::with_capacity(512);
            let connected = SystemEvent::Connected {
                timestamp: clock.now_ms(),
                connection_id,
            };
            let asked = tokio::time::timeout(
                state.config.contexts_timeout,
                state.contexts.contexts(&user),
            )
            .await;
            match asked {
                Ok(Ok(contexts)) => {
                    write_system(&connected, None, &mut out);
                    let snapshot = SystemEvent::ContextsSnapshot {
                        timestamp: clock.now_ms(),
                        contexts,
                    };
                    write_system(&snapshot, cursor, &mut out);
                }
                failed => {
                    let error = match failed {
                        Ok(Err(error)) => error.to_string(),
                        _ => "the provider did not answer in time".to_owned(),
                    };
                    tracing::warn!(error, "no context snapshot");
                    write_system(&connected, cursor, &mut out);
                    encode_comment("contexts are not available now", &mut out);
                }
            }
            out
        })
    }
}

/// Answers with a stream.
pub(crate) fn stream(
    source: Source,
    manner: Manner,
    prelude: Option<Prelude>,
    name: &'static str,
) -> Response {
    let span = tracing::info_span!(
        "stream",
        stream = name,
        connection = source.connection().as_str(),
        end = tracing::field::Empty,
    );
    stream_response(Body::new(EventBody::new(source, manner, prelude, span)))
}

fn write_system(event: &SystemEvent, id: Option<EventId>, out: &mut Vec<u8>) {
    match event.to_frame() {
        Ok(frame) => {
            let frame: Frame = frame.wrapped(Envelope {
                protocol: "system",
                thread: None,
            });
            encode_frame(id, &frame, out);
        }
        Err(error) => tracing::error!(
            error = &error as &dyn std::error::Error,
            "system event not written"
        ),
    }
}
