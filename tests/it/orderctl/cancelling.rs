//! `orderctl cancel`.

use order_processor::record::{Record, Status};
use serde_json::json;

use super::World;
use super::orders::{completed, parked};
use super::parked::{claimed, signed};

#[tokio::test]
async fn a_cancellation_is_asked_for_once_with_who_and_why_and_a_dry_run_asks_for_none() {
    let world = World::new().await;
    let order = claimed("ord-1");
    world.put(&order).await;
    let dry = world.json(&signed(&["cancel", "ord-1", "--dry-run"])).await;
    assert_eq!((&dry["dry_run"], &dry["after"]["cancel_requested"]), (&json!(true), &json!("ann")));
    assert_eq!(world.record("ord-1").await, order);
    let done = world.json(&signed(&["cancel", "ord-1"])).await;
    assert!(done["meaning"].as_str().unwrap().contains("refunds"), "{done}");
    let record = world.record("ord-1").await;
    assert_eq!(record.cancel_requested.as_deref(), Some("ann"));
    let [by] = record.operator_log.as_slice() else { panic!("{record:?}") };
    assert_eq!((by.who.as_str(), by.what.as_str(), by.why.as_str()), ("ann", "cancel", "as agreed"));
    assert_eq!(
        Record {
            cancel_requested: None,
            operator_log: vec![],
            updated_at_ms: order.updated_at_ms,
            ..record.clone()
        },
        order
    );
    let again = world.json(&["cancel", "ord-1", "--who", "bob", "--why", "likewise"]).await;
    assert_eq!(again["already_by"], "ann");
    assert_eq!(world.record("ord-1").await, record);
}

#[tokio::test]
async fn an_order_that_is_shipped_or_unknown_cannot_be_cancelled() {
    let world = World::new().await;
    world.put(&completed("ord-1")).await;
    world.put(&Record { step: "dispatch_shipment".into(), ..claimed("ord-2") }).await;
    for (id, status) in [("ord-1", "COMPLETED"), ("ord-2", "IN_PROGRESS at dispatch_shipment")] {
        let before = world.record(id).await;
        let run = world.run(&signed(&["cancel", id])).await;
        assert_eq!((run.code, run.out.as_str()), (1, ""));
        assert!(run.err.contains(status) && run.err.contains("before its shipment"), "{}", run.err);
        assert_eq!(world.record(id).await, before);
    }
    assert_eq!(world.run(&signed(&["cancel", "ord-3"])).await.code, 3);
}

#[tokio::test]
async fn nobody_changes_an_order_without_a_name() {
    let world = World::new().await;
    world.put(&Record { status: Status::InProgress, ..claimed("ord-1") }).await;
    let run = world.run(&["cancel", "ord-1", "--why", "as agreed"]).await;
    assert_eq!(run.code, 2);
    assert!(run.err.contains("--who"), "{}", run.err);
    let endpoint = format!("http://{}", world.address);
    let arguments = ["--endpoint", endpoint.as_str(), "cancel", "ord-1", "--why", "as agreed"];
    assert_eq!(super::run_in(&[("USER", "eve")], &arguments, "").await.code, 0);
    assert_eq!(world.record("ord-1").await.cancel_requested.as_deref(), Some("eve"));
}

#[tokio::test]
async fn a_parked_order_is_not_cancelled_but_turned_back() {
    let world = World::new().await;
    world.put(&parked("ord-1")).await;
    let run = world.run(&signed(&["cancel", "ord-1"])).await;
    assert!(run.code == 1 && run.err.contains("parked show ord-1"), "{run:?}");
    assert_eq!(world.record("ord-1").await, parked("ord-1"));
}
