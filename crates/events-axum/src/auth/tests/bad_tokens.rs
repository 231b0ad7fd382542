//! Tokens that must not pass, each for one reason.

use super::*;

/// The good claims with one changed; `null` takes it away.
fn with(name: &str, value: Value) -> String {
    let mut claims = good_claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims.to_string()
}

fn hs256(claims: &str) -> String {
    sign_hs256(&json!({ "alg": "HS256", "typ": "JWT" }), claims)
}

fn with_header(header: &Value) -> String {
    sign_hs256(header, &good_claims().to_string())
}

/// A token with this header, as text, and a signature by our secret.
fn with_header_text(header: &str) -> String {
    let signed = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(good_claims().to_string().as_bytes())
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET);
    let signature = ring::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", encode(signature.as_ref()))
}

/// A token that says HS256 and is signed with the text of a public key.
fn confused(key: &[u8]) -> String {
    let signed = format!(
        "{}.{}",
        encode(br#"{"alg":"HS256","kid":"a-rsa"}"#),
        encode(good_claims().to_string().as_bytes())
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
    format!(
        "{signed}.{}",
        encode(ring::hmac::sign(&key, signed.as_bytes()).as_ref())
    )
}

fn tampered(issuer: &Issuer) -> Vec<(&'static str, String)> {
    let good = hs256(&good_claims().to_string());
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let mut flipped = super::super::jwt::decode(signature).unwrap();
    flipped[0] ^= 1;
    let es256 = issuer.sign(&json!({ "alg": "ES256", "kid": "a-ec" }), &good_claims());
    let (es256_signed, _) = es256.rsplit_once('.').unwrap();
    let other = Issuer::new();
    vec![
        ("empty", String::new()),
        ("dots", "..".to_owned()),
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{claims}")),
        ("no signature", format!("{header}.{claims}.")),
        ("four parts", format!("{good}.{signature}")),
        (
            "five parts, as encrypted ones have",
            format!("{good}.{signature}.{signature}"),
        ),
        ("truncated", good[..good.len() - 2].to_owned()),
        (
            "flipped bit",
            format!("{header}.{claims}.{}", encode(&flipped)),
        ),
        ("padding", format!("{good}=")),
        ("two tokens", format!("{good},{good}")),
        ("space", format!("{header}. {claims}.{signature}")),
        (
            "huge",
            format!("{header}.{}.{signature}", "A".repeat(9 << 10)),
        ),
        (
            "not UTF-8",
            format!("{}.{claims}.{signature}", encode(b"{\"alg\":\"\xff\"}")),
        ),
        ("claims of another token", {
            let other = encode(with("sub", json!("root")).as_bytes());
            format!("{header}.{other}.{signature}")
        }),
        (
            "ES256 with zeros, all of it",
            format!("{es256_signed}.{}", encode(&[0; 64])),
        ),
        (
            "EdDSA of another key",
            other.sign(&json!({ "alg": "EdDSA", "kid": "a-ed" }), &good_claims()),
        ),
        (
            "ES256 of another key",
            other.sign(&json!({ "alg": "ES256", "kid": "a-ec" }), &good_claims()),
        ),
        (
            "key of another algorithm",
            issuer.sign(&json!({ "alg": "ES256", "kid": "a-rsa" }), &good_claims()),
        ),
        ("HS256 by a public key in PEM", confused(RSA_PEM.as_bytes())),
        (
            "HS256 by a public point",
            confused(issuer.p256.public_key().as_ref()),
        ),
        ("HS256 by a shared key of the set, named", {
            sign_hs256(
                &json!({ "alg": "RS256", "kid": "a-oct" }),
                &good_claims().to_string(),
            )
        }),
        ("HS256 by nothing", confused(b"")),
    ]
}

fn headers() -> Vec<(&'static str, String)> {
    let none = |alg: &str| {
        let header = encode(json!({ "alg": alg }).to_string().as_bytes());
        format!("{header}.{}.", encode(good_claims().to_string().as_bytes()))
    };
    vec![
        ("alg none", none("none")),
        ("alg None", none("None")),
        ("alg nOnE", none("nOnE")),
        ("alg empty", none("")),
        ("alg hs256", with_header(&json!({ "alg": "hs256" }))),
        ("alg HS512", with_header(&json!({ "alg": "HS512" }))),
        ("alg missing", with_header(&json!({ "typ": "JWT" }))),
        ("alg null", with_header(&json!({ "alg": null }))),
        ("alg a list", with_header(&json!({ "alg": ["HS256"] }))),
        (
            "alg twice",
            with_header_text(r#"{"alg":"HS256","alg":"HS256"}"#),
        ),
        (
            "crit",
            with_header(&json!({ "alg": "HS256", "crit": ["exp"] })),
        ),
        ("b64", with_header(&json!({ "alg": "HS256", "b64": false }))),
        ("zip", with_header(&json!({ "alg": "HS256", "zip": "DEF" }))),
        (
            "enc",
            with_header(&json!({ "alg": "HS256", "enc": "A128GCM" })),
        ),
        (
            "typ",
            with_header(&json!({ "alg": "HS256", "typ": "secevent+jwt" })),
        ),
        (
            "kid a number",
            with_header(&json!({ "alg": "HS256", "kid": 7 })),
        ),
        (
            "kid long",
            with_header(&json!({ "alg": "HS256", "kid": "k".repeat(300) })),
        ),
        (
            "kid a path",
            with_header(&json!({ "alg": "EdDSA", "kid": "../../../../dev/null" })),
        ),
        (
            "kid SQL",
            with_header(&json!({ "alg": "EdDSA", "kid": "x' UNION SELECT 'k" })),
        ),
        (
            "kid a command",
            with_header(&json!({ "alg": "RS256", "kid": "$(id)|/bin/sh" })),
        ),
        (
            "jku",
            with_header(&json!({ "alg": "RS256", "jku": "http://127.0.0.1:1/", "kid": "j" })),
        ),
        (
            "x5u",
            with_header(&json!({ "alg": "RS256", "x5u": "http://127.0.0.1:1/", "kid": "j" })),
        ),
        (
            "jwk",
            with_header(&json!({ "alg": "RS256", "jwk": { "kty": "oct", "k": encode(SECRET) } })),
        ),
        (
            "x5c",
            with_header(&json!({ "alg": "RS256", "x5c": ["MIIB"] })),
        ),
        ("a list", with_header_text("[]")),
        ("a text", with_header_text("\"HS256\"")),
        (
            "deep",
            with_header_text(&format!("{}{}", "[".repeat(3_000), "]".repeat(3_000))),
        ),
    ]
}

fn claims() -> Vec<(&'static str, String)> {
    let twice = good_claims()
        .to_string()
        .replacen('{', r#"{"sub":"root","#, 1);
    vec![
        ("sub missing", with("sub", Value::Null)),
        ("sub a number", with("sub", json!(7))),
        ("sub empty", with("sub", json!(""))),
        ("sub with a line", with("sub", json!("ada\r\nX: y"))),
        ("sub NUL", with("sub", json!("ada\u{0}"))),
        ("sub long", with("sub", json!("a".repeat(257)))),
        ("sub twice", twice),
        ("exp missing", with("exp", Value::Null)),
        ("exp past", with("exp", json!(NOW - 1))),
        ("exp now", with("exp", json!(NOW))),
        ("exp a text", with("exp", json!((NOW + 600).to_string()))),
        ("exp true", with("exp", json!(true))),
        ("exp huge", with("exp", json!(1e300))),
        ("exp negative", with("exp", json!(-1))),
        (
            "exp in milliseconds",
            with("exp", json!((NOW + 600) * 1_000)),
        ),
        ("life too long", with("exp", json!(NOW + 25 * 3_600))),
        ("iat missing", with("iat", Value::Null)),
        ("iat ahead", with("iat", json!(NOW + 31))),
        ("iat a text", with("iat", json!("now"))),
        ("iat after exp", with("iat", json!(NOW + 601))),
        ("nbf ahead", with("nbf", json!(NOW + 31))),
        ("nbf a text", with("nbf", json!("later"))),
        ("aud missing", with("aud", Value::Null)),
        ("aud another", with("aud", json!("hub2"))),
        ("aud others", with("aud", json!(["a", "b"]))),
        ("aud a number", with("aud", json!(1))),
        ("aud an object", with("aud", json!({ "hub": true }))),
        ("iss missing", with("iss", Value::Null)),
        ("iss another", with("iss", json!("US"))),
        ("iss a list", with("iss", json!(["us"]))),
        ("role unknown", with("events", json!({ "role": "admin" }))),
        (
            "role of another case",
            with("events", json!({ "role": "Operator" })),
        ),
        (
            "role a list",
            with("events", json!({ "role": ["operator"] })),
        ),
        ("events a text", with("events", json!("operator"))),
        (
            "users a text",
            with("events", json!({ "role": "publisher", "users": "*" })),
        ),
        (
            "users too many",
            with("events", json!({ "users": vec!["a"; 65] })),
        ),
        (
            "a user too long",
            with("events", json!({ "users": ["a".repeat(257)] })),
        ),
        ("no object", "[]".to_owned()),
        ("null", "null".to_owned()),
        ("no JSON", "sub=ada".to_owned()),
        ("two objects", format!("{}{}", good_claims(), good_claims())),
    ]
}

#[tokio::test]
async fn no_bad_token_passes_and_all_are_answered_alike() {
    let (issuer, shelf) = (Issuer::new(), Arc::new(Shelf::default()));
    shelf.put(issuer.jwks("a-").to_string());
    let auth = auth(shelf);
    auth.load().await.unwrap();
    let good = hs256(&good_claims().to_string());
    auth.check_token(&good)
        .await
        .expect("the base of the table is good");
    let mut tokens = tampered(&issuer);
    tokens.extend(headers());
    let of_claims = claims().into_iter();
    tokens.extend(of_claims.map(|(name, claims)| (name, hs256(&claims))));
    assert!(tokens.len() >= 30, "{}", tokens.len());
    for (name, token) in tokens {
        let refused = auth.check_token(&token).await;
        assert_eq!(refused, Err(Problem::bad_token()), "{name}: {token}");
    }
}
