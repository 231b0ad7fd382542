//! Opening: what differs, who is let in, and what is never shown.

use std::fs;

use events_core::EventLog as _;
use events_log_nats::{NatsLog, NatsLogConfig};
use events_tests::nats_server::NatsServers;
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::engine::{Away, Nats, open};
use super::samples::{counter, numbers, read_all, record, user};

async fn refusal(config: NatsLogConfig) -> String {
    match NatsLog::open(config).await {
        Ok(log) => panic!("{log:?} was opened"),
        Err(error) => format!("{error}"),
    }
}

fn names_all(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{text:?} does not say {word:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_keeps_less_is_refused_and_one_that_keeps_more_is_not() {
    let Some(nats) = Nats::start("log_nats", 1, Away::Killed).await else {
        return;
    };
    let mut config = nats.config();
    config.max_appends_per_user = 500;
    config.max_bytes = 1 << 20;
    drop(open(config.clone()).await);
    config.max_appends_per_user = 100;
    config.max_bytes = 1 << 19;
    drop(open(config.clone()).await);
    config.max_appends_per_user = 501;
    config.max_bytes = 1 << 21;
    config.replicas = 3;
    config.create = false;
    let text = refusal(config.clone()).await;
    names_all(
        &text,
        &[
            "stream EVENTS_CP differs",
            "num_replicas is 1 and must be at least 3",
            "nats stream edit",
        ],
    );
    config.replicas = 1;
    let text = refusal(config.clone()).await;
    names_all(
        &text,
        &[
            "stream EVENTS differs",
            "max_msgs_per_subject is 500 and must be at least 501",
            "max_bytes is 1048576 and must be at least 2097152",
        ],
    );
    config.stream = "OTHER".to_owned();
    names_all(
        &refusal(config).await,
        &["stream OTHER_CP cannot be read", "let the log make it"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_jetstream_or_no_server_is_named() {
    let Some(nats) = Nats::start("log_nats", 1, Away::Killed).await else {
        return;
    };
    let mut config = nats.config();
    nats.servers.kill(0).await;
    names_all(
        &refusal(config.clone()).await,
        &[
            "cannot connect to nats://127.0.0.1",
            "whether the server runs",
        ],
    );
    config.servers = "nats://ada:secret@".to_owned();
    let text = refusal(config.clone()).await;
    names_all(&text, &["server 1 of the list is not an address"]);
    assert!(!text.contains("secret"), "{text}");
    config.servers = "nats://127.0.0.1:1".to_owned();
    config.in_flight_bytes = 5;
    names_all(&refusal(config).await, &["in_flight_bytes must be 2 MiB"]);
}

const ACCOUNTS: &str = r#"
accounts {
  EVENTS: {
    jetstream: enabled
    users: [
      { user: ada, password: "se%cret" },
      { user: slow, password: "slow", permissions: { publish: { deny: "$JS.API.DIRECT.GET.>" } } }
      { user: eve, password: "eve", permissions: { publish: ["other.>"], subscribe: ["_INBOX.>"] } }
    ]
  }
  BARE: { users: [ { user: bare, password: "bare" } ] }
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_let_in_by_password_and_no_error_shows_it() {
    let started = NatsServers::start_with("log_nats", 1, ACCOUNTS).await;
    let Some(servers) = started else { return };
    let address = servers.address(0);
    let config = |login: &str| NatsLogConfig::new(format!("nats://{login}@{address}"));
    let right = config("ada:se%25cret");
    let shown = format!("{right:?}");
    assert!(!shown.contains("se%"), "{shown}");
    let log = open(right).await;
    log.append(&user("ada"), &[record(1)], 1, None)
        .await
        .unwrap();
    let text = refusal(config("ada:wrong%25secret")).await;
    names_all(&text, &["check the user, token or credentials file"]);
    assert!(!text.contains("wrong"), "{text}");
    let text = refusal(config("eve:eve")).await;
    names_all(
        &text,
        &[
            "Permissions Violation for Publish",
            "$JS.API.STREAM.INFO.EVENTS_CP",
        ],
    );
    let text = refusal(config("bare:bare")).await;
    names_all(&text, &["JetStream"]);
    let text = refusal(NatsLogConfig::new(format!(
        "nats://{address},nats://x:y@{address}"
    )))
    .await;
    names_all(&text, &["server 2 of the list has a user"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_the_authority_of_a_file_and_refused_without() {
    let folder = tempfile::tempdir().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let ca_file = file("ca.pem", &authority.pem());
    let settings = format!(
        "authorization {{ token: \"to-ken\" }}\ntls {{ cert_file: {:?}, key_file: {:?} }}",
        file("cert.pem", &certificate.pem()),
        file("key.pem", &key.serialize_pem()),
    );
    let started = NatsServers::start_with("log_nats", 1, &settings).await;
    let Some(servers) = started else { return };
    let port = servers.address(0).port();
    let mut config = NatsLogConfig::new(format!("tls://to-ken@localhost:{port}"));
    let text = refusal(config.clone()).await;
    names_all(&text, &["cannot connect to tls://localhost", "ca_file"]);
    assert!(!text.contains("to-ken"), "{text}");
    config.ca_file = Some(ca_file);
    let log = open(config.clone()).await;
    log.append(&user("ada"), &[record(1)], 1, None)
        .await
        .unwrap();
    config.ca_file = Some(folder.path().join("no.pem"));
    names_all(
        &refusal(config.clone()).await,
        &["no.pem", "check the path"],
    );
    config.ca_file = None;
    config.credentials_file = Some(folder.path().join("no.creds"));
    config.servers = format!("tls://localhost:{port}");
    names_all(&refusal(config).await, &["no.creds", "check the path"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_read_directly_reads_everything_from_the_leader() {
    let started = NatsServers::start_with("log_nats", 1, ACCOUNTS).await;
    let Some(servers) = started else { return };
    let address = servers.address(0);
    let log = open(NatsLogConfig::new(format!("nats://slow:slow@{address}"))).await;
    let ada = user("ada");
    let mut last = 0;
    for n in 0..80 {
        last = log.append(&ada, &[record(n)], 1, Some(last)).await.unwrap();
    }
    let want: Vec<u64> = (0..80).collect();
    assert_eq!(numbers(&read_all(&log, &ada).await.records), want);
    assert_eq!(counter(&log, "events_log_leader_reads_total"), 80);
}
