//! A browser's own EventSource as the client.

use events_broadcast::Limits;
use events_tests::browser::Browser;
use events_tests::client_log::{ClientLog, Entry, Published, published};
use events_tests::deadline::PATIENCE;
use events_tests::hub::Hub;
use events_tests::raw_client::{FrameSplitter, RawFrame};
use events_tests::report_server::ReportServer;
use events_tests::sample;

/// Reports carry their number: they travel on connections of their own.
const PAGE: &str = "<!doctype html><title>stream</title><script>
let n = 0;
const tell = (...words) => fetch('/report', { method: 'POST', body: JSON.stringify([n++, ...words]) });
const source = new EventSource('/hub/agui?user=ada');
source.onopen = () => tell('open');
source.onmessage = (event) => tell('message', event.lastEventId, event.data);
source.addEventListener('gap', (event) => tell('gap', event.lastEventId, event.data));
</script>";

type Report = (u64, String, Option<String>, Option<String>);

/// The page's reports, put back in their order.
struct Page {
    server: ReportServer,
    browser: Browser,
    n_taken: u64,
    early: Vec<Report>,
}

impl Page {
    async fn next(&mut self) -> Report {
        loop {
            let wanted = self.n_taken;
            if let Some(index) = self.early.iter().position(|report| report.0 == wanted) {
                self.n_taken += 1;
                return self.early.swap_remove(index);
            }
            let report = self.server.next_report(PATIENCE).await;
            let report = report.unwrap_or_else(|error| panic!("{error}: {}", self.browser.log()));
            let json: serde_json::Value = serde_json::from_str(&report).unwrap();
            let text = |index: usize| json[index].as_str().map(str::to_owned);
            let number = json[0].as_u64().unwrap();
            self.early
                .push((number, text(1).unwrap(), text(2), text(3)));
        }
    }

    async fn opened(&mut self) {
        assert_eq!(self.next().await.1, "open");
    }

    /// Notes events and gaps up to the id.
    async fn read_to(&mut self, log: &mut ClientLog, last: &str) {
        loop {
            let (_, kind, id, data) = self.next().await;
            let id = id.expect("an id");
            log.take(&frame(&kind, &id, &data.expect("data"))).unwrap();
            if id == last {
                return;
            }
        }
    }
}

fn frame(kind: &str, id: &str, data: &str) -> RawFrame {
    let name = if kind == "gap" { "event: gap\n" } else { "" };
    let mut splitter = FrameSplitter::default();
    splitter
        .push(format!("id: {id}\n{name}data: {data}\n\n").as_bytes())
        .unwrap();
    splitter.next_frame().unwrap().unwrap()
}

async fn publish(hub: &Hub, truth: &mut Published, run: &str, n_deltas: usize) -> String {
    let lines = sample::run("t", run, n_deltas);
    let ids = hub.publish_lines("ada", &lines).await.unwrap();
    truth.extend(published(&ids, &lines).unwrap());
    ids.last().unwrap().clone()
}

#[tokio::test]
async fn a_browser_comes_back_by_itself_and_has_every_event_once() {
    let limits = Limits {
        events: 32,
        ..Limits::default()
    };
    let hub = Hub::with_limits(limits).await.unwrap();
    let server = ReportServer::start().await.unwrap();
    server.page("/", PAGE);
    server.proxy("/hub", hub.address());
    let name = "a_browser_comes_back_by_itself_and_has_every_event_once";
    let Some(browser) = Browser::open(name, &server.url("/")).unwrap() else {
        return;
    };
    let mut page = Page {
        server,
        browser,
        n_taken: 0,
        early: Vec::new(),
    };
    let mut truth = Published::new();
    let mut log = ClientLog::default();
    log.begin_after(0);
    page.opened().await;
    let last = publish(&hub, &mut truth, "r1", 10).await;
    page.read_to(&mut log, &last).await;

    page.server.cut_streams();
    let last = publish(&hub, &mut truth, "r2", 10).await;
    page.opened().await;
    page.read_to(&mut log, &last).await;
    log.check(&truth).unwrap();
    assert_eq!((log.entries().len(), log.gaps().len()), (28, 0));

    page.server.cut_streams();
    hub.wait_for_connections("ada", 0).await.unwrap();
    let last = publish(&hub, &mut truth, "r3", 50).await;
    page.opened().await;
    page.read_to(&mut log, &last).await;
    log.check(&truth).unwrap();
    let reason = "trimmed".to_owned();
    assert_eq!(
        log.gaps(),
        [&Entry::Gap {
            reason,
            to: 50,
            lost: Some(22)
        }]
    );
    assert_eq!(log.entries().len(), 28 + 1 + 32);
}
