//! The table of keys: the only place that knows their names.
//!
//! Over 400 lines because it is one table.

use events_models::agui::fold;

use super::{Field, Settings, Unit};

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
pub static KEYS: [Key; 89] = [
    Key {
        name: "listen",
        field: Field::Address(|settings| &mut settings.listen),
        doc: "where to accept connections; port 0 picks a free one",
    },
    Key {
        name: "metrics.listen",
        field: Field::MaybeAddress(|settings| &mut settings.metrics_listen),
        doc: "where metrics are read without a token; where tokens are asked for, the other address is for operators",
    },
    Key {
        name: "log",
        field: Field::Log(|settings| &mut settings.log),
        doc: "what keeps the events",
    },
    Key {
        name: "auth.secret",
        field: Field::Line(|settings| &mut settings.auth.secret),
        doc: "signs and checks tokens by HS256; 32 bytes or more",
    },
    Key {
        name: "auth.keys",
        field: Field::Line(|settings| &mut settings.auth.keys),
        doc: "public keys for RS256, ES256 and EdDSA: a file (PEM or JWKS) or the https:// address of a JWKS",
    },
    Key {
        name: "auth.ca",
        field: Field::File(|settings| &mut settings.auth.ca),
        doc: "certificates (PEM) of authorities that are trusted for that address too",
    },
    Key {
        name: "auth.refresh",
        field: Field::Time(|settings| &mut settings.auth.refresh, 1..=24 * HOUR),
        doc: "how often the public keys are read again",
    },
    Key {
        name: "auth.audience",
        field: Field::Line(|settings| &mut settings.auth.audience),
        doc: "what the claim aud of a token has to name",
    },
    Key {
        name: "auth.issuer",
        field: Field::Line(|settings| &mut settings.auth.issuer),
        doc: "what the claim iss of a token has to be",
    },
    Key {
        name: "auth.leeway",
        field: Field::Time(|settings| &mut settings.auth.leeway, 0..=300),
        doc: "how far ahead an issuer's clock may be",
    },
    Key {
        name: "auth.max_ttl",
        field: Field::Time(|settings| &mut settings.auth.max_ttl, 60..=30 * 24 * HOUR),
        doc: "the longest life of a token",
    },
    Key {
        name: "auth.ticket_secret",
        field: Field::Line(|settings| &mut settings.auth.ticket_secret),
        doc: "signs tickets and stream cookies, the same on all replicas; made of auth.secret if there is one",
    },
    Key {
        name: "cors.origins",
        field: Field::Origins(|settings| &mut settings.auth.origins),
        doc: "pages of other origins that may ask, such as https://app.example.org",
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
        name: "limits.stalled_after",
        field: Field::Time(|settings| &mut settings.limits.stalled_after, 1..=HOUR),
        doc: "how long an unread stream keeps its place at the cap",
    },
    Key {
        name: "limits.user_id_bytes",
        field: Field::Count(|settings| &mut settings.streams.user_id_bytes, 1..=256),
        doc: "the longest user id, in bytes",
    },
    Key {
        name: "limits.connections",
        field: Field::Count(
            |settings| &mut settings.connections.connections,
            1..=1_000_000,
        ),
        doc: "connections over all clients, within the limit of open files",
    },
    Key {
        name: "limits.connections_per_address",
        field: Field::Count(
            |settings| &mut settings.connections.per_address,
            1..=1_000_000,
        ),
        doc: "connections of one address; a proxy is one address",
    },
    Key {
        name: "limits.head_bytes",
        field: Field::Bytes(
            |settings| &mut settings.connections.head_bytes,
            8 * KIB..=MIB,
        ),
        doc: "the largest head of a request",
    },
    Key {
        name: "limits.head_time",
        field: Field::Time(|settings| &mut settings.connections.head_time, 1..=HOUR),
        doc: "how long the head of a request may take",
    },
    Key {
        name: "limits.unacknowledged",
        field: Field::Time(
            |settings| &mut settings.connections.unacknowledged,
            1..=HOUR,
        ),
        doc: "how long sent bytes may stay unacknowledged before a client is given up",
    },
    Key {
        name: "serve.take_over",
        field: Field::Truth(|settings| &mut settings.takes_over),
        doc: "whether an open stream over HTTP/1.1 is given its socket, which takes a tenth of the memory",
    },
    Key {
        name: "serve.proxies",
        field: Field::Proxies(|settings| &mut settings.proxies),
        doc: "proxies whose X-Forwarded-For says who a client is, for bounds per address",
    },
    Key {
        name: "limits.streams",
        field: Field::Count(|settings| &mut settings.streams.streams, 1..=1_000_000),
        doc: "open streams over all users",
    },
    Key {
        name: "limits.body_bytes",
        field: Field::Bytes(
            |settings| &mut settings.streams.ndjson_bytes,
            KIB..=64 * MIB,
        ),
        doc: "the largest NDJSON body",
    },
    Key {
        name: "limits.bodies",
        field: Field::Count(|settings| &mut settings.streams.bodies, 1..=1_000_000),
        doc: "bodies received at the same time",
    },
    Key {
        name: "limits.large_bodies",
        field: Field::Count(|settings| &mut settings.streams.large_bodies, 1..=100_000),
        doc: "bodies of more than 64 KiB among them",
    },
    Key {
        name: "limits.body_time",
        field: Field::Time(|settings| &mut settings.streams.body_time, 1..=HOUR),
        doc: "how long a body may take",
    },
    Key {
        name: "limits.live_requests",
        field: Field::Count(
            |settings| &mut settings.streams.live_requests,
            1..=1_000_000,
        ),
        doc: "live publish requests at the same time",
    },
    Key {
        name: "limits.live_idle",
        field: Field::Time(|settings| &mut settings.streams.live_idle, 1..=24 * HOUR),
        doc: "the silence after which a live publish request is ended",
    },
    Key {
        name: "limits.catch_ups",
        field: Field::Count(|settings| &mut settings.router.catch_ups, 1..=10_000),
        doc: "histories read from the log at the same time; others wait",
    },
    Key {
        name: "limits.attach_rate",
        field: Field::Rate(|settings| &mut settings.streams.rates.attach, Unit::Things),
        doc: "streams that a user may open; beyond it they are told to come back later",
    },
    Key {
        name: "limits.attach_rate_per_address",
        field: Field::Rate(
            |settings| &mut settings.streams.rates.attach_per_address,
            Unit::Things,
        ),
        doc: "streams that an address may open; see serve.proxies",
    },
    Key {
        name: "limits.publish_rate",
        field: Field::Rate(|settings| &mut settings.streams.rates.publish, Unit::Things),
        doc: "events that may be published for a user; beyond it 429",
    },
    Key {
        name: "limits.publish_bytes",
        field: Field::Rate(
            |settings| &mut settings.streams.rates.publish_bytes,
            Unit::Bytes,
        ),
        doc: "bytes that may be published for a user",
    },
    Key {
        name: "limits.publisher_rate",
        field: Field::Rate(
            |settings| &mut settings.streams.rates.publisher,
            Unit::Things,
        ),
        doc: "events that the subject of one token may publish over all users",
    },
    Key {
        name: "limits.publisher_bytes",
        field: Field::Rate(
            |settings| &mut settings.streams.rates.publisher_bytes,
            Unit::Bytes,
        ),
        doc: "bytes that the subject of one token may publish over all users",
    },
    Key {
        name: "limits.memory",
        field: Field::Memory(|settings| &mut settings.memory),
        doc: "refuses to start if the settings allow more; 'machine' only warns if it has less",
    },
    Key {
        name: "limits.threads_per_user",
        field: Field::Count(
            |settings| &mut settings.router.threads_per_user,
            1..=1_000_000,
        ),
        doc: "threads without a run remembered per user",
    },
    Key {
        name: "limits.tasks_per_user",
        field: Field::Count(
            |settings| &mut settings.router.tasks_per_user,
            1..=1_000_000,
        ),
        doc: "tasks remembered per user",
    },
    Key {
        name: "limits.contexts_per_user",
        field: Field::Count(|settings| &mut settings.router.contexts_per_user, 1..=1_000),
        doc: "contexts remembered per user",
    },
    Key {
        name: "limits.order_bytes",
        field: Field::Bytes(
            |settings| &mut settings.router.order_bytes,
            MIB..=1_024 * GIB,
        ),
        doc: "bytes of threads, tasks and message ids over all users",
    },
    Key {
        name: "limits.idle",
        field: Field::Time(|settings| &mut settings.router.idle, 1..=366 * 24 * HOUR),
        doc: "how long the threads of a user without a run are remembered",
    },
    Key {
        name: "limits.thread_bytes",
        field: Field::Bytes(
            |settings| &mut settings.router.fold_bytes,
            KIB..=fold::MAX_BYTES as u64,
        ),
        doc: "what a thread or task may have said to be told to those who join it",
    },
    Key {
        name: "limits.threads_bytes",
        field: Field::Bytes(
            |settings| &mut settings.router.fold_total_bytes,
            MIB..=1_024 * GIB,
        ),
        doc: "that over all users; beyond it the oldest finished threads are forgotten",
    },
    Key {
        name: "run_timeout",
        field: Field::Time(
            |settings| &mut settings.router.run_timeout,
            1..=366 * 24 * HOUR,
        ),
        doc: "how long a run may be silent before it is ended with RUN_ERROR",
    },
    Key {
        name: "dedupe.age",
        field: Field::Time(|settings| &mut settings.router.dedupe_age, 1..=24 * HOUR),
        doc: "how long a message id is known at least",
    },
    Key {
        name: "dedupe.ids",
        field: Field::Count(|settings| &mut settings.router.dedupe_ids, 1..=1_000_000),
        doc: "message ids per user known at least; 16 times as many at most",
    },
    Key {
        name: "drain.window",
        field: Field::Time(|settings| &mut settings.drain_window, 0..=HOUR),
        doc: "the time over which streams end before the process does",
    },
    Key {
        name: "heartbeat",
        field: Field::Time(|settings| &mut settings.streams.heartbeat, 1..=60),
        doc: "the silence after which a stream says that it is alive; that also finds out clients that are gone",
    },
    Key {
        name: "telemetry.otlp",
        field: Field::Url(|settings| &mut settings.otlp),
        doc: "the collector that spans are sent to (OTLP over HTTP), such as http://127.0.0.1:4318; none without it",
    },
    Key {
        name: "a2a.public_url",
        field: Field::Url(|settings| &mut settings.streams.a2a.card.public_url),
        doc: "the address of this hub on its agent card; without it, the one it is asked at",
    },
    Key {
        name: "a2a.name",
        field: Field::Text(|settings| &mut settings.streams.a2a.card.name),
        doc: "the name on the agent card",
    },
    Key {
        name: "a2a.description",
        field: Field::Text(|settings| &mut settings.streams.a2a.card.description),
        doc: "what the agent card says the agent does",
    },
    Key {
        name: "a2a.version",
        field: Field::Text(|settings| &mut settings.streams.a2a.card.version),
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
    Key {
        name: "nats.stream",
        field: Field::Text(|settings| &mut settings.engine.nats_stream),
        doc: "the stream in NATS; hubs with the same one are replicas",
    },
    Key {
        name: "nats.replicas",
        field: Field::Count(|settings| &mut settings.engine.nats_replicas, 1..=5),
        doc: "how many servers of NATS keep each event: 1, 3 or 5",
    },
    Key {
        name: "nats.credentials",
        field: Field::File(|settings| &mut settings.engine.nats_credentials),
        doc: "a file of credentials for NATS",
    },
    Key {
        name: "nats.ca",
        field: Field::File(|settings| &mut settings.engine.nats_ca),
        doc: "certificates (PEM) of authorities that are trusted for NATS too",
    },
    Key {
        name: "postgres.schema",
        field: Field::Text(|settings| &mut settings.engine.postgres_schema),
        doc: "the schema in PostgreSQL; hubs with the same one are replicas",
    },
    Key {
        name: "postgres.connections",
        field: Field::Count(
            |settings| &mut settings.engine.postgres_connections,
            2..=256,
        ),
        doc: "connections to PostgreSQL, besides the three that listen, ring and poll",
    },
    Key {
        name: "postgres.listen_url",
        field: Field::Database(|settings| &mut settings.engine.postgres_listen),
        doc: "where to listen, if the log's address leads to a pooler",
    },
    Key {
        name: "postgres.pooler",
        field: Field::Switch(|settings| &mut settings.engine.postgres_pooler),
        doc: "whether the log's address leads to a pooler in transaction mode",
    },
    Key {
        name: "postgres.keep_epoch",
        field: Field::Switch(|settings| &mut settings.engine.postgres_keep_epoch),
        doc: "whether cursors stay good after a promotion; only with a synchronous standby",
    },
    Key {
        name: "postgres.poll",
        field: Field::ShortTime(|settings| &mut settings.engine.postgres_poll, 50..=10_000),
        doc: "how often PostgreSQL is looked at, which is how late unnotified news may be",
    },
    Key {
        name: "agui.connect_timeout",
        field: Field::Time(|settings| &mut settings.agents.connect_timeout, 1..=600),
        doc: "how long a connection to an agent may take",
    },
    Key {
        name: "agui.runs",
        field: Field::Count(|settings| &mut settings.agents.limits.runs, 1..=100_000),
        doc: "runs of agents at the same time",
    },
    Key {
        name: "agui.runs_per_user",
        field: Field::Count(
            |settings| &mut settings.agents.limits.runs_per_user,
            1..=10_000,
        ),
        doc: "runs of agents of one user at the same time",
    },
    Key {
        name: "agui.run_time",
        field: Field::Time(
            |settings| &mut settings.agents.limits.run_time,
            1..=7 * 24 * HOUR,
        ),
        doc: "how long a run of an agent may take as a whole",
    },
    Key {
        name: "agui.ca",
        field: Field::File(|settings| &mut settings.agents.ca),
        doc: "certificates (PEM) of authorities that are trusted for agents too",
    },
    Key {
        name: "llm.connect_timeout",
        field: Field::Time(|settings| &mut settings.llm.connect_timeout, 1..=600),
        doc: "how long a connection to a provider may take",
    },
    Key {
        name: "llm.header_timeout",
        field: Field::Time(|settings| &mut settings.llm.header_timeout, 1..=24 * HOUR),
        doc: "how long a provider may take to begin its answer",
    },
    Key {
        name: "llm.idle_timeout",
        field: Field::Time(|settings| &mut settings.llm.idle_timeout, 1..=24 * HOUR),
        doc: "how long a provider may be silent in the middle of its answer",
    },
    Key {
        name: "llm.body_bytes",
        field: Field::Bytes(|settings| &mut settings.llm.body_bytes, KIB..=GIB),
        doc: "the largest body of a request to a provider",
    },
    Key {
        name: "llm.streams",
        field: Field::Count(|settings| &mut settings.llm.streams, 1..=100_000),
        doc: "requests to providers at the same time",
    },
    Key {
        name: "llm.prices",
        field: Field::Prices(|settings| &mut settings.llm.prices),
        doc: "what tokens cost: builtin, none, or a file of your own that goes before the built-in ones",
    },
    Key {
        name: "llm.ca",
        field: Field::File(|settings| &mut settings.llm.ca),
        doc: "certificates (PEM) of authorities that are trusted for providers too",
    },
    Key {
        name: "llm.alerts.stream_cost",
        field: Field::Money(|settings| &mut settings.llm.stream_cost),
        doc: "alert when one request costs more than this",
    },
    Key {
        name: "llm.alerts.hourly_cost",
        field: Field::Money(|settings| &mut settings.llm.hourly_cost),
        doc: "alert when the last hour costs more than this",
    },
    Key {
        name: "llm.alerts.error_rate",
        field: Field::Percent(|settings| &mut settings.llm.error_rate),
        doc: "alert when this share of requests fails",
    },
    Key {
        name: "llm.alerts.error_window",
        field: Field::Time(|settings| &mut settings.llm.error_window, 60..=HOUR),
        doc: "over how long that share is taken",
    },
    Key {
        name: "llm.alerts.error_requests",
        field: Field::Count(|settings| &mut settings.llm.error_requests, 1..=1_000_000),
        doc: "of how many requests at least",
    },
];
