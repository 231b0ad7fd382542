//! What is open in a run, and whose it is.

use std::{collections::HashMap, sync::Arc};

use super::ItemKind;

/// The subagent that owns a thing; none for the parent agent.
pub(super) type Owner = Option<Arc<str>>;

/// What ownership is remembered for; a thing keeps its owner after it is closed.
#[derive(Clone, Copy)]
pub(super) enum Owned {
    Message,
    ToolCall,
    Reasoning,
    Activity,
}

/// The four kinds that open and close by id alone.
fn streamed(kind: ItemKind) -> Option<(usize, Owned)> {
    match kind {
        ItemKind::TextMessage => Some((0, Owned::Message)),
        ItemKind::ToolCall => Some((1, Owned::ToolCall)),
        ItemKind::ReasoningMessage => Some((2, Owned::Reasoning)),
        ItemKind::ReasoningSpan => Some((3, Owned::Reasoning)),
        ItemKind::Step | ItemKind::Subagent => None,
    }
}

const STREAMED: [ItemKind; 4] = [
    ItemKind::TextMessage,
    ItemKind::ToolCall,
    ItemKind::ReasoningMessage,
    ItemKind::ReasoningSpan,
];

/// What a shared text costs beside itself, in bytes: its counters, the allocator's header and its rounding up.
const ID_HEADERS: usize = 48;

/// The bytes of a table's allocation: a power of two of places, of which an eighth stays free, each with a byte of
/// control.
fn table_bytes<K, V>(table: &HashMap<K, V>) -> usize {
    match table.capacity() {
        0 => 0,
        n_usable => (n_usable * 8).div_ceil(7).next_power_of_two() * (size_of::<(K, V)>() + 1) + 32,
    }
}

/// Something that is open.
pub(in crate::agui) struct OpenItem<'a> {
    pub(in crate::agui) kind: ItemKind,
    pub(in crate::agui) id: &'a Arc<str>,
    pub(in crate::agui) owner: Option<&'a Arc<str>>,
    opened: u64,
}

/// The ids of one run. Every open thing remembers its turn of opening, so that all can be closed in reverse.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct Ledger {
    pub(super) open: [HashMap<Arc<str>, u64>; 4],
    pub(super) owners: [HashMap<Arc<str>, Owner>; 4],
    /// By name, who has it active since which turn.
    pub(super) steps: HashMap<Arc<str>, Vec<(Owner, u64)>>,
    pub(super) n_steps: usize,
    /// `None` once the subagent has ended.
    pub(super) subagents: HashMap<Arc<str>, Option<u64>>,
    pub(super) turn: u64,
}

impl Ledger {
    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    /// Counts every id that is held.
    pub(super) fn n_ids(&self) -> usize {
        let n_open: usize = self.open.iter().map(HashMap::len).sum();
        let n_owners: usize = self.owners.iter().map(HashMap::len).sum();
        n_open + n_owners + self.n_steps + self.subagents.len()
    }

    /// Estimates from above the bytes that the ids take on the heap; looks at each of them.
    pub(super) fn held_bytes(&self) -> usize {
        let id_bytes = |id: &str| id.len() + ID_HEADERS;
        let owner_bytes = |owner: &Owner| owner.as_deref().map_or(0, id_bytes);
        let open = self
            .open
            .iter()
            .map(|open| table_bytes(open) + open.keys().map(|id| id_bytes(id)).sum::<usize>());
        let owners = self.owners.iter().map(|owners| {
            let ids = owners
                .iter()
                .map(|(id, owner)| id_bytes(id) + owner_bytes(owner));
            table_bytes(owners) + ids.sum::<usize>()
        });
        let steps = self.steps.iter().map(|(name, active)| {
            let owners = active.iter().map(|(owner, _)| owner_bytes(owner));
            id_bytes(name)
                + ID_HEADERS
                + active.capacity() * size_of::<(Owner, u64)>()
                + owners.sum::<usize>()
        });
        let subagents = self.subagents.keys().map(|id| id_bytes(id));
        let tables = table_bytes(&self.steps) + table_bytes(&self.subagents);
        tables
            + open
                .chain(owners)
                .chain(steps)
                .chain(subagents)
                .sum::<usize>()
    }

    // === Messages, calls, spans ===

    pub(super) fn is_open(&self, kind: ItemKind, id: &str) -> bool {
        streamed(kind).is_some_and(|(at, _)| self.open[at].contains_key(id))
    }

    pub(super) fn open(&mut self, kind: ItemKind, id: Arc<str>) {
        if let Some((at, _)) = streamed(kind) {
            let turn = self.next_turn();
            self.open[at].insert(id, turn);
        }
    }

    /// Closes a thing and returns its turn, with which it can be reopened as if nothing had been.
    pub(super) fn close(&mut self, kind: ItemKind, id: &str) -> Option<u64> {
        streamed(kind).and_then(|(at, _)| self.open[at].remove(id))
    }

    pub(super) fn reopen(&mut self, kind: ItemKind, id: Arc<str>, turn: u64) {
        if let Some((at, _)) = streamed(kind) {
            self.open[at].insert(id, turn);
        }
    }

    /// Returns the owner of a thing, if the thing is known.
    pub(super) fn owner(&self, owned: Owned, id: &str) -> Option<&Owner> {
        self.owners[owned as usize].get(id)
    }

    pub(super) fn owner_of_item(&self, kind: ItemKind, id: &str) -> Option<&Owner> {
        streamed(kind).and_then(|(_, owned)| self.owner(owned, id))
    }

    pub(super) fn set_owner(&mut self, owned: Owned, id: Arc<str>, owner: Owner) {
        self.owners[owned as usize].insert(id, owner);
    }

    pub(super) fn set_owner_if_new(&mut self, owned: Owned, id: Arc<str>, owner: Owner) {
        self.owners[owned as usize].entry(id).or_insert(owner);
    }

    pub(super) fn set_owner_of_item(&mut self, kind: ItemKind, id: Arc<str>, owner: Owner) {
        if let Some((_, owned)) = streamed(kind) {
            self.set_owner_if_new(owned, id, owner);
        }
    }

    // === Steps ===

    pub(super) fn is_step_active(&self, name: &str, owner: Option<&str>) -> bool {
        self.steps
            .get(name)
            .is_some_and(|active| active.iter().any(|(other, _)| other.as_deref() == owner))
    }

    pub(super) fn start_step(&mut self, name: &str, owner: Option<&str>) {
        let turn = self.next_turn();
        let step = (owner.map(Arc::from), turn);
        if let Some(active) = self.steps.get_mut(name) {
            active.push(step);
        } else {
            self.steps.insert(name.into(), vec![step]);
        }
        self.n_steps += 1;
    }

    pub(super) fn end_step(&mut self, name: &str, owner: Option<&str>) {
        let Some(active) = self.steps.get_mut(name) else {
            return;
        };
        active.retain(|(other, _)| other.as_deref() != owner);
        if active.is_empty() {
            self.steps.remove(name);
        }
        self.n_steps -= 1;
    }

    // === Subagents ===

    pub(super) fn is_subagent_known(&self, id: &str) -> bool {
        self.subagents.contains_key(id)
    }

    pub(super) fn is_subagent_active(&self, id: &str) -> bool {
        matches!(self.subagents.get(id), Some(Some(_)))
    }

    pub(super) fn start_subagent(&mut self, id: &str) {
        let turn = self.next_turn();
        self.subagents.insert(id.into(), Some(turn));
    }

    pub(super) fn end_subagent(&mut self, id: &str) {
        if let Some(active) = self.subagents.get_mut(id) {
            *active = None;
        }
    }

    /// Calls up every subagent of the run, and whether it is active.
    pub(super) fn subagents(&self) -> impl Iterator<Item = (&Arc<str>, bool)> {
        self.subagents
            .iter()
            .map(|(id, active)| (id, active.is_some()))
    }

    // === Everything ===

    pub(super) fn has_open_items(&self) -> bool {
        self.n_steps > 0
            || self.open.iter().any(|open| !open.is_empty())
            || self.subagents.values().any(Option::is_some)
    }

    /// Calls up what is open by id alone, in no order.
    pub(super) fn open_streamed(&self) -> impl Iterator<Item = (ItemKind, &Arc<str>)> {
        let ids = |(kind, open)| HashMap::keys(open).map(move |id| (kind, id));
        STREAMED.into_iter().zip(&self.open).flat_map(ids)
    }

    /// Lists what is open, last opened first.
    pub(super) fn open_items(&self) -> Vec<OpenItem<'_>> {
        let mut items = Vec::new();
        for (kind, open) in STREAMED.into_iter().zip(&self.open) {
            items.extend(open.iter().map(|(id, opened)| OpenItem {
                kind,
                id,
                owner: self.owner_of_item(kind, id).and_then(Option::as_ref),
                opened: *opened,
            }));
        }
        for (name, active) in &self.steps {
            items.extend(active.iter().map(|(owner, opened)| OpenItem {
                kind: ItemKind::Step,
                id: name,
                owner: owner.as_ref(),
                opened: *opened,
            }));
        }
        items.extend(self.subagents.iter().filter_map(|(id, opened)| {
            opened.map(|opened| OpenItem {
                kind: ItemKind::Subagent,
                id,
                owner: None,
                opened,
            })
        }));
        items.sort_by_key(|item| std::cmp::Reverse(item.opened));
        items
    }
}
