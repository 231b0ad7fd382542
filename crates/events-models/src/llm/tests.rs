//! The wire form of every LLM stream event, and of money.

use serde_json::{Value, json};

use super::*;

fn check(event: &TuiStreamEvent, expected_json: &Value) {
    let mut json = serde_json::to_value(event).unwrap();
    assert_eq!(json["type"], event.event_type());
    assert_eq!(
        serde_json::from_value::<TuiStreamEvent>(json.clone())
            .as_ref()
            .ok(),
        Some(event)
    );
    let stamp = json.as_object_mut().unwrap().remove("timestamp");
    assert_eq!(stamp, event.timestamp().map(Value::from));
    assert_eq!(json, *expected_json);
}

#[test]
fn every_stream_event_has_its_json_and_reads_it_back() {
    check(
        &TuiStreamEventBuilder::started("r", "m", Some("cook".to_owned())),
        &json!({"type": "started", "request_id": "r", "model": "m", "agent_type": "cook"}),
    );
    check(
        &TuiStreamEventBuilder::text_delta("r", "hi\n"),
        &json!({"type": "text_delta", "request_id": "r", "text": "hi\n"}),
    );
    check(
        &TuiStreamEventBuilder::completed("r", Some(1), Some(2), Usd::from_dollars(0.25)),
        &json!({
            "type": "completed", "request_id": "r", "input_tokens": 1, "output_tokens": 2, "cost_usd": 0.25,
        }),
    );
    check(
        &TuiStreamEventBuilder::error("r", "no"),
        &json!({"type": "error", "request_id": "r", "message": "no"}),
    );
}

#[test]
fn a_count_that_is_not_known_is_absent() {
    let json = serde_json::to_string(&TuiStreamEventBuilder::completed("r", None, None, None));
    let json = json.unwrap();
    assert!(
        !json.contains("tokens") && !json.contains("cost") && !json.contains("null"),
        "{json}"
    );
}

#[test]
fn the_detail_lies_flat_beside_the_counts() {
    let mut event = TuiStreamEventBuilder::completed("r", None, Some(2), None);
    if let TuiStreamEvent::Completed { detail, .. } = &mut event {
        detail.reasoning_tokens = Some(1);
        detail.finish_reason = Some("stop".to_owned());
        detail.partial = true;
    }
    check(
        &event,
        &json!({
            "type": "completed", "request_id": "r", "output_tokens": 2, "reasoning_tokens": 1,
            "finish_reason": "stop", "partial": true,
        }),
    );
}

#[test]
fn money_is_written_as_dollars_and_read_back_exactly() {
    for picos in [
        0,
        1,
        999,
        57_549_750_000,
        149_750_000,
        1_000_000_000_000,
        999_123_456_789_012,
    ] {
        let amount = Usd::from_picos(picos);
        let json = serde_json::to_string(&amount).unwrap();
        assert_eq!(
            serde_json::from_str::<Usd>(&json).unwrap(),
            amount,
            "{json}"
        );
    }
    assert_eq!(Usd::from_picos(1_500_000_000_000).to_string(), "$1.50");
    assert_eq!(Usd::from_picos(10).to_string(), "$0.00000000001");
    assert!(serde_json::from_str::<Usd>("-1").is_err());
    assert_eq!(Usd::from_dollars(f64::NAN), None);
}

#[test]
fn a_million_small_amounts_add_up_without_an_error() {
    let cent = Usd::from_dollars(0.01).unwrap();
    let sum: Usd = std::iter::repeat_n(cent, 1_000_000).sum();
    assert_eq!(sum, Usd::from_dollars(10_000.0).unwrap());
}

#[test]
fn a_summary_has_its_json_and_leaves_out_what_is_not_known() {
    let mut summary = StreamSummary::new("r".into(), "m", 5);
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(
        json,
        json!({
            "request_id": "r", "model": "m", "state": "waiting", "started_at": 5, "text_bytes": 0,
            "reasoning_bytes": 0, "tool_calls": 0,
        })
    );
    summary.state = StreamState::Failed;
    summary.detail.response_id = Some("x".to_owned());
    // The model that answers stands beside the one that was asked for.
    summary.detail.model = Some("m-2026".to_owned());
    let text = serde_json::to_string(&summary).unwrap();
    assert_eq!(text.matches("\"model\":").count(), 1, "{text}");
    assert_eq!(
        serde_json::from_str::<StreamSummary>(&text).ok().as_ref(),
        Some(&summary)
    );
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(
        serde_json::from_value::<StreamSummary>(json).unwrap(),
        summary
    );
    assert!(!summary.is_active());
}

#[test]
fn a_frame_of_the_feed_reads_back_whatever_its_type() {
    let alert = StreamAlert {
        kind: AlertKind::HourlyCost,
        is_raised: true,
        request_id: None,
        message: "$12.50 in the last hour".to_owned(),
        timestamp: 1,
    };
    let active = ActiveStreams {
        at: 2,
        since: 1,
        streams: vec![StreamSummary::new("r".into(), "m", 1)],
        totals: StreamTotals {
            started: 1,
            cost_usd: Usd::from_dollars(0.25).unwrap(),
            ..StreamTotals::default()
        },
        models: vec![ModelTotals {
            provider: None,
            model: "m".to_owned(),
            totals: StreamTotals::default(),
        }],
        alerts: vec![alert.clone()],
        lost: 0,
    };
    let event = TuiStreamEventBuilder::completed("r", Some(1), None, None);
    for (frame, kind) in [
        (StreamFeedFrame::Active(active), "active"),
        (StreamFeedFrame::Alert(alert), "alert"),
        (StreamFeedFrame::Event(event), "completed"),
    ] {
        let json = serde_json::to_value(&frame).unwrap();
        assert_eq!(json["type"], kind);
        assert_eq!(
            serde_json::from_value::<StreamFeedFrame>(json).ok(),
            Some(frame)
        );
    }
}
