//! A function of 3 seconds whose services hang: the response is in time, and every record has its line.

use std::time::Duration;

use order_processor::local::faults::{Fault, Faults, Passage};

use crate::world::{World, message, order_json};

const SHORT: Duration = Duration::from_secs(3);

async fn hanging(from: usize, hangs: fn(&Passage) -> bool) {
    let faults =
        Faults::planned_by(move |passage| (passage.number >= from && hangs(passage)).then_some(Fault::Hang));
    let world = World::new().await.under(faults);
    let in_group = |n: usize| message(&format!("m{n}"), &order_json(&format!("ord-{n}"))).in_fifo_group("a");
    let alone = |n: usize| message(&format!("m{n}"), &order_json(&format!("ord-{n}")));
    let messages: Vec<_> = (0..4).map(in_group).chain((4..8).map(alone)).collect();
    // The world itself checks that the response comes before the deadline.
    let outcome = world.deliver_within(&world.worker(), &messages, SHORT).await;
    let names: Vec<&str> = outcome.lines.keys().map(String::as_str).collect();
    assert_eq!(names, ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7"], "from request {from}");
    for (id, line) in &outcome.lines {
        assert_eq!(line["deleted"] == false, outcome.failed.contains(id), "from request {from}: {line:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_hangs_the_response_is_in_time() {
    for from in 1..30 {
        hanging(from, |_| true).await;
        hanging(from, |passage| passage.operation.starts_with("DynamoDB")).await;
        hanging(from, |passage| passage.operation.starts_with("SQS")).await;
        hanging(from, |passage| passage.operation.starts_with("POST")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_hangs_is_tried_again_with_backoff_and_resumes() {
    let faults = Faults::planned_by(|passage| (2..8).contains(&passage.number).then_some(Fault::Hang));
    let world = World::new().await.under(faults);
    let messages = [message("m1", &order_json("ord-1"))];
    let outcome = world.deliver_within(&world.worker(), &messages, SHORT).await;
    assert_eq!(outcome.outcomes(), ["retry"]);
    tokio::time::advance(Duration::from_secs(20)).await;
    let mut deliveries = 0;
    while world.deliver(&messages).await.outcomes() != ["completed"] {
        deliveries += 1;
        assert!(deliveries < 3, "it must resume when nothing hangs any more");
    }
    assert_eq!(world.available("mug").await, 8);
}
