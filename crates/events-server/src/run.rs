//! From the command line to an exit code.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _, Write as _},
    net::SocketAddr,
    process::ExitCode,
};

use events_axum::serve::Server;
use tokio::task::JoinSet;
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, layer::SubscriberExt as _, registry, registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::{
    Failure, Hub, Mode, Settings, Sources, WorstCase,
    cli::{self, Command},
    commands, stop,
    telemetry::Telemetry,
};

/// Runs the program. The exit code is 0 when it is done (also when a second signal ended it), 1 when it failed, and 2
/// when the command line or the configuration is wrong.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    match try_run(arguments, environment.into_iter().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell if standard error is closed.
            let _closed = writeln!(io::stderr(), "{}", failure.line());
            ExitCode::from(failure.exit_code())
        }
    }
}

fn try_run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: Vec<(OsString, OsString)>,
) -> Result<(), Failure> {
    let (mode, file, flags) = match cli::parse(arguments)? {
        Command::Print(text) => {
            let _closed = write!(io::stdout(), "{text}");
            return Ok(());
        }
        Command::Dev { plays_demo, flags } => (Mode::Dev { plays_demo }, None, flags),
        Command::Serve {
            file,
            is_insecure,
            flags,
        } => (Mode::Serve { is_insecure }, file, flags),
        Command::CheckConfig { file, flags } => {
            let settings = Settings::load(&Sources {
                file: Some(file),
                environment,
                flags,
            })?;
            // What the files hold is checked as well.
            settings.llm.gateway_config()?;
            settings.llm.price_source(None)?;
            let router = events_router::EventRouter::default();
            let agents = settings.agents.config()?;
            events_agents::AgentCaller::new(agents, router).map_err(crate::ConfigError::from)?;
            settings.auth.config()?;
            let _closed = write!(io::stdout(), "{}", commands::check_config(&settings));
            for warning in settings.warnings()? {
                let _closed = writeln!(io::stdout(), "# warning: {warning}");
            }
            return Ok(());
        }
        Command::Token { token, file, flags } => {
            let settings = Settings::load(&Sources {
                file,
                environment,
                flags,
            })?;
            let _closed = writeln!(io::stdout(), "{}", commands::token(&settings, &token)?);
            return Ok(());
        }
        command @ Command::Top(_) => {
            // Logs would be written over the screen.
            if !io::stderr().is_terminal() {
                start_logs("warn")?;
            }
            return runtime()?.block_on(commands::run(command, &environment));
        }
        command @ (Command::Tail(_)
        | Command::Publish(_)
        | Command::Record(_)
        | Command::Replay(_)
        | Command::Bench(_)) => {
            start_logs("warn")?;
            return runtime()?.block_on(commands::run(command, &environment));
        }
    };
    let settings = Settings::load(&Sources {
        file,
        environment,
        flags,
    })?;
    mode.check(&settings)?;
    let with_demo = with_demo(&settings, mode);
    let warnings = with_demo.warnings()?;
    let telemetry = settings.otlp.as_deref().map(Telemetry::start).transpose()?;
    start_logs_and_spans("info", telemetry.as_ref())?;
    // Nobody is left to tell if standard error is closed.
    let _closed = writeln!(io::stderr(), "{}", WorstCase::of(&with_demo));
    for warning in warnings {
        let _closed = writeln!(io::stderr(), "warning: {warning}");
    }
    let ended = runtime()?.block_on(async {
        let mut tasks = JoinSet::new();
        let stop_requests = stop::on_signals(&mut tasks).map_err(Failure::Start)?;
        let hub = Hub::bind(mode, &settings).await?;
        let ended = hub.run(stop_requests, announce).await;
        tasks.shutdown().await;
        ended
    });
    if let Some(telemetry) = telemetry {
        telemetry.end();
    }
    ended
}

/// The settings with the provider that the demo adds, for the memory that it may take.
fn with_demo(settings: &Settings, mode: Mode) -> Settings {
    let mut settings = settings.clone();
    if mode == (Mode::Dev { plays_demo: true }) {
        let demo = events_llm::gateway::ProviderConfig::new("http://127.0.0.1");
        let providers = &mut settings.llm.providers;
        providers
            .entry(crate::demo::PROVIDER.to_owned())
            .or_insert(demo);
        let agents = &mut settings.agents.agents;
        agents.entry(crate::demo::AGENT.to_owned()).or_default();
    }
    settings
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(Server::EVENT_INTERVAL)
        .build()
        .map_err(Failure::Start)
}

/// Prints the ready line, which programs wait for.
fn announce(address: SocketAddr) {
    let mut output = io::stdout().lock();
    let written = writeln!(output, "listening on http://{address}").and_then(|()| output.flush());
    if let Err(error) = written {
        tracing::warn!(%error, "standard output takes no ready line");
    }
}

/// Sends the logs to standard error, filtered by `RUST_LOG`.
fn start_logs(default: &str) -> Result<(), Failure> {
    start_logs_and_spans(default, None)
}

/// Sends the logs to standard error, filtered by `RUST_LOG`, and the spans to where they are wanted.
fn start_logs_and_spans(default: &str, telemetry: Option<&Telemetry>) -> Result<(), Failure> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.trim().is_empty() => {
            EnvFilter::try_new(text).map_err(|error| Failure::LogFilter(error.into()))?
        }
        _ => EnvFilter::new(default),
    };
    let discreet = filter_fn(is_discreet);
    let started = match telemetry {
        // A filter of everything costs less than one of each.
        None => registry()
            .with(filter)
            .with(discreet)
            .with(logs())
            .try_init(),
        Some(telemetry) => registry()
            .with(discreet)
            .with(telemetry.layer())
            .with(logs().with_filter(filter))
            .try_init(),
    };
    started.map_err(|error| Failure::LogFilter(error.into()))
}

/// Leaves out what no filter may ask for: the driver of NATS writes whatever it reads and sends at its finest level, also
/// events and passwords.
fn is_discreet(metadata: &Metadata<'_>) -> bool {
    !(*metadata.level() == Level::TRACE && metadata.target().starts_with("async_nats"))
}

/// Writes events to standard error.
fn logs<S>() -> impl Layer<S>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_subscriber::fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
}
