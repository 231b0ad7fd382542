//! A server process made of a shell script.

use std::io;
use std::time::Duration;

use events_tests::deadline::PATIENCE;
use events_tests::server_process::ServerProcess;
use events_tests::skip;
use tempfile::TempDir;

/// Waits for a signal without a child process that would outlive it.
const WAIT: &str = "mkfifo \"$FOLDER/never\"; read -r line <> \"$FOLDER/never\"";

/// Starts the script in a shell; `None` when the machine has no such shell.
async fn start(name: &str, folder: &TempDir, script: &str) -> Option<io::Result<ServerProcess>> {
    let bash = skip::require(name, "bash", skip::program("bash"))?;
    let path = folder.path().display().to_string();
    let script = format!("{script}; {WAIT}");
    let environment = [("FOLDER", path.as_str()), ("NAME", "ada")];
    Some(ServerProcess::start(bash, &["-c", &script], &environment).await)
}

#[tokio::test]
async fn a_server_is_ready_when_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo warming up; echo listening on http://127.0.0.1:4321; echo $NAME";
    let Some(server) = start("a_server_is_ready", &folder, script).await else {
        return;
    };
    let mut server = server.unwrap();
    assert_eq!(server.url("/agui"), "http://127.0.0.1:4321/agui");
    assert_eq!(
        server.next_line(PATIENCE).await.unwrap().as_deref(),
        Some("ada")
    );
    assert!(
        server.next_line(Duration::from_millis(50)).await.is_err(),
        "nothing more is said"
    );
}

#[tokio::test]
async fn a_server_ends_on_a_signal_with_its_own_code() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap 'exit 7' TERM; echo listening on http://127.0.0.1:1";
    let Some(server) = start("a_server_ends_on_a_signal", &folder, script).await else {
        return;
    };
    let mut server = server.unwrap();
    server.signal("TERM").await.unwrap();
    assert_eq!(server.wait(PATIENCE).await.unwrap().code(), Some(7));
}

#[tokio::test]
async fn a_server_that_ends_early_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = start("a_server_that_ends_early", &folder, "exit 1").await else {
        return;
    };
    let error = server.unwrap_err();
    assert!(error.to_string().contains("before it was ready"), "{error}");
}
