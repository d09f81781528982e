//! The built function: a process of its own behind a Runtime API, and everything it calls over HTTP. DynamoDB is the
//! embedded one, or the server at `BINARY_TEST_ENDPOINT`.

mod descriptors;
mod freezes;
mod gate;
mod kills;
mod races;
mod random_kills;
pub mod running;
mod worker;

use std::collections::BTreeSet;
use std::process::Stdio;

use axum::body::Bytes;
use order_processor::clock::UnixMillis;
use order_processor::local::runtime_api::RuntimeApi;
use order_processor::record::Status;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::local_world::n;
use running::{PATIENCE, Running, function, order};

#[tokio::test]
async fn orders_and_their_duplicates_take_effect_once() {
    let running = Running::start(|_| {}).await;
    for copy in 0..3 {
        for id in 0..20 {
            running.send(&order(&format!("ord-{id}")).to_string()).await;
        }
        running.send(&format!("poison {copy}")).await;
    }
    let lines = running.deleted(63).await;
    let count = |outcome: &str| lines.iter().filter(|line| line["outcome"] == outcome).count();
    assert_eq!((count("completed"), count("duplicate"), count("invalid")), (20, 40, 3));
    for (name, count) in [("OrdersCompleted", 20), ("Duplicates", 40), ("Invalid", 3)] {
        running.counted(name, count).await;
    }
    for id in (0..20).map(|n| format!("ord-{n}")) {
        let results: BTreeSet<&str> = lines
            .iter()
            .filter(|line| line["order_id"] == json!(id))
            .filter_map(|line| line["result"].as_str())
            .collect();
        assert_eq!(results.len(), 1, "{id}: one answer");
        assert_eq!(running.stack.payments().ledger().charges_of(&id).len(), 1, "{id}");
    }
    assert_eq!(running.item("STOCK#mug").await.unwrap()["available"], n(960));
    let told = running.stack.notifications().until(|told| told.len() == 20).await;
    assert!(told.values().all(|told| told.bodies.len() == 1));
    running.end().await;
}

#[tokio::test]
async fn a_worker_killed_while_it_charges_is_succeeded_and_charges_once() {
    let running = Running::start(|options| options.environments = 1).await;
    let mut slow = order("ord-1");
    slow["payment_method"] = json!("pm_card_slow");
    running.send(&slow.to_string()).await;
    tokio::time::timeout(PATIENCE, async {
        while running.stack.payments().ledger().calls_under("ord-1:charge_payment") == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    running.stack.kill_one().expect("a process at work");
    let lines = running.deleted(1).await;
    assert_eq!(lines.last().unwrap()["outcome"], "completed");
    let record = running.record("ord-1").await.unwrap();
    assert_eq!((record.status, record.attempts), (Status::Completed, 2));
    assert_eq!(running.stack.payments().ledger().charges_of("ord-1").len(), 1);
    running.end().await;
}

/// The function as a process, with the environment of `stack` and these changes.
fn spawn(variables: &[(String, String)], changes: &[(&str, Option<&str>)]) -> Child {
    let mut command = Command::new(function());
    command.env_clear().envs(variables.iter().cloned());
    for (name, value) in changes {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

#[tokio::test]
async fn a_wrong_variable_stops_the_start_with_one_line_that_names_it() {
    for (name, value) in [
        ("ORDERS_TABLE", None),
        ("PAYMENT_PROVIDER", Some("paypal")),
        ("RETENTION_DAYS", Some("7")),
        ("WAREHOUSE_QUEUE_URL", Some("queue")),
    ] {
        let variables: Vec<(String, String)> = [
            ("ORDERS_TABLE", "orders"),
            ("PAYMENT_PROVIDER", "sandbox"),
            ("DEAD_LETTER_QUEUE_URL", "http://localhost:1/d"),
            ("WAREHOUSE_QUEUE_URL", "http://localhost:1/w"),
            ("NOTIFICATIONS_QUEUE_URL", "http://localhost:1/n"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let output = spawn(&variables, &[(name, value)]).wait_with_output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
        let named = if name == "RETENTION_DAYS" { "MAX_ORDER_AGE_DAYS: 21" } else { name };
        assert!(said.starts_with(named) && said.lines().count() == 1, "{said}");
    }
}

/// What Lambda sets, of version 12.
fn as_on_lambda(runtime_api: &str) -> [(&str, Option<&str>); 6] {
    [
        ("AWS_LAMBDA_RUNTIME_API", Some(runtime_api)),
        ("AWS_LAMBDA_FUNCTION_NAME", Some("order-processor")),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", Some("128")),
        ("AWS_LAMBDA_FUNCTION_VERSION", Some("12")),
        ("AWS_LAMBDA_LOG_GROUP_NAME", Some("x")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", Some("x")),
    ]
}

/// An event with one order.
fn batch_of(id: &str) -> Bytes {
    let event = json!({ "Records": [{
        "messageId": id, "receiptHandle": "r", "body": order(id).to_string(), "eventSource": "aws:sqs",
        "attributes": { "ApproximateReceiveCount": "1" }, "messageAttributes": {},
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:orders", "awsRegion": "us-east-1",
    }] });
    Bytes::from(event.to_string())
}

#[tokio::test]
async fn a_log_of_warnings_alone_has_every_metric_and_they_name_the_version() {
    let running = Running::start(|options| options.environments = 1).await;
    let mut runtime = RuntimeApi::start().await.unwrap();
    let address = runtime.address().to_string();
    let quiet = [("AWS_LAMBDA_LOG_LEVEL", Some("WARN"))];
    let changes = [&as_on_lambda(&address)[..], &quiet].concat();
    let mut child = spawn(&running.function_options(1, &[]).variables, &changes);
    runtime.initialized().await.unwrap();
    runtime.run(batch_of("ord-1"), UnixMillis(0)).await.unwrap();
    runtime.run(Bytes::from(r#"{"count":"parked"}"#), UnixMillis(0)).await.unwrap();
    child.start_kill().unwrap();
    let log = String::from_utf8(child.wait_with_output().await.unwrap().stdout).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["message"] != "record"), "{log}");
    let metrics: Vec<&Value> = lines.iter().filter(|line| line.get("_aws").is_some()).collect();
    let [version, batch, count] = metrics[..] else { panic!("a line of each: {log}") };
    assert_eq!((&version["Faults"], &version["version"]), (&json!(0), &json!("12")));
    assert_eq!((&batch["OrdersCompleted"], &count["ParkedOrders"]), (&json!(1), &json!(0)));
    running.end().await;
}

#[tokio::test]
async fn a_deadline_of_1970_is_no_deadline() {
    let running = Running::start(|options| options.environments = 1).await;
    let mut runtime = RuntimeApi::start().await.unwrap();
    let address = runtime.address().to_string();
    let child = spawn(&running.function_options(1, &[]).variables, &as_on_lambda(&address));
    runtime.initialized().await.unwrap();
    for id in ["ord-1", "ord-2"] {
        let response = runtime.run(batch_of(id), UnixMillis(0)).await.unwrap();
        let response: Value = serde_json::from_slice(&response).unwrap();
        assert_eq!(response, json!({ "batchItemFailures": [] }));
        assert_eq!(running.record(id).await.unwrap().status, Status::Completed);
    }
    let counted = runtime.run(Bytes::from(r#"{"count":"parked"}"#), UnixMillis(0)).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&counted).unwrap(), json!({ "parked": 0 }));
    for neither in [json!({ "count": "stock" }), json!({ "count": "parked", "Records": 1 }), json!({})] {
        let refused = runtime.run(Bytes::from(neither.to_string()), UnixMillis(0)).await.unwrap_err();
        assert!(String::from_utf8_lossy(&refused).contains("no SQS event"), "{refused:?}");
    }
    let odd = json!({ "Records": [{ "messageId": "m", "body": 4_242_424_242_424_242_u64 }] });
    let refused = runtime.run(Bytes::from(odd.to_string()), UnixMillis(0)).await.unwrap_err();
    assert!(String::from_utf8_lossy(&refused).contains("no SQS event"), "{refused:?}");
    let mut child = child;
    child.start_kill().unwrap();
    let output = child.wait_with_output().await.unwrap();
    let log = String::from_utf8(output.stdout).unwrap();
    assert!(!log.contains("4242424242424242"), "{log}");
    let said = log.lines().filter(|line| line.contains("the deadline of the invocation has passed"));
    let said: Vec<Value> = said.map(|line| serde_json::from_str(line).unwrap()).collect();
    let [said] = &said[..] else { panic!("once: {log}") };
    assert!(said["spans"][0]["name"] == "invocation" && said["spans"][0]["request_id"].is_string(), "{said}");
    running.end().await;
}
