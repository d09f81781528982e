//! Whether the records contradict themselves, each other, the stock, or the payment provider. Pure.

mod charged;
pub mod forgotten;

use std::collections::BTreeMap;
use std::time::Duration;

use order_processor::clock::UnixMillis;
use order_processor::record::{Record, Status};
use order_processor::services::payment::PAYMENT_ID;
use order_processor::services::{inventory, payment, warehouse};
use serde::Serialize;
use serde_json::Value;

pub use charged::{Charge, Refund, charged_by_stripe};
pub use forgotten::Listed;

/// What is compared.
pub struct Books<'a> {
    pub records: &'a [Record],
    /// Items that are no order record of this version, by key, and why.
    pub unreadable: &'a [(String, String)],
    pub stock: &'a BTreeMap<String, u64>,
    /// By order ID, for the orders that were looked up.
    pub charges: Option<&'a BTreeMap<String, Vec<Charge>>>,
    /// What the provider has charged since a moment, if that was asked for.
    pub listed: Option<&'a [Listed]>,
}

/// Something that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contradiction {
    /// An order, SKU or payment.
    pub subject: String,
    pub what: String,
}

/// What became of a SKU.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct StockLine {
    pub available: Option<u64>,
    /// By orders that are not finished.
    pub reserved: u64,
    /// By completed orders that are still remembered.
    pub sold: u64,
}

/// A function can run 15 minutes, and a lease lasts as much longer at most.
const LONGEST_LEASE: Duration = Duration::from_secs(1800);
/// From one receive to the next a message is hidden for the visibility timeout and the longest back-off, 6309 s with the
/// longest timeout that the template has; and some minutes for a queue that is a little behind.
const LONGEST_WAIT: Duration = Duration::from_secs(2 * 3600);
const SHIPMENT_ID: &str = "shipment_id";

/// Everything that does not add up.
pub fn examine(books: &Books<'_>, now: UnixMillis) -> Vec<Contradiction> {
    let unreadable = books.unreadable.iter().map(|(key, why)| contradiction(key, why.clone()));
    let mut all: Vec<Contradiction> = unreadable.collect();
    for record in books.records {
        let found = [finished(record), life(record, now), charged::examine(record, books)].concat();
        all.extend(found.into_iter().map(|what| contradiction(record.order_id(), what)));
    }
    for name in [PAYMENT_ID, SHIPMENT_ID] {
        all.extend(shared(books.records, name));
    }
    let missing = stock(books).into_iter().filter(|(_, line)| line.available.is_none());
    all.extend(forgotten::examine(books.listed.unwrap_or_default(), books, now));
    all.extend(
        missing.map(|(sku, _)| contradiction(&sku, "is reserved or sold, but is no stock item".to_owned())),
    );
    all
}

/// Every SKU: what is available, reserved and sold.
pub fn stock(books: &Books<'_>) -> BTreeMap<String, StockLine> {
    let lines = books.stock.iter();
    let mut lines: BTreeMap<String, StockLine> = lines
        .map(|(sku, available)| {
            (sku.clone(), StockLine { available: Some(*available), ..StockLine::default() })
        })
        .collect();
    for record in books.records.iter().filter(|record| record.status != Status::Rejected) {
        for (sku, quantity) in
            record.outcomes.get(inventory::STEP.name).into_iter().flat_map(|done| done.quantities())
        {
            let line = lines.entry(sku.to_string()).or_default();
            match record.status {
                Status::Completed => line.sold += quantity,
                _ => line.reserved += quantity,
            }
        }
    }
    lines
}

fn contradiction(subject: &str, what: String) -> Contradiction {
    Contradiction { subject: subject.to_owned(), what }
}

/// Whether a finished record has what its end demands.
fn finished(record: &Record) -> Vec<String> {
    let mut found = Vec::new();
    let mut demand = |kept: bool, what: &str| {
        if !kept {
            found.push(what.to_owned())
        }
    };
    let answer: Option<Value> = record.result.as_ref().and_then(|result| serde_json::from_str(result).ok());
    let paid = record.outcomes.get(payment::STEP.name).and_then(|outcome| outcome.text(PAYMENT_ID));
    let shipped = record.outcomes.get(warehouse::STEP.name).is_some();
    if record.status.is_finished() {
        demand(answer.is_some(), "is finished without an answer");
    }
    match record.status {
        Status::Completed => {
            let total = answer.as_ref().and_then(|answer| answer["total"].as_u64());
            demand(total == Some(0) || paid.is_some(), "is completed, but not paid");
            demand(total != Some(0) || paid.is_none(), "costs nothing, but is paid");
            demand(shipped, "is completed, but not shipped");
            demand(record.outcomes.get(inventory::STEP.name).is_some(), "is completed without a reservation");
        }
        Status::Rejected => {
            let refunded = payment::STEP.undo.is_some_and(|undo| record.outcomes.get(undo).is_some());
            demand(paid.is_none() || refunded, "is rejected, but charged and not refunded");
            demand(!shipped, "is rejected, but shipped");
        }
        Status::InProgress | Status::Compensating | Status::Parked => {
            demand(answer.is_none(), "is not finished, but answered");
        }
    }
    found
}

/// Whether lease and expiry fit the status.
fn life(record: &Record, now: UnixMillis) -> Vec<String> {
    let mut found = Vec::new();
    if record.status.is_finished() != record.expires_at.is_some() {
        found.push(match record.expires_at {
            Some(_) => "is not finished, but expires: it could run a second time".to_owned(),
            None => "is finished, but never expires".to_owned(),
        });
    }
    match record.lease_until_ms {
        Some(_) if !Status::UNFINISHED.contains(&record.status) => {
            found.push(format!("is {}, but leased", record.status));
        }
        Some(until) if until > now + LONGEST_LEASE => {
            found.push(format!("is leased until {}, longer than any worker can run", until.to_rfc3339()));
        }
        _ => {}
    }
    if Status::UNFINISHED.contains(&record.status) {
        found.extend(abandoned(record, now));
    }
    found
}

/// Somebody works on an unfinished order whenever its message comes: one that nobody works on has none.
fn abandoned(record: &Record, now: UnixMillis) -> Option<String> {
    let last = record.lease_until_ms.unwrap_or_default().max(record.updated_at_ms).max(record.claimed_at_ms);
    let idle = now.since(last);
    (idle > LONGEST_WAIT).then(|| {
        format!(
            "is not finished, and nobody has worked on it for {} hours: unless the function is paused or behind, nobody \
             brings it any more: redrive it from the dead-letter queue, or send its message again",
            idle.as_secs() / 3600
        )
    })
}

/// No two orders have the same payment or shipment.
fn shared(records: &[Record], name: &str) -> Vec<Contradiction> {
    let mut orders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for record in records {
        if let Some(id) = record.outcomes.text(name) {
            orders.entry(id).or_default().push(record.order_id());
        }
    }
    let shared = orders.into_iter().filter(|(_, orders)| orders.len() > 1);
    shared
        .map(|(id, orders)| contradiction(id, format!("is the {name} of {}", orders.join(" and "))))
        .collect()
}

#[cfg(test)]
mod tests;
