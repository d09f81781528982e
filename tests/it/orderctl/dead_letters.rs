//! `orderctl dlq`.

mod keeping;

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use order_processor::clock::Clock;
use order_processor::local::resources::queue_arn;
use order_processor::order::Order;
use order_processor::record::{Record, Status};
use serde_json::{Value, json};

use super::World;
use super::orders::completed;
use super::parked::claimed;
use crate::local_world::{TABLE, queue, s};
use crate::world::order_json;

/// An order of this hour, so that it is not too old to run.
fn fresh(id: &str) -> Value {
    let mut order = order_json(id);
    order["placed_at"] = json!(Clock::system().now().to_rfc3339());
    order
}

async fn with_dead_letters() -> (World, String) {
    let world = World::new().await;
    let dlq = queue(&world.sqs, "the-dead", &[]).await;
    let policy = json!({ "deadLetterTargetArn": queue_arn("the-dead"), "maxReceiveCount": 3 }).to_string();
    let set = world.sqs.set_queue_attributes().queue_url(&world.queue_url);
    set.attributes(QueueAttributeName::RedrivePolicy, policy).send().await.unwrap();
    (world, dlq)
}

/// What the function gives with every reason, beside the reason.
const FUNCTION_GIVES: [(&str, &str); 2] = [("detail", "why exactly"), ("source_message_id", "m-0")];

/// A dead letter as the function sends it, or, without a reason, as nobody but its producer made it.
async fn dead(world: &World, dlq: &str, body: &str, reason: Option<&str>) {
    let mut attributes = vec![("trace", "t-1")];
    if let Some(reason) = reason {
        attributes.extend(FUNCTION_GIVES.into_iter().chain([("reason", reason)]));
    }
    if reason == Some("conflict") {
        attributes.extend([("fingerprint", "v1:1"), ("stored_fingerprint", "v1:0")]);
    }
    dead_with(world, dlq, body, &attributes).await;
}

async fn dead_with(world: &World, dlq: &str, body: &str, attributes: &[(&str, &str)]) {
    let mut send = world.sqs.send_message().queue_url(dlq).message_body(body);
    for &(name, value) in attributes {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap();
        send = send.message_attributes(name, value);
    }
    send.send().await.unwrap();
}

/// Every prospect there is, by the order that has it.
async fn one_of_each() -> (World, String) {
    let (world, dlq) = with_dead_letters().await;
    let fingerprint = |id: &str| Order::parse(&order_json(id).to_string()).unwrap().fingerprint();
    let finished = |id: &str| Record { fingerprint: fingerprint(id), ..completed(id) };
    world.put(&finished("answered")).await;
    let message = Some(order_json("parked").to_string());
    world.put(&Record { status: Status::Parked, order: message, result: None, ..finished("parked") }).await;
    world.put(&claimed("resume")).await;
    world.put(&completed("conflict")).await;
    for (body, reason) in [
        (order_json("answered").to_string(), None),
        (order_json("parked").to_string(), None),
        (order_json("resume").to_string(), None),
        (order_json("conflict").to_string(), Some("conflict")),
        (fresh("run").to_string(), None),
        (fresh("once-future").to_string(), Some("future")),
        (json!({ "order_id": "invalid" }).to_string(), Some("invalid")),
    ] {
        dead(&world, &dlq, &body, reason).await;
    }
    (world, dlq)
}

fn by_order<'v>(messages: &'v Value, field: &str) -> BTreeMap<&'v str, &'v str> {
    let messages = messages["messages"].as_array().unwrap().iter();
    messages
        .map(|message| (message["order_id"].as_str().unwrap(), message[field].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_list_says_why_each_is_there_and_what_it_would_come_to_and_hides_nothing() {
    let (world, dlq) = one_of_each().await;
    for _ in 0..2 {
        let list = world.json(&["dlq", "list"]).await;
        let expected = [
            ("answered", "answered_already"),
            ("parked", "parked"),
            ("resume", "resume"),
            ("conflict", "conflict"),
            ("run", "run"),
            ("once-future", "run"),
            ("invalid", "invalid"),
        ];
        assert_eq!(by_order(&list, "would"), BTreeMap::from(expected), "looking twice finds the same");
        assert_eq!(by_order(&list, "reason")["run"], "exhausted");
        assert_eq!(by_order(&list, "reason")["conflict"], "conflict");
        assert!(!list.to_string().contains("cus-42"), "a list shows no customer");
    }
    let some = world.json(&["dlq", "list", "--reason", "conflict", "--reason", "invalid"]).await;
    assert_eq!(by_order(&some, "reason").len(), 2);
    assert_eq!(world.json(&["dlq", "list", "--order", "run"]).await["messages"].as_array().unwrap().len(), 1);
    assert_eq!(world.json(&["dlq", "list", "--older-than", "1h"]).await["messages"], json!([]));
    assert_eq!(world.messages(&dlq).await.len(), 7, "everything was given back");
}

#[tokio::test]
async fn one_message_is_shown_in_full() {
    let (world, dlq) = with_dead_letters().await;
    let body = order_json("ord-1").to_string();
    dead(&world, &dlq, &body, Some("stale")).await;
    let shown = world.json(&["dlq", "show", "ord-1"]).await;
    assert_eq!((&shown["body"], &shown["attributes"]["detail"]), (&json!(body), &json!("why exactly")));
    let id = shown["message_id"].as_str().unwrap();
    assert!(world.run(&["dlq", "show", id]).await.out.contains("why exactly"));
    let run = world.run(&["dlq", "show", "ord-2", "--json"]).await;
    assert_eq!((run.code, &run.document()["error"]["kind"]), (3, &json!("not_found")));
}

#[tokio::test]
async fn a_redrive_sends_what_has_hope_without_our_attributes_and_leaves_the_rest() {
    let (world, dlq) = one_of_each().await;
    let dry = world.json(&["dlq", "redrive", "--dry-run"]).await;
    assert_eq!(dry["counts"], json!({ "left": 2, "would_be_redriven": 5 }));
    assert!(world.bodies().await.is_empty());
    let run = world.run(&["dlq", "redrive", "--rate", "1000", "--json"]).await;
    assert_eq!((run.code, &run.document()["counts"]), (0, &json!({ "left": 2, "redriven": 5 })), "{run:?}");
    let left: Vec<String> =
        world.messages(&dlq).await.into_iter().map(|message| message.body.unwrap()).collect();
    assert!(left.len() == 2 && left.iter().all(|body| body.contains("conflict") || body.contains("invalid")));
    let mut sent = 0;
    loop {
        let receive = world.sqs.receive_message().queue_url(&world.queue_url).message_attribute_names("All");
        let Some(message) = receive.send().await.unwrap().messages.and_then(|mut some| some.pop()) else {
            break;
        };
        let attributes = message.message_attributes.unwrap();
        assert_eq!(
            attributes.keys().collect::<Vec<_>>(),
            ["trace"],
            "its producer's attributes and no other"
        );
        sent += 1;
    }
    assert_eq!(sent, 5);
}

#[tokio::test]
async fn what_the_filter_leaves_out_stays_and_the_hopeless_go_only_when_told() {
    let (world, dlq) = one_of_each().await;
    let none = world.json(&["dlq", "redrive", "--reason", "conflict"]).await;
    assert_eq!(none["counts"], json!({ "left": 1 }));
    let one = world.json(&["dlq", "redrive", "--reason", "conflict", "--even-hopeless"]).await;
    assert_eq!(one["counts"], json!({ "redriven": 1 }));
    assert_eq!(world.bodies().await.len(), 1);
    assert_eq!(world.messages(&dlq).await.len(), 6);
}

#[tokio::test]
async fn what_could_not_be_sent_is_not_deleted() {
    let (world, dlq) = with_dead_letters().await;
    dead(&world, &dlq, &fresh("ord-1").to_string(), None).await;
    let nowhere = world.queue_url.replace("orders", "nowhere");
    let run = world.run(&["dlq", "redrive", "--queue-url", &nowhere, "--dlq-url", &dlq, "--json"]).await;
    assert_eq!((run.code, &run.document()["counts"]), (1, &json!({ "failed": 1 })), "{run:?}");
    assert_eq!(world.messages(&dlq).await.len(), 1);
}

#[tokio::test]
async fn one_record_that_cannot_be_read_does_not_keep_the_others_back() {
    let (world, dlq) = with_dead_letters().await;
    for id in ["ord-1", "ord-2", "ord-3"] {
        dead(&world, &dlq, &fresh(id).to_string(), None).await;
    }
    let item =
        world.table.put_item().table_name(TABLE).item("pk", s("ORDER#ord-2")).item("status", s("LOST"));
    item.send().await.unwrap();
    assert_eq!(by_order(&world.json(&["dlq", "list"]).await, "would")["ord-2"], "unknown");
    let run = world.run(&["dlq", "redrive", "--json"]).await;
    assert_eq!((run.code, &run.document()["counts"]), (1, &json!({ "failed": 1, "redriven": 2 })), "{run:?}");
    assert_eq!((world.bodies().await.len(), world.messages(&dlq).await.len()), (2, 1));
}

#[tokio::test]
async fn a_queue_without_dead_letters_is_exit_code_3() {
    let world = World::new().await;
    for command in [&["dlq", "list"][..], &["dlq", "redrive"]] {
        let run = world.run(command).await;
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.err.contains("--dlq-url"), "{}", run.err);
    }
}

#[tokio::test]
async fn between_fifo_queues_a_message_stays_in_its_group() {
    let world = World::new().await;
    let fifo = [(QueueAttributeName::FifoQueue, "true")];
    let dlq = queue(&world.sqs, "the-dead.fifo", &fifo).await;
    let orders = queue(&world.sqs, "orders.fifo", &fifo).await;
    let send = world.sqs.send_message().queue_url(&dlq).message_body(fresh("ord-1").to_string());
    send.message_group_id("ord-1").message_deduplication_id("d-1").send().await.unwrap();
    let run = world.run(&["dlq", "redrive", "--queue-url", &orders, "--dlq-url", &dlq, "--json"]).await;
    assert_eq!(run.document()["counts"], json!({ "redriven": 1 }), "{run:?}");
    use aws_sdk_sqs::types::MessageSystemAttributeName::MessageGroupId;
    let [message] = &world.messages(&orders).await[..] else { panic!("one message") };
    assert_eq!(message.attributes.as_ref().unwrap()[&MessageGroupId], "ord-1");
}

#[tokio::test]
async fn only_what_could_do_nothing_is_deleted() {
    let (world, dlq) = one_of_each().await;
    let settled = ["answered", "conflict", "invalid"];
    let expected = |outcome| -> BTreeMap<&str, &str> {
        let left = ["parked", "resume", "run", "once-future"].map(|order| (order, "left"));
        settled.map(|order| (order, outcome)).into_iter().chain(left).collect()
    };
    let look = world.json(&["dlq", "delete", "--all", "--dry-run"]).await;
    assert_eq!(by_order(&look, "outcome"), expected("would_be_deleted"));
    let all = world.json(&["dlq", "list"]).await;
    assert_eq!(all["messages"].as_array().unwrap().len(), 7, "a dry run deletes nothing");
    let some = world.json(&["dlq", "delete", "--reason", "conflict"]).await;
    assert_eq!((&some["deleted"], by_order(&some, "outcome").len()), (&json!(1), 1));
    let rest = world.run(&["dlq", "delete", "--all"]).await;
    assert!(rest.code == 0 && rest.out.contains("2 of 6 deleted"), "{rest:?}");
    assert_eq!(world.messages(&dlq).await.len(), 4);
    let which = world.run(&["dlq", "delete"]).await;
    assert!(which.code == 2 && which.err.contains("--all"), "{which:?}");
}
