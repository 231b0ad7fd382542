//! The console on a hub that wants tokens: what it asks for, what each role sees, and where the token goes.

use std::io;

use events_tests::{
    devtools::DrivenPage,
    tokens::{hub, token},
};
use serde_json::json;

async fn sign(page: &mut DrivenPage, token: &str) -> io::Result<()> {
    page.wait_until("!document.querySelector('#sign').hidden")
        .await?;
    let script = format!(
        "document.querySelector('#sign-token').value = {}; document.querySelector('#sign-send').click()",
        json!(token)
    );
    page.evaluate(&script).await.map(drop)
}

/// Waits for something that comes after the page has been loaded anew.
async fn wait_until_reloaded(page: &mut DrivenPage, expression: &str) -> io::Result<()> {
    for _ in 0..10 {
        match page.wait_until(expression).await {
            // What is asked in the page that goes is not answered.
            Err(error) if error.to_string().contains("navigated") => {}
            ended => return ended,
        }
    }
    page.wait_until(expression).await
}

#[tokio::test]
async fn the_console_asks_for_a_token_and_shows_what_its_role_may_see() -> io::Result<()> {
    let server = hub().await?;
    let name = "the_console_asks_for_a_token_and_shows_what_its_role_may_see";
    let Some(mut page) = DrivenPage::open(name, &server.url("/#/users")).await? else {
        return Ok(());
    };
    // What is no token is not sent; what the hub refuses is said in its words.
    let reason = "document.querySelector('#sign-reason').innerText";
    sign(&mut page, "no token").await?;
    page.wait_until(&format!("{reason}.startsWith('This is no token')"))
        .await?;
    sign(&mut page, "aaaa.bbbb.cccc").await?;
    page.wait_until(&format!(
        "{reason}.startsWith('The hub has refused the token: ')"
    ))
    .await?;
    // A subscriber watches, and is told what operators need.
    sign(&mut page, &token("sam", &["--role", "subscriber"]).await?).await?;
    page.wait_until("!document.querySelector('#forbidden').hidden")
        .await?;
    let role = page
        .evaluate("document.querySelector('#forbidden-role').innerText")
        .await?;
    assert_eq!(role, "The token of sam has the role subscriber.");
    page.evaluate("document.querySelector('.views a').click()")
        .await?;
    page.wait_until("document.querySelector('#connection').dataset.state === 'live'")
        .await?;
    page.evaluate("document.querySelector('#send').click()")
        .await?;
    page.wait_until("document.querySelector('#answer').textContent.includes('403')")
        .await?;
    // Another user's token begins anew, with nothing of the one before.
    page.evaluate("document.querySelector('#forget').click()")
        .await?;
    let operator = token("olga", &["--role", "operator"]).await?;
    sign(&mut page, &operator).await?;
    let is_live = "!globalThis.isBefore && document.querySelector('#who').innerText === 'olga (operator)' && \
                   document.querySelector('#connection').dataset.state === 'live'";
    wait_until_reloaded(&mut page, is_live).await?;
    page.evaluate("location.hash = '#/users'").await?;
    page.wait_until("document.querySelector('.users .name')?.textContent === 'olga'")
        .await?;
    // It is in no address and no cookie, and it outlives a reload.
    let places = format!(
        "[location.href, document.cookie, ...performance.getEntriesByType('resource').map(({{ name }}) => \
         name)].every((place) => !place.includes({0}) && !place.includes('ticket=')) && \
         Object.values(localStorage).length === 0 && Object.values(sessionStorage).includes({0})",
        json!(operator)
    );
    assert_eq!(page.evaluate(&places).await?, true);
    page.evaluate(
        "setTimeout(() => location.reload()), globalThis.isBefore = true, location.hash = '#/'",
    )
    .await?;
    wait_until_reloaded(&mut page, is_live).await?;
    // Revoked by its own hand, the token is of no use any more.
    page.evaluate("location.hash = '#/users'").await?;
    page.wait_until("document.querySelector('.users .name')?.textContent === 'olga'")
        .await?;
    page.evaluate("document.querySelector('.users .actions button').click()")
        .await?;
    page.evaluate("document.querySelector('#users-revoke').click()")
        .await?;
    page.evaluate("document.querySelector('#users-dialog .danger').click()")
        .await?;
    page.wait_until(&format!(
        "{reason}.startsWith('The hub has refused the token: ')"
    ))
    .await?;
    let kept = "Object.values(sessionStorage).length";
    assert_eq!(page.evaluate(kept).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_token_that_expires_is_asked_for_anew_and_nothing_is_lost() -> io::Result<()> {
    let server = hub().await?;
    let name = "a_token_that_expires_is_asked_for_anew_and_nothing_is_lost";
    let Some(mut page) = DrivenPage::open(name, &server.url("/")).await? else {
        return Ok(());
    };
    sign(
        &mut page,
        &token("ada", &["--role", "publisher", "--ttl", "4s"]).await?,
    )
    .await?;
    page.wait_until("document.querySelector('#connection').dataset.state === 'live'")
        .await?;
    page.wait_until("document.querySelector('#sign-reason').innerText === 'The token has expired. Use a new one.'")
        .await?;
    sign(&mut page, &token("ada", &["--role", "publisher"]).await?).await?;
    page.wait_until("document.querySelector('#connection').dataset.state === 'live'")
        .await?;
    page.evaluate("document.querySelector('#send').click()")
        .await?;
    page.wait_until("document.querySelector('#verdict').innerText === 'Nothing lost.' && \
                     document.querySelector('#item-list').innerText.includes('Hello from the console.')")
        .await
}
