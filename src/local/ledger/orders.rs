//! What must hold for each order that was sent.

use serde_json::Value;

use super::{Found, Invariant, Sent, World};
use crate::local::receiver::Deliveries;
use crate::order::Order;
use crate::record::{IdempotencyKey, Record, Status};
use crate::services::payment::{self, PAYMENT_ID, Payment, Sandbox};
use crate::services::{inventory, notifications, warehouse};

pub(super) const RESERVE: &str = inventory::STEP.name;
pub(super) const SHIP: &str = warehouse::STEP.name;
pub(super) const TELL: &str = notifications::STEP.name;

pub(super) fn check(world: &World<'_>, id: &str, messages: &[(&Sent, Order)], found: &mut Found) {
    if !world.records.contains_key(id) && messages.iter().all(|(sent, _)| world.is_out_of_window(sent)) {
        return;
    }
    let record = world.records.get(id).copied().filter(|record| record.status.is_finished());
    found.unless(record.is_some(), Invariant::EveryOrderFinished, id, || match world.records.get(id) {
        Some(record) => format!("{} at {}", record.status, record.step),
        None => "there is no record".to_owned(),
    });
    let Some(record) = record else { return };
    let is_the_order = |order: &Order| order.fingerprint() == record.fingerprint;
    let Some((_, order)) = messages.iter().find(|(_, order)| is_the_order(order)) else {
        return found.unless(false, Invariant::EveryOrderFinished, id, || {
            "the record is of an order that nobody sent".to_owned()
        });
    };
    charged(world, record, order, found);
    shipped(world, record, order, found);
    told(world, record, found);
    reserved(record, order, found);
    answered(world, record, found);
    for (sent, other) in messages.iter().filter(|(_, order)| !is_the_order(order)) {
        let refused = world.is_dead_of(sent, "conflict") || world.is_out_of_window(sent);
        found.unless(refused, Invariant::ConflictsRefused, id, || {
            format!("message {} for {} is not dead-lettered so", sent.message_id, other.total().minor)
        });
    }
}

/// An order of total 0 is completed without a charge.
fn charged(world: &World<'_>, record: &Record, order: &Order, found: &mut Found) {
    let id = record.order_id();
    let payments = &world.facts.payments;
    let (charges, settled) = (payments.charges_of(id), payments.settled_refunds_of(id));
    let mut refunds = payments.refunds_of(id);
    refunds.retain(|refund| refund.status.holds());
    let total = order.total();
    let charge = record.outcomes.get(payment::STEP.name);
    let elsewhere = charge.is_some_and(|charge| charge.text(payment::PROVIDER) == Some(Sandbox::NAME));
    let expected = match record.status {
        // The sandbox moves no money.
        Status::Completed if elsewhere => 0,
        Status::Completed => usize::from(total.minor > 0),
        // Whatever was charged before the refusal.
        _ => charges.len().min(1),
    };
    let undone = if record.status == Status::Completed { 0 } else { charges.len() };
    let right = charges.iter().all(|charge| {
        let currency = charge.currency.eq_ignore_ascii_case(total.currency.as_str());
        charge.amount == total.minor && currency && charge.payment_method == order.payment_method.as_str()
    });
    let counted = charges.len() == expected && settled.len() == undone && refunds.len() == undone;
    found.unless(counted, Invariant::ChargedOnce, id, || {
        let (charges, refunds, settled) = (charges.len(), refunds.len(), settled.len());
        format!("{}: {charges} charges, {refunds} refunds, {settled} of them settled", record.status)
    });
    found.unless(right, Invariant::ChargedOnce, id, || "a charge is not of this order's total".to_owned());
    let of_a_charge = refunds.iter().all(|refund| {
        let mut charged = charges.iter().filter(|charge| charge.payment_id == refund.payment_id);
        charged.any(|charge| charge.created <= refund.created && charge.amount == refund.amount)
    });
    found.unless(of_a_charge, Invariant::ChargedOnce, id, || "refunded what was not charged".to_owned());
    if record.status == Status::Completed && total.minor > 0 && !elsewhere {
        let told = field(record.result.as_deref(), PAYMENT_ID);
        let known = charges.iter().any(|charge| Some(&charge.payment_id) == told.as_ref());
        found.unless(known, Invariant::OneAnswer, id, || format!("the answer names the charge {told:?}"));
    }
}

fn shipped(world: &World<'_>, record: &Record, order: &Order, found: &mut Found) {
    let id = record.order_id();
    let bodies = delivered(&world.facts.shipments, id, SHIP);
    let expected = usize::from(record.status == Status::Completed);
    found.unless(bodies.len() == expected, Invariant::ShippedOnce, id, || {
        format!("{}: {} different shipments", record.status, bodies.len())
    });
    for body in bodies {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let right = body["items"] == serde_json::json!(order.items)
            && body["customer_id"] == serde_json::json!(order.customer_id);
        found.unless(right, Invariant::ShippedOnce, id, || "what was shipped is not the order".to_owned());
    }
}

fn told(world: &World<'_>, record: &Record, found: &mut Found) {
    let id = record.order_id();
    let bodies = delivered(&world.facts.notifications, id, TELL);
    found.unless(bodies.len() == 1, Invariant::ToldOnce, id, || {
        format!("{} different messages", bodies.len())
    });
    let status = field(record.result.as_deref(), "status");
    let right = bodies.iter().all(|body| field(Some(body), "status") == status);
    found.unless(right, Invariant::ToldOnce, id, || "told another end than the record has".to_owned());
}

fn reserved(record: &Record, order: &Order, found: &mut Found) {
    if record.status != Status::Completed {
        return;
    }
    let reserved = record.outcomes.get(RESERVE);
    let reserved: Vec<_> = reserved.into_iter().flat_map(|outcome| outcome.quantities()).collect();
    let ordered: Vec<_> =
        order.items.iter().map(|item| (item.sku.clone(), u64::from(item.quantity))).collect();
    found.unless(reserved == ordered, Invariant::StockConserved, record.order_id(), || {
        format!("{reserved:?} is reserved, {ordered:?} is ordered")
    });
}

fn answered(world: &World<'_>, record: &Record, found: &mut Found) {
    let id = record.order_id();
    let answers = world.facts.answers.get(id).into_iter().flatten();
    for answer in answers {
        found.unless(Some(answer) == record.result.as_ref(), Invariant::OneAnswer, id, || {
            format!("answered {answer}, stored is {:?}", record.result)
        });
    }
}

/// What came for a step of the order: a different body, or another generation of the key, is another effect.
fn delivered<'d>(deliveries: &'d Deliveries, id: &str, step: &str) -> Vec<&'d String> {
    let first = IdempotencyKey { order_id: id, step, generation: None }.to_string();
    let from_there = deliveries.range(first.clone()..).take_while(|(key, _)| key.starts_with(&first));
    let of_the_step =
        |key: &str| IdempotencyKey::parse(key).is_some_and(|key| key.order_id == id && key.step == step);
    from_there.filter(|(key, _)| of_the_step(key)).flat_map(|(_, delivered)| &delivered.bodies).collect()
}

fn field(json: Option<&str>, name: &str) -> Option<String> {
    let json: Value = serde_json::from_str(json?).ok()?;
    Some(json[name].as_str()?.to_owned())
}
