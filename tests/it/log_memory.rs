//! The log in memory keeps every promise that applies to it, and the tests of the promises find every fault.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use events_core::EventLog;
use events_router::MemoryLog;
use events_tests::conformance::{self, Bounds, Engine, Fault, Outage, Switch, SwitchedLog};

/// More than the tests append to one user.
const PLENTY: usize = 100_000;

/// Logs in memory behind a switch.
struct Memory {
    log: Mutex<MemoryLog>,
    switch: Arc<Switch>,
    /// What is wrong with the engine itself.
    flaw: Option<Flaw>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    NewLifeWhenReopened,
    SameLifeWhenRecreated,
    KeepsTooLittle,
    KeepsTooMuch,
}

impl Memory {
    fn new(fault: Option<Fault>, flaw: Option<Flaw>) -> Self {
        Self {
            log: Mutex::new(MemoryLog::new(PLENTY)),
            switch: Arc::new(Switch::new(fault)),
            flaw,
        }
    }

    fn switched(&self, log: MemoryLog) -> Arc<dyn EventLog> {
        Arc::new(SwitchedLog::new(Arc::new(log), Arc::clone(&self.switch)))
    }

    fn current(&self) -> Arc<dyn EventLog> {
        self.switched(self.log.lock().unwrap().clone())
    }
}

#[async_trait]
impl Engine for Memory {
    async fn open(&self) -> Arc<dyn EventLog> {
        self.current()
    }

    async fn reopen(&self) -> Option<Arc<dyn EventLog>> {
        if self.flaw == Some(Flaw::NewLifeWhenReopened) {
            *self.log.lock().unwrap() = MemoryLog::new(PLENTY);
        }
        // It outlives nothing; but as long as the test lasts it is there.
        Some(self.current())
    }

    async fn recreate(&self) -> Option<Arc<dyn EventLog>> {
        if self.flaw != Some(Flaw::SameLifeWhenRecreated) {
            *self.log.lock().unwrap() = MemoryLog::new(PLENTY);
        }
        Some(self.current())
    }

    async fn bounded(&self, bounds: Bounds) -> Option<Arc<dyn EventLog>> {
        let n_events = usize::try_from(bounds.events?).unwrap();
        let n_events = match self.flaw {
            Some(Flaw::KeepsTooLittle) => n_events / 2,
            Some(Flaw::KeepsTooMuch) => PLENTY,
            _ => n_events,
        };
        Some(self.switched(MemoryLog::new(n_events)))
    }

    fn outage(&self) -> Option<&dyn Outage> {
        Some(self.switch.as_ref())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_log_keeps_every_promise() {
    let report = conformance::report(&Memory::new(None, None), |_| true).await;
    assert!(report.broken.is_empty(), "{report}");
    // What a log in memory does not have; everything else is tested here, so that a test that tests nothing is seen.
    let not_there: Vec<&str> = report.not_there.iter().map(|(name, _)| *name).collect();
    assert_eq!(not_there, ["retention::bytes", "retention::age"]);
}

/// Each fault, with a promise whose test must find it.
const FAULTS: &[(Fault, &str)] = &[
    (Fault::DropsLastOfBatch, "appending::places"),
    (Fault::DropsLastOfBatch, "appending::whole"),
    (Fault::SwapsFirstOfBatch, "appending::places"),
    (Fault::TakesPartOfTooLarge, "appending::too_large"),
    (Fault::IgnoresExpected, "appending::expected"),
    (Fault::IgnoresExpected, "appending::one_wins"),
    (Fault::NamesAnotherLast, "appending::expected"),
    (Fault::ForgetsKeys, "appending::exact"),
    (Fault::ForgetsNotes, "appending::exact"),
    (Fault::ChangesJson, "appending::exact"),
    (Fault::TagsAtRead, "appending::tags"),
    (Fault::ReadsStale, "reading::at_once"),
    (Fault::ReadsWholeAppends, "reading::after"),
    (Fault::EndsPagesEarly, "reading::pages"),
    (Fault::HidesWhatIsTrimmed, "retention::events"),
    (Fault::HidesWhatIsTrimmed, "erasing::records"),
    (Fault::MixesCase, "keys::apart"),
    (Fault::TailRepeats, "tailing::everything"),
    (Fault::TailRepeats, "tailing::two"),
    (Fault::TailLeavesOut, "tailing::everything"),
    (Fault::TailForgetsErasures, "erasing::told"),
    (Fault::PassesIntoTheLog, "tailing::passed"),
    (Fault::ForgetsAPart, "checkpoints::names"),
    (Fault::OlderCheckpointWins, "checkpoints::newest"),
    (Fault::KeepsEndedParts, "checkpoints::gone"),
    (Fault::ErasesNoRecords, "erasing::records"),
    (Fault::ErasesNoRecords, "erasing::unknown"),
    (Fault::ErasesNoCheckpoints, "erasing::records"),
    (Fault::ErasesNoCheckpoints, "erasing::late"),
    (Fault::ErasesTooMuch, "erasing::others"),
    (Fault::SaysNothingOfOutages, "outage::told"),
    (Fault::ClaimsWhileAway, "outage::answers"),
    (Fault::ClaimsWhileAway, "outage::nothing_lost"),
];

const FLAWS: &[(Flaw, &str)] = &[
    (Flaw::NewLifeWhenReopened, "lives::reopened"),
    (Flaw::SameLifeWhenRecreated, "lives::recreated"),
    (Flaw::KeepsTooLittle, "retention::events"),
    (Flaw::KeepsTooMuch, "retention::events"),
];

/// Time is paused, so that waiting for what never comes takes none.
#[tokio::test(start_paused = true)]
async fn every_fault_is_found() {
    // Here too a log without a fault passes, or a fault that is found would mean nothing.
    let report = conformance::report(&Memory::new(None, None), |_| true).await;
    assert!(report.broken.is_empty(), "{report}");
    let mut missed = Vec::new();
    let faults = FAULTS
        .iter()
        .map(|(fault, name)| (Some(*fault), None, *name));
    let flaws = FLAWS.iter().map(|(flaw, name)| (None, Some(*flaw), *name));
    for (fault, flaw, name) in faults.chain(flaws) {
        let memory = Memory::new(fault, flaw);
        let report = conformance::report(&memory, |promise| promise == name).await;
        if report.broken.is_empty() {
            missed.push((fault, flaw, name));
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
