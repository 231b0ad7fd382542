//! The command line.

mod arguments;
mod key_flags;

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Args, CommandFactory as _, FromArgMatches, Parser, Subcommand, ValueHint,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{Failure, config::nearest_key};

pub use arguments::{
    BenchArgs, HubArgs, PublishArgs, PublishStream, RecordArgs, RecordStream, ReplayArgs, Speed,
    TailArgs, TailStream, TokenArgs, TokenRole, TopArgs,
};

use key_flags::{KeyFlags, SETTINGS};

/// Keys that were given as flags, and their texts.
type Flags = Vec<(&'static str, String)>;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Print a text and leave: help, version or completions.
    Print(String),
    /// A hub for one person on one machine.
    Dev {
        /// Whether recorded agent runs are played.
        plays_demo: bool,
        /// Settings given as flags.
        flags: Flags,
    },
    /// A hub for production.
    Serve {
        /// The configuration file.
        file: Option<PathBuf>,
        /// Whether tokens are waived.
        is_insecure: bool,
        /// Settings given as flags.
        flags: Flags,
    },
    /// Read the configuration and show it.
    CheckConfig {
        /// The configuration file.
        file: PathBuf,
        /// Settings given as flags.
        flags: Flags,
    },
    /// Follow a stream.
    Tail(TailArgs),
    /// Show the running LLM streams on the terminal.
    Top(TopArgs),
    /// Publish lines.
    Publish(PublishArgs),
    /// Write a stream to a file, with its timing.
    Record(RecordArgs),
    /// Publish what was recorded, with its timing.
    Replay(ReplayArgs),
    /// Load a hub, and check and time what arrives.
    Bench(BenchArgs),
    /// Sign a token.
    Token {
        /// Whose, what for, and for how long.
        token: TokenArgs,
        /// The configuration file.
        file: Option<PathBuf>,
        /// Settings given as flags.
        flags: Flags,
    },
}

/// Carries AI-agent events to people's screens over Server-Sent Events.
///
/// Without a command: the same as `events dev`.
#[derive(Parser, Debug)]
#[command(name = "events", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<CliCommand>,
    #[command(flatten)]
    dev: DevArgs,
}

#[derive(Subcommand, Debug)]
enum CliCommand {
    /// Serve one person on this machine: no tokens, the user is `?user=NAME`, everybody may publish.
    Dev(DevArgs),
    /// Serve in production: tokens are required. Set `auth.secret` or `auth.keys`.
    Serve(ServeArgs),
    /// Check a configuration file, and print what is in effect and the worst-case memory.
    CheckConfig(CheckConfigArgs),
    /// Follow a stream: one line per event, reconnecting with its cursor, until Ctrl-C.
    Tail(TailArgs),
    /// Show the running LLM streams of a hub's gateway, as `top` shows processes; `?` there tells the keys.
    Top(TopArgs),
    /// Publish one event per line and print the ids. Ends with 1 at the first line that the hub refuses.
    Publish(PublishArgs),
    /// Write a stream to a file, with its timing, until Ctrl-C.
    Record(RecordArgs),
    /// Publish a recording, with its timing.
    Replay(ReplayArgs),
    /// Load a hub with readers and publishers; check and time what arrives.
    #[command(after_help = arguments::BENCH_HELP)]
    Bench(BenchArgs),
    /// Sign a token with the configured auth.secret and print it.
    Token(TokenCommandArgs),
    /// Print a script that completes this program's command line.
    Completions {
        /// The shell to write it for.
        shell: clap_complete::Shell,
    },
}

#[derive(Args, Debug)]
struct CheckConfigArgs {
    /// The TOML file to check.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: PathBuf,
    #[command(flatten)]
    keys: KeyFlags,
}

#[derive(Args, Debug)]
struct TokenCommandArgs {
    #[command(flatten)]
    token: TokenArgs,
    /// Read settings from this TOML file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyFlags,
}

#[derive(Args, Debug)]
struct DevArgs {
    /// Do not play recorded agent runs for the user `demo`.
    #[arg(long)]
    no_demo: bool,
    #[command(flatten)]
    keys: KeyFlags,
}

#[derive(Args, Debug)]
struct ServeArgs {
    /// Read settings from this TOML file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask for no tokens; on a loopback address only.
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    keys: KeyFlags,
}

/// Reads a command line; the first argument is the program's name.
///
/// # Errors
///
/// [`Failure::Usage`] with one sentence that says what is wrong.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Failure> {
    let arguments: Vec<OsString> = with_provider_flags(arguments).collect();
    let matches = command().try_get_matches_from(&arguments);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    Ok(Command::Print(error.render().to_string()))
                }
                _ => Err(Failure::Usage(in_one_line(&error, asked(&arguments)))),
            };
        }
    };
    Ok(match cli.command {
        None => dev(cli.dev),
        Some(CliCommand::Dev(args)) => dev(args),
        Some(CliCommand::Serve(args)) => Command::Serve {
            file: args.config,
            is_insecure: args.insecure,
            flags: args.keys.0,
        },
        Some(CliCommand::CheckConfig(args)) => Command::CheckConfig {
            file: args.config,
            flags: args.keys.0,
        },
        Some(CliCommand::Tail(args)) => Command::Tail(args),
        Some(CliCommand::Top(args)) => Command::Top(args),
        Some(CliCommand::Publish(args)) => Command::Publish(args),
        Some(CliCommand::Record(args)) => Command::Record(args),
        Some(CliCommand::Replay(args)) => Command::Replay(args),
        Some(CliCommand::Bench(args)) => Command::Bench(args),
        Some(CliCommand::Token(args)) => Command::Token {
            token: args.token,
            file: args.config,
            flags: args.keys.0,
        },
        Some(CliCommand::Completions { shell }) => Command::Print(completions(shell)),
    })
}

/// What stands below the commands.
const FIRST_STEPS: &str = "\
First steps:
  events                                    the hub with a demo; open http://127.0.0.1:4000 in a browser
  events tail --stream agui --user demo     in a second terminal: the same events
  events dev --agent helper=http://127.0.0.1:8000/     your AG-UI agent behind the hub

Settings of the hub: 'events dev -h' lists the usual ones, 'events dev --help' all.";

/// The whole command line. Settings are accepted without a command too; that help would be long, so it only says where
/// they are. A command shows the settings that concern it.
fn command() -> clap::Command {
    let is_setting = |flag: &clap::Arg| flag.get_help_heading() == Some(SETTINGS);
    let is_of_tokens = |flag: &clap::Arg| flag.get_id().as_str().starts_with("auth.");
    let hide_settings = |flag: clap::Arg| {
        let is_hidden = is_setting(&flag) || flag.is_hide_set();
        flag.hide(is_hidden)
    };
    let hide_others = |flag: clap::Arg| {
        let is_hidden = is_setting(&flag) && !is_of_tokens(&flag) || flag.is_hide_set();
        flag.hide(is_hidden)
    };
    let hide_tokens = |flag: clap::Arg| {
        let is_hidden = is_of_tokens(&flag) || flag.is_hide_short_help_set();
        flag.hide_short_help(is_hidden)
    };
    Cli::command()
        .mut_args(hide_settings)
        .mut_subcommand("token", |token| token.mut_args(hide_others))
        .mut_subcommand("dev", |dev| dev.mut_args(hide_tokens))
        .after_help(FIRST_STEPS)
}

/// Writes `--llm.providers.NAME.KEY VALUE` as `--llm.providers=NAME.KEY=VALUE`: the names are not known before.
fn with_provider_flags(
    arguments: impl IntoIterator<Item = OsString>,
) -> impl Iterator<Item = OsString> {
    let mut arguments = arguments.into_iter();
    std::iter::from_fn(move || {
        let argument = arguments.next()?;
        let found = argument.to_str().and_then(|text| {
            ["--llm.providers", "--agui.agents"]
                .into_iter()
                .find_map(|flag| Some((flag, text.strip_prefix(flag)?.strip_prefix('.')?)))
        });
        let Some((flag, rest)) = found else {
            return Some(argument);
        };
        let mut written = OsString::from(flag);
        written.push("=");
        written.push(rest);
        if !rest.contains('=')
            && let Some(value) = arguments.next()
        {
            written.push("=");
            written.push(value);
        }
        Some(written)
    })
}

fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "events", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

fn dev(args: DevArgs) -> Command {
    Command::Dev {
        plays_demo: !args.no_demo,
        flags: args.keys.0,
    }
}

/// The command that is asked for, with the program's name: clap says it in some of its errors only.
fn asked(arguments: &[OsString]) -> String {
    let known = |word: &&str| Cli::command().find_subcommand(word).is_some();
    let first = arguments.get(1).and_then(|word| word.to_str());
    first
        .filter(known)
        .map_or_else(|| "events".to_owned(), |word| format!("events {word}"))
}

/// Joins what clap says over several lines, with the command's help in place of its usage.
fn in_one_line(error: &clap::Error, mut command: String) -> String {
    let rendered = error.render().to_string();
    let mut line = String::new();
    let mut has_tip = error.get(ContextKind::SuggestedArg).is_some();
    for told in rendered
        .lines()
        .map(str::trim)
        .filter(|told| !told.is_empty())
    {
        if let Some(usage) = told.strip_prefix("Usage: ") {
            let is_word = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
            let words: Vec<&str> = usage.split(' ').take_while(is_word).collect();
            command = words.join(" ");
            break;
        }
        if told.starts_with("For more information") {
            break;
        }
        // It is none that anybody writes; the nearest key is named below.
        if told.starts_with("tip:") && told.contains("'--llm.providers'") {
            has_tip = false;
            continue;
        }
        line.push_str(match line.chars().last() {
            None => "",
            Some(':') => " ",
            Some(_) => "; ",
        });
        line.push_str(told);
    }
    if let Some(rest) = line.strip_prefix("error: ") {
        line = rest.to_owned();
    }
    if let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
        && let Some(name) = flag.strip_prefix("--")
        && name.contains('.')
        && !has_tip
    {
        line.push_str(&format!(
            "; the nearest known key is '--{}'",
            nearest_key(name)
        ));
    }
    line.push_str(&format!("; try '{command} --help'"));
    line
}

#[cfg(test)]
mod tests;
