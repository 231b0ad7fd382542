use super::*;

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nconnection: close\r\nTransfer-Encoding: Chunked\r\ndate: now\r\n\r\n";

fn chunk(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_chunk(data, &mut out);
    out
}

#[test]
fn a_size_line_is_hexadecimal_without_zeros_in_front() {
    for n_bytes in [1, 9, 10, 15, 16, 255, 256, 4_095, 4_096, 65_537, 1 << 30] {
        let mut out = Vec::new();
        push_size(n_bytes, &mut out);
        assert_eq!(out, format!("{n_bytes:X}\r\n").as_bytes());
    }
    assert_eq!(chunk(b"0123456789"), b"A\r\n0123456789\r\n");
    assert_eq!(chunk(b""), b"");
}

#[test]
fn only_one_head_that_we_rely_on_and_exactly_the_chunk_are_taken() {
    let first = chunk(b"retry: 1\n\n");
    let with = |head: &[u8], rest: &[u8]| is_head_and(&[head, rest].concat(), &first);
    assert!(with(HEAD, &first));
    assert!(is_head_and(HEAD, b""));
    assert!(!with(HEAD, b""));
    assert!(!with(HEAD, &first[..first.len() - 1]));
    assert!(!with(HEAD, &[&first[..], b"0\r\n\r\n"].concat()));
    assert!(!with(HEAD, &[&first[..], &first[..]].concat()));
    assert!(!with(b"", &first));
    assert!(!with(&[HEAD, HEAD].concat(), &first));
    for (old, new) in [
        ("200 OK", "206 Partial Content"),
        ("HTTP/1.1", "HTTP/1.0"),
        ("connection: close", "connection: keep-alive"),
        ("Transfer-Encoding: Chunked", "content-length: 10"),
    ] {
        let head = String::from_utf8_lossy(HEAD).replace(old, new);
        assert!(!with(head.as_bytes(), &first), "{new}");
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nx: {}{}",
        "y".repeat(MOST_COMPARED),
        &String::from_utf8_lossy(&HEAD[15..])
    );
    assert!(!with(head.as_bytes(), &first), "it was not kept whole");
}

#[test]
fn one_head_is_told_from_two_from_a_part_and_from_early_bytes() {
    let is_one = |pieces: &[&str]| {
        let mut heads = Heads::default();
        for piece in pieces {
            heads.read(piece.as_bytes());
        }
        heads.is_one()
    };
    assert!(is_one(&["GET / HTTP/1.1\r\nhost: a\r\n\r\n"]));
    assert!(is_one(&["GET / HTTP/1.1\r\n", "host: a\r", "\n\r", "\n"]));
    assert!(is_one(&["GET / HTTP/1.1\r\r\n\r\n"]));
    assert!(!is_one(&["GET / HTTP/1.1\r\nhost: a\r\n"]));
    assert!(!is_one(&["GET / HTTP/1.1\r\n\r\n", "G"]));
    assert!(!is_one(&["GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"]));
    for text in ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "G\r\n\r\r\n\r\n"] {
        // Wherever it is cut.
        for at in 0..text.len() {
            let (one, other) = text.split_at(at);
            assert!(is_one(&[one, other]), "{text:?} at {at}");
            assert!(!is_one(&[one, other, "\r"]), "{text:?} at {at}");
            assert!(!is_one(&[one, &format!("{other}G")]), "{text:?} at {at}");
        }
    }
    assert!(
        !is_one(&["GET / HTTP/1.1\n\n"]),
        "hyper takes it, we do not"
    );
    assert!(!is_one(&[]));
}

#[test]
fn what_was_read_before_an_answer_is_of_an_earlier_request() {
    let handover = Handover::default();
    let request = || Request::get("/").body(Body::empty()).unwrap();
    handover.has_read(b"GET /a HTTP/1.1\r\n\r\n");
    assert!(handover.could_take(&request()));
    handover.has_written(&[IoSlice::new(b"HTTP/1.1 200 OK")], 15);
    assert!(!handover.could_take(&request()));
    handover.has_read(b"GET /b HTTP/1.1\r\n\r\n");
    assert!(handover.could_take(&request()));
    for request in [
        Request::head("/").body(Body::empty()),
        Request::post("/").body(Body::empty()),
        Request::get("/").body(Body::from("x")),
        Request::get("/")
            .header("content-length", "0")
            .body(Body::empty()),
        Request::get("/")
            .header("upgrade", "h2c")
            .body(Body::empty()),
        Request::get("/")
            .version(Version::HTTP_10)
            .body(Body::empty()),
    ] {
        assert!(!handover.could_take(&request.unwrap()));
    }
}
