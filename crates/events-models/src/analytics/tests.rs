//! The wire form of every analytics event.

use serde_json::{Value, json};

use super::*;

fn check(event: &AnalyticsEvent, expected_json: &Value) {
    let json = serde_json::to_vec(event).unwrap();
    let mut read_back = serde_json::from_slice::<Value>(&json).unwrap();
    assert_eq!(read_back["timestamp"], event.timestamp());
    assert_eq!(read_back["type"], event.event_type().as_str());
    assert_eq!(AnalyticsEvent::from_json(&json).as_ref(), Ok(event));
    read_back.as_object_mut().unwrap().remove("timestamp");
    assert_eq!(read_back, *expected_json);
}

#[test]
fn every_analytics_event_has_its_json() {
    let some = |text: &str| Some(text.to_owned());
    check(
        &AnalyticsEventBuilder::session_started(
            "s",
            some("mobile"),
            some("Firefox"),
            some("Linux"),
            some("DE"),
            some("search"),
            true,
        ),
        &json!({
            "type": "SESSION_STARTED", "sessionId": "s", "deviceType": "mobile", "browser": "Firefox",
            "os": "Linux", "country": "DE", "referrerSource": "search", "isBot": true,
        }),
    );
    check(
        &AnalyticsEventBuilder::session_ended("s", 1, 2, 3),
        &json!({"type": "SESSION_ENDED", "sessionId": "s", "durationMs": 1, "pageCount": 2, "requestCount": 3}),
    );
    check(
        &AnalyticsEventBuilder::page_view("s", None, "/", some("c"), None),
        &json!({"type": "PAGE_VIEW", "sessionId": "s", "pageUrl": "/", "contentId": "c"}),
    );
    check(
        &AnalyticsEventBuilder::engagement_update("s", "/", 80, 5_000, 3),
        &json!({
            "type": "ENGAGEMENT_UPDATE", "sessionId": "s", "pageUrl": "/", "scrollDepth": 80,
            "timeOnPageMs": 5000, "clickCount": 3,
        }),
    );
    check(
        &AnalyticsEventBuilder::realtime_stats(1, 2, 3, 4, 5),
        &json!({
            "type": "REAL_TIME_STATS", "activeSessions": 1, "activeUsers": 2, "requestsPerMinute": 3,
            "pageViewsLast5m": 4, "botRequestsLast5m": 5,
        }),
    );
    check(
        &AnalyticsEventBuilder::heartbeat(),
        &json!({"type": "HEARTBEAT"}),
    );
}
