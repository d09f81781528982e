//! `orderctl send`.

use std::collections::BTreeSet;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use order_processor::order::Order;

use super::World;
use crate::local_world::queue;
use crate::world::order_json;

impl World {
    /// Every message of the queue, in no order.
    pub async fn messages(&self, queue_url: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let request = self.sqs.receive_message().queue_url(queue_url).max_number_of_messages(10);
            let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
            let some = request.send().await.unwrap().messages.unwrap_or_default();
            if some.is_empty() {
                return messages;
            }
            messages.extend(some);
        }
    }

    pub async fn bodies(&self) -> Vec<String> {
        self.messages(&self.queue_url).await.into_iter().map(|message| message.body.unwrap()).collect()
    }

    async fn sent(&self, arguments: &[&str]) -> Vec<String> {
        let run = self.run(arguments).await;
        assert_eq!(run.code, 0, "{run:?}");
        self.bodies().await
    }

    async fn sent_orders(&self, arguments: &[&str]) -> Vec<Order> {
        self.sent(arguments).await.iter().map(|body| Order::parse(body).unwrap()).collect()
    }
}

#[tokio::test]
async fn an_order_from_standard_input_arrives_byte_for_byte() {
    let world = World::new().await;
    let body = format!("  {:#}\n", order_json("ord-1"));
    let run = world.run_with(&["send", "-", "--json"], &body).await;
    let messages = world.messages(&world.queue_url).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].body(), Some(body.as_str()));
    let sent = &run.document()["sent"][0];
    assert_eq!(sent["message_id"].as_str(), messages[0].message_id());
    assert_eq!(sent["order_id"], "ord-1");
}

#[tokio::test]
async fn an_order_from_flags_is_the_order_they_describe() {
    let world = World::new().await;
    let flags = ["send", "--order-id", "ord-7", "--item", "mug:2:1299", "--item", "cap:1:500"];
    let more = ["--customer", "cus-9", "--currency", "EUR", "--payment-method", "pm_x"];
    let time = ["--placed-at", "2026-11-24T01:00:00Z"];
    let orders = world.sent_orders(&[&flags[..], &more, &time].concat()).await;
    let [order] = orders.as_slice() else { panic!("{orders:?}") };
    assert_eq!((order.id.as_str(), order.customer_id.as_str()), ("ord-7", "cus-9"));
    assert_eq!((order.currency.as_str(), order.payment_method.as_str()), ("EUR", "pm_x"));
    assert_eq!(order.placed_at.to_rfc3339(), "2026-11-24T01:00:00.000Z");
    let lines: Vec<_> = order.items.iter().map(|item| (item.sku.as_str(), item.quantity)).collect();
    assert_eq!(lines, [("cap", 1), ("mug", 2)]);
}

#[tokio::test]
async fn a_run_says_on_standard_error_what_to_look_at_next() {
    let world = World::new().await;
    let run = world.run(&["send", "--order-id", "ord-7"]).await;
    let again = format!("{} --endpoint http://{} get ord-7", env!("CARGO_BIN_EXE_orderctl"), world.address);
    assert!(run.err.contains(&again), "for the same target: {run:?}");
    assert!(run.out.contains("ord-7") && !run.out.contains("orderctl"), "{run:?}");
}

#[tokio::test]
async fn an_invalid_order_is_refused_with_its_field_and_sent_only_without_the_check() {
    let world = World::new().await;
    let wrong = ["send", "--item", "mug:0:1299"];
    let run = world.run(&wrong).await;
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.contains("items[0].quantity") && run.err.contains("--no-check"), "{}", run.err);
    assert!(world.bodies().await.is_empty());
    let card = world.run(&["send", "--payment-method", "4242424242424242"]).await;
    assert_eq!(card.code, 1);
    assert!(card.err.contains("payment_method") && !card.err.contains("4242"), "{}", card.err);
    assert_eq!(world.sent(&[&wrong[..], &["--no-check"]].concat()).await.len(), 1);
}

#[tokio::test]
async fn copies_are_the_same_bytes() {
    let world = World::new().await;
    let bodies = world.sent(&["send", "--copies", "12"]).await;
    assert_eq!(bodies.len(), 12);
    assert_eq!(bodies.into_iter().collect::<BTreeSet<_>>().len(), 1);
}

#[tokio::test]
async fn a_fifo_queue_gets_the_order_as_group_and_does_not_swallow_a_copy() {
    let world = World::new().await;
    let url = queue(&world.sqs, "orders.fifo", &[(QueueAttributeName::FifoQueue, "true")]).await;
    let run = world.run(&["send", "--queue-url", &url, "--order-id", "ord-1", "--copies", "2"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let mut deduplication = BTreeSet::new();
    for _ in 0..2 {
        let [message] = &world.messages(&url).await[..] else { panic!("one of the group at a time") };
        let attributes = message.attributes.as_ref().unwrap();
        assert_eq!(attributes[&MessageSystemAttributeName::MessageGroupId], "ord-1");
        deduplication.insert(attributes[&MessageSystemAttributeName::MessageDeduplicationId].clone());
        let handle = message.receipt_handle.as_ref().unwrap();
        world.sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
    }
    assert_eq!(deduplication.len(), 2);
}

#[tokio::test]
async fn a_duplicate_is_three_messages_and_one_order() {
    let world = World::new().await;
    let bodies = world.sent(&["send", "--scenario", "duplicate"]).await;
    assert_eq!(bodies.len(), 3);
    assert_eq!(bodies.iter().collect::<BTreeSet<_>>().len(), 2, "an exact copy and one built anew");
    let orders = bodies.iter().map(|body| Order::parse(body).unwrap());
    assert_eq!(orders.map(|order| (order.id.clone(), order.fingerprint())).collect::<BTreeSet<_>>().len(), 1);
}

#[tokio::test]
async fn a_conflict_is_two_orders_under_one_id() {
    let world = World::new().await;
    let orders = world.sent_orders(&["send", "--scenario", "conflict"]).await;
    assert_eq!(orders.len(), 2);
    assert_eq!(orders[0].id, orders[1].id);
    assert_ne!(orders[0].fingerprint(), orders[1].fingerprint());
}

#[tokio::test]
async fn poison_is_never_an_order() {
    let world = World::new().await;
    let bodies = world.sent(&["send", "--scenario", "poison", "--count", "4"]).await;
    assert_eq!(bodies.len(), 4);
    let problems: BTreeSet<String> =
        bodies.iter().map(|body| Order::parse(body).unwrap_err().to_string()).collect();
    assert_eq!(problems.len(), 4, "{problems:?}");
}

#[tokio::test]
async fn the_other_scenarios_are_what_they_say() {
    let world = World::new().await;
    let declined = world.sent_orders(&["send", "--scenario", "declined"]).await;
    assert_eq!(declined[0].payment_method.as_str(), "pm_card_declined");
    let world = World::new().await;
    let sold_out = world.sent_orders(&["send", "--scenario", "sold-out"]).await;
    assert_eq!(sold_out[0].items[0].quantity, 10_000);
    let world = World::new().await;
    let burst = world.sent_orders(&["send", "--scenario", "burst", "--count", "25"]).await;
    assert_eq!(burst.iter().map(|order| order.id.clone()).collect::<BTreeSet<_>>().len(), 25);
}
