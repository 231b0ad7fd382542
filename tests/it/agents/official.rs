//! Unmodified official clients ask an agent through the hub, and hold what they would hold without it.

use std::io;
use std::time::Duration;

use events_tests::{
    agui_check::{AgUiCheck, AgUiVersion},
    deadline::PATIENCE,
    skip,
};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{hub, input};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_generations_hold_the_same_with_the_hub_and_without_it() -> io::Result<()> {
    let (agent, server) = hub(&["whole"], &[]).await?;
    for version in AgUiVersion::ALL {
        let Some(check) = AgUiCheck::find("both_generations_hold_the_same", version) else {
            continue;
        };
        let check = check.reading_time(Duration::from_secs(40));
        let mut input = input("t", "r");
        if version == AgUiVersion::V0_0_59 {
            input
                .as_object_mut()
                .expect("an object")
                .remove("protocolVersion");
        }
        let direct = check.run_agent(&agent.url("whole"), &input).await?;
        let url = server.url(&format!("/agui/run/whole?user={version:?}"));
        let through = check.run_agent(&url, &input).await?;
        let held = |verdict: &events_tests::agui_check::AgUiVerdict| {
            let agent = verdict.agent().expect("what the agent holds");
            (agent.messages.clone(), agent.state.clone())
        };
        assert!(through.is_clean(), "{version:?}: {:?}", through.refusals());
        assert_eq!(held(&through), held(&direct), "{version:?}");
        assert_eq!(through.types(), direct.types(), "{version:?}");
        assert_eq!(through.warnings, direct.warnings, "{version:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_official_python_package_reads_a_run() -> io::Result<()> {
    let name = "the_official_python_package_reads_a_run";
    let what = "the official package ag-ui-protocol (`cargo xtask setup`)";
    let Some(python) = skip::require(name, what, skip::client_python("agui-py")) else {
        return Ok(());
    };
    let (_agent, server) = hub(&["whole"], &[]).await?;
    let url = server.url("/agui/run/whole?user=ada");
    let reading = Command::new(python)
        .arg(skip::workspace_root().join("tests/clients/agui-attach.py"))
        .args([&url, "t"])
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, reading).await??;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let told: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(
        told["texts"]["m"],
        json!(events_tests::scripted_agent::whole_text())
    );
    Ok(())
}
