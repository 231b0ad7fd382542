//! From a request to its answer.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use events_core::{RequestId, TaskId, ThreadId};
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
    request::Parts,
};
use http_body::Body as _;
use hyper::{body::Incoming, ext::ReasonPhrase};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::timeout,
};
use tracing::debug;

use crate::{Exchange, Provider as Protocol, RequestFacts, RequestInfo, TappedBody};

use super::{
    AcceptEncoding, GatewayState, Provider, Shared,
    answer::{Held, Hold},
    asks::Asks,
    detached,
    emission::Emission,
    failure::Failure,
    headers,
    idle::Idle,
    problem::Problem,
    route::Route,
    stream_usage,
    upload::{self, AnswerEnd, Upload, UploadError},
};

type Answer = http::Response<Held<TappedBody<Idle<Incoming>>, Option<AnswerEnd>>>;

/// Answers a request: with a provider's answer, or with the gateway's own.
pub(crate) async fn handle(
    State(gateway): GatewayState,
    request: axum::extract::Request,
) -> Response {
    let forwarded = Box::pin(forward(&gateway.shared, request)).await;
    forwarded.unwrap_or_else(IntoResponse::into_response)
}

/// One run that a request asks for, and its place among all of them.
struct Run {
    emission: Emission,
    place: OwnedSemaphorePermit,
}

async fn forward(
    shared: &Arc<Shared>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let hold = shared.admit()?;
    let (parts, body) = request.into_parts();
    let route = Route::of(parts.uri.path()).ok_or_else(|| shared.unknown_provider())?;
    let provider = shared.providers.get(route.provider);
    let provider = provider.ok_or_else(|| shared.unknown_provider())?;
    shared.check(&parts, &route)?;
    let asks = Asks::of(&parts.headers)?;
    let request_id = RequestId::from(fresh("llm-"));
    let run = shared.run(&asks, &parts, &request_id)?;
    let detached = asks.is_detached.then(|| shared.detach()).transpose()?;
    let (mut upload, answer_end) = shared.take_body(&parts.headers, body).await?;

    let protocol = Protocol::of_path(route.path).or(provider.config.protocol);
    let facts = upload.whole().map_or_else(
        || RequestFacts::of(route.path, &[]),
        |whole| RequestFacts::of(route.path, whole),
    );
    let sent = provider.request(&parts, &route, protocol, &facts, &mut upload)?;
    let request = sent.map(|()| upload);

    let mut info = RequestInfo::new(request_id).with_provider(protocol);
    info.model = facts.model;
    info.vendor.clone_from(&provider.config.vendor);
    info.agent_type = asks.agent;
    let vendor = info.provider_name();
    debug!(request_id = %info.request_id, provider = route.provider, "a request is forwarded");
    let mut exchange = shared.tap.begin(info);
    let thread = run.map(|run| shared.publish(run, &mut exchange, vendor));

    let call = Call {
        shared: Arc::clone(shared),
        provider: route.provider.to_owned(),
        is_http2: provider.config.http2,
        request,
        answer_end,
        exchange,
    };
    let is_head = parts.method == Method::HEAD;
    let answer = match detached {
        None => call
            .make()
            .await
            .map(|answer| answer.map(|body| Body::new(Held::new(body, hold, is_head)))),
        Some(place) => call.make_detached((hold, place), is_head).await,
    };
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    let thread = thread.and_then(|thread| HeaderValue::from_bytes(thread.as_str().as_bytes()).ok());
    if let Some(thread) = thread {
        response.headers_mut().insert(headers::THREAD, thread);
    }
    Ok(response)
}

impl Shared {
    /// Takes a request in, if there is room.
    fn admit(self: &Arc<Self>) -> Result<Hold, Problem> {
        if self.is_closing.load(Ordering::Relaxed) {
            return Err(Problem::busy("the gateway is going away; try again"));
        }
        let place = Arc::clone(&self.streams).try_acquire_owned();
        let place = place.map_err(|_full| self.full("the gateway serves too many requests now"))?;
        Ok(Hold {
            _stream: place,
            _gateway: Arc::clone(self),
        })
    }

    fn detach(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.detached).try_acquire_owned();
        place.map_err(|_full| self.full("too many answers are read without their client now"))
    }

    fn full(&self, detail: &str) -> Problem {
        self.refused_full.fetch_add(1, Ordering::Relaxed);
        Problem::busy(detail)
    }

    fn unknown_provider(&self) -> Problem {
        let known: Vec<&str> = self.providers.keys().map(String::as_str).collect();
        let detail = if known.is_empty() {
            "no provider is configured: name one with --llm NAME=URL, or the key llm.providers.NAME.base_url"
                .to_owned()
        } else {
            format!("there is no such provider; there are: {}", known.join(", "))
        };
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// Refuses what cannot be forwarded.
    fn check(&self, parts: &Parts, route: &Route<'_>) -> Result<(), Problem> {
        if parts.method == Method::CONNECT || headers::is_upgrade(&parts.headers) {
            return Err(Problem::new(
                StatusCode::NOT_IMPLEMENTED,
                "the gateway forwards requests only, and neither WebSockets nor other upgrades",
            ));
        }
        let (n_bytes, n_headers) = headers::size(&parts.headers);
        let (max_bytes, max_headers) = (
            self.limits.max_request_head_bytes,
            self.limits.max_request_headers,
        );
        if n_bytes > max_bytes || n_headers > max_headers {
            return Err(Problem::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                format!("the headers are over the limit of {max_headers} or {max_bytes} bytes"),
            ));
        }
        if route.is_escaping() {
            return Err(Problem::bad_request("the path has a segment '..'"));
        }
        Ok(())
    }

    /// The run that a request asks for, if it may.
    fn run(
        &self,
        asks: &Asks,
        parts: &Parts,
        request_id: &RequestId,
    ) -> Result<Option<Run>, Problem> {
        let (Some(user), Some(publisher)) = (&asks.user, &self.hooks.publisher) else {
            return Ok(None);
        };
        if let Some(authorize) = &self.hooks.authorize {
            authorize(&parts.extensions, user)
                .map_err(|denied| Problem::new(StatusCode::FORBIDDEN, denied.0))?;
        }
        let place = Arc::clone(&self.runs).try_acquire_owned();
        let place = place.map_err(|_full| self.full("too many runs are published now"))?;
        let thread = asks.thread.clone();
        let emission = Emission {
            publisher: Arc::clone(publisher),
            user: user.clone(),
            thread: thread.unwrap_or_else(|| ThreadId::from(fresh("thread-"))),
            run: TaskId::new(request_id.to_shared()),
        };
        Ok(Some(Run { emission, place }))
    }

    /// Begins a run; it goes on until the exchange has ended and all of it is published.
    fn publish(
        self: &Arc<Self>,
        run: Run,
        exchange: &mut Exchange,
        vendor: Option<String>,
    ) -> ThreadId {
        let Run { emission, place } = run;
        let thread = emission.thread.clone();
        let queue = emission.observe(exchange, vendor, self.limits.max_run_queue_bytes);
        let shared = Arc::clone(self);
        self.publishing.spawn(async move {
            shared.note_run(emission.publish(queue).await);
            drop(place);
        });
        thread
    }

    /// Reads a short JSON body whole, so that its model is known at once. Others are read as they are sent on.
    async fn take_body(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Upload, Option<AnswerEnd>), Problem> {
        let limit = self.limits.max_request_bytes;
        let idle = self.timeouts.request_idle;
        let length = body.size_hint().exact();
        if length.is_some_and(|length| length > limit) {
            return Err(Problem::body_too_large(limit));
        }
        let may_be_json = headers.get(CONTENT_TYPE).is_none_or(|value| {
            let text = value.to_str().unwrap_or_default();
            text.to_ascii_lowercase().contains("json")
        });
        let max = self.limits.max_buffered_request_bytes;
        let length = length
            .and_then(|length| usize::try_from(length).ok())
            .filter(|length| *length <= max && (may_be_json || *length == 0));
        let room = length.and_then(|length| self.room.take(length as u64));
        let (Some(length), Some(room)) = (length, room) else {
            let (upload, answer_end) = Upload::stream(body, limit, idle);
            return Ok((upload, Some(answer_end)));
        };
        let bytes = upload::collect(body, length, idle).await;
        let bytes = bytes.map_err(|error| match error {
            UploadError::TooLarge => Problem::body_too_large(limit),
            UploadError::TimedOut => Failure::BodyTimeout.problem("none was asked"),
            UploadError::Client | UploadError::Answered => {
                Failure::BodyCut.problem("none was asked")
            }
        })?;
        let upload = Upload::Whole {
            bytes,
            _room: Some(room),
        };
        Ok((upload, None))
    }
}

impl Provider {
    /// The head of the request as it is sent; its body is changed where that is configured.
    fn request(
        &self,
        parts: &Parts,
        route: &Route<'_>,
        protocol: Option<Protocol>,
        facts: &RequestFacts,
        upload: &mut Upload,
    ) -> Result<Request<()>, Problem> {
        let uri = self.base.join(route.path, parts.uri.query());
        let uri = uri.map_err(|_invalid| Problem::bad_request("the path is too long"))?;
        let mut headers = parts.headers.clone();
        let may_stream = match facts.is_stream {
            Some(is_stream) => is_stream,
            // Ollama streams unless it is told not to; what is not read before may ask for anything.
            None => protocol == Some(Protocol::Ollama) || upload.whole().is_none(),
        };
        let is_identity_asked = self.config.accept_encoding == AcceptEncoding::IdentityForStreams
            && (may_stream || headers::asks_for_events(&headers));
        headers::of_request(&mut headers, is_identity_asked);
        let is_chat = protocol == Some(Protocol::OpenAiChat)
            && route
                .path
                .trim_end_matches('/')
                .ends_with("/chat/completions");
        if self.config.inject_stream_usage && is_chat {
            let injected: Option<Bytes> = upload.whole().and_then(stream_usage::inject);
            if let Some(bytes) = injected {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                upload.replace(bytes);
            }
        }
        let mut request = Request::new(());
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// A request that is ready to be sent.
struct Call {
    shared: Arc<Shared>,
    provider: String,
    is_http2: bool,
    request: Request<Upload>,
    answer_end: Option<AnswerEnd>,
    exchange: Exchange,
}

impl Call {
    /// Sends the request and waits for the head of its answer. Dropped, the client has left.
    async fn make(self) -> Result<Answer, Problem> {
        let timeouts = self.shared.timeouts;
        let sending = self.shared.upstream.send(self.request, self.is_http2);
        let failure = match timeout(timeouts.answer_head, sending).await {
            Ok(Ok(response)) => {
                let (mut parts, body) = response.into_parts();
                headers::of_answer(&mut parts.headers);
                parts.version = http::Version::HTTP_11;
                let reason = parts.extensions.remove::<ReasonPhrase>();
                parts.extensions.clear();
                if let Some(reason) = reason {
                    parts.extensions.insert(reason);
                }
                let body = Idle::new(body, timeouts.answer_idle);
                let response = http::Response::from_parts(parts, body);
                let end = self.answer_end;
                let response = self.exchange.tap_response(response);
                return Ok(response.map(|body| Held::new(body, end, false)));
            }
            Ok(Err(error)) => Failure::of(&error),
            Err(_elapsed) => Failure::AnswerTimeout,
        };
        self.exchange.fail(failure.text());
        Err(failure.problem(&self.provider))
    }

    /// As [`make`](Self::make), in a task that reads the answer to its end.
    async fn make_detached(
        self,
        hold: (Hold, OwnedSemaphorePermit),
        is_head: bool,
    ) -> Result<Response, Problem> {
        let (sender, head) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        shared.pumps.spawn(async move {
            match Box::pin(self.make()).await {
                Ok(answer) => {
                    let (parts, body) = answer.into_parts();
                    let (feed, attached) = detached::attach(&body);
                    // The client may have left; the answer is read all the same.
                    let _is_sent = sender.send(Ok((parts, attached)));
                    feed.pump(body).await;
                }
                Err(problem) => {
                    let _is_sent = sender.send(Err(problem));
                }
            }
            drop(hold);
        });
        let head = head.await;
        let head =
            head.map_err(|_cut_off| Problem::busy("the gateway is going away; try again"))?;
        let (parts, body) = head?;
        let body = Body::new(Held::new(body, (), is_head));
        Ok(Response::from_parts(parts, body))
    }
}

/// A name that is unique in practice. It is no secret.
fn fresh(prefix: &str) -> String {
    let random = std::iter::repeat_with(fastrand::alphanumeric).take(20);
    prefix.chars().chain(random).collect()
}
