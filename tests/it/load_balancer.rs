//! The example of two hubs behind nginx, as it stands, but for its ports.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events_tests::client_log::seq_of;
use events_tests::deadline::{PATIENCE, within};
use events_tests::raw_client;
use events_tests::resume::client::Client;
use events_tests::resume::hubs::{Board, Hubs};
use events_tests::resume::publisher::{Ledger, Publisher};
use events_tests::resume::{Engine, EngineKind, Kind, check};
use events_tests::skip::{program, require, workspace_root};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::interval;

const USERS: usize = 4;
const CLIENTS_PER_USER: usize = 3;

/// A running nginx; dropping it kills it.
struct Nginx {
    address: SocketAddr,
    _folder: TempDir,
    _child: Child,
}

impl Nginx {
    async fn start(program: &std::path::Path, hubs: [SocketAddr; 2]) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        // Free now; whoever takes it in between makes the start fail.
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let example = "crates/events-server/examples/two-replicas/nginx.conf";
        let mut text = fs::read_to_string(workspace_root().join(example))?;
        for (old, new) in [
            ("127.0.0.1:4001", hubs[0]),
            ("127.0.0.1:4002", hubs[1]),
            ("127.0.0.1:8080", address),
        ] {
            assert_eq!(text.matches(old).count(), 1, "{old}");
            text = text.replace(old, &new.to_string());
        }
        let config = folder.path().join("nginx.conf");
        fs::write(&config, text)?;
        // One process, so that killing it leaves none behind.
        let child = Command::new(program)
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&config)
            .args(["-g", "daemon off; master_process off;"])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut ticks = interval(Duration::from_millis(20));
        within("nginx", PATIENCE, async {
            loop {
                ticks.tick().await;
                if let Ok(answer) = raw_client::get(address, "/health/live", &[]).await
                    && answer.status() == 200
                {
                    return Ok(());
                }
            }
        })
        .await?;
        Ok(Self {
            address,
            _folder: folder,
            _child: child,
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_and_publishers_behind_nginx_survive_the_kill_of_a_hub() -> io::Result<()> {
    let name = "load_balancer";
    let Some(nginx) = require(name, "nginx", program("nginx")) else {
        return Ok(());
    };
    let Some(engine) = Engine::start(name, EngineKind::Nats { n_servers: 1 }, 2).await? else {
        return Ok(());
    };
    let mut hubs = Hubs::start(vec![engine.arguments(0), engine.arguments(1)]).await?;
    let addresses = [hubs.board().address(0), hubs.board().address(1)];
    let nginx = Nginx::start(&nginx, addresses).await?;
    let board = Arc::new(Board::new(vec![nginx.address]));

    let (mut publishers, mut clients) = (JoinSet::new(), JoinSet::new());
    let no_probes = watch::Sender::new(0);
    let (published, read) = (watch::Sender::new(false), watch::Sender::new(false));
    let mut users: Vec<(Ledger, Vec<Arc<AtomicU64>>)> = Vec::new();
    for at in 0..USERS {
        let user = format!("u{at}");
        let kind = if at % 2 == 0 {
            Kind::AgUi
        } else {
            Kind::System
        };
        let mut reached = Vec::new();
        for n in 0..CLIENTS_PER_USER {
            let (place, seed) = (Arc::new(AtomicU64::new(0)), (at * 10 + n) as u64);
            let name = format!("client {n} of {user}");
            let (board, mine) = (Arc::clone(&board), Arc::clone(&place));
            let client = Client::new(name, user.clone(), kind, board, mine, seed);
            let is_over = read.subscribe();
            clients.spawn(async move { (at, client.run(is_over).await) });
            reached.push(place);
        }
        let (name, period) = (format!("{user}p0"), Duration::from_millis(100));
        let board = Arc::clone(&board);
        let (publisher, ledger) = Publisher::new(name, user, kind, period, board, at as u64);
        publishers.spawn(publisher.run(published.subscribe(), no_probes.subscribe()));
        users.push((ledger, reached));
    }
    // Some traffic over both, then over the one that is left.
    acknowledged(&users, 10).await?;
    hubs.kill(0).await?;
    let n_before = users.iter().map(|(ledger, _)| ledger.n_acked()).max();
    acknowledged(&users, n_before.unwrap_or(0) + 15).await?;
    published.send_replace(true);
    while publishers.join_next().await.is_some() {}
    within("the last events", PATIENCE, async {
        let mut ticks = interval(Duration::from_millis(20));
        let has_all = |(ledger, reached): &(Ledger, Vec<Arc<AtomicU64>>)| {
            let last = ledger.last().and_then(|id| seq_of(&id).ok()).unwrap_or(0);
            let mut reached = reached.iter();
            reached.all(|reached| reached.load(Ordering::Relaxed) >= last)
        };
        while !users.iter().all(has_all) {
            ticks.tick().await;
        }
        Ok(())
    })
    .await?;
    read.send_replace(true);
    let records = clients.join_all().await;
    for (at, (ledger, _)) in users.iter().enumerate() {
        let of_user = records.iter().filter(|(user, _)| *user == at);
        let of_user: Vec<_> = of_user.map(|(_, record)| record.clone()).collect();
        assert_eq!(of_user.len(), CLIENTS_PER_USER);
        let findings = check(&[ledger.record()], &of_user);
        assert!(findings.is_empty(), "{findings:?}");
    }
    Ok(())
}

/// Waits until so many events of each user are acknowledged.
async fn acknowledged(users: &[(Ledger, Vec<Arc<AtomicU64>>)], n: usize) -> io::Result<()> {
    let mut ticks = interval(Duration::from_millis(20));
    within("acknowledgements", 2 * PATIENCE, async {
        while users.iter().any(|(ledger, _)| ledger.n_acked() < n) {
            ticks.tick().await;
        }
        Ok(())
    })
    .await
}
