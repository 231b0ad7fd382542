//! A PostgreSQL of a test's own: made in a temporary folder, on a port of loopback, killed and paused at will.

mod pooler;
mod processes;
mod psql;

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::interval;

use crate::deadline::{PATIENCE, within};
use crate::skip;

pub use pooler::{Pooler, pgbouncer};
pub use psql::PsqlSession;

use processes::{Account, account, is_running, processes, run, signal};

/// The folder of programs that `EVENTS_POSTGRES` names, or the newest that the system has.
#[must_use]
pub fn programs() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("EVENTS_POSTGRES") {
        return Some(PathBuf::from(folder));
    }
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = installed
        .filter_map(|entry| {
            let folder = entry.ok()?;
            let version: u32 = folder.file_name().to_str()?.parse().ok()?;
            let programs = folder.path().join("bin");
            programs
                .join("initdb")
                .is_file()
                .then_some((version, programs))
        })
        .max();
    newest.map(|(_, programs)| programs).or_else(|| {
        let initdb = skip::program("initdb")?;
        initdb.parent().map(Path::to_path_buf)
    })
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct PostgresServer {
    programs: PathBuf,
    folder: TempDir,
    user: Option<Account>,
    settings: Vec<String>,
    port: u16,
    child: Option<Child>,
}

impl PostgresServer {
    /// Makes a cluster and starts its server, with settings such as `max_connections=20`. Anybody on this machine is
    /// let in, but the role `secure` only by password.
    ///
    /// # Errors
    ///
    /// When a program fails, or the server is not ready in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the server.
    pub async fn start(programs: &Path, settings: &[&str]) -> io::Result<Self> {
        Self::start_with(programs, settings, &[]).await
    }

    /// Does the same with files, by name and content, in the folder of its data; readable by the server alone.
    ///
    /// # Errors
    ///
    /// As [`PostgresServer::start`].
    ///
    /// # Cancel safety
    ///
    /// As [`PostgresServer::start`].
    pub async fn start_with(
        programs: &Path,
        settings: &[&str],
        files: &[(&str, &str)],
    ) -> io::Result<Self> {
        let server = Self::stopped(programs, settings)?;
        let mut initdb = server.command("initdb");
        initdb.args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "-D",
        ]);
        run(initdb.arg(server.data())).await?;
        let hba = "host all secure 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n\
                   host replication all 127.0.0.1/32 trust\n";
        fs::write(server.data().join("pg_hba.conf"), hba)?;
        for (name, content) in files {
            server.write(name, content)?;
        }
        server.begin().await
    }

    /// Makes a standby of a running server and starts it.
    ///
    /// # Errors
    ///
    /// As [`PostgresServer::start`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the standby.
    pub async fn standby(primary: &Self) -> io::Result<Self> {
        let server = Self::stopped(&primary.programs, &[])?;
        let mut backup = server.command("pg_basebackup");
        backup.args([
            "--host=127.0.0.1",
            "--username=postgres",
            "--write-recovery-conf",
            "--checkpoint=fast",
        ]);
        backup
            .arg(format!("--port={}", primary.port))
            .arg("--pgdata")
            .arg(server.data());
        run(&mut backup).await?;
        server.begin().await
    }

    fn stopped(programs: &Path, settings: &[&str]) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let user = account()?;
        if let Some(user) = user {
            chown(folder.path(), Some(user.uid), Some(user.gid))?;
        }
        // Free now; whoever takes it in between makes the start fail, and says so.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self {
            programs: programs.to_owned(),
            folder,
            user,
            settings: settings
                .iter()
                .map(|setting| (*setting).to_owned())
                .collect(),
            port,
            child: None,
        })
    }

    async fn begin(mut self) -> io::Result<Self> {
        self.restart().await?;
        Ok(self)
    }

    /// Starts the server on the same data and port, when it has ended.
    ///
    /// # Errors
    ///
    /// When it is not ready in time.
    ///
    /// # Cancel safety
    ///
    /// The server may have been started.
    pub async fn restart(&mut self) -> io::Result<()> {
        within("PostgreSQL", PATIENCE * 3, async {
            let mut ticks = interval(Duration::from_millis(50));
            loop {
                ticks.tick().await;
                let has_ended = match &mut self.child {
                    Some(child) => child.try_wait()?.is_some(),
                    None => true,
                };
                // After a kill the old processes may still hold its memory; then the new one ends at once.
                if has_ended {
                    self.child = Some(self.spawn()?);
                }
                let mut ready = self.command("pg_isready");
                ready.args(["--quiet", "--host=127.0.0.1", "--timeout=1"]);
                if run(ready.arg(format!("--port={}", self.port)))
                    .await
                    .is_ok()
                {
                    return Ok(());
                }
            }
        })
        .await
    }

    fn spawn(&self) -> io::Result<Child> {
        let log = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.folder.path().join("log"))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        let port = format!("port={}", self.port);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            &port,
        ] {
            command.args(["-c", setting]);
        }
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn write(&self, name: &str, content: &str) -> io::Result<()> {
        let path = self.data().join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        if let Some(user) = self.user {
            chown(&path, Some(user.uid), Some(user.gid))?;
        }
        Ok(())
    }

    /// Returns the path of a file in the folder of its data.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.data().join(name).display().to_string()
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the id of the process whose children all others are.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Returns the address of the database `postgres` for a role.
    #[must_use]
    pub fn url(&self, role: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/postgres", self.port)
    }

    /// Kills the server and all its processes, as a crash does.
    ///
    /// # Errors
    ///
    /// When it does not end.
    ///
    /// # Cancel safety
    ///
    /// The server is killed all the same.
    pub async fn kill(&mut self) -> io::Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let processes = processes(child.id());
        // One of them may have ended since it was listed; whether all have is seen below.
        let _ = signal("KILL", &processes).await;
        child.wait()?;
        within("the end of PostgreSQL", PATIENCE, async {
            let mut ticks = interval(Duration::from_millis(5));
            while processes.iter().any(|id| is_running(*id)) {
                ticks.tick().await;
            }
            Ok(())
        })
        .await
    }

    /// Sends a signal to all processes of the server: `STOP`, `CONT`.
    ///
    /// # Errors
    ///
    /// When it has ended.
    ///
    /// # Cancel safety
    ///
    /// The signal may or may not have been sent.
    pub async fn signal(&self, name: &str) -> io::Result<()> {
        let child = self
            .child
            .as_ref()
            .ok_or_else(|| io::Error::other("PostgreSQL has ended"))?;
        signal(name, &processes(child.id())).await
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else {
            return;
        };
        // At once, but so that it gives its shared memory back; paused processes go on first.
        for name in ["CONT", "QUIT"] {
            let ids = processes(child.id());
            let ids = ids.iter().map(ToString::to_string);
            let _ = Command::new("kill")
                .args(["-s", name])
                .args(ids)
                .stderr(Stdio::null())
                .status();
        }
        let _ = child.wait();
    }
}
