//! Faults that are planted into a record are found, and nothing else is.

use super::*;

fn truth() -> Published {
    (1..=9).map(|seq| (seq, format!("event {seq}"))).collect()
}

fn frame(text: &str) -> RawFrame {
    let mut splitter = crate::raw_client::FrameSplitter::default();
    splitter.push(text.as_bytes()).unwrap();
    splitter.next_frame().unwrap().unwrap()
}

fn event(seq: u64) -> RawFrame {
    frame(&format!("id: e.{seq}.t\ndata: event {seq}\n\n"))
}

fn gap(to: u64, lost: &str) -> RawFrame {
    let data = format!(r#"{{"reason":"trimmed","from":"x","to":"e.{to}.t","lost":{lost}}}"#);
    frame(&format!("id: e.{to}.t\nevent: gap\ndata: {data}\n\n"))
}

fn check(frames: &[RawFrame]) -> Result<(), String> {
    let mut log = ClientLog::default();
    log.take(&frame("retry: 2000\n\n"))?;
    log.take(&frame(": connected\n\n"))?;
    log.take(&frame("id: e.2.t\n\n"))?;
    frames.iter().try_for_each(|frame| log.take(frame))?;
    log.check(&truth())
}

#[test]
fn a_whole_record_is_accepted_with_heartbeats_and_a_new_connection() {
    let mut frames: Vec<_> = (3..=9).map(event).collect();
    frames.insert(4, frame(": {\"type\":\"heartbeat\"}\n\n"));
    frames.insert(3, frame("id: e.5.t\n\n"));
    assert_eq!(check(&frames), Ok(()));
}

#[test]
fn a_gap_that_counts_right_explains_a_hole() {
    for lost in ["3", "null"] {
        let frames: Vec<_> = [gap(5, lost)]
            .into_iter()
            .chain((6..=9).map(event))
            .collect();
        assert_eq!(check(&frames), Ok(()));
    }
}

#[test]
fn every_planted_fault_is_found() {
    let with = |seqs: &[u64]| check(&seqs.iter().copied().map(event).collect::<Vec<_>>());
    for (seqs, expected) in [
        (&[3, 4, 5, 5, 6, 7, 8, 9][..], "5 after 5"),
        (&[3, 4, 5, 7, 8, 9], "6 is missing"),
        (&[3, 5, 4, 6, 7, 8, 9], "4 is missing"),
        (&[2, 3, 4, 5, 6, 7, 8, 9], "2 after 2"),
        (&[4, 5, 6, 7, 8, 9], "3 is missing"),
        (&[3, 4, 5, 6, 7, 8], "9 is missing after"),
        (&[], "3 is missing after"),
        (&[3, 4, 5, 6, 7, 8, 9, 10], "10 is not what was published"),
    ] {
        let error = with(seqs).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    let reordered = check(&[event(3), gap(5, "2"), event(5), event(6)]).unwrap_err();
    assert!(reordered.starts_with("5 after 5"), "{reordered}");
    let miscounted = check(&[gap(5, "2")]).unwrap_err();
    assert!(miscounted.starts_with("a gap says"), "{miscounted}");
    let backwards = check(&[event(3), event(4), gap(3, "null")]).unwrap_err();
    assert!(backwards.starts_with("a gap from 4 back"), "{backwards}");
    let changed = frame("id: e.3.t\ndata: event 4\n\n");
    assert!(check(&[changed]).unwrap_err().starts_with("3 is not what"));
}

#[test]
fn frames_that_do_not_belong_on_a_stream_are_found() {
    for text in [
        "data: {}\n\n",
        "event: other\ndata: {}\n\n",
        "id: nonsense\ndata: {}\n\n",
        "id: e.5.t\nevent: gap\ndata: {\"to\":\"e.6.t\"}\n\n",
    ] {
        assert!(check(&[frame(text)]).is_err(), "{text}");
    }
    assert!(ClientLog::default().take(&event(3)).is_err());
    assert!(ClientLog::default().check(&truth()).is_err());
}
