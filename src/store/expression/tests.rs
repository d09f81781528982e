//! The bytes of every kind of condition and change.

use super::*;
use crate::clock::UnixMillis;
use crate::order::Order;
use crate::protocol::{Claimant, claim, give_up, park, take_over};
use crate::record::{Fence, Owner, Status};
use crate::services::workflow;

const NOW: UnixMillis = UnixMillis(1_000_000);

/// An order that was claimed a second ago.
fn claimed() -> Write {
    let message = serde_json::json!({
        "order_id": "ord-1",
        "customer_id": "cus-42",
        "placed_at": "1970-01-01T00:10:00Z",
        "currency": "USD",
        "items": [{ "sku": "mug", "quantity": 2, "unit_price": 1299 }],
        "payment_method": "pm_card_visa",
    });
    let order = Order::parse(&message.to_string()).unwrap();
    let claimant = Claimant { owner: Owner("me".to_owned()), lease_until: UnixMillis(NOW.0 + 14_000) };
    claim(&workflow(), &order, &claimant, UnixMillis(NOW.0 - 1000))
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

#[track_caller]
fn has(expression: &Expression, names: &[&str], values: &[AttributeValue]) {
    let names = names.iter().map(|name| (format!("#{name}"), (*name).to_owned()));
    assert_eq!(expression.names, Some(names.collect()));
    let values: HashMap<_, _> =
        values.iter().enumerate().map(|(index, value)| (format!(":v{index}"), value.clone())).collect();
    assert_eq!(expression.values, Some(values).filter(|values| !values.is_empty()));
}

#[test]
fn a_claim_puts_the_whole_item_if_there_is_none() {
    let write = claimed();
    let expression = Expression::of(&write);
    assert_eq!(expression.condition, "attribute_not_exists(#pk)");
    has(&expression, &["pk"], &[]);
    assert_eq!(expression.update, "");
    let item = HashMap::from([
        ("pk".to_owned(), text("ORDER#ord-1")),
        ("status".to_owned(), text("IN_PROGRESS")),
        ("fence".to_owned(), number(1)),
        ("owner".to_owned(), text("me")),
        ("lease_until_ms".to_owned(), number(1_014_000)),
        ("step".to_owned(), text("reserve_inventory")),
        ("outcomes".to_owned(), AttributeValue::M(HashMap::new())),
        ("fingerprint".to_owned(), text(write.after.fingerprint.as_str())),
        ("workflow_version".to_owned(), number(1)),
        ("claimed_at_ms".to_owned(), number(999_000)),
        ("updated_at_ms".to_owned(), number(999_000)),
        ("attempts".to_owned(), number(1)),
    ]);
    assert_eq!(expression.item, Some(item));
}

#[test]
fn a_takeover_names_the_fence_seen_and_what_changes() {
    let successor = Claimant { owner: Owner("successor".to_owned()), lease_until: UnixMillis(2_000_000) };
    let expression = Expression::of(&take_over(&workflow(), &claimed().after, &successor, NOW));
    assert_eq!(expression.item, None);
    assert_eq!(expression.condition, "#fence IN (:v0) AND #status IN (:v1, :v2)");
    let update =
        "SET #attempts = :v3, #fence = :v4, #lease_until_ms = :v5, #owner = :v6, #updated_at_ms = :v7";
    assert_eq!(expression.update, update);
    has(
        &expression,
        &["attempts", "fence", "lease_until_ms", "owner", "status", "updated_at_ms"],
        &[
            number(1),
            text("IN_PROGRESS"),
            text("COMPENSATING"),
            number(2),
            number(2),
            number(2_000_000),
            text("successor"),
            number(1_000_000),
        ],
    );
}

#[test]
fn an_owners_write_sets_and_removes() {
    let held = claimed().after;
    let expression = Expression::of(&park(&held, "why", "{the message}", NOW));
    assert_eq!(expression.condition, "#fence IN (:v0) AND #owner IN (:v1) AND #status IN (:v2)");
    let set =
        "SET #order = :v3, #parked_from = :v4, #parked_reason = :v5, #status = :v6, #updated_at_ms = :v7";
    assert_eq!(expression.update, format!("{set} REMOVE #lease_until_ms"));
    let expression = Expression::of(&give_up(&held, NOW));
    assert_eq!(expression.update, "SET #lease_until_ms = :v4, #updated_at_ms = :v5");
}

#[test]
fn every_part_of_a_condition_is_said_and_nothing_of_an_empty_one() {
    let record = claimed().after;
    let condition = |guard: Guard| {
        let write = Write { guard, before: Some(record.clone()), after: record.clone(), stock: Vec::new() };
        let expression = Expression::of(&write);
        assert_eq!(expression.update, "", "nothing differs");
        expression.condition
    };
    let nothing = Guard::default;
    for (guard, said) in [
        (nothing(), ""),
        (Guard { absent: true, ..nothing() }, "attribute_not_exists(#pk)"),
        (Guard { fence: Some(Fence(7)), ..nothing() }, "#fence IN (:v0)"),
        (Guard { owner: Some(Owner("me".to_owned())), ..nothing() }, "#owner IN (:v0)"),
        (Guard { status: vec![Status::Parked], ..nothing() }, "#status IN (:v0)"),
        (Guard { step: vec!["a".to_owned(), "b".to_owned()], ..nothing() }, "#step IN (:v0, :v1)"),
        (Guard { not_cancelled: true, ..nothing() }, "attribute_not_exists(#cancel_requested)"),
        (
            Guard { status: vec![Status::InProgress], step: vec!["a".to_owned()], ..nothing() },
            "#status IN (:v0) AND #step IN (:v1)",
        ),
    ] {
        assert_eq!(condition(guard), said);
    }
}

#[test]
fn an_attribute_that_goes_away_is_only_removed() {
    let before = Record { cancel_requested: Some("support".to_owned()), ..claimed().after };
    let after = Record { cancel_requested: None, ..before.clone() };
    let write = Write { guard: Guard::default(), before: Some(before), after, stock: Vec::new() };
    let expression = Expression::of(&write);
    assert_eq!(expression.update, "REMOVE #cancel_requested");
    has(&expression, &["cancel_requested"], &[]);
}
