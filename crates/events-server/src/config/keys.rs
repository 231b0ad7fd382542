//! The table of keys: the only place that knows their names.

use super::{Field, Settings};

/// One setting.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name, the same in the file, in the environment and on the command line.
    pub name: &'static str,
    /// What it sets, and what is legal. The default is what [`Settings::default`] has there.
    pub field: Field,
    /// What it is for, one line.
    pub doc: &'static str,
}

impl Key {
    /// Returns the name of its variable: `limits.users` is `EVENTS_LIMITS__USERS`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!(
            "{VARIABLE_PREFIX}{}",
            self.name.to_uppercase().replace('.', "__")
        )
    }

    /// Shows the default.
    #[must_use]
    pub fn default_text(&self) -> String {
        self.field.show(&mut Settings::default())
    }

    /// Finds a key by its name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }
}

/// What the name of every variable begins with.
pub(super) const VARIABLE_PREFIX: &str = "EVENTS_";

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const HOUR: u64 = 3_600;

/// All settings, in the order of the help.
pub static KEYS: [Key; 15] = [
    Key {
        name: "listen",
        field: Field::Address(|settings| &mut settings.listen),
        doc: "where to accept connections; port 0 picks a free one",
    },
    Key {
        name: "log",
        field: Field::Log(|settings| &mut settings.log),
        doc: "what keeps the events",
    },
    Key {
        name: "limits.connections_per_user",
        field: Field::Count(
            |settings| &mut settings.limits.connections_per_user,
            1..=10_000,
        ),
        doc: "connections per user and stream",
    },
    Key {
        name: "limits.cap_policy",
        field: Field::CapPolicy(|settings| &mut settings.limits.cap_policy),
        doc: "beyond it: refuse the new connection, or replace the stalest one",
    },
    Key {
        name: "limits.users",
        field: Field::Count(|settings| &mut settings.limits.users, 1..=100_000_000),
        doc: "users that have a log at the same time",
    },
    Key {
        name: "limits.event_bytes",
        field: Field::Bytes(|settings| &mut settings.limits.event_bytes, KIB..=4 * MIB),
        doc: "the largest event",
    },
    Key {
        name: "drain.window",
        field: Field::Time(|settings| &mut settings.drain_window, 0..=HOUR),
        doc: "the time over which streams end before the process does",
    },
    Key {
        name: "a2a.public_url",
        field: Field::Url(|settings| &mut settings.card.public_url),
        doc: "the address of this hub on its agent card; without it, the one it is asked at",
    },
    Key {
        name: "a2a.name",
        field: Field::Text(|settings| &mut settings.card.name),
        doc: "the name on the agent card",
    },
    Key {
        name: "a2a.description",
        field: Field::Text(|settings| &mut settings.card.description),
        doc: "what the agent card says the agent does",
    },
    Key {
        name: "a2a.version",
        field: Field::Text(|settings| &mut settings.card.version),
        doc: "the version of the agent on its card",
    },
    Key {
        name: "history.events",
        field: Field::Count(|settings| &mut settings.limits.events, 0..=10_000_000),
        doc: "events kept per user; 0 keeps none",
    },
    Key {
        name: "history.bytes",
        field: Field::Bytes(|settings| &mut settings.limits.bytes, KIB..=64 * GIB),
        doc: "bytes kept per user",
    },
    Key {
        name: "history.age",
        field: Field::Time(|settings| &mut settings.limits.age, 1..=366 * 24 * HOUR),
        doc: "how long an event is kept",
    },
    Key {
        name: "history.total_bytes",
        field: Field::Bytes(
            |settings| &mut settings.limits.total_bytes,
            MIB..=1_024 * GIB,
        ),
        doc: "bytes kept over all users",
    },
];
