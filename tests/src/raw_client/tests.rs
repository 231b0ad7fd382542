use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

/// A server that reads until `until` has come, then writes `answer` in pieces, and closes.
async fn canned(
    until: &'static [u8],
    answer: Vec<&'static [u8]>,
) -> (SocketAddr, JoinSet<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut request = Vec::new();
        while !request.ends_with(until) {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0);
        }
        for piece in answer {
            stream.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        request
    });
    (address, tasks)
}

const STREAM: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_counted_answer_is_read_whole() {
    let answer = b"HTTP/1.1 422 Unprocessable\r\nContent-Length: 7\r\nX-A: b\r\n\r\n{\"a\":1}";
    let (address, mut tasks) = canned(b"[1]", vec![answer]).await;
    let response = post(address, "/x?y=1", "application/json", "[1]")
        .await
        .unwrap();
    assert_eq!(
        (response.status(), response.head.header("x-a")),
        (422, Some("b"))
    );
    assert_eq!(response.json().unwrap(), serde_json::json!({"a": 1}));
    let request = String::from_utf8(tasks.join_next().await.unwrap().unwrap()).unwrap();
    assert!(
        request.starts_with("POST /x?y=1 HTTP/1.1\r\nhost: 127.0.0.1:"),
        "{request}"
    );
    assert!(request.contains("content-length: 3\r\n"), "{request}");
}

#[tokio::test]
async fn frames_are_put_together_from_any_chunks() {
    let pieces: Vec<&'static [u8]> = vec![
        STREAM,
        b"10\r\nretry: 2000\n: hi\r\n",
        b"2\r\n\n\n\r\n",
        b"20\r\nid: 1\nevent: gap\ndata: a\ndata: b\r\n2\r\n\n\n\r\n",
        b"0\r\n\r\n",
    ];
    let (address, _tasks) = canned(b"\r\n\r\n", pieces).await;
    let mut stream = RawSse::connect(address, "/agui", &[("last-event-id", "7")])
        .await
        .unwrap();
    let first = stream.next_frame(PATIENCE).await.unwrap().unwrap();
    assert_eq!(
        (first.retry, first.comments.as_slice()),
        (Some(2000), &["hi".to_owned()][..])
    );
    assert!(!first.is_event());
    let second = stream.next_event(PATIENCE).await.unwrap();
    assert_eq!(second.data.as_deref(), Some("a\nb"));
    assert_eq!(
        (second.id.as_deref(), second.event.as_deref()),
        (Some("1"), Some("gap"))
    );
    assert_eq!(stream.last_id(), Some("1"));
    assert_eq!(stream.next_frame(PATIENCE).await.unwrap(), None);
    assert_eq!((stream.frames().len(), stream.n_bytes()), (2, 52));
}

#[tokio::test]
async fn a_cut_stream_is_not_a_proper_end() {
    let (address, _tasks) = canned(b"\r\n\r\n", vec![STREAM, b"9\r\ndata: 1\n\n\r\n"]).await;
    let mut stream = RawSse::connect(address, "/", &[]).await.unwrap();
    assert_eq!(
        stream.next_event(PATIENCE).await.unwrap().data.as_deref(),
        Some("1")
    );
    let error = stream.next_frame(PATIENCE).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn an_end_inside_a_frame_is_not_a_proper_end() {
    let (address, _tasks) = canned(b"\r\n\r\n", vec![STREAM, b"7\r\ndata: 1\r\n0\r\n\r\n"]).await;
    let mut stream = RawSse::connect(address, "/", &[]).await.unwrap();
    let error = stream.read_to_end(PATIENCE).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn silence_is_told_from_an_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let request = Request::get("/").receive_buffer(4096);
    let (stream, server) = tokio::join!(RawSse::open(address, &request), async {
        let (mut server, _) = listener.accept().await.unwrap();
        server.write_all(STREAM).await.unwrap();
        server
    });
    let mut stream = stream.unwrap();
    assert!(
        stream
            .is_silent(std::time::Duration::from_millis(50))
            .await
            .unwrap()
    );
    stream.reset().unwrap();
    let mut rest = Vec::new();
    let mut server = server;
    let error = within("the RST", PATIENCE, server.read_to_end(&mut rest))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_answer_that_is_no_stream_is_refused() {
    let answer = b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n";
    let (address, _tasks) = canned(b"\r\n\r\n", vec![answer]).await;
    let error = RawSse::connect(address, "/", &[]).await.unwrap_err();
    assert!(error.to_string().contains("429"), "{error}");
}

#[tokio::test]
async fn lines_are_answered_while_the_body_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(STREAM).await.unwrap();
        let mut request = Vec::new();
        for (until, answer) in [
            (&b"first\n\r\n"[..], &b"b\r\n{\"line\":1}\n\r\n"[..]),
            (b"second\n\r\n", b"b\r\n{\"line\":2}\n\r\n"),
            (b"0\r\n\r\n", b"0\r\n\r\n"),
        ] {
            while !request.ends_with(until) {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            stream.write_all(answer).await.unwrap();
        }
    });
    let mut live = LivePost::open(address, "/live", &[]).await.unwrap();
    for (line, expected) in [("first", "{\"line\":1}"), ("second", "{\"line\":2}")] {
        live.send_line(line).await.unwrap();
        assert_eq!(
            live.next_line(PATIENCE).await.unwrap().as_deref(),
            Some(expected)
        );
    }
    assert_eq!(live.head(PATIENCE).await.unwrap().status, 200);
    live.finish().await.unwrap();
    assert_eq!(live.next_line(PATIENCE).await.unwrap(), None);
}

#[test]
fn a_carriage_return_is_refused() {
    assert!(FrameSplitter::default().push(b"data: 1\r\n").is_err());
}
