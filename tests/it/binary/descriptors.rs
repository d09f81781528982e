//! The built function where it may open few files: as on Lambda, where it is 1,024, with fewer orders.

use std::time::Duration;

use axum::body::Bytes;
use order_processor::local::function_host::{FunctionHost, FunctionOptions};
use serde_json::{Value, json};

use super::running::{Running, function, order};

const ORDERS: usize = 400;

/// An event of so many orders, paid by these methods in turn.
fn event(methods: &[&str]) -> Bytes {
    let records = (0..ORDERS).zip(methods.iter().cycle()).map(|(n, method)| {
        let id = format!("ord-{n}");
        let mut order = order(&id);
        order["payment_method"] = json!(method);
        json!({
            "messageId": id, "receiptHandle": "r", "body": order.to_string(), "eventSource": "aws:sqs",
            "attributes": { "ApproximateReceiveCount": "1" }, "messageAttributes": {},
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:orders", "awsRegion": "us-east-1",
        })
    });
    Bytes::from(json!({ "Records": records.collect::<Vec<_>>() }).to_string())
}

/// One environment of the function that may have so many files open, with time enough.
async fn limited(running: &mut Running, descriptors: u32, concurrency: &str) -> FunctionHost {
    running.stock("mug", 2 * ORDERS as u64).await;
    // The names differ, and so do the pools of connections.
    let sqs = format!("http://localhost:{}", running.stack.endpoint().port());
    let changes = [("ORDER_CONCURRENCY", concurrency), ("AWS_ENDPOINT_URL_SQS", &sqs)];
    let limited = format!("ulimit -n {descriptors}; exec \"$0\"");
    let host = FunctionHost::start(FunctionOptions {
        timeout: Duration::from_secs(60),
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), limited, function().to_str().unwrap().to_owned()],
        ..running.function_options(1, &changes)
    });
    host.ready().await.unwrap();
    host
}

async fn failed(host: &FunctionHost, event: Bytes) -> usize {
    let response: Value = serde_json::from_slice(&host.invoke(event).await.unwrap()).unwrap();
    response["batchItemFailures"].as_array().unwrap().len()
}

#[tokio::test]
async fn an_order_concurrency_beyond_the_descriptors_is_lowered_and_said_once() {
    let mut running = Running::start(|options| options.environments = 1).await;
    let host = limited(&mut running, 96, "1000").await;
    assert_eq!(failed(&host, event(&["pm_card_visa"])).await, 0, "given back");
    let said = running.lines(|line| line["variable"] == "ORDER_CONCURRENCY");
    let [said] = &said[..] else { panic!("once: {said:?}") };
    assert_eq!(
        (&said["level"], &said["asked"], &said["effective"]),
        (&json!("WARN"), &json!(1000), &json!(8))
    );
    running.end().await;
}

#[tokio::test]
async fn as_many_orders_as_fit_leave_room_for_what_is_said_of_those_that_fail() {
    let mut running = Running::start(|options| options.environments = 1).await;
    let host = limited(&mut running, 64 + 4 * 40, "40").await;
    let failed = failed(&host, event(&["pm_card_visa", "pm_card_unavailable"])).await;
    assert_eq!(failed, ORDERS / 2, "those alone whose provider is down");
    let cut = |line: &Value| line.to_string().contains("no connection") || !line["variable"].is_null();
    let cut = running.lines(cut);
    assert!(cut.is_empty(), "{cut:?}");
    running.end().await;
}
