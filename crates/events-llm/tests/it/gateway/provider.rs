//! A provider that plays a script, whatever the request.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinSet,
    time::timeout,
};

use super::client::dechunk;

/// The longest wait for anything in these tests.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// One thing that a provider does on a connection.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Reads the head of a request and tells the test of it.
    Head,
    /// Reads a whole request and tells the test of it.
    Request,
    Send(Vec<u8>),
    /// Sends the same bytes so many times, as long as the peer takes them.
    Flood(Vec<u8>, usize),
    /// Waits until the peer has closed the connection, and tells the test of it.
    UntilClosed,
    /// Waits until the test says so.
    UntilTold,
    /// Closes the connection so that the peer sees a reset.
    Reset,
    /// Does all from the beginning, on the same connection.
    Again,
}

/// A request as it arrived.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    /// The values of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&[u8]> {
        let of_name = self.headers.iter().filter(|(found, _)| found == name);
        of_name.map(|(_, value)| value.as_slice()).collect()
    }
}

/// What a provider tells its test.
#[derive(Debug)]
pub(crate) enum Seen {
    Request(Received),
    Closed,
}

pub(crate) struct Provider {
    pub(crate) port: u16,
    pub(crate) seen: UnboundedReceiver<Seen>,
    go_on: Arc<tokio::sync::Notify>,
    _tasks: JoinSet<()>,
}

impl Provider {
    /// Starts a provider that does this on every connection, and closes it then.
    pub(crate) async fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, seen) = mpsc::unbounded_channel();
        let go_on = Arc::new(tokio::sync::Notify::new());
        let told = Arc::clone(&go_on);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let player = Player {
                    steps: steps.clone(),
                    sender: sender.clone(),
                    told: Arc::clone(&told),
                };
                connections.spawn(player.play_tcp(stream));
            }
        });
        Self {
            port,
            seen,
            go_on,
            _tasks: tasks,
        }
    }

    pub(crate) fn tell(&self) {
        self.go_on.notify_one();
    }

    /// Waits for what is seen next.
    pub(crate) async fn next(&mut self) -> Seen {
        timeout(LIMIT, self.seen.recv()).await.unwrap().unwrap()
    }

    pub(crate) async fn request(&mut self) -> Received {
        match self.next().await {
            Seen::Request(received) => received,
            Seen::Closed => panic!("a connection closed"),
        }
    }

    pub(crate) async fn closed(&mut self) {
        let seen = self.next().await;
        assert!(matches!(seen, Seen::Closed), "{seen:?}");
    }
}

/// Plays a script on one connection.
pub(crate) struct Player {
    pub(crate) steps: Vec<Step>,
    pub(crate) sender: UnboundedSender<Seen>,
    pub(crate) told: Arc<tokio::sync::Notify>,
}

impl Player {
    async fn play_tcp(self, mut stream: TcpStream) {
        let resets = self.steps.iter().any(|step| matches!(step, Step::Reset));
        self.play(&mut stream).await;
        if resets {
            socket2::SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
    }

    pub(crate) async fn play<S>(self, stream: &mut S)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut held = Vec::new();
        let mut index = 0;
        while let Some(step) = self.steps.get(index) {
            index += 1;
            match step {
                Step::Head | Step::Request => {
                    let is_whole = matches!(step, Step::Request);
                    let Some(received) = receive(stream, &mut held, is_whole).await else {
                        let _told = self.sender.send(Seen::Closed);
                        return;
                    };
                    let _told = self.sender.send(Seen::Request(received));
                }
                Step::Send(bytes) => {
                    if stream.write_all(bytes).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                }
                Step::Flood(bytes, n_times) => {
                    for _ in 0..*n_times {
                        if stream.write_all(bytes).await.is_err() {
                            let _told = self.sender.send(Seen::Closed);
                            return;
                        }
                    }
                }
                Step::UntilClosed => {
                    let mut ignored = [0; 1024];
                    while stream
                        .read(&mut ignored)
                        .await
                        .is_ok_and(|n_read| n_read > 0)
                    {}
                    let _told = self.sender.send(Seen::Closed);
                    return;
                }
                Step::UntilTold => self.told.notified().await,
                Step::Reset => return,
                Step::Again => index = 0,
            }
        }
        let _shut = stream.shutdown().await;
    }
}

/// Reads one request; `None` if the peer closes instead.
async fn receive<S>(stream: &mut S, held: &mut Vec<u8>, is_whole: bool) -> Option<Received>
where
    S: AsyncRead + Unpin,
{
    let head_end = loop {
        if let Some(end) = held.windows(4).position(|found| found == b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, held).await?;
    };
    let rest = held.split_off(head_end);
    let head = std::mem::replace(held, rest);
    let (line, headers) = parse_head(&head);
    let find = |name: &str| headers.iter().find(|(found, _)| found == name);
    let length = find("content-length").map(|(_, value)| {
        let text = std::str::from_utf8(value).unwrap();
        text.parse::<usize>().unwrap()
    });
    let is_chunked = find("transfer-encoding").is_some();
    let mut body = Vec::new();
    if is_whole && is_chunked {
        let (data, n_used) = loop {
            if let Some((data, _, n_used)) = dechunk(held) {
                break (data, n_used);
            }
            more(stream, held).await?;
        };
        held.drain(..n_used);
        body = data;
    } else if is_whole && let Some(length) = length {
        while held.len() < length {
            more(stream, held).await?;
        }
        body = held.drain(..length).collect();
    }
    Some(Received {
        line,
        headers,
        body,
    })
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, held: &mut Vec<u8>) -> Option<()> {
    let n_read = stream.read_buf(held).await.ok()?;
    (n_read > 0).then_some(())
}

/// The first line and the headers, names in lower case.
pub(crate) fn parse_head(head: &[u8]) -> (String, Vec<(String, Vec<u8>)>) {
    let mut lines = head
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end);
    let line = String::from_utf8(lines.next().unwrap().to_vec()).unwrap();
    let headers = lines.take_while(|line| !line.is_empty()).map(|line| {
        let colon = line.iter().position(|byte| *byte == b':').unwrap();
        let name = String::from_utf8(line[..colon].to_ascii_lowercase()).unwrap();
        (name, line[colon + 1..].trim_ascii().to_vec())
    });
    (line, headers.collect())
}

/// An answer in chunks, one for each piece.
pub(crate) fn chunked<'p>(head: &str, pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Step> {
    let head = format!("HTTP/1.1 200 OK\r\n{head}transfer-encoding: chunked\r\n\r\n");
    let mut steps = vec![Step::Send(head.into_bytes())];
    steps.extend(
        pieces
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .map(|piece| Step::Send(chunk(piece))),
    );
    steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
    steps
}

pub(crate) fn chunk(piece: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
    chunk.extend_from_slice(piece);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// An answer with its length.
pub(crate) fn whole(head: &str, body: &[u8]) -> Vec<Step> {
    let head = format!(
        "HTTP/1.1 200 OK\r\n{head}content-length: {}\r\n\r\n",
        body.len()
    );
    vec![Step::Send([head.as_bytes(), body].concat())]
}

/// A request, and then these steps.
pub(crate) fn answer(steps: Vec<Step>) -> Vec<Step> {
    std::iter::once(Step::Request).chain(steps).collect()
}
