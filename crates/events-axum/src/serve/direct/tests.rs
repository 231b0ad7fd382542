use std::{future::poll_fn, sync::Arc, task::Wake};

use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedSender, unbounded_channel},
};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::*;

type Piece = Result<Bytes, io::Error>;

/// A client, the server's side of its connection, and what the body says.
async fn connected() -> (TcpStream, Direct, UnboundedSender<Piece>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(connecting, listener.accept());
    let (sender, receiver) = unbounded_channel();
    let body = Body::from_stream(UnboundedReceiverStream::new(receiver));
    let direct = Direct::new(accepted.unwrap().0, body, 0);
    (client.unwrap(), direct, sender)
}

async fn end(direct: &mut Direct) -> End {
    let ended = poll_fn(|context| direct.poll_end(context));
    timeout(Duration::from_secs(20), ended).await.unwrap()
}

async fn read_all(client: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = client.read_to_end(&mut bytes);
    let limited = timeout(Duration::from_secs(20), read).await.unwrap();
    limited.unwrap();
    bytes
}

/// Takes the framing away. Says whether the last chunk was there.
fn unchunked(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut data = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let digits = str::from_utf8(&bytes[..end]).unwrap();
        let n_bytes = usize::from_str_radix(digits, 16).unwrap();
        let rest = &bytes[end + 2..];
        data.extend_from_slice(&rest[..n_bytes]);
        assert_eq!(&rest[n_bytes..n_bytes + 2], b"\r\n");
        bytes = &rest[n_bytes + 2..];
        if n_bytes == 0 {
            assert!(bytes.is_empty());
            return (data, true);
        }
    }
    assert!(bytes.is_empty());
    (data, false)
}

#[tokio::test]
async fn what_is_there_is_written_at_once_and_the_end_is_told() {
    let (mut client, mut direct, body) = connected().await;
    for piece in ["id: 1\n\n", "", "id: 2\n\n"] {
        body.send(Ok(Bytes::from(piece))).unwrap();
    }
    drop(body);
    assert_eq!(end(&mut direct).await, End::Written);
    let (bytes, ()) = tokio::join!(read_all(&mut client), async {
        direct.part().await;
    });
    assert_eq!(bytes, b"7\r\nid: 1\n\n\r\n7\r\nid: 2\n\n\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_body_that_breaks_has_no_last_chunk() {
    let (mut client, mut direct, body) = connected().await;
    body.send(Ok(Bytes::from_static(b"x"))).unwrap();
    body.send(Err(io::Error::other("cut"))).unwrap();
    assert_eq!(end(&mut direct).await, End::Written);
    drop(direct);
    assert_eq!(read_all(&mut client).await, b"1\r\nx\r\n");
}

#[tokio::test]
async fn a_slow_client_gets_every_byte_in_order() {
    let (mut client, mut direct, body) = connected().await;
    let mut sent = Vec::new();
    for at in 0..400_usize {
        // Small ones, some that are not copied, and some beyond what the socket takes.
        let n_bytes = [7, 40_000, 300, 17_000, 900_000][at % 5] + at;
        let piece: Vec<u8> = (0..n_bytes).map(|n| (n * 31 + at) as u8).collect();
        sent.extend_from_slice(&piece);
        body.send(Ok(piece.into())).unwrap();
    }
    drop(body);
    let writing = async {
        let ended = end(&mut direct).await;
        direct.part().await;
        ended
    };
    let reading = async {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 3_000];
        loop {
            let n_read = client.read(&mut buffer).await.unwrap();
            bytes.extend_from_slice(&buffer[..n_read]);
            if n_read == 0 {
                return bytes;
            }
            tokio::task::yield_now().await;
        }
    };
    let (ended, bytes) = tokio::join!(writing, reading);
    assert_eq!(ended, End::Written);
    let (data, has_end) = unchunked(&bytes);
    assert!(has_end && data == sent);
}

#[tokio::test]
async fn a_client_that_leaves_is_seen_without_a_write() {
    let (client, mut direct, _body) = connected().await;
    drop(client);
    assert_eq!(end(&mut direct).await, End::Gone);

    let (mut client, mut direct, _body) = connected().await;
    client.shutdown().await.unwrap();
    assert_eq!(end(&mut direct).await, End::Gone, "as with hyper");
}

#[tokio::test]
async fn what_a_client_says_is_ignored_within_a_bound() {
    let (mut client, mut direct, body) = connected().await;
    client.write_all(&[b'x'; MOST_IGNORED]).await.unwrap();
    body.send(Ok(Bytes::from_static(b"y"))).unwrap();
    let mut answer = [0; 6];
    tokio::select! {
        ended = end(&mut direct) => panic!("{ended:?}"),
        read = client.read_exact(&mut answer) => assert_eq!(read.unwrap(), 6),
    }
    assert_eq!(&answer, b"1\r\ny\r\n");
    client.write_all(b"x").await.unwrap();
    assert_eq!(end(&mut direct).await, End::Gone);
}

struct Count(std::sync::atomic::AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_busy_stream_gives_others_their_turn_after_each_batch() {
    let (mut client, mut direct, body) = connected().await;
    for _ in 0..3 {
        let batch = Bytes::from(vec![b'x'; MOST_COPIED + 1]);
        body.send(Ok(batch)).unwrap();
    }
    direct.stream.writable().await.unwrap();
    let count = Arc::new(Count(0.into()));
    let waker = count.clone().into();
    let mut buffer = vec![0; 1 << 20];
    for n_wakes in 1..=3 {
        let polled = direct.poll_end(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        assert_eq!(count.0.load(std::sync::atomic::Ordering::Relaxed), n_wakes);
        let wanted = MOST_COPIED + 1 + "4001\r\n\r\n".len();
        client.read_exact(&mut buffer[..wanted]).await.unwrap();
    }
}
