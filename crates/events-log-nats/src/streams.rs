//! The two streams: made if they are not there, and compared with the configuration if they are.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    NatsLogConfig, NatsLogOpenError,
    api::{Api, ApiError, NO_STREAM},
    subject::Names,
};

/// How long the server remembers the ids of appends.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Opening waits while the cluster chooses a leader, which takes it up to nine seconds.
const PATIENCE: Duration = Duration::from_secs(12);

/// What a server says of a stream.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamInfo {
    pub(crate) config: Value,
    /// When it was made, as the server writes it.
    pub(crate) created: String,
    pub(crate) state: StreamState,
}

/// Where a stream stands.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct StreamState {
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    /// Messages of each subject, if a filter asked for them.
    #[serde(default)]
    pub(crate) subjects: Option<serde_json::Map<String, Value>>,
}

/// Makes sure that both streams are there and keep what they have to, and says what the stream of records is.
pub(crate) async fn ensure(
    api: &Api,
    names: &Names,
    config: &NatsLogConfig,
) -> Result<StreamInfo, NatsLogOpenError> {
    ensure_one(
        api,
        &names.checkpoints,
        &wanted_checkpoints(names, config),
        config.create,
    )
    .await?;
    ensure_one(
        api,
        &names.stream,
        &wanted_records(names, config),
        config.create,
    )
    .await
}

fn wanted_records(names: &Names, config: &NatsLogConfig) -> Value {
    let mut wanted = wanted(&names.stream, &names.of_all_users(), config);
    wanted["max_msgs_per_subject"] = config.max_appends_per_user.into();
    wanted["max_bytes"] = match config.max_bytes {
        0 => (-1).into(),
        bytes => bytes.into(),
    };
    // A batch of several messages, stored whole or not at all.
    wanted["allow_atomic"] = true.into();
    wanted
}

fn wanted_checkpoints(names: &Names, config: &NatsLogConfig) -> Value {
    let mut wanted = wanted(&names.checkpoints, &names.all_states(), config);
    wanted["max_msgs_per_subject"] = 1.into();
    wanted
}

fn wanted(name: &str, subject: &str, config: &NatsLogConfig) -> Value {
    json!({
        "name": name,
        "subjects": [subject],
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "num_replicas": config.replicas,
        "max_age": nanoseconds(config.idle_age),
        "duplicate_window": nanoseconds(DUPLICATE_WINDOW.min(config.idle_age)),
        "max_msgs": -1,
        "max_bytes": -1,
        "max_consumers": -1,
        "max_msg_size": -1,
        "allow_direct": true,
    })
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

async fn ensure_one(
    api: &Api,
    name: &str,
    wanted: &Value,
    may_create: bool,
) -> Result<StreamInfo, NatsLogOpenError> {
    let found = match api
        .call_within::<StreamInfo>(PATIENCE, &format!("STREAM.INFO.{name}"), &Value::Null)
        .await
    {
        Err(error) if error.is_refused_as(NO_STREAM) && may_create => {
            create(api, name, wanted.clone()).await?
        }
        found => found.map_err(|error| open_error(name, "read", &error))?,
    };
    let differences = differences(wanted, &found.config);
    if differences.is_empty() {
        return Ok(found);
    }
    Err(NatsLogOpenError::Differs {
        stream: name.to_owned(),
        differences,
    })
}

/// Makes a stream. Of replicas that start at once one makes it, and the others find it made.
async fn create(api: &Api, name: &str, mut wanted: Value) -> Result<StreamInfo, NatsLogOpenError> {
    let subject = format!("STREAM.CREATE.{name}");
    let made = match api
        .call_within::<StreamInfo>(PATIENCE, &subject, &wanted)
        .await
    {
        // A server before 2.12 does not know batches; appends larger than a message are refused there.
        Err(ApiError::Refused(refusal)) if refusal.description.contains("allow_atomic") => {
            if let Some(settings) = wanted.as_object_mut() {
                settings.remove("allow_atomic");
            }
            api.call_within(PATIENCE, &subject, &wanted).await
        }
        made => made,
    };
    match made {
        // Made by another replica just now; its settings are compared.
        Err(ApiError::Refused(refusal)) if refusal.err_code == 10_058 => {
            let found = api
                .call_within(PATIENCE, &format!("STREAM.INFO.{name}"), &Value::Null)
                .await;
            found.map_err(|error| open_error(name, "read", &error))
        }
        made => made.map_err(|error| open_error(name, "made", &error)),
    }
}

fn open_error(name: &str, what: &str, error: &ApiError) -> NatsLogOpenError {
    let advice = match error {
        ApiError::NobodyServes => "switch JetStream on in the server, for this account",
        ApiError::NoAnswer => {
            "allow this user to publish to $JS.API.> and to subscribe to _INBOX.>, or look whether the cluster has a \
             leader"
        }
        ApiError::NotConnected => "look whether the server runs",
        ApiError::Refused(refusal) if refusal.err_code == NO_STREAM => {
            "make it, or let the log make it (`create`)"
        }
        ApiError::Refused(_) | ApiError::Strange(_) => "see the server's limits for this account",
    };
    NatsLogOpenError::JetStream(format!("stream {name} cannot be {what}: {error}; {advice}"))
}

/// What a stream has otherwise than it must. More than is wanted is right where it only keeps more.
fn differences(wanted: &Value, found: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differ = |setting: &str, rule: &str| {
        let (wanted, found) = (&wanted[setting], &found[setting]);
        differences.push(format!("{setting} is {found} and must be {rule}{wanted}"));
    };
    for setting in ["storage", "retention", "discard", "allow_direct"] {
        if wanted[setting] != found[setting] {
            differ(setting, "");
        }
    }
    let has_subject = |subject: &Value| {
        let subjects = found["subjects"].as_array();
        subjects.is_some_and(|subjects| subjects.contains(subject))
    };
    if !wanted["subjects"]
        .as_array()
        .is_some_and(|all| all.iter().all(has_subject))
    {
        differ("subjects", "");
    }
    for setting in ["num_replicas", "duplicate_window"] {
        if found[setting].as_u64() < wanted[setting].as_u64() {
            differ(setting, "at least ");
        }
    }
    // One newest state of each part is all that is read.
    if wanted["max_msgs_per_subject"] == 1 && found["max_msgs_per_subject"] != 1 {
        differ("max_msgs_per_subject", "");
    }
    // The servers write no bound as -1 or 0.
    let bound = |config: &Value, setting: &str| match config[setting].as_i64() {
        Some(bound) if bound > 0 => bound,
        _ => i64::MAX,
    };
    for setting in [
        "max_age",
        "max_msgs",
        "max_bytes",
        "max_msgs_per_subject",
        "max_msg_size",
    ] {
        let (least, has) = (bound(wanted, setting), bound(found, setting));
        if has < least && least == i64::MAX {
            differences.push(format!("{setting} is {has} and must be unbounded (-1)"));
        } else if has < least {
            differences.push(format!("{setting} is {has} and must be at least {least}"));
        }
    }
    for forbidden in ["deny_purge", "sealed", "no_ack", "discard_new_per_subject"] {
        if found[forbidden] == true {
            differences.push(format!("{forbidden} is on and must be off"));
        }
    }
    differences
}

/// What a stream is as a life of its numbers: a new one of the same name is another.
pub(crate) fn epoch_bits(name: &str, created: &str, restore_counter: u64) -> u64 {
    let counter = restore_counter.to_be_bytes();
    let hash = crate::subject::hash(&[name.as_bytes(), created.as_bytes(), &counter]);
    hash.iter()
        .take(8)
        .fold(0, |bits, byte| (bits << 8) | u64::from(*byte))
}

/// Asks the leader where the stream of records stands.
pub(crate) async fn info(api: &Api, name: &str) -> Result<StreamInfo, ApiError> {
    api.call(&format!("STREAM.INFO.{name}"), &Value::Null).await
}
