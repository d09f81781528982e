//! What a person states about a step, and what the workers then do.

use order_processor::local::payment_provider::Scripted;
use order_processor::protocol::{self, Statement};
use order_processor::services;

use super::*;

/// What `orderctl parked mark-not-done` and `resume` leave.
async fn stated_not_done(world: &World, id: &str) -> Record {
    let (parked, now) = (world.record(id).await.unwrap(), world.clock.now());
    let step = parked.step.clone();
    let marked =
        protocol::mark(&services::workflow(), &parked, &step, Statement::NotDone, now).unwrap().after;
    let resumed = protocol::resume(&marked, now).unwrap().expect("it is parked").after;
    world.put(&resumed).await;
    resumed
}

/// Stripe stores an error under the key of its request, and answers every repeat with it for a day.
#[tokio::test(start_paused = true)]
async fn a_step_that_a_person_states_not_done_is_called_under_a_new_key() {
    let world = World::new().await;
    let order = [message("m1", &order_json("ord-1"))];
    world.payments.answer_next("ord-1:charge_payment", Scripted::status(500).stored());
    world.deliver(&order).await;
    tokio::time::advance(Duration::from_secs(3600)).await;
    while world.record("ord-1").await.unwrap().status != Status::Parked {
        world.deliver(&[order[0].clone().received(20)]).await;
    }
    stated_not_done(&world, "ord-1").await;
    let outcome = world.deliver(&order).await;
    assert_eq!(outcome.outcomes(), ["completed"], "{:?}", outcome.lines);
    let ledger = world.payments.ledger();
    assert_eq!(ledger.charges_of("ord-1").len(), 1);
    assert_eq!(ledger.calls_under("ord-1:charge_payment:2"), 1);
    assert_eq!(
        world.record("ord-1").await.unwrap().key_generation,
        [("charge_payment".to_owned(), 2)].into()
    );
}
