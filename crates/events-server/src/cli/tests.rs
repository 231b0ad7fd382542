//! Command lines, good and bad.

use super::*;
use crate::KEYS;

fn of(line: &str) -> Result<Command, String> {
    let words = std::iter::once("events").chain(line.split_whitespace());
    parse(words.map(OsString::from)).map_err(|failure| failure.line())
}

#[test]
fn the_program_alone_is_dev_with_a_demo() {
    let dev = Command::Dev {
        plays_demo: true,
        flags: Vec::new(),
    };
    assert_eq!(of(""), Ok(dev.clone()));
    assert_eq!(of("dev"), Ok(dev));
    let quiet = Command::Dev {
        plays_demo: false,
        flags: vec![("listen", "127.0.0.1:0".to_owned())],
    };
    assert_eq!(of("dev --no-demo --listen 127.0.0.1:0"), Ok(quiet.clone()));
    assert_eq!(of("--no-demo --listen=127.0.0.1:0"), Ok(quiet));
}

#[test]
fn every_key_is_a_flag_of_both_commands() {
    for key in &KEYS {
        let Command::Serve { flags, .. } = of(&format!("serve --{} x", key.name)).unwrap() else {
            panic!("not serve");
        };
        assert_eq!(flags, [(key.name, "x".to_owned())]);
        assert!(of(&format!("dev --{} x", key.name)).is_ok());
    }
    let serve = Command::Serve {
        file: Some("a.toml".into()),
        is_insecure: true,
        flags: Vec::new(),
    };
    assert_eq!(of("serve --config a.toml --insecure"), Ok(serve));
}

#[test]
fn help_lists_the_keys_and_the_version_is_the_crates() {
    let Command::Print(help) = of("serve --help").unwrap() else {
        panic!("no help");
    };
    for key in &KEYS {
        assert!(help.contains(&format!("--{} ", key.name)), "{help}");
        assert!(help.contains(&key.variable()), "{help}");
    }
    assert_eq!(
        of("--version"),
        Ok(Command::Print(format!(
            "events {}\n",
            env!("CARGO_PKG_VERSION")
        )))
    );
}

#[test]
fn a_wrong_line_is_told_in_one_line() {
    for (line, part) in [
        ("dev --lissten 127.0.0.1:0", "'--listen'"),
        (
            "serve --limits.conections_per_user 3",
            "'--limits.connections_per_user'",
        ),
        ("dev --frob.qx 3", "the nearest known key is '--"),
        ("topp", "'top'"),
        ("top --stream llm", "--stream"),
        ("dev --listen", "--listen"),
        ("dev --insecure", "--insecure"),
    ] {
        let error = of(line).unwrap_err();
        assert!(error.starts_with("error: "), "{error}");
        assert!(!error.contains('\n') && !error.contains("Usage"), "{error}");
        assert!(error.contains(part), "{error}");
        assert_eq!(error.matches("error: ").count(), 1, "{error}");
    }
}

#[test]
fn commands_against_a_hub_have_its_usual_address() {
    let Command::Tail(args) = of("tail --stream agui").unwrap() else {
        panic!("not tail");
    };
    assert_eq!(args.hub.url, "http://127.0.0.1:4000");
    let Command::Publish(args) = of("publish --stream system --user ada").unwrap() else {
        panic!("not publish");
    };
    assert_eq!(args.file, PathBuf::from("-"));
    let Command::Record(args) =
        of("record --stream a2a --user ada -o out.ndjson --for 10s").unwrap()
    else {
        panic!("not record");
    };
    assert_eq!(args.length, Some(std::time::Duration::from_secs(10)));
    let Command::Replay(args) = of("replay out.ndjson --speed 2.5").unwrap() else {
        panic!("not replay");
    };
    assert_eq!((args.speed, args.user), (Speed(2_500), None));
    for (line, part) in [
        ("tail", "--stream"),
        ("tail --stream soup", "agui"),
        ("publish --stream contexts --user ada", "analytics"),
        ("replay out.ndjson --speed 0", "expected a factor"),
        ("replay out.ndjson --speed NaN", "expected a factor"),
        ("check-config", "--config"),
        ("completions soup", "zsh"),
    ] {
        let error = of(line).unwrap_err();
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn a_configuration_is_checked_with_the_flags_that_it_would_run_with() {
    let check = Command::CheckConfig {
        file: "a.toml".into(),
        flags: vec![("limits.users", "7".to_owned())],
    };
    assert_eq!(
        of("check-config --config a.toml --limits.users 7"),
        Ok(check)
    );
}

#[test]
fn completions_know_commands_and_keys() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let Command::Print(script) = of(&format!("completions {shell}")).unwrap() else {
            panic!("no script");
        };
        for word in ["check-config", "publish", "limits.cap_policy"] {
            assert!(script.contains(word), "{shell} has no {word}");
        }
    }
}

#[test]
fn providers_are_given_by_name_and_their_keys_by_whole_names() {
    let line = "dev --llm up=http://a --llm two=http://b --llm.providers.up.vendor groq --llm.providers.two.http2=true";
    let Command::Dev { flags, .. } = of(line).unwrap() else {
        panic!("not dev");
    };
    let expected = [
        ("llm", "up=http://a"),
        ("llm", "two=http://b"),
        ("llm.providers", "up.vendor=groq"),
        ("llm.providers", "two.http2=true"),
    ];
    assert_eq!(flags, expected.map(|(key, text)| (key, text.to_owned())));
    let Command::Print(help) = of("serve --help").unwrap() else {
        panic!("no help");
    };
    assert!(
        help.contains("--llm <NAME=URL>") && help.contains("inject_stream_usage"),
        "{help}"
    );
    let error = of("dev --llm.provider.up.base_url http://a").unwrap_err();
    assert!(error.contains("'--llm.providers.up.base_url'"), "{error}");
}
