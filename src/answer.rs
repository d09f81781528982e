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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Outcome;

    const NOW: UnixMillis = UnixMillis(1_795_482_001_123);

    fn order(unit_price: u64) -> Order {
        let message = serde_json::json!({
            "order_id": "ord-1",
            "customer_id": "cus-42",
            "placed_at": "2026-11-24T01:00:00Z",
            "currency": "USD",
            "items": [{ "sku": "mug", "quantity": 2, "unit_price": unit_price }],
            "payment_method": "pm_card_visa",
            "metadata": { "channel": "web" },
        });
        Order::parse(&message.to_string()).unwrap()
    }

    #[test]
    fn a_completed_order_is_answered_with_what_was_paid_and_shipped() {
        let paid = Outcomes::default().with("charge_payment", Outcome::of("payment_id", "pi_1").at(NOW));
        let shipped = paid.with("dispatch_shipment", Outcome::of("shipment_id", "shp_1").at(NOW));
        let expected = r#"{"order_id":"ord-1","status":"completed","total":2598,"currency":"USD","payment_id":"pi_1","shipment_id":"shp_1","finished_at":"2026-11-24T01:00:01.123Z"}"#;
        assert_eq!(completed(&order(1299), &shipped, NOW), expected);
    }

    #[test]
    fn a_completed_order_that_costs_nothing_has_no_payment() {
        let free = Outcomes::default().with("charge_payment", Outcome::nothing().at(NOW));
        let shipped = free.with("dispatch_shipment", Outcome::of("shipment_id", "shp_1"));
        let expected = r#"{"order_id":"ord-1","status":"completed","total":0,"currency":"USD","shipment_id":"shp_1","finished_at":"2026-11-24T01:00:01.123Z"}"#;
        assert_eq!(completed(&order(0), &shipped, NOW), expected);
    }

    #[test]
    fn a_rejected_order_is_answered_with_the_reason_and_nothing_of_the_rest() {
        for (reason, name) in [
            (Reason::OutOfStock, "out_of_stock"),
            (Reason::UnknownSku, "unknown_sku"),
            (Reason::PaymentDeclined, "payment_declined"),
            (Reason::ShipmentRefused, "shipment_refused"),
            (Reason::Cancelled, "cancelled"),
        ] {
            let refusal = Refusal { reason, detail: "in \"words\"".to_owned() };
            let expected = format!(
                r#"{{"order_id":"ord-1","status":"rejected","reason":"{name}","detail":"in \"words\"","finished_at":"2026-11-24T01:00:01.123Z"}}"#
            );
            assert_eq!(rejected(&order(1299), &refusal, NOW), expected);
            let outcomes = Outcomes::default().with(crate::record::REFUSAL, refusal.to_outcome().at(NOW));
            assert_eq!(outcomes.refusal(), Some(refusal), "as it is read back for the answer");
        }
    }
}
