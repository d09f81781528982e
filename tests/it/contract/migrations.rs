//! Orders that were in flight when a new version of the workflow was deployed.

use order_processor::protocol;
use order_processor::record::{Outcome, REFUSAL};
use order_processor::workflow::Migration;

use super::*;

/// Version 1 scored an order before it was charged, and took the score back on the way back. Version 2 does not.
const WITHOUT_SCORE: &[Migration] =
    &[Migration { moves: &[("score_order", "charge_payment"), ("unscore_order", "notify_customer")] }];

async fn new_code() -> World {
    let mut world = World::new().await;
    world.migrations = WITHOUT_SCORE;
    world
}

/// A record as a worker of version 1 left it, its stock reserved, that stood at a step which is no more.
async fn old_record(world: &World, status: Status, step: &str) -> Record {
    let mut down = order_json("ord-1");
    down["payment_method"] = json!("pm_card_unavailable");
    let before = World::new().await;
    before.deliver(&[message("m0", &down)]).await;
    let reserved = before.record("ord-1").await.unwrap();
    world.stock("mug", 8).await;
    let fingerprint = serde_json::from_value(json!(fingerprint(&order_json("ord-1")))).unwrap();
    let record = Record { status, step: step.to_owned(), fingerprint, ..reserved };
    assert_eq!((record.workflow_version, world.available("mug").await), (1, 8));
    world.put(&record).await;
    record
}

#[tokio::test(start_paused = true)]
async fn an_old_order_at_a_step_that_is_no_more_goes_on_where_the_migration_says() {
    let world = new_code().await;
    let old = old_record(&world, Status::InProgress, "score_order").await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!(outcome.outcomes(), ["completed"]);
    let record = world.record("ord-1").await.unwrap();
    assert_eq!((record.status, record.workflow_version), (Status::Completed, 2));
    assert_eq!(record.outcomes.get("reserve_inventory"), old.outcomes.get("reserve_inventory"));
    assert_eq!(world.payments.ledger().charges_of("ord-1").len(), 1);
    assert_eq!(world.available("mug").await, 8, "it was reserved already");
}

#[tokio::test(start_paused = true)]
async fn an_old_order_on_its_way_back_is_rejected_and_releases_its_stock() {
    let world = new_code().await;
    let old = old_record(&world, Status::Compensating, "unscore_order").await;
    let outcomes = old.outcomes.with(REFUSAL, Outcome::of("reason", "payment_declined"));
    world.put(&Record { outcomes, ..old }).await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!(outcome.outcomes(), ["rejected"], "{:?}", outcome.lines);
    assert!(outcome.result("m1").contains("payment_declined"));
    assert_eq!(world.available("mug").await, 10);
}

#[tokio::test(start_paused = true)]
async fn an_old_order_that_was_parked_goes_on_once_it_is_resumed() {
    let world = new_code().await;
    let old = old_record(&world, Status::InProgress, "score_order").await;
    let parked =
        protocol::park(&old, "outcome unknown", &order_json("ord-1").to_string(), world.clock.now()).after;
    let resumed = protocol::resume(&parked, world.clock.now()).unwrap().expect("it is parked").after;
    world.put(&resumed).await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!(outcome.outcomes(), ["completed"], "{:?}", outcome.lines);
}

#[tokio::test(start_paused = true)]
async fn an_old_order_that_a_worker_of_the_old_code_still_owns_is_left_alone() {
    let world = new_code().await;
    let old = old_record(&world, Status::InProgress, "score_order").await;
    let owned = Record { lease_until_ms: Some(world.clock.now() + Duration::from_secs(5)), ..old };
    world.put(&owned).await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!((outcome.outcomes(), world.record("ord-1").await), (vec!["in_progress"], Some(owned)));
}

#[tokio::test(start_paused = true)]
async fn an_order_of_a_version_that_never_was_is_left_alone() {
    let world = new_code().await;
    for workflow_version in [0, 3] {
        let old = old_record(&world, Status::InProgress, "score_order").await;
        let odd = Record { workflow_version, ..old };
        world.put(&odd).await;
        let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
        assert_eq!((outcome.outcomes(), world.record("ord-1").await), (vec!["retry"], Some(odd)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_an_outcome_is_not_done_again_even_if_a_migration_leads_back_to_it() {
    const BACK: &[Migration] = &[Migration { moves: &[("score_order", "reserve_inventory")] }];
    let mut world = World::new().await;
    world.migrations = BACK;
    old_record(&world, Status::InProgress, "score_order").await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!((outcome.outcomes(), world.available("mug").await), (vec!["completed"], 8));
}

#[tokio::test(start_paused = true)]
async fn an_old_order_is_charged_after_a_weekend_because_nobody_has_called_that_step() {
    let world = new_code().await;
    old_record(&world, Status::InProgress, "score_order").await;
    tokio::time::advance(Duration::from_secs(3 * 86_400)).await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!(outcome.outcomes(), ["completed"]);
}
