//! No command loses an order: letters that look settled and are not.

use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName};
use order_processor::clock::Clock;
use order_processor::order::Fingerprint;
use order_processor::record::{Record, Status};
use serde_json::{Value, json};

use super::{FUNCTION_GIVES, World, by_order, dead, dead_with, fresh, with_dead_letters};
use crate::local_world::queue;
use crate::orderctl::orders::{completed, parked};
use crate::orderctl::parked::claimed;
use crate::world::{fingerprint, order_json};

/// What a producer may send beside a body, and what the function gives with a conflict.
const LIKE_A_CONFLICT: [(&str, &str); 6] = [
    ("reason", "conflict"),
    ("detail", "another order was there first"),
    ("source_message_id", "m-0"),
    ("fingerprint", "v1:1"),
    ("stored_fingerprint", "v1:2"),
    ("order_id", "ord-1"),
];

/// Received as often as the queue of orders allows, so that SQS moves it.
async fn exhausted(world: &World, body: &str, attributes: &[(&str, &str)]) {
    let mut send = world.sqs.send_message().queue_url(&world.queue_url).message_body(body);
    for (name, value) in attributes {
        let value =
            MessageAttributeValue::builder().data_type("String").string_value(*value).build().unwrap();
        send = send.message_attributes(*name, value);
    }
    send.send().await.unwrap();
    for receive in 0..4 {
        let request = world.sqs.receive_message().queue_url(&world.queue_url).visibility_timeout(0);
        let received = request.send().await.unwrap().messages.unwrap_or_default().len();
        assert_eq!(received, usize::from(receive < 3), "it is moved when it is asked for once more");
    }
}

/// An order of a producer that knows more fields than this program.
fn of_a_newer_function(id: &str) -> Value {
    let mut order = fresh(id);
    order["express"] = json!(true);
    order
}

/// The outcomes of a command by order, and how many letters there are afterwards.
async fn outcomes(world: &World, dlq: &str, arguments: &[&str]) -> (Value, usize) {
    let document = world.run(&[arguments, &["--json"]].concat()).await.document();
    (json!(by_order(&document, "outcome")), waiting(world, dlq).await)
}

/// How many letters there are.
async fn waiting(world: &World, dlq: &str) -> usize {
    let name = QueueAttributeName::ApproximateNumberOfMessages;
    let request = world.sqs.get_queue_attributes().queue_url(dlq).attribute_names(name.clone());
    request.send().await.unwrap().attributes.unwrap()[&name].parse().unwrap()
}

fn print_of(order: &Value) -> Fingerprint {
    Fingerprint::stored(fingerprint(order))
}

#[tokio::test]
async fn an_order_placed_in_the_future_is_not_deleted_and_is_sent_when_its_time_has_come() {
    let (world, dlq) = with_dead_letters().await;
    let mut early = order_json("early");
    let tomorrow = Clock::system().now() + std::time::Duration::from_secs(86_400);
    early["placed_at"] = json!(tomorrow.to_rfc3339());
    dead(&world, &dlq, &early.to_string(), Some("future")).await;
    dead(&world, &dlq, &fresh("due").to_string(), Some("future")).await;
    let left = json!({ "early": "left", "due": "left" });
    assert_eq!(outcomes(&world, &dlq, &["dlq", "delete", "--reason", "future"]).await, (left, 2));
    let one = json!({ "early": "left", "due": "redriven" });
    assert_eq!(outcomes(&world, &dlq, &["dlq", "redrive"]).await, (one, 1));
}

#[tokio::test]
async fn a_letter_that_only_a_newer_function_can_read_is_left_or_sent() {
    let (world, dlq) = with_dead_letters().await;
    world.put(&claimed("in-flight")).await;
    dead(&world, &dlq, &of_a_newer_function("in-flight").to_string(), None).await;
    dead(&world, &dlq, &of_a_newer_function("unknown").to_string(), None).await;
    let left = json!({ "in-flight": "left", "unknown": "left" });
    assert_eq!(outcomes(&world, &dlq, &["dlq", "delete", "--all"]).await, (left, 2));
    let list = world.json(&["dlq", "list"]).await;
    assert_eq!(by_order(&list, "would")["unknown"], "unreadable");
    let help = world.run(&["dlq", "list"]).await.out;
    assert!(help.contains("this program cannot read it"), "{help}");
    let sent = json!({ "in-flight": "redriven", "unknown": "redriven" });
    assert_eq!(outcomes(&world, &dlq, &["dlq", "redrive"]).await, (sent, 0));
    assert_eq!(world.bodies().await.len(), 2);
}

#[tokio::test]
async fn what_the_function_called_invalid_is_left_while_its_order_is_unfinished() {
    let (world, dlq) = with_dead_letters().await;
    for status in [Status::InProgress, Status::Compensating, Status::Parked] {
        let id = format!("{status}");
        world.put(&Record { status, ..claimed(&id) }).await;
        dead(&world, &dlq, &of_a_newer_function(&id).to_string(), Some("invalid")).await;
    }
    world.put(&completed("finished")).await;
    dead(&world, &dlq, &of_a_newer_function("finished").to_string(), Some("invalid")).await;
    dead(&world, &dlq, r#"{"order_id": "IN_PROGRESS", "items": ["#, Some("invalid")).await;
    let named = [&FUNCTION_GIVES[..], &[("reason", "invalid"), ("order_id", "PARKED")]].concat();
    dead_with(&world, &dlq, "no JSON at all", &named).await;
    dead(&world, &dlq, "nobody's", Some("invalid")).await;
    let one = world.json(&["dlq", "list", "--order", "IN_PROGRESS"]).await;
    assert_eq!(one["messages"].as_array().unwrap().len(), 2, "by its body, whether JSON or not");
    let deleted = world.run(&["dlq", "delete", "--all"]).await;
    assert!(deleted.code == 0 && deleted.out.contains("2 of 7 deleted"), "{deleted:?}");
    assert_eq!(waiting(&world, &dlq).await, 5);
}

#[tokio::test]
async fn the_only_message_of_a_parked_order_is_neither_sent_nor_deleted() {
    let (world, dlq) = with_dead_letters().await;
    let body = order_json("erased").to_string();
    world.put(&Record { fingerprint: print_of(&order_json("erased")), ..parked("erased") }).await;
    dead(&world, &dlq, &body, None).await;
    let list = world.run(&["dlq", "list"]).await;
    assert!(list.out.contains("parked resume erased --message"), "{}", list.out);
    assert!(!list.out.contains("keeps its message"), "{}", list.out);
    let left = || (json!({ "erased": "left" }), 1);
    assert_eq!(outcomes(&world, &dlq, &["dlq", "redrive"]).await, left());
    assert_eq!(outcomes(&world, &dlq, &["dlq", "redrive", "--even-hopeless"]).await, left());
    assert_eq!(outcomes(&world, &dlq, &["dlq", "delete", "--all"]).await, left());
    assert!(world.bodies().await.is_empty());
    let newer = of_a_newer_function("erased").to_string();
    dead(&world, &dlq, &newer, None).await;
    dead(&world, &dlq, &newer, Some("invalid")).await;
    let all = world.json(&["dlq", "redrive", "--even-hopeless"]).await;
    assert_eq!(all["counts"], json!({ "left": 3 }), "whoever can read it");
    let shown = world.json(&["dlq", "show", "erased"]).await;
    assert_eq!(shown["body"], json!(body));
    let would = (&shown["would"], &shown["detail_now"]);
    assert_eq!(would, (&json!("parked"), &json!("its message was erased")));
}

#[tokio::test]
async fn a_producers_own_attributes_say_nothing_and_are_kept() {
    let (world, dlq) = with_dead_letters().await;
    exhausted(&world, &fresh("ord-1").to_string(), &LIKE_A_CONFLICT).await;
    dead_with(&world, &dlq, &fresh("ord-2").to_string(), &[("reason", "conflict")]).await;
    let list = world.json(&["dlq", "list"]).await;
    assert_eq!(json!(by_order(&list, "reason")), json!({ "ord-1": "exhausted", "ord-2": "exhausted" }));
    let sent = json!({ "ord-1": "redriven", "ord-2": "redriven" });
    assert_eq!(outcomes(&world, &dlq, &["dlq", "redrive"]).await, (sent, 0));
    let mut names: Vec<usize> = Vec::new();
    while names.len() < 2 {
        let receive = world.sqs.receive_message().queue_url(&world.queue_url).message_attribute_names("All");
        let messages = receive.send().await.unwrap().messages.unwrap_or_default();
        names.extend(messages.iter().map(|one| one.message_attributes.as_ref().map_or(0, |all| all.len())));
    }
    names.sort_unstable();
    assert_eq!(names, [1, LIKE_A_CONFLICT.len()]);
}

#[tokio::test]
async fn a_producers_reason_keeps_no_settled_letter_from_being_deleted() {
    let (world, dlq) = with_dead_letters().await;
    let answered = order_json("ord-1");
    world.put(&Record { fingerprint: print_of(&answered), ..completed("ord-1") }).await;
    exhausted(&world, &answered.to_string(), &LIKE_A_CONFLICT).await;
    let deleted = outcomes(&world, &dlq, &["dlq", "delete", "--reason", "exhausted"]).await;
    assert_eq!(deleted, (json!({ "ord-1": "deleted" }), 0));
}

#[tokio::test]
async fn what_changes_while_a_letter_waits_for_its_turn_is_seen() {
    let (world, dlq) = with_dead_letters().await;
    let ids = ["ord-1", "ord-2", "ord-3"];
    let record = |id: &str, message: Option<String>| {
        let fingerprint = print_of(&order_json(id));
        Record { fingerprint, order: message, ..parked(id) }
    };
    for id in ids {
        let body = order_json(id).to_string();
        world.put(&record(id, Some(body.clone()))).await;
        dead(&world, &dlq, &body, None).await;
    }
    let erase = async {
        while waiting(&world, &world.queue_url).await == 0 {}
        for id in ids {
            world.put(&record(id, None)).await;
        }
    };
    let arguments = ["dlq", "redrive", "--rate", "1", "--json"];
    let (run, ()) = tokio::join!(world.run(&arguments), erase);
    assert_eq!(run.document()["counts"], json!({ "redriven": 1, "left": 2 }), "{run:?}");
    assert_eq!(waiting(&world, &dlq).await, 2);
}

#[tokio::test]
async fn between_fifo_queues_what_nobody_here_can_read_stays_in_its_group() {
    let world = World::new().await;
    let fifo = [(QueueAttributeName::FifoQueue, "true")];
    let dlq = queue(&world.sqs, "the-dead.fifo", &fifo).await;
    let orders = queue(&world.sqs, "orders.fifo", &fifo).await;
    let send = world.sqs.send_message().queue_url(&dlq).message_body("for a newer function");
    send.message_group_id("cus-42").message_deduplication_id("d-1").send().await.unwrap();
    let queues = ["--queue-url", orders.as_str(), "--dlq-url", dlq.as_str()];
    let deleted = world.run(&[&queues[..], &["dlq", "delete", "--all", "--json"]].concat()).await;
    assert_eq!(deleted.document()["deleted"], 0, "{deleted:?}");
    let run = world.run(&[&queues[..], &["dlq", "redrive", "--json"]].concat()).await;
    assert_eq!(run.document()["counts"], json!({ "redriven": 1 }), "{run:?}");
    let [message] = &world.messages(&orders).await[..] else { panic!("one message") };
    let group = &message.attributes.as_ref().unwrap()[&MessageSystemAttributeName::MessageGroupId];
    assert_eq!(group, "cus-42");
}

#[tokio::test]
async fn a_letter_that_reads_otherwise_than_the_function_said_goes_only_when_told() {
    let (world, dlq) = with_dead_letters().await;
    dead(&world, &dlq, &fresh("ord-1").to_string(), Some("invalid")).await;
    let list = world.run(&["dlq", "list"]).await.out;
    assert!(list.contains("run as a new order; but the function called it invalid"), "{list}");
    let left = (json!({ "ord-1": "left" }), 1);
    assert_eq!(outcomes(&world, &dlq, &["dlq", "delete", "--all"]).await, left);
    assert_eq!(outcomes(&world, &dlq, &["dlq", "redrive"]).await, left);
    let sent = (json!({ "ord-1": "redriven" }), 0);
    assert_eq!(outcomes(&world, &dlq, &["dlq", "redrive", "--even-hopeless"]).await, sent);
}
