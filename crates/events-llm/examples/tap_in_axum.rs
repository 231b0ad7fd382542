//! A proxy in front of Ollama that shows what its models say: `cargo run -p events-llm --example tap_in_axum`, then
//! `curl localhost:4100/api/chat -d '{"model":"qwen3","messages":[{"role":"user","content":"Hi"}]}'`.

#![expect(clippy::print_stderr, reason = "an example shows what it sees")]

use std::sync::Arc;

use axum::{Router, body::Body, extract::State, http::Request, response::Response, routing::any};
use events_llm::{NoPrices, Provider, RequestInfo, StreamEventBroadcaster, Tap};
use futures_util::StreamExt as _;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

async fn forward(State(tap): State<Tap>, mut request: Request<Body>) -> Response<Body> {
    let path = request.uri().to_string();
    let info =
        RequestInfo::new(fastrand::u64(..).to_string()).with_provider(Provider::of_path(&path));
    // From here on, whatever happens is told once, also when the client leaves while it waits.
    let exchange = tap.begin(info);
    *request.uri_mut() = format!("http://127.0.0.1:11434{path}")
        .parse()
        .expect("a path is one");
    match Client::builder(TokioExecutor::new())
        .build_http()
        .request(request)
        .await
    {
        Ok(response) => exchange.tap_response(response).map(Body::new),
        Err(_) => {
            exchange.fail("Ollama cannot be reached");
            Response::builder()
                .status(502)
                .body(Body::empty())
                .expect("a status is enough")
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let broadcaster = Arc::new(StreamEventBroadcaster::default());
    let app = Router::new()
        .fallback(any(forward))
        .with_state(Tap::new(Arc::clone(&broadcaster), Arc::new(NoPrices)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:4100").await?;
    let watching = broadcaster
        .watch()
        .for_each(|seen| async move { eprintln!("{seen:?}") });
    tokio::select! { served = async { axum::serve(listener, app).await } => served, () = watching => Ok(()) }
}
