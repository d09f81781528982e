//! Every fault at every I/O of every path, one at a time: then the message is delivered again until the order is
//! finished, and the world is read. A new step joins by itself, because the I/Os are counted, not listed.

use std::collections::BTreeSet;
use std::time::Duration;

use order_processor::local::faults::{Fault, Faults, Landing, Passage};
use order_processor::record::{Record, Status};
use serde_json::{Value, json};

use crate::evidence::Section;
use crate::local_world::TABLE;
use crate::world::{Outcome, World, attribute, message, order_json};

/// Past every lease: the function's timeout and the grace, and a little.
const PAST_THE_LEASE: Duration = Duration::from_secs(20);
/// Deliveries within which one fault must be overcome.
const DELIVERIES: u32 = 5;

/// A path through the workflow, and how the world must be at its end.
#[derive(Clone, Copy)]
struct Path {
    name: &'static str,
    order: fn() -> Value,
    /// Somebody cancels while the first request of this operation is under way.
    cancelled_during: Option<&'static str>,
    status: Status,
    charges: usize,
    refunds: usize,
}

const PATHS: [Path; 7] = [
    Path {
        name: "happy",
        order: || order_json("ord-1"),
        cancelled_during: None,
        status: Status::Completed,
        charges: 1,
        refunds: 0,
    },
    Path {
        name: "free",
        order: || with("/items/0/unit_price", json!(0)),
        cancelled_during: None,
        status: Status::Completed,
        charges: 0,
        refunds: 0,
    },
    Path {
        name: "out of stock",
        order: || with("/items/0/quantity", json!(11)),
        cancelled_during: None,
        status: Status::Rejected,
        charges: 0,
        refunds: 0,
    },
    Path {
        name: "unknown SKU",
        order: || with("/items/0/sku", json!("cup")),
        cancelled_during: None,
        status: Status::Rejected,
        charges: 0,
        refunds: 0,
    },
    Path {
        name: "declined",
        order: || with("/payment_method", json!("pm_card_declined")),
        cancelled_during: None,
        status: Status::Rejected,
        charges: 0,
        refunds: 0,
    },
    Path {
        name: "cancelled before the reservation",
        order: || order_json("ord-1"),
        cancelled_during: Some("DynamoDB TransactWriteItems"),
        status: Status::Rejected,
        charges: 0,
        refunds: 0,
    },
    Path {
        name: "cancelled after the charge",
        order: || order_json("ord-1"),
        cancelled_during: Some("POST /v1/payment_intents"),
        status: Status::Rejected,
        charges: 1,
        refunds: 1,
    },
];

fn with(path: &str, value: Value) -> Value {
    let mut order = order_json("ord-1");
    *order.pointer_mut(path).unwrap() = value;
    order
}

/// A world in which somebody cancels at the moment the path says, and `plan` does the faults.
async fn world_for(path: &Path, mut plan: impl FnMut(&Passage) -> Option<Fault> + Send + 'static) -> World {
    let world = World::new().await;
    let (aws, mut cancel_at) = (world.aws().clone(), path.cancelled_during);
    let faults = Faults::planned_by(move |passage| {
        if cancel_at.is_some_and(|operation| operation == passage.operation) {
            cancel_at = None;
            let cancel = json!({
                "TableName": TABLE, "Key": { "pk": { "S": "ORDER#ord-1" } },
                "UpdateExpression": "SET cancel_requested = :who",
                "ExpressionAttributeValues": { ":who": { "S": "customer" } },
            });
            assert!(aws.dynamodb().answer("UpdateItem", cancel.to_string().as_bytes()).status().is_success());
        }
        plan(passage)
    });
    world.under(faults)
}

/// Delivers once; `None` if the worker died of it.
async fn deliver(world: &World, order: &Value, delivery: u32) -> Option<Outcome> {
    let (worker, messages) = (world.worker(), [message(&format!("m{delivery}"), order).received(delivery)]);
    tokio::select! {
        biased;
        () = world.faults.crashed() => None,
        outcome = world.deliver_to(&worker, &messages) => Some(outcome),
    }
}

/// Delivers until SQS would be told to delete the message.
async fn deliver_until_done(world: &World, order: &Value, from: u32, case: &str) {
    for delivery in from..from + DELIVERIES {
        let outcome = deliver(world, order, delivery).await;
        if outcome.is_some_and(|outcome| outcome.failed.is_empty()) {
            return;
        }
        world.faults.revive();
        tokio::time::advance(PAST_THE_LEASE).await;
    }
    panic!("{case}: not finished after {DELIVERIES} deliveries: {:?}", world.record("ord-1").await);
}

/// Reads the world: everything took effect once, or nothing is left.
async fn check(world: &World, path: &Path, case: &str) {
    let record = world.record("ord-1").await.unwrap_or_else(|| panic!("{case}: no record"));
    assert_eq!(record.status, path.status, "{case}");
    assert!(record.lease_until_ms.is_none() && record.expires_at.is_some(), "{case}: {record:?}");
    let ledger = world.payments.ledger();
    assert_eq!(ledger.charges_of("ord-1").len(), path.charges, "{case}: charges");
    assert_eq!(ledger.refunds_of("ord-1").len(), path.refunds, "{case}: refunds");
    let completed = path.status == Status::Completed;
    assert_eq!(world.available("mug").await, if completed { 8 } else { 10 }, "{case}: stock");
    told_once(world, "WAREHOUSE_QUEUE_URL", usize::from(completed), case).await;
    told_once(world, "NOTIFICATIONS_QUEUE_URL", 1, case).await;
    let again = world.deliver(&[message("again", &(path.order)())]).await;
    assert_eq!((again.outcomes(), again.failed.len()), (vec!["duplicate"], 0), "{case}");
    assert_eq!(Some(again.result("again")), record.result.as_deref(), "{case}");
    assert_eq!(world.record("ord-1").await, Some(record), "{case}: a finished record never changes");
}

async fn told_once(world: &World, queue: &str, times: usize, case: &str) {
    let messages = world.drain(queue).await;
    let keys: BTreeSet<_> =
        messages.iter().map(|message| attribute(message, "idempotency_key").unwrap()).collect();
    let contents: BTreeSet<_> = messages.iter().map(|message| message.body().unwrap()).collect();
    assert_eq!((keys.len(), contents.len()), (times, times), "{case}: {queue}: {contents:?}");
}

/// How many requests the path makes without a fault.
async fn requests(path: &Path) -> usize {
    let world = world_for(path, |_| None).await;
    deliver_until_done(&world, &(path.order)(), 1, path.name).await;
    let count = world.faults.log().len();
    check(&world, path, path.name).await;
    count
}

/// Every kind of fault, so that a new one joins by itself. Freezing has a test of its own.
fn faults() -> impl Iterator<Item = Fault> {
    let all = Fault::ALL.into_iter().filter(|fault| *fault != Fault::Freeze);
    all.chain([Fault::LandLate(Landing::OnRelease)])
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_at_any_request_the_order_takes_effect_once() {
    let mut section = Section::new("4-faults", "Every fault between any two I/Os");
    let mut cases = 0;
    for path in &PATHS {
        for number in 1..=requests(path).await {
            for fault in faults() {
                let case = format!("{}: {fault:?} at request {number}", path.name);
                let world = world_for(path, move |passage| (passage.number == number).then_some(fault)).await;
                deliver_until_done(&world, &(path.order)(), 1, &case).await;
                world.faults.settle().await;
                check(&world, path, &case).await;
                cases += 1;
            }
        }
    }
    section.line(format!("{cases} single faults on {} paths", PATHS.len()));
    section.end();
    assert!(cases > 300, "{cases}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_for_a_whole_delivery_is_overcome_by_the_next() {
    for path in &PATHS {
        for number in 1..=requests(path).await {
            for fault in [
                Fault::LoseRequest,
                Fault::LoseResponse,
                Fault::Hang,
                Fault::Throttle,
                Fault::TransactionConflict,
            ] {
                let case = format!("{}: {fault:?} from request {number} on", path.name);
                // The attempts of one request and the look that follows: more than any single write makes.
                let world = world_for(path, move |passage| {
                    (number..number + 6).contains(&passage.number).then_some(fault)
                })
                .await;
                deliver_until_done(&world, &(path.order)(), 1, &case).await;
                check(&world, path, &case).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_frozen_worker_that_wakes_after_its_lease_changes_nothing() {
    for path in &PATHS {
        for number in 1..=requests(path).await {
            let case = format!("{}: frozen at request {number}", path.name);
            let world =
                world_for(path, move |passage| (passage.number == number).then_some(Fault::Freeze)).await;
            let (order, zombie) = ((path.order)(), world.worker());
            let messages = [message("m1", &order)];
            let mut sleeping = Box::pin(world.deliver_to(&zombie, &messages));
            tokio::select! {
                biased;
                () = world.faults.frozen() => {}
                _ = &mut sleeping => panic!("{case}: it did not freeze"),
            }
            tokio::time::advance(PAST_THE_LEASE).await;
            let successor = world.worker_under(&Faults::none());
            let outcome = world.deliver_to(&successor, &[message("m2", &order).received(2)]).await;
            let finished = world.record("ord-1").await.filter(|_| outcome.failed.is_empty());
            world.faults.thaw();
            let woken = sleeping.await;
            if finished.is_some() {
                assert_eq!(world.record("ord-1").await, finished, "{case}: {woken:?}");
            }
            deliver_until_done(&world, &order, 3, &case).await;
            // Whoever was frozen before the moment of the cancellation has nobody who cancels.
            let completed = world.record("ord-1").await.unwrap().status == Status::Completed;
            let ended = if completed && path.cancelled_during.is_some() { &PATHS[0] } else { path };
            check(&world, ended, &case).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ten_workers_race_for_one_order_and_one_runs_it() {
    let world = World::new().await;
    let order = order_json("ord-1");
    let workers: Vec<_> = (0..10).map(|_| world.worker()).collect();
    let messages: Vec<_> = (0..10).map(|n| [message(&format!("m{n}"), &order)]).collect();
    let races = workers.iter().zip(&messages).map(|(worker, messages)| world.deliver_to(worker, messages));
    let outcomes = futures_util::future::join_all(races).await;
    let done = outcomes.iter().filter(|outcome| outcome.failed.is_empty()).count();
    assert!(done >= 1, "{outcomes:?}");
    check(&world, &PATHS[0], "race").await;
    assert_eq!(world.record("ord-1").await.unwrap().attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_refused_and_told_is_not_revived_by_new_stock() {
    let path = &PATHS[2];
    for number in 1..=requests(path).await {
        let case = format!("restocked after a crash after request {number}");
        let world =
            world_for(path, move |passage| (passage.number == number).then_some(Fault::CrashAfter)).await;
        let order = (path.order)();
        assert!(deliver(&world, &order, 1).await.is_none(), "{case}");
        let told = world.faults.log().iter().any(|passage| passage.operation == "SQS SendMessage");
        let before: Option<Record> = world.record("ord-1").await;
        world.faults.revive();
        world.stock("mug", 20).await;
        tokio::time::advance(PAST_THE_LEASE).await;
        deliver_until_done(&world, &order, 2, &case).await;
        let record = world.record("ord-1").await.unwrap();
        let refused_before = before.is_some_and(|before| before.status != Status::InProgress);
        assert!(!told || refused_before, "{case}: told before it was written down");
        let expected = if refused_before { Status::Rejected } else { Status::Completed };
        assert_eq!(record.status, expected, "{case}");
        told_once(&world, "NOTIFICATIONS_QUEUE_URL", 1, &case).await;
        assert_eq!(world.available("mug").await, if refused_before { 20 } else { 9 }, "{case}");
    }
}
