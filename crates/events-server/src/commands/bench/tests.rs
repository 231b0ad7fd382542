//! The arithmetic of a bench, and that its checker sees what is planted.

use super::{
    checker::{Checker, Tally},
    hub_process::{Usage, parse_run_time_ns},
    plan::{Pace, Plan},
    report::{Hub, Latency, per_second},
    response::Response,
    script::{MadeStamp, Script, Stamp},
    *,
};

/// Takes numbers, `None` being a gap frame for two events, and ends at `n_published`.
fn tally(seen: &[Option<u32>], n_published: u32) -> Tally {
    let mut checker = Checker::default();
    for number in seen {
        match number {
            Some(number) => checker.take(*number),
            None => checker.take_gap(Some(2)),
        }
    }
    checker.end(n_published);
    *checker.tally()
}

fn all(numbers: impl IntoIterator<Item = u32>) -> Vec<Option<u32>> {
    numbers.into_iter().map(Some).collect()
}

#[test]
fn what_comes_once_and_in_order_is_only_delivered() {
    let expected = Tally {
        delivered: 5,
        ..Tally::default()
    };
    assert_eq!(tally(&all(0..5), 5), expected);
    // The publisher learns later than the reader that an event was taken.
    assert_eq!(tally(&all(0..5), 3), expected);
    assert_eq!(expected.faults(), 0);
}

#[test]
fn a_planted_loss_is_seen_in_the_middle_and_at_the_end() {
    for (seen, lost) in [(all([0, 1, 3, 4]), 1), (all(0..3), 2), (all([]), 5)] {
        let tally = tally(&seen, 5);
        assert_eq!((tally.lost, tally.faults()), (lost, lost), "{seen:?}");
        assert_eq!(tally.delivered + lost, 5);
    }
}

#[test]
fn a_planted_duplicate_is_seen() {
    for seen in [all([0, 1, 1, 2]), all([0, 1, 2, 0])] {
        let expected = Tally {
            delivered: 3,
            duplicated: 1,
            ..Tally::default()
        };
        assert_eq!(tally(&seen, 3), expected);
    }
}

#[test]
fn a_planted_swap_is_out_of_order_and_not_a_loss() {
    let expected = Tally {
        delivered: 5,
        out_of_order: 1,
        ..Tally::default()
    };
    assert_eq!(tally(&all([0, 2, 1, 3, 4]), 5), expected);
    // Out of the middle of a hole: what is left of it stays missing, and the same again is a duplicate.
    let seen = all([0, 4, 2, 2]);
    let expected = Tally {
        delivered: 3,
        lost: 2,
        duplicated: 1,
        out_of_order: 1,
        ..Tally::default()
    };
    assert_eq!(tally(&seen, 5), expected);
}

#[test]
fn a_loss_is_announced_only_as_far_as_the_gap_says() {
    let gap = |before: u32, after: u32| vec![Some(before), None, Some(after)];
    for (seen, lost_in_gaps, lost) in [
        (gap(0, 3), 2, 0),
        (gap(0, 4), 2, 1),
        // Less is missing than announced: what follows is not excused by it.
        (vec![Some(0), None, Some(1), Some(4)], 0, 2),
        // The rest is missing, and was announced.
        (vec![Some(0), None], 2, 0),
    ] {
        let n_published = seen.last().copied().flatten().map_or(3, |last| last + 1);
        let tally = tally(&seen, n_published);
        let found = (tally.gaps, tally.lost_in_gaps, tally.lost);
        assert_eq!(found, (1, lost_in_gaps, lost), "{seen:?}");
    }
    let mut checker = Checker::default();
    checker.take_gap(None);
    checker.take(1_000);
    checker.take(500);
    let tally = checker.tally();
    assert_eq!((tally.lost_in_gaps, tally.lost), (999, 0));
    assert_eq!((tally.out_of_order, tally.duplicated), (1, 0));
}

#[test]
fn an_event_of_another_user_is_a_fault() {
    let mut checker = Checker::default();
    checker.take_stranger();
    assert_eq!(checker.tally().faults(), 1);
}

#[test]
fn every_line_is_an_event_whose_stamp_is_found_again() {
    let script = Script::new(0xAB, 7, 3);
    let mut lines = Vec::new();
    for number in 0..14 {
        script.write(9, number, 1_000_000 + u64::from(number), &mut lines);
    }
    let mut types = Vec::new();
    for (number, line) in (0..).zip(String::from_utf8(lines).unwrap().lines()) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        types.push(event["type"].as_str().unwrap().to_owned());
        let stamp = Stamp {
            tag: 0xAB,
            user: 9,
            number,
            due_us: 1_000_000 + u64::from(number),
        };
        assert_eq!(Stamp::find(line), Some(stamp));
        assert!(line.len() < Script::BESIDE);
    }
    let run = [
        "RUN_STARTED",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_END",
        "RUN_FINISHED",
    ];
    assert_eq!(types, [run, run].concat());
    let made = MadeStamp {
        made_ns: 0xAB,
        number: 7,
    };
    let json = r#"{"delta":"@@00000000000000ab00000007@xxx"}"#;
    assert_eq!(MadeStamp::find(json), Some(made));
    assert_eq!(MadeStamp::find(&json[..json.len() - 8]), None);
    assert_eq!(
        (MadeStamp::find("@@ab.9.7.1@"), Stamp::find(json)),
        (None, None)
    );
    for text in ["", "@@", "@@1.2.3@", "@@1.2.3.x@", "@@1.2.3.4.5@", "a@b"] {
        assert_eq!(Stamp::find(text), None, "{text}");
    }
}

fn args(line: &str) -> BenchArgs {
    let words = ["events", "bench"]
        .into_iter()
        .chain(line.split_whitespace());
    match crate::cli::parse(words.map(Into::into)) {
        Ok(crate::cli::Command::Bench(args)) => args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn readers_sit_at_users_of_their_own_and_the_focus_is_kept() {
    let args = args(
        "--users 1000 --watched 30 --connections-per-user 2 --slow 20 --stalled 10 --focus 25",
    );
    let mut plan = Plan::new(&args).unwrap();
    assert_eq!(plan::n_connections(&args), plan.seats().len() as u64);
    for (pace, n_seats) in [(Pace::Ordinary, 60), (Pace::Slow, 20), (Pace::Stalled, 10)] {
        let seats = plan.seats().iter().filter(|seat| seat.pace == pace);
        assert_eq!(seats.count(), n_seats, "{pace:?}");
    }
    let mut watched: Vec<u32> = plan.seats().iter().map(|seat| seat.user).collect();
    watched.dedup();
    assert_eq!(watched.len(), 60);
    assert!(watched.is_sorted() && watched.last() < Some(&1_000));
    let mut counts = vec![0; 1_000];
    for _ in 0..4 * 940 {
        counts[plan.next_user() as usize] += 1;
    }
    let n_watched: u32 = watched.iter().map(|user| counts[*user as usize]).sum();
    assert_eq!(n_watched, 940);
    let few = counts.iter().min();
    assert!(few > Some(&2), "everybody has a turn: {few:?}");
}

#[test]
fn everybody_has_the_same_share_without_a_focus() {
    let mut plan = Plan::new(&args("--users 8 --watched 2 --slow 1")).unwrap();
    let mut counts = [0; 8];
    for _ in 0..800 {
        counts[plan.next_user() as usize] += 1;
    }
    assert!(counts.iter().all(|n| (98..=102).contains(n)), "{counts:?}");
}

#[test]
fn what_cannot_be_asked_for_is_told() {
    for (line, told) in [
        ("--users 10 --slow 11", "raise --users"),
        ("--users 10 --watched 8 --stalled 3", "raise --users"),
        ("--users 10 --watched 0 --focus 10", "give --watched"),
        ("--users 10 --focus 10", "without readers"),
    ] {
        let failure = Plan::new(&args(line)).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        assert!(failure.line().contains(told), "{}", failure.line());
    }
    assert!(open_files::check(992, Some(1_024)).is_ok());
    assert!(open_files::check(1 << 40, None).is_ok());
    let failure = open_files::check(993, Some(1_024)).unwrap_err();
    assert!(failure.line().contains("993 connections"), "{failure}");
    assert!(failure.line().contains("ulimit -n"), "{failure}");
}

#[test]
fn rates_and_amounts_are_whole_requests() {
    let amount = amount(&args("--events 101 --rate 500/s"));
    assert_eq!(amount.n_requests, Some(11));
    assert_eq!(amount.length, None);
    assert_eq!(amount.interval, Some(Duration::from_millis(20)));
    let amount = super::amount(&args(""));
    assert_eq!((amount.n_requests, amount.interval), (None, None));
    assert_eq!(amount.length, Some(LENGTH));
}

/// Reads a response in parts of so many bytes.
fn read(bytes: &[u8], n_part: usize) -> (u16, bool, String) {
    let mut response = Response::new();
    let mut body = Vec::new();
    for part in bytes.chunks(n_part) {
        response
            .read(part, |part| body.extend_from_slice(part))
            .unwrap();
    }
    let text = String::from_utf8(body).unwrap();
    (response.status(), response.is_done(), text)
}

#[test]
fn a_response_reads_the_same_wherever_it_is_cut() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n00A;x=1\r\n0123456789\r\n0\r\nT: 1\r\n\r\n";
    let sized = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 4\r\n\r\nbusy";
    let empty = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let open = b"HTTP/1.0 200 OK\r\n\r\nuntil the end";
    for n_part in 1..chunked.len() {
        let of = |bytes| read(bytes, n_part);
        assert_eq!(of(chunked), (200, true, "abc0123456789".to_owned()));
        assert_eq!(of(sized), (429, true, "busy".to_owned()));
        assert_eq!(of(empty), (200, true, String::new()));
        assert_eq!(of(open), (200, false, "until the end".to_owned()));
    }
    for bad in [
        &b"SSH-2.0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
    ] {
        assert!(Response::new().read(bad, |_| {}).is_err());
    }
}

#[test]
fn the_numbers_of_a_process_are_read_behind_any_name() {
    let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
    let stat = "7 (a) b) S 1 7 7 0 -1 4194560 500 0 0 0 250 50 0 0 20 0 4 0 100 1 1";
    let usage = Usage {
        resident: 1 << 20,
        peak: 2 << 20,
        cpu_us: 3_000_000,
    };
    assert_eq!(Usage::parse(status, stat, 100), Some(usage));
    assert_eq!(Usage::parse("", stat, 100), None);
    let connected = Usage {
        resident: (1 << 20) + 5_000,
        ..usage
    };
    let end = Usage {
        cpu_us: 5_000_000,
        ..connected
    };
    let hub = Hub::of(usage, connected, end, 5, 1_000);
    assert_eq!((hub.per_connection, hub.publish_cpu_us), (1_000, 2_000_000));
    assert!((hub.delivered_per_cpu_second - 500.0).abs() < 1e-9);
    assert_eq!(Hub::of(usage, connected, connected, 0, 0).per_connection, 0);
    assert_eq!(parse_run_time_ns("1500000 20 3\n"), Some(1_500_000));
    assert_eq!(parse_run_time_ns(""), None);
    assert!((per_second(10, Duration::from_secs(4)) - 2.5).abs() < 1e-9);
    assert!(per_second(10, Duration::ZERO).abs() < 1e-9);
}

#[test]
fn a_fault_of_any_reader_is_in_the_report() {
    let mut report = Report::default();
    report.slow.tally = tally(&[Some(0), None], 3);
    assert_eq!(report.fault(), None, "an announced loss is none");
    report.stalled.tally = tally(&all([0, 1, 1, 3]), 4);
    let fault = "1 events lost without a gap, 1 duplicated, 0 out of order, 0 of other users";
    assert_eq!(report.fault().as_deref(), Some(fault));
    assert!(
        report.line().contains("lost 1, duplicated 1"),
        "{}",
        report.line()
    );
}

#[test]
fn quantiles_are_of_all_samples() {
    let mut histogram = hdrhistogram::Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
    for latency in 1..=1_000 {
        histogram.record(latency).unwrap();
    }
    let expected = Latency {
        p50: 500,
        p90: 900,
        p99: 990,
        p99_9: 999,
        max: 1_000,
    };
    assert_eq!(Latency::of(&histogram), expected);
}
