//! The first bytes of a connection, which say what is spoken on it.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    /// By prior knowledge (RFC 9113, 3.3).
    Http2,
}

/// Begins an HTTP/2 connection (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How much is read at first, in bytes: the whole head of most requests, so that it costs one read.
const FIRST_READ: usize = 1_024;

/// Reads until the version is known, and returns what was read with it.
///
/// We look ourselves because hyper-util's detection keeps 9 KB per connection for both versions.
///
/// # Errors
///
/// Those of the socket.
///
/// # Cancel safety
///
/// What was read is lost.
pub(super) async fn read_version<S>(socket: &mut S) -> io::Result<(Version, Bytes)>
where
    S: AsyncRead + Unpin,
{
    let mut bytes = Vec::with_capacity(FIRST_READ);
    loop {
        let n_read = socket.read_buf(&mut bytes).await?;
        if bytes.starts_with(PREFACE) {
            return Ok((Version::Http2, bytes.into()));
        }
        // A client that ends in the middle of the preface is told what an unfinished request is told.
        if n_read == 0 || !PREFACE.starts_with(&bytes) {
            return Ok((Version::Http1, bytes.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_preface_is_known_in_pieces_and_whatever_differs_is_http_1() {
        for (pieces, version) in [
            (
                &["PRI * HT", "TP/2.0\r\n\r\nSM\r\n\r\n"][..],
                Version::Http2,
            ),
            (&["GET / HTTP/1.1\r\n"], Version::Http1),
            (&["P", "OST / HTTP/1.1\r\n"], Version::Http1),
            (&["PRI * HTTP/2.0\r\n\r\nSN"], Version::Http1),
        ] {
            let (mut client, mut socket) = duplex(64);
            let writing = async {
                for piece in pieces {
                    client.write_all(piece.as_bytes()).await.unwrap();
                    tokio::task::yield_now().await;
                }
                // Open until it is known.
                std::future::pending::<()>().await;
            };
            let (found, bytes) = tokio::select! {
                read = read_version(&mut socket) => read.unwrap(),
                () = writing => unreachable!("it goes on"),
            };
            assert_eq!((found, &*bytes), (version, pieces.concat().as_bytes()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_decided_before_it_differs_or_ends() {
        let (mut client, mut socket) = duplex(64);
        client.write_all(b"PRI").await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_secs(60), read_version(&mut socket));
        assert!(waiting.await.is_err());

        let (client, mut socket) = duplex(64);
        drop(client);
        let read = read_version(&mut socket).await.unwrap();
        assert_eq!(read, (Version::Http1, Bytes::new()));
    }
}
