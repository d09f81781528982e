//! The event handler, in a world of its own for each event.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use order_processor::budget::Budget;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;
use serde_json::{Map, Value, json};

use super::input::changed_json;
use super::{Reached, corpus, fuzz};
use crate::world::{SOURCE_ARN, World, order_json};

/// Every outcome that one event can have in a world where nothing else happens, and what comes of records without an ID.
const BRANCHES: [&str; 13] = [
    "completed",
    "conflict",
    "deferred",
    "duplicate",
    "future",
    "invalid",
    "parked",
    "rejected",
    "retry",
    "stale",
    "no event",
    "whole batch given back",
    "some given back",
];

#[test]
fn every_record_of_any_event_has_one_outcome_and_only_failed_ones_are_given_back() {
    let reached = Reached::default();
    let files = corpus("event");
    let events: Vec<Value> =
        files.iter().filter_map(|(_, bytes)| serde_json::from_slice(bytes).ok()).collect();
    let timeouts = [Duration::from_secs(10), Duration::ZERO];
    for (event, timeout) in events.iter().flat_map(|event| timeouts.map(|timeout| (event, timeout))) {
        check(event, timeout, &reached).unwrap_or_else(|error| panic!("{event}: {error}"));
    }
    let names = &[
        "messageId",
        "body",
        "attributes",
        "ApproximateReceiveCount",
        "MessageGroupId",
        "eventSourceARN",
        "x",
    ];
    let changed = (changed_json(events, names, values()), select(vec![10_000, 10_000, 10_000, 3000, 20, 0]));
    fuzz("event", 120, &changed, &BRANCHES, reached, |(event, millis), reached| {
        check(&event, Duration::from_millis(millis), reached)
    });
}

/// What may stand anywhere in an event.
pub fn values() -> Vec<Value> {
    let order = |path: &str, value: Value| {
        let mut order = order_json("ord-1");
        *order.pointer_mut(path).unwrap() = value;
        json!(order.to_string())
    };
    let mut values = vec![json!(null), json!({}), json!([]), json!(1), json!(""), json!("m1"), json!("m2")];
    values.extend(["1", "19", "20", "21", "4294967296", "-1", "a", "\u{0}", "é"].map(|text| json!(text)));
    values.extend(
        [SOURCE_ARN.to_owned(), format!("{SOURCE_ARN}.fifo"), "x".repeat(2000)].map(|text| json!(text)),
    );
    values.extend([
        json!(order_json("ord-1").to_string()),
        order("/order_id", json!("ord-2")),
        order("/currency", json!("EUR")),
        order("/currency", json!("eur")),
        order("/payment_method", json!("pm_card_declined")),
        order("/payment_method", json!("pm_card_unavailable")),
        order("/payment_method", json!("4242424242424242")),
        order("/items/0/quantity", json!(11)),
        order("/placed_at", json!("2020-01-01T00:00:00Z")),
        order("/placed_at", json!("2036-01-01T00:00:00Z")),
    ]);
    values
}

fn check(event: &Value, timeout: Duration, reached: &Reached) -> TestCaseResult {
    let Ok(event) = serde_json::from_value::<SqsEvent>(event.clone()) else {
        reached.count("no event");
        return Ok(());
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (response, log) = runtime.block_on(async {
        let world = World::new().await;
        let budget = Budget::until(world.clock.now() + timeout, world.clock.clone());
        let response = world.worker().handle(&event, &budget).await;
        (response, world.log_text())
    });
    let lines = log.lines().map(|line| serde_json::from_str::<Map<String, Value>>(line).unwrap());
    let lines: Vec<_> = lines.filter(|line| line["message"] == "record").collect();
    let id = |line: &Map<String, Value>| line["message_id"].as_str().unwrap_or_default().to_owned();
    let mut logged: Vec<String> = lines.iter().map(id).collect();
    let mut sent: Vec<_> =
        event.records.iter().map(|record| record.message_id.clone().unwrap_or_default()).collect();
    logged.sort();
    sent.sort();
    prop_assert_eq!(logged, sent, "one line for each record");
    for line in &lines {
        reached.count(line["outcome"].as_str().unwrap());
    }
    let failed: BTreeSet<String> = lines.iter().filter(|line| line["deleted"] == false).map(id).collect();
    let Ok(response) = response else {
        reached.count("whole batch given back");
        prop_assert!(failed.contains(""), "given back though all that failed have names: {:?}", failed);
        return Ok(());
    };
    let given_back: Vec<String> =
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    if !given_back.is_empty() {
        reached.count("some given back");
    }
    prop_assert!(!given_back.contains(&String::new()), "an empty message ID");
    prop_assert_eq!(&given_back, &Vec::from_iter(failed), "who failed is given back, once, and nobody else");
    Ok(())
}
