//! What a batch changes once it is in the log.

use events_core::RecordIds;

use super::{Batch, Plan, Seen, Told};
use crate::{BusEvent, Item, Published, known::Known, lane::LaneState};

impl Batch {
    /// Hands out the ids that the log gave, and remembers what only a batch that is in the log may change.
    pub(crate) fn settle(
        self,
        state: &mut LaneState,
        items: &mut [Item],
        ids: &RecordIds,
        published: &mut Published,
    ) {
        let mut new_ids = ids.iter().copied();
        let mut growth = 0;
        for plan in self.plans {
            match plan {
                Plan::Known(ids) => {
                    published.duplicates += ids.len();
                    published.ids.extend(ids);
                }
                Plan::New { key, n_records } => {
                    let n_before = published.ids.len();
                    published.ids.extend(new_ids.by_ref().take(n_records));
                    if let Some(key) = key {
                        let ids = published.ids[n_before..].into();
                        growth += Known::growth_of(&ids);
                        state.known.insert(key, ids, self.now_ms, &state.budget);
                    }
                }
            }
        }
        let LaneState {
            threads,
            tasks,
            contexts,
            budget,
            ..
        } = &mut *state;
        for (thread, told) in self.told {
            match told {
                Told::Event(event) => threads.tell(&thread, *event),
                Told::Item(index) => {
                    if let BusEvent::AgUi { event, .. } = &mut items[index].event {
                        threads.tell_from(&thread, event, budget, self.now_ms);
                    }
                }
            }
        }
        for (task, event) in self.told_tasks {
            tasks.tell(&task, event);
        }
        for seen in self.seen {
            match seen {
                Seen::Run(thread) => contexts.saw_run(&thread, self.now_ms, budget),
                Seen::System(event) => contexts.saw_system(&event, self.now_ms, budget),
            }
        }
        state.pay(growth);
    }
}
