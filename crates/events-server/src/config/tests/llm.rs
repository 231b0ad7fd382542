//! Settings of the LLM gateway, those with a provider's name in the middle above all.

use super::*;

const UP: &str = "http://127.0.0.1:9/v1";

#[test]
fn a_provider_is_set_by_a_file_a_variable_and_a_flag_under_one_name() {
    let text = "[llm.providers.up]\nbase_url = \"http://file\"\nvendor = \"groq\"\ninject_stream_usage = true\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.toml");
    std::fs::write(&path, text).unwrap();
    let settings = Settings::load(&Sources {
        file: Some(path),
        environment: variables(&[
            ("EVENTS_LLM__PROVIDERS__UP__BASE_URL", "http://variable"),
            (
                "EVENTS_LLM__PROVIDERS__TWO__BASE_URL",
                "https://two.example",
            ),
            ("EVENTS_LLM__PROVIDERS__TWO__PROTOCOL", "anthropic"),
        ]),
        flags: vec![
            ("llm", format!("up={UP}")),
            ("llm.providers", "two.accept_encoding=as_sent".to_owned()),
        ],
    });
    let providers = settings.unwrap().llm.providers;
    let up = &providers["up"];
    assert_eq!(up.base_url, UP);
    assert_eq!(
        (up.vendor.as_deref(), up.inject_stream_usage),
        (Some("groq"), true)
    );
    let shown: Vec<String> = PROVIDER_KEYS
        .iter()
        .map(|key| key.show(&providers["two"]))
        .collect();
    assert_eq!(
        shown,
        [
            "https://two.example",
            "anthropic",
            "",
            "as_sent",
            "false",
            "false"
        ]
    );
}

#[test]
fn what_is_wrong_with_a_provider_is_told_with_what_is_near() {
    for (key, nearest) in [
        (
            "EVENTS_LLM__PROVIDERS__UP__BASE_ULR",
            "llm.providers.up.base_url",
        ),
        (
            "EVENTS_LLM__PROVIDER__UP__BASE_URL",
            "llm.providers.up.base_url",
        ),
        (
            "EVENTS_LLM__PROVIDERS__UP__VENDER",
            "llm.providers.up.vendor",
        ),
        ("EVENTS_LLM__PROVIDERS__UP", "llm.providers.up.base_url"),
        ("EVENTS_LLM__STREAM", "llm.streams"),
        ("EVENTS_LLM__ALERTS__HOURLY", "llm.alerts.hourly_cost"),
    ] {
        let error = complaint(&[(key, "x")], &[]);
        let ending = format!("the nearest known key is \"{nearest}\"");
        assert!(error.contains(&ending), "{key}: {error}");
    }
    let wrong_flag = |text| complaint(&[], &[("llm", text)]);
    assert_eq!(
        wrong_flag("http://127.0.0.1:9"),
        "llm = \"http://127.0.0.1:9\" in the flag --llm: \
         expected a provider as NAME=URL, such as \"up=https://api.example.com\""
    );
    for (flag, part) in [
        ("Up=http://x", "a provider's name of 1 to 64"),
        ("streams=http://x", "not \"streams\""),
        ("up=ftp://x", "expected an address"),
        ("up=http://x?key=1", "http://x?(hidden)"),
        ("up=http://", "expected an address"),
    ] {
        let error = wrong_flag(flag);
        assert!(error.contains(part), "{flag}: {error}");
    }
    assert_eq!(
        complaint(&[("EVENTS_LLM__PROVIDERS__UP__VENDOR", "groq")], &[]),
        "llm.providers.up has no base_url: say where it is, such as \
         llm.providers.up.base_url = \"https://api.example.com\""
    );
}

#[test]
fn a_password_in_an_address_is_refused_and_not_repeated() {
    for url in ["http://user:hunter2@host", "https://hunter2@host/path"] {
        let error = complaint(&[], &[("llm", &format!("up={url}"))]);
        assert!(error.contains("without a name, password"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let of_file = of_file("[llm.providers.up]\nbase_url = 'http://a:b@c'\n").unwrap();
    assert_eq!(of_file.len(), 1);
}

#[test]
fn money_shares_and_prices_are_read() {
    let settings = load(
        &[],
        &[
            ("llm.alerts.stream_cost", "$0.50"),
            ("llm.alerts.hourly_cost", "12.5"),
            ("llm.alerts.error_rate", "20%"),
            ("llm.prices", "none"),
        ],
    );
    let llm = settings.unwrap().llm;
    assert_eq!(llm.stream_cost, events_llm::Usd::from_dollars(0.5));
    assert_eq!(
        llm.alert_limits().hourly_cost,
        events_llm::Usd::from_dollars(12.5)
    );
    assert_eq!(llm.alert_limits().error_percent, Some(20));
    assert_eq!(llm.prices, Prices::None);
    for (key, text) in [
        ("llm.alerts.hourly_cost", "-1"),
        ("llm.alerts.hourly_cost", "NaN"),
        ("llm.alerts.hourly_cost", "1e12"),
        ("llm.alerts.error_rate", "0"),
        ("llm.alerts.error_rate", "101%"),
        ("llm.prices", ""),
    ] {
        assert!(load(&[], &[(key, text)]).is_err(), "{key} = {text}");
    }
}

#[test]
fn a_file_that_is_named_is_read_and_its_mistakes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let prices = folder.path().join("prices.toml");
    let text = prices.display().to_string();
    let source = |text: &str| {
        let settings = load(&[], &[("llm.prices", text)]).unwrap();
        let source = settings.llm.price_source(None);
        source.map(drop).map_err(|error| error.to_string())
    };
    assert!(source(&text).unwrap_err().contains("prices.toml"));
    std::fs::write(&prices, "[[price]]\nmodel = 'm'\ninput = -1\noutput = 2\n").unwrap();
    let error = source(&text).unwrap_err();
    assert!(
        error.contains("llm.prices") && error.contains("`input`"),
        "{error}"
    );
    std::fs::write(&prices, "[[price]]\nmodel = 'm'\ninput = 1\noutput = 2\n").unwrap();
    assert_eq!(source(&text), Ok(()));
    let ca = load(&[], &[("llm.ca", "/nowhere/ca.pem")]).unwrap();
    let error = ca.llm.gateway_config().unwrap_err().to_string();
    assert!(
        error.starts_with("llm.ca = \"/nowhere/ca.pem\": "),
        "{error}"
    );
}
