//! How streams that have their sockets end, whoever ends them.

use events_broadcast::Limits;
use events_tests::client_log::{ClientLog, Published, seq_of};
use events_tests::hub::{Hub, HubOptions};

use super::*;

#[tokio::test]
async fn a_client_that_leaves_frees_its_slot_whenever_it_leaves() {
    let served = Served::plain().await;
    // Before it has asked, before it has read, and after.
    drop(TcpStream::connect(served.address).await.unwrap());
    for n_read in [0, 1, 400] {
        for resets in [false, true] {
            let mut stream = TcpStream::connect(served.address).await.unwrap();
            stream
                .write_all(b"GET /agui HTTP/1.1\r\nhost: a\r\n\r\n")
                .await
                .unwrap();
            if n_read > 0 {
                stream.read_exact(&mut vec![0; n_read]).await.unwrap();
                served.n_connected(1).await;
            }
            if resets {
                stream.set_zero_linger().unwrap();
            }
            drop(stream);
            served.n_connected(0).await;
        }
    }
    // One that ends its sending side has left, as it has for hyper.
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream
        .write_all(b"GET /agui HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut stream, "connected\n\n").await;
    served.n_connected(1).await;
    stream.shutdown().await.unwrap();
    served.n_connected(0).await;
}

#[tokio::test]
async fn what_a_client_sends_behind_its_request_changes_nothing() {
    let served = Served::plain().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream
        .write_all(b"GET /agui HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut stream, "connected\n\n").await;
    assert_eq!(served.n_taken().await, 1);
    stream
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    served.publish("r", 1).await;
    let seen = read_until(&mut stream, "RUN_FINISHED").await;
    assert!(!seen.contains("HTTP/1.1"), "{seen}");
    // Without a bound a client could make us read for ever.
    let flood = stream.write_all(&[b'x'; 256 << 10]).await;
    served.n_connected(0).await;
    drop(flood);
}

#[tokio::test]
async fn a_slow_reader_gets_every_byte_of_megabytes() {
    let limits = Limits {
        bytes: 64 << 20,
        ..Limits::default()
    };
    let options = HubOptions {
        limits,
        ..HubOptions::default()
    };
    let hub = Hub::start(options).await.unwrap();
    let request = Request::get("/agui?user=ada").receive_buffer(4_096);
    let mut stream = RawSse::open(hub.address(), &request).await.unwrap();
    let mut truth = Published::new();
    for (run, n_padding) in [("small", 10), ("large", 100_000), ("middle", 9_000)] {
        let lines = sample::padded_run("t", run, 60, n_padding);
        let ids = hub.publish_lines("ada", &lines[..30]).await.unwrap();
        let more = hub.publish_lines("ada", &lines[30..]).await.unwrap();
        for (id, line) in ids.iter().chain(&more).zip(&lines) {
            truth.insert(seq_of(id).unwrap(), line.clone());
        }
    }
    let last = *truth.last_key_value().unwrap().0;
    let mut log = ClientLog::default();
    let is_last = |frame: &events_tests::raw_client::RawFrame| {
        frame.id.as_deref().is_some_and(|id| seq_of(id) == Ok(last))
    };
    for frame in stream.read_until(PATIENCE, is_last).await.unwrap() {
        log.take(&frame).unwrap();
    }
    log.check(&truth).unwrap();
    assert_eq!(log.gaps().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_load_ends_every_stream_whole() {
    let config = StreamConfig {
        drain_window: Duration::from_secs(1),
        ..StreamConfig::default()
    };
    let Served {
        address,
        state,
        stop,
        mut server,
    } = Served::start(config, |app| app).await;
    let mut readers = JoinSet::new();
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(RawSse::connect(address, "/agui", &[]).await.unwrap());
    }
    for mut stream in streams {
        readers.spawn(async move { stream.read_to_end(PATIENCE).await.unwrap() });
    }
    let router = state.router().clone();
    let mut publisher = JoinSet::new();
    publisher.spawn(async move {
        for run in 0.. {
            for event in sample::typed(&sample::run("t", &format!("r{run}"), 20)) {
                // Refused at the end.
                let _ = router.publish(&UserId::new("ada"), event).await;
            }
            tokio::task::yield_now().await;
        }
    });
    stop.send(()).unwrap();
    let all = readers.join_all().await;
    publisher.shutdown().await;
    assert_eq!(all.len(), 10);
    for frames in all {
        assert_eq!(frames.last().unwrap().event.as_deref(), Some("closing"));
        let ids = frames.iter().filter_map(|frame| frame.id.as_deref());
        let seqs: Vec<u64> = ids.map(|id| seq_of(id).unwrap()).collect();
        let is_dense = seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        assert!(is_dense, "{seqs:?}");
    }
    within("the server's end", PATIENCE, async {
        server.join_next().await.unwrap().unwrap();
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_stream_of_an_official_client_is_cut_and_not_ended() {
    let config = StreamConfig {
        drain_window: Duration::from_millis(100),
        ..StreamConfig::default()
    };
    let served = Served::start(config, |app| app).await;
    let status = serde_json::json!({ "state": "TASK_STATE_WORKING" });
    let task = serde_json::json!({ "task": { "id": "t", "contextId": "c", "status": status } });
    let request = Request::post("/publish/a2a/ada", "application/json", task.to_string());
    let answer = request.send(served.address).await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let path = "/a2a/rest/tasks/t:subscribe?A2A-Version=1.0";
    let mut stream = RawSse::connect(served.address, path, &[]).await.unwrap();
    stream.next_event(PATIENCE).await.unwrap();
    assert_eq!(served.n_taken().await, 1);
    served.stop.send(()).unwrap();
    let error = stream.read_to_end(PATIENCE).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
}
