//! The configurations of `docs/proxies`, as they stand but for ports and certificates, between a hub and a browser.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use events_tests::deadline::{PATIENCE, within};
use events_tests::devtools::DrivenPage;
use events_tests::server_process::ServerProcess;
use events_tests::skip::{program, require, workspace_root};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::interval;

/// How soon a browser has to see an event that a page publishes, at the best of some trials.
const PROMPT_MS: f64 = 200.0;

/// One of the proxies that the documents tell about.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Nginx,
    HaProxy,
}

/// A running proxy with TLS; dropping it kills it.
struct Proxy {
    kind: Kind,
    address: SocketAddr,
    program: PathBuf,
    folder: TempDir,
    child: Child,
}

impl Proxy {
    /// Writes the configuration of the documents with these addresses, and starts the proxy.
    async fn start(kind: Kind, program: PathBuf, hub: SocketAddr) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        // Free now; whoever takes it in between makes the start fail.
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let file = match kind {
            Kind::Nginx => "nginx.conf",
            Kind::HaProxy => "haproxy.cfg",
        };
        let mut text = fs::read_to_string(workspace_root().join("docs/proxies").join(file))?;
        for (old, new) in [("127.0.0.1:4000", hub), ("127.0.0.1:8443", address)] {
            assert_eq!(text.matches(old).count(), 1, "{old} in {file}");
            text = text.replace(old, &new.to_string());
        }
        fs::write(folder.path().join(file), text)?;
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
                .map_err(io::Error::other)?;
        let (certificate, key) = (cert.pem(), signing_key.serialize_pem());
        match kind {
            Kind::Nginx => {
                fs::write(folder.path().join("hub.pem"), certificate)?;
                fs::write(folder.path().join("hub.key"), key)?;
            }
            Kind::HaProxy => fs::write(folder.path().join("hub.pem"), certificate + &key)?,
        }
        let child = Self::spawn(kind, &program, &folder)?;
        let proxy = Self {
            kind,
            address,
            program,
            folder,
            child,
        };
        proxy.accepts().await?;
        Ok(proxy)
    }

    fn spawn(kind: Kind, program: &PathBuf, folder: &TempDir) -> io::Result<Child> {
        let mut command = Command::new(program);
        // One process, so that killing it leaves none behind.
        match kind {
            Kind::Nginx => command
                .arg("-p")
                .arg(folder.path())
                .arg("-c")
                .arg(folder.path().join("nginx.conf"))
                .args(["-g", "daemon off; master_process off;"]),
            Kind::HaProxy => command.args(["-db", "-f", "haproxy.cfg"]),
        };
        command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }

    async fn accepts(&self) -> io::Result<()> {
        let mut ticks = interval(Duration::from_millis(20));
        within("the proxy", PATIENCE, async {
            while TcpStream::connect(self.address).await.is_err() {
                ticks.tick().await;
            }
            Ok(())
        })
        .await
    }

    async fn kill(&mut self) -> io::Result<()> {
        within("the proxy's end", PATIENCE, self.child.kill()).await
    }

    async fn start_again(&mut self) -> io::Result<()> {
        self.child = Self::spawn(self.kind, &self.program, &self.folder)?;
        self.accepts().await
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }
}

/// What the page does: it follows a thread by `EventSource`, and publishes by `fetch`.
const SCRIPT: &str = r#"
    window.got = []; window.opened = 0; window.gaps = 0;
    window.source = new EventSource('/agui?user=ada&thread=t');
    source.onopen = () => opened++;
    source.addEventListener('gap', () => gaps++);
    source.onmessage = (message) => got.push({ at: performance.now(), event: JSON.parse(message.data) });
    window.publish = async (event) => {
        const at = performance.now();
        const headers = { 'content-type': 'application/json' };
        const address = '/publish/agui/ada?user=ada&thread=t';
        const answer = await fetch(address, { method: 'POST', headers, body: JSON.stringify(event) });
        if (!answer.ok) throw new Error(await answer.text());
        return at;
    };
    true"#;

/// The steps that have arrived, in their order.
const STEPS: &str =
    "got.filter(({ event }) => event.type === 'STEP_STARTED').map(({ event }) => event.stepName)";

async fn open(name: &str, proxy: &Proxy) -> io::Result<Option<DrivenPage>> {
    let Some(mut page) = DrivenPage::open(name, "about:blank").await? else {
        return Ok(None);
    };
    page.command(
        "Security.setIgnoreCertificateErrors",
        json!({ "ignore": true }),
    )
    .await?;
    let url = proxy.url("/health/live");
    page.command("Page.navigate", json!({ "url": url })).await?;
    page.wait_until("location.pathname === '/health/live' && document.readyState === 'complete'")
        .await?;
    page.evaluate(SCRIPT).await?;
    page.wait_until("opened === 1").await?;
    Ok(Some(page))
}

async fn step(page: &mut DrivenPage, name: &str) -> io::Result<f64> {
    let expression = format!(
        "(async () => {{ const at = await publish({{ type: 'STEP_STARTED', stepName: '{name}' }}); \
         const seen = () => got.find(({{ event }}) => event.stepName === '{name}'); \
         while (!seen()) await new Promise((done) => setTimeout(done, 1)); return seen().at - at; }})()"
    );
    let took = page.evaluate(&expression).await?;
    took.as_f64()
        .ok_or_else(|| io::Error::other(format!("no time: {took}")))
}

/// A first event within 200 ms of being published, and none lost or repeated when the proxy goes and comes back.
async fn carries_a_stream(name: &str, kind: Kind, program: PathBuf) -> io::Result<()> {
    let hub = ServerProcess::dev(&[]).await?;
    let mut proxy = Proxy::start(kind, program, hub.address()).await?;
    let Some(mut page) = open(name, &proxy).await? else {
        return Ok(());
    };
    page.evaluate("publish({ type: 'RUN_STARTED', threadId: 't', runId: 'r' })")
        .await?;
    // What a proxy holds back does not come at all; a busy machine is late now and then.
    let mut best = f64::INFINITY;
    let mut expected = Vec::new();
    for n in 0..5 {
        let step_name = format!("s{n}");
        best = best.min(step(&mut page, &step_name).await?);
        expected.push(step_name);
    }
    println!("{kind:?}: an event is in the page {best:.1} ms after it was sent, at best of 5");
    assert!(best <= PROMPT_MS, "{kind:?}: {best} ms at best");

    proxy.kill().await?;
    page.wait_until("source.readyState === EventSource.CONNECTING")
        .await?;
    let folder = tempfile::tempdir()?;
    let missed = folder.path().join("missed.ndjson");
    let mut lines = String::new();
    for n in 5..8 {
        let step_name = format!("s{n}");
        lines += &format!("{{\"type\":\"STEP_STARTED\",\"stepName\":\"{step_name}\"}}\n");
        expected.push(step_name);
    }
    fs::write(&missed, lines)?;
    let url = hub.url("");
    let publishing = Command::new(events_tests::server_process::events_binary().await?)
        .args(["publish", "--stream", "agui", "--user", "ada"])
        .args(["--thread", "t", "--url", &url])
        .arg(&missed)
        .output();
    let output = within("publishing", PATIENCE, publishing).await?;
    assert!(output.status.success(), "{output:?}");
    proxy.start_again().await?;
    page.wait_until(&format!("{STEPS}.length >= {}", expected.len()))
        .await?;
    step(&mut page, "last").await?;
    expected.push("last".to_owned());
    let got = page.evaluate(STEPS).await?;
    assert_eq!(got, Value::from(expected), "{kind:?}");
    assert_eq!(page.evaluate("gaps").await?, 0, "{kind:?}");
    assert_eq!(page.evaluate("opened").await?, 2, "{kind:?}");
    Ok(())
}

/// Finds a server program: Debian has those in a folder that is not in everybody's search path.
fn server_program(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from("/usr/sbin").join(name);
    program(name).or_else(|| path.is_file().then_some(path))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_with_its_default_buffering_carries_a_stream() -> io::Result<()> {
    let name = "proxies";
    match require(name, "nginx", server_program("nginx")) {
        Some(nginx) => carries_a_stream(name, Kind::Nginx, nginx).await,
        None => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_carries_a_stream() -> io::Result<()> {
    let name = "proxies";
    match require(name, "HAProxy", server_program("haproxy")) {
        Some(haproxy) => carries_a_stream(name, Kind::HaProxy, haproxy).await,
        None => Ok(()),
    }
}
