//! Mistakes in the settings of the LLM gateway are told in one line, and what is right is shown.

use std::{io, process::Output};

use events_tests::{
    deadline::PATIENCE,
    raw_client::get,
    server_process::{ServerProcess, events_binary},
};
use tokio::process::Command;

async fn run(arguments: &[&str]) -> io::Result<Output> {
    let program = Command::new(events_binary().await?)
        .args(arguments)
        .output();
    tokio::time::timeout(PATIENCE, program)
        .await
        .expect("it ends by itself")
}

#[tokio::test]
async fn a_mistake_is_one_line_that_says_what_to_do() -> io::Result<()> {
    for (arguments, part) in [
        (
            &["--llm", "http://127.0.0.1:9"][..],
            "expected a provider as NAME=URL",
        ),
        (
            &["--llm", "up=http://ada:secret@host"],
            "without a name, password",
        ),
        (
            &["--llm.providers.up.base_ulr", "http://host"],
            "\"llm.providers.up.base_url\"",
        ),
        (
            &["--llm.providers.up.vendor", "groq"],
            "llm.providers.up has no base_url",
        ),
        (
            &["--llm.prices", "/nowhere/prices.toml"],
            "llm.prices = \"/nowhere/prices.toml\"",
        ),
        (
            &["--llm.ca", "/nowhere/ca.pem"],
            "llm.ca = \"/nowhere/ca.pem\"",
        ),
        (
            &["--llm.alerts.error_rate", "150%"],
            "a share from \"1%\" to \"100%\"",
        ),
    ] {
        let dev = ["dev", "--no-demo", "--listen", "127.0.0.1:0"];
        let output = run(&[&dev[..], arguments].concat()).await?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = told.lines().last().unwrap_or_default();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(
            line.starts_with("error: ") && line.contains(part),
            "{arguments:?}: {told}"
        );
        assert!(!told.contains("secret"), "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn providers_of_file_and_environment_are_shown_and_served() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("events.toml");
    let text = "listen = \"127.0.0.1:0\"\n[llm.providers.up]\nbase_url = \"http://127.0.0.1:9\"\nvendor = \"groq\"\n";
    std::fs::write(&file, text)?;
    let file = file.display().to_string();
    let output = run(&["check-config", "--config", &file]).await?;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in [
        "llm.providers.up.base_url = \"http://127.0.0.1:9\"\n",
        "llm.providers.up.vendor = \"groq\"\n",
        "llm.streams = 512  # default\n",
        "#   llm gateway: ",
    ] {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    let arguments = ["serve", "--insecure", "--config", &file];
    let environment = [("EVENTS_LLM__PROVIDERS__TWO__BASE_URL", "http://127.0.0.1:9")];
    let server = ServerProcess::events(&arguments, &environment).await?;
    let answer = get(server.address(), "/llm/nobody/v1/models", &[]).await?;
    assert_eq!(answer.status(), 404);
    assert!(
        answer.text().contains("there are: two, up"),
        "{}",
        answer.text()
    );
    let answer = get(server.address(), "/llm/two/v1/models?user=%ff", &[]).await?;
    assert_eq!(answer.status(), 502, "{}", answer.text());
    let foreign = [("host", "events.example.org")];
    let answer = get(server.address(), "/llm/two/v1/models", &foreign).await?;
    assert_eq!(answer.status(), 403);
    Ok(())
}
