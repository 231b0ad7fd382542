//! A server of `/llm/streams` that knows nothing but frames.

use std::{io, net::SocketAddr, sync::Arc};

use events_models::StreamFeedFrame;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, ToSocketAddrs},
    sync::broadcast,
    task::JoinSet,
};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
                    retry: 300\n\n: connected\n\n";

/// It runs until it is dropped, which cuts all connections.
pub(super) struct NaiveFeed {
    address: SocketAddr,
    sender: broadcast::Sender<Arc<str>>,
    _tasks: JoinSet<()>,
}

fn event(frame: &StreamFeedFrame) -> String {
    let json = serde_json::to_string(frame).expect("a frame is JSON");
    format!("data: {json}\n\n")
}

impl NaiveFeed {
    /// Serves everybody this frame first, and then what is sent.
    pub(super) async fn start(
        address: impl ToSocketAddrs,
        first: &StreamFeedFrame,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (sender, _) = broadcast::channel(64);
        let first: Arc<str> = format!("{HEAD}{}", event(first)).into();
        let mut tasks = JoinSet::new();
        let frames = sender.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (first, frames) = (first.clone(), frames.subscribe());
                connections.spawn(async move { drop(serve(stream, &first, frames).await) });
            }
        });
        Ok(Self {
            address,
            sender,
            _tasks: tasks,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends a frame to everybody who is connected.
    pub(super) fn send(&self, frame: &StreamFeedFrame) {
        self.write(&event(frame));
    }

    /// Sends this text to everybody who is connected.
    pub(super) fn write(&self, text: &str) {
        self.sender
            .send(text.into())
            .expect("somebody is connected");
    }
}

async fn serve(
    mut stream: TcpStream,
    first: &str,
    mut frames: broadcast::Receiver<Arc<str>>,
) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    assert!(request.starts_with(b"GET /llm/streams HTTP/1.1\r\n"));
    stream.write_all(first.as_bytes()).await?;
    while let Ok(frame) = frames.recv().await {
        stream.write_all(frame.as_bytes()).await?;
    }
    Ok(())
}
