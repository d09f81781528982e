//! Orders that are delivered again, or parked.

use super::*;

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
