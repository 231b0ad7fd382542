//! What a filter shows, and what it says about mistakes.

use events_models::{StreamState, StreamSummary, Usd};

use super::*;

fn stream() -> Stream {
    let mut summary = StreamSummary::new("req_1".into(), "Claude-Opus", 1_000);
    summary.provider = Some("anthropic".to_owned());
    summary.agent_type = Some("cook".to_owned());
    summary.state = StreamState::Failed;
    summary.ended_at = Some(13_000);
    summary.text = "Chop the Onions".to_owned();
    summary.message = Some("Overloaded".to_owned());
    summary.cost_usd = Usd::from_dollars(0.25);
    summary.input_tokens = Some(1_500);
    summary.detail.error_code = Some("overloaded_error".to_owned());
    summary.detail.http_status = Some(529);
    summary.detail.time_to_first_token_ms = Some(340);
    Stream::new(1, summary, 100)
}

fn shows(text: &str) -> bool {
    let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    filter.shows(&stream(), 20_000)
}

#[test]
fn all_terms_must_be_true() {
    for (text, expected) in [
        ("", true),
        (
            "model:claude provider:anthropic state:error agent:cook cost>0.1 onions",
            true,
        ),
        ("model:claude cost>0.3", false),
        ("MODEL:OPUS", true),
        ("model:gpt", false),
        ("-model:gpt", true),
        ("!onions", false),
        ("state:failed", true),
        ("state:ended", true),
        ("state:active", false),
        ("state:cancelled", false),
        ("cost>=$0.25 cost<=0.25 cost=0.25", true),
        ("cost<0.25", false),
        ("in>1k in<1.6k", true),
        ("age>11s age<0.3m time>11000ms", true),
        ("ttft<400ms", true),
        ("status=529 status:529", true),
        ("code:overloaded error:over", true),
        // Not known is neither more nor less.
        ("out>0", false),
        ("out<1", false),
        ("-out>0", true),
        ("\"chop the\"", true),
        ("text:\"the onions\"", true),
        ("text:\"onions the\"", false),
        ("req_1", true),
        ("\"a:b\"", false),
    ] {
        assert_eq!(shows(text), expected, "{text}");
    }
}

#[test]
fn a_mistake_is_told_with_what_could_stand_there() {
    for (text, part) in [
        ("modle:x", "no field \"modle\"; there are: state id model"),
        ("state:odd", "state is one of: active ended"),
        ("model>3", "\"model\" is no number; those are: cost in"),
        ("cost>x", "\"x\" is no number"),
        ("cost>", "\"\" is no number"),
        ("cost>inf", "\"inf\" is no number"),
        ("ttft>3k", "\"3k\" is no number"),
    ] {
        let error = Filter::parse(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
    assert!(Filter::parse(&"a ".repeat(33)).is_err());
}

#[test]
fn a_model_is_asked_only_what_it_has() {
    let filter = Filter::parse("model:opus cost>5").unwrap();
    assert!(filter.shows_model("anthropic", "claude-opus"));
    assert!(!filter.shows_model("openai", "gpt"));
    assert!(
        !Filter::parse("-provider:open")
            .unwrap()
            .shows_model("openai", "gpt")
    );
}
