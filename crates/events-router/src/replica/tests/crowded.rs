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
