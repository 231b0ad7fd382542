//! TLS in front of a server, as a proxy does it, signed by an authority that nobody knows.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A running front; dropping it closes its listener and its connections.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    authority_pem: String,
    _tasks: JoinSet<()>,
}

impl TlsFront {
    /// Starts a front for `localhost` and 127.0.0.1, which hands what it decrypts to `target`.
    ///
    /// # Errors
    ///
    /// When no socket can be opened, or no certificate be made.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind when the future is dropped.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let (config, authority_pem) = identity().map_err(io::Error::other)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                // A client that refuses the certificate ends its connection, and that is its right.
                connections.spawn(async move { drop(forward(&acceptor, stream, target).await) });
            }
        });
        Ok(Self {
            address,
            authority_pem,
            _tasks: tasks,
        })
    }

    /// Returns the URL of the front, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Returns the certificate of the authority, in PEM.
    #[must_use]
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }
}

async fn forward(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    target: SocketAddr,
) -> io::Result<(u64, u64)> {
    let mut client = acceptor.accept(stream).await?;
    let mut server = TcpStream::connect(target).await?;
    copy_bidirectional(&mut client, &mut server).await
}

type Made<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn identity() -> Made<(ServerConfig, String)> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((config, authority.pem()))
}
