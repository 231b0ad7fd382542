//! A recording, and giving it new names for each round.

use std::collections::HashMap;

use events_core::{TaskId, ThreadId};
use events_models::{AgUiEvent, InvalidEvent, RunAgentInput};

/// The runs of one thread, in their order.
#[derive(Clone, Debug)]
pub(super) struct Transcript {
    name: &'static str,
    /// Each begins with RUN_STARTED.
    runs: Vec<Vec<AgUiEvent>>,
}

impl Transcript {
    /// Reads one event per line.
    pub(super) fn parse(name: &'static str, text: &str) -> Result<Self, InvalidEvent> {
        let mut runs: Vec<Vec<AgUiEvent>> = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let event = AgUiEvent::from_json(line.as_bytes())?;
            match (&event, runs.last_mut()) {
                (AgUiEvent::RunStarted(_), _) | (_, None) => runs.push(vec![event]),
                (_, Some(run)) => run.push(event),
            }
        }
        Ok(Self { name, runs })
    }

    /// Returns the name.
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// Copies the runs into a new thread. Its name and those of the runs end with `round`, so no two rounds share
    /// one; other ids are told apart by their thread.
    pub(super) fn renamed(&self, round: &str) -> (ThreadId, Vec<Vec<AgUiEvent>>) {
        let mut names = Names {
            thread: ThreadId::from(format!("demo-{}-{round}", self.name)),
            runs: HashMap::new(),
            prefix: format!("{}-{round}", self.name),
        };
        let mut runs = self.runs.clone();
        for event in runs.iter_mut().flatten() {
            names.rename(event);
        }
        (names.thread, runs)
    }
}

struct Names {
    thread: ThreadId,
    /// The new name of each recorded run.
    runs: HashMap<TaskId, TaskId>,
    prefix: String,
}

impl Names {
    fn rename(&mut self, event: &mut AgUiEvent) {
        match event {
            AgUiEvent::RunStarted(started) => {
                started.thread_id = self.thread.clone();
                started.run_id = self.run(&started.run_id);
                started.parent_run_id = started.parent_run_id.as_ref().map(|run| self.run(run));
                if let Some(input) = &mut started.input {
                    self.rename_input(input);
                }
            }
            AgUiEvent::RunFinished(finished) => {
                finished.thread_id = self.thread.clone();
                finished.run_id = self.run(&finished.run_id);
            }
            _ => {}
        }
    }

    fn rename_input(&mut self, input: &mut RunAgentInput) {
        input.thread_id = self.thread.clone();
        input.run_id = self.run(&input.run_id);
        input.parent_run_id = input.parent_run_id.as_ref().map(|run| self.run(run));
    }

    fn run(&mut self, recorded: &TaskId) -> TaskId {
        let n_known = self.runs.len();
        self.runs
            .entry(recorded.clone())
            .or_insert_with(|| TaskId::from(format!("run-{}-{}", self.prefix, n_known + 1)))
            .clone()
    }
}
