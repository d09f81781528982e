//! Orders that were in flight when a new version of the workflow was deployed.

use order_processor::local::payment_provider::Scripted;
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

/// Version 1 scored an order after its stock was reserved. Version 2 lets such an order go back to the reservation.
const BACK: &[Migration] = &[Migration { moves: &[("score_order", "reserve_inventory")] }];

#[tokio::test(start_paused = true)]
async fn what_has_an_outcome_is_not_done_again_even_if_a_migration_leads_back_to_it() {
    let mut world = World::new().await;
    world.migrations = BACK;
    old_record(&world, Status::InProgress, "score_order").await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!((outcome.outcomes(), world.available("mug").await), (vec!["completed"], 8));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_went_back_to_its_reservation_releases_what_was_reserved_and_nothing_else() {
    let mut world = World::new().await;
    world.migrations = BACK;
    old_record(&world, Status::InProgress, "score_order").await;
    let declined = json!({ "error": { "type": "card_error", "code": "card_declined" } });
    world.payments.answer_next("ord-1:charge_payment", Scripted::status(402).body(declined));
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!(outcome.outcomes(), ["rejected"]);
    assert_eq!(world.available("mug").await, 10);
    assert_eq!(world.item("STOCK#at_ms").await, None, "the time of the reservation is no stock");
}

/// Version 1 packed an order after it was charged. Version 2 ships it at once.
const WITHOUT_PACKING: &[Migration] = &[Migration { moves: &[("pack_order", "dispatch_shipment")] }];

#[tokio::test(start_paused = true)]
async fn a_cancellation_is_kept_by_a_migration_that_removes_the_step_at_which_it_came() {
    let mut world = World::new().await;
    world.migrations = WITHOUT_PACKING;
    let old = old_record(&world, Status::InProgress, "pack_order").await;
    world.put(&Record { cancel_requested: Some("the customer".into()), ..old }).await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!(outcome.outcomes(), ["rejected"], "{:?}", outcome.lines);
    assert!(outcome.result("m1").contains("cancelled"));
    assert_eq!(world.drain("WAREHOUSE_QUEUE_URL").await.len(), 0);
    assert_eq!(world.available("mug").await, 10);
}

/// The old owner's last write is under way while a worker of version 2 reads the record, and lands before its takeover.
#[tokio::test(start_paused = true)]
async fn a_takeover_that_moves_the_step_does_not_meet_a_write_that_landed_since_it_looked() {
    let world = new_code().await;
    let old = old_record(&world, Status::InProgress, "score_order").await;
    let outcomes = old.outcomes.with(REFUSAL, Outcome::of("reason", "payment_declined"));
    let late = Record { status: Status::Compensating, step: "unscore_order".into(), outcomes, ..old };
    let faults = Faults::on_first("DynamoDB UpdateItem", Fault::Freeze);
    let (worker, event) = (world.worker_under(&faults), [message("m1", &order_json("ord-1"))]);
    let overtaken = async {
        faults.frozen().await;
        world.put(&late).await;
        faults.thaw();
    };
    let (outcome, ()) = tokio::join!(world.deliver_to(&worker, &event), overtaken);
    assert_eq!(outcome.outcomes(), ["rejected"], "{:?}", outcome.lines);
    assert_eq!(world.available("mug").await, 10);
}

#[tokio::test(start_paused = true)]
async fn an_old_order_is_charged_after_a_weekend_because_nobody_has_called_that_step() {
    let world = new_code().await;
    old_record(&world, Status::InProgress, "score_order").await;
    tokio::time::advance(Duration::from_secs(3 * 86_400)).await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    assert_eq!(outcome.outcomes(), ["completed"]);
}
