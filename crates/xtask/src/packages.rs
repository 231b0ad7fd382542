//! Set-up: the official clients in `target/xtask`, a browser, a terminal, PostgreSQL, PgBouncer, nginx and
//! HAProxy.
//!
//! Everything is looked for first, so a second run costs nothing and needs no network.

use std::fs;
use std::path::Path;

use crate::command::{find, run};

/// The official clients for Node.js, and the judge of our own client's types: the folder under `tests/clients` with the manifest and the lock,
/// and under `target/xtask` with the packages.
const NODE_CLIENTS: [&str; 5] = ["agui-1.0", "agui-0.0.59", "a2a-js", "llm-js", "typescript"];

/// Packages for Python, in folders of the same names: the official clients, an agent that others wrote, and a NATS
/// server, which comes as one.
const PYTHON_CLIENTS: [&str; 5] = ["a2a-py", "agents-py", "agui-py", "llm-py", "nats"];

/// Names under which a browser of the Chromium family is installed.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Installs what the tests need and is not there yet.
///
/// # Errors
///
/// One line: what is missing and what to do about it.
pub(crate) fn set_up(root: &Path) -> Result<(), String> {
    for client in NODE_CLIENTS {
        node_packages(root, client)?;
    }
    for client in PYTHON_CLIENTS {
        python_packages(root, client)?;
    }
    browser(root)?;
    terminal(root)?;
    postgres(root)?;
    pgbouncer(root)?;
    proxy(root, "nginx", "nginx-light")?;
    proxy(root, "haproxy", "haproxy")
}

/// Installs one folder of Node packages, exactly as locked.
fn node_packages(root: &Path, client: &str) -> Result<(), String> {
    let source = root.join("tests/clients").join(client);
    let target = root.join("target/xtask").join(client);
    // Written last, so its presence with the same lock means that the folder is complete.
    let mark = target.join("installed.lock");
    let lock = source.join("package-lock.json");
    let wanted =
        fs::read(&lock).map_err(|error| format!("cannot read {}: {error}", lock.display()))?;
    if fs::read(&mark).is_ok_and(|installed| installed == wanted) {
        println!("{client}: already set up");
        return Ok(());
    }
    if find("node").is_none() || find("npm").is_none() {
        return Err(format!(
            "{client} needs Node.js 20 or newer with npm; install it and try again"
        ));
    }
    let failed = |error| format!("cannot prepare {}: {error}", target.display());
    fs::create_dir_all(&target).map_err(failed)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(source.join(file), target.join(file)).map_err(failed)?;
    }
    let npm = "npm ci --ignore-scripts --no-audit --no-fund --loglevel=error";
    run(&target, &[], npm)?;
    fs::write(&mark, wanted).map_err(failed)
}

/// Installs Python packages, exactly as locked, into an environment of their own.
fn python_packages(root: &Path, client: &str) -> Result<(), String> {
    let target = root.join("target/xtask").join(client);
    let mark = target.join("installed.lock");
    let lock = root
        .join("tests/clients")
        .join(client)
        .join("requirements.txt");
    let wanted =
        fs::read(&lock).map_err(|error| format!("cannot read {}: {error}", lock.display()))?;
    if fs::read(&mark).is_ok_and(|installed| installed == wanted) {
        println!("{client}: already set up");
        return Ok(());
    }
    if find("python3").is_none() {
        return Err(format!(
            "{client} needs Python 3.10 or newer with venv; install it and try again"
        ));
    }
    let failed = |error| format!("cannot prepare {}: {error}", target.display());
    fs::create_dir_all(&target).map_err(failed)?;
    fs::write(target.join("requirements.txt"), &wanted).map_err(failed)?;
    run(&target, &[], "python3 -m venv .")?;
    // The list is complete, so nothing has to be resolved.
    let pip = "bin/python -m pip install --disable-pip-version-check --quiet --no-deps -r requirements.txt";
    run(&target, &[], pip)?;
    fs::write(&mark, wanted).map_err(failed)
}

/// Installs a browser when there is none and the system lets us.
fn browser(root: &Path) -> Result<(), String> {
    if std::env::var_os("EVENTS_CHROMIUM").is_some() {
        println!("browser: named by EVENTS_CHROMIUM");
        return Ok(());
    }
    if let Some(path) = BROWSERS.iter().find_map(|name| find(name)) {
        println!("browser: {}", path.display());
        return Ok(());
    }
    if !may_install() {
        return Err("no Chromium found; install it, or name one with EVENTS_CHROMIUM".to_owned());
    }
    system_package(root, "chromium")
}

/// Installs tmux, in which the tests run what draws on a terminal.
fn terminal(root: &Path) -> Result<(), String> {
    if let Some(path) = find("tmux") {
        println!("terminal: {}", path.display());
        return Ok(());
    }
    if !may_install() {
        return Err("no tmux found; install it".to_owned());
    }
    system_package(root, "tmux")
}

/// Installs a proxy, with which the examples of the documents are run.
fn proxy(root: &Path, program: &str, package: &str) -> Result<(), String> {
    // Debian has servers in a folder that is not in everybody's search path.
    let path = find(program).or_else(|| {
        let path = Path::new("/usr/sbin").join(program);
        path.is_file().then_some(path)
    });
    if let Some(path) = path {
        println!("{program}: {}", path.display());
        return Ok(());
    }
    if !may_install() {
        return Err(format!("no {program} found; install it"));
    }
    system_package(root, package)
}

/// Installs PostgreSQL when there is none and the system lets us.
fn postgres(root: &Path) -> Result<(), String> {
    if std::env::var_os("EVENTS_POSTGRES").is_some() {
        println!("PostgreSQL: named by EVENTS_POSTGRES");
        return Ok(());
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut programs = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    if let Some(path) = programs.find(|path| path.join("initdb").is_file()) {
        println!("PostgreSQL: {}", path.display());
        return Ok(());
    }
    if let Some(path) = find("initdb") {
        println!("PostgreSQL: {}", path.display());
        return Ok(());
    }
    if !may_install() {
        return Err(
            "no PostgreSQL found; install it, or name the folder of its programs with EVENTS_POSTGRES"
                .to_owned(),
        );
    }
    system_package(root, "postgresql")
}

/// Installs PgBouncer when there is none and the system lets us.
fn pgbouncer(root: &Path) -> Result<(), String> {
    if find("pgbouncer").is_some() || Path::new("/usr/sbin/pgbouncer").is_file() {
        println!("PgBouncer: already there");
        return Ok(());
    }
    if !may_install() {
        return Err("no PgBouncer found; install it".to_owned());
    }
    system_package(root, "pgbouncer")
}

fn system_package(root: &Path, name: &str) -> Result<(), String> {
    let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
    run(root, &quiet, "apt-get -qq update")?;
    let install = format!("apt-get -qq install -y --no-install-recommends {name}");
    run(root, &quiet, &install)
}

/// Whether system packages are Debian's, and ours to install.
fn may_install() -> bool {
    find("apt-get").is_some() && is_root()
}

/// Whether we may install system packages.
fn is_root() -> bool {
    std::process::Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
