//! New keys, old keys, and sources that fail.

use tokio::task::JoinSet;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_new_key_is_fetched_once_and_a_failing_source_takes_no_key_away() {
    let (old, new) = (Issuer::new(), Issuer::new());
    let shelf = Arc::new(Shelf::default());
    shelf.put(old.jwks("old-").to_string());
    let auth = auth(Arc::clone(&shelf));
    auth.load().await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(auth.run());
    let of_old = old.sign(&json!({ "alg": "EdDSA", "kid": "old-ed" }), &good_claims());
    let of_new = new.sign(&json!({ "alg": "EdDSA", "kid": "new-ed" }), &good_claims());

    // Within 30 seconds of the last reading nobody asks again.
    assert!(auth.check_token(&of_new).await.is_err());
    assert_eq!(*shelf.n_reads.lock().unwrap(), 1);
    tokio::time::advance(Duration::from_secs(31)).await;

    shelf.put(None);
    assert!(auth.check_token(&of_new).await.is_err());
    assert_eq!(*shelf.n_reads.lock().unwrap(), 2);
    auth.check_token(&of_old).await.expect("old keys stay");

    shelf.put(new.jwks("new-").to_string());
    tokio::time::advance(Duration::from_secs(31)).await;
    let mut checks = JoinSet::new();
    for _ in 0..100 {
        let (auth, token) = (auth.clone(), of_new.clone());
        checks.spawn(async move { auth.check_token(&token).await.is_ok() });
    }
    assert!(checks.join_all().await.into_iter().all(|is_taken| is_taken));
    assert_eq!(*shelf.n_reads.lock().unwrap(), 3);
    assert!(auth.check_token(&of_old).await.is_err(), "its key is gone");
}
