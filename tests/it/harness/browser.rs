//! A browser's EventSource against a toy stream, through a proxy that cuts it.

use std::io;
use std::net::SocketAddr;

use events_tests::browser::Browser;
use events_tests::deadline::PATIENCE;
use events_tests::fault_proxy::FaultProxy;
use events_tests::report_server::ReportServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const PAGE: &str = "<!doctype html><title>toy</title><script>
const tell = (text) => fetch('/report', { method: 'POST', body: text });
const source = new EventSource('/hub/toy?user=ada');
source.onmessage = (event) => tell(`${event.lastEventId} ${event.data}`);
</script>";

/// Streams three numbered events after the one that the client names, and stays open.
async fn toy() -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move { drop(serve(stream).await) });
        }
    });
    (address, tasks)
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_buf(&mut request).await?;
    }
    let request = String::from_utf8_lossy(&request).to_ascii_lowercase();
    assert!(
        request.starts_with("get /toy?user=ada http/1.1"),
        "{request}"
    );
    let last: u32 = request
        .lines()
        .find_map(|line| line.strip_prefix("last-event-id: "))
        .map_or(0, |id| id.parse().unwrap());
    let mut text =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nretry: 100\n\n".to_owned();
    for id in last + 1..=last + 3 {
        text.push_str(&format!("id: {id}\ndata: after {last}\n\n"));
    }
    stream.write_all(text.as_bytes()).await?;
    // Stays open until the other side leaves.
    stream.read_u8().await.map(|_| ())
}

#[tokio::test]
async fn an_event_source_comes_back_with_its_last_id() {
    let (toy, _tasks) = toy().await;
    let proxy = FaultProxy::start(toy).await.unwrap();
    let mut server = ReportServer::start().await.unwrap();
    server.page("/", PAGE);
    server.proxy("/hub", proxy.address());
    let name = "an_event_source_comes_back_with_its_last_id";
    let Some(browser) = Browser::open(name, &server.url("/")).unwrap() else {
        return;
    };
    let mut reports = Vec::new();
    for round in 0..3 {
        for _ in 0..3 {
            let report = server.next_report(PATIENCE).await;
            reports.push(report.unwrap_or_else(|error| panic!("{error}: {}", browser.log())));
        }
        match round {
            0 => proxy.reset_all(),
            _ => server.cut_streams(),
        }
    }
    // The page's reports travel on connections of their own, so their order is not the stream's.
    reports.sort();
    let expected: Vec<String> = (1..=9)
        .map(|id| format!("{id} after {}", (id - 1) / 3 * 3))
        .collect();
    assert_eq!(reports, expected);
}
