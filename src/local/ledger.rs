//! The ledger check: whether what happened in the world adds up to every order having run exactly once. Pure.
//!
//! It knows the messages that were sent and looks at nothing but effects: the records, the payment provider's
//! books, what the receivers got, the stock, the answers and the dead letters. Which of two contradicting messages
//! is the order is for the processor to decide; the other must have had no effect.

mod history;
mod orders;
mod strays;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

pub use history::{Change, History};

use crate::local::payment_provider::Ledger as Payments;
use crate::local::receiver::Deliveries;
use crate::order::Order;
use crate::record::{Record, Status};

/// Everything that happened.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Every message that went to the queue.
    pub sent: Vec<Sent>,
    /// The IDs of those that may have found no record while their order was too old or from the future: they may be
    /// dead letters as `stale` or `future`.
    pub out_of_window: BTreeSet<String>,
    /// Every order record, once the queue is empty.
    pub records: Vec<Record>,
    /// The payment provider's books.
    pub payments: Payments,
    /// What the warehouse received.
    pub shipments: Deliveries,
    /// What the customers were told.
    pub notifications: Deliveries,
    /// What was available before the first message, by SKU.
    pub stock_before: BTreeMap<String, u64>,
    /// What people stated since to have come, or to have gone, by SKU.
    pub stock_stated: BTreeMap<String, i64>,
    /// What is available now.
    pub stock_after: BTreeMap<String, u64>,
    /// Every distinct answer that was given, by order ID.
    pub answers: BTreeMap<String, BTreeSet<String>>,
    /// What is in the dead-letter queue.
    pub dead_letters: Vec<DeadLetter>,
}

/// A message that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// As SQS named it.
    pub message_id: String,
    /// Its body.
    pub body: String,
}

/// A message in the dead-letter queue, by its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// `source_message_id`; empty if SQS itself moved the message.
    pub source_message_id: String,
    /// `reason`.
    pub reason: String,
    /// Its body.
    pub body: String,
}

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Invariant {
    /// Every order that was sent is finished, and there is no record of anything else.
    EveryOrderFinished,
    /// Charged exactly once, with the right amount, if and only if completed; else the customer has the money back.
    ChargedOnce,
    /// Shipped under one key with one body, if and only if completed.
    ShippedOnce,
    /// Told under one key with one body, which says how the order ended.
    ToldOnce,
    /// What was available, and what people stated to have come since = what is available + what completed orders reserved.
    StockConserved,
    /// Every delivery that was answered got the stored result, byte for byte.
    OneAnswer,
    /// A message that contradicts the order is dead-lettered as `conflict`.
    ConflictsRefused,
    /// A message that is no valid order is dead-lettered as `invalid`.
    PoisonRefused,
    /// Nothing else is in the dead-letter queue.
    NothingElseDead,
    /// At every moment: a fence never decreases, and grows whenever the owner changes.
    FenceNeverDecreases,
    /// At every moment: a finished record never changes, and no other is deleted.
    FinishedNeverChanges,
    /// At every moment: an order never becomes another.
    ContentsNeverChange,
    /// At every moment: what was available, and what people stated to have come since = what is available + what orders
    /// hold, unfinished ones included.
    StockNeverLost,
    /// What a version of the steps did besides is undone if the order is rejected, and only then.
    UndoneIfRejected,
    /// When nothing disturbs them any more, messages end within a bounded number of deliveries.
    EveryMessageEnds,
}

impl Invariant {
    /// Those that [`check`] finds at the end, in the order in which they are told.
    pub const ALL: [Invariant; 9] = [
        Invariant::EveryOrderFinished,
        Invariant::ChargedOnce,
        Invariant::ShippedOnce,
        Invariant::ToldOnce,
        Invariant::StockConserved,
        Invariant::OneAnswer,
        Invariant::ConflictsRefused,
        Invariant::PoisonRefused,
        Invariant::NothingElseDead,
    ];

    /// Those that take an observer of the whole run.
    pub const THROUGHOUT: [Invariant; 6] = [
        Invariant::FenceNeverDecreases,
        Invariant::FinishedNeverChanges,
        Invariant::ContentsNeverChange,
        Invariant::StockNeverLost,
        Invariant::UndoneIfRejected,
        Invariant::EveryMessageEnds,
    ];

    /// The invariant as a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Invariant::EveryOrderFinished => "every order finished",
            Invariant::ChargedOnce => "charged exactly once if completed, refunded if rejected",
            Invariant::ShippedOnce => "shipped under one key with one body if completed, else never",
            Invariant::ToldOnce => "told under one key with one body",
            Invariant::StockConserved => "stock before = stock after + reserved by completed orders",
            Invariant::OneAnswer => "every duplicate got the stored answer, byte for byte",
            Invariant::ConflictsRefused => "every conflict dead-lettered as conflict, without effect",
            Invariant::PoisonRefused => "every poison message dead-lettered as invalid",
            Invariant::NothingElseDead => "nothing else in the dead-letter queue",
            Invariant::FenceNeverDecreases => "a fence never decreases, and grows with every owner",
            Invariant::FinishedNeverChanges => "a finished record never changes",
            Invariant::ContentsNeverChange => "an order never becomes another",
            Invariant::StockNeverLost => {
                "at every moment, stock before and stated since = stock now + reserved"
            }
            Invariant::UndoneIfRejected => "steps of any version undone if the order is rejected",
            Invariant::EveryMessageEnds => {
                "every message ends, once nothing disturbs it, within a few deliveries"
            }
        }
    }
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// For which order, SKU or message.
    pub subject: String,
    /// What was found.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not so: {}: {}: {}", self.invariant.sentence(), self.subject, self.detail)
    }
}

/// Every invariant that does not hold; nothing if the ledger balances.
pub fn check(facts: &Facts) -> Vec<Violation> {
    let mut found = Found::default();
    let world = World::of(facts);
    for (id, messages) in &world.orders {
        orders::check(&world, id, messages, &mut found);
    }
    strays::check(&world, &mut found);
    stock(&world, &mut found);
    found.0.sort();
    found.0
}

#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn unless(&mut self, holds: bool, invariant: Invariant, subject: &str, detail: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Violation { invariant, subject: subject.to_owned(), detail: detail() });
        }
    }
}

/// The facts, sorted by what they are about.
struct World<'f> {
    facts: &'f Facts,
    /// Every valid message, by order ID.
    orders: BTreeMap<String, Vec<(&'f Sent, Order)>>,
    /// Every other message.
    poison: Vec<&'f Sent>,
    records: BTreeMap<&'f str, &'f Record>,
    dead: BTreeMap<&'f str, Vec<&'f DeadLetter>>,
}

impl<'f> World<'f> {
    fn of(facts: &'f Facts) -> Self {
        let mut orders: BTreeMap<String, Vec<_>> = BTreeMap::new();
        let mut poison = Vec::new();
        for sent in &facts.sent {
            match Order::parse(&sent.body) {
                Ok(order) => orders.entry(order.id.to_string()).or_default().push((sent, order)),
                Err(_) => poison.push(sent),
            }
        }
        let mut dead: BTreeMap<&str, Vec<&DeadLetter>> = BTreeMap::new();
        for letter in &facts.dead_letters {
            dead.entry(&letter.source_message_id).or_default().push(letter);
        }
        let records = facts.records.iter().map(|record| (record.order_id(), record)).collect();
        World { facts, orders, poison, records, dead }
    }

    /// Whether the message is a dead letter for this reason, and for no other.
    fn is_dead_of(&self, sent: &Sent, reason: &str) -> bool {
        let letters = self.dead.get(sent.message_id.as_str());
        letters.is_some_and(|letters| letters.iter().all(|letter| letter.reason == reason))
    }

    /// Whether the message may be, and is, a dead letter for the age of its order.
    fn is_out_of_window(&self, sent: &Sent) -> bool {
        let letters = self.dead.get(sent.message_id.as_str());
        let too_late = |letter: &&&DeadLetter| ["stale", "future"].contains(&letter.reason.as_str());
        self.facts.out_of_window.contains(&sent.message_id)
            && letters.is_some_and(|letters| letters.iter().any(|letter| too_late(&letter)))
    }
}

fn stock(world: &World<'_>, found: &mut Found) {
    let mut held: BTreeMap<String, u64> = BTreeMap::new();
    for record in world.records.values().filter(|record| record.status != Status::Rejected) {
        if let Some(reserved) = record.outcomes.get(orders::RESERVE) {
            for (sku, quantity) in reserved.quantities() {
                *held.entry(sku.to_string()).or_default() += quantity;
            }
        }
    }
    let Facts { stock_before, stock_stated, stock_after, .. } = world.facts;
    let skus = stock_before.keys().chain(stock_stated.keys()).chain(stock_after.keys()).chain(held.keys());
    for sku in skus.collect::<BTreeSet<&String>>() {
        let shelf = Shelf::of(sku, stock_before, stock_stated, stock_after, &held);
        found.unless(shelf.balances(), Invariant::StockConserved, sku, || shelf.to_string());
    }
}

/// Where all of one SKU are.
struct Shelf {
    before: u64,
    stated: i64,
    now: u64,
    held: u64,
}

impl Shelf {
    fn of(
        sku: &str,
        before: &BTreeMap<String, u64>,
        stated: &BTreeMap<String, i64>,
        now: &BTreeMap<String, u64>,
        held: &BTreeMap<String, u64>,
    ) -> Self {
        let number = |stock: &BTreeMap<String, u64>| stock.get(sku).copied().unwrap_or_default();
        let stated = stated.get(sku).copied().unwrap_or_default();
        Shelf { before: number(before), stated, now: number(now), held: number(held) }
    }

    fn balances(&self) -> bool {
        i128::from(self.before) + i128::from(self.stated) == i128::from(self.now) + i128::from(self.held)
    }
}

impl fmt::Display for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shelf { before, stated, now, held } = self;
        match stated {
            0 => write!(f, "{before} before, {now} now, {held} reserved"),
            stated => write!(f, "{before} before, {stated:+} stated, {now} now, {held} reserved"),
        }
    }
}

#[cfg(test)]
mod tests;
