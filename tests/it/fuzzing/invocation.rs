//! The built function and payloads that are no events: it says so and stays alive.

use axum::body::Bytes;
use order_processor::local::function_host::{FunctionHost, InvokeError};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::Value;

use super::input::{changed_bytes, changed_json};
use super::{Reached, corpus, event, fuzz};
use crate::binary::running::Running;

const BRANCHES: [&str; 3] = ["handled", "some given back", "an error"];

#[test]
fn the_function_survives_any_payload() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let running = runtime.block_on(Running::start(|options| options.environments = 0));
    let host = runtime.block_on(async {
        let host = FunctionHost::start(running.function_options(1, &[]));
        host.ready().await.unwrap();
        host
    });
    let pid = host.environments()[0].pid;
    let check = |payload: &[u8], reached: &Reached| {
        let outcome = runtime.block_on(host.invoke(Bytes::copy_from_slice(payload)));
        prop_assert_eq!(host.environments()[0].pid, pid, "the process ended: {:?}", outcome);
        judge(payload, outcome, reached)
    };
    let files: Vec<Vec<u8>> = corpus("event").into_iter().map(|(_, bytes)| bytes).collect();
    let reached = Reached::default();
    for file in &files {
        check(file, &reached).unwrap();
    }
    let events = files.iter().filter_map(|bytes| serde_json::from_slice(bytes).ok()).collect();
    let names = &["Records", "messageId", "body", "attributes", "x"];
    let trees = changed_json(events, names, event::values()).prop_map(|json| json.to_string().into_bytes());
    fuzz(
        "invocation",
        200,
        &prop_oneof![changed_bytes(files), trees],
        &BRANCHES,
        reached,
        |payload, reached| check(&payload, reached),
    );
    runtime.block_on(async {
        host.shutdown().await;
        running.end().await;
    });
}

fn judge(payload: &[u8], outcome: Result<Bytes, InvokeError>, reached: &Reached) -> TestCaseResult {
    match outcome {
        Ok(response) => {
            let event: Value = serde_json::from_slice(payload).unwrap_or_default();
            let records = event["Records"].as_array().map_or(&[][..], Vec::as_slice);
            let response: Value = serde_json::from_slice(&response).unwrap();
            let failures = response["batchItemFailures"].as_array().unwrap();
            reached.count(if failures.is_empty() { "handled" } else { "some given back" });
            for failure in failures {
                let id = failure["itemIdentifier"].as_str().unwrap();
                let named = records.iter().any(|record| record["messageId"] == id);
                prop_assert!(named && !id.is_empty(), "given back, but not of the event: {:?}", id);
            }
        }
        Err(InvokeError::FunctionError(error)) => {
            reached.count("an error");
            prop_assert!(!error.contains("4242424242424242"), "quotes the event: {}", error);
        }
        Err(other) => prop_assert!(false, "{}", other),
    }
    Ok(())
}
