//! Spans to an OpenTelemetry collector: one for each stream, and one for each publish request.
//!
//! They go out as protobuf over HTTP, by the client of HTTP that is there anyway; gRPC would bring a second one. They
//! are sent by a thread of their own, in batches; a collector that is away costs spans, never events. What is counted
//! is read at `/metrics`, which collectors can do by themselves.

use std::{sync::Arc, time::Duration};

use axum::{extract::Request, http::HeaderMap, middleware::Next, response::Response};
use opentelemetry::{
    Context,
    trace::{
        SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        TracerProvider as _,
    },
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Tracer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tracing::{Instrument as _, Metadata, field::Empty};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt as _};
use tracing_subscriber::{
    Layer as _,
    filter::{FilterFn, Filtered, LevelFilter},
    registry::LookupSpan,
};

use crate::{Failure, auth_keys::tls};

/// Spans that wait to be sent: when a hub goes away, all of its streams end within some seconds. More are left out.
const MAX_WAITING: usize = 16_384;
/// Spans in one request.
const BATCH: usize = 1_024;
/// How long spans wait at most.
const DELAY: Duration = Duration::from_secs(2);
/// How long a collector may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last spans may take when the process ends.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// What sends spans. Call [`Telemetry::end`] before the process ends.
#[derive(Debug)]
pub(crate) struct Telemetry {
    provider: SdkTracerProvider,
}

/// Hands our spans, and nobody else's, to what sends them.
pub(crate) type SpanLayer<S> = Filtered<OpenTelemetryLayer<S, Tracer>, FilterFn, S>;

impl Telemetry {
    /// Begins to send spans to the collector at `address`, such as `http://127.0.0.1:4318`.
    ///
    /// Call it outside a runtime: the client has one of its own.
    ///
    /// # Errors
    ///
    /// [`Failure::Telemetry`]: the address or the certificates of this system are of no use. Whether somebody is there
    /// is seen later, and no error.
    pub(crate) fn start(address: &str) -> Result<Self, Failure> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", address.trim_end_matches('/')))
            .with_timeout(TIMEOUT)
            .with_http_client(client(address)?)
            .build()
            .map_err(|error| Failure::Telemetry(error.into()))?;
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_WAITING)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(config)
            .build();
        let resource = Resource::builder()
            .with_service_name("events")
            .with_attribute(opentelemetry::KeyValue::new(
                "service.version",
                env!("CARGO_PKG_VERSION"),
            ))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_resource(resource)
            .build();
        Ok(Self { provider })
    }

    /// Makes what collects spans.
    pub(crate) fn layer<S>(&self) -> SpanLayer<S>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        let wanted = FilterFn::new(is_ours as fn(&Metadata<'_>) -> bool)
            .with_max_level_hint(LevelFilter::DEBUG);
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("events"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(wanted)
    }

    /// Sends what is left, for a second at most. Call it outside a runtime.
    pub(crate) fn end(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST_MOMENT) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Makes a span of a publish request; with a `traceparent` it belongs to the publisher's trace.
pub(crate) async fn trace_publish(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let Some(stream) = path.strip_prefix("/publish/") else {
        return next.run(request).await;
    };
    let stream = stream.split('/').next().unwrap_or_default();
    let span = tracing::info_span!("publish", stream, status = Empty);
    if let Some(parent) = parent_of(request.headers()) {
        // Only a span that has begun cannot be given one.
        let _is_late = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    let response = next.run(request).instrument(span.clone()).await;
    span.record("status", response.status().as_u16());
    response
}

/// Reads `traceparent` (W3C Trace Context, 3.2).
fn parent_of(headers: &HeaderMap) -> Option<SpanContext> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // A later version may have more behind these, and none is called ff.
    let is_whole = version != "00" || parts.next().is_none();
    let lengths = [(version, 2), (trace, 32), (span, 16), (flags, 2)];
    let is_hex = |(part, length): (&str, usize)| {
        part.len() == length
            && part
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    if version == "ff" || !is_whole || !lengths.into_iter().all(is_hex) {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1),
        true,
        TraceState::NONE,
    );
    context.is_valid().then_some(context)
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("events_")
}

/// Makes the client, with the certificates that this system trusts if the address needs them.
fn client(address: &str) -> Result<reqwest::blocking::Client, Failure> {
    let tls = if address.starts_with("https://") {
        tls(None)
    } else {
        no_tls()
    };
    reqwest::blocking::Client::builder()
        .tls_backend_preconfigured(tls.map_err(Failure::Telemetry)?)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()
        .map_err(|error| Failure::Telemetry(error.into()))
}

/// Makes what stands in for TLS where it is not spoken: it trusts nobody, and needs no certificates to be there.
fn no_tls() -> Result<ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(text: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static(text));
        parent_of(&headers).map(|parent| parent.span_id().to_string())
    }

    #[test]
    fn a_traceparent_is_read_strictly() {
        let whole = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(read(whole).as_deref(), Some("00f067aa0ba902b7"));
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert_eq!(read(later).as_deref(), Some("00f067aa0ba902b7"));
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
