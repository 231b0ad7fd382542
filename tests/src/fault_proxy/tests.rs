use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::deadline::PATIENCE;

/// A server that answers each connection with `greeting` and then sends back what it gets.
async fn echo(greeting: &'static [u8]) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                stream.write_all(greeting).await.unwrap();
                let (mut reader, mut writer) = stream.split();
                drop(tokio::io::copy(&mut reader, &mut writer).await);
            });
        }
    });
    (address, tasks)
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn read(stream: &mut TcpStream, n_bytes: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; n_bytes];
    within("bytes", PATIENCE, stream.read_exact(&mut bytes))
        .await
        .map(|_| bytes)
}

async fn read_to_end(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    within("the end", PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .map(|_| bytes)
}

/// Whether nothing comes within a moment.
async fn is_silent(stream: &mut TcpStream) -> bool {
    let silence = Duration::from_millis(150);
    tokio::time::timeout(silence, stream.read_u8())
        .await
        .is_err()
}

#[tokio::test]
async fn without_faults_bytes_and_ends_pass_both_ways() {
    let (server, _tasks) = echo(b"hello ").await;
    let proxy = FaultProxy::start(server).await.unwrap();
    let mut client = connect(&proxy).await;
    client.write_all(b"world").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut client).await.unwrap(), b"hello world");
    let counters = proxy
        .wait_for(PATIENCE, |counters| counters.n_open == 0)
        .await
        .unwrap();
    assert_eq!((counters.n_bytes_up, counters.n_bytes_down), (5, 11));
    assert_eq!(
        (counters.n_accepted, counters.n_cut, counters.n_reset),
        (1, 0, 0)
    );
}

#[tokio::test]
async fn a_delay_holds_bytes_back() {
    let (server, _tasks) = echo(b"x").await;
    let proxy = FaultProxy::start(server).await.unwrap();
    proxy.set_faults(Faults {
        delay: Duration::from_millis(200),
        ..Faults::default()
    });
    let started = Instant::now();
    let mut client = connect(&proxy).await;
    assert_eq!(read(&mut client, 1).await.unwrap(), b"x");
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_rate_limit_spreads_bytes_over_time() {
    let (server, _tasks) = echo(&[7; 500]).await;
    let proxy = FaultProxy::start(server).await.unwrap();
    proxy.set_faults(Faults {
        bytes_per_second: Some(1000),
        ..Faults::default()
    });
    let started = Instant::now();
    let mut client = connect(&proxy).await;
    assert_eq!(read(&mut client, 500).await.unwrap(), [7; 500]);
    assert!(started.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn a_stall_downwards_ends_when_it_is_lifted() {
    let (server, _tasks) = echo(b"x").await;
    let proxy = FaultProxy::start(server).await.unwrap();
    let mut client = connect(&proxy).await;
    read(&mut client, 1).await.unwrap();
    proxy.set_faults(Faults {
        is_stalled_down: true,
        ..Faults::default()
    });
    client.write_all(b"later").await.unwrap();
    assert!(is_silent(&mut client).await);
    proxy.set_faults(Faults::default());
    assert_eq!(read(&mut client, 5).await.unwrap(), b"later");
}

#[tokio::test]
async fn a_stall_upwards_leaves_the_other_direction_alone() {
    let (server, _tasks) = echo(b"greeting").await;
    let proxy = FaultProxy::start(server).await.unwrap();
    proxy.set_faults(Faults {
        is_stalled_up: true,
        ..Faults::default()
    });
    let mut client = connect(&proxy).await;
    client.write_all(b"unheard").await.unwrap();
    assert_eq!(read(&mut client, 8).await.unwrap(), b"greeting");
    assert!(is_silent(&mut client).await);
    assert_eq!(proxy.counters().n_bytes_up, 0);
}

#[tokio::test]
async fn a_cut_is_a_clean_end_after_exactly_n_bytes() {
    let (server, _tasks) = echo(b"0123456789").await;
    let proxy = FaultProxy::start(server).await.unwrap();
    proxy.set_faults(Faults {
        cut_after: Some(4),
        ..Faults::default()
    });
    let mut client = connect(&proxy).await;
    client.write_all(b"never read by anybody").await.unwrap();
    assert_eq!(read_to_end(&mut client).await.unwrap(), b"0123");
    let counters = proxy
        .wait_for(PATIENCE, |counters| counters.n_cut == 1)
        .await
        .unwrap();
    assert_eq!((counters.n_open, counters.n_bytes_down), (0, 4));
}

#[tokio::test]
async fn a_reset_is_an_error_for_the_reader() {
    let (server, _tasks) = echo(b"0123456789").await;
    let proxy = FaultProxy::start(server).await.unwrap();
    let mut client = connect(&proxy).await;
    read(&mut client, 10).await.unwrap();
    proxy.reset_all();
    let error = read_to_end(&mut client).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let mut next = connect(&proxy).await;
    proxy.set_faults(Faults {
        reset_after: Some(3),
        ..Faults::default()
    });
    next.write_all(b"more").await.unwrap();
    // How much of what came before the RST can still be read is up to the kernel.
    let error = read_to_end(&mut next).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    proxy
        .wait_for(PATIENCE, |counters| counters.n_reset == 2)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_half_open_connection_stays_dead_and_open() {
    let (server, _tasks) = echo(b"x").await;
    let proxy = FaultProxy::start(server).await.unwrap();
    let mut client = connect(&proxy).await;
    read(&mut client, 1).await.unwrap();
    proxy.set_faults(Faults {
        is_half_open: true,
        ..Faults::default()
    });
    proxy.set_faults(Faults::default());
    client.write_all(b"into the void").await.unwrap();
    assert!(is_silent(&mut client).await);
    client.shutdown().await.unwrap();
    assert!(is_silent(&mut client).await);
    assert!(proxy.connection(0).unwrap().is_open());
    let mut next = connect(&proxy).await;
    assert_eq!(
        read(&mut next, 1).await.unwrap(),
        b"x",
        "only the old connection is dead"
    );
}

#[tokio::test]
async fn slices_arrive_whole_and_in_order() {
    let (server, _tasks) = echo(b"id: 1\ndata: {}\n\n").await;
    let proxy = FaultProxy::start(server).await.unwrap();
    proxy.set_faults(Faults {
        slice: Some(1),
        ..Faults::default()
    });
    let mut client = connect(&proxy).await;
    let first = client.read(&mut [0; 64]).await.unwrap();
    assert!(first < 16, "the first read got all {first} bytes at once");
    assert_eq!(
        read(&mut client, 16 - first).await.unwrap().len(),
        16 - first
    );
}

#[tokio::test]
async fn the_target_can_be_swapped_and_one_connection_cut() {
    let (first, _first_tasks) = echo(b"1").await;
    let (second, _second_tasks) = echo(b"2").await;
    let proxy = FaultProxy::start(first).await.unwrap();
    let mut old = connect(&proxy).await;
    assert_eq!(read(&mut old, 1).await.unwrap(), b"1");
    proxy.set_target(second);
    let mut new = connect(&proxy).await;
    assert_eq!(read(&mut new, 1).await.unwrap(), b"2");
    proxy.connection(0).unwrap().cut();
    assert_eq!(read_to_end(&mut old).await.unwrap(), b"");
    new.write_all(b"still here").await.unwrap();
    assert_eq!(read(&mut new, 10).await.unwrap(), b"still here");
}

#[tokio::test]
async fn a_refusing_proxy_and_a_missing_server_reset_the_client() {
    let (server, tasks) = echo(b"x").await;
    let proxy = FaultProxy::start(server).await.unwrap();
    proxy.set_faults(Faults {
        is_refusing: true,
        ..Faults::default()
    });
    assert!(read_to_end(&mut connect(&proxy).await).await.is_err());
    proxy.set_faults(Faults::default());
    drop(tasks);
    let unused = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    proxy.set_target(unused);
    assert!(read_to_end(&mut connect(&proxy).await).await.is_err());
    let counters = proxy
        .wait_for(PATIENCE, |counters| counters.n_open == 0)
        .await
        .unwrap();
    assert_eq!((counters.n_reset, counters.n_unreachable), (1, 1));
}

#[tokio::test]
async fn dropping_the_proxy_ends_its_connections() {
    let (server, _tasks) = echo(b"x").await;
    let proxy = FaultProxy::start(server).await.unwrap();
    let mut client = connect(&proxy).await;
    read(&mut client, 1).await.unwrap();
    drop(proxy);
    assert_eq!(read_to_end(&mut client).await.unwrap(), b"");
}
