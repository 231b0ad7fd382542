//! From an application's own transaction, through two hubs, to the sockets of readers.

use std::io;

use events_tests::{
    deadline::PATIENCE,
    raw_client::{RawFrame, RawSse},
    resume::hubs::Hubs,
};

use super::server;

/// A run of one event; the key is its message id.
fn publish(value: u64) -> String {
    let events = [
        format!(r#"{{"type":"RUN_STARTED","threadId":"orders","runId":"r{value}"}}"#),
        format!(r#"{{"type":"CUSTOM","name":"paid","value":{value}}}"#),
        format!(r#"{{"type":"RUN_FINISHED","threadId":"orders","runId":"r{value}"}}"#),
    ];
    let texts = |texts: Vec<String>| format!("array['{}']", texts.join("','"));
    let keys = (0..3).map(|at| format!("order-{value}-{at}")).collect();
    format!(
        "insert into orders values ({value}); \
         select events.events_publish('ada', 'orders', array['agui','agui','agui'], {}, {})",
        texts(events.to_vec()),
        texts(keys)
    )
}

async fn next(screen: &mut RawSse) -> io::Result<(String, serde_json::Value)> {
    let frame: RawFrame = screen.next_event(PATIENCE).await?;
    let id = frame.id.clone().unwrap_or_default();
    Ok((id, frame.json()?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_application_commits_is_on_every_screen_and_what_it_undoes_on_none()
-> io::Result<()> {
    let Some(server) = server("what_an_application_commits").await else {
        return Ok(());
    };
    let arguments = || vec!["--log".to_owned(), server.url("postgres")];
    let hubs = Hubs::start(vec![arguments(), arguments()]).await?;
    let mut screens = Vec::new();
    for at in 0..2 {
        let mut screen = RawSse::connect(hubs.board().address(at), "/agui?user=ada", &[]).await?;
        screen
            .read_until(PATIENCE, |frame| frame.id.is_some())
            .await?;
        screens.push(screen);
    }
    server
        .psql("postgres", "create table orders (id bigint primary key)")
        .await?;
    let ring = "select events.events_ring('ada')";
    for (value, end) in [(1, "rollback"), (2, "commit"), (3, "rollback")] {
        let sql = format!("begin; {}; {end}; {ring}", publish(value));
        server.psql("postgres", &sql).await?;
    }
    // One transaction fails by itself, after it has published.
    let failing = format!(
        "begin; {}; insert into orders values (2); commit",
        publish(4)
    );
    assert!(server.psql("postgres", &failing).await.is_err());
    // Without a ring it is found all the same.
    let quiet = format!("begin; {}; commit", publish(5));
    server.psql("postgres", &quiet).await?;

    let mut told = Vec::new();
    for screen in &mut screens {
        let mut events = Vec::new();
        for _ in 0..6 {
            events.push(next(screen).await?);
        }
        told.push(events);
    }
    assert_eq!(told[0], told[1]);
    let values: Vec<_> = told[0]
        .iter()
        .filter_map(|(_, event)| event["value"].as_u64())
        .collect();
    assert_eq!(values, [2, 5]);
    for (at, (id, _)) in told[0].iter().enumerate() {
        // A roll-back leaves no hole.
        assert_eq!(id.split('.').nth(1), Some(format!("{}", at + 1).as_str()));
    }
    assert_eq!(
        server
            .psql("postgres", "select count(*) from orders")
            .await?,
        "2"
    );
    Ok(())
}
