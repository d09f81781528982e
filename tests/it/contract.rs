//! What each message gets: one test for each row of the contract, named after it.

mod answers;
mod batches;
mod conflicts;
mod dead_letters;
mod migrations;
mod providers;
mod retries;
mod statements;

use std::time::Duration;

use order_processor::clock::{UnixMillis, UnixSeconds};
use order_processor::local::faults::{Fault, Faults};
use order_processor::record::{Record, Status};
use serde_json::{Value, json};

use crate::world::{SENDER, World, attribute, fingerprint, message, order_json, raw};

/// A record as a worker left it that claimed the order and died.
async fn claimed(world: &World, id: &str, lease: Duration) -> Record {
    let crashing = Faults::on_first("DynamoDB TransactWriteItems", Fault::CrashBefore);
    let other = World::new().await;
    other.dies_under(&crashing, &[message("m0", &order_json(id))]).await;
    let record = other.record(id).await.unwrap();
    let record = Record { lease_until_ms: Some(world.clock.now() + lease), ..record };
    world.put(&record).await;
    record
}

fn visibility_changes(world: &World) -> Vec<u64> {
    let log = world.faults.log().into_iter();
    let changes = log.filter(|passage| passage.operation == "SQS ChangeMessageVisibility");
    changes
        .map(|passage| {
            serde_json::from_slice::<Value>(&passage.body).unwrap()["VisibilityTimeout"].as_u64().unwrap()
        })
        .collect()
}

fn other_order(id: &str) -> Value {
    let mut other = order_json(id);
    other["items"][0]["quantity"] = json!(1);
    other
}
