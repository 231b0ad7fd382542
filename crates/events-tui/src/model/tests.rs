//! What is known after which frames, and that it does not grow without end.

use events_models::{TuiStreamEvent, TuiStreamEventBuilder, Usd};

use super::*;
use crate::sample::{NOW, alert, completed, delta, failed, picture, running, usd};

fn active(streams: Vec<StreamSummary>) -> StreamFeedFrame {
    StreamFeedFrame::Active(picture(streams))
}

fn started(id: &str, model: &str) -> StreamFeedFrame {
    StreamFeedFrame::Event(TuiStreamEvent::Started {
        request_id: id.into(),
        model: model.to_owned(),
        agent_type: None,
        provider: Some("p".to_owned()),
        timestamp: Some(NOW),
    })
}

fn finished(id: &str, tokens: Option<u64>, cost: Option<Usd>) -> StreamFeedFrame {
    let mut event = TuiStreamEventBuilder::completed(id, tokens, tokens, cost);
    if let TuiStreamEvent::Completed {
        timestamp, detail, ..
    } = &mut event
    {
        *timestamp = Some(NOW + 2_000);
        detail.time_to_first_token_ms = Some(250);
    }
    StreamFeedFrame::Event(event)
}

fn known<'a>(model: &'a Model, id: &str) -> Option<&'a Stream> {
    model.streams().find(|stream| stream.id().as_str() == id)
}

#[test]
fn events_add_up_to_the_same_sums_as_a_picture() {
    let mut model = Model::default();
    model.apply(active(Vec::new()), NOW);
    model.apply(started("a", "m"), NOW);
    model.apply(delta("a", "Hello", NOW + 500), NOW + 500);
    model.apply(delta("a", " you", NOW + 900), NOW + 900);
    let stream = known(&model, "a").unwrap();
    assert_eq!(
        (stream.summary.text.as_str(), stream.summary.text_bytes),
        ("Hello you", 9)
    );
    assert_eq!(stream.first_token(), Some((500, true)));
    assert_eq!(
        (stream.outcome(), model.n_running()),
        (Outcome::Streaming, 1)
    );

    model.apply(finished("a", Some(7), Some(usd(0.5))), NOW + 2_000);
    let stream = known(&model, "a").unwrap();
    assert_eq!(stream.outcome(), Outcome::Completed);
    assert_eq!(stream.first_token(), Some((250, false)));
    assert_eq!(stream.output(), Some((7, false)));
    model.apply(started("b", "m"), NOW);
    model.apply(
        StreamFeedFrame::Event(TuiStreamEventBuilder::error("b", "Overloaded")),
        NOW,
    );
    let expected = StreamTotals {
        started: 2,
        completed: 1,
        failed: 1,
        input_tokens: 7,
        output_tokens: 7,
        cost_usd: usd(0.5),
        unpriced: 1,
        unreported: 1,
        ..StreamTotals::default()
    };
    assert_eq!(model.totals, expected);
    assert_eq!((model.models.len(), model.models[0].totals), (1, expected));
    assert_eq!(model.n_running(), 0);
    assert_eq!(model.first_tokens.percentiles(NOW, 60), Some((250, 250)));
}

#[test]
fn an_answer_that_came_whole_has_no_rate() {
    for (first_token_ms, rate) in [
        (250, Some((4_000, false))),
        (1_950, Some((140_000, false))),
        (1_951, None),
        (2_100, None),
    ] {
        let mut model = Model::default();
        model.apply(started("a", "m"), NOW);
        let mut end = finished("a", Some(7), None);
        if let StreamFeedFrame::Event(TuiStreamEvent::Completed { detail, .. }) = &mut end {
            detail.time_to_first_token_ms = Some(first_token_ms);
        }
        model.apply(end, NOW + 2_000);
        let stream = known(&model, "a").unwrap();
        assert_eq!(stream.rate(NOW + 2_000), rate, "{first_token_ms}");
    }
}

#[test]
fn a_second_end_and_text_after_the_end_change_nothing() {
    let mut model = Model::default();
    model.apply(started("a", "m"), NOW);
    model.apply(finished("a", Some(7), None), NOW);
    model.apply(delta("a", "late", NOW), NOW);
    model.apply(
        StreamFeedFrame::Event(TuiStreamEventBuilder::error("a", "late")),
        NOW,
    );
    let stream = known(&model, "a").unwrap();
    assert_eq!(
        (stream.outcome(), stream.summary.text.as_str()),
        (Outcome::Completed, "")
    );
    assert_eq!(model.ended.len(), 1);
}

#[test]
fn a_new_picture_drops_what_ran_and_keeps_what_had_ended() {
    let mut model = Model::default();
    model.apply(
        active(vec![
            completed("done", "m", 9),
            running("on", "m", 3),
            running("gone", "m", 4),
        ]),
        NOW,
    );
    model.apply(delta("on", "!", NOW), NOW);
    let mut again = running("on", "m", 3);
    again.text_bytes = 2_044;
    let mut next = picture(vec![again, running("new", "m", 1)]);
    next.lost = 17;
    model.apply(StreamFeedFrame::Active(next), NOW);
    let ids: Vec<&str> = model.streams().map(|stream| stream.id().as_str()).collect();
    assert_eq!(ids, ["done", "on", "new"]);
    assert_eq!(model.lost, 17);
    // The text that was known is longer than the end that a picture has.
    assert!(
        known(&model, "on")
            .unwrap()
            .summary
            .text
            .ends_with("you can!")
    );
}

#[test]
fn the_text_of_a_picture_counts_where_some_was_missed() {
    let mut model = Model::default();
    model.apply(active(vec![running("on", "m", 3)]), NOW);
    let mut again = running("on", "m", 3);
    again.text = "the end of it".to_owned();
    again.text_bytes = 9_999;
    model.apply(active(vec![again]), NOW);
    let summary = &known(&model, "on").unwrap().summary;
    assert_eq!(
        (summary.text.as_str(), summary.text_bytes),
        ("the end of it", 9_999)
    );
}

#[test]
fn a_hub_that_was_restarted_may_use_ids_again() {
    let mut model = Model::default();
    model.apply(active(vec![completed("r1", "old", 9)]), NOW);
    let mut restarted = picture(vec![running("r1", "new", 1)]);
    restarted.since = NOW - 1_000;
    model.apply(StreamFeedFrame::Active(restarted), NOW);
    let stream = known(&model, "r1").unwrap();
    assert_eq!((stream.model(), stream.summary.is_active()), ("new", true));
    model.apply(finished("r1", None, None), NOW);
    assert_eq!(model.ended.len(), 1);
    assert!(!known(&model, "r1").unwrap().summary.is_active());
}

#[test]
fn what_was_spent_while_nobody_was_told_counts_too() {
    let mut model = Model::default();
    model.apply(active(Vec::new()), NOW);
    let mut next = picture(Vec::new());
    next.at = NOW + 1_800_000;
    next.totals.cost_usd = usd(2.0);
    model.apply(StreamFeedFrame::Active(next), NOW + 1_800_000);
    assert_eq!(model.cost.per_hour(NOW + 1_800_000), Some((usd(4.0), true)));
}

#[test]
fn times_are_the_gateways_whatever_our_clock_shows() {
    let mut model = Model::default();
    let ours = 1_000;
    model.apply(active(vec![running("a", "m", 30)]), ours);
    let stream = known(&model, "a").unwrap();
    assert_eq!(stream.duration(model.now(ours + 5_000)), 35_000);
    model.apply(delta("a", "text", NOW + 1_000), ours + 1_000);
    assert!(model.bytes.rate_millis(model.now(ours + 1_000), 5) > 0);
}

#[test]
fn a_failure_is_told_from_a_client_that_left() {
    for (message, code, outcome) in [
        ("Overloaded", Some("overloaded_error"), Outcome::Failed),
        ("client disconnected", None, Outcome::Cancelled),
        ("stopped", Some("cancelled"), Outcome::Cancelled),
    ] {
        let stream = Stream::new(1, failed("a", 1, message, code), 100);
        assert_eq!(stream.outcome(), outcome, "{message}");
    }
}

#[test]
fn an_alert_is_raised_and_taken_back_and_marks_its_request() {
    let mut model = Model::default();
    model.apply(active(vec![running("a", "m", 1)]), NOW);
    model.apply(StreamFeedFrame::Alert(alert("much", true)), NOW);
    model.apply(StreamFeedFrame::Alert(alert("more", true)), NOW);
    assert_eq!(model.alerts.len(), 1);
    assert_eq!(model.alerts[0].message, "more");
    let of_request = |id: &str| StreamAlert {
        kind: AlertKind::StreamCost,
        request_id: Some(id.into()),
        ..alert("costly", true)
    };
    model.apply(StreamFeedFrame::Alert(of_request("a")), NOW);
    assert!(known(&model, "a").unwrap().is_alerted);
    for number in 0..500 {
        model.apply(StreamFeedFrame::Alert(of_request(&number.to_string())), NOW);
    }
    assert_eq!(model.alerts.len(), MAX_ALERTS);
    assert_eq!(
        model.alerts[0].kind,
        AlertKind::HourlyCost,
        "it is not pushed out"
    );
    model.apply(StreamFeedFrame::Alert(alert("well", false)), NOW);
    assert!(
        model
            .alerts
            .iter()
            .all(|alert| alert.kind == AlertKind::StreamCost)
    );
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut model = Model::default();
    for number in 0..MAX_ACTIVE + 100 {
        model.apply(
            started(&format!("r{number}"), &format!("model-{number}")),
            NOW,
        );
    }
    assert_eq!(model.streams.len(), MAX_ACTIVE);
    assert_eq!(model.n_running(), u64::try_from(MAX_ACTIVE + 100).unwrap());
    assert_eq!(model.models.len(), MAX_MODELS);
    for number in 0..MAX_ACTIVE + 100 {
        model.apply(finished(&format!("r{number}"), None, None), NOW);
    }
    assert_eq!(
        (model.streams.len(), model.numbers.len()),
        (MAX_ENDED, MAX_ENDED)
    );
    assert_eq!(model.n_running(), 0);

    model.apply(started("long", &"m".repeat(10_000)), NOW);
    model.apply(started(&"i".repeat(10_000), "m"), NOW);
    for _ in 0..100 {
        model.apply(delta("long", &"é".repeat(1_000), NOW), NOW);
    }
    let summary = &known(&model, "long").unwrap().summary;
    assert_eq!(summary.text_bytes, 200_000);
    assert!(
        summary.text.len() <= MAX_TEXT * 3 / 2,
        "{}",
        summary.text.len()
    );
    assert_eq!(summary.model.len(), stream::MAX_NAME);
    assert!(
        model
            .streams()
            .all(|stream| stream.id().as_str().len() <= MAX_ID)
    );

    // Of what somebody reads more is kept, until nobody does.
    let number = known(&model, "long").unwrap().number;
    model.read(Some(number));
    for _ in 0..100 {
        model.apply(delta("long", &"é".repeat(1_000), NOW), NOW);
    }
    let kept = |model: &Model| known(model, "long").unwrap().summary.text.len();
    assert!((MAX_READ_TEXT..=MAX_READ_TEXT * 3 / 2).contains(&kept(&model)));
    model.read(None);
    assert!(kept(&model) <= MAX_TEXT);
}

#[test]
fn what_is_too_long_in_a_picture_is_cut() {
    let mut summary = running("a", &"m".repeat(9_999), 1);
    summary.message = Some("x".repeat(99_999));
    summary.text = "t".repeat(99_999);
    let mut model = Model::default();
    model.apply(active(vec![summary]), NOW);
    let summary = &known(&model, "a").unwrap().summary;
    assert_eq!(
        (summary.model.len(), summary.text.len()),
        (stream::MAX_NAME, MAX_TEXT)
    );
    assert!(summary.message.as_ref().unwrap().len() <= 4_096);
    assert_eq!(model.models[0].model.len(), stream::MAX_NAME);
}
