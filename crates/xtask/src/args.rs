//! The command line.

use crate::bench::BenchRequest;
use crate::dist::DistRequest;
use crate::parts::Part;
use crate::soak::SoakRequest;

/// What is printed for `--help` and after a wrong command line.
pub(crate) const USAGE: &str = "\
usage: cargo xtask test [--only PART]...   run all parts, or the named ones
       cargo xtask setup                   install what the tests need into target/xtask
       cargo xtask soak [--engine NAME]... [--only RIG]... [--minutes N] [--seed N] [--debug]
                                           the long forms of the trials, on every log, about two hours: all rigs or
                                           the named ones, N minutes of 20 faults each for the trials with faults (1)
                                           and of coming and going for the steady one (30), all drawn from a seed; hubs built
                                           for release, or with --debug for tests
       cargo xtask bench [--only CELL]... [--rounds N] [--quick]
                                           our hub beside other servers, into target/bench
       cargo xtask dist [--profile NAME] [--output FOLDER]
                                           an archive to install and its checksum, into target/dist
parts: setup, fmt, clippy, doc, tests, fuzz, deny (all of them, in this order, by default)
       lint = fmt, clippy, doc
       unit = the crates' own tests
       it   = the integration tests, with everything they need required
       and only when it is named, because it builds everything anew: packages = every crate as it would be uploaded
rigs:  disk, nats, cluster, postgres (engines), kills, outage, official, planted, drain, half-open, crowds, overload,
       steady, model, fuzz";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Help,
    Run(Vec<Part>),
    Soak(SoakRequest),
    Bench(BenchRequest),
    Dist(DistRequest),
}

/// Reads the words after the program's name; the error is one line for the user.
pub(crate) fn parse(words: &[String]) -> Result<Request, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["help" | "--help" | "-h", ..] => Ok(Request::Help),
        ["setup"] => Ok(Request::Run(vec![Part::Setup])),
        ["soak", rest @ ..] => SoakRequest::parse(rest).map(Request::Soak),
        ["test"] => Ok(Request::Run(Part::ALL.to_vec())),
        ["test", rest @ ..] => parse_only(rest).map(Request::Run),
        ["bench", rest @ ..] => BenchRequest::parse(rest).map(Request::Bench),
        ["dist", rest @ ..] => DistRequest::parse(rest).map(Request::Dist),
        [other, ..] => Err(format!("unknown command '{other}'")),
    }
}

fn parse_only(words: &[&str]) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let name = match word.split_once('=') {
            Some(("--only", name)) => name,
            None if *word == "--only" => words.next().ok_or("--only needs the name of a part")?,
            _ => return Err(format!("unknown option '{word}'")),
        };
        for part in named(name).ok_or_else(|| format!("unknown part '{name}'"))? {
            if !parts.contains(part) {
                parts.push(*part);
            }
        }
    }
    Ok(parts)
}

/// Returns the parts that a name stands for.
fn named(name: &str) -> Option<&'static [Part]> {
    Some(match name {
        "setup" => &[Part::Setup],
        "fmt" => &[Part::Fmt],
        "clippy" => &[Part::Clippy],
        "doc" => &[Part::Doc],
        "lint" => &[Part::Fmt, Part::Clippy, Part::Doc],
        "unit" => &[Part::Unit],
        "it" => &[Part::Setup, Part::Integration],
        "tests" => &[Part::Setup, Part::Tests],
        "fuzz" => &[Part::Fuzz],
        "deny" => &[Part::Deny],
        "packages" => &[Part::Packages],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn test_alone_means_every_part_in_order() {
        assert_eq!(parsed("test"), Ok(Request::Run(Part::ALL.to_vec())));
    }

    #[test]
    fn a_soak_is_of_everything_unless_it_is_said() {
        let expected = SoakRequest::default();
        assert_eq!(parsed("soak"), Ok(Request::Soak(expected)));
    }

    #[test]
    fn parts_are_named_once_even_when_groups_overlap() {
        let expected = vec![Part::Fmt, Part::Clippy, Part::Doc, Part::Unit];
        assert_eq!(
            parsed("test --only fmt --only=lint --only unit"),
            Ok(Request::Run(expected))
        );
        assert_eq!(
            parsed("test --only packages"),
            Ok(Request::Run(vec![Part::Packages]))
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parsed("tset"), Err("unknown command 'tset'".to_owned()));
        assert_eq!(
            parsed("test --only lnit"),
            Err("unknown part 'lnit'".to_owned())
        );
        assert_eq!(
            parsed("test --only"),
            Err("--only needs the name of a part".to_owned())
        );
        assert_eq!(
            parsed("test --fast"),
            Err("unknown option '--fast'".to_owned())
        );
    }
}
