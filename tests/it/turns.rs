//! Clients that come all at once, and one that was there before.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::http::Uri;
use events_axum::serve::Server;
use events_axum::{StreamState, hub_router};
use events_router::EventRouter;
use events_tests::deadline::{PATIENCE, within};
use events_tests::raw_client::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const CROWD: usize = 40;

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

async fn answer(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = [0; 1_024];
    let n_read = within("an answer", PATIENCE, stream.read(&mut bytes)).await?;
    Ok(String::from_utf8_lossy(&bytes[..n_read]).into_owned())
}

/// A hub that also writes down what it is asked for.
async fn serve(asked: &Arc<Mutex<Vec<String>>>) -> (SocketAddr, JoinSet<()>) {
    let asked = Arc::clone(asked);
    let write_down = async move |uri: Uri| {
        asked.lock().unwrap().push(uri.path().to_owned());
    };
    let state = StreamState::new(EventRouter::default());
    let edge = state.edge().clone();
    let app = hub_router(state).fallback(write_down);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    let serving = Server::new(listener, app).with_edge(edge);
    server.spawn(serving.run(std::future::pending()));
    (address, server)
}

async fn n_sockets(address: SocketAddr) -> usize {
    let page = get(address, "/metrics", &[]).await.unwrap().text();
    let value = page
        .lines()
        .find_map(|line| line.strip_prefix("events_sockets "));
    value.unwrap_or_else(|| panic!("{page}")).parse().unwrap()
}

/// The runtime has one thread, so the order is the server's doing only.
#[tokio::test]
async fn who_is_there_does_not_wait_for_all_who_come_at_once() {
    let asked = Arc::default();
    let (address, _server) = serve(&asked).await;
    let mut resident = TcpStream::connect(address).await.unwrap();
    resident.write_all(&request("/before")).await.unwrap();
    assert!(answer(&mut resident).await.unwrap().contains("200 OK"));
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(TcpStream::connect(address).await.unwrap());
    }
    within("all are accepted", PATIENCE, async {
        while n_sockets(address).await <= CROWD {}
        Ok(())
    })
    .await
    .unwrap();
    asked.lock().unwrap().clear();

    // Without a pause: the server sees all of it at once, and this one's request last.
    for (number, stream) in crowd.iter().enumerate() {
        let request = request(&format!("/crowd/{number}"));
        assert_eq!(stream.try_write(&request).unwrap(), request.len());
    }
    resident.try_write(&request("/event")).unwrap();

    assert!(answer(&mut resident).await.unwrap().contains("200 OK"));
    for stream in &mut crowd {
        assert!(answer(stream).await.unwrap().contains("200 OK"));
    }
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), CROWD + 1);
    let n_before = asked.iter().position(|path| path == "/event").unwrap();
    assert!(n_before < CROWD / 4, "{n_before} of the crowd came first");
}
