//! More users than a replica may follow.

use events_broadcast::Limits;

use super::*;

#[tokio::test(start_paused = true)]
async fn newcomers_take_the_place_of_users_whom_nobody_needs() {
    const USERS: usize = 10;
    let mut replicas = Replicas::new();
    let config = RouterConfig {
        limits: Limits {
            users: USERS,
            ..Limits::default()
        },
        ..RouterConfig::default()
    };
    let router = replicas.add_with(MemoryLog::new(100), config);
    let publish_to = async |number: usize| {
        let user = UserId::new(format!("user {number}"));
        let item = in_thread("t", Make::run_started("t", "r", None));
        within(router.publish_batch(&user, vec![item])).await
    };
    publish_to(0).await.unwrap();
    let reader = UserId::new("user 0");
    let mut stream = router.agui().connect(&reader, Attach::now()).unwrap();
    for number in 1..USERS {
        publish_to(number).await.unwrap();
    }
    // All have been needed just now.
    assert!(publish_to(USERS).await.is_err());
    replicas.pass(Duration::from_secs(2), &[]).await;
    assert!(
        publish_to(USERS).await.is_err(),
        "who asks for room is refused"
    );
    replicas.pass(Duration::ZERO, &[]).await;
    for number in USERS..2 * USERS - 1 {
        publish_to(number).await.unwrap();
    }
    // Who is read has stayed, and nothing is forgotten: the log has it.
    let item = in_thread("t", Make::run_finished("t", "r", None));
    let published = router.publish_batch(&reader, vec![item]);
    within(published).await.unwrap();
    assert_eq!(read(&mut stream, 1).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_name_is_remembered_by_nobody() {
    let log = MemoryLog::new(10_000);
    let mut replicas = Replicas::new();
    let (one, other) = (replicas.add(log.clone()), replicas.add(log));
    begin(&one, "t", "r").await;
    let mut screen = follow(&other, None).await;
    publish(&one, in_thread("t", delta("r", "first"))).await;
    read(&mut screen, 1).await;
    let n_held = || {
        [&one, &other].map(|router| {
            let lane = router.inner.lanes.find(&ada()).unwrap();
            let state = lane.lock();
            state.known.len() + state.unanswered.len()
        })
    };
    for _ in 0..1_000 {
        publish(&one, in_thread("t", delta("r", "text"))).await;
    }
    read(&mut screen, 1_000).await;
    assert_eq!(n_held(), [0, 0]);
    publish(&one, named(in_thread("t", delta("r", "text")), "named")).await;
    read(&mut screen, 1).await;
    assert_eq!(n_held(), [1, 1]);
}
