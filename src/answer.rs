//! The result of an order: stored once, and returned byte for byte to every duplicate. Pure.

use serde::Serialize;

use crate::clock::UnixMillis;
use crate::order::{Order, OrderId};
use crate::record::{Outcomes, Reason, Refusal};

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Answer<'a> {
    Completed {
        total: u64,
        currency: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        payment_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        shipment_id: Option<&'a str>,
    },
    Rejected {
        reason: Reason,
        detail: &'a str,
    },
}

#[derive(Serialize)]
struct Finished<'a> {
    order_id: &'a OrderId,
    #[serde(flatten)]
    answer: Answer<'a>,
    finished_at: String,
}

/// The answer of an order that took effect.
pub fn completed(order: &Order, outcomes: &Outcomes, now: UnixMillis) -> String {
    let answer = Answer::Completed {
        total: order.total().minor,
        currency: order.currency.as_str(),
        payment_id: outcomes.text("payment_id"),
        shipment_id: outcomes.text("shipment_id"),
    };
    write(order, answer, now)
}

/// The answer of an order of which nothing is left.
pub fn rejected(order: &Order, refusal: &Refusal, now: UnixMillis) -> String {
    write(order, Answer::Rejected { reason: refusal.reason, detail: &refusal.detail }, now)
}

fn write(order: &Order, answer: Answer<'_>, now: UnixMillis) -> String {
    let finished = Finished { order_id: &order.id, answer, finished_at: now.to_rfc3339() };
    serde_json::to_string(&finished).expect("strings and integers are always JSON")
}
