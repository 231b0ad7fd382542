//! nginx with the module nchan, with the paths of our servers.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The module's file.
const MODULE: &str = "ngx_nchan_module.so";

/// Finds the module, if nginx and it are installed.
pub(super) fn module() -> Option<PathBuf> {
    let output = Command::new("nginx").arg("-V").output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let folder = said
        .split_whitespace()
        .find_map(|word| word.strip_prefix("--modules-path="))?;
    let path = Path::new(folder).join(MODULE);
    path.is_file().then_some(path)
}

/// Writes a configuration for one worker; returns its folder and a port that was free.
///
/// # Errors
///
/// One line: what could not be written.
pub(super) fn configure(folder: &Path, module: &Path) -> Result<(PathBuf, u16), String> {
    let folder = folder.join("nchan");
    fs::create_dir_all(folder.join("logs"))
        .map_err(|error| super::cannot("make", &folder, &error))?;
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = free
        .map_err(|error| format!("no free port: {error}"))?
        .port();
    let path = folder.join("nginx.conf");
    let text = text(&folder, module, port, is_root());
    fs::write(&path, text).map_err(|error| super::cannot("write", &path, &error))?;
    Ok((folder, port))
}

/// Its workers may not read our folders as another user.
fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn text(folder: &Path, module: &Path, port: u16, is_root: bool) -> String {
    let user = if is_root { "user root;\n" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("  {name}_temp_path {}/{name};\n", folder.display()))
        .collect();
    format!(
        "load_module {};\n\
         {user}daemon off;\n\
         worker_processes 1;\n\
         worker_rlimit_nofile 20000;\n\
         pid nginx.pid;\n\
         error_log stderr warn;\n\
         events {{ worker_connections 19000; multi_accept on; }}\n\
         http {{\n\
         {temporary}\
         \x20 access_log off;\n\
         \x20 keepalive_requests 1000000000;\n\
         \x20 nchan_shared_memory_size 512M;\n\
         \x20 server {{\n\
         \x20   listen 127.0.0.1:{port} backlog=4096;\n\
         \x20   location = /agui {{\n\
         \x20     nchan_subscriber eventsource;\n\
         \x20     nchan_channel_id $arg_user;\n\
         \x20     nchan_subscriber_first_message newest;\n\
         \x20     nchan_eventsource_ping_interval 15;\n\
         \x20   }}\n\
         \x20   location ~ ^/publish/agui/(.+)$ {{\n\
         \x20     nchan_publisher http;\n\
         \x20     nchan_channel_id $1;\n\
         \x20     nchan_message_buffer_length 64;\n\
         \x20     nchan_message_timeout 10s;\n\
         \x20   }}\n\
         \x20 }}\n\
         }}\n",
        module.display()
    )
}

/// Tells whether it accepts connections.
pub(super) fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}
