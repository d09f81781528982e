use serde_json::{Value, json};

use super::*;
use crate::clock::UnixMillis;
use crate::local::payment_provider::{Payment, PaymentStatus, Refund, RefundStatus};
use crate::local::receiver::Delivered;
use crate::order::Fingerprint;

fn order(id: &str, quantity: u32) -> Value {
    json!({
        "order_id": id, "customer_id": "cus-1", "placed_at": "2026-11-24T01:00:00Z", "currency": "USD",
        "items": [{ "sku": "mug", "quantity": quantity, "unit_price": 100 }], "payment_method": "pm_card_visa",
    })
}

fn fingerprint(order: &Value) -> Fingerprint {
    Order::parse(&order.to_string()).unwrap().fingerprint()
}

fn sent(id: &str, body: impl ToString) -> Sent {
    Sent { message_id: id.to_owned(), body: body.to_string() }
}

pub(super) fn record(id: &str, status: &str, quantity: u32, result: &Value) -> Record {
    let json = json!({
        "pk": format!("ORDER#{id}"), "status": status, "fence": 1, "owner": "me", "step": "notify_customer",
        "outcomes": { "reserve_inventory": { "mug": quantity } },
        "fingerprint": fingerprint(&order(id, quantity)), "workflow_version": 1, "claimed_at_ms": 1,
        "result": result.to_string(),
    });
    serde_json::from_value(json).unwrap()
}

fn payment(id: &str, amount: u64) -> Payment {
    Payment {
        payment_id: format!("pi_{id}"),
        order_id: Some(id.to_owned()),
        idempotency_key: Some(format!("{id}:charge_payment")),
        amount,
        currency: "usd".to_owned(),
        payment_method: "pm_card_visa".to_owned(),
        status: PaymentStatus::Succeeded,
        created: UnixMillis(1),
        settles: None,
    }
}

fn refund(id: &str) -> Refund {
    Refund {
        refund_id: "re_1".to_owned(),
        payment_id: format!("pi_{id}"),
        order_id: Some(id.to_owned()),
        idempotency_key: None,
        amount: 100,
        created: UnixMillis(1),
        status: RefundStatus::Succeeded,
        settles: None,
    }
}

fn delivery(key: &str, body: &Value) -> (String, Delivered) {
    (key.to_owned(), Delivered { times: 2, bodies: vec![body.to_string()] })
}

/// One completed order with a duplicate and a conflict, one rejected and refunded, one poison message.
fn good() -> Facts {
    let completed = json!({ "order_id": "a", "status": "completed", "total": 200, "payment_id": "pi_a" });
    let rejected = json!({ "order_id": "b", "status": "rejected", "reason": "shipment_refused" });
    let items = json!([{ "sku": "mug", "quantity": 2, "unit_price": 100 }]);
    let (one, other) = (order("a", 2), order("a", 3));
    Facts {
        sent: vec![
            sent("m1", &one),
            sent("m2", format!("{one:#}")),
            sent("m3", &other),
            sent("m4", order("b", 1)),
            sent("m5", "{"),
        ],
        records: vec![record("a", "COMPLETED", 2, &completed), record("b", "REJECTED", 1, &rejected)],
        payments: Payments {
            payments: vec![payment("a", 200), payment("b", 100)],
            refunds: vec![refund("b")],
            ..Payments::default()
        },
        shipments: [delivery("a:dispatch_shipment", &json!({ "customer_id": "cus-1", "items": items }))]
            .into(),
        notifications: [
            delivery("a:notify_customer", &json!({ "status": "completed" })),
            delivery("b:notify_customer", &json!({ "status": "rejected" })),
        ]
        .into(),
        out_of_window: BTreeSet::new(),
        stock_before: [("mug".to_owned(), 10)].into(),
        stock_stated: BTreeMap::new(),
        stock_after: [("mug".to_owned(), 8)].into(),
        answers: [("a".to_owned(), [completed.to_string()].into())].into(),
        dead_letters: vec![letter("m3", "conflict", &other.to_string()), letter("m5", "invalid", "{")],
    }
}

fn letter(id: &str, reason: &str, body: &str) -> DeadLetter {
    DeadLetter { source_message_id: id.to_owned(), reason: reason.to_owned(), body: body.to_owned() }
}

#[test]
fn a_world_in_order_has_no_violation() {
    assert_eq!(check(&good()), []);
    assert_eq!(check(&Facts::default()), []);
}

/// After `change`, exactly `invariant` is found broken, for `subject`.
#[track_caller]
fn breaks(invariant: Invariant, subject: &str, change: impl FnOnce(&mut Facts)) {
    let mut facts = good();
    change(&mut facts);
    let violations = check(&facts);
    assert!(!violations.is_empty(), "nothing was found");
    for violation in &violations {
        assert_eq!((violation.invariant, violation.subject.as_str()), (invariant, subject), "{violations:?}");
    }
}

#[test]
fn an_unfinished_lost_or_invented_order_is_found() {
    let invariant = Invariant::EveryOrderFinished;
    breaks(invariant, "b", |facts| {
        facts.records[1].status = Status::Compensating;
        facts.stock_after.insert("mug".to_owned(), 7);
    });
    breaks(invariant, "c", |facts| facts.sent.push(sent("m6", order("c", 1))));
    breaks(invariant, "c", |facts| {
        let mut stray = record("c", "REJECTED", 1, &json!({}));
        stray.outcomes = crate::record::Outcomes::default();
        facts.records.push(stray);
    });
}

#[test]
fn a_wrong_charge_is_found() {
    let invariant = Invariant::ChargedOnce;
    breaks(invariant, "a", |facts| facts.payments.payments.push(payment("a", 200)));
    breaks(invariant, "a", |facts| facts.payments.payments[0].amount = 300);
    breaks(invariant, "a", |facts| facts.payments.payments[0].payment_method = "pm_other".to_owned());
    breaks(invariant, "a", |facts| facts.payments.refunds.push(refund("a")));
    breaks(invariant, "b", |facts| facts.payments.refunds.clear());
    breaks(invariant, "b", |facts| {
        facts.payments.payments.push(payment("b", 100));
        facts.payments.refunds.push(refund("b"));
    });
    breaks(invariant, "c", |facts| facts.payments.payments.push(payment("c", 1)));
    let mut uncharged = good();
    uncharged.payments.payments.remove(0);
    assert!(check(&uncharged).iter().any(|violation| violation.invariant == invariant));
}

#[test]
fn a_refund_that_is_not_settled_or_not_of_the_whole_charge_is_found() {
    use RefundStatus::{Canceled, Failed, Pending, RequiresAction};
    for status in [Pending, RequiresAction, Failed, Canceled] {
        breaks(Invariant::ChargedOnce, "b", |facts| facts.payments.refunds[0].status = status);
    }
    breaks(Invariant::ChargedOnce, "b", |facts| facts.payments.refunds[0].amount -= 1);
    let mut again = good();
    again.payments.refunds.insert(0, Refund { status: Failed, ..refund("b") });
    assert_eq!(check(&again), []);
    breaks(Invariant::ChargedOnce, "b", |facts| {
        facts.payments.refunds.push(Refund { status: Pending, ..refund("b") });
    });
}

#[test]
fn a_refund_of_what_was_not_charged_is_found() {
    breaks(Invariant::ChargedOnce, "b", |facts| facts.payments.refunds[0].payment_id = "pi_a".to_owned());
    breaks(Invariant::ChargedOnce, "b", |facts| facts.payments.refunds[0].created = UnixMillis(0));
}

#[test]
fn a_message_that_came_too_late_may_be_stale_and_no_other_may() {
    let late = |facts: &mut Facts| {
        facts.sent.push(sent("m6", order("c", 1)));
        facts.dead_letters.push(letter("m6", "stale", &order("c", 1).to_string()));
    };
    let mut facts = good();
    late(&mut facts);
    assert_ne!(check(&facts), []);
    facts.out_of_window.insert("m6".to_owned());
    assert_eq!(check(&facts), []);
    facts.payments.payments.push(payment("c", 100));
    assert_eq!(check(&facts)[0].invariant, Invariant::ChargedOnce, "it must have no effect");
}

#[test]
fn a_wrong_shipment_is_found() {
    let invariant = Invariant::ShippedOnce;
    let key = || "a:dispatch_shipment".to_owned();
    breaks(invariant, "a", |facts| facts.shipments.clear());
    breaks(invariant, "a", |facts| {
        let shipment = facts.shipments.get_mut(&key()).unwrap();
        shipment.bodies[0] = shipment.bodies[0].replace("\"quantity\":2", "\"quantity\":3");
    });
    breaks(invariant, "a", |facts| {
        let shipment = facts.shipments.get_mut(&key()).unwrap();
        let reordered = format!(" {}", shipment.bodies[0]);
        shipment.bodies.push(reordered);
    });
    breaks(invariant, "a", |facts| {
        let shipment = facts.shipments[&key()].clone();
        facts.shipments.insert(format!("{}:2", key()), shipment);
    });
    for (subject, stray) in [
        ("c", "c:dispatch_shipment"),
        ("a:dispatch_shipment:", "a:dispatch_shipment:"),
        ("a:dispatch_shipment:1", "a:dispatch_shipment:1"),
    ] {
        breaks(invariant, subject, |facts| {
            facts.shipments.insert(stray.to_owned(), Delivered::default());
        });
    }
    let mut rejected = good();
    let shipment = rejected.shipments[&key()].clone();
    rejected.shipments.insert("b:dispatch_shipment".to_owned(), shipment);
    let found = check(&rejected);
    assert!(found.iter().all(|violation| violation.invariant == invariant) && !found.is_empty(), "{found:?}");
}

#[test]
fn a_wrong_notification_is_found() {
    let invariant = Invariant::ToldOnce;
    breaks(invariant, "b", |facts| {
        facts.notifications.remove("b:notify_customer");
    });
    breaks(invariant, "b", |facts| {
        let told = facts.notifications.get_mut("b:notify_customer").unwrap();
        told.bodies[0] = told.bodies[0].replace("rejected", "completed");
    });
    breaks(invariant, "a", |facts| {
        let told = facts.notifications.get_mut("a:notify_customer").unwrap();
        told.bodies.push(told.bodies[0].replace('{', "{ "));
    });
    breaks(invariant, "", |facts| {
        facts.notifications.insert(String::new(), Delivered::default());
    });
}

#[test]
fn lost_or_invented_stock_is_found() {
    breaks(Invariant::StockConserved, "mug", |facts| {
        facts.stock_after.insert("mug".to_owned(), 7);
    });
    breaks(Invariant::StockConserved, "cap", |facts| {
        facts.stock_after.insert("cap".to_owned(), 1);
    });
}

#[test]
fn what_people_stated_about_stock_is_counted() {
    let mut facts = good();
    facts.stock_stated = [("mug".to_owned(), -3), ("cap".to_owned(), 2)].into();
    facts.stock_after = [("mug".to_owned(), 5), ("cap".to_owned(), 2)].into();
    assert_eq!(check(&facts), []);
    breaks(Invariant::StockConserved, "cap", |facts| {
        facts.stock_stated.insert("cap".to_owned(), 1);
    });
}

#[test]
fn another_answer_is_found() {
    breaks(Invariant::OneAnswer, "a", |facts| {
        facts.answers.get_mut("a").unwrap().insert("{}".to_owned());
    });
    breaks(Invariant::OneAnswer, "a", |facts| facts.payments.payments[0].payment_id = "pi_other".to_owned());
}

#[test]
fn a_dead_letter_that_is_missing_wrong_or_too_much_is_found() {
    breaks(Invariant::ConflictsRefused, "a", |facts| {
        facts.dead_letters.remove(0);
    });
    breaks(Invariant::ConflictsRefused, "a", |facts| facts.dead_letters[0].reason = "stale".to_owned());
    breaks(Invariant::ConflictsRefused, "m3", |facts| facts.dead_letters[0].body.push(' '));
    breaks(Invariant::PoisonRefused, "m5", |facts| {
        facts.dead_letters.remove(1);
    });
    breaks(Invariant::PoisonRefused, "m5", |facts| facts.dead_letters[1].reason = "stale".to_owned());
    breaks(Invariant::NothingElseDead, "m2", |facts| facts.dead_letters.push(letter("m2", "invalid", "{")));
    breaks(Invariant::NothingElseDead, "", |facts| facts.dead_letters.push(letter("", "", "{")));
}
