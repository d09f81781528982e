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
    /// Lines that are no record: warnings, panics.
    pub others: Vec<String>,
}

/// The most other lines that are kept.
const OTHERS: usize = 200;

impl Journal {
    /// Notes a line.
    pub fn note(&self, line: &str) {
        let mut entries = self.entries();
        let Some(record) = RecordLine::read(line) else {
            if entries.others.len() < OTHERS {
                entries.others.push(line.to_owned());
            }
            return;
        };
        *entries.outcomes.entry(record.outcome).or_default() += 1;
        entries.deleted += u64::from(record.deleted);
        if let (Some(order_id), Some(result)) = (record.order_id, record.result) {
            entries.answers.entry(order_id).or_default().insert(result);
        }
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
