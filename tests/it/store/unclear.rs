//! A write that landed without its writer knowing, and the order's way on from there.

use serde_json::{Value, json};

use super::*;
use crate::world::{World, message, order_json};

/// The write that begins the compensation loses its answer, and the SDK's repeats of it are throttled.
fn the_refusal_is_written_unknown_to_its_writer() -> Faults {
    let mut written = false;
    Faults::planned_by(move |passage| {
        let begins = passage.operation == "DynamoDB UpdateItem"
            && String::from_utf8_lossy(&passage.body).contains("payment_declined");
        let fault = if written { Fault::Throttle } else { Fault::LoseResponse };
        written |= begins;
        begins.then_some(fault)
    })
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_was_written_unknown_to_its_writer_is_never_parked_as_going_forward() {
    let world = World::new().await.under(the_refusal_is_written_unknown_to_its_writer());
    let mut declined = order_json("ord-1");
    declined["payment_method"] = json!("pm_card_declined");
    world.deliver(&[message("m1", &declined).received(20)]).await;

    let record = world.record("ord-1").await.unwrap();
    assert!(record.outcomes.refusal().is_some(), "it was written");
    let going_forward = [Some(record.status), record.parked_from].contains(&Some(Status::InProgress));
    assert!(!going_forward, "{record:?}");

    tokio::time::advance(Duration::from_secs(60)).await;
    let outcome = world.deliver(&[message("m2", &declined)]).await;
    assert_eq!(outcome.outcomes(), ["rejected"]);
    let result: Value = serde_json::from_str(outcome.result("m2")).unwrap();
    assert_eq!(result["reason"], "payment_declined");
    assert_eq!(world.available("mug").await, 10);
}
