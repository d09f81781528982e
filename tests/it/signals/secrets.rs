//! A card number, an e-mail address and a payment token are sent through every path, and looked for everywhere.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use order_processor::local::faults::{Fault, Faults};
use order_processor::local::payment_provider::Scripted;
use order_processor::record::{Record, Status};
use serde_json::{Value, json};

use super::panic_at_the_charge;
use crate::local_world::TABLE;
use crate::world::warehouse::RefusingWarehouse;
use crate::world::{Message, World, message, order_json, raw};

const CARD: &str = "4242424242424242";
const EMAIL: &str = "canary@example.com";
const TOKEN: &str = "pm_canary_token";
const SECRETS: [&str; 3] = [CARD, EMAIL, TOKEN];

/// An order that knows all a customer should be able to trust us with.
fn order(id: &str) -> Value {
    let mut order = order_json(id);
    order["payment_method"] = json!(TOKEN);
    order["metadata"] = json!({ "email": EMAIL, "note": CARD });
    order
}

fn with(id: &str, field: &str, value: Value) -> Value {
    let mut order = order(id);
    order[field] = value;
    order
}

fn leaks<'s>(text: &'s str) -> impl Iterator<Item = &'static str> + use<'s> {
    SECRETS.into_iter().filter(move |secret| text.contains(secret))
}

fn assert_clean(place: &str, text: &str) {
    assert_eq!(leaks(text).collect::<Vec<_>>(), Vec::<&str>::new(), "{place}: {text}");
}

/// Log, metrics, and what warehouse, customers and table got. Only a parked record keeps its message.
async fn assert_all_clean(world: &World) {
    assert_clean("log", &world.log_text());
    assert_clean("metrics", &world.metrics().concat());
    for queue in ["WAREHOUSE_QUEUE_URL", "NOTIFICATIONS_QUEUE_URL"] {
        assert_clean(queue, &format!("{:?}", world.drain(queue).await));
    }
    let items =
        world.table.scan().table_name(TABLE).consistent_read(true).send().await.unwrap().items.unwrap();
    for mut item in items {
        if item.get("status") == Some(&AttributeValue::S("PARKED".to_owned())) {
            let kept = item.remove("order").expect("a parked order keeps its message");
            assert!(kept.as_s().unwrap().contains(TOKEN));
        }
        assert_clean("item", &format!("{item:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_an_order_its_customers_data_is_in_no_log_item_or_message() {
    let world = World::new().await;
    // A provider that says what it does not like.
    let echo = json!({ "error": { "type": "invalid_request_error", "code": EMAIL, "message": format!("{TOKEN} {CARD}") } });
    let sick = |id: &str, script| {
        world.payments.answer_next(id, script);
        message(id, &order(id))
    };
    let messages = [
        message("completed", &order("completed")),
        message("duplicate", &order("completed")),
        message("conflict", &with("completed", "currency", json!("EUR"))),
        message(
            "out-of-stock",
            &with("out-of-stock", "items", json!([{ "sku": "mug", "quantity": 99, "unit_price": 1 }])),
        ),
        message("stale", &with("stale", "placed_at", json!("2020-01-01T00:00:00Z"))),
        sick("refused-request", Scripted::status(400).body(echo)),
        sick("unavailable", Scripted::status(500)),
        sick("parked", Scripted::status(503)).received(20),
    ];
    let outcome = world.deliver(&messages).await;
    assert_eq!(
        [
            "completed",
            "duplicate",
            "conflict",
            "out-of-stock",
            "stale",
            "refused-request",
            "unavailable",
            "parked"
        ]
        .map(|id| outcome.lines[id]["outcome"].as_str().unwrap()),
        ["completed", "duplicate", "conflict", "rejected", "stale", "retry", "retry", "parked"]
    );
    assert_eq!(world.record("parked").await.unwrap().status, Status::Parked);
    assert_all_clean(&world).await;
    // People need the message to put it right, so the dead-letter queue has it as it came.
    for letter in world.drain("DEAD_LETTER_QUEUE_URL").await {
        assert_clean("attributes", &format!("{:?}", letter.message_attributes()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_no_order_tells_the_log_nothing_and_its_card_numbers_are_masked() {
    let world = World::new().await;
    let invalid = [
        with("a", "payment_method", json!(CARD)),
        with("b", "payment_method", json!("4242-4242-4242-4242")),
        with("c", "quantity", json!(CARD)),
        with("d", EMAIL, json!(1)),
        with("e", "items", json!([{ "sku": EMAIL, "quantity": 1, "unit_price": 1 }])),
        with("f", "customer_id", json!(EMAIL)),
        with(EMAIL, "order_id", json!(EMAIL)),
        with("g", "metadata", json!({ EMAIL: { CARD: TOKEN } })),
    ];
    let mut messages: Vec<Message> =
        invalid.iter().zip('a'..).map(|(order, id)| message(&id.to_string(), order)).collect();
    messages.push(raw("x", &format!("{EMAIL} {CARD} {TOKEN}")));
    messages.push(raw("y", &format!("{{\"{EMAIL}\":1,\"{EMAIL}\":2,\"{CARD}\"")));
    let outcome = world.deliver(&messages).await;
    assert_eq!(outcome.outcomes(), ["invalid"; 10]);
    assert_all_clean(&world).await;
    let letters = world.drain("DEAD_LETTER_QUEUE_URL").await;
    assert_eq!(letters.len(), 10);
    for letter in letters {
        let letter = format!("{:?} {:?}", letter.message_attributes(), letter.body());
        assert!(!letter.contains(CARD) && !letter.contains("4242-4242-4242-4242"), "{letter}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refund_a_panic_a_takeover_and_a_timeout_tell_nothing_either() {
    let mut refusing = World::new().await;
    refusing.warehouse = Some(RefusingWarehouse::default());
    refusing.deliver(&[message("refunded", &order("refunded"))]).await;
    assert_eq!(refusing.payments.ledger().refunds.len(), 1);
    assert_all_clean(&refusing).await;

    let world = World::new().await.under(panic_at_the_charge());
    let outcome = world.deliver(&[message("panic", &order("panic"))]).await;
    assert_eq!(outcome.outcomes(), ["panic"]);
    let record = world.record("panic").await.unwrap();
    world.put(&Record { lease_until_ms: None, ..record }).await;
    assert_all_clean(&world).await;

    let world = World::new().await.under(Faults::planned_by(|passage| {
        (passage.operation == "POST /v1/payment_intents").then_some(Fault::Hang)
    }));
    tokio::time::advance(Duration::from_secs(1)).await;
    let outcome = world.deliver(&[message("timeout", &order("timeout"))]).await;
    assert_eq!(outcome.outcomes(), ["retry"]);
    assert_all_clean(&world).await;
}
