//! The messages of a demonstration, all from one seed: good orders, and everything that goes wrong with messages.

use fastrand::Rng;
use order_processor::clock::UnixMillis;

use crate::draft::{Draft, Line};
use crate::outbox::Message;
use crate::send::poison;

/// What is in stock, for so many orders. Of one SKU there is too little.
pub fn stock(orders: u64) -> Vec<(&'static str, u64)> {
    let plenty = orders * 10;
    vec![("cap", plenty), ("mug", plenty), (SCARCE, orders / 80 + 1), ("shirt", plenty), ("tote", plenty)]
}

const PLENTY: [(&str, u64); 4] = [("cap", 1500), ("mug", 1299), ("shirt", 2500), ("tote", 900)];
const SCARCE: &str = "poster";

/// Out of a hundred orders: how often a message is built anew by its producer, delivered twice, contradicted, and
/// how often there is a message that is no order. Together 60: 1.6 messages an order.
const REBUILT: u64 = 25;
const COPIED: u64 = 21;
const CONTRADICTED: u64 = 7;
const POISON: u64 = 7;

/// Every so many orders one is paid with a card that takes 2 s: a worker can be killed while it waits.
const SLOW_EVERY: u64 = 50;

/// A repeat comes at most so many orders after its original, so some meet it while it runs.
const SPREAD: f64 = 150.0;

/// The messages in the order in which they are sent.
pub fn messages(orders: u64, seed: u64, now: UnixMillis) -> Vec<Message> {
    let mut random = Rng::with_seed(seed);
    let mut placed: Vec<(f64, Message)> = Vec::new();
    for index in 0..orders {
        let (what, draft) = draft(index, seed, now, &mut random);
        #[expect(clippy::cast_precision_loss, reason = "a position, not an amount")]
        let at = index as f64;
        let mut later =
            |random: &mut Rng, message: Message| placed.push((at + random.f64() * SPREAD, message));
        let chance = |random: &mut Rng, percent: u64| random.u64(0..100) < percent;
        if chance(&mut random, REBUILT) {
            later(&mut random, Message::new("rebuilt by the producer", draft.rebuilt(now)));
        }
        if chance(&mut random, COPIED) {
            later(&mut random, Message::new("exact redelivery", draft.body()));
        }
        if chance(&mut random, CONTRADICTED) {
            later(&mut random, Message::new("conflicting payload", draft.contradicted().body()));
        }
        if chance(&mut random, POISON) {
            let which = random.usize(..);
            let none = Draft { order_id: format!("{}-poison", draft.order_id), ..draft.clone() };
            later(&mut random, Message { what: "poison", ..poison(&none, which) });
        }
        placed.push((at, Message::new(what, draft.body())));
    }
    placed.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    placed.into_iter().map(|(_, message)| message).collect()
}

fn draft(index: u64, seed: u64, now: UnixMillis, random: &mut Rng) -> (&'static str, Draft) {
    let line = |random: &mut Rng| {
        let (sku, unit_price) = PLENTY[random.usize(..PLENTY.len())];
        Line { sku: sku.to_owned(), quantity: random.u64(1..=3), unit_price }
    };
    let one = |sku: &str| Line { sku: sku.to_owned(), quantity: 1, unit_price: 4000 };
    let mut draft = Draft {
        order_id: format!("ord-{seed}-{:05}", index + 1),
        customer_id: format!("cus-{}", random.u32(1..=400)),
        placed_at: now.to_rfc3339(),
        currency: "USD".to_owned(),
        items: vec![line(random)],
        payment_method: "pm_card_visa".to_owned(),
        metadata: [("channel".to_owned(), "demo".to_owned())].into(),
    };
    let another = line(random);
    if another.sku != draft.items[0].sku && random.bool() {
        draft.items.push(another);
    }
    let what = match random.u64(0..100) {
        _ if index % SLOW_EVERY == SLOW_EVERY / 10 => {
            draft.payment_method = "pm_card_slow".to_owned();
            "paid with a slow card"
        }
        0..5 => {
            draft.payment_method = "pm_card_declined".to_owned();
            "paid with a declined card"
        }
        5..9 => {
            draft.items.push(one(SCARCE));
            "for a scarce SKU"
        }
        9 => {
            draft.items.push(one("unicorn"));
            "for an unknown SKU"
        }
        _ => "ordinary order",
    };
    (what, draft)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use order_processor::order::Order;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_482_001_000);

    #[test]
    fn the_seed_decides_everything() {
        let bodies =
            |seed| messages(200, seed, NOW).into_iter().map(|message| message.body).collect::<Vec<_>>();
        assert_eq!(bodies(1), bodies(1));
        assert_ne!(bodies(1), bodies(2));
    }

    #[test]
    fn there_are_about_sixteen_messages_for_ten_orders_and_something_of_every_kind() {
        let messages = messages(1000, 1, NOW);
        assert!((1500..1700).contains(&messages.len()), "{}", messages.len());
        assert_eq!(messages.iter().map(|message| message.what).collect::<BTreeSet<_>>().len(), 9);
        for Message { what, body, .. } in &messages {
            assert_eq!(Order::parse(body).is_err(), *what == "poison", "{what}: {body}");
        }
    }
}
