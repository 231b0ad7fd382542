//! What happens in a trial, drawn from its seed.

use std::io;
use std::time::Duration;

use super::engine::{Engine, EngineKind};
use super::hubs::Hubs;
use crate::fault_proxy::Faults;

/// Something that goes wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A hub is killed, and started again.
    HubKilled(usize),
    /// A hub stands still, and goes on.
    HubPaused(usize),
    /// A server of the log is killed, and started again.
    EngineKilled(usize),
    /// A server of the log stands still, and goes on.
    EnginePaused(usize),
    /// A hub's connections to the log are closed, and it gets new ones.
    LinkCut(usize),
    /// A hub's connections to the log are reset, and new ones refused for a while.
    LinkRefused(usize),
    /// Nothing passes between a hub and the log for a while.
    LinkStalled(usize),
    /// What the log says does not reach a hub for a while.
    LinkDeaf(usize),
    /// The sessions by which hubs hear of news are ended.
    ListenersCut,
}

/// The faults of a trial with how long each lasts: each kind that there is, then any.
#[must_use]
pub fn schedule(
    kind: EngineKind,
    n_hubs: usize,
    n_servers: usize,
    n_faults: usize,
    random: &mut fastrand::Rng,
) -> Vec<(Fault, Duration)> {
    let mut faults = Vec::new();
    while faults.len() < n_faults {
        let mut round = vec![
            Fault::HubKilled(random.usize(..n_hubs)),
            Fault::HubPaused(random.usize(..n_hubs)),
        ];
        if kind.has_process() {
            round.push(Fault::EngineKilled(random.usize(..n_servers)));
            round.push(Fault::EnginePaused(random.usize(..n_servers)));
        }
        if kind.has_links() {
            round.push(Fault::LinkCut(random.usize(..n_hubs)));
            round.push(Fault::LinkRefused(random.usize(..n_hubs)));
            round.push(Fault::LinkStalled(random.usize(..n_hubs)));
            round.push(Fault::LinkDeaf(random.usize(..n_hubs)));
        }
        if kind == EngineKind::Postgres {
            round.push(Fault::ListenersCut);
        }
        random.shuffle(&mut round);
        faults.extend(round);
    }
    faults.truncate(n_faults);
    let time = |fault| {
        let ms = match fault {
            // Long enough for a publish to time out, now and then.
            Fault::HubPaused(_) | Fault::LinkStalled(_) | Fault::LinkDeaf(_) => 500..3_000,
            Fault::EnginePaused(_) => 300..2_500,
            Fault::HubKilled(_) | Fault::EngineKilled(_) | Fault::LinkRefused(_) => 50..1_000,
            Fault::LinkCut(_) | Fault::ListenersCut => 0..1,
        };
        (fault, ms)
    };
    let drawn = faults.into_iter().map(time);
    drawn
        .map(|(fault, ms)| (fault, Duration::from_millis(random.u64(ms))))
        .collect()
}

impl Fault {
    /// Returns how long the log itself may be away after it, by its own rules.
    #[must_use]
    pub const fn engine_time(self, kind: EngineKind) -> Duration {
        match (self, kind) {
            // A cluster of NATS chooses another leader four to nine seconds after the last word of the old one.
            (
                Self::EngineKilled(_) | Self::EnginePaused(_),
                EngineKind::Nats { n_servers: 2.. },
            ) => Duration::from_secs(9),
            _ => Duration::ZERO,
        }
    }

    /// Makes it happen.
    ///
    /// # Errors
    ///
    /// When it cannot.
    ///
    /// # Cancel safety
    ///
    /// It may have happened.
    pub async fn begin(self, hubs: &mut Hubs, engine: &mut Engine) -> io::Result<()> {
        match self {
            Self::HubKilled(at) => hubs.kill(at).await,
            Self::HubPaused(at) => hubs.signal(at, "STOP").await,
            Self::EngineKilled(at) => engine.kill(at).await,
            Self::EnginePaused(at) => engine.signal(at, "STOP").await,
            Self::ListenersCut => engine.cut_listeners().await,
            Self::LinkCut(at) => {
                engine.link(at).inspect(|link| link.cut_all());
                Ok(())
            }
            Self::LinkRefused(at) => {
                let faults = Faults {
                    is_refusing: true,
                    ..Faults::default()
                };
                if let Some(link) = engine.link(at) {
                    link.set_faults(faults);
                    link.reset_all();
                }
                Ok(())
            }
            Self::LinkStalled(at) | Self::LinkDeaf(at) => {
                let faults = Faults {
                    is_stalled_up: matches!(self, Self::LinkStalled(_)),
                    is_stalled_down: true,
                    ..Faults::default()
                };
                engine.link(at).inspect(|link| link.set_faults(faults));
                Ok(())
            }
        }
    }

    /// Makes it over.
    ///
    /// # Errors
    ///
    /// When it cannot be made over.
    ///
    /// # Cancel safety
    ///
    /// It may be over.
    pub async fn end(self, hubs: &mut Hubs, engine: &mut Engine) -> io::Result<()> {
        match self {
            Self::HubKilled(at) => hubs.restart(at).await,
            Self::HubPaused(at) => hubs.signal(at, "CONT").await,
            Self::EngineKilled(at) => engine.restart(at).await,
            Self::EnginePaused(at) => engine.signal(at, "CONT").await,
            Self::LinkCut(_) | Self::ListenersCut => Ok(()),
            Self::LinkRefused(at) | Self::LinkStalled(at) | Self::LinkDeaf(at) => {
                let link = engine.link(at);
                link.inspect(|link| link.set_faults(Faults::default()));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_faults_and_every_kind() {
        let draw = |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            schedule(EngineKind::Postgres, 3, 1, 9, &mut random)
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let kinds: std::collections::HashSet<_> = draw(7)
            .iter()
            .map(|(fault, _)| std::mem::discriminant(fault))
            .collect();
        assert_eq!(kinds.len(), 9);
        let mut random = fastrand::Rng::with_seed(7);
        for (fault, _) in schedule(EngineKind::Disk, 1, 0, 20, &mut random) {
            assert!(matches!(fault, Fault::HubKilled(0) | Fault::HubPaused(0)));
        }
    }
}
