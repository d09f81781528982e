//! `orderctl stock`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use order_processor::local::aws::{EmbeddedAws, sdk_config};
use order_processor::local::server::{self, ConnectionCut};
use serde_json::json;
use tokio::net::TcpListener;

use super::World;
use crate::local_world::a_clock;

impl World {
    async fn available(&self, sku: &str) -> u64 {
        self.json(&["stock", "get", sku]).await["available"].as_u64().unwrap()
    }
}

#[tokio::test]
async fn stock_is_set_added_to_taken_from_and_listed() {
    let world = World::new().await;
    assert_eq!(world.json(&["stock", "set", "mug", "10"]).await, json!({ "sku": "mug", "available": 10 }));
    assert_eq!(world.json(&["stock", "add", "mug", "5"]).await["available"], 15);
    assert_eq!(world.json(&["stock", "add", "mug", "-3"]).await["available"], 12);
    assert_eq!(world.json(&["stock", "add", "cap", "+4"]).await["available"], 4);
    assert_eq!(world.json(&["stock", "set", "mug", "7"]).await["available"], 7);
    let list = world.json(&["stock", "list"]).await;
    assert_eq!(list["stock"], json!([{ "sku": "cap", "available": 4 }, { "sku": "mug", "available": 7 }]));
}

#[tokio::test]
async fn stock_never_goes_below_zero() {
    let world = World::new().await;
    world.run(&["stock", "set", "mug", "2"]).await;
    let run = world.run(&["stock", "add", "mug", "-3"]).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("only 2") && run.err.contains("stock add mug -2"), "{}", run.err);
    assert_eq!(world.available("mug").await, 2);
}

#[tokio::test]
async fn a_sku_that_is_not_there_is_exit_code_3() {
    let world = World::new().await;
    for arguments in [&["stock", "get", "mug"][..], &["stock", "add", "mug", "-1"]] {
        let run = world.run(arguments).await;
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.err.contains(" stock list"), "{}", run.err);
    }
}

#[tokio::test]
async fn a_set_by_an_outdated_number_is_refused() {
    let world = World::new().await;
    world.run(&["stock", "set", "mug", "10"]).await;
    world.run(&["stock", "add", "mug", "-1"]).await;
    let run = world.run(&["stock", "set", "mug", "20", "--seen", "10"]).await;
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("10 were seen, 9 are there now") && run.err.contains("stock add"),
        "{}",
        run.err
    );
    assert_eq!(world.available("mug").await, 9);
}

/// Ten were seen and five counted, and five are left because five were reserved meanwhile: then none are.
#[tokio::test]
async fn a_set_to_the_number_that_reservations_have_left_is_refused_like_any_other() {
    let world = World::new().await;
    world.run(&["stock", "set", "mug", "10"]).await;
    world.run(&["stock", "add", "mug", "-5"]).await;
    let run = world.run(&["stock", "set", "mug", "5", "--seen", "10"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.err.contains("10 were seen, 5 are there now"), "{}", run.err);
}

/// A served AWS that does `meddle` once, when it is armed, with a request of this operation: before the answer is given, and
/// it may be kept.
async fn meddled(
    operation: &'static str,
    meddle: impl Fn(&EmbeddedAws) + Send + Sync + 'static,
    keeps_the_answer: bool,
) -> (World, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let aws = EmbeddedAws::at(address, a_clock());
    let armed = Arc::new(AtomicBool::new(false));
    let (trigger, meddle) = (Arc::clone(&armed), Arc::new(meddle));
    tokio::spawn(server::serve(listener, std::future::pending(), move |request| {
        let (aws, armed, meddle) = (aws.clone(), Arc::clone(&trigger), Arc::clone(&meddle));
        async move {
            let meant = request.headers()["x-amz-target"].to_str().unwrap().ends_with(operation);
            let answer = aws.answer(request).await;
            if meant && armed.swap(false, Ordering::Relaxed) {
                meddle(&aws);
                if keeps_the_answer {
                    return Err(ConnectionCut);
                }
            }
            Ok(answer)
        }
    }));
    (World::at(&sdk_config(address), address).await, armed)
}

fn reserve_four_mugs(aws: &EmbeddedAws) {
    let reservation = json!({
        "TableName": "orders", "Key": { "pk": { "S": "STOCK#mug" } },
        "UpdateExpression": "SET available = available - :n",
        "ExpressionAttributeValues": { ":n": { "N": "4" } },
    });
    let reserved = aws.dynamodb().answer("UpdateItem", reservation.to_string().as_bytes());
    assert!(reserved.status().is_success());
}

/// The reservation comes between the read and the write of `set`.
#[tokio::test]
async fn a_set_that_races_with_a_reservation_does_not_overwrite_it() {
    let (world, races) = meddled("GetItem", reserve_four_mugs, false).await;
    world.run(&["stock", "set", "mug", "10"]).await;
    races.store(true, Ordering::Relaxed);
    let run = world.run(&["stock", "set", "mug", "20"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.err.contains("10 were seen, 6 are there now"), "{}", run.err);
    assert_eq!(world.available("mug").await, 6);
}

/// The answer is lost, and four are reserved before the SDK repeats the request.
#[tokio::test]
async fn a_set_whose_answer_is_lost_knows_its_own_write_and_keeps_what_was_reserved_since() {
    let (world, loses) = meddled("UpdateItem", reserve_four_mugs, true).await;
    world.run(&["stock", "set", "mug", "10"]).await;
    loses.store(true, Ordering::Relaxed);
    let run = world.run(&["stock", "set", "mug", "20"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(world.available("mug").await, 16);
}
