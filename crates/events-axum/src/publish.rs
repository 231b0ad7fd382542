//! Publishing over HTTP: one event, or many as one.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts, Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::post,
};
use events_core::{EventId, ThreadId, UserId};
use events_models::{InvalidEvent, a2a::A2AVersion};
use events_router::{EventRouter, Item, MsgId, Published};
use events_sse::{NDJSON_CONTENT_TYPE, NdjsonDecoder, NdjsonItem};
use serde::Deserialize;

use crate::{
    Problem, RequestContext, StreamConfig, StreamState,
    admission::Cost,
    metrics::Bound,
    query::{QueryOf, read_time},
    receive::{check_coding, discard, receive},
    tenure::Tenure,
};

/// What a JSON body may have around its one event, in bytes.
const JSON_SLACK: usize = 1 << 10;
static A2A_VERSION: HeaderName = HeaderName::from_static("a2a-version");
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest time that a run may be silent.
const MAX_RUN_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The publish endpoints `POST /publish/{stream}/{user}` and `…/live`.
///
/// Each request needs a [`RequestContext`] extension that may publish for the user.
pub fn publish_router(state: StreamState) -> Router {
    Router::new()
        .route("/publish/{stream}/{user}", post(publish))
        .route(
            "/publish/{stream}/{user}/live",
            post(crate::live::publish_live),
        )
        .with_state(state)
}

/// The streams that can be published to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublishStream {
    AgUi,
    A2A,
    System,
    Analytics,
}

impl PublishStream {
    fn parse(name: &str) -> Result<Self, Problem> {
        match name {
            "agui" => Ok(Self::AgUi),
            "a2a" => Ok(Self::A2A),
            "system" => Ok(Self::System),
            "analytics" => Ok(Self::Analytics),
            other => {
                let detail = format!(
                    "no stream {other:?} to publish to: use agui, a2a, system or analytics"
                );
                Err(Problem::new(StatusCode::NOT_FOUND, detail))
            }
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AgUi => "agui",
            Self::A2A => "a2a",
            Self::System => "system",
            Self::Analytics => "analytics",
        }
    }
}

#[derive(Debug, Default, Deserialize)]
struct Fields {
    thread: Option<String>,
    msg_id: Option<String>,
    run_timeout: Option<String>,
}

/// How the events stand in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// One event.
    Json,
    /// One a line.
    Lines,
    Other,
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("application/json") {
            Self::Json
        } else if media_type.eq_ignore_ascii_case(NDJSON_CONTENT_TYPE) {
            Self::Lines
        } else {
            Self::Other
        }
    }
}

/// Where a request publishes to, and who may: everything but the events.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) stream: PublishStream,
    form: Form,
    pub(crate) user: UserId,
    thread: Option<ThreadId>,
    pub(crate) msg_id: Option<MsgId>,
    /// How long runs that this request starts may be silent.
    run_timeout: Option<Duration>,
    /// For how long whoever asked may publish, and who that is.
    pub(crate) tenure: Tenure,
    pub(crate) publisher: UserId,
    /// The version in which A2A objects are sent to us.
    a2a_version: A2AVersion,
}

impl Target {
    pub(crate) fn read(&self, json: &[u8]) -> Result<Item, InvalidEvent> {
        match self.stream {
            PublishStream::AgUi => {
                let item = Item::agui(json, self.thread.clone())?;
                Ok(match self.run_timeout {
                    Some(timeout) => item.with_run_timeout(timeout),
                    None => item,
                })
            }
            PublishStream::A2A => Item::a2a(json, self.a2a_version),
            PublishStream::System => Item::system(json),
            PublishStream::Analytics => Item::analytics(json),
        }
    }
}

impl FromRequestParts<StreamState> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &StreamState) -> Result<Self, Problem> {
        let context = RequestContext::from_request_parts(parts, state).await?;
        let Path((stream, user)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::bad_request(rejection.to_string()))?;
        let fields = match parts.uri.query() {
            None => Fields::default(),
            Some(_) => {
                let QueryOf(fields) = QueryOf::<Fields>::from_request_parts(parts, state).await?;
                fields
            }
        };
        let user = UserId::from(user);
        state.check_user(&user)?;
        state.check_user(context.user_id())?;
        if !context.may_publish_for(&user) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "you may not publish for this user",
            ));
        }
        if state.is_draining() {
            return Err(Problem::draining());
        }
        check_coding(&parts.headers)?;
        let msg_id = fields.msg_id.or_else(|| idempotency_key(&parts.headers));
        let target = Self {
            a2a_version: a2a_version(&parts.headers)?,
            tenure: state.tenure(&context),
            publisher: context.user_id().clone(),
            stream: PublishStream::parse(&stream)?,
            form: Form::of(&parts.headers),
            user,
            thread: fields.thread.map(ThreadId::from),
            run_timeout: fields
                .run_timeout
                .as_deref()
                .map(|text| read_time("run_timeout", text, MAX_RUN_TIMEOUT))
                .transpose()?,
            msg_id: msg_id
                .map(MsgId::new)
                .transpose()
                .map_err(|error| Problem::bad_request(error.to_string()))?,
        };
        let length = parts.headers.get(header::CONTENT_LENGTH);
        let n_bytes = length.and_then(|length| length.to_str().ok()?.parse().ok());
        // What is small has come with the head, or nearly; it is refused once it is there.
        if n_bytes.is_none_or(|n_bytes| n_bytes > StreamConfig::SMALL_BODY as u64) {
            state.look_at_publish(&target, n_bytes)?;
        }
        Ok(target)
    }
}

/// Reads the header `A2A-Version`; without it objects are those of 1.0.
fn a2a_version(headers: &HeaderMap) -> Result<A2AVersion, Problem> {
    match headers.get(&A2A_VERSION).map(|value| value.as_bytes()) {
        None | Some(b"" | b"1.0") => Ok(A2AVersion::V1_0),
        Some(b"0.3") => Ok(A2AVersion::V0_3),
        Some(_) => Err(Problem::bad_request("A2A-Version is 1.0 or 0.3")),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Option<String> {
    let key = headers.get(&IDEMPOTENCY_KEY)?.to_str().ok()?;
    Some(key.to_owned())
}

/// Writes the answer to a publish: `{"ids":["…"],"duplicates":0,"connections":1}`. Ids need no escape.
fn answer(published: &Published) -> Vec<u8> {
    let mut json = Vec::with_capacity(64 + published.ids.len() * (EventId::MAX_LEN + 3));
    json.extend_from_slice(b"{\"ids\":[");
    for (index, id) in published.ids.iter().enumerate() {
        json.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
        id.write_to(&mut json);
        json.push(b'"');
    }
    let mut decimal = itoa::Buffer::new();
    json.extend_from_slice(b"],\"duplicates\":");
    json.extend_from_slice(decimal.format(published.duplicates).as_bytes());
    json.extend_from_slice(b",\"connections\":");
    json.extend_from_slice(decimal.format(published.connections()).as_bytes());
    json.push(b'}');
    json
}

async fn publish(
    State(state): State<StreamState>,
    target: Result<Target, Problem>,
    body: Body,
) -> Response {
    let target = match target {
        Ok(target) => target,
        Err(problem) => {
            state.count_bound(&problem);
            discard(body).await;
            return problem.into_response();
        }
    };
    let outcome = publish_body(&state, &target, body).await;
    let status = outcome.as_ref().map_or_else(Problem::status, |_| 200);
    state
        .inner
        .metrics
        .published(target.stream.as_str(), status);
    match outcome {
        Ok(published) => {
            give_way(state.router(), [&published]).await;
            let mut response = Response::new(answer(&published).into());
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        Err(problem) => {
            state.count_bound(&problem);
            problem.into_response()
        }
    }
}

/// Lets screens have the events before the publisher has the answer, which takes as long to write as one of them.
pub(crate) async fn give_way(
    router: &EventRouter,
    published: impl IntoIterator<Item = &Published>,
) {
    if published
        .into_iter()
        .any(|published| published.connections() > 0)
    {
        router.store().give_way().await;
    }
}

async fn publish_body(
    state: &StreamState,
    target: &Target,
    body: Body,
) -> Result<Published, Problem> {
    let event_limit = state.router().store().limits().event_bytes;
    let (items, lines) = if target.form == Form::Json {
        let most = (event_limit + JSON_SLACK, Bound::EventBytes);
        let body = receive(state, body, most).await?;
        state.admit_publish(target, Cost::of_one(&body.bytes))?;
        let item = target
            .read(&body.bytes)
            .map_err(|invalid| Problem::of_invalid(&invalid))?;
        (vec![with_id(item, target.msg_id.clone())], Vec::new())
    } else if target.form == Form::Lines {
        let most = (state.inner.config.ndjson_bytes, Bound::BodyBytes);
        let body = receive(state, body, most).await?;
        state.admit_publish(target, Cost::of_lines(&body.bytes))?;
        read_lines(target, &body.bytes, event_limit)?
    } else {
        discard(body).await;
        let detail = format!(
            "send application/json (one event) or {NDJSON_CONTENT_TYPE} (one event a line)"
        );
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    };
    let published = state.router().publish_batch(&target.user, items).await;
    published.map_err(|error| Problem::of_publish(&error, |index| lines.get(index).copied()))
}

/// Reads every line before anything is published; the first bad one refuses the request.
fn read_lines(
    target: &Target,
    mut body: &[u8],
    event_limit: usize,
) -> Result<(Vec<Item>, Vec<u64>), Problem> {
    let mut decoder = NdjsonDecoder::new(event_limit);
    let mut items = Vec::new();
    let mut lines = Vec::new();
    let mut take = |item: NdjsonItem<'_>| match item {
        NdjsonItem::Line { number, bytes } => {
            let item = target.read(bytes).map_err(|invalid| {
                Problem::of_invalid(&invalid)
                    .at_line(number)
                    .with_line_in_detail()
            })?;
            let line = usize::try_from(number).unwrap_or(usize::MAX);
            items.push(with_id(
                item,
                target.msg_id.as_ref().map(|msg_id| msg_id.of_line(line)),
            ));
            lines.push(number);
            Ok(())
        }
        NdjsonItem::TooLong { number, .. } => Err(Problem::event_too_large(event_limit)
            .at_line(number)
            .with_line_in_detail()),
        _ => Ok(()),
    };
    while let Some(item) = decoder.decode(&mut body) {
        take(item)?;
    }
    if let Some(item) = decoder.finish() {
        take(item)?;
    }
    if items.is_empty() {
        return Err(Problem::bad_request("the body has no event"));
    }
    Ok((items, lines))
}

pub(crate) fn with_id(item: Item, msg_id: Option<MsgId>) -> Item {
    match msg_id {
        Some(msg_id) => item.with_msg_id(msg_id),
        None => item,
    }
}
