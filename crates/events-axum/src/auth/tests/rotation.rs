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

/// A hub whose keys are on the shelf.
fn hub(shelf: &Arc<Shelf>) -> (Auth, axum::Router) {
    let state = state();
    let config = AuthConfig {
        source: Some(Arc::clone(shelf) as _),
        ..AuthConfig::default()
    };
    let auth = Auth::new(state.clone(), config);
    let app = crate::hub_router(state).layer(axum::middleware::from_fn_with_state(
        auth.clone(),
        authenticate,
    ));
    (auth, app)
}

#[tokio::test(start_paused = true)]
async fn a_hundred_streams_outlive_a_rotation_and_end_each_with_its_token() {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    let (old, new) = (Issuer::new(), Issuer::new());
    let shelf = Arc::new(Shelf::default());
    shelf.put(old.jwks("old-").to_string());
    let (auth, app) = hub(&shelf);
    auth.load().await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(auth.run());
    let open = async |issuer: &Issuer, kid: &str, n: i64, ttl: i64| {
        let claims = json!({ "sub": format!("u{n}"), "iat": NOW, "exp": NOW + ttl });
        let token = issuer.sign(&json!({ "alg": "ES256", "kid": kid }), &claims);
        let request = Request::get("/agui").header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    };
    // Half of them end at 100 s, half at 1,000 s.
    let begun = tokio::time::Instant::now();
    let mut streams = JoinSet::new();
    for n in 0..100 {
        let ttl = if n % 2 == 0 { 100 } else { 1_000 };
        let answer = open(&old, "old-ec", n, ttl).await;
        assert_eq!(answer.status(), 200);
        streams.spawn(async move {
            let said = answer.into_body().collect().await.unwrap().to_bytes();
            let said = String::from_utf8(said.to_vec()).unwrap();
            assert!(said.contains("{\"reason\":\"token_expired\"}"), "{said}");
            assert_eq!(begun.elapsed().as_secs(), ttl.unsigned_abs());
        });
    }
    tokio::time::advance(Duration::from_secs(50)).await;
    shelf.put(new.jwks("new-").to_string());
    // New tokens are taken at once, for the hundred who come back with them, and the old key opens nothing more.
    for n in 0..100 {
        assert_eq!(open(&new, "new-ec", n, 1_000).await.status(), 200);
    }
    assert_eq!(open(&old, "old-ec", 7, 1_000).await.status(), 401);
    let mut n_ended = 0;
    while let Some(ended) = streams.join_next().await {
        ended.unwrap();
        n_ended += 1;
    }
    assert_eq!(n_ended, 100);
}
