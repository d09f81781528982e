//! Another order under an ID that is taken.

use super::*;

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
