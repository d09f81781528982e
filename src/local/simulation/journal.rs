//! What happened: one line for each event, how often each thing happened, and the answers that were given.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record as Values};
use tracing::{Event, Level, Metadata, Subscriber};

use super::world::World;
use crate::clock::UnixMillis;

/// How often each thing happened, by its name.
pub type Counts = BTreeMap<String, u64>;

/// The notes of one run.
#[derive(Default)]
pub(super) struct Journal {
    /// `None`: nobody wants them.
    pub(super) lines: Option<Vec<String>>,
    pub(super) counts: Counts,
    pub(super) answers: BTreeMap<String, BTreeSet<String>>,
}

impl Journal {
    pub(super) fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    /// `since` is the virtual time since the start.
    pub(super) fn line(&mut self, since: std::time::Duration, what: &str, about: &str) {
        if let Some(lines) = &mut self.lines {
            let (seconds, millis) = (since.as_secs(), since.subsec_millis());
            let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
            lines.push(format!(
                "{days}d {hours:02}:{minutes:02}:{:02}.{millis:03} {what} {about}",
                seconds % 60
            ));
        }
    }
}

/// Reads the function's own log: what became of each record, and the answer.
///
/// A subscriber and no layer of one: nothing but these lines is wanted, and the SDK's would cost more than the run.
pub(super) struct Reader(pub(super) Arc<World>);

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Reader {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && *metadata.level() <= Level::INFO
            && metadata.target().starts_with("order_processor")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Values<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if fields.0.get("message").is_some_and(|message| message == "record") {
            self.0.outcome(&fields.0);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl World {
    fn outcome(&self, fields: &BTreeMap<&'static str, String>) {
        let field = |name| fields.get(name).map_or("", String::as_str);
        let mut journal = self.journal();
        journal.count(&format!("outcome {}", field("outcome")));
        if let (Some(id), Some(result)) = (fields.get("order_id"), fields.get("result")) {
            journal.answers.entry(id.clone()).or_default().insert(result.clone());
        }
        let about = format!(
            "{} receive {}: {} {}{}",
            field("message_id"),
            field("receive_count"),
            field("outcome"),
            field("result"),
            field("detail")
        );
        drop(journal);
        self.note("outcome", &about);
    }

    /// A line in the journal, at this moment.
    pub(super) fn note(&self, what: &str, about: &str) {
        let since = self.now().since(UnixMillis(super::START.0));
        self.journal().line(since, what, about);
    }
}
