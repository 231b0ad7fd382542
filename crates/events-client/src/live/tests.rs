use futures_util::StreamExt;

use super::*;
use crate::{
    PublishKind,
    line::Json,
    test_server::{TestServer, answer, within},
};

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n";

fn publisher(server: &TestServer) -> LivePublisher {
    let request = Publish::to(PublishKind::AgUi, "a b").thread("t");
    let client = Client::new(&server.url).unwrap();
    client.publish_live(&request).unwrap()
}

async fn next(publisher: &mut LivePublisher) -> Receipt {
    within(publisher.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn each_line_gets_its_receipt_while_the_body_is_open() {
    let server = TestServer::start().await;
    let mut publisher = publisher(&server);
    let play = async {
        let mut exchange = server.accept().await;
        exchange.read_until(b"{\"n\":1}\n").await;
        exchange
            .send(format!("{HEAD}{{\"line\":1,\"ids\":[\"x\"]}}\n"))
            .await;
        exchange.read_until(b"[2]\n").await;
        exchange
            .send("{\"line\":2,\"error\":{\"detail\":\"no\",\"path\":\"$\"}}\n")
            .await;
        // The end of a chunked body.
        exchange.read_until(b"\r\n0\r\n\r\n").await;
        exchange.send("{\"line\":3,\"ids\":[]}").await;
        exchange.end().await;
        exchange
    };
    let produce = async {
        assert_eq!(publisher.send("{\"n\":1}").await.unwrap(), 1);
        let ids = Ok(vec!["x".to_owned()]);
        assert_eq!(
            next(&mut publisher).await,
            Receipt {
                line: 1,
                result: ids
            }
        );
        assert_eq!(publisher.send(Json([2])).await.unwrap(), 2);
        let refused = next(&mut publisher).await;
        assert_eq!(refused.line, 2);
        assert_eq!(refused.result.unwrap_err().to_string(), "no (at $)");
        assert_eq!(publisher.send("3").await.unwrap(), 3);
        publisher.close();
        assert!(matches!(publisher.send("4").await, Err(Error::Closed)));
        let ids = Ok(Vec::new());
        assert_eq!(
            next(&mut publisher).await,
            Receipt {
                line: 3,
                result: ids
            }
        );
        assert!(within(publisher.next()).await.is_none());
        assert!(within(publisher.next()).await.is_none());
    };
    let (exchange, ()) = tokio::join!(play, produce);
    assert_eq!(
        exchange.request_line(),
        "POST /publish/agui/a%20b/live?thread=t HTTP/1.1"
    );
    assert_eq!(
        exchange.header("content-type"),
        Some("application/x-ndjson")
    );
}

#[tokio::test]
async fn receipts_wait_for_a_caller_that_only_sends() {
    let server = TestServer::start().await;
    let mut publisher = publisher(&server);
    let n_lines = 500;
    let play = async {
        let mut exchange = server.accept().await;
        exchange.send(HEAD).await;
        for line in 1..=n_lines {
            exchange
                .read_until(format!("\"{line}\"\n").as_bytes())
                .await;
            exchange
                .send(format!("{{\"line\":{line},\"ids\":[\"{line}\"]}}\n"))
                .await;
        }
        exchange.end().await;
    };
    let produce = async {
        for line in 1..=n_lines {
            assert_eq!(
                within(publisher.send(Json(line.to_string())))
                    .await
                    .unwrap(),
                line
            );
        }
        publisher.close();
        for line in 1..=n_lines {
            let result = Ok(vec![line.to_string()]);
            assert_eq!(next(&mut publisher).await, Receipt { line, result });
        }
        assert!(within(publisher.next()).await.is_none());
    };
    tokio::join!(play, produce);
}

#[tokio::test(start_paused = true)]
async fn a_silent_producer_is_kept_alive() {
    let server = TestServer::start().await;
    let mut publisher = publisher(&server);
    let started = Instant::now();
    let play = async {
        let mut exchange = server.accept().await;
        exchange.send(HEAD).await;
        exchange.read_until(b":\n").await;
        assert!(started.elapsed() >= HEARTBEAT_INTERVAL);
        exchange.send("{\"line\":2,\"ids\":[\"x\"]}\n").await;
        exchange.end().await;
    };
    let produce = async {
        publisher.send("{}").await.unwrap();
        next(&mut publisher).await
    };
    let ((), receipt) = tokio::join!(play, produce);
    // The keep-alive is the hub's line 2, and no line of the caller.
    assert_eq!(receipt.line, 1);
}

#[tokio::test]
async fn a_refused_caller_is_told_so() {
    let server = TestServer::start().await;
    let mut publisher = publisher(&server);
    publisher.send("{}").await.unwrap();
    let play = server.answer(answer("401 Who", "", r#"{"detail":"no token"}"#));
    let (item, _exchange) = tokio::join!(within(publisher.next()), play);
    assert!(
        matches!(item, Some(Err(Error::Status { status: 401, .. }))),
        "{item:?}"
    );
    assert!(matches!(publisher.send("{}").await, Err(Error::Closed)));
    assert!(within(publisher.next()).await.is_none());
}

#[tokio::test]
async fn an_answer_that_ends_early_is_an_error() {
    let server = TestServer::start().await;
    let mut publisher = publisher(&server);
    let play = server.answer(HEAD);
    publisher.send("{}").await.unwrap();
    let (item, _exchange) = tokio::join!(within(publisher.next()), play);
    assert!(matches!(item, Some(Err(Error::Live(_)))), "{item:?}");
    assert!(within(publisher.next()).await.is_none());
}
