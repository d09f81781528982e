//! Many processes and one order at the same moment.

use futures_util::future::join_all;
use order_processor::local::ledger::Sent;
use serde_json::Value;

use super::gate::{CHARGE, Plan};
use super::running::{Running, order, section, server_name};
use super::worker::Worker;
use crate::evidence::thorough;

const PROCESSES: usize = 10;

/// All processes send their first request at the same moment. How many had to be delivered to again.
async fn race(running: &Running, id: &str) -> (usize, Sent) {
    let plan = Plan { gathered: Some(PROCESSES), ..Plan::default() };
    let worker = Worker::start(running, PROCESSES, &order(id), plan).await;
    let answered = join_all((0..PROCESSES).map(|_| worker.deliver(1))).await;
    let losers = answered.iter().filter(|done| **done != Ok(true)).count();
    assert!(losers < PROCESSES, "{id}: nobody ran it: {answered:?}");
    assert_eq!(worker.record().await.unwrap().attempts, 1, "{id}: one claim and no takeover");
    for _ in 0..losers {
        worker.deliver_until_done().await;
    }
    let charges = worker.gate.operations().iter().filter(|operation| *operation == CHARGE).count();
    assert_eq!(charges, 1, "{id}: one process charges");
    let sent = worker.sent();
    worker.host.shutdown().await;
    (losers, sent)
}

#[tokio::test]
async fn ten_processes_race_for_one_order_one_runs_it_and_all_get_its_answer() {
    let running = Running::start(|options| options.environments = 0).await;
    let mut section = section("races", "ten processes at one order");
    let (races, mut losers, mut sent) = (if thorough() { 10 } else { 2 }, 0, Vec::new());
    for number in 0..races {
        let (lost, message) = race(&running, &format!("race-{number}")).await;
        losers += lost;
        sent.push(message);
    }
    running.books(sent).await;
    let answered = |line: &&Value| line["result"].is_string();
    let answers = running.records().iter().filter(answered).count();
    assert_eq!(answers, races * PROCESSES, "each delivery ended with an answer");
    section.line(format!(
        "{races} races of {PROCESSES} processes, {losers} deliveries lost them and were answered later, on {}; the ledger balances",
        server_name()
    ));
    section.end();
    assert!(losers > 0, "nobody met anybody");
    running.end().await;
}
