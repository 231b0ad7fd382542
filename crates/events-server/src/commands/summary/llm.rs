//! Events of LLM streams in one line each.

use events_models::{
    ActiveStreams, StreamDetail, StreamFeedFrame, StreamTotals, TuiStreamEvent, Usd,
};

use super::Summary;

impl Summary {
    /// Looks into a frame of `/llm/streams`; one that is not understood is shown as any other event.
    pub(in crate::commands) fn of_llm(event_name: &str, data: &str) -> Self {
        match serde_json::from_str(data) {
            Ok(StreamFeedFrame::Event(event)) => of_event(&event),
            Ok(StreamFeedFrame::Active(active)) => of_active(&active),
            Ok(StreamFeedFrame::Alert(alert)) => {
                let state = if alert.is_raised { "raised" } else { "over" };
                summary(
                    "alert",
                    alert
                        .request_id
                        .as_ref()
                        .map(events_core::RequestId::as_str),
                    Some(alert.timestamp),
                    format!("{} {state}: {}", alert.kind.as_str(), alert.message),
                )
            }
            Err(_) => Self::of(event_name, data, None),
        }
    }
}

fn summary(kind: &str, place: Option<&str>, timestamp: Option<i64>, text: String) -> Summary {
    Summary {
        timestamp: timestamp.and_then(|millis| u64::try_from(millis).ok()),
        kind: kind.to_owned(),
        place: place.map(str::to_owned),
        text,
    }
}

fn of_event(event: &TuiStreamEvent) -> Summary {
    let text = match event {
        TuiStreamEvent::Started {
            model,
            agent_type,
            provider,
            ..
        } => {
            let mut words: Vec<&str> = provider.as_deref().into_iter().collect();
            words.push(if model.is_empty() {
                "(no model)"
            } else {
                model
            });
            let agent = agent_type.as_ref().map(|agent| format!("for {agent}"));
            words.extend(agent.as_deref());
            words.join(" ")
        }
        TuiStreamEvent::TextDelta { text, .. } => text.clone(),
        TuiStreamEvent::Completed {
            input_tokens,
            output_tokens,
            cost_usd,
            detail,
            ..
        } => {
            let mut parts = counts(*input_tokens, *output_tokens, *cost_usd, detail);
            parts.extend(detail.finish_reason.clone());
            parts.extend(detail.notice.clone());
            parts.join(", ")
        }
        TuiStreamEvent::Error {
            message,
            input_tokens,
            output_tokens,
            cost_usd,
            detail,
            ..
        } => {
            let mut parts = vec![message.clone()];
            parts.extend(detail.error_code.clone());
            parts.extend(detail.http_status.map(|status| format!("status {status}")));
            parts.extend(counts(*input_tokens, *output_tokens, *cost_usd, detail));
            parts.join(", ")
        }
    };
    let place = Some(event.request_id().as_str());
    summary(event.event_type(), place, event.timestamp(), text)
}

/// What is known; what is not is left out.
fn counts(
    input: Option<u64>,
    output: Option<u64>,
    cost: Option<Usd>,
    detail: &StreamDetail,
) -> Vec<String> {
    let mut parts = Vec::new();
    parts.extend(input.map(|count| format!("in {count}")));
    parts.extend(
        detail
            .cached_input_tokens
            .map(|count| format!("cached {count}")),
    );
    match (output, detail.estimated_output_tokens) {
        (Some(count), _) => parts.push(format!("out {count}")),
        (None, Some(guess)) => parts.push(format!("out ~{guess}")),
        (None, None) => {}
    }
    parts.extend(cost.map(|cost| cost.to_string()));
    parts.extend(
        detail
            .time_to_first_token_ms
            .map(|time| format!("first token {time} ms")),
    );
    parts.extend(detail.duration_ms.map(|time| format!("took {time} ms")));
    parts
}

fn of_active(active: &ActiveStreams) -> Summary {
    let StreamTotals {
        started,
        completed,
        failed,
        cost_usd,
        ..
    } = active.totals;
    let n_running = active
        .streams
        .iter()
        .filter(|stream| stream.is_active())
        .count();
    let mut parts = Vec::new();
    if active.lost > 0 {
        parts.push(format!("{} events lost", active.lost));
    }
    parts.push(format!(
        "{n_running} running; {started} started, {completed} completed, {failed} failed, {cost_usd}"
    ));
    if !active.alerts.is_empty() {
        parts.push(format!("{} alerts", active.alerts.len()));
    }
    summary("active", None, Some(active.at), parts.join("; "))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn each_event_is_one_line_with_what_is_known() {
        for (data, expected) in [
            (
                r#"{"type":"started","request_id":"r1","model":"claude-x","agent_type":"cook","provider":"anthropic","timestamp":1}"#,
                "00:00:00.001 started              r1           anthropic claude-x for cook",
            ),
            (
                r#"{"type":"started","request_id":"r1","model":""}"#,
                "00:00:00.000 started              r1           (no model)",
            ),
            (
                r#"{"type":"text_delta","request_id":"r1","text":"a\u001b[2J\n"}"#,
                "00:00:00.000 text_delta           r1           a\\u{1b}[2J\\n",
            ),
            (
                r#"{"type":"completed","request_id":"r1","input_tokens":15,"output_tokens":21,"cost_usd":0.00012,"finish_reason":"end_turn","time_to_first_token_ms":340,"duration_ms":1200}"#,
                "00:00:00.000 completed            r1           in 15, out 21, $0.00012, first token 340 ms, took 1200 ms, end_turn",
            ),
            (
                r#"{"type":"completed","request_id":"r1","estimated_output_tokens":9}"#,
                "00:00:00.000 completed            r1           out ~9",
            ),
            (
                r#"{"type":"error","request_id":"r1","message":"Overloaded","error_code":"overloaded_error","http_status":529}"#,
                "00:00:00.000 error                r1           Overloaded, overloaded_error, status 529",
            ),
            (
                r#"{"type":"alert","kind":"hourly_cost","is_raised":true,"message":"$12.50","timestamp":2}"#,
                "00:00:00.002 alert                -            hourly_cost raised: $12.50",
            ),
            (
                r#"{"type":"active","at":3,"since":1,"streams":[{"request_id":"r","model":"m","state":"streaming","started_at":1}],"totals":{"started":3,"completed":1,"failed":1,"cost_usd":0.5},"lost":7}"#,
                "00:00:00.003 active               -            7 events lost; 1 running; 3 started, 1 completed, 1 failed, $0.50",
            ),
            (
                r#"{"type":"of the future","request_id":"r1"}"#,
                "00:00:00.000 of the future        r1           r1",
            ),
        ] {
            let line = Summary::of_llm("message", data).line(UNIX_EPOCH, false);
            assert_eq!(line, expected, "{data}");
        }
    }
}
