//! What must not be there: effects of what is no order, and dead letters that should not be.

use std::collections::BTreeSet;

use super::orders::{SHIP, TELL};
use super::{Found, Invariant, World};
use crate::record::IdempotencyKey;

pub(super) fn check(world: &World<'_>, found: &mut Found) {
    let facts = world.facts;
    for id in world.records.keys().filter(|id| !world.orders.contains_key(**id)) {
        found.unless(false, Invariant::EveryOrderFinished, id, || "nobody sent this order".to_owned());
    }
    for payment in &facts.payments.payments {
        let id = payment.order_id.as_deref().unwrap_or("(none)");
        found.unless(is_order(world, id), Invariant::ChargedOnce, id, || {
            format!("the payment {} is of no order", payment.payment_id)
        });
    }
    for (deliveries, step, invariant) in
        [(&facts.shipments, SHIP, Invariant::ShippedOnce), (&facts.notifications, TELL, Invariant::ToldOnce)]
    {
        for key in deliveries.keys() {
            let of_the_step = IdempotencyKey::parse(key).filter(|key| key.step == step);
            let id = of_the_step.map_or(key.as_str(), |key| key.order_id);
            let known = of_the_step.is_some() && is_order(world, id);
            found.unless(known, invariant, id, || format!("the key {key:?} is of no order"));
        }
    }
    dead_letters(world, found);
}

fn is_order(world: &World<'_>, id: &str) -> bool {
    world.records.contains_key(id) && world.orders.contains_key(id)
}

fn dead_letters(world: &World<'_>, found: &mut Found) {
    for sent in &world.poison {
        found.unless(world.is_dead_of(sent, "invalid"), Invariant::PoisonRefused, &sent.message_id, || {
            "it is not dead-lettered so".to_owned()
        });
    }
    let mut expected: BTreeSet<&str> = world.poison.iter().map(|sent| sent.message_id.as_str()).collect();
    for (id, messages) in &world.orders {
        let fingerprint = world.records.get(id.as_str()).map(|record| &record.fingerprint);
        let others = messages.iter().filter(|(_, order)| Some(&order.fingerprint()) != fingerprint);
        expected.extend(others.map(|(sent, _)| sent.message_id.as_str()));
    }
    expected.extend(world.facts.out_of_window.iter().map(String::as_str));
    for letter in &world.facts.dead_letters {
        let id = letter.source_message_id.as_str();
        found.unless(expected.contains(id), Invariant::NothingElseDead, id, || {
            format!("dead-lettered as {:?}", letter.reason)
        });
    }
    let bodies = |id: &str| world.facts.sent.iter().find(|sent| sent.message_id == id).map(|sent| &sent.body);
    for letter in world.facts.dead_letters.iter().filter(|letter| letter.reason == "conflict") {
        let id = letter.source_message_id.as_str();
        found.unless(bodies(id) == Some(&letter.body), Invariant::ConflictsRefused, id, || {
            "the dead letter is not the message".to_owned()
        });
    }
}
