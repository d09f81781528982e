//! `orderctl parked` and `orderctl erase`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use order_processor::clock::UnixMillis;
use order_processor::local::aws::{EmbeddedAws, sdk_config};
use order_processor::local::server;
use order_processor::order::Order;
use order_processor::protocol::{self, Claimant};
use order_processor::record::{Fence, Owner, Record, Status};
use order_processor::services::workflow;
use serde_json::json;
use tokio::net::TcpListener;

use super::World;
use super::orders::completed;
use crate::local_world::{TABLE, a_clock, n, queue, s};
use crate::world::order_json;

pub fn signed<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--who", "ann", "--why", "as agreed"]].concat()
}

/// An order whose stock is reserved, and whose worker is gone.
pub fn claimed(id: &str) -> Record {
    let order = Order::parse(&order_json(id).to_string()).unwrap();
    let claimant = Claimant { owner: Owner("a worker".into()), lease_until: UnixMillis(1_795_482_000_000) };
    let claimed = protocol::claim(&workflow(), &order, &claimant, UnixMillis(1_795_481_900_000)).after;
    let outcomes = completed(id).outcomes.without("charge_payment");
    let outcomes = outcomes.without("dispatch_shipment").without("notify_customer");
    Record { step: "charge_payment".into(), outcomes, ..claimed }
}

/// The same, parked because the provider was down.
fn parked(id: &str) -> Record {
    let now = UnixMillis(1_795_482_000_000);
    protocol::park(&claimed(id), "retries_exhausted", &order_json(id).to_string(), now).after
}

impl World {
    pub async fn record(&self, id: &str) -> Record {
        let get = self.table.get_item().table_name(TABLE).key("pk", s(&format!("ORDER#{id}")));
        serde_dynamo::from_item(get.send().await.unwrap().item.expect("a record")).unwrap()
    }
}

#[tokio::test]
async fn parked_orders_are_listed_by_reason_and_shown_with_what_can_be_done() {
    let world = World::new().await;
    world.put(&completed("ord-1")).await;
    world.put(&parked("ord-2")).await;
    world.put(&Record { parked_reason: Some("no payment found".into()), ..parked("ord-3") }).await;
    assert!(world.run(&["parked", "list"]).await.out.contains("retries_exhausted"));
    let list = world.json(&["parked", "list", "--reason", "no payment"]).await;
    assert_eq!(list["parked"].as_array().unwrap().len(), 1);
    assert_eq!(list["parked"][0]["order_id"], "ord-3");
    let possible = world.json(&["parked", "show", "ord-2"]).await["possible"].clone();
    assert_eq!(
        possible,
        json!([
            "orderctl parked resume ord-2 --seen 1 --why TEXT",
            "orderctl parked mark-done ord-2 charge_payment --outcome payment_id=... --seen 1 --why TEXT",
            "orderctl parked mark-not-done ord-2 charge_payment --seen 1 --why TEXT",
        ]),
        "it cannot be turned back before it is known whether it is charged"
    );
    let text = world.run(&["parked", "show", "ord-2"]).await;
    assert!(text.out.contains("parked resume ord-2") && !text.out.contains("cus-42"), "{text:?}");
    for (order, code) in [("ord-1", 3), ("ord-9", 3)] {
        assert_eq!(world.run(&["parked", "show", order]).await.code, code);
    }
}

#[tokio::test]
async fn a_resumed_order_is_free_again_and_its_message_is_sent() {
    let world = World::new().await;
    world.put(&parked("ord-1")).await;
    let dry = world.json(&signed(&["parked", "resume", "ord-1", "--dry-run"])).await;
    assert_eq!((&dry["dry_run"], &dry["orders"][0]["outcome"]), (&json!(true), &json!("resumed")));
    assert_eq!(world.record("ord-1").await, parked("ord-1"));
    assert!(world.bodies().await.is_empty());

    let done = world.json(&signed(&["parked", "resume", "ord-1", "--seen", "1"])).await;
    assert_eq!(done["orders"][0]["outcome"], "resumed");
    let record = world.record("ord-1").await;
    assert_eq!((record.status, record.fence), (Status::InProgress, Fence(2)));
    assert_eq!((record.lease_until_ms, record.operator_log.len()), (Some(UnixMillis(0)), 1));
    assert_eq!(world.bodies().await, [order_json("ord-1").to_string()]);
}

#[tokio::test]
async fn a_resumption_that_was_interrupted_is_done_again_by_sending_alone() {
    let world = World::new().await;
    world.put(&parked("ord-1")).await;
    let nowhere = world.queue_url.replace("orders", "nowhere");
    let run = world.run(&signed(&["parked", "resume", "ord-1", "--queue-url", &nowhere, "--json"])).await;
    assert_eq!((run.code, &run.document()["orders"][0]["outcome"]), (1, &json!("not_sent")));
    let resumed = world.record("ord-1").await;
    assert_eq!(resumed.status, Status::InProgress);
    let list = world.run(&["parked", "list"]).await.out;
    assert!(list.contains("resumed; no worker has it yet"), "{list}");
    for which in [["--reason", "exhausted"].as_slice(), &["--all"]] {
        let again = world.json(&signed(&[&["parked", "resume"], which].concat())).await;
        assert_eq!(again["orders"][0]["outcome"], "sent");
        assert_eq!(world.record("ord-1").await, resumed, "nothing is written twice");
        assert_eq!(world.bodies().await.len(), 1);
    }
}

#[tokio::test]
async fn many_are_resumed_by_reason_and_the_others_are_left_alone() {
    let world = World::new().await;
    for number in 1..=5 {
        world.put(&parked(&format!("ord-{number}"))).await;
    }
    let other = Record { parked_reason: Some("no payment found".into()), ..parked("ord-6") };
    world.put(&other).await;
    let run =
        world.run(&signed(&["parked", "resume", "--reason", "exhausted", "--rate", "1000", "--json"])).await;
    assert_eq!((run.code, &run.document()["resumed"]), (0, &json!(5)), "{run:?}");
    assert!(run.err.contains("5 of 5"), "{}", run.err);
    assert_eq!(world.bodies().await.len(), 5);
    assert_eq!(world.record("ord-6").await, other);
    assert_eq!(world.run(&signed(&["parked", "resume", "ord-9"])).await.code, 3);
}

#[tokio::test]
async fn a_rate_is_kept() {
    let world = World::new().await;
    for number in 1..=4 {
        world.put(&parked(&format!("ord-{number}"))).await;
    }
    let started = std::time::Instant::now();
    assert_eq!(world.run(&signed(&["parked", "resume", "--all", "--rate", "4"])).await.code, 0);
    assert!(
        started.elapsed().as_millis() >= 750,
        "the first goes at once, three wait a quarter of a second each"
    );
}

#[tokio::test]
async fn what_is_finished_owned_or_in_the_queue_is_not_resumed() {
    let world = World::new().await;
    world.put(&completed("ord-1")).await;
    world.put(&Record { lease_until_ms: Some(UnixMillis(32_503_680_000_000)), ..claimed("ord-2") }).await;
    world.put(&claimed("ord-3")).await;
    for (id, why) in [("ord-1", "COMPLETED"), ("ord-2", "a worker owns"), ("ord-3", "in the queue")] {
        let run = world.run(&signed(&["parked", "resume", id])).await;
        assert_eq!(run.code, 1);
        assert!(run.out.contains("skipped") && run.out.contains(why), "{}", run.out);
    }
    assert!(world.bodies().await.is_empty());
}

#[tokio::test]
async fn to_a_fifo_queue_a_resumed_order_goes_in_its_group() {
    let world = World::new().await;
    let url = queue(&world.sqs, "orders.fifo", &[(QueueAttributeName::FifoQueue, "true")]).await;
    world.put(&parked("ord-1")).await;
    assert_eq!(world.run(&signed(&["parked", "resume", "ord-1", "--queue-url", &url])).await.code, 0);
    let messages = world.messages(&url).await;
    let group = &messages[0].attributes.as_ref().unwrap()[&MessageSystemAttributeName::MessageGroupId];
    assert_eq!(group, "ord-1");
}

#[tokio::test]
async fn a_step_is_marked_and_the_order_is_turned_back() {
    let world = World::new().await;
    world.put(&parked("ord-1")).await;
    let unsettled = world.run(&signed(&["parked", "compensate", "ord-1"])).await;
    assert_eq!(unsettled.code, 1);
    assert!(unsettled.err.contains("mark it first"), "{}", unsettled.err);
    let paid = ["parked", "mark-done", "ord-1", "charge_payment", "--outcome", "payment_id=pi_9"];
    let dry = world.json(&signed(&[&paid[..], &["--dry-run"]].concat())).await;
    assert_eq!(dry["after"]["step"], "dispatch_shipment");
    assert_eq!(world.record("ord-1").await, parked("ord-1"));
    world.json(&signed(&paid)).await;
    assert_eq!(world.record("ord-1").await.outcomes.text("payment_id"), Some("pi_9"));
    let back = world.json(&signed(&["parked", "compensate", "ord-1", "--seen", "2"])).await;
    assert_eq!((&back["after"]["step"], &back["after"]["fence"]), (&json!("refund_payment"), &json!(3)));
    let logged = world.record("ord-1").await.operator_log;
    let logged: Vec<&str> = logged.iter().map(|by| by.what.as_str()).collect();
    assert_eq!(logged, ["mark-done charge_payment", "compensate"]);
}

#[tokio::test]
async fn a_wrong_statement_is_refused_and_a_step_marked_not_done_is_due_again() {
    let world = World::new().await;
    world.put(&parked("ord-1")).await;
    let nothing = world.run(&signed(&["parked", "mark-done", "ord-1", "charge_payment"])).await;
    assert!(nothing.code == 2 && nothing.err.contains("--outcome payment_id="), "{nothing:?}");
    let other = world.run(&signed(&["parked", "mark-not-done", "ord-1", "dispatch_shipment"])).await;
    assert!(other.code == 1 && other.err.contains("charge_payment is due"), "{other:?}");
    assert_eq!(world.record("ord-1").await, parked("ord-1"));
    world.json(&signed(&["parked", "mark-not-done", "ord-1", "charge_payment"])).await;
    let record = world.record("ord-1").await;
    assert_eq!(
        (record.step.as_str(), record.settled_step.as_deref()),
        ("charge_payment", Some("charge_payment"))
    );
    for command in ["compensate", "mark-not-done"] {
        let step = if command == "compensate" { &[][..] } else { &["charge_payment"] };
        let gone = [&["parked", command, "ord-9"], step].concat();
        assert_eq!(world.run(&signed(&gone)).await.code, 3);
    }
}

#[tokio::test]
async fn an_erased_message_is_gone_and_only_the_same_order_brings_it_back() {
    let world = World::new().await;
    world.put(&parked("ord-1")).await;
    let dry = world.json(&signed(&["erase", "ord-1", "--dry-run"])).await;
    assert!(dry["meaning"].as_str().unwrap().contains("gone from the record"), "{dry}");
    assert_eq!(world.record("ord-1").await, parked("ord-1"));
    world.json(&signed(&["erase", "ord-1"])).await;
    let erased = world.record("ord-1").await;
    assert!(!serde_json::to_string(&erased).unwrap().contains("cus-42"), "{erased:?}");
    assert_eq!(world.run(&signed(&["erase", "ord-1"])).await.code, 1, "there is nothing to erase");
    assert_eq!(world.run(&signed(&["erase", "ord-9"])).await.code, 3);
    let run = world.run(&signed(&["parked", "resume", "ord-1"])).await;
    assert!(run.code == 1 && run.out.contains("--message FILE"), "{run:?}");
    let resume = signed(&["parked", "resume", "ord-1", "--message", "-"]);
    let mut other = order_json("ord-1");
    other["items"][0]["quantity"] = json!(3);
    let run = world.run_with(&resume, &other.to_string()).await;
    assert!(run.code == 1 && run.out.contains("another order"), "{run:?}");
    assert_eq!(world.record("ord-1").await, erased);
    assert_eq!(world.run_with(&resume, &order_json("ord-1").to_string()).await.code, 0);
    assert_eq!(world.bodies().await, [order_json("ord-1").to_string()]);
}

/// Whoever gave the message may be gone by then, and the file with them.
#[tokio::test]
async fn the_message_that_was_given_for_an_erased_order_is_kept_until_it_is_sent() {
    let world = World::new().await;
    world.put(&parked("ord-1")).await;
    world.json(&signed(&["erase", "ord-1"])).await;
    let nowhere = world.queue_url.replace("orders", "nowhere");
    let message = order_json("ord-1").to_string();
    let resume = ["parked", "resume", "ord-1", "--message", "-", "--queue-url", &nowhere, "--json"];
    let run = world.run_with(&signed(&resume), &message).await;
    assert_eq!((run.code, &run.document()["orders"][0]["outcome"]), (1, &json!("not_sent")));
    let list = world.run(&["parked", "list"]).await.out;
    assert!(list.contains("ord-1") && list.contains("resumed; no worker has it yet"), "{list}");
    let again = world.json(&signed(&["parked", "resume", "--all"])).await;
    assert_eq!(again["orders"][0]["outcome"], "sent");
    assert_eq!(world.bodies().await, [message]);
}

#[tokio::test]
async fn the_key_that_a_statement_begins_is_shown_and_kept() {
    let world = World::new().await;
    world.put(&parked("ord-1")).await;
    let key = |shown: &serde_json::Value| shown["idempotency_key"].as_str().unwrap().to_owned();
    assert_eq!(key(&world.json(&["parked", "show", "ord-1"]).await), "ord-1:charge_payment");
    let marked = world.json(&signed(&["parked", "mark-not-done", "ord-1", "charge_payment"])).await;
    assert!(marked["meaning"].as_str().unwrap().contains("ord-1:charge_payment:2"), "{marked}");
    assert_eq!(key(&world.json(&["parked", "show", "ord-1"]).await), "ord-1:charge_payment:2");
    assert!(world.run(&["parked", "show", "ord-1"]).await.out.contains("ord-1:charge_payment:2"));
}

#[tokio::test]
async fn an_order_whose_record_names_no_step_is_placed_by_a_person_and_goes_on() {
    let world = World::new().await;
    let stranded = Record { parked_from: Some(Status::Compensating), ..parked("ord-1") };
    world.put(&stranded).await;
    let possible = world.json(&["parked", "show", "ord-1"]).await["possible"].clone();
    let place = |step: &str| format!("orderctl parked place ord-1 {step} --seen 1 --why TEXT");
    let steps = [
        "reserve_inventory",
        "charge_payment",
        "refund_payment",
        "dispatch_shipment",
        "notify_customer",
        "notify_customer --turn-back",
    ];
    let possible: Vec<_> = possible.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(possible[1..], steps.map(place), "{possible:?}");
    let wrong = world.run(&signed(&["parked", "place", "ord-1", "release_inventory"])).await;
    assert!(wrong.code == 2 && wrong.err.contains("accepted are reserve_inventory"), "{wrong:?}");
    let dry = world.json(&signed(&["parked", "place", "ord-1", "charge_payment", "--dry-run"])).await;
    assert_eq!((&dry["after"]["step"], world.record("ord-1").await), (&json!("charge_payment"), stranded));
    world.json(&signed(&["parked", "place", "ord-1", "notify_customer", "--turn-back"])).await;
    let placed = world.record("ord-1").await;
    assert_eq!((placed.parked_from, placed.step.as_str()), (Some(Status::Compensating), "notify_customer"));
    let again = world.run(&signed(&["parked", "place", "ord-1", "charge_payment"])).await;
    assert!(again.code == 1 && again.err.contains("from where a way leads on"), "{again:?}");
    assert_eq!(world.run(&signed(&["parked", "resume", "ord-1"])).await.code, 0);
    assert_eq!(world.record("ord-1").await.status, Status::Compensating);
}

/// A world in which somebody else changes the record right after it was read for the first time.
async fn with_another_operator() -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let aws = EmbeddedAws::at(address, a_clock());
    let (inner, armed) = (aws.clone(), Arc::new(AtomicBool::new(true)));
    tokio::spawn(server::serve(listener, std::future::pending(), move |request| {
        let (aws, armed) = (inner.clone(), Arc::clone(&armed));
        async move {
            let target = request.headers()["x-amz-target"].to_str().unwrap().to_owned();
            let reads = target.ends_with(".GetItem") || target.ends_with(".Scan");
            let answer = aws.answer(request).await;
            if reads && armed.swap(false, Ordering::SeqCst) {
                let table = aws_sdk_dynamodb::Client::new(&aws.sdk_config(aws.connector()));
                let update = table.update_item().table_name(TABLE).key("pk", s("ORDER#ord-1"));
                let update = update.update_expression("SET fence = fence + :one");
                update.expression_attribute_values(":one", n(1)).send().await.unwrap();
            }
            Ok(answer)
        }
    }));
    World::at(&sdk_config(address), address).await
}

#[tokio::test]
async fn a_record_that_changes_between_the_look_and_the_write_is_left_alone_and_reported() {
    for command in [
        &["parked", "resume", "--all", "--json"][..],
        &["parked", "mark-not-done", "ord-1", "charge_payment"],
        &["erase", "ord-1"],
    ] {
        let world = with_another_operator().await;
        world.put(&parked("ord-1")).await;
        let run = world.run(&signed(command)).await;
        assert_eq!(run.code, 1, "{run:?}");
        assert!((run.out + &run.err).contains("changed meanwhile"), "{command:?}");
        assert_eq!(world.record("ord-1").await, Record { fence: Fence(2), ..parked("ord-1") });
        assert!(world.bodies().await.is_empty());
    }
}

#[tokio::test]
async fn a_decision_by_an_old_look_is_refused() {
    let world = World::new().await;
    world.put(&Record { fence: Fence(5), ..parked("ord-1") }).await;
    for command in [
        &["parked", "resume", "ord-1"][..],
        &["parked", "mark-not-done", "ord-1", "charge_payment"],
        &["parked", "compensate", "ord-1"],
        &["erase", "ord-1"],
    ] {
        let run = world.run(&signed(&[command, &["--seen", "4"]].concat())).await;
        assert!(run.code == 1 && run.err.contains("its fence is 5, not 4"), "{run:?}");
    }
    assert_eq!(world.record("ord-1").await, Record { fence: Fence(5), ..parked("ord-1") });
}
