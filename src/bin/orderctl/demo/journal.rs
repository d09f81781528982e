//! What the function said: one line per record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::log_line::RecordLine;

/// Counts outcomes and keeps answers while the function runs.
#[derive(Debug, Default)]
pub struct Journal(Mutex<Entries>);

/// What it has so far.
#[derive(Debug, Clone, Default)]
pub struct Entries {
    /// Records by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Records the function was done with.
    pub deleted: u64,
    /// Every distinct answer, by order.
    pub answers: BTreeMap<String, BTreeSet<String>>,
    /// Orders that a worker gave back by itself: out of time, or because of a failure.
    pub given_back: BTreeSet<String>,
}

impl Journal {
    /// Notes a line.
    pub fn note(&self, line: &str) {
        let mut entries = self.entries();
        let Some(record) = RecordLine::read(line) else { return };
        entries.deleted += u64::from(record.deleted);
        if let Some(order_id) = record.order_id {
            if ["deferred", "retry"].contains(&record.outcome.as_str()) {
                entries.given_back.insert(order_id.clone());
            }
            if let Some(result) = record.result {
                entries.answers.entry(order_id).or_default().insert(result);
            }
        }
        *entries.outcomes.entry(record.outcome).or_default() += 1;
    }

    /// The entries so far.
    pub fn read(&self) -> Entries {
        self.entries().clone()
    }

    /// Records the function was done with so far.
    pub fn deleted(&self) -> u64 {
        self.entries().deleted
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
