//! What producers send: for each order its message, and what goes wrong with messages. The seed decides.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::chance::{Chance, between};
use super::{DAY, START, provider};
use crate::clock::UnixMillis;

/// A message and when it is sent.
pub(super) struct Outgoing {
    pub(super) id: String,
    pub(super) body: String,
    pub(super) at: UnixMillis,
}

/// From one order to the next.
pub(super) const SPACING: Duration = Duration::from_millis(200);
const PLENTY: [(&str, u64); 4] = [("cap", 1500), ("mug", 1299), ("shirt", 2500), ("tote", 900)];
const SCARCE: &str = "poster";
const UNKNOWN: &str = "unicorn";

/// Out of a hundred orders.
const COPIED: u64 = 25;
const REBUILT: u64 = 20;
const CONTRADICTED: u64 = 8;
const POISON: u64 = 6;
const LATE: u64 = 6;
const CANCELLED: u64 = 8;

/// The ID of the order with this number.
pub(super) fn order_id(number: u32) -> String {
    format!("ord-{number}")
}

/// What is in stock for so many orders. Of one SKU there is too little.
pub(super) fn stock(orders: u32) -> BTreeMap<String, u64> {
    let orders = u64::from(orders);
    let plenty = PLENTY.iter().map(|(sku, _)| ((*sku).to_owned(), orders * 10));
    plenty.chain([(SCARCE.to_owned(), orders / 25 + 1)]).collect()
}

/// Every SKU that is ordered, one of which is in nobody's stock at first.
pub(super) fn skus() -> Vec<&'static str> {
    PLENTY.iter().map(|(sku, _)| *sku).chain([SCARCE, UNKNOWN]).collect()
}

/// When somebody asks to cancel the order, if anybody does.
pub(super) fn cancelled_at(chance: Chance, number: u32) -> Option<UnixMillis> {
    Some(sent_at(number) + cancelled_after(chance, &order_id(number))?)
}

/// How soon somebody asks to cancel the order of this ID, if anybody does.
pub(super) fn cancelled_after(chance: Chance, id: &str) -> Option<Duration> {
    let mut random = chance.of("cancel", id);
    let soon = between(&mut random, Duration::ZERO, Duration::from_millis(200));
    (random.u64(0..100) < CANCELLED).then_some(soon)
}

/// Every message about the order with this number, from 1.
pub(super) fn messages(chance: Chance, number: u32) -> Vec<Outgoing> {
    let random = &mut chance.of("traffic", &order_id(number));
    let sent = sent_at(number);
    let mut order = order(number, sent, random);
    let is_cancelled = cancelled_at(chance, number).is_some();
    if let Some(card) = provider::card_to_refund(chance, &order_id(number), is_cancelled) {
        order["payment_method"] = json!(card);
    }
    let mut messages = vec![(order.to_string(), sent)];
    let mut also = |random: &mut Rng, percent: u64, body: String| {
        if random.u64(0..100) < percent {
            messages.push((body, sent + soon_or_later(random)));
        }
    };
    also(random, COPIED, order.to_string());
    also(random, REBUILT, rebuilt(&order));
    also(random, CONTRADICTED, contradicted(&order).to_string());
    let poison = poison(&order, random);
    also(random, POISON, poison);
    if random.u64(0..100) < LATE {
        let at = START + DAY * random.u32(20..46) + between(random, Duration::ZERO, DAY);
        let body = random.choice([order.to_string(), rebuilt(&order), contradicted(&order).to_string()]);
        messages.push((body.unwrap_or_default(), at));
    }
    let named = messages.into_iter().zip(1..);
    named.map(|((body, at), nth)| Outgoing { id: format!("m-{number}-{nth}"), body, at }).collect()
}

pub(super) fn sent_at(number: u32) -> UnixMillis {
    START + SPACING * number
}

/// Half of the repeats meet the original at work.
fn soon_or_later(random: &mut Rng) -> Duration {
    let most = if random.bool() { Duration::from_millis(300) } else { Duration::from_secs(120) };
    between(random, Duration::ZERO, most)
}

fn order(number: u32, sent: UnixMillis, random: &mut Rng) -> Value {
    let (sku, mut price) = PLENTY[random.usize(..PLENTY.len())];
    let (mut sku, mut card, mut placed_at) = (sku, "pm_card_visa", sent);
    match random.u64(0..100) {
        0..8 => card = "pm_card_declined",
        8..16 => sku = SCARCE,
        16..18 => sku = UNKNOWN,
        18..22 => card = "pm_card_slow",
        22..25 => price = 0,
        25..28 => placed_at = UnixMillis(sent.0 - 1000 * (DAY * 25).as_secs()),
        28..30 => placed_at = sent + Duration::from_secs(3 * 3600),
        _ => {}
    }
    let mut items = vec![json!({ "sku": sku, "quantity": random.u64(1..=3), "unit_price": price })];
    let (other, price) = PLENTY[random.usize(..PLENTY.len())];
    if other != sku && random.bool() {
        items.push(json!({ "sku": other, "quantity": 1, "unit_price": price }));
    }
    json!({
        "order_id": order_id(number), "customer_id": format!("cus-{}", random.u32(1..400)),
        "placed_at": placed_at.to_rfc3339(), "currency": "USD", "items": items, "payment_method": card,
    })
}

/// Other bytes, the same order.
fn rebuilt(order: &Value) -> String {
    let mut again = order.clone();
    again["metadata"] = json!({ "retry": "yes" });
    if let Some(items) = again["items"].as_array_mut() {
        items.reverse();
    }
    format!("{again:#}")
}

/// Another order under the same ID.
fn contradicted(order: &Value) -> Value {
    let mut other = order.clone();
    other["items"][0]["quantity"] = json!(4);
    other
}

fn poison(order: &Value, random: &mut Rng) -> String {
    let body = order.to_string();
    match random.u8(0..3) {
        0 => body[..body.len() / 2].to_owned(),
        1 => body.replacen('{', r#"{"express":true,"#, 1),
        _ => body.replacen('{', r#"{"currency":"EUR","#, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Order;

    #[test]
    fn there_is_something_of_every_kind_and_the_original_is_always_an_order() {
        let mut poison = 0;
        for number in 1..=300 {
            let messages = messages(Chance(1), number);
            let original = Order::parse(&messages[0].body).unwrap();
            assert_eq!(original.id.as_str(), order_id(number));
            poison += messages.iter().filter(|message| Order::parse(&message.body).is_err()).count();
        }
        assert!(poison > 5, "{poison}");
        assert!((1..=300).any(|number| cancelled_at(Chance(1), number).is_some()));
    }

    #[test]
    fn a_rebuilt_message_is_the_same_order_and_a_contradicting_one_is_not() {
        let order = order(1, START, &mut Chance(1).of("traffic", "x"));
        let print = |body: &str| Order::parse(body).unwrap().fingerprint();
        assert_eq!(print(&order.to_string()), print(&rebuilt(&order)));
        assert_ne!(print(&order.to_string()), print(&contradicted(&order).to_string()));
    }
}
