//! Names, bounds of labels, and what must not be reported.

use super::*;

fn finished(model: &str) -> Finished<'_> {
    Finished {
        protocol: Some(Provider::Anthropic),
        vendor: None,
        model,
        failure: None,
        http_status: None,
        input_tokens: None,
        output_tokens: None,
        cost: None,
        duration: Duration::from_millis(1_500),
        to_first_token: None,
        of_tokens: None,
    }
}

fn page(metrics: &LlmMetrics) -> String {
    let mut page = String::new();
    metrics.write(&StreamEventBroadcaster::default(), &mut page);
    page
}

const ANTHROPIC: &str =
    r#"gen_ai_operation_name="chat",gen_ai_provider_name="anthropic",gen_ai_request_model="m""#;

#[test]
fn a_complete_stream_is_measured_under_the_names_of_the_conventions() {
    let metrics = LlmMetrics::default();
    metrics.finish(&Finished {
        input_tokens: Some(100),
        output_tokens: Some(11),
        cost: Usd::from_dollars(0.25),
        to_first_token: Some(Duration::from_millis(300)),
        of_tokens: Some(Duration::from_secs(1)),
        ..finished("m")
    });
    let page = page(&metrics);
    for line in [
        format!("gen_ai_client_token_usage_sum{{{ANTHROPIC},gen_ai_token_type=\"input\"}} 100.0"),
        format!(
            "gen_ai_client_token_usage_bucket{{le=\"16.0\",{ANTHROPIC},gen_ai_token_type=\"output\"}} 1"
        ),
        format!("gen_ai_client_operation_duration_seconds_sum{{{ANTHROPIC}}} 1.5"),
        format!("gen_ai_server_time_to_first_token_seconds_bucket{{le=\"0.5\",{ANTHROPIC}}} 1"),
        format!("gen_ai_server_time_to_first_token_seconds_bucket{{le=\"0.25\",{ANTHROPIC}}} 0"),
        format!("gen_ai_server_time_per_output_token_seconds_sum{{{ANTHROPIC}}} 0.1"),
        format!("events_llm_requests_total{{{ANTHROPIC},outcome=\"completed\"}} 1"),
        format!("events_llm_cost_dollars_total{{{ANTHROPIC}}} 0.25"),
        "events_llm_unpriced_total 0".to_owned(),
        "events_llm_active 0".to_owned(),
        "events_llm_lagged_events_total 0".to_owned(),
        "events_llm_alert_active{kind=\"hourly_cost\"} 0".to_owned(),
    ] {
        assert!(
            page.contains(&format!("\n{line}\n")),
            "{line} is not in\n{page}"
        );
    }
    assert!(!page.contains("# EOF"));
}

#[test]
fn what_is_not_known_is_not_reported() {
    let metrics = LlmMetrics::default();
    metrics.finish(&finished("m"));
    let page = page(&metrics);
    assert!(!page.contains("gen_ai_client_token_usage_count"), "{page}");
    assert!(
        !page.contains("gen_ai_server_time_to_first_token_seconds_count"),
        "{page}"
    );
    assert!(
        page.contains("events_llm_unpriced_total 0"),
        "no tokens, no price: {page}"
    );
    metrics.finish(&Finished {
        output_tokens: Some(1),
        ..finished("m")
    });
    let page = self::page(&metrics);
    assert!(page.contains("events_llm_unpriced_total 1"), "{page}");
}

#[test]
fn an_error_has_a_status_or_a_known_name_and_nothing_else() {
    let failure = |kind: &str| StreamFailure {
        kind: Some(kind.to_owned()),
        ..StreamFailure::default()
    };
    assert_eq!(error_type(&failure("x"), Some(429)), "429");
    assert_eq!(
        error_type(&failure("overloaded_error"), None),
        "overloaded_error"
    );
    assert_eq!(error_type(&failure("user 7 has no money"), None), "_OTHER");
    let metrics = LlmMetrics::default();
    metrics.finish(&Finished {
        failure: Some(&failure("secret text")),
        ..finished("m")
    });
    let page = page(&metrics);
    assert!(page.contains("error_type=\"_OTHER\""), "{page}");
    assert!(
        page.contains("outcome=\"failed\"") && !page.contains("secret"),
        "{page}"
    );
}

#[test]
fn names_that_anybody_can_make_up_are_bounded_and_escaped() {
    let metrics = LlmMetrics::default();
    let long = "x".repeat(1_000);
    metrics.finish(&finished("a\"b\nc"));
    metrics.finish(&finished(&long));
    for n in 0..500 {
        let vendor = format!("vendor-{n}");
        metrics.finish(&Finished {
            vendor: Some(&vendor),
            ..finished(&format!("model-{n}"))
        });
    }
    let page = page(&metrics);
    assert!(page.contains(r#"gen_ai_request_model="a\"b\nc""#), "{page}");
    assert!(!page.contains(&long));
    let n_series = page
        .lines()
        .filter(|line| line.starts_with("events_llm_requests_total"))
        .count();
    assert!((60..=64 + 33).contains(&n_series), "{n_series}");
    assert!(page.contains(r#"gen_ai_provider_name="other",gen_ai_request_model="other""#));
}

#[test]
fn times_of_chunks_are_handed_over_in_batches() {
    let (metrics, mut times) = (LlmMetrics::default(), LocalTimes::default());
    for n in 1..=256 {
        assert_eq!(times.add(Duration::from_nanos(2_000)), n == 256, "{n}");
    }
    metrics.add_chunk_times(&mut times);
    assert!(!times.add(Duration::from_secs(1)));
    metrics.add_chunk_times(&mut times);
    let page = page(&metrics);
    for line in [
        "events_llm_tap_chunk_seconds_count 257",
        "events_llm_tap_chunk_seconds_bucket{le=\"0.000001\"} 0",
        "events_llm_tap_chunk_seconds_bucket{le=\"0.0000025\"} 256",
        "events_llm_tap_chunk_seconds_bucket{le=\"0.01\"} 256",
        "events_llm_tap_chunk_seconds_bucket{le=\"+Inf\"} 257",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
}
