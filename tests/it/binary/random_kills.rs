//! `kill -9` at random moments under a queue of mixed orders, their duplicates and poison.

use std::cell::Cell;
use std::future::pending;
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt;
use order_processor::local::ledger::Sent;
use serde_json::{Value, json};

use super::running::{Running, STOCK, order, section, server_name};
use crate::evidence::thorough;

/// A kill comes so long after an invocation has begun, at most; a batch takes about as long.
const LATEST_KILL: Duration = Duration::from_millis(60);
/// What there is of the SKU that runs out.
const RARE: u64 = 5;

/// Orders that end in every way, some of them sent again.
fn bodies(random: &mut Rng, orders: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    for number in 0..orders {
        let mut order = order(&format!("ord-{number}"));
        let sku = if random.u8(..8) == 0 { "rare" } else { "mug" };
        order["items"] =
            json!([{ "sku": sku, "quantity": random.u32(1..=2), "unit_price": random.u32(0..5000) }]);
        let methods = ["pm_card_visa", "pm_card_visa", "pm_card_visa", "pm_card_declined"];
        order["payment_method"] = json!(random.choice(methods).unwrap());
        bodies.extend(std::iter::repeat_n(order.to_string(), random.usize(1..=2)));
    }
    random.shuffle(&mut bodies);
    bodies
}

/// Sends everything, and waits until it is done.
async fn send_all(running: &Running, bodies: Vec<String>) -> Vec<Sent> {
    let mut sent = Vec::new();
    for body in bodies {
        sent.push(Sent { message_id: running.send(&body).await, body });
    }
    running.queue_empty().await;
    sent
}

/// Kills until so many are dead, and counts them.
async fn kill_at_random(running: &Running, random: &mut Rng, kills: usize, killed: &Cell<usize>) {
    let latest = u64::try_from(LATEST_KILL.as_micros()).unwrap();
    while killed.get() < kills {
        running.stack.function().until(|status| status.busy).await;
        tokio::time::sleep(Duration::from_micros(random.u64(..latest))).await;
        if running.stack.kill_one().is_some() {
            killed.set(killed.get() + 1);
        }
    }
}

#[tokio::test]
async fn processes_killed_at_random_moments_lose_nothing_and_repeat_nothing() {
    let mut section = section("random", "killed at random moments");
    let (orders, kills) = if thorough() { (400, 40) } else { (60, 6) };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let mut running = Running::start(|_| {}).await;
    running.stock("rare", RARE).await;
    let bodies = bodies(&mut random, orders);
    let killed = Cell::new(0);
    let sent = tokio::select! {
        sent = send_all(&running, bodies) => sent,
        () = kill_at_random(&running, &mut random, kills, &killed).then(|()| pending()) => unreachable!(),
    };
    let messages = sent.len();
    let facts = running.books(sent).await;
    let takeovers: u64 = facts.records.iter().map(|record| record.attempts - 1).sum();
    section.line(format!(
        "seed {seed}: {orders} orders in {messages} messages, {} kills, {takeovers} takeovers, on {}; the ledger balances",
        killed.get(),
        server_name()
    ));
    section.end();
    let outcome = |outcome: &str| running.records().iter().any(|line: &Value| line["outcome"] == outcome);
    for reached in ["completed", "rejected", "duplicate"] {
        assert!(outcome(reached), "seed {seed}: never {reached}");
    }
    assert!(facts.stock_after["mug"] < STOCK && takeovers > 0, "seed {seed}");
    running.end().await;
}
