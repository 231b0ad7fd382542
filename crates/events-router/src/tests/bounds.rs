//! What is remembered of a user and of all users, and what is counted when a bound is hit.

use tokio::task::JoinSet;

use super::*;

fn run(thread: &str) -> [AgUiEvent; 2] {
    [
        AgUiEventBuilder::run_started(thread, "r", None),
        AgUiEventBuilder::run_finished(thread, "r", None),
    ]
}

fn heartbeat(key: &str) -> Vec<Item> {
    vec![Item::new(SystemEventBuilder::heartbeat()).with_msg_id(MsgId::new(key).unwrap())]
}

#[tokio::test]
async fn what_a_user_has_too_much_of_is_forgotten_and_counted() {
    let config = RouterConfig {
        threads_per_user: 2,
        tasks_per_user: 2,
        contexts_per_user: 2,
        dedupe_ids: 1,
        ..RouterConfig::default()
    };
    let router = EventRouter::new(config);
    for thread in ["a", "b", "c"] {
        for event in run(thread) {
            router.publish(&ada(), event).await.unwrap();
        }
        let (task, context) = (thread.into(), "c".into());
        let event = A2AEventBuilder::task_submitted(task, context, "agent", None);
        router.publish(&ada(), event).await.unwrap();
    }
    for number in 0..17 {
        let items = heartbeat(&format!("k{number}"));
        router.publish_batch(&ada(), items).await.unwrap();
    }
    let stats = router.order_stats();
    assert_eq!(router.threads(), 2);
    assert_eq!(stats.threads_forgotten, 1);
    assert_eq!(stats.tasks_forgotten, 1);
    assert_eq!(stats.contexts_forgotten, 1);
    assert_eq!(stats.message_ids_forgotten, 1);
    assert_eq!(router.contexts_of(&ada()).len(), 2);
}

#[tokio::test]
async fn by_default_every_user_who_may_have_a_log_may_have_a_run() {
    const USERS: usize = 200;
    let config = RouterConfig::default();
    let (max_users, max_bytes) = (config.limits.users, config.order_bytes);
    let router = EventRouter::new(config);
    for number in 0..USERS {
        let user = UserId::new(format!("user-{number}"));
        let [started, finished] = run("a-thread-name");
        let items = vec![
            started,
            AgUiEventBuilder::text_message_start("m", events_models::agui::MessageRole::Assistant),
            AgUiEventBuilder::text_message_content("m", "Hello"),
            AgUiEventBuilder::text_message_end("m"),
            finished,
        ];
        let items = (0..).zip(items).map(|(line, event)| {
            let key = MsgId::new(format!("k:line:{line}")).unwrap();
            in_thread("a-thread-name", event).with_msg_id(key)
        });
        router.publish_batch(&user, items.collect()).await.unwrap();
    }
    let per_user = router.order_stats().bytes / USERS;
    assert!(per_user * max_users < max_bytes, "{per_user} bytes a user");
}

#[tokio::test]
async fn who_comes_when_there_are_enough_users_takes_the_place_of_one_without_a_run() {
    const USERS: usize = 50;
    let config = RouterConfig {
        limits: Limits {
            users: USERS,
            ..Limits::default()
        },
        ..RouterConfig::default()
    };
    let router = EventRouter::new(config);
    let named = |number: usize| UserId::new(format!("user-{number}"));
    let [started, finished] = run("t");
    for number in 0..USERS / 2 {
        router
            .publish(&named(number), started.clone())
            .await
            .unwrap();
    }
    for number in USERS / 2..20 * USERS {
        let items = vec![Item::new(started.clone()), Item::new(finished.clone())];
        let published = router.publish_batch(&named(number), items).await;
        assert!(published.is_ok(), "{number}: {published:?}");
    }
    assert_eq!(router.order_stats().users_refused, 0);
    // Whoever has a run has not been forgotten.
    for number in 0..USERS / 2 {
        router
            .publish(&named(number), finished.clone())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn when_all_users_take_too_much_the_idle_go_and_then_publishing_is_refused() {
    let clock = Arc::new(ManualClock::new(0));
    let config = RouterConfig {
        order_bytes: 200_000,
        clock: clock.clone(),
        ..RouterConfig::default()
    };
    let router = EventRouter::new(config);
    let mut n_users = 0;
    let mut fill = async || loop {
        n_users += 1;
        let user = UserId::new(format!("u{n_users}"));
        let thread = "t".repeat(5_000);
        for event in run(&thread) {
            if let Err(error) = router.publish(&user, event).await {
                return error;
            }
        }
        assert!(n_users < 1_000, "no bound was hit");
    };
    let refused = fill().await;
    assert!(
        matches!(refused, PublishError::Log(EventError::Overloaded(_))),
        "{refused}"
    );
    let stats = router.order_stats();
    assert_eq!((stats.refused_full, stats.users_evicted), (1, 0));
    assert!(stats.bytes < 250_000, "{}", stats.bytes);
    clock.advance(121_000);
    // A publish searches a part of the users.
    let mut n_tries = 0;
    while router.publish_batch(&ada(), heartbeat("k")).await.is_err() {
        n_tries += 1;
        assert!(n_tries < 64);
    }
    assert!(router.order_stats().users_evicted > 0);
}

#[tokio::test]
async fn a_user_without_readers_and_young_events_is_forgotten_everywhere() {
    let clock = Arc::new(ManualClock::new(0));
    let config = RouterConfig {
        limits: Limits {
            age: Duration::from_secs(60),
            ..Limits::default()
        },
        idle: Duration::from_secs(60),
        clock: clock.clone(),
        ..RouterConfig::default()
    };
    let router = EventRouter::new(config);
    let bob = UserId::new("bob");
    let reader = router.contexts().connect(&bob, Attach::now()).unwrap();
    for user in [&ada(), &bob] {
        for event in run("t") {
            router.publish(user, event).await.unwrap();
        }
    }
    let n_users = || (router.store().users(), router.order_stats().users);
    // One sweep evicts what is old, a later one forgets the user.
    let pass_time = || {
        for _ in 0..4 {
            clock.advance(40_000);
            router.sweep();
        }
    };
    pass_time();
    assert_eq!(n_users(), (1, 0), "the reader keeps its log");
    drop(reader);
    pass_time();
    assert_eq!(n_users(), (0, 0));
    assert_eq!(router.store().used_bytes(), 0);
    assert_eq!(router.order_stats().bytes, 0);
    assert_eq!(router.order_stats().users_forgotten, 2);
    assert_eq!(router.store().stats().snapshot().users_retired, 2);
}

#[tokio::test]
async fn one_sweep_forgets_all_who_have_gone() {
    const USERS: usize = 30_000;
    let clock = Arc::new(ManualClock::new(0));
    let router = EventRouter::new(RouterConfig {
        limits: Limits {
            age: Duration::from_secs(60),
            ..Limits::default()
        },
        clock: clock.clone(),
        ..RouterConfig::default()
    });
    for number in 0..USERS {
        let user = UserId::new(format!("user-{number}"));
        drop(router.contexts().connect(&user, Attach::now()).unwrap());
    }
    assert_eq!(router.store().users(), USERS);
    clock.advance(61_000);
    router.sweep();
    assert_eq!(router.store().users(), 0);
}

#[tokio::test]
async fn the_estimate_of_order_state_stays_near_the_truth() {
    let router = EventRouter::default();
    for number in 0..300 {
        for event in run(&format!("thread-{number}")) {
            router.publish(&ada(), event).await.unwrap();
        }
    }
    let bytes = router.order_stats().bytes;
    // A thread is a table entry of several hundred bytes.
    assert!((100_000..2_000_000).contains(&bytes), "{bytes}");
    // Content grows nothing.
    router
        .publish(
            &ada(),
            AgUiEventBuilder::run_started("thread-0", "r2", None),
        )
        .await
        .unwrap();
    let start = AgUiEventBuilder::text_message_start("m", MessageRole::Assistant);
    router.publish(&ada(), start).await.unwrap();
    let before = router.order_stats().bytes;
    for _ in 0..1_000 {
        let content = AgUiEventBuilder::text_message_content("m", "text");
        router.publish(&ada(), content).await.unwrap();
    }
    assert_eq!(router.order_stats().bytes, before);
}

#[tokio::test]
async fn when_there_is_no_room_what_goes_on_and_ends_is_taken_still() {
    let router = EventRouter::new(RouterConfig {
        order_bytes: 100_000,
        ..RouterConfig::default()
    });
    let publish = |event| router.publish_now(&ada(), &mut [in_thread("t", event)]);
    publish(AgUiEventBuilder::run_started("t", "r", None)).unwrap();
    let mut n_steps = 0;
    let refused = loop {
        n_steps += 1;
        let name = format!("{n_steps}-{}", "s".repeat(1_000));
        if let Err(error) = publish(AgUiEventBuilder::step_started(name)) {
            break error;
        }
        assert!(n_steps < 1_000, "no bound was hit");
    };
    assert!(
        matches!(refused, PublishError::Log(EventError::Overloaded(_))),
        "{refused}"
    );
    let first = format!("1-{}", "s".repeat(1_000));
    publish(AgUiEventBuilder::step_finished(first)).unwrap();
    publish(AgUiEventBuilder::run_error("given up", None)).unwrap();
    assert_eq!(router.active_runs(), 0);
}

#[tokio::test]
async fn when_there_is_no_room_users_keep_only_as_many_message_ids_as_they_are_promised() {
    let log = crate::MemoryLog::new(100_000);
    for is_on_log in [false, true] {
        let clock = Arc::new(ManualClock::new(0));
        let config = RouterConfig {
            order_bytes: 3 << 20,
            dedupe_ids: 1_024,
            dedupe_age: Duration::from_secs(3_600),
            clock: clock.clone(),
            ..RouterConfig::default()
        };
        let mut work = JoinSet::new();
        let router = if is_on_log {
            let (router, replica) = EventRouter::on_log(config, Arc::new(log.clone()));
            work.spawn(replica.run());
            router
        } else {
            EventRouter::new(config)
        };
        for user in 0..8 {
            let user = UserId::new(format!("u{user}"));
            // All ids of one user would fit, and those of all would not by far.
            for number in 0..3_000 {
                clock.advance(10);
                let named = heartbeat(&format!("{user}-{number}"));
                let published = router.publish_batch(&user, named).await;
                assert!(published.is_ok(), "{user}, {number}: {published:?}");
            }
        }
        for (user, number) in (0..8).flat_map(|user| [(user, 3_000 - 1_024), (user, 2_999)]) {
            let again = heartbeat(&format!("u{user}-{number}"));
            let user = UserId::new(format!("u{user}"));
            let published = router.publish_batch(&user, again).await.unwrap();
            assert_eq!(published.duplicates, 1, "{user}, {number}");
        }
        let stats = router.order_stats();
        assert!(stats.bytes < 4 << 20, "{}", stats.bytes);
        assert!(stats.message_ids_forgotten > 0 && stats.users_evicted == 0);
    }
}
