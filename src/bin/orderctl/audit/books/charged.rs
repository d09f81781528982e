//! Whether the provider has exactly the payment that the record names, and has given it back if the order is rejected.

use order_processor::record::{Record, Status};
use order_processor::services::payment::{self, PAYMENT_ID, PROVIDER, Payment, Stripe};

use super::Books;

/// A payment of an order, as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub payment_id: String,
    /// Whether money has moved.
    pub succeeded: bool,
    /// In minor units.
    pub amount: u64,
    pub refunds: Vec<Refund>,
}

impl Charge {
    /// How much of it has gone back to the customer for good.
    fn back(&self) -> u64 {
        let settled = self.refunds.iter().filter(|refund| refund.status == "succeeded");
        settled.map(|refund| refund.amount).sum()
    }

    /// Whether the customer has it back: the whole, or what was given back because the order turned back.
    pub fn is_given_back(&self) -> bool {
        let for_order = |refund: &Refund| refund.is_of_order && refund.status == "succeeded";
        self.back() >= self.amount || self.refunds.iter().any(for_order)
    }
}

/// A refund of a payment, as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub refund_id: String,
    pub status: String,
    /// In minor units.
    pub amount: u64,
    /// Whether it was made for this order, and not by hand.
    pub is_of_order: bool,
}

impl Refund {
    fn has_failed(&self) -> bool {
        ["failed", "canceled"].contains(&self.status.as_str())
    }
}

/// The payment that the record names, unless another provider made it.
pub fn charged_by_stripe(record: &Record) -> Option<&str> {
    fact(record, PAYMENT_ID).filter(|_| charged_by_another(record).is_none())
}

fn charged_by_another(record: &Record) -> Option<&str> {
    fact(record, PROVIDER).filter(|provider| *provider != Stripe::NAME)
}

fn fact<'r>(record: &'r Record, name: &str) -> Option<&'r str> {
    record.outcomes.get(payment::STEP.name).and_then(|outcome| outcome.text(name))
}

pub fn examine(record: &Record, books: &Books<'_>) -> Vec<String> {
    let Some(charges) = books.charges.and_then(|charges| charges.get(record.order_id())) else {
        return Vec::new();
    };
    let succeeded: Vec<&Charge> = charges.iter().filter(|charge| charge.succeeded).collect();
    [named(record, &succeeded), refunded(record, &succeeded)].concat()
}

fn named(record: &Record, succeeded: &[&Charge]) -> Vec<String> {
    let ids: Vec<&str> = succeeded.iter().map(|charge| charge.payment_id.as_str()).collect();
    let mut found = Vec::new();
    if ids.len() > 1 {
        found.push(format!("is charged {} times: {}", ids.len(), ids.join(", ")));
    }
    match (charged_by_another(record), charged_by_stripe(record)) {
        (Some(other), _) if !ids.is_empty() => {
            found.push(format!("is charged by {other}, but this provider has {}", ids.join(", ")));
        }
        (None, Some(named)) if !ids.contains(&named) => {
            found.push(format!("names the payment {named}, which the provider has not"));
        }
        (None, None) if record.status.is_finished() => {
            let kept = succeeded.iter().filter(|charge| !turned_back(record, charge));
            let kept: Vec<&str> = kept.map(|charge| charge.payment_id.as_str()).collect();
            if !kept.is_empty() {
                found.push(format!("names no payment, but the provider has {}", kept.join(", ")));
            }
        }
        _ => {}
    }
    found
}

/// An order that was charged and turned back, was forgotten with a table that was restored, and turned back again without
/// another charge.
fn turned_back(record: &Record, charge: &Charge) -> bool {
    record.status == Status::Rejected && charge.is_given_back()
}

/// A refund of a completed order that was made by hand is the shop's own affair.
fn refunded(record: &Record, succeeded: &[&Charge]) -> Vec<String> {
    match record.status {
        Status::Rejected => succeeded.iter().filter_map(|charge| kept(charge)).collect(),
        Status::Completed => {
            let refunds = succeeded.iter().flat_map(|charge| &charge.refunds);
            let ours = refunds.filter(|refund| refund.is_of_order && !refund.has_failed());
            ours.map(|refund| format!("is completed, but refunded by {}", refund.refund_id)).collect()
        }
        Status::InProgress | Status::Compensating | Status::Parked => Vec::new(),
    }
}

/// What a rejected order has not got back, or not surely.
fn kept(charge: &Charge) -> Option<String> {
    let back = charge.back();
    let refunds = charge.refunds.iter().map(|refund| format!("{} is {}", refund.refund_id, refund.status));
    let refunds = refunds.collect::<Vec<_>>().join(", ");
    let (id, amount) = (&charge.payment_id, charge.amount);
    let colon = if refunds.is_empty() { "" } else { ": " };
    (back != amount)
        .then(|| format!("is rejected, but {id} is refunded with {back} of {amount}{colon}{refunds}"))
}
