//! What the events of a user come to, for whoever applies them as the protocols say.

use serde_json::Value;

use super::events::text;

/// The messages of a thread or the tasks of a user, as a screen shows them. Preludes restate them, so a screen is
/// compared with what the log's events come to, and not event by event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    items: Vec<Shown>,
    is_running: bool,
    /// It shows what was there before it came, because its stream begins with a prelude.
    has_prelude: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shown {
    id: String,
    text: String,
    state: String,
}

impl Screen {
    /// Makes the screen of one thread, which is told first where that stands.
    #[must_use]
    pub const fn of_thread() -> Self {
        Self::new(true)
    }

    /// Makes the screen of all tasks, which begins with what comes next.
    #[must_use]
    pub const fn of_tasks() -> Self {
        Self::new(false)
    }

    const fn new(has_prelude: bool) -> Self {
        Self {
            items: Vec::new(),
            is_running: false,
            has_prelude,
        }
    }

    /// Returns an empty screen of the same kind, and the number of the first event that it shows if this one began
    /// behind `began`.
    #[must_use]
    pub const fn begin_again(&self, began: u64) -> (Self, u64) {
        if self.has_prelude {
            (Self::of_thread(), 0)
        } else {
            (Self::of_tasks(), began.saturating_add(1))
        }
    }

    /// Applies an event.
    pub fn apply(&mut self, event: &Value) {
        let text = |path: &str| text(event, path);
        match text("/type") {
            "RUN_STARTED" => self.is_running = true,
            "RUN_FINISHED" | "RUN_ERROR" => self.is_running = false,
            "TEXT_MESSAGE_START" => drop(self.item(text("/messageId"))),
            "TEXT_MESSAGE_CONTENT" => {
                let item = self.item(text("/messageId"));
                item.text.push_str(text("/delta"));
            }
            "MESSAGES_SNAPSHOT" => {
                self.items.clear();
                for message in event["messages"].as_array().into_iter().flatten() {
                    let item = self.item(message["id"].as_str().unwrap_or_default());
                    item.text = message["content"].as_str().unwrap_or_default().to_owned();
                }
            }
            "" => {
                let id = format!(
                    "{}{}{}",
                    text("/task/id"),
                    text("/statusUpdate/taskId"),
                    text("/artifactUpdate/taskId")
                );
                let state = format!(
                    "{}{}",
                    text("/task/status/state"),
                    text("/statusUpdate/status/state")
                );
                let item = self.item(&id);
                item.text
                    .push_str(text("/artifactUpdate/artifact/parts/0/text"));
                if !state.is_empty() {
                    item.state = state;
                }
            }
            _ => {}
        }
    }

    fn item(&mut self, id: &str) -> &mut Shown {
        let place = self.items.iter().position(|item| item.id == id);
        let place = place.unwrap_or_else(|| {
            let id = id.to_owned();
            self.items.push(Shown {
                id,
                ..Shown::default()
            });
            self.items.len() - 1
        });
        &mut self.items[place]
    }

    /// Says where it first differs from another, in one line.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        let n = self.items.len().max(other.items.len());
        let differs = |at: &usize| self.items.get(*at) != other.items.get(*at);
        if let Some(at) = (0..n).find(differs) {
            let (own, theirs) = (self.items.get(at), other.items.get(at));
            return Some(format!("item {at} is {own:?} and not {theirs:?}"));
        }
        let (own, theirs) = (self.is_running, other.is_running);
        (own != theirs).then(|| format!("running: {own} and not {theirs}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resume::Kind;
    use crate::resume::events::Script;

    fn events(kind: Kind, n: usize) -> Vec<Value> {
        let mut script = Script::new(kind, "p");
        let texts = (0..n).map(|_| script.next_event().1);
        texts
            .map(|text| serde_json::from_str(&text).unwrap())
            .collect()
    }

    fn shown(mut screen: Screen, events: &[Value]) -> Screen {
        events.iter().for_each(|event| screen.apply(event));
        screen
    }

    #[test]
    fn what_is_left_out_or_comes_twice_is_seen() {
        for (kind, screen) in [
            (Kind::AgUi, Screen::of_thread()),
            (Kind::A2A, Screen::of_tasks()),
        ] {
            let events = events(kind, 30);
            let whole = shown(screen.clone(), &events);
            assert_eq!(whole.difference(&shown(screen.clone(), &events)), None);
            // The fifth is a delta or a chunk in either.
            let mut fewer = events.clone();
            let delta = fewer.remove(4);
            assert!(shown(screen.clone(), &fewer).difference(&whole).is_some());
            let mut more = events.clone();
            more.insert(4, delta);
            assert!(shown(screen.clone(), &more).difference(&whole).is_some());
            assert!(
                shown(screen.clone(), &events[..29])
                    .difference(&whole)
                    .is_some()
            );
        }
    }

    #[test]
    fn a_prelude_restates() {
        let events = events(Kind::AgUi, 5);
        let whole = shown(Screen::of_thread(), &events);
        let told = [
            events[0].clone(),
            serde_json::json!({ "type": "MESSAGES_SNAPSHOT", "messages": [
                { "id": "p run 0 message", "role": "assistant", "content": "p run 0 delta 2;p run 0 delta 3;" },
            ] }),
            events[1].clone(),
            events[4].clone(),
        ];
        let mut joined = shown(Screen::of_thread(), &told);
        assert_eq!(joined.difference(&whole), None);
        joined = shown(joined, &told);
        assert_eq!(joined.difference(&whole), None);
    }
}
