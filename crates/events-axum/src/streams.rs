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
use events_core::{Envelope, EventId, Frame, UserId};
use events_models::SystemEvent;
use events_router::OpenUser;
use events_sse::{ToSse, encode_comment, encode_frame};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    Problem, RequestContext, StreamState,
    body::{EventBody, Manner, Prelude, Restate},
    head::{come_back_after, come_back_later, stream_response},
    metrics::Bound,
    query::StreamQuery,
    source::Source,
    wrapped::EndsItself,
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
    let (place, _open) = match state.prepare(&context, &query).await {
        Ok(prepared) => prepared,
        Err(answer) => return *answer,
    };
    match &query.thread {
        Some(thread) => state.open_thread(&context, thread, &query, place),
        None => state.open(&context, state.router().agui(), &query, place, untold),
    }
}

async fn a2a(
    State(state): State<StreamState>,
    context: RequestContext,
    query: StreamQuery,
) -> Response {
    let (place, _open) = match state.prepare(&context, &query).await {
        Ok(prepared) => prepared,
        Err(answer) => return *answer,
    };
    match &query.task {
        Some(task) => state.open_task(&context, task, &query, place),
        None => state.open(&context, state.router().a2a(), &query, place, untold),
    }
}

async fn analytics(
    State(state): State<StreamState>,
    context: RequestContext,
    query: StreamQuery,
) -> Response {
    // Analytics are live only: no log has to be read for them.
    let place = match state.place(&context) {
        Ok(place) => place,
        Err(answer) => return *answer,
    };
    state.open(&context, state.router().analytics(), &query, place, untold)
}

async fn contexts(
    State(state): State<StreamState>,
    context: RequestContext,
    query: StreamQuery,
) -> Response {
    let is_fresh = query.cursor.is_none();
    let (place, _open) = match state.prepare(&context, &query).await {
        Ok(prepared) => prepared,
        Err(answer) => return *answer,
    };
    state.open(
        &context,
        state.router().contexts(),
        &query,
        place,
        |state, subscription| {
            let is_told = is_fresh || subscription.missed().is_some();
            let prelude = is_told.then(|| state.context_prelude(subscription));
            let (state, user) = (state.clone(), subscription.user().clone());
            let restate: Restate = Box::new(move || state.context_snapshot(&user, None, None));
            (prelude, Some(restate))
        },
    )
}

/// For streams that have no state to tell.
const fn untold(_: &StreamState, _: &Subscription) -> (Option<Prelude>, Option<Restate>) {
    (None, None)
}

impl StreamState {
    /// Takes a place among all streams and opens the user's log, or says why not in a way that browsers come back
    /// after.
    async fn prepare(
        &self,
        context: &RequestContext,
        query: &StreamQuery,
    ) -> Result<(OwnedSemaphorePermit, OpenUser), Box<Response>> {
        let place = self.place(context)?;
        let (user, cursor) = (context.user_id(), query.cursor.as_deref());
        match self.router().open_user(user, cursor).await {
            Ok(open) => Ok((place, open)),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "log not opened");
                Err(come_back_later().into())
            }
        }
    }

    /// Takes a slot and answers with the stream. No await lies between the two.
    fn open<E>(
        &self,
        context: &RequestContext,
        broadcaster: &GenericBroadcaster<E>,
        query: &StreamQuery,
        place: OwnedSemaphorePermit,
        prelude: impl FnOnce(&Self, &Subscription) -> (Option<Prelude>, Option<Restate>),
    ) -> Response {
        let subscription = match broadcaster.connect(context.user_id(), query.attach()) {
            Ok(subscription) => subscription,
            Err(ConnectError::Closed) => return come_back_later(),
            Err(error) => return Problem::from(error).into_response(),
        };
        let prelude = prelude(self, &subscription);
        let name = broadcaster.name();
        let manner = self.manner(name, context, query, !broadcaster.is_ephemeral(), place);
        stream(Source::Log(subscription), manner, prelude)
    }

    fn open_thread(
        &self,
        context: &RequestContext,
        thread: &Arc<str>,
        query: &StreamQuery,
        place: OwnedSemaphorePermit,
    ) -> Response {
        let wish = self.router().subscribe(context.user_id());
        let wish = wish.from_cursor(query.cursor.as_deref());
        match wish.thread(&**thread) {
            Ok(subscription) => {
                let manner = self.manner("agui", context, query, true, place);
                stream(Source::thread(subscription, None), manner, (None, None))
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
        place: OwnedSemaphorePermit,
    ) -> Response {
        let wish = self.router().subscribe(context.user_id());
        let wish = wish.from_cursor(query.cursor.as_deref());
        match wish.task(&**task) {
            Ok(subscription) => {
                let manner = self.manner("a2a", context, query, true, place);
                stream(Source::task(subscription), manner, (None, None))
            }
            Err(ConnectError::Closed) => come_back_later(),
            Err(error) => Problem::from(error).into_response(),
        }
    }

    /// Takes a place among all streams, or says why there is none in a way that browsers come back after.
    pub(crate) fn place(
        &self,
        context: &RequestContext,
    ) -> Result<OwnedSemaphorePermit, Box<Response>> {
        if self.is_draining() {
            return Err(come_back_later().into());
        }
        if let Err(problem) = self.check_user(context.user_id()) {
            self.count_bound(&problem);
            return Err(problem.into_response().into());
        }
        self.take_place(context)
            .map_err(|problem| come_back_after(problem.wait_seconds()).into())
    }

    /// Takes a place among all streams, if one may be opened now.
    pub(crate) fn take_place(
        &self,
        context: &RequestContext,
    ) -> Result<OwnedSemaphorePermit, Problem> {
        self.admit_stream(context)?;
        Arc::clone(&self.inner.streams)
            .try_acquire_owned()
            .map_err(|_full| {
                self.inner.metrics.hit(Bound::Streams);
                Problem::too_many("too many streams are open; try again", Bound::Streams)
            })
    }

    pub(crate) fn manner(
        &self,
        name: &'static str,
        context: &RequestContext,
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
            state: Some(self.clone()),
            name: name.into(),
            tenure: self.tenure(context),
            _place: Some(place),
        }
    }

    /// Asks for the user's contexts and writes CONNECTED and CONTEXTS_SNAPSHOT.
    ///
    /// Only the last frame carries the cursor, which was taken before the snapshot is asked for: a cut in between
    /// brings the whole prelude again, and no event falls between snapshot and stream. When the client's own cursor
    /// could not be followed, the gap after the prelude carries it.
    fn context_prelude(&self, subscription: &Subscription) -> Prelude {
        let cursor = subscription
            .missed()
            .is_none()
            .then(|| subscription.primed());
        let connection = subscription.connection().to_string();
        self.context_snapshot(subscription.user(), Some(connection), cursor)
    }

    /// Asks for the user's contexts and writes CONTEXTS_SNAPSHOT, to a new connection CONNECTED before it; the cursor
    /// goes to the last of the two.
    fn context_snapshot(
        &self,
        user: &UserId,
        connection_id: Option<String>,
        cursor: Option<EventId>,
    ) -> Prelude {
        let (state, user) = (Arc::clone(&self.inner), user.clone());
        Box::pin(async move {
            let clock = state.router.clock();
            let asking = state.contexts.contexts(&user);
            let asked = tokio::time::timeout(state.config.contexts_timeout, asking).await;
            let mut out = Vec::with_capacity(512);
            let has_snapshot = matches!(asked, Ok(Ok(_)));
            if let Some(connection_id) = connection_id {
                let connected = SystemEvent::Connected {
                    timestamp: clock.now_ms(),
                    connection_id,
                };
                write_system(&connected, cursor.filter(|_| !has_snapshot), &mut out);
            }
            let error = match asked {
                Ok(Ok(contexts)) => {
                    let snapshot = SystemEvent::ContextsSnapshot {
                        timestamp: clock.now_ms(),
                        contexts,
                    };
                    write_system(&snapshot, cursor, &mut out);
                    return out;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_elapsed) => "the provider did not answer in time".to_owned(),
            };
            tracing::warn!(error, "no context snapshot");
            encode_comment("contexts are not available now", &mut out);
            out
        })
    }
}

/// Answers with a stream.
pub(crate) fn stream(
    source: Source,
    manner: Manner,
    (prelude, restate): (Option<Prelude>, Option<Restate>),
) -> Response {
    let body = EventBody::new(source, manner, prelude).restating(restate);
    let mut response = stream_response(Body::new(body));
    response.extensions_mut().insert(EndsItself);
    response
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
