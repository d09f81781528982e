//! What each message gets: one test for each row of the contract, named after it.

use std::time::Duration;

use order_processor::clock::{UnixMillis, UnixSeconds};
use order_processor::local::faults::{Fault, Faults};
use order_processor::record::{Record, Status};
use serde_json::{Value, json};

use crate::world::{World, attribute, fingerprint, message, order_json, raw};

#[tokio::test(start_paused = true)]
async fn a_new_order_runs_and_its_result_is_stored() {
    let world = World::new().await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["completed"], 0));

    let result: Value = serde_json::from_str(outcome.result("m1")).unwrap();
    let record = world.record("ord-1").await.unwrap();
    assert_eq!(record.result.as_deref(), Some(outcome.result("m1")));
    assert_eq!(record.status, Status::Completed);
    let expected = json!({
        "order_id": "ord-1", "status": "completed", "total": 2598, "currency": "USD",
        "payment_id": record.outcomes.text("payment_id").unwrap(),
        "shipment_id": record.outcomes.text("shipment_id").unwrap(),
        "finished_at": result["finished_at"],
    });
    assert_eq!(result, expected);
    assert!(outcome.result("m1").starts_with(r#"{"order_id":"ord-1","status":"completed","total":2598,"#));
    assert_eq!(world.available("mug").await, 8);
    assert_eq!(world.payments.ledger().charges_of("ord-1").len(), 1);
    assert_eq!(world.drain("WAREHOUSE_QUEUE_URL").await.len(), 1);
    assert_eq!(world.drain("NOTIFICATIONS_QUEUE_URL").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_item_has_the_attributes_of_the_contract_and_stays_under_1_kb() {
    let world = World::new().await;
    let worker = world.worker();
    world.deliver_to(&worker, &[message("m1", &order_json("ord-1"))]).await;
    let item = world.item("ORDER#ord-1").await.unwrap();
    for (name, is_type) in [
        ("pk", "S"),
        ("status", "S"),
        ("fence", "N"),
        ("owner", "S"),
        ("step", "S"),
        ("outcomes", "M"),
        ("fingerprint", "S"),
        ("workflow_version", "N"),
        ("claimed_at_ms", "N"),
        ("updated_at_ms", "N"),
        ("attempts", "N"),
        ("result", "S"),
        ("expires_at", "N"),
    ] {
        let value = item.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(format!("{value:?}").starts_with(is_type), "{name}: {value:?}");
    }
    for absent in ["lease_until_ms", "cancel_requested", "parked_from", "parked_reason", "order"] {
        assert!(!item.contains_key(absent), "{absent}");
    }
    let reserved = item["outcomes"].as_m().unwrap()["reserve_inventory"].as_m().unwrap();
    assert_eq!(reserved.len(), 1);
    assert_eq!(reserved["mug"].as_n().unwrap(), "2");
    let size: usize =
        serde_json::to_string(&world.record("ord-1").await.unwrap().attributes()).unwrap().len();
    assert!(size < 1024, "{size} bytes");
    let thirty_days = 30 * 86_400;
    let record = world.record("ord-1").await.unwrap();
    assert_eq!(record.expires_at, Some(UnixSeconds(record.updated_at_ms.0.div_ceil(1000) + thirty_days)));
}

#[tokio::test(start_paused = true)]
async fn the_happy_path_takes_5_requests_and_a_duplicate_takes_1() {
    let world = World::new().await;
    let worker = world.worker();
    world.deliver_to(&worker, &[message("m1", &order_json("ord-1"))]).await;
    let happy = ["PutItem", "TransactWriteItems", "UpdateItem", "UpdateItem", "UpdateItem"];
    assert_eq!(world.dynamodb_requests(0), happy);
    let so_far = world.faults.log().len();
    world.deliver_to(&worker, &[message("m2", &order_json("ord-1"))]).await;
    assert_eq!(world.dynamodb_requests(so_far), ["PutItem"]);
    let so_far = world.faults.log().len();
    let mut out_of_stock = order_json("ord-2");
    out_of_stock["items"][0]["quantity"] = json!(9);
    world.deliver_to(&worker, &[message("m3", &out_of_stock)]).await;
    assert_eq!(
        world.dynamodb_requests(so_far),
        ["PutItem", "TransactWriteItems", "UpdateItem", "UpdateItem"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_of_a_finished_order_gets_the_stored_result_byte_for_byte() {
    let world = World::new().await;
    let first = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    let before = world.item("ORDER#ord-1").await;
    let mut rebuilt = order_json("ord-1");
    rebuilt["placed_at"] = json!("2026-11-24T00:59:00Z");
    rebuilt["metadata"] = json!({ "try": "2" });
    let again = world.deliver(&[message("m2", &rebuilt)]).await;
    assert_eq!((again.outcomes(), again.failed.len()), (vec!["duplicate"], 0));
    assert_eq!(again.result("m2"), first.result("m1"));
    assert_eq!(world.item("ORDER#ord-1").await, before, "nothing is written");
    assert_eq!(world.payments.ledger().calls_under("ord-1:charge_payment"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_past_its_expiry_that_is_still_there_counts_as_a_duplicate() {
    let world = World::new().await;
    let first = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    let record = world.record("ord-1").await.unwrap();
    world.put(&Record { expires_at: Some(UnixSeconds(1)), ..record }).await;
    let again = world.deliver(&[message("m2", &order_json("ord-1"))]).await;
    assert_eq!(again.result("m2"), first.result("m1"));
}

/// A record as a worker left it that claimed the order and died.
async fn claimed(world: &World, id: &str, lease: Duration) -> Record {
    let crashing = Faults::on_first("DynamoDB TransactWriteItems", Fault::CrashBefore);
    let other = World::new().await.under(crashing);
    let (worker, event) = (other.worker(), [message("m0", &order_json(id))]);
    tokio::select! {
        _ = other.deliver_to(&worker, &event) => panic!("it should have crashed"),
        () = other.faults.crashed() => {}
    }
    let record = other.record(id).await.unwrap();
    let record = Record { lease_until_ms: Some(world.clock.now() + lease), ..record };
    world.put(&record).await;
    record
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_of_an_order_with_a_live_lease_is_delivered_again_when_the_lease_is_over() {
    let world = World::new().await;
    let before = claimed(&world, "ord-1", Duration::from_secs(7)).await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.join(",")), (vec!["in_progress"], "m1".to_owned()));
    assert_eq!(world.record("ord-1").await, Some(before));
    let change = visibility_changes(&world);
    assert!(change.len() == 1 && (7..=9).contains(&change[0]), "{change:?}");
}

fn visibility_changes(world: &World) -> Vec<u64> {
    let log = world.faults.log().into_iter();
    let changes = log.filter(|passage| passage.operation == "SQS ChangeMessageVisibility");
    changes
        .map(|passage| {
            serde_json::from_slice::<Value>(&passage.body).unwrap()["VisibilityTimeout"].as_u64().unwrap()
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_lease_is_over_is_taken_over_and_resumed() {
    let world = World::new().await;
    let before = claimed(&world, "ord-1", Duration::ZERO).await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!(outcome.outcomes(), ["completed"]);
    let record = world.record("ord-1").await.unwrap();
    assert_eq!((record.fence.0, record.attempts), (before.fence.0 + 1, 2));
    assert_ne!(record.owner, before.owner);
    assert_eq!(outcome.lines["m1"]["took_over"], json!(true));
}

fn other_order(id: &str) -> Value {
    let mut other = order_json(id);
    other["items"][0]["quantity"] = json!(1);
    other
}

#[tokio::test(start_paused = true)]
async fn another_order_under_the_same_id_is_a_conflict_in_every_state() {
    for (status, lease) in [
        (Status::InProgress, Duration::ZERO),
        (Status::InProgress, Duration::from_secs(60)),
        (Status::Compensating, Duration::ZERO),
        (Status::Completed, Duration::ZERO),
        (Status::Rejected, Duration::ZERO),
        (Status::Parked, Duration::ZERO),
    ] {
        let world = World::new().await;
        let record = claimed(&world, "ord-1", lease).await;
        let result = status.is_finished().then(|| "{}".to_owned());
        let record = Record { status, result, ..record };
        world.put(&record).await;
        let body = other_order("ord-1");
        let outcome = world.deliver(&[message("m1", &body)]).await;
        assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["conflict"], 0), "{status}");
        assert_eq!(world.record("ord-1").await, Some(record), "nothing is overwritten");

        let letters = world.drain("DEAD_LETTER_QUEUE_URL").await;
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].body(), Some(body.to_string().as_str()));
        for (name, value) in [
            ("reason", "conflict"),
            ("source_message_id", "m1"),
            ("order_id", "ord-1"),
            ("fingerprint", &fingerprint(&body)),
            ("stored_fingerprint", &fingerprint(&order_json("ord-1"))),
        ] {
            assert_eq!(attribute(&letters[0], name), Some(value));
        }
        assert!(attribute(&letters[0], "detail").is_some());
        assert!(world.payments.ledger().charges_of("ord-1").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_of_two_conflicting_orders_in_a_batch_is_the_order() {
    let world = World::new().await;
    let outcome =
        world.deliver(&[message("m1", &order_json("ord-1")), message("m2", &other_order("ord-1"))]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["completed", "conflict"], 0));
}

#[tokio::test(start_paused = true)]
async fn a_conflict_in_a_batch_is_one_even_if_the_first_fails_for_now() {
    let world = World::new().await;
    let mut down = order_json("ord-1");
    down["payment_method"] = json!("pm_card_unavailable");
    let outcome = world.deliver(&[message("m1", &down), message("m2", &order_json("ord-1"))]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.join(",")), (vec!["retry", "conflict"], "m1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn nothing_becomes_the_order_before_the_first_of_its_batch() {
    let faults =
        Faults::planned_by(|passage| (passage.operation == "DynamoDB PutItem").then_some(Fault::Throttle));
    let world = World::new().await;
    let world = world.under(faults);
    let outcome =
        world.deliver(&[message("m1", &order_json("ord-1")), message("m2", &other_order("ord-1"))]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["retry", "retry"], 2));
    assert_eq!(world.record("ord-1").await, None);
}

#[tokio::test(start_paused = true)]
async fn the_same_order_twice_in_a_batch_runs_once_and_answers_both() {
    let world = World::new().await;
    let order = order_json("ord-1");
    let outcome = world.deliver(&[message("m1", &order), message("m2", &order), message("m3", &order)]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["completed", "duplicate", "duplicate"], 0));
    assert_eq!(outcome.result("m1"), outcome.result("m3"));
    assert_eq!(world.payments.ledger().calls_under("ord-1:charge_payment"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_order_twice_in_a_batch_fails_once_and_fails_both() {
    let world = World::new().await;
    let mut down = order_json("ord-1");
    down["payment_method"] = json!("pm_card_unavailable");
    let outcome = world.deliver(&[message("m1", &down), message("m2", &down)]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["retry", "retry"], 2));
    assert_eq!(world.payments.ledger().calls_under("ord-1:charge_payment"), 1);
    let changes = visibility_changes(&world);
    assert_eq!((changes.len(), changes[0]), (2, changes[1]));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_valid_order_is_dead_lettered_with_the_name_of_the_field() {
    let world = World::new().await;
    let mut bad = order_json("ord-1");
    bad["items"][0]["quantity"] = json!(0);
    let outcome = world.deliver(&[message("m1", &bad), raw("m2", "not json"), raw("m3", "")]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["invalid"; 3], 0));
    let mut letters = world.drain("DEAD_LETTER_QUEUE_URL").await;
    letters.sort_by_key(|letter| attribute(letter, "source_message_id").map(str::to_owned));
    assert_eq!(letters[0].body(), Some(bad.to_string().as_str()));
    assert_eq!(attribute(&letters[0], "reason"), Some("invalid"));
    assert_eq!(attribute(&letters[0], "order_id"), Some("ord-1"));
    assert!(attribute(&letters[0], "detail").unwrap().starts_with("items[0].quantity: "));
    assert_eq!((letters[1].body(), attribute(&letters[1], "order_id")), (Some("not json"), None));
}

#[tokio::test(start_paused = true)]
async fn a_card_number_is_masked_and_never_logged() {
    let world = World::new().await;
    let mut card = order_json("ord-1");
    card["payment_method"] = json!("4242424242424242");
    let named = r#"{"4242424242424242": 1}"#;
    let twice = r#"{"4242424242424242": 1, "4242424242424242": 1}"#;
    let outcome = world.deliver(&[message("m1", &card), raw("m2", named), raw("m3", twice)]).await;
    assert_eq!(outcome.outcomes(), ["invalid"; 3]);
    let letters = world.drain("DEAD_LETTER_QUEUE_URL").await;
    assert_eq!(letters.len(), 3);
    let text = format!("{letters:?}{}", world.log_text());
    assert!(text.contains("************4242") && !text.contains("4242424242424242"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_log_tells_nothing_of_the_customer() {
    let world = World::new().await;
    let mut order = order_json("ord-1");
    order["metadata"] = json!({ "email": "someone@example.com" });
    let mut typo = order.clone();
    typo["somebody@example.com"] = json!(1);
    let mut down = order_json("ord-2");
    down["payment_method"] = json!("pm_card_unavailable");
    world.deliver(&[message("m1", &order), message("m2", &typo), message("m3", &down)]).await;
    let log = world.log_text();
    for secret in ["example.com", "cus-42", "pm_card", "sk_test", "1299"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_kept_until_the_dead_letter_queue_has_it() {
    let world = World::new().await;
    let dead_letter = world.variables["DEAD_LETTER_QUEUE_URL"].clone();
    let to_it = move |body: &[u8]| String::from_utf8_lossy(body).contains(&dead_letter);
    let faults = Faults::planned_by(move |passage| to_it(&passage.body).then_some(Fault::LoseRequest));
    let world = world.under(faults);
    world.deliver(&[message("m0", &order_json("ord-1"))]).await;
    let outcome = world.deliver(&[message("m1", &other_order("ord-1")), raw("m2", "{}")]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["conflict", "invalid"], 2));
}

#[tokio::test(start_paused = true)]
async fn an_order_outside_the_window_is_not_claimed_as_new() {
    let world = World::new().await;
    let at = |id: &str, placed_at: UnixMillis| {
        let mut order = order_json(id);
        order["placed_at"] = json!(placed_at.to_rfc3339());
        order
    };
    let (now, day, hour) = (world.clock.now(), 86_400_000, 3_600_000);
    let outcome = world
        .deliver(&[
            message("m1", &at("ord-1", UnixMillis(now.0 - 21 * day - 1))),
            message("m2", &at("ord-2", UnixMillis(now.0 - 21 * day))),
            message("m3", &at("ord-3", UnixMillis(now.0 + hour))),
            message("m4", &at("ord-4", UnixMillis(now.0 + hour + 1000))),
        ])
        .await;
    assert_eq!(outcome.outcomes(), ["stale", "completed", "completed", "future"]);
    assert!(outcome.failed.is_empty());
    assert_eq!((world.record("ord-1").await, world.record("ord-4").await), (None, None));
    let reasons = world.drain("DEAD_LETTER_QUEUE_URL").await;
    let mut reasons: Vec<_> = reasons.iter().map(|letter| attribute(letter, "reason").unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["future", "stale"]);
}

#[tokio::test(start_paused = true)]
async fn an_old_message_of_a_known_order_is_as_any_other() {
    let world = World::new().await;
    let first = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    claimed(&world, "ord-2", Duration::ZERO).await;
    let old = |mut order: Value| {
        order["placed_at"] = json!("2026-01-01T00:00:00Z");
        order
    };
    let outcome = world
        .deliver(&[
            message("m2", &old(order_json("ord-1"))),
            message("m3", &old(order_json("ord-2"))),
            message("m4", &old(other_order("ord-1"))),
        ])
        .await;
    assert_eq!(outcome.outcomes(), ["duplicate", "completed", "conflict"]);
    assert_eq!(outcome.result("m2"), first.result("m1"));
}

#[tokio::test(start_paused = true)]
async fn a_record_lives_until_its_order_is_too_old_to_be_claimed() {
    let world = World::new().await;
    let mut order = order_json("ord-1");
    let placed_at = UnixMillis(world.clock.now().0 + 3_600_000);
    order["placed_at"] = json!(placed_at.to_rfc3339());
    world.deliver(&[message("m1", &order)]).await;
    let record = world.record("ord-1").await.unwrap();
    assert_eq!(record.expires_at, Some(UnixSeconds(placed_at.0.div_ceil(1000) + 30 * 86_400)));
}

#[tokio::test(start_paused = true)]
async fn a_transient_failure_keeps_the_checkpoints_and_releases_the_lease() {
    let world = World::new().await;
    let mut down = order_json("ord-1");
    down["payment_method"] = json!("pm_card_unavailable");
    let outcome = world.deliver(&[message("m1", &down).received(3)]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.join(",")), (vec!["retry"], "m1".to_owned()));
    let record = world.record("ord-1").await.unwrap();
    assert_eq!((record.status, record.step.as_str()), (Status::InProgress, "charge_payment"));
    assert_eq!((record.lease_until_ms, record.expires_at), (Some(UnixMillis(0)), None));
    let changes = visibility_changes(&world);
    assert!(changes.len() == 1 && (20..=40).contains(&changes[0]), "{changes:?}");
    assert_eq!(world.available("mug").await, 8, "reserved stock stays reserved");
}

#[tokio::test(start_paused = true)]
async fn the_last_receive_parks_the_order_with_its_message() {
    let world = World::new().await;
    let mut down = order_json("ord-1");
    down["payment_method"] = json!("pm_card_unavailable");
    let outcome = world.deliver(&[message("m0", &down).received(19)]).await;
    assert_eq!(outcome.outcomes(), ["retry"]);
    let outcome = world.deliver(&[message("m1", &down).received(20)]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["parked"], 0));
    let record = world.record("ord-1").await.unwrap();
    assert_eq!((record.status, record.parked_from), (Status::Parked, Some(Status::InProgress)));
    assert_eq!(record.parked_reason.as_deref(), Some("retries_exhausted"));
    assert_eq!(record.order, Some(down.to_string()));
    assert_eq!((record.lease_until_ms, record.expires_at), (None, None));

    let again = world.deliver(&[message("m2", &down)]).await;
    assert_eq!((again.outcomes(), again.failed.len()), (vec!["parked"], 0));
    assert_eq!(world.record("ord-1").await, Some(record), "an operator owns it");
}

#[tokio::test(start_paused = true)]
async fn the_last_receive_parks_the_order_even_if_it_failed_a_moment_ago_in_the_batch() {
    let world = World::new().await;
    let mut down = order_json("ord-1");
    down["payment_method"] = json!("pm_card_unavailable");
    let outcome = world.deliver(&[message("m1", &down), message("m2", &down).received(20)]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.join(",")), (vec!["retry", "parked"], "m1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_last_receive_without_a_record_is_left_to_sqs() {
    let faults =
        Faults::planned_by(|passage| (passage.operation == "DynamoDB PutItem").then_some(Fault::Throttle));
    let world = World::new().await.under(faults);
    let outcome = world.deliver(&[message("m1", &order_json("ord-1")).received(20)]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["retry"], 1));
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_later_workflow_is_left_alone() {
    let world = World::new().await;
    let record = claimed(&world, "ord-1", Duration::ZERO).await;
    let record = Record { workflow_version: 2, ..record };
    world.put(&record).await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["retry"], 1));
    assert_eq!(world.record("ord-1").await, Some(record));
}

#[tokio::test(start_paused = true)]
async fn without_time_an_order_is_not_started() {
    let world = World::new().await;
    let worker = world.worker();
    let (event, clock) = (world.event(&[message("m1", &order_json("ord-1"))]), world.clock.clone());
    let budget = order_processor::budget::Budget::until(clock.now() + Duration::from_secs(3), clock);
    tokio::time::advance(Duration::from_millis(1_700)).await;
    let response = worker.handle(&event, &budget).await.unwrap();
    assert_eq!(response.batch_item_failures.len(), 1);
    assert!(world.log_text().contains(r#""outcome":"deferred""#));
    assert_eq!(world.record("ord-1").await, None);
    let changes = visibility_changes(&world);
    assert!(changes.len() == 1 && (2..=4).contains(&changes[0]), "{changes:?}");
}

#[tokio::test(start_paused = true)]
async fn without_time_an_order_stops_at_a_checkpoint() {
    let world = World::new().await;
    let mut slow = order_json("ord-1");
    slow["payment_method"] = json!("pm_card_slow");
    let outcome =
        world.deliver_within(&world.worker(), &[message("m1", &slow)], Duration::from_secs(3)).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["deferred"], 1));
    let record = world.record("ord-1").await.unwrap();
    assert_eq!((record.step.as_str(), record.lease_until_ms), ("dispatch_shipment", Some(UnixMillis(0))));
    let outcome = world.deliver(&[message("m2", &slow)]).await;
    assert_eq!(outcome.outcomes(), ["completed"]);
    assert_eq!(world.payments.ledger().calls_under("ord-1:charge_payment"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_visibility_change_changes_no_outcome() {
    let faults =
        Faults::planned_by(|passage| passage.operation.contains("Visibility").then_some(Fault::LoseRequest));
    let world = World::new().await.under(faults);
    let mut down = order_json("ord-1");
    down["payment_method"] = json!("pm_card_unavailable");
    let outcome = world.deliver(&[message("m1", &down)]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["retry"], 1));
    assert!(world.log_text().contains("the visibility could not be set"));
}

#[tokio::test(start_paused = true)]
async fn in_a_fifo_group_the_rest_fails_with_the_first_failure() {
    let world = World::new().await;
    let mut down = order_json("ord-2");
    down["payment_method"] = json!("pm_card_unavailable");
    let outcome = world
        .deliver(&[
            message("m1", &order_json("ord-1")).in_fifo_group("a"),
            message("m2", &down).in_fifo_group("a"),
            message("m3", &order_json("ord-3")).in_fifo_group("a"),
            message("m4", &order_json("ord-4")).in_fifo_group("b"),
            raw("m5", "poison").in_fifo_group("c"),
            message("m6", &order_json("ord-6")).in_fifo_group("c"),
        ])
        .await;
    assert_eq!(outcome.failed, ["m2", "m3"]);
    assert_eq!(outcome.outcomes(), ["completed", "retry", "deferred", "completed", "invalid", "completed"]);
    assert_eq!(world.record("ord-3").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_message_group_of_a_standard_queue_decides_nothing() {
    let world = World::new().await;
    let mut down = order_json("ord-1");
    down["payment_method"] = json!("pm_card_unavailable");
    let mut messages = [message("m1", &down), message("m2", &order_json("ord-2"))];
    for message in &mut messages {
        message.group = Some("a".into());
    }
    let outcome = world.deliver(&messages).await;
    assert_eq!(outcome.failed, ["m1"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_without_a_message_id_never_puts_an_empty_one_into_the_response() {
    let world = World::new().await;
    let worker = world.worker();
    let budget = || {
        order_processor::budget::Budget::until(
            world.clock.now() + Duration::from_secs(10),
            world.clock.clone(),
        )
    };
    let mut event = world.event(&[message("", &order_json("ord-1"))]);
    event.records[0].message_id = None;
    let response = worker.handle(&event, &budget()).await.unwrap();
    assert!(response.batch_item_failures.is_empty(), "it was done");
    let mut down = order_json("ord-2");
    down["payment_method"] = json!("pm_card_unavailable");
    let event = world.event(&[message("", &down)]);
    worker.handle(&event, &budget()).await.expect_err("only the whole batch can be given back");
}

#[tokio::test(start_paused = true)]
async fn messages_to_a_fifo_dead_letter_queue_have_a_group_and_a_deduplication_id() {
    let mut world = World::new().await;
    let fifo = crate::local_world::queue(
        &world.sqs,
        "dead.fifo",
        &[(aws_sdk_sqs::types::QueueAttributeName::FifoQueue, "true")],
    )
    .await;
    world.variables.insert("DEAD_LETTER_QUEUE_URL", fifo);
    world.deliver(&[raw("m1", "x")]).await;
    world.deliver(&[message("m2", &order_json("ord-1")), message("m3", &other_order("ord-1"))]).await;
    let sent: Vec<Value> = world
        .faults
        .log()
        .iter()
        .filter(|passage| passage.operation == "SQS SendMessage")
        .map(|passage| serde_json::from_slice(&passage.body).unwrap())
        .filter(|body: &Value| body["QueueUrl"].as_str().unwrap().ends_with(".fifo"))
        .collect();
    assert_eq!(
        (&sent[0]["MessageGroupId"], &sent[1]["MessageGroupId"]),
        (&json!("invalid"), &json!("ord-1"))
    );
    assert!(sent.iter().all(|body| body["MessageDeduplicationId"].as_str().unwrap().len() == 64));
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_to_the_warehouse_and_to_customers_has_a_stable_key_and_body() {
    let world = World::new().await;
    let mut order = order_json("ord-1");
    order["items"] = json!([
        { "sku": "zebra", "quantity": 1, "unit_price": 5 }, { "sku": "mug", "quantity": 1, "unit_price": 7 },
    ]);
    world.stock("zebra", 1).await;
    world.deliver(&[message("m1", &order)]).await;
    let shipment = &world.drain("WAREHOUSE_QUEUE_URL").await[0];
    assert_eq!(attribute(shipment, "idempotency_key"), Some("ord-1:dispatch_shipment"));
    let shipment: Value = serde_json::from_str(shipment.body().unwrap()).unwrap();
    let record = world.record("ord-1").await.unwrap();
    let shipment_id = record.outcomes.text("shipment_id").unwrap();
    assert_eq!(
        shipment,
        json!({
            "order_id": "ord-1", "shipment_id": shipment_id, "customer_id": "cus-42",
            "items": [{ "sku": "mug", "quantity": 1, "unit_price": 7 }, { "sku": "zebra", "quantity": 1, "unit_price": 5 }],
        })
    );
    let told = &world.drain("NOTIFICATIONS_QUEUE_URL").await[0];
    assert_eq!(attribute(told, "idempotency_key"), Some("ord-1:notify_customer"));
    let told: Value = serde_json::from_str(told.body().unwrap()).unwrap();
    assert_eq!((&told["status"], &told["total"]), (&json!("completed"), &json!(12)));
}

#[tokio::test(start_paused = true)]
async fn refusals_are_told_and_leave_nothing_behind() {
    for (change, reason, detail) in [
        (("/items/0/quantity", json!(11)), "out_of_stock", "sku mug: 11 wanted, 10 left"),
        (("/items/0/sku", json!("cup")), "unknown_sku", "sku cup is not in stock"),
        (
            ("/payment_method", json!("pm_card_declined")),
            "payment_declined",
            "card_declined: generic_decline",
        ),
    ] {
        let world = World::new().await;
        let mut order = order_json("ord-1");
        *order.pointer_mut(change.0).unwrap() = change.1;
        let outcome = world.deliver(&[message("m1", &order)]).await;
        assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["rejected"], 0));
        let result: Value = serde_json::from_str(outcome.result("m1")).unwrap();
        let finished_at = &result["finished_at"];
        assert_eq!(
            result,
            json!({ "order_id": "ord-1", "status": "rejected", "reason": reason, "detail": detail, "finished_at": finished_at })
        );
        let record = world.record("ord-1").await.unwrap();
        assert_eq!(record.status, Status::Rejected);
        assert!(record.expires_at.is_some() && record.lease_until_ms.is_none());
        assert_eq!(world.available("mug").await, 10);
        assert_eq!(world.drain("WAREHOUSE_QUEUE_URL").await.len(), 0);
        let told = world.drain("NOTIFICATIONS_QUEUE_URL").await;
        let told: Value = serde_json::from_str(told[0].body().unwrap()).unwrap();
        assert_eq!((&told["status"], &told["reason"]), (&json!("rejected"), &json!(reason)));
        let again = world.deliver(&[message("m2", &order)]).await;
        assert_eq!((again.outcomes(), again.result("m2")), (vec!["duplicate"], outcome.result("m1")));
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_costs_nothing_is_not_charged() {
    let world = World::new().await;
    let mut free = order_json("ord-1");
    free["items"][0]["unit_price"] = json!(0);
    let outcome = world.deliver(&[message("m1", &free)]).await;
    assert_eq!(outcome.outcomes(), ["completed"]);
    let result: Value = serde_json::from_str(outcome.result("m1")).unwrap();
    assert_eq!((&result["total"], result.get("payment_id")), (&json!(0), None));
    assert!(!world.faults.log().iter().any(|passage| passage.operation.contains("payment")));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_panics_fails_alone() {
    let panics = Faults::planned_by(|passage| {
        assert!(
            passage.operation != "POST /v1/payment_intents"
                || !String::from_utf8_lossy(&passage.body).contains("ord-2"),
            "on purpose"
        );
        None
    });
    let world = World::new().await.under(panics);
    let messages = ["ord-1", "ord-2", "ord-3"].map(|id| message(id, &order_json(id)));
    let outcome = world.deliver(&messages).await;
    assert_eq!(
        (outcome.outcomes(), outcome.failed.join(",")),
        (vec!["completed", "panic", "completed"], "ord-2".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_payment_whose_key_may_be_forgotten_is_looked_up_and_not_repeated() {
    let world = World::new().await;
    let day = 24 * 3_600_000;
    let record = claimed(&world, "ord-1", Duration::ZERO).await;
    let claimed_at_ms = UnixMillis(world.clock.now().0 - day);
    world.put(&Record { claimed_at_ms, step: "charge_payment".into(), ..record.clone() }).await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["parked"], 0));
    assert_eq!(world.payments.ledger().calls_under("ord-1:charge_payment"), 0);

    // Whoever was found before that step was never charged: the key is as fresh as the call.
    world.put(&Record { claimed_at_ms, ..record }).await;
    let outcome = world.deliver(&[message("m2", &order_json("ord-1"))]).await;
    assert_eq!(outcome.outcomes(), ["completed"]);
    assert_eq!(world.payments.ledger().charges_of("ord-1").len(), 1);
}
