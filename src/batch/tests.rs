//! Panics that no body is known to provoke.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::clock::UnixMillis;
use crate::config::{Config, name};
use crate::function;
use crate::local::aws::EmbeddedAws;
use crate::local::resources::{Delivery, create_queues, create_table};
use crate::order::{Invalid, Order};
use crate::services::payment::Sandbox;

const NOW: UnixMillis = UnixMillis(1_795_482_000_000);
const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:orders.fifo";

async fn batches() -> Batches {
    let clock = Clock::from_fn(|| NOW);
    let aws = EmbeddedAws::in_process(clock.clone());
    let sdk = aws.sdk_config(aws.connector());
    create_table(&function::dynamodb_client(&sdk), "orders").await.unwrap();
    let delivery = Delivery { visibility: Duration::from_secs(20), max_receive_count: 20 };
    let queues = create_queues(&function::sqs_client(&sdk), delivery).await.unwrap();
    let variables = BTreeMap::from([
        (name::ORDERS_TABLE, "orders".to_owned()),
        (name::PAYMENT_PROVIDER, "sandbox".to_owned()),
        (name::DEAD_LETTER_QUEUE_URL, queues.orders_dlq),
        (name::WAREHOUSE_QUEUE_URL, queues.warehouse),
        (name::NOTIFICATIONS_QUEUE_URL, queues.notifications),
    ]);
    let config = Config::read(&|name| variables.get(name).cloned()).unwrap();
    function::assemble(config, &sdk, Sandbox, clock, Random::from_seed(1))
}

/// An order of a SKU that nobody has, which is rejected; each in a message group.
fn event(orders: &[(&str, &str)]) -> SqsEvent {
    let records = orders.iter().map(|(id, group)| {
        let body = json!({
            "order_id": id, "customer_id": "cus-1", "placed_at": "2026-11-24T01:00:00Z", "currency": "USD",
            "items": [{ "sku": "mug", "quantity": 1, "unit_price": 100 }], "payment_method": "pm_card_visa",
        });
        json!({
            "messageId": id, "receiptHandle": "receipt", "body": body.to_string(),
            "attributes": { "ApproximateReceiveCount": "1", "MessageGroupId": group },
            "messageAttributes": {}, "eventSource": "aws:sqs", "eventSourceARN": ARN, "awsRegion": "us-east-1",
        })
    });
    serde_json::from_value(json!({ "Records": records.collect::<Vec<_>>() })).unwrap()
}

fn parse_or_panic(body: &str) -> Result<Order, Invalid> {
    assert!(!body.contains("ord-bad"), "a parser with a mistake");
    Order::parse(body)
}

#[tokio::test]
async fn a_panic_of_the_parser_fails_that_record_alone() {
    let event = event(&[("ord-1", "a"), ("ord-bad", "b"), ("ord-after", "b"), ("ord-2", "c")]);
    let messages = event.records.iter().map(|record| Message::read_by(parse_or_panic, record)).collect();
    let budget = Budget::until(NOW + Duration::from_secs(60), Clock::from_fn(|| NOW));
    let response = batches().await.handle_messages(messages, &budget).await.unwrap();
    let failed = response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str());
    // The one behind it in its group waits, as behind any other that failed.
    assert_eq!(failed.collect::<Vec<_>>(), ["ord-after", "ord-bad"]);
}

#[tokio::test]
async fn a_record_whose_parser_panicked_is_no_invalid_one() {
    let event = event(&[("ord-bad", "a")]);
    let message = Message::read_by(parse_or_panic, &event.records[0]);
    let budget = Budget::until(NOW + Duration::from_secs(60), Clock::from_fn(|| NOW));
    let verdict = batches().await.judge(&message, true, &budget).await;
    assert_eq!((verdict.outcome, verdict.again.is_some()), ("panic", true));
}
