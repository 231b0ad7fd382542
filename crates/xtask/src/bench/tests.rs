//! The arithmetic of the table, its forms, and what is said when something is wrong.

use super::figures::{Sample, Spread};
use super::*;

fn parsed(line: &str) -> Result<BenchRequest, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    BenchRequest::parse(&words)
}

fn sample(figure: f64) -> Sample {
    Sample {
        figure,
        p50_us: 900,
        p99_us: 12_340,
        per_second: 1_500_000.0,
        n_faults: 0,
    }
}

fn results(of: &[(Server, &[f64])]) -> Results {
    let mut results = Results::default();
    for (server, figures) in of {
        for figure in *figures {
            results.add(*server, sample(*figure));
        }
    }
    results
}

#[test]
fn a_bench_has_five_rounds_of_all_cells_unless_told() {
    let all = parsed("").unwrap();
    assert_eq!((all.n_rounds, all.is_quick), (5, false));
    assert_eq!(all.cells().count(), CELLS.len());
    let one = parsed("--quick --only idle --rounds=3").unwrap();
    assert_eq!((one.n_rounds, one.is_quick), (3, true));
    let names: Vec<&str> = one.cells().map(|cell| cell.name).collect();
    assert_eq!(names, ["idle"]);
    assert_eq!(parsed("--quick").unwrap().n_rounds, 2);
}

#[test]
fn mistakes_are_named() {
    for (line, told) in [
        ("--only nothing", "unknown cell 'nothing': uncoalesced, "),
        ("--only", "--only needs a value"),
        ("--rounds 0", "--rounds 0: 1 to 100"),
        ("--rounds many", "--rounds many: 1 to 100"),
        ("--fast", "unknown option '--fast'"),
        ("--quick=yes", "unknown option '--quick=yes'"),
    ] {
        let error = parsed(line).unwrap_err();
        assert!(error.starts_with(told), "{line}: {error}");
    }
}

#[test]
fn a_median_is_the_middle_one_or_the_mean_of_two() {
    let spread = |numbers: &[f64]| Spread::of(numbers.iter().copied());
    let of = |median, least, most| {
        Some(Spread {
            median,
            least,
            most,
        })
    };
    assert_eq!(spread(&[]), None);
    assert_eq!(spread(&[3.0]), of(3.0, 3.0, 3.0));
    assert_eq!(spread(&[9.0, 1.0, 2.0]), of(2.0, 1.0, 9.0));
    assert_eq!(spread(&[4.0, 1.0, 9.0, 2.0]), of(3.0, 1.0, 9.0));
}

#[test]
fn ratios_are_taken_within_a_round_and_not_of_medians() {
    // The machine was slow in the second round: the medians would say 2.5.
    let results = results(&[
        (Server::Floor, &[100.0, 10.0, 40.0]),
        (Server::Hub, &[200.0, 20.0, 100.0]),
    ]);
    let ratio = results.ratio(Server::Hub, Server::Floor).unwrap();
    assert_eq!((ratio.median, ratio.least, ratio.most), (2.0, 2.0, 2.5));
    assert_eq!(results.ratio(Server::Plain, Server::Floor), None);
    let zero = super::tests::results(&[(Server::Floor, &[0.0]), (Server::Hub, &[1.0])]);
    assert_eq!(zero.ratio(Server::Hub, Server::Floor), None);
}

#[test]
fn a_table_has_a_row_for_each_server_and_tells_faults() {
    let mut results = results(&[(Server::Floor, &[120_000.0]), (Server::Hub, &[1_560_000.0])]);
    let lost = Sample {
        n_faults: 3,
        ..sample(130_000.0)
    };
    results.add(Server::Plain, lost);
    let request = parsed("--rounds 1 --only uncoalesced").unwrap();
    let text = table::text(&[(&CELLS[0], results)], &request, &["A note.".to_owned()]);
    for row in [
        "A note.",
        "| floor | 120 k [120 k .. 120 k] | 1.00 [1.00 .. 1.00] | 900 µs | 12.3 ms | 1.50 M |",
        "| events | 1.56 M [1.56 M .. 1.56 M] | 13.00 [13.00 .. 13.00] | 900 µs | 12.3 ms | 1.50 M |",
        "| plain axum (3 lost, duplicated or out of order) | 130 k [130 k .. 130 k] | 1.08",
    ] {
        assert!(text.contains(row), "{row}\n{text}");
    }
    assert!(!text.contains("nchan"), "{text}");
}

#[test]
fn numbers_have_three_digits_that_count() {
    for (number, text) in [
        (7.4, "7"),
        (1_378.0, "1378"),
        (9_994.0, "9994"),
        (9_996.0, "10.0 k"),
        (99_960.0, "100 k"),
        (999_499.0, "999 k"),
        (999_600.0, "1.00 M"),
        (12_345_678.0, "12.3 M"),
    ] {
        assert_eq!(table::count(number), text);
    }
}

/// Returns the elements of a document, all of which are closed in their order and have quoted attributes.
fn elements(xml: &str) -> Vec<String> {
    let (mut open, mut found) = (Vec::new(), Vec::new());
    let mut rest = xml;
    while let Some((text, behind)) = rest.split_once('<') {
        assert!(!text.contains('>'), "{text}");
        let (tag, behind) = behind.split_once('>').expect("a tag ends");
        rest = behind;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap_or_default().to_owned();
        assert_eq!(
            tag.matches('"').count(),
            2 * tag.matches('=').count(),
            "{tag}"
        );
        if !tag.ends_with('/') {
            open.push(name.clone());
        }
        found.push(name);
    }
    assert_eq!(open, [""; 0]);
    found
}

#[test]
fn the_plot_is_well_formed_and_has_a_bar_for_each_server() {
    let of_all: Vec<_> = CELLS
        .iter()
        .map(|cell| {
            let figures = cell.servers.iter().map(|server| (*server, &[1e3, 2e6][..]));
            (cell, results(&figures.collect::<Vec<_>>()))
        })
        .collect();
    let svg = plot::svg(&of_all);
    let n_bars: usize = CELLS.iter().map(|cell| cell.servers.len()).sum();
    let found = elements(&svg);
    assert_eq!(found.iter().filter(|name| *name == "rect").count(), n_bars);
    assert_eq!(found[0], "svg");
    assert!(svg.contains("prefers-color-scheme:dark"), "{svg}");
    // Nothing was measured yet.
    elements(&plot::svg(&[]));
    elements(&plot::svg(&[(
        &CELLS[0],
        results(&[(Server::Hub, &[0.0])]),
    )]));
}

#[test]
fn the_report_of_a_load_is_read() {
    let report = r#"{"delivered_per_second":10.5,"latency_us":{"p50":7,"p99":9},"ordinary":{"lost":1,
        "duplicated":2,"out_of_order":0,"strangers":0},"hub":{"delivered_per_cpu_second":5.5,"per_connection":1400}}"#;
    let sample = load::sample(report, cell::Figure::PerCpuSecond).unwrap();
    assert_eq!((sample.figure, sample.n_faults), (5.5, 3));
    assert_eq!((sample.p50_us, sample.p99_us), (7, 9));
    let idle = load::sample(report, cell::Figure::Memory).unwrap();
    assert!((idle.figure - 1_400.0).abs() < 1e-9);
    assert_eq!(load::sample("", cell::Figure::Memory), None);
    let without_hub = r#"{"delivered_per_second":10.5,"latency_us":{"p50":7,"p99":9},"hub":null}"#;
    assert_eq!(load::sample(without_hub, cell::Figure::Memory), None);
}

#[test]
fn a_quick_load_is_a_tenth() {
    let cell = |name: &str| CELLS.iter().find(|cell| cell.name == name).unwrap();
    let begins = |name: &str, is_quick| cell(name).arguments(is_quick)[..4].join(" ");
    assert_eq!(
        begins("saturated-1000x1", false),
        "--users 1000 --events 200000"
    );
    assert_eq!(
        begins("saturated-1000x1", true),
        "--users 1000 --events 20000"
    );
    assert_eq!(begins("uncoalesced", true), "--users 1 --events 100");
    assert_eq!(begins("idle", true), "--users 1000 --events 1");
}

#[test]
fn what_every_server_is_compared_with_is_always_there() {
    for cell in CELLS {
        assert_ne!(cell.servers[0], Server::Nchan, "{}", cell.name);
    }
}

#[test]
fn an_executable_is_found_in_what_cargo_says() {
    let messages = "{\"reason\":\"x\"}\nno json\n{\"target\":{\"name\":\"a\"},\"executable\":null}\n\
                    {\"target\":{\"name\":\"events\"},\"executable\":\"/bin/e\"}\n";
    assert_eq!(build::find(messages, "events"), Some("/bin/e".into()));
    assert_eq!(build::find(messages, "a"), None);
}

fn programs(folder: &Path) -> Programs {
    Programs {
        events: "events".into(),
        servers: folder.join("missing"),
        nchan: None,
        folder: folder.to_owned(),
    }
}

fn words(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).into()
}

#[test]
fn a_server_that_does_not_start_is_named_with_what_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let programs = programs(folder.path());
    let script = words("echo; echo no room >&2; exit 3");
    let error = server::start_words(&programs, Server::Plain, None, &script).unwrap_err();
    let told = "the server 'plain axum' ended with exit status: 3: no room";
    assert_eq!(error, told);
    let error = server::start(&programs, Server::Hub, None).unwrap_err();
    assert!(
        error.starts_with("the server 'events' ended with"),
        "{error}"
    );
    assert!(error.contains("missing"), "{error}");
}

#[test]
fn a_server_is_ended_by_its_id_when_it_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let script = words("echo listening on http://127.0.0.1:1; exec sleep 1000");
    let programs = programs(folder.path());
    let running = server::start_words(&programs, Server::Hub, None, &script).unwrap();
    assert_eq!(running.url, "http://127.0.0.1:1");
    let id = running.id();
    let is_there = || Path::new(&format!("/proc/{id}")).exists();
    assert!(is_there() || !cfg!(target_os = "linux"));
    drop(running);
    assert!(!is_there());
}
