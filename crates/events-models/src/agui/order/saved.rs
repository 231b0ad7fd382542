//! The order of a thread as it is saved.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Ledger, Phase, ThreadOrder};
use crate::checkpoint::{CheckpointError, borrowed, require};

/// Turns beyond this are not believed, so that the next one exists.
const MAX_TURN: u64 = 1 << 53;

/// The subagent that owns a thing; none for the parent agent.
type SavedOwner<'a> = Option<Cow<'a, str>>;

/// A checker without its limit. Everything is in an order of its own, so that one state has one form.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::agui) struct SavedOrder<'a> {
    phase: SavedPhase<'a>,
    /// What is open, by kind, with its turn.
    open: [Vec<(Cow<'a, str>, u64)>; 4],
    /// Whose things are, by kind.
    owners: [Vec<(Cow<'a, str>, SavedOwner<'a>)>; 4],
    /// Name, owner and turn, by turn.
    steps: Vec<(Cow<'a, str>, SavedOwner<'a>, u64)>,
    /// With their turns while they are active.
    subagents: Vec<(Cow<'a, str>, Option<u64>)>,
    turn: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum SavedPhase<'a> {
    Fresh,
    #[serde(rename_all = "camelCase")]
    Active {
        run_id: Cow<'a, str>,
    },
    Finished,
    Failed,
}

impl<'a> From<&'a ThreadOrder> for SavedOrder<'a> {
    fn from(order: &'a ThreadOrder) -> Self {
        let ThreadOrder { phase, ledger, .. } = order;
        let mut steps: Vec<_> = ledger
            .steps
            .iter()
            .flat_map(|(name, active)| {
                let step = |(owner, turn): &'a (Option<Arc<str>>, u64)| {
                    (borrowed(name), owner.as_deref().map(borrowed), *turn)
                };
                active.iter().map(step)
            })
            .collect();
        steps.sort_unstable_by_key(|(_, _, turn)| *turn);
        Self {
            phase: match phase {
                Phase::Fresh => SavedPhase::Fresh,
                Phase::Active { run_id } => SavedPhase::Active {
                    run_id: borrowed(run_id),
                },
                Phase::Finished => SavedPhase::Finished,
                Phase::Failed => SavedPhase::Failed,
            },
            open: ledger
                .open
                .each_ref()
                .map(|open| sorted(open, |turn| *turn)),
            owners: ledger
                .owners
                .each_ref()
                .map(|owners| sorted(owners, |owner| owner.as_deref().map(borrowed))),
            steps,
            subagents: sorted(&ledger.subagents, |turn| *turn),
            turn: ledger.turn,
        }
    }
}

impl SavedOrder<'_> {
    /// Makes the checker again, with a limit as [`ThreadOrder::with_max_ids`] takes it.
    pub(in crate::agui) fn restore(self, max_ids: usize) -> Result<ThreadOrder, CheckpointError> {
        self.check_turns()?;
        let mut ledger = Ledger {
            turn: self.turn,
            n_steps: self.steps.len(),
            ..Ledger::default()
        };
        for (open, saved) in ledger.open.iter_mut().zip(self.open) {
            *open = table(saved, |turn| turn)?;
        }
        for (owners, saved) in ledger.owners.iter_mut().zip(self.owners) {
            *owners = table(saved, |owner| owner.as_deref().map(Arc::from))?;
        }
        ledger.subagents = table(self.subagents, |turn| turn)?;
        for (name, owner, turn) in self.steps {
            let is_new = !ledger.is_step_active(&name, owner.as_deref());
            require(is_new, "a step is active twice")?;
            let active = ledger.steps.entry(Arc::from(&*name)).or_default();
            active.push((owner.as_deref().map(Arc::from), turn));
        }
        let is_owned = ledger
            .open_streamed()
            .all(|(kind, id)| ledger.owner_of_item(kind, id).is_some());
        require(is_owned, "something is open that is nobody's")?;
        let phase = match self.phase {
            SavedPhase::Fresh => Phase::Fresh,
            SavedPhase::Active { run_id } => Phase::Active {
                run_id: Arc::from(&*run_id),
            },
            SavedPhase::Finished => Phase::Finished,
            SavedPhase::Failed => Phase::Failed,
        };
        let is_active = matches!(phase, Phase::Active { .. });
        require(
            is_active || ledger == Ledger::default(),
            "ids are remembered without a run",
        )?;
        Ok(ThreadOrder {
            phase,
            ledger,
            max_ids,
        })
    }

    /// No two things were opened in one turn, and none in a turn that is to come.
    fn check_turns(&self) -> Result<(), CheckpointError> {
        let of_subagents = self.subagents.iter().filter_map(|(_, turn)| *turn);
        let mut turns: Vec<u64> = self
            .open
            .iter()
            .flatten()
            .map(|(_, turn)| *turn)
            .chain(self.steps.iter().map(|(_, _, turn)| *turn))
            .chain(of_subagents)
            .collect();
        turns.sort_unstable();
        let are_distinct = turns.windows(2).all(|pair| pair[0] != pair[1]);
        require(are_distinct, "two things were opened in one turn")?;
        let is_past = turns.last().is_none_or(|last| *last <= self.turn);
        require(
            is_past && self.turn <= MAX_TURN,
            "something was opened in a turn that is to come",
        )
    }
}

/// Lists a table by its ids.
fn sorted<'a, V, S>(
    table: &'a HashMap<Arc<str>, V>,
    save: impl Fn(&'a V) -> S,
) -> Vec<(Cow<'a, str>, S)> {
    let mut listed: Vec<_> = table
        .iter()
        .map(|(id, value)| (borrowed(id), save(value)))
        .collect();
    listed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    listed
}

/// Makes a table of a list that names each id once.
fn table<V, S>(
    listed: Vec<(Cow<'_, str>, S)>,
    restore: impl Fn(S) -> V,
) -> Result<HashMap<Arc<str>, V>, CheckpointError> {
    let n_listed = listed.len();
    let table: HashMap<_, _> = listed
        .into_iter()
        .map(|(id, value)| (Arc::from(&*id), restore(value)))
        .collect();
    require(table.len() == n_listed, "an id is there twice")?;
    Ok(table)
}
