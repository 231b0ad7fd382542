use std::sync::Arc;

use super::*;
use crate::{NoPrices, StreamEventBroadcaster, Tap, gateway::LlmGateway};

fn tap() -> Tap {
    let broadcaster = Arc::new(StreamEventBroadcaster::default());
    Tap::new(broadcaster, Arc::new(NoPrices))
}

fn refusal(name: &str, base_url: &str) -> Option<String> {
    let mut config = GatewayConfig::default();
    let provider = ProviderConfig::new(base_url);
    config.providers.insert(name.to_owned(), provider);
    let refused = LlmGateway::new(config, tap()).err();
    refused.map(|error| error.to_string())
}

#[test]
fn a_place_that_is_none_is_refused_without_being_repeated() {
    assert_eq!(refusal("a.b_c-1", "http://[::1]:8080/v1/"), None);
    for base_url in [
        "",
        "SECRET",
        "/SECRET",
        "ftp://SECRET",
        "http://",
        "http://user:SECRET@a",
        "http://a/?key=SECRET",
        "http://a/#SECRET",
        "http://SECRET b",
    ] {
        let text = refusal("p", base_url).expect(base_url);
        assert!(text.starts_with("the base_url of provider p: "), "{text}");
        assert!(!text.contains("SECRET"), "{text}");
    }
}

#[test]
fn a_name_that_cannot_stand_in_a_path_is_refused() {
    let long = "a".repeat(65);
    for name in ["", "a/b", "..", ".", "a b", "é", "a?b", &long] {
        assert!(refusal(name, "http://a").is_some(), "{name}");
    }
}

#[test]
fn certificates_that_are_none_are_refused() {
    let mut config = GatewayConfig {
        authorities_pem: b"no certificate".to_vec(),
        ..GatewayConfig::default()
    };
    let provider = ProviderConfig::new("https://localhost");
    config.providers.insert("p".to_owned(), provider);
    let refused = LlmGateway::new(config, tap());
    assert!(matches!(refused, Err(GatewayError::Authorities)));
}

#[test]
fn names_are_read_as_they_are_written() {
    for encoding in [AcceptEncoding::IdentityForStreams, AcceptEncoding::AsSent] {
        let found = AcceptEncoding::from_name(encoding.as_str());
        assert_eq!(found, Some(encoding));
    }
    assert_eq!(AcceptEncoding::from_name("gzip"), None);
}
