//! What must hold at every moment, not only at the end: an observer of every write as it is applied. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::orders::RESERVE;
use super::{Invariant, Shelf, Violation};
use crate::record::{Record, Status};

/// Every order's record as it was last seen, and the stock.
#[derive(Debug, Clone, Default)]
pub struct History {
    records: BTreeMap<String, Record>,
    /// Finished, and deleted since.
    deleted: BTreeSet<String>,
    stock_before: BTreeMap<String, u64>,
    stated: BTreeMap<String, i64>,
    available: BTreeMap<String, u64>,
    held: BTreeMap<String, u64>,
    violations: BTreeSet<Violation>,
}

/// What a write did to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// It became an order.
    Claimed,
    /// It has another owner.
    TakenOver,
    /// It turned back.
    Compensating,
    /// It waits for an operator.
    Parked,
    /// An operator gave it back.
    Resumed,
    /// It has its answer.
    Finished,
    /// Anything else.
    Moved,
}

impl History {
    /// The history of a table without orders.
    pub fn new(stock: BTreeMap<String, u64>) -> Self {
        History { available: stock.clone(), stock_before: stock, ..History::default() }
    }

    /// The table after one write: the order's record, if it is an order's, and the stock that moved with it.
    pub fn observe(&mut self, record: Option<Record>, stock: BTreeMap<String, u64>) -> Option<Change> {
        let mut touched: BTreeSet<String> = stock.keys().cloned().collect();
        self.available.extend(stock);
        let change = record.and_then(|record| {
            let before = self.records.get(record.order_id()).cloned();
            if before.as_ref() == Some(&record) {
                return None;
            }
            self.compare(before.as_ref(), &record);
            touched.extend(self.hold(before.as_ref(), &record));
            let change = change(before.as_ref(), &record);
            self.records.insert(record.order_id().to_owned(), record);
            Some(change)
        });
        touched.iter().for_each(|sku| self.balance(sku));
        change
    }

    /// A person was told that so many came, or went, and that so many are available now.
    pub fn observe_statement(&mut self, sku: &str, by: i64, available: u64) {
        *self.stated.entry(sku.to_owned()).or_default() += by;
        self.available.insert(sku.to_owned(), available);
        self.balance(sku);
    }

    /// The record of this order is not in the table any more.
    pub fn observe_deleted(&mut self, id: &str) {
        let finished = self.records.get(id).is_some_and(|record| record.status.is_finished());
        if !finished {
            self.violated(Invariant::FinishedNeverChanges, id, "deleted before it was finished".to_owned());
        }
        self.deleted.insert(id.to_owned());
    }

    /// The order's record, if it is in the table.
    pub fn record(&self, id: &str) -> Option<&Record> {
        self.records.get(id).filter(|_| !self.deleted.contains(id))
    }

    /// Every record as it was last seen, the deleted ones included.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// What is available, by SKU.
    pub fn available(&self) -> &BTreeMap<String, u64> {
        &self.available
    }

    /// What people stated to have come, or gone, by SKU.
    pub fn stated(&self) -> &BTreeMap<String, i64> {
        &self.stated
    }

    /// What did not hold at some moment.
    pub fn violations(&self) -> &BTreeSet<Violation> {
        &self.violations
    }

    fn compare(&mut self, before: Option<&Record>, after: &Record) {
        let Some(before) = before else { return };
        let id = after.order_id();
        if after.fence < before.fence || (after.fence == before.fence && after.owner != before.owner) {
            let detail = format!("from {} to {} with the owner", before.fence.0, after.fence.0);
            self.violated(Invariant::FenceNeverDecreases, id, detail);
        }
        if before.status.is_finished() {
            let detail = format!("it was {}, now it is {} at {}", before.status, after.status, after.step);
            self.violated(Invariant::FinishedNeverChanges, id, detail);
        }
        if before.fingerprint != after.fingerprint {
            self.violated(Invariant::ContentsNeverChange, id, "it became another order".to_owned());
        }
    }

    /// The SKUs of which another quantity is reserved now.
    fn hold(&mut self, before: Option<&Record>, after: &Record) -> Vec<String> {
        let (gone, new) = (before.map(reserved).unwrap_or_default(), reserved(after));
        for (sku, quantity) in &gone {
            *self.held.entry(sku.clone()).or_default() -= quantity;
        }
        for (sku, quantity) in &new {
            *self.held.entry(sku.clone()).or_default() += quantity;
        }
        gone.into_keys().chain(new.into_keys()).collect()
    }

    fn balance(&mut self, sku: &str) {
        let shelf = Shelf::of(sku, &self.stock_before, &self.stated, &self.available, &self.held);
        if !shelf.balances() {
            self.violated(Invariant::StockNeverLost, sku, shelf.to_string());
        }
    }

    fn violated(&mut self, invariant: Invariant, subject: &str, detail: String) {
        self.violations.insert(Violation { invariant, subject: subject.to_owned(), detail });
    }
}

fn reserved(record: &Record) -> BTreeMap<String, u64> {
    let outcome = record.outcomes.get(RESERVE).filter(|_| record.status != Status::Rejected);
    outcome
        .into_iter()
        .flat_map(|outcome| outcome.quantities())
        .map(|(sku, n)| (sku.to_string(), n))
        .collect()
}

fn change(before: Option<&Record>, after: &Record) -> Change {
    let Some(before) = before else { return Change::Claimed };
    match after.status {
        _ if after.attempts > before.attempts => Change::TakenOver,
        status if status == before.status => Change::Moved,
        Status::Parked => Change::Parked,
        _ if before.status == Status::Parked => Change::Resumed,
        Status::Compensating => Change::Compensating,
        Status::Completed | Status::Rejected => Change::Finished,
        Status::InProgress => Change::Moved,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;
    use crate::record::{Fence, Owner};
    use serde_json::json;

    fn mugs(available: u64) -> BTreeMap<String, u64> {
        [("mug".to_owned(), available)].into()
    }

    fn held() -> Record {
        record("a", "IN_PROGRESS", 2, &json!({}))
    }

    fn begun() -> History {
        let mut history = History::new(mugs(10));
        assert_eq!(history.observe(Some(held()), mugs(8)), Some(Change::Claimed));
        assert!(history.violations().is_empty());
        history
    }

    #[track_caller]
    fn breaks(invariant: Invariant, from: Record, to: Record, stock: u64) {
        let mut history = begun();
        history.observe(Some(from), mugs(8));
        assert!(history.violations().is_empty(), "{:?}", history.violations());
        history.observe(Some(to), mugs(stock));
        let found: Vec<_> = history.violations().iter().map(|violation| violation.invariant).collect();
        assert_eq!(found, [invariant]);
    }

    #[test]
    fn an_order_that_goes_its_way_breaks_nothing() {
        let mut history = begun();
        let taken = Record { fence: Fence(2), owner: Owner("other".into()), attempts: 2, ..held() };
        let parked = Record { status: Status::Parked, ..taken.clone() };
        let back = Record { fence: Fence(3), status: Status::Compensating, ..parked.clone() };
        let rejected = Record { status: Status::Rejected, ..back.clone() };
        assert_eq!(history.observe(Some(taken), mugs(8)), Some(Change::TakenOver));
        assert_eq!(history.observe(Some(parked), mugs(8)), Some(Change::Parked));
        assert_eq!(history.observe(Some(back.clone()), mugs(8)), Some(Change::Resumed));
        assert_eq!(history.observe(Some(back), mugs(8)), None);
        assert_eq!(history.observe(Some(rejected), mugs(10)), Some(Change::Finished));
        history.observe_deleted("a");
        assert!(history.record("a").is_none() && history.records().count() == 1);
        assert!(history.violations().is_empty(), "{:?}", history.violations());
    }

    #[test]
    fn a_fence_that_falls_or_does_not_grow_with_the_owner_is_found() {
        let second = Record { fence: Fence(2), ..held() };
        breaks(Invariant::FenceNeverDecreases, second, held(), 8);
        let other = Record { owner: Owner("other".into()), ..held() };
        breaks(Invariant::FenceNeverDecreases, held(), other, 8);
    }

    #[test]
    fn a_finished_record_that_changes_is_found() {
        let finished = Record { status: Status::Completed, ..held() };
        let touched = Record { result: Some("another".into()), ..finished.clone() };
        breaks(Invariant::FinishedNeverChanges, finished, touched, 8);
        let mut history = begun();
        history.observe_deleted("a");
        assert_eq!(history.violations().len(), 1);
    }

    #[test]
    fn another_order_in_the_record_is_found() {
        let other = Record { fingerprint: record("a", "IN_PROGRESS", 3, &json!({})).fingerprint, ..held() };
        breaks(Invariant::ContentsNeverChange, held(), other, 8);
    }

    #[test]
    fn what_people_state_about_stock_is_counted_and_a_reservation_that_they_overlook_is_found() {
        let mut history = begun();
        history.observe_statement("mug", 3, 11);
        history.observe_statement("mug", -11, 0);
        history.observe_statement("cap", 4, 4);
        assert!(history.violations().is_empty(), "{:?}", history.violations());
        assert_eq!(history.stated(), &[("cap".to_owned(), 4), ("mug".to_owned(), -8)].into());
        // Ten were seen and twelve are stated, and two are reserved.
        let mut history = begun();
        history.observe_statement("mug", 2, 12);
        let found: Vec<_> = history.violations().iter().map(ToString::to_string).collect();
        assert!(
            found.len() == 1 && found[0].contains("10 before, +2 stated, 12 now, 2 reserved"),
            "{found:?}"
        );
    }

    #[test]
    fn stock_that_leaks_for_a_moment_is_found() {
        breaks(Invariant::StockNeverLost, held(), Record { attempts: 9, ..held() }, 7);
        breaks(Invariant::StockNeverLost, held(), Record { status: Status::Rejected, ..held() }, 8);
    }
}
