//! Records of one batch beside one another.

use super::*;

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
