//! Every write's condition and change, and what every refusal means.

mod migrations;
mod operators;
mod refusals;
mod writes;

use super::*;
use crate::clock::UnixMillis;
use crate::services::workflow;

/// The present moment of these tests.
const NOW: UnixMillis = UnixMillis(1_000_000);
const RESERVE: &str = "reserve_inventory";
const CHARGE: &str = "charge_payment";
const SHIP: &str = "dispatch_shipment";
const TELL: &str = "notify_customer";
const REFUND: &str = "refund_payment";

const ALL_STATUS: [Status; 5] =
    [Status::InProgress, Status::Compensating, Status::Completed, Status::Rejected, Status::Parked];

fn order() -> Order {
    let message = serde_json::json!({
        "order_id": "ord-1",
        "customer_id": "cus-42",
        "placed_at": "1970-01-01T00:10:00Z",
        "currency": "USD",
        "items": [
            { "sku": "mug", "quantity": 2, "unit_price": 1299 },
            { "sku": "cup", "quantity": 3, "unit_price": 100 },
        ],
        "payment_method": "pm_card_visa",
    });
    Order::parse(&message.to_string()).unwrap()
}

fn owner(name: &str) -> Owner {
    Owner(name.to_owned())
}

fn claimant(name: &str) -> Claimant {
    Claimant { owner: owner(name), lease_until: UnixMillis(NOW.0 + 15_000) }
}

fn step(name: &str) -> StepId {
    let workflow = workflow();
    let found = workflow.steps().find(|(_, step)| step.name == name);
    found.unwrap_or_else(|| panic!("no step {name}")).0
}

fn reserved() -> Outcome {
    Outcome::reserved([("mug".parse().unwrap(), 2), ("cup".parse().unwrap(), 3)])
}

fn paid() -> Outcome {
    Outcome::of("payment_id", "pi_1")
}

fn refusal() -> Refusal {
    Refusal { reason: crate::record::Reason::PaymentDeclined, detail: "card_declined".to_owned() }
}

/// A record at `step`, owned by `me` at fence 3, with the outcomes that it must have there.
fn held(status: Status, step: &str) -> Record {
    let claimed = UnixMillis(NOW.0 - 60_000);
    let first = claim(&workflow(), &order(), &claimant("me"), claimed).after;
    let mut outcomes = Outcomes::default();
    if step != RESERVE {
        outcomes = outcomes.with(RESERVE, reserved());
    }
    if [SHIP, TELL, REFUND].contains(&step) {
        outcomes = outcomes.with(CHARGE, paid().at(claimed));
    }
    let (step, lease_until_ms) = (step.to_owned(), Some(UnixMillis(NOW.0 + 5_000)));
    Record { status, step, lease_until_ms, fence: Fence(3), attempts: 3, outcomes, ..first }
}

/// What [`held`] becomes when a worker parks it.
fn parked_at(from: Status, step: &str) -> Record {
    park(&held(from, step), "retries_exhausted", "{the message}", UnixMillis(NOW.0 - 1000)).after
}

/// The condition of an owner's write, with the step and without a word about cancellation.
fn mine_at(status: Status, step: &str) -> Guard {
    Guard {
        absent: false,
        fence: Some(Fence(3)),
        owner: Some(owner("me")),
        status: vec![status],
        step: vec![step.to_owned()],
        not_cancelled: false,
    }
}

/// Every record that a condition may meet: each status, step, fence, owner, cancelled or not, and no record.
fn every_record() -> Vec<Option<Record>> {
    let mut records = vec![None];
    for status in ALL_STATUS {
        for step in [RESERVE, CHARGE, SHIP, TELL, REFUND] {
            let held = held(status, step);
            for fence in [2, 3, 4] {
                for name in ["me", "other"] {
                    for cancel_requested in [None, Some("support".to_owned())] {
                        let (fence, owner) = (Fence(fence), owner(name));
                        records.push(Some(Record { fence, owner, cancel_requested, ..held.clone() }));
                    }
                }
            }
        }
    }
    records
}

/// That `write` changes these attributes and no other, from `before`.
#[track_caller]
fn changes(write: &Write, before: &Record, names: &[&str]) {
    assert_eq!(write.before.as_ref(), Some(before));
    let changes = before.changes_to(&write.after);
    assert_eq!(changes.keys().map(String::as_str).collect::<Vec<_>>(), names);
}
