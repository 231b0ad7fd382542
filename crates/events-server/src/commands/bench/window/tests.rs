//! That the window is kept, and that it moves.

use super::*;

fn window(line: &str) -> (Window, Vec<mpsc::Receiver<Ticket>>) {
    let words = ["events", "bench"]
        .into_iter()
        .chain(line.split_whitespace());
    match crate::cli::parse(words.map(Into::into)) {
        Ok(crate::cli::Command::Bench(args)) => Window::new(&args).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn ready(queue: &mut mpsc::Receiver<Ticket>) -> Vec<u32> {
    std::iter::from_fn(|| queue.try_recv().ok())
        .map(|ticket| ticket.user)
        .collect()
}

#[test]
fn a_lane_waits_until_its_slowest_reader_has_seen_enough() {
    let line =
        "--window 4 --batch 2 --users 1 --connections-per-user 2 --events 100 --publishers 1";
    let (window, mut queues) = window(line);
    let queue = &mut queues[0];
    window.begin(Duration::ZERO);
    for _ in 0..2 {
        assert_eq!(ready(queue), [0]);
        assert_eq!(window.take(0, Duration::ZERO), Some(0..1));
        assert_eq!(window.answered(0), Turn::Later);
    }
    assert_eq!(ready(queue), [0; 0], "four are outstanding");
    window.seen(0, 0..4);
    assert_eq!(ready(queue), [0; 0], "the other reader has seen none");
    window.seen(0, 0..1);
    assert_eq!(ready(queue), [0; 0], "a request has two");
    window.seen(0, 1..2);
    assert_eq!(ready(queue), [0]);
    window.seen(0, 2..4);
    assert_eq!(ready(queue), [0; 0], "it waits at its publisher once");
}

#[test]
fn what_a_reader_sees_again_moves_nothing() {
    let line = "--window 2 --batch 2 --users 1 --connections-per-user 2 --events 100";
    let (window, mut queues) = window(line);
    window.begin(Duration::ZERO);
    assert_eq!(ready(&mut queues[0]), [0]);
    assert!(window.take(0, Duration::ZERO).is_some());
    assert_eq!(window.answered(0), Turn::Later);
    for _ in 0..2 {
        window.seen(0, 0..2);
    }
    assert_eq!(ready(&mut queues[0]), [0]);
    assert!(window.take(0, Duration::ZERO).is_some());
    assert_eq!(window.answered(0), Turn::Later);
    window.seen(0, 0..2);
    window.seen(0, 7..9);
    assert_eq!(ready(&mut queues[0]), [0; 0]);
}

#[test]
fn users_of_a_lane_go_together_and_lanes_end_after_their_share() {
    let line = "--window 8 --batch 4 --users 10 --group 4 --generator --events 80 --publishers 2";
    let (window, mut queues) = window(line);
    assert_eq!((window.n_lanes_of(0), window.n_lanes_of(1)), (2, 1));
    window.begin(Duration::ZERO);
    assert_eq!(ready(&mut queues[0]), [0, 8]);
    assert_eq!(ready(&mut queues[1]), [4]);
    assert_eq!(window.take(8, Duration::ZERO), Some(8..10));
    assert_eq!(window.answered(8), Turn::Later);
    assert_eq!(window.take(8, Duration::ZERO), Some(8..10));
    assert_eq!(window.answered(8), Turn::Finished, "ten users, eight each");
    assert_eq!(window.take(8, Duration::ZERO), None);
    assert_eq!(window.take(0, Duration::ZERO), Some(0..4));
}

#[test]
fn a_lane_ends_with_the_time() {
    let (window, _queues) = window("--window 8 --users 1 --duration 2s");
    window.begin(Duration::from_secs(1));
    assert!(window.take(0, Duration::from_millis(2_999)).is_some());
    assert_eq!(window.answered(0), Turn::Later);
    assert_eq!(window.take(0, Duration::from_secs(3)), None);
    assert_eq!(window.batch(), 8, "a request fits into the window");
}
