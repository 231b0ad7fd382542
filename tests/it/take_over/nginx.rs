//! Streams behind nginx as it comes, and as it is set for HTTP/1.1 to what is behind it.

use std::process::Stdio;

use events_tests::skip::{program, require};
use tokio::process::Command;

use super::*;

/// What has no line here is as nginx has it by default: HTTP/1.0, buffering, `Connection: close`.
fn config(address: SocketAddr, hub: SocketAddr) -> String {
    format!(
        "pid nginx.pid; error_log stderr warn; worker_processes 1; events {{}}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {{
        listen {address};
        location / {{ proxy_pass http://{hub}; }}
        location /newer/ {{
            proxy_pass http://{hub}/; proxy_http_version 1.1; proxy_set_header Connection \"\";
        }}
    }}
}}"
    )
}

#[tokio::test]
async fn streams_pass_nginx_in_both_versions() {
    let name = "streams_pass_nginx_in_both_versions";
    let Some(program) = require(name, "nginx", program("nginx")) else {
        return;
    };
    let served = Served::plain().await;
    let folder = tempfile::tempdir().unwrap();
    // Free now; whoever takes it in between makes the start fail.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, config(address, served.address)).unwrap();
    let _nginx = Command::new(program)
        .arg("-p")
        .arg(folder.path())
        .arg("-c")
        .arg(&file)
        .args(["-g", "daemon off; master_process off;"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    within("nginx", PATIENCE, async {
        while get(address, "/health/live", &[]).await.is_err() {
            ticks.tick().await;
        }
        Ok(())
    })
    .await
    .unwrap();
    for (path, n_taken) in [("/agui", 0), ("/newer/agui", 1)] {
        let mut stream = RawSse::connect(address, path, &[]).await.unwrap();
        check_whole(&served, &mut stream, path).await;
        assert_eq!(served.n_taken().await, n_taken, "{path}");
        drop(stream);
        served.n_connected(0).await;
    }
}
