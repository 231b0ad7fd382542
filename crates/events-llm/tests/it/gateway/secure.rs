//! TLS, and HTTP/2 within it.

use std::{convert::Infallible, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use super::{
    client::post,
    provider::Provider,
    world::{STREAM, World},
};
use crate::{fixtures, tapping::check_told};

/// A provider with TLS that answers with a recorded answer and says which version of HTTP was spoken.
struct Secure {
    place: String,
    authority_pem: Vec<u8>,
    _tasks: JoinSet<()>,
}

fn reply(request: &Request<Incoming>, body: &Bytes) -> Response<Body> {
    let pieces: Vec<_> = body.chunks(50).map(Bytes::copy_from_slice).collect();
    let pieces = futures_util::stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
    let host = request.uri().authority().map(ToString::to_string);
    Response::builder()
        .header("content-type", "text/event-stream")
        .header("x-version", format!("{:?}", request.version()))
        .header("x-authority", host.unwrap_or_default())
        .header(
            "x-key",
            request.headers().get("x-api-key").cloned().unwrap(),
        )
        .body(Body::from_stream(pieces))
        .unwrap()
}

impl Secure {
    async fn start(body: &[u8], protocols: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let authority_pem = certificate.pem().into_bytes();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = format!(
            "https://localhost:{}",
            listener.local_addr().unwrap().port()
        );
        let body = Bytes::copy_from_slice(body);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, body) = (acceptor.clone(), body.clone());
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let service = service_fn(move |request| {
                        std::future::ready(Ok::<_, Infallible>(reply(&request, &body)))
                    });
                    let stream = TokioIo::new(stream);
                    if is_http2 {
                        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        let _ended = server.serve_connection(stream, service).await;
                    } else {
                        let server = hyper::server::conn::http1::Builder::new();
                        let _ended = server.serve_connection(stream, service).await;
                    }
                });
            }
        });
        Self {
            place,
            authority_pem,
            _tasks: tasks,
        }
    }

    async fn world(&self, is_http2: bool, is_trusted: bool) -> World {
        let change = |config: &mut events_llm::gateway::GatewayConfig| {
            config.providers.get_mut("p").unwrap().http2 = is_http2;
            if is_trusted {
                config.authorities_pem.clone_from(&self.authority_pem);
            }
        };
        let unused = Provider::start(Vec::new()).await;
        World::before(unused, &self.place, change, Default::default()).await
    }
}

#[tokio::test]
async fn answers_pass_over_both_versions_of_http() {
    let fixture = fixtures::one("anthropic/tool_unicode_args.sse");
    for (protocols, is_http2, version) in [
        (&["h2", "http/1.1"][..], true, "HTTP/2.0"),
        (&["h2", "http/1.1"], false, "HTTP/1.1"),
        (&["http/1.1"], true, "HTTP/1.1"),
        (&[], true, "HTTP/1.1"),
    ] {
        let secure = Secure::start(&fixture.body, protocols).await;
        let mut world = secure.world(is_http2, true).await;
        for _ in 0..2 {
            let headers = "x-api-key: key\r\nte: trailers\r\nconnection: keep-alive, te\r\n";
            let reply = post(world.port, "/llm/p/v1/messages", headers, STREAM).await;
            assert_eq!(reply.status, 200, "{}", reply.line);
            assert_eq!(reply.header("x-version"), Some(version));
            assert_eq!(reply.header("x-key"), Some("key"));
            assert!(reply.is_whole && reply.body == fixture.body);
            check_told(&fixture, &world.events().await);
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_not_trusted_is_a_502() {
    let secure = Secure::start(b"", &[]).await;
    let mut world = secure.world(false, false).await;
    let reply = post(
        world.port,
        "/llm/p/v1/messages",
        "x-api-key: key\r\n",
        STREAM,
    )
    .await;
    let text = "no secure connection to the provider came about";
    assert_eq!(
        (reply.status, reply.detail()),
        (502, format!("{text} (provider p)"))
    );
    assert_eq!(world.failure().await, text);
}
