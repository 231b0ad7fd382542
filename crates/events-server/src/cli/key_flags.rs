//! A flag for each key of the settings.

use clap::{ArgAction, ArgMatches, Args, FromArgMatches};

use super::Flags;
use crate::config::{AGENT_KEYS, KEYS, PROVIDER_KEYS};

/// The heading of the flags of keys.
pub(super) const SETTINGS: &str = "Settings";

/// The keys that `-h` shows; `--help` shows all.
const USUAL: [&str; 6] = [
    "listen",
    "log",
    "auth.secret",
    "auth.keys",
    "history.events",
    "drain.window",
];

/// One flag for each key of the table.
#[derive(Debug)]
pub(super) struct KeyFlags(pub(super) Flags);

/// The flag of a provider's address, and what the flags of its other keys become before they are read; the same for
/// agents.
const PROVIDER_FLAGS: [&str; 4] = ["llm", "llm.providers", "agent", "agui.agents"];

impl Args for KeyFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        let of_providers: Vec<String> = PROVIDER_KEYS
            .iter()
            .map(|key| format!("  {:<20} {}", key.name, key.doc))
            .collect();
        let help = "a provider of language models, served at /llm/NAME/; may be given more often [env: \
                    EVENTS_LLM__PROVIDERS__NAME__BASE_URL]";
        let long_help = format!(
            "{help}\nMore of a provider by --llm.providers.NAME.KEY, where KEY is\n{}",
            of_providers.join("\n")
        );
        let of_provider = clap::Arg::new("llm").long("llm").value_name("NAME=URL");
        let of_keys = clap::Arg::new("llm.providers")
            .long("llm.providers")
            .hide(true);
        let command = command
            .arg(
                of_provider
                    .action(ArgAction::Append)
                    .help(help)
                    .long_help(long_help)
                    .help_heading(SETTINGS),
            )
            .arg(of_keys.action(ArgAction::Append))
            .arg(agent_flag())
            .arg(
                clap::Arg::new("agui.agents")
                    .long("agui.agents")
                    .hide(true)
                    .action(ArgAction::Append),
            );
        KEYS.iter().fold(command, |command, key| {
            let default = match key.default_text() {
                none if none.is_empty() => none,
                text => format!(" [default: {text}]"),
            };
            let help = format!("{}{default} [env: {}]", key.doc, key.variable());
            let flag = clap::Arg::new(key.name).long(key.name);
            command.arg(
                flag.value_name(key.field.value_name())
                    .help(help)
                    .hide_short_help(!USUAL.contains(&key.name))
                    .help_heading(SETTINGS),
            )
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// The flag of an agent's address.
fn agent_flag() -> clap::Arg {
    let keys: Vec<String> = AGENT_KEYS
        .iter()
        .map(|key| format!("  {:<22} {}", key.name, key.doc))
        .collect();
    let help = "an AG-UI agent, asked at /agui/run/NAME; may be given more often [env: \
                EVENTS_AGUI__AGENTS__NAME__URL]";
    let long_help = format!(
        "{help}\nMore of an agent by --agui.agents.NAME.KEY, where KEY is\n{}\n  {:<22} what it is sent, such as a \
         key, better by the variable EVENTS_AGUI__AGENTS__NAME__HEADERS__AUTHORIZATION",
        keys.join("\n"),
        "headers.HEADER"
    );
    clap::Arg::new("agent")
        .long("agent")
        .value_name("NAME=URL")
        .action(ArgAction::Append)
        .help(help)
        .long_help(long_help)
        .help_heading(SETTINGS)
}

impl FromArgMatches for KeyFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = KEYS.iter().filter_map(|key| {
            let text = matches.try_get_one::<String>(key.name).ok().flatten()?;
            Some((key.name, text.clone()))
        });
        let of_providers = PROVIDER_FLAGS.into_iter().flat_map(|name| {
            let texts = matches.try_get_many::<String>(name).ok().flatten();
            texts
                .into_iter()
                .flatten()
                .map(move |text| (name, text.clone()))
        });
        Ok(Self(given.chain(of_providers).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
