//! PgBouncer before a server.

use std::{
    fs, io,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::interval;

use super::PostgresServer;
use crate::{
    deadline::{PATIENCE, within},
    skip,
};

/// Finds PgBouncer, also where only root looks for programs.
#[must_use]
pub fn pgbouncer() -> Option<PathBuf> {
    let system = Path::new("/usr/sbin/pgbouncer");
    skip::program("pgbouncer").or_else(|| system.is_file().then(|| system.to_owned()))
}

/// A PgBouncer in transaction mode before a server; dropping it ends it.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    _folder: TempDir,
    _child: tokio::process::Child,
}

impl Pooler {
    /// Starts it, with three connections to the server.
    ///
    /// # Errors
    ///
    /// When it is not ready in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends it.
    pub async fn start(program: &Path, server: &PostgresServer) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let ini = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n",
            server.port
        );
        fs::write(&ini, text)?;
        let mut command = Command::new(program);
        if let Some(user) = server.user {
            command.uid(user.uid).gid(user.gid);
            for path in [folder.path(), &ini] {
                chown(path, Some(user.uid), Some(user.gid))?;
            }
        }
        let log = fs::File::create(folder.path().join("log"))?;
        command
            .arg("-q")
            .arg(&ini)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let mut command: tokio::process::Command = command.into();
        let child = command.kill_on_drop(true).spawn()?;
        within("PgBouncer", PATIENCE, async {
            let mut ticks = interval(Duration::from_millis(20));
            while tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_err()
            {
                ticks.tick().await;
            }
            Ok(())
        })
        .await?;
        Ok(Self {
            port,
            _folder: folder,
            _child: child,
        })
    }

    /// Returns the address of the database `postgres` behind it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}
