//! Running a trial.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use super::client::Client;
use super::engine::{Engine, EngineKind};
use super::faults::schedule;
use super::hubs::Hubs;
use super::publisher::{Ledger, Publisher};
use super::report::{Report, Row};
use super::verdict::{ClientRecord, Finding, PublisherRecord, What, check};
use super::{Kind, rest};
use crate::client_log::seq_of;
use crate::deadline::PATIENCE;

/// What is tried.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The log.
    pub engine: EngineKind,
    /// Replicas.
    pub n_hubs: usize,
    /// Users; a third has AG-UI runs, a third system events of two publishers, a third A2A tasks.
    pub n_users: usize,
    /// Clients, dealt out to the users; of those with runs or tasks, each third keeps a screen.
    pub n_clients: usize,
    /// Faults, one after the other.
    pub n_faults: usize,
    /// How long is published at least.
    pub time: Duration,
    /// The time between two publishes of a user, on average.
    pub period: Duration,
    /// How long a client stays with a hub, at least and at most, in milliseconds.
    pub stay_ms: std::ops::Range<u64>,
    /// How soon after a fault everybody has to have news, beyond what that takes just before it, and what the
    /// log takes by its own rules.
    pub recovery: Duration,
    /// From which everything is drawn.
    pub seed: u64,
}

/// One user of a trial.
#[derive(Debug)]
struct User {
    ledgers: Vec<Ledger>,
    /// What each client has reached.
    reached: Vec<Arc<AtomicU64>>,
}

/// A trial under way.
struct Trial {
    plan: Plan,
    random: fastrand::Rng,
    users: Vec<User>,
    publishers: JoinSet<()>,
    clients: JoinSet<(usize, ClientRecord)>,
    /// Changes when everybody is to publish at once.
    probes: watch::Sender<u32>,
    publishers_end: watch::Sender<bool>,
    clients_end: watch::Sender<bool>,
    begun_at: Instant,
}

impl Plan {
    /// Runs it for the test of this name; none if the test lacks the engine.
    ///
    /// # Errors
    ///
    /// When something of the trial itself does not work. What the hubs do wrong is in the report.
    ///
    /// # Panics
    ///
    /// When the engine is missing and everything is required.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends everything.
    pub async fn run(self, test: &str) -> io::Result<Option<Report>> {
        let Some(mut engine) = Engine::start(test, self.engine, self.n_hubs).await? else {
            return Ok(None);
        };
        let arguments = (0..self.n_hubs).map(|hub| engine.arguments(hub)).collect();
        let mut hubs = Hubs::start(arguments).await?;
        let mut trial = Trial::begin(self, &hubs);
        let mut findings = trial.settle().await;
        let rows = trial.suffer(&mut hubs, &mut engine, &mut findings).await?;
        let report = trial.end(test, rows, findings).await?;
        Ok(Some(report))
    }
}

impl Trial {
    fn begin(plan: Plan, hubs: &Hubs) -> Self {
        let mut trial = Self {
            random: fastrand::Rng::with_seed(plan.seed),
            users: Vec::new(),
            publishers: JoinSet::new(),
            clients: JoinSet::new(),
            probes: watch::Sender::new(0),
            publishers_end: watch::Sender::new(false),
            clients_end: watch::Sender::new(false),
            begun_at: Instant::now(),
            plan,
        };
        for user in 0..trial.plan.n_users {
            trial.add_user(user, hubs);
        }
        for client in 0..trial.plan.n_clients {
            trial.add_client(client, hubs);
        }
        trial
    }

    const fn kind_of(user: usize) -> Kind {
        match user % 3 {
            0 => Kind::AgUi,
            1 => Kind::System,
            _ => Kind::A2A,
        }
    }

    fn add_user(&mut self, user: usize, hubs: &Hubs) {
        let kind = Self::kind_of(user);
        // One thread has one run at a time, and a task's chunks follow each other; other events may come from anywhere.
        let n_publishers = if kind == Kind::System { 2 } else { 1 };
        let mut ledgers = Vec::new();
        for at in 0..n_publishers {
            let name = format!("u{user}p{at}");
            let period = self.plan.period * n_publishers;
            let (board, seed) = (hubs.board(), self.random.u64(..));
            let (publisher, ledger) =
                Publisher::new(name, format!("u{user}"), kind, period, board, seed);
            ledgers.push(ledger);
            let (is_over, probes) = (self.publishers_end.subscribe(), self.probes.subscribe());
            self.publishers.spawn(publisher.run(is_over, probes));
        }
        let reached = Vec::new();
        self.users.push(User { ledgers, reached });
    }

    fn add_client(&mut self, client: usize, hubs: &Hubs) {
        let user = client % self.plan.n_users;
        let reached = Arc::new(AtomicU64::new(0));
        self.users[user].reached.push(Arc::clone(&reached));
        let (name, kind) = (format!("client {client} of u{user}"), Self::kind_of(user));
        let (board, seed) = (hubs.board(), self.random.u64(..));
        let keeps_a_screen = client / self.plan.n_users % 3 == 2;
        let client = Client::new(name, format!("u{user}"), kind, board, reached, seed);
        let mut client = client.staying(self.plan.stay_ms.clone());
        if keeps_a_screen {
            client = client.keeping_a_screen();
        }
        let is_over = self.clients_end.subscribe();
        self.clients
            .spawn(async move { (user, client.run(is_over).await) });
    }

    /// Waits until everybody has had news.
    async fn settle(&self) -> Vec<Finding> {
        match self.recover(Instant::now(), PATIENCE).await {
            Some(_) => Vec::new(),
            None => vec![self.slow("the beginning", PATIENCE)],
        }
    }

    /// Goes through all faults, one after the other.
    async fn suffer(
        &mut self,
        hubs: &mut Hubs,
        engine: &mut Engine,
        findings: &mut Vec<Finding>,
    ) -> io::Result<Vec<Row>> {
        let plan = &self.plan;
        let n_servers = engine.n_servers();
        let faults = schedule(
            plan.engine,
            plan.n_hubs,
            n_servers,
            plan.n_faults,
            &mut self.random,
        );
        // What is left of the time lies between the faults.
        let pause = plan.time / u32::try_from(2 * faults.len()).unwrap_or(u32::MAX).max(1);
        let mut rows = Vec::new();
        for (fault, time) in faults {
            rest(pause).await;
            let mut ledgers = self.users.iter().flat_map(|user| &user.ledgers);
            if ledgers.any(Ledger::has_stopped) {
                // Its user will have no more news, whatever happens.
                break;
            }
            // A busy machine is slow without any fault.
            let before = self.recover(Instant::now(), 2 * PATIENCE).await;
            let before = before.unwrap_or(2 * PATIENCE);
            let limit = before + self.plan.recovery + fault.engine_time(self.plan.engine);
            let begun_at = Instant::now();
            fault.begin(hubs, engine).await?;
            rest(time).await;
            fault.end(hubs, engine).await?;
            let ended_at = Instant::now();
            let mut recovered = self.recover(ended_at, limit).await;
            if recovered.is_none() {
                findings.push(self.slow(&format!("{fault:?}"), limit));
                // The next fault shall not be blamed for this one.
                recovered = self.recover(ended_at, 2 * PATIENCE).await;
            }
            rows.push(Row {
                fault,
                at: begun_at - self.begun_at,
                lasted: ended_at - begun_at,
                before,
                recovered,
                n_acked: self.n_acked(),
            });
        }
        rest(self.plan.time.saturating_sub(self.begun_at.elapsed())).await;
        Ok(rows)
    }

    fn n_acked(&self) -> usize {
        let ledgers = self.users.iter().flat_map(|user| &user.ledgers);
        ledgers.map(Ledger::n_acked).sum()
    }

    /// Waits until every client has got an event that was sent after a moment; how long after it that was.
    async fn recover(&self, moment: Instant, limit: Duration) -> Option<Duration> {
        self.probes.send_modify(|n_probes| *n_probes += 1);
        let mut ticks = interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            if self.users.iter().all(|user| user.has_news_of(moment)) {
                return Some(moment.elapsed());
            }
            if moment.elapsed() > limit {
                return None;
            }
        }
    }

    fn slow(&self, what: &str, limit: Duration) -> Finding {
        let late = |(at, user): (usize, &User)| {
            let (news, reached) = (user.last(), user.all_reached());
            format!("u{at}: acknowledged {news}, reached {reached:?}")
        };
        let at = self.begun_at.elapsed();
        let behind = self
            .users
            .iter()
            .enumerate()
            .filter(|(_, user)| !user.has_all());
        let users: Vec<String> = behind.take(5).map(late).collect();
        let users = users.join("; ");
        Finding::new(
            What::Slow,
            what,
            format_args!("{limit:?} after it, {at:?} after the beginning: {users}"),
        )
    }

    /// Lets publishers and clients come to an end, and compares.
    async fn end(
        mut self,
        test: &str,
        rows: Vec<Row>,
        mut findings: Vec<Finding>,
    ) -> io::Result<Report> {
        self.publishers_end.send_replace(true);
        while self.publishers.join_next().await.is_some() {}
        let mut ticks = interval(Duration::from_millis(20));
        let deadline = Instant::now() + PATIENCE;
        while !self.users.iter().all(User::has_all) && Instant::now() < deadline {
            ticks.tick().await;
        }
        self.clients_end.send_replace(true);
        let took = self.begun_at.elapsed();
        let mut clients: Vec<Vec<ClientRecord>> = self.users.iter().map(|_| Vec::new()).collect();
        while let Some(ended) = self.clients.join_next().await {
            let (user, record) = ended.map_err(io::Error::other)?;
            clients[user].push(record);
        }
        let mut report = Report {
            name: format!("{test} on {:?}", self.plan.engine),
            seed: self.plan.seed,
            rows,
            took,
            n_acked: self.n_acked(),
            n_retries: 0,
            n_clients: self.plan.n_clients,
            n_screens: 0,
            n_connections: 0,
            n_delivered: 0,
            n_degraded: (0, 0),
            findings: Vec::new(),
        };
        for (user, clients) in self.users.iter().zip(&clients) {
            let publishers: Vec<PublisherRecord> =
                user.ledgers.iter().map(Ledger::record).collect();
            for publisher in &publishers {
                report.n_retries += publisher.n_retries;
            }
            for client in clients {
                report.n_connections += client.n_connections;
                report.n_delivered += client.sights.len() + client.n_shown;
                report.n_screens += usize::from(client.screen.is_some());
                report.n_degraded.0 += client.n_degraded.0;
                report.n_degraded.1 += client.n_degraded.1;
            }
            findings.extend(check(&publishers, clients));
        }
        report.findings = findings;
        Ok(report)
    }
}

impl User {
    fn has_news_of(&self, moment: Instant) -> bool {
        let firsts = self
            .ledgers
            .iter()
            .filter_map(|ledger| ledger.first_after(moment));
        let news = firsts.filter_map(|id| seq_of(&id).ok()).min();
        news.is_some_and(|seq| self.all_reached().iter().all(|reached| *reached >= seq))
    }

    fn has_all(&self) -> bool {
        let last = self.last();
        self.all_reached().iter().all(|reached| *reached >= last)
    }

    /// The number of the last acknowledged event.
    fn last(&self) -> u64 {
        let lasts = self.ledgers.iter().filter_map(Ledger::last);
        lasts.filter_map(|id| seq_of(&id).ok()).max().unwrap_or(0)
    }

    fn all_reached(&self) -> Vec<u64> {
        let reached = self.reached.iter();
        reached
            .map(|reached| reached.load(Ordering::Relaxed))
            .collect()
    }
}
