//! What two replicas do at the same time, and one after the other.

use events_core::EventId;

use super::*;
use crate::Refusal;

#[tokio::test(start_paused = true)]
async fn every_replica_tells_the_same_events_under_the_same_ids() {
    let (log, mut replicas) = (MemoryLog::new(1_000), Replicas::new());
    let (one, other) = (replicas.add(log.clone()), replicas.add(log.clone()));
    let mut screens = [follow(&one, None).await, follow(&other, None).await];
    begin(&one, "t", "r").await;
    for index in 0..100 {
        let router = if index % 3 == 0 { &other } else { &one };
        publish(router, in_thread("t", delta("r", &index.to_string()))).await;
    }
    let [first, second] = &mut screens;
    let told = read(first, 102).await;
    assert_eq!(told, read(second, 102).await);
    // On a third one, which has come late, and from a cursor of the second.
    let third = replicas.add(log);
    let cursor = told[49].0.as_str();
    let mut late = follow(&third, Some(cursor)).await;
    assert_eq!(late.missed(), None);
    assert_eq!(read(&mut late, 52).await, told[50..]);
    assert_eq!(prelude(&third, "t").await, prelude(&one, "t").await);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_refused_for_what_a_replica_has_not_heard_yet() {
    let (log, mut replicas) = (MemoryLog::new(1_000), Replicas::new());
    let (one, deaf_log) = (replicas.add(log.clone()), FaultyLog::new(log));
    let deaf = replicas.add(deaf_log.clone());
    let mut screen = follow(&deaf, None).await;
    deaf_log.set(Fault::Deaf);
    begin(&one, "t", "r").await;
    publish(&deaf, in_thread("t", delta("r", "a"))).await;
    let end = [
        Make::text_message_end("r-m"),
        Make::run_finished("t", "r", None),
    ];
    for event in end {
        publish(&one, in_thread("t", event)).await;
    }
    publish(&deaf, in_thread("t", Make::run_started("t", "s", None))).await;
    assert_eq!(read(&mut screen, 6).await.len(), 6);
    assert_eq!(deaf.replica_stats().unwrap().doubts, 2);
    // What is wrong by the log is refused all the same, and the good one behind it is taken.
    let wrong = vec![in_thread("t", delta("r", "b"))];
    let right = vec![in_thread("t", Make::run_finished("t", "s", None))];
    let (wrong, right) = tokio::join!(try_publish(&deaf, wrong), try_publish(&deaf, right));
    let refusal = wrong.unwrap_err();
    assert!(
        matches!(refusal, PublishError::Refused { index: 0, .. }),
        "{refusal:?}"
    );
    assert_eq!(right.unwrap().ids.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_replicas_that_begin_a_run_at_once_begin_one() {
    for _ in 0..20 {
        let (log, mut replicas) = (MemoryLog::new(1_000), Replicas::new());
        let routers = [replicas.add(log.clone()), replicas.add(log)];
        let start = |run: &str| vec![in_thread("t", Make::run_started("t", run, None))];
        let (first, second) = tokio::join!(
            try_publish(&routers[0], start("a")),
            try_publish(&routers[1], start("b")),
        );
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_writers_of_one_thread_on_two_replicas_never_break_its_order() {
    let (log, mut replicas) = (MemoryLog::new(10_000), Replicas::new());
    let routers = [replicas.add(log.clone()), replicas.add(log)];
    let mut screens = [
        follow(&routers[0], None).await,
        follow(&routers[1], None).await,
    ];
    let mut writers = JoinSet::new();
    for writer in 0..6 {
        let router = routers[writer % 2].clone();
        writers.spawn(async move {
            let mut n_taken = 0;
            for round in 0..40 {
                let run = format!("{writer}-{round}");
                let events = [
                    Make::run_started("t", run.as_str(), None),
                    Make::run_finished("t", run.as_str(), None),
                ];
                // Somebody else's run may be active: then the first is refused, and the second is not tried.
                for event in events {
                    if try_publish(&router, vec![in_thread("t", event)])
                        .await
                        .is_err()
                    {
                        break;
                    }
                    n_taken += 1;
                }
            }
            n_taken
        });
    }
    let n_taken: usize = within(writers.join_all()).await.into_iter().sum();
    let [first, second] = &mut screens;
    let told = read(first, n_taken).await;
    assert_eq!(told, read(second, n_taken).await);
    let mut order = events_models::agui::order::ThreadOrder::default();
    for (_, json) in &told {
        let event = AgUiEvent::from_json(json.as_bytes()).unwrap();
        order.check(&event).expect("a valid thread");
    }
    let stats = routers.iter().map(|router| router.replica_stats().unwrap());
    assert!(
        stats
            .map(|stats| stats.conflicts + stats.doubts)
            .sum::<u64>()
            > 0
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_on_another_replica_gets_the_ids_of_the_first_try() {
    let (log, mut replicas) = (MemoryLog::new(1_000), Replicas::new());
    let (one, other) = (replicas.add(log.clone()), replicas.add(log));
    begin(&one, "t", "r").await;
    let batch = |texts: &[&str]| -> Vec<Item> {
        let item = |(index, text): (usize, &&str)| {
            named(in_thread("t", delta("r", text)), &format!("k:line:{index}"))
        };
        texts.iter().enumerate().map(item).collect()
    };
    let first = try_publish(&one, batch(&["a", "b"])).await.unwrap();
    let again = try_publish(&other, batch(&["a", "b", "c"])).await.unwrap();
    assert_eq!((first.duplicates, again.duplicates), (0, 2));
    assert_eq!(again.ids[..2], first.ids[..]);
    let seqs: Vec<u64> = again.ids.iter().map(|id| id.seq).collect();
    assert_eq!(seqs, [3, 4, 5]);
    // The run is over, and a retry of what was said in it is known all the same.
    publish(&one, in_thread("t", Make::text_message_end("r-m"))).await;
    publish(&one, in_thread("t", Make::run_finished("t", "r", None))).await;
    let late = try_publish(&other, batch(&["a"])).await.unwrap();
    assert_eq!((late.duplicates, &late.ids[..]), (1, &first.ids[..1]));
}

#[tokio::test(start_paused = true)]
async fn chunks_go_on_and_are_closed_wherever_the_next_event_is_published() {
    let (log, mut replicas) = (MemoryLog::new(1_000), Replicas::new());
    let (one, other) = (replicas.add(log.clone()), replicas.add(log));
    let mut screen = follow(&one, None).await;
    publish(&one, in_thread("t", Make::run_started("t", "r", None))).await;
    publish(&one, in_thread("t", Make::text_message_chunk("m", "Hel"))).await;
    publish(&other, in_thread("t", Make::text_message_chunk("m", "lo"))).await;
    publish(&other, in_thread("t", Make::run_finished("t", "r", None))).await;
    let types: Vec<_> = read(&mut screen, 6)
        .await
        .iter()
        .map(|(_, json)| {
            AgUiEvent::from_json(json.as_bytes())
                .unwrap()
                .event_type()
                .as_str()
        })
        .collect();
    assert_eq!(
        types,
        [
            "RUN_STARTED",
            "TEXT_MESSAGE_START",
            "TEXT_MESSAGE_CONTENT",
            "TEXT_MESSAGE_CONTENT",
            "TEXT_MESSAGE_END",
            "RUN_FINISHED"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_is_ahead_of_this_replica_is_waited_for() {
    let (log, mut replicas) = (MemoryLog::new(1_000), Replicas::new());
    let faulty = FaultyLog::new(log.clone());
    let (one, behind) = (replicas.add(log), replicas.add(faulty.clone()));
    let _held = within(behind.open_user(&ada(), None)).await.unwrap();
    assert_eq!(behind.replica_stats().unwrap().users_behind, 0);
    faulty.set(Fault::Deaf);
    begin(&one, "t", "r").await;
    let seen = publish(&one, in_thread("t", delta("r", "seen"))).await;
    publish(&one, in_thread("t", delta("r", "unseen"))).await;
    let cursor = seen.ids[0].to_string();
    let mut screen = follow(&behind, Some(&cursor)).await;
    assert_eq!(screen.missed(), None);
    let told = read(&mut screen, 1).await;
    assert!(told[0].1.contains("unseen"));
    // One that is ahead of the log itself is of another life, or made up.
    let made_up = EventId {
        seq: 999,
        ..seen.ids[0]
    }
    .to_string();
    assert!(follow(&behind, Some(&made_up)).await.missed().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_which_event_and_leaves_the_others_of_its_round_alone() {
    let (log, mut replicas) = (MemoryLog::new(1_000), Replicas::new());
    let one = replicas.add(log);
    begin(&one, "t", "r").await;
    let bad = vec![
        in_thread("t", delta("r", "a")),
        in_thread("t", delta("unknown", "b")),
    ];
    let (good, bad, also_good) = tokio::join!(
        try_publish(&one, vec![in_thread("t", delta("r", "c"))]),
        try_publish(&one, bad),
        try_publish(&one, vec![in_thread("t", delta("r", "d"))]),
    );
    assert!(matches!(
        bad,
        Err(PublishError::Refused {
            index: 1,
            refusal: Refusal::Order(_)
        })
    ));
    assert_eq!(
        (good.unwrap().ids[0].seq, also_good.unwrap().ids[0].seq),
        (3, 4)
    );
    // All three went to the log at once.
    assert!(one.replica_stats().unwrap().appends <= 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_published_singly_goes_to_the_log_together_and_a_bad_one_alone_is_refused() {
    let (log, mut replicas) = (MemoryLog::new(1_000), Replicas::new());
    let one = replicas.add(log);
    begin(&one, "t", "r").await;
    let before = one.replica_stats().unwrap().appends;
    let items = (0..20).map(|index| {
        let run = if index == 7 { "unknown" } else { "r" };
        in_thread("t", delta(run, "x"))
    });
    let published = one.publish_each(&ada(), items.collect()).await;
    let seqs: Vec<_> = published
        .iter()
        .map(|published| published.as_ref().ok().map(|it| it.ids[0].seq))
        .collect();
    let mut next = 2;
    for (index, seq) in seqs.into_iter().enumerate() {
        next += u64::from(index != 7);
        assert_eq!(seq, (index != 7).then_some(next), "{index}");
    }
    assert!(matches!(
        published[7],
        Err(PublishError::Refused {
            index: 0,
            refusal: Refusal::Order(_)
        })
    ));
    let n_appends = one.replica_stats().unwrap().appends - before;
    assert!(n_appends <= 2, "{n_appends}");
}
