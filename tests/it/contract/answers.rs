//! Orders that run, and what their duplicates get.

use super::*;

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
    let quantities = reserved["quantities"].as_m().unwrap();
    assert_eq!((reserved.len(), quantities.len()), (1, 1));
    assert_eq!(quantities["mug"].as_n().unwrap(), "2");
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
