//! Who is revoked through one replica reads nothing more at any, and stays out.

pub(crate) mod world;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use events_axum::Role;
use events_tests::deadline::PATIENCE;
use events_tests::fault_proxy::Faults;
use events_tests::raw_client::{RawSse, Request};
use events_tests::resume::EngineKind;
use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use world::{Publisher, Reader, World, ask, now_ms, publish, token};

/// Users who are revoked, so many at a time.
const N_USERS: usize = 100;
const AT_ONCE: usize = 10;

/// When nothing may be written any more.
const LIMIT: Duration = Duration::from_secs(1);

struct Revoked {
    user: String,
    old: String,
}

/// Revokes users under publishing, each with a stream at every hub, and returns for each user how long it took until
/// the last of the three had ended.
async fn revoke_all(world: &World, revoked: &[Revoked]) -> io::Result<Vec<Duration>> {
    let publisher = Arc::new(Publisher::default());
    let mut work = JoinSet::new();
    work.spawn(Arc::clone(&publisher).run(world.address(0)));
    let mut took = Vec::new();
    for (turn, group) in revoked.chunks(AT_ONCE).enumerate() {
        let opening = group.iter().map(|one| {
            let of_user = world.addresses().into_iter();
            join_all(of_user.map(|address| Reader::open(address, &one.old)))
        });
        let opened = join_all(opening).await.into_iter();
        let readers: Vec<Vec<Reader>> = opened
            .map(|of_user| of_user.into_iter().collect())
            .collect::<io::Result<_>>()?;
        let users: Vec<String> = group.iter().map(|one| one.user.clone()).collect();
        publisher.publish_for(&users);
        for reader in readers.iter().flatten() {
            let is_heard = |heard: &world::Heard| heard.events.len() >= 2;
            reader.until("events before a revocation", is_heard).await?;
        }
        for (n, one) in group.iter().enumerate() {
            let asked_at = Instant::now();
            assert_eq!(world.revoke((turn + n) % 3, &one.user).await?, 200);
            let mut longest = Duration::ZERO;
            for reader in &readers[n] {
                let is_closed = |heard: &world::Heard| heard.closed.is_some();
                reader.until("the end of a stream", is_closed).await?;
                reader.with(|heard| {
                    let (closed_at, reason) = heard.closed.as_ref().expect("closed");
                    assert_eq!(reason, "revoked");
                    let last = heard.events.last().map_or(*closed_at, |(at, _)| *at);
                    longest = longest.max(last.max(*closed_at).duration_since(asked_at));
                });
            }
            took.push(longest);
        }
    }
    publisher.end();
    println!(
        "{} events were published meanwhile",
        publisher.n_published()
    );
    work.join_next().await.expect("a publisher")??;
    took.sort_unstable();
    Ok(took)
}

/// Every one of them is out at every hub, and comes in with a token that was issued after.
async fn all_are_out(world: &World, revoked: &[Revoked]) -> io::Result<()> {
    for one in revoked {
        let new = token(&one.user, Role::Subscriber, 1);
        for at in 0..3 {
            assert_eq!(
                world.status(at, &one.old).await?,
                401,
                "{} at {at}",
                one.user
            );
            assert_eq!(world.status(at, &new).await?, 200, "{} at {at}", one.user);
        }
    }
    Ok(())
}

/// A hub that starts knows who was revoked before it answers anybody.
async fn who_starts_knows(world: &mut World, revoked: &[Revoked]) -> io::Result<()> {
    world.restart(2).await?;
    let mut asked = JoinSet::new();
    let address = world.address(2);
    for (n, one) in revoked.iter().enumerate() {
        let old = one.old.clone();
        let path = ["/agui", "/agui/threads", "/contexts", "/analytics"][n % 4];
        let request = Request::get(path).header("authorization", &format!("Bearer {old}"));
        asked.spawn(async move { request.send(address).await.map(|answer| answer.status()) });
    }
    while let Some(status) = asked.join_next().await {
        assert_eq!(status??, 401, "the first answers of a hub");
    }
    Ok(())
}

/// A hub that cannot reach the log when a user is revoked goes on with what it knew, tells nothing newer, and knows of
/// the revocation before it tells anything.
async fn who_was_cut_off_catches_up(world: &World) -> io::Result<()> {
    const CUT: usize = 1;
    let (user, publisher) = ("cut-off", token("agent", Role::Publisher, -60));
    let old = token(user, Role::Subscriber, -30);
    world.until_ready(CUT).await?;
    publish(world.address(0), user, &publisher).await?;
    let stream = Reader::open(world.address(CUT), &old).await?;
    publish(world.address(0), user, &publisher).await?;
    let has_heard = |heard: &world::Heard| !heard.events.is_empty();
    stream.until("an event before the cut", has_heard).await?;

    let link = world.engine.link(CUT).expect("a link");
    let refusing = Faults {
        is_refusing: true,
        ..Faults::default()
    };
    link.set_faults_of_new(refusing);
    link.reset_all();
    assert_eq!(world.revoke(0, user).await?, 200);
    let revoked_ms = now_ms();
    assert_eq!(world.status(0, &old).await?, 401);
    for _ in 0..5 {
        let answer = publish(world.address(0), user, &publisher).await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    let knows = |heard: &world::Heard| heard.is_degraded;
    stream.until("a hub that has noticed", knows).await?;
    let while_cut = world.status(CUT, &old).await?;
    println!("while it is cut off the hub answers {while_cut} to the old token");

    link.set_faults(Faults::default());
    let healed_at = Instant::now();
    let mut ticks = interval(Duration::from_millis(1));
    let mut opened = Vec::new();
    let mut is_out_at = None;
    // Whoever comes in between is told nothing that came after, and after the first refusal nobody does.
    while is_out_at.is_none_or(|at: Instant| at.elapsed() < Duration::from_millis(500)) {
        ticks.tick().await;
        assert!(
            healed_at.elapsed() < PATIENCE,
            "the old token is taken for ever"
        );
        let answer = ask(world.address(CUT), "GET", "/agui/threads", &old).await?;
        match (answer.status(), is_out_at) {
            (401, None) => is_out_at = Some(Instant::now()),
            (200, Some(_)) => panic!("the old token is taken again"),
            _ => {}
        }
        if is_out_at.is_none() {
            opened.extend(Reader::open(world.address(CUT), &old).await.ok());
            opened.truncate(8);
        }
    }
    println!(
        "{} streams were opened in between; out after {:?}",
        opened.len(),
        is_out_at.map(|at| at.duration_since(healed_at))
    );
    for reader in opened.iter().chain([&stream]) {
        reader
            .until("the end of a stream", |heard| heard.closed.is_some())
            .await?;
        reader.with(|heard| {
            let late = heard.events.iter().filter(|(_, at)| *at > revoked_ms);
            assert_eq!(
                late.count(),
                0,
                "events from after the revocation: {heard:?}"
            );
        });
    }
    assert_eq!(
        world.status(CUT, &token(user, Role::Subscriber, 1)).await?,
        200
    );
    Ok(())
}

/// A ticket opens one stream at one hub, whoever asks first.
async fn a_ticket_is_good_once(world: &World) -> io::Result<()> {
    let bearer = token("ticketed", Role::Subscriber, -30);
    for at in 0..3 {
        let answer = ask(world.address(at), "POST", "/ticket", &bearer).await?;
        let answer = answer.json()?;
        let path = format!(
            "/agui?ticket={}",
            answer["ticket"].as_str().expect("a ticket")
        );
        let asked = world
            .addresses()
            .into_iter()
            .cycle()
            .take(6)
            .map(|address| {
                let path = path.clone();
                async move { RawSse::connect(address, &path, &[]).await.is_ok() }
            });
        let n_opened = join_all(asked)
            .await
            .into_iter()
            .filter(|is_open| *is_open)
            .count();
        assert_eq!(n_opened, 1, "one ticket at three hubs, twice each");
    }
    Ok(())
}

async fn trial(test: &str, kind: EngineKind) -> io::Result<()> {
    let Some(mut world) = World::start(test, kind).await? else {
        return Ok(());
    };
    let revoked: Vec<Revoked> = (0..N_USERS)
        .map(|n| {
            let user = format!("u{n}");
            let old = token(&user, Role::Subscriber, -30);
            Revoked { user, old }
        })
        .collect();
    let took = revoke_all(&world, &revoked).await?;
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!(
        "{test}: {} revocations, streams at three hubs ended after p50 {:?}, p99 {:?}, most {:?}",
        took.len(),
        at(50),
        at(99),
        at(100)
    );
    assert!(at(99) < LIMIT, "{took:?}");
    all_are_out(&world, &revoked).await?;
    who_starts_knows(&mut world, &revoked).await?;
    all_are_out(&world, &revoked).await?;
    a_ticket_is_good_once(&world).await?;
    who_was_cut_off_catches_up(&world).await
}

#[tokio::test]
async fn a_revoked_user_is_out_of_three_hubs_on_nats() -> io::Result<()> {
    let name = "a_revoked_user_is_out_of_three_hubs_on_nats";
    trial(name, EngineKind::Nats { n_servers: 1 }).await
}

#[tokio::test]
async fn a_revoked_user_is_out_of_three_hubs_on_postgresql() -> io::Result<()> {
    let name = "a_revoked_user_is_out_of_three_hubs_on_postgresql";
    trial(name, EngineKind::Postgres).await
}
