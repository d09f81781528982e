//! The paths through the workflow, and how the world must be at the end of each.

use order_processor::record::Reason;
use order_processor::workflow::Migration;
use serde_json::{Value, json};

use crate::world::{Message, message, order_json};

/// A path through the workflow.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// One word, by which a case names it.
    pub name: &'static str,
    /// The batch that arrives.
    pub messages: fn() -> Vec<Message>,
    /// How often the batch was received, this time included.
    pub receive_count: u32,
    /// Somebody cancels `ord-1` while the first request of this operation is under way.
    pub cancelled_during: Option<&'static str>,
    /// Shipments are asked for at a warehouse that refuses, not sent to a queue.
    pub shipment_refused: bool,
    /// The payment provider is down for the first request about this order.
    pub provider_down_for: Option<&'static str>,
    /// Where a worker of an earlier version of the code left `ord-1`.
    pub left_by_old_code: Option<Left>,
    /// What else the payment provider does.
    pub provider: Provider,
    /// How each order ends.
    pub ends: &'static [End],
}

/// An order whose stock is reserved, left at a step that is no more.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    pub step: &'static str,
    /// Somebody asked to cancel it there.
    pub cancelled: bool,
    /// Where the present code goes on.
    pub migrations: &'static [Migration],
}

/// The old code checked an order for fraud before it was charged, and packed it before it was shipped.
const NO_MORE: &[Migration] =
    &[Migration { moves: &[("check_fraud", "charge_payment"), ("pack_order", "dispatch_shipment")] }];

/// What the payment provider does that it seldom does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    Usual,
    /// It charges, and stores an error under the key; its search shows what the payment was before.
    StoredError,
    /// The payment waits to be confirmed, and is when everybody is gone, unless it is given up.
    Unconfirmed,
    /// The API key that workers start with is revoked, and another is in the secret.
    RevokedKey,
    /// The refund is settled between two deliveries, by the card one way or the other.
    LateRefund,
}

/// How an order ends.
#[derive(Clone, Copy, Debug)]
pub struct End {
    pub order: &'static str,
    /// Why it is rejected, if it is not completed.
    pub rejected: Option<Reason>,
    pub charges: usize,
    pub refunds: usize,
}

/// Contract, "Function environment": the default of `MAX_RECEIVE_COUNT`.
pub const LAST_RECEIVE: u32 = 20;

const COMPLETED: End = End { order: "ord-1", rejected: None, charges: 1, refunds: 0 };

const fn rejected(reason: Reason) -> End {
    End { rejected: Some(reason), charges: 0, ..COMPLETED }
}

const fn refunded(reason: Reason) -> End {
    End { charges: 1, refunds: 1, ..rejected(reason) }
}

pub const HAPPY: Path = Path {
    name: "happy",
    messages: || vec![message("m1", &order_json("ord-1"))],
    receive_count: 1,
    cancelled_during: None,
    shipment_refused: false,
    provider_down_for: None,
    left_by_old_code: None,
    provider: Provider::Usual,
    ends: &[COMPLETED],
};

pub const REFUND: Path = Path {
    name: "cancelled-after-charge",
    cancelled_during: Some("POST /v1/payment_intents"),
    ends: &[refunded(Reason::Cancelled)],
    ..HAPPY
};

pub const OUT_OF_STOCK: Path = Path {
    name: "out-of-stock",
    messages: || one_with("/items/0/quantity", json!(11)),
    ends: &[rejected(Reason::OutOfStock)],
    ..HAPPY
};

pub static PATHS: [Path; 17] = [
    HAPPY,
    Path {
        name: "free",
        messages: || one_with("/items/0/unit_price", json!(0)),
        ends: &[End { charges: 0, ..COMPLETED }],
        ..HAPPY
    },
    OUT_OF_STOCK,
    Path {
        name: "unknown-sku",
        messages: || vec![message("m1", &of_unknown_sku("ord-1"))],
        ends: &[rejected(Reason::UnknownSku)],
        ..HAPPY
    },
    Path {
        name: "declined",
        messages: || one_with("/payment_method", json!("pm_card_declined")),
        ends: &[rejected(Reason::PaymentDeclined)],
        ..HAPPY
    },
    Path {
        name: "cancelled-before-reservation",
        cancelled_during: Some("DynamoDB TransactWriteItems"),
        ends: &[rejected(Reason::Cancelled)],
        ..HAPPY
    },
    REFUND,
    Path {
        name: "refused-shipment",
        shipment_refused: true,
        ends: &[refunded(Reason::ShipmentRefused)],
        ..HAPPY
    },
    // Whatever fails is parked, and an operator resumes it.
    Path { name: "last-receive", receive_count: LAST_RECEIVE, ..HAPPY },
    Path {
        name: "migrated",
        left_by_old_code: Some(Left { step: "check_fraud", cancelled: false, migrations: NO_MORE }),
        ..HAPPY
    },
    Path {
        name: "cancelled-and-migrated",
        left_by_old_code: Some(Left { step: "pack_order", cancelled: true, migrations: NO_MORE }),
        ends: &[rejected(Reason::Cancelled)],
        ..HAPPY
    },
    // In group a an order and its duplicate, rebuilt by the producer; in group b an order that fails at first, and
    // one that must wait for it.
    Path {
        name: "fifo-batch",
        messages: || {
            let in_group = |group: &str, id: &str, order: &Value| message(id, order).in_fifo_group(group);
            vec![
                in_group("a", "m1", &order_json("ord-1")),
                in_group("b", "m2", &order_json("ord-2")),
                in_group("a", "m3", &with("/placed_at", json!("2026-11-24T01:00:01Z"))),
                in_group("b", "m4", &of_unknown_sku("ord-3")),
            ]
        },
        provider_down_for: Some("ord-2"),
        ends: &[
            COMPLETED,
            End { order: "ord-2", ..COMPLETED },
            End { order: "ord-3", ..rejected(Reason::UnknownSku) },
        ],
        ..HAPPY
    },
    Path { name: "stored-error", provider: Provider::StoredError, ..HAPPY },
    Path {
        name: "unconfirmed",
        provider: Provider::Unconfirmed,
        ends: &[rejected(Reason::PaymentDeclined)],
        ..HAPPY
    },
    Path { name: "revoked-key", provider: Provider::RevokedKey, ..HAPPY },
    Path {
        name: "late-refund",
        messages: || one_with("/payment_method", json!("pm_card_pendingRefund")),
        shipment_refused: true,
        provider: Provider::LateRefund,
        ends: &[refunded(Reason::ShipmentRefused)],
        ..HAPPY
    },
    // It is parked, and an operator pays the customer back.
    Path {
        name: "failed-refund",
        messages: || one_with("/payment_method", json!("pm_card_pendingRefundFail")),
        shipment_refused: true,
        provider: Provider::LateRefund,
        ends: &[refunded(Reason::ShipmentRefused)],
        ..HAPPY
    },
];

fn of_unknown_sku(id: &str) -> Value {
    let mut order = order_json(id);
    order["items"][0]["sku"] = json!("cup");
    order
}

fn one_with(path: &str, value: Value) -> Vec<Message> {
    vec![message("m1", &with(path, value))]
}

/// `ord-1` with one thing other than usual.
fn with(path: &str, value: Value) -> Value {
    let mut order = order_json("ord-1");
    *order.pointer_mut(path).unwrap() = value;
    order
}
