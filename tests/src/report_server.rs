//! A small web server for pages under test: it serves the page, takes its reports, and passes the
//! rest of the origin on to the server under test, so that page and stream share one origin.
//!
//! It also serves folders of modules as the packages of Node.js lie there, for pages with an import map.
//!
//! A page reports with `fetch('/report', { method: 'POST', body: text })`.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::deadline::within;

/// Reports that wait to be read; a page that sends more is answered late.
const MAX_REPORTS: usize = 1024;

const HTML: &str = "text/html";
const SCRIPT: &str = "text/javascript";

/// The running server; dropping it ends it and its connections.
#[derive(Debug)]
pub struct ReportServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    reports: mpsc::Receiver<String>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    routes: Mutex<Routes>,
    reports: mpsc::Sender<String>,
    /// Counts how often proxied connections were cut.
    cuts: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Routes {
    pages: HashMap<String, String>,
    /// Prefixes, and the folders with what follows them.
    folders: Vec<(String, PathBuf)>,
    /// Prefixes, and where what follows them is sent.
    proxies: Vec<(String, SocketAddr)>,
}

/// A request as far as this server needs to know it.
#[derive(Debug)]
struct Incoming {
    /// The head without its last empty line.
    head: String,
    method: String,
    path: String,
    /// What came behind the head.
    rest: Vec<u8>,
}

impl ReportServer {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When no socket can be opened.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind when the future is dropped.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, reports) = mpsc::channel(MAX_REPORTS);
        let shared = Arc::new(Shared {
            routes: Mutex::default(),
            reports: sender,
            cuts: watch::Sender::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            reports,
            _tasks: tasks,
        })
    }

    /// Returns the URL of a path (with its slash).
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Serves an HTML page at a path.
    pub fn page(&self, path: &str, html: &str) {
        self.shared
            .routes()
            .pages
            .insert(path.to_owned(), html.to_owned());
    }

    /// Serves the scripts of a folder below `prefix` (such as `/modules`). A path without its ending is found as
    /// bundlers find it: with `.js`, or as the `index.js` of a folder.
    pub fn folder(&self, prefix: &str, folder: &Path) {
        let folder = (prefix.to_owned(), folder.to_owned());
        self.shared.routes().folders.push(folder);
    }

    /// Sends requests below `prefix` (such as `/hub`) to `target`, without the prefix. Called
    /// again, it sends future requests elsewhere.
    pub fn proxy(&self, prefix: &str, target: SocketAddr) {
        let mut routes = self.shared.routes();
        routes.proxies.retain(|(known, _)| known != prefix);
        routes.proxies.push((prefix.to_owned(), target));
    }

    /// Closes all proxied connections, in the middle of whatever they carry.
    pub fn cut_streams(&self) {
        self.shared.cuts.send_modify(|n_cuts| *n_cuts += 1);
    }

    /// Waits for the page's next report.
    ///
    /// # Errors
    ///
    /// `TimedOut` after `limit`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next_report(&mut self, limit: Duration) -> io::Result<String> {
        within("the page's report", limit, async {
            self.reports
                .recv()
                .await
                .ok_or_else(|| io::Error::other("the server is gone"))
        })
        .await
    }
}

impl Shared {
    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the script that a path names in one of the folders.
    fn script(&self, path: &str) -> Option<PathBuf> {
        self.routes().folders.iter().find_map(|(prefix, folder)| {
            let rest = Path::new(path.strip_prefix(prefix.as_str())?.strip_prefix('/')?);
            let is_below = rest
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            let named = folder.join(rest);
            let with_ending = PathBuf::from(format!("{}.js", named.display()));
            let of_folder = named.join("index.js");
            [named, with_ending, of_folder]
                .into_iter()
                .find(|file| is_below && file.is_file())
        })
    }

    /// Where a path is sent, and under which path.
    fn proxied(&self, path: &str) -> Option<(SocketAddr, String)> {
        self.routes().proxies.iter().find_map(|(prefix, target)| {
            let rest = path.strip_prefix(prefix.as_str())?;
            rest.starts_with(['/', '?'])
                .then(|| (*target, rest.to_owned()))
        })
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    // A browser opens connections that it then does not use, and breaks others.
                    drop(serve(stream, &shared).await);
                });
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let request = Incoming::read(&mut stream).await?;
    if let Some((target, path)) = shared.proxied(&request.path) {
        return forward(stream, request, target, &path, shared.cuts.subscribe()).await;
    }
    if request.method == "POST" && request.path == "/report" {
        let report = request.body(&mut stream).await?;
        shared
            .reports
            .send(report)
            .await
            .map_err(io::Error::other)?;
        return answer(&mut stream, "204 No Content", HTML, "").await;
    }
    let path = request.path.split('?').next().unwrap_or_default();
    let page = shared.routes().pages.get(path).cloned();
    if let Some(page) = page {
        return answer(&mut stream, "200 OK", HTML, &page).await;
    }
    match shared.script(path).map(std::fs::read_to_string) {
        Some(script) => answer(&mut stream, "200 OK", SCRIPT, &script?).await,
        None => answer(&mut stream, "404 Not Found", HTML, "").await,
    }
}

async fn answer(stream: &mut TcpStream, status: &str, kind: &str, body: &str) -> io::Result<()> {
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

/// Passes one request on and its answer back, byte for byte and without a buffer in between.
async fn forward(
    mut client: TcpStream,
    request: Incoming,
    target: SocketAddr,
    path: &str,
    mut cuts: watch::Receiver<u64>,
) -> io::Result<()> {
    cuts.mark_unchanged();
    let mut server = TcpStream::connect(target).await?;
    server.set_nodelay(true)?;
    server
        .write_all(request.head_for(target, path).as_bytes())
        .await?;
    server.write_all(&request.rest).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    tokio::select! {
        _cut = cuts.changed() => {}
        _end = tokio::io::copy(&mut from_server, &mut to_client) => {}
        // Ends when the page closes the connection: a browser does not half-close.
        _end = tokio::io::copy(&mut from_client, &mut to_server) => {}
    }
    Ok(())
}

impl Incoming {
    async fn read(stream: &mut TcpStream) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let rest = bytes.split_off(end + 4);
        let head = String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned();
        let mut words = head.split(' ').map(str::to_owned);
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default();
        Ok(Self {
            head,
            method,
            path,
            rest,
        })
    }

    /// Reads the counted body.
    async fn body(self, stream: &mut TcpStream) -> io::Result<String> {
        let length = self.head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        let mut body = self.rest;
        while body.len() < length.unwrap_or(0_usize) {
            if stream.read_buf(&mut body).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// The head for another server: its own host and path, and one request a connection.
    fn head_for(&self, target: SocketAddr, path: &str) -> String {
        let mut head = format!("{} {path} HTTP/1.1\r\n", self.method);
        for line in self.head.lines().skip(1) {
            let name = line
                .split(':')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            if !matches!(name.as_str(), "host" | "connection" | "keep-alive") {
                head.push_str(&format!("{line}\r\n"));
            }
        }
        head + &format!("host: {target}\r\nconnection: close\r\n\r\n")
    }
}
