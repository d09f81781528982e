//! Which table and queue a command means.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_sqs as sqs;
use axum::body::Bytes;
use order_processor::local::aws::{EmbeddedAws, sdk_config};
use order_processor::local::server;
use serde_json::json;
use tokio::net::TcpListener;

use super::{Run, World, run_in};
use crate::local_world::{a_clock, queue};

#[tokio::test]
async fn the_environment_names_endpoint_table_and_queue_and_options_come_first() {
    let world = World::new().await;
    let (endpoint, other) = (format!("http://{}", world.address), queue(&world.sqs, "others", &[]).await);
    let variables = [("AWS_ENDPOINT_URL", endpoint.as_str()), ("ORDERS_QUEUE_URL", other.as_str())];
    let sent = |run: Run| run.document()["queue_url"].as_str().map(str::to_owned);
    let by_environment = run_in(&variables, &["send", "--json"], "").await;
    assert_eq!(sent(by_environment).as_ref(), Some(&other));
    let options = ["send", "--json", "--queue-url", world.queue_url.as_str()];
    assert_eq!(sent(run_in(&variables, &options, "").await).as_ref(), Some(&world.queue_url));

    let variables = [("AWS_ENDPOINT_URL", endpoint.as_str()), ("ORDERS_TABLE", "nowhere")];
    assert!(run_in(&variables, &["list"], "").await.err.contains("nowhere"));
    assert_eq!(run_in(&variables, &["list", "--table", "orders"], "").await.code, 0);
}

/// A CloudFormation with one stack, and a Lambda with its mapping, in front of the world's other services.
pub async fn with_a_stack() -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (aws, enabled) = (EmbeddedAws::at(address, a_clock()), Arc::new(AtomicBool::new(true)));
    tokio::spawn(server::serve(listener, std::future::pending(), move |request| {
        let (aws, enabled) = (aws.clone(), Arc::clone(&enabled));
        async move {
            let is_dynamodb_or_sqs = request.headers().contains_key("x-amz-target");
            Ok(match request.uri().path() {
                _ if is_dynamodb_or_sqs => aws.answer(request).await,
                "/" => describe_stacks(&request),
                path if path.ends_with("/event-source-mappings/the-mapping") => mapping(&request, &enabled),
                _ => http::Response::builder().status(404).body(Bytes::new()).unwrap(),
            })
        }
    }));
    let config = sdk_config(address);
    queue(&sqs::Client::new(&config), "stack-orders", &[]).await;
    World::at(&config, address).await
}

/// What Lambda says of the mapping. It refuses what is not signed for it.
fn mapping(request: &http::Request<Bytes>, enabled: &AtomicBool) -> http::Response<Bytes> {
    let signature =
        request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !signature.contains("/us-east-1/lambda/aws4_request") {
        return http::Response::builder().status(403).body(Bytes::from_static(b"{}")).unwrap();
    }
    if request.method() == http::Method::PUT {
        let wanted: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        enabled.store(wanted["Enabled"].as_bool().unwrap(), Ordering::SeqCst);
    }
    let state = if enabled.load(Ordering::SeqCst) { "Enabled" } else { "Disabled" };
    http::Response::new(Bytes::from(json!({ "State": state, "BatchSize": 10 }).to_string()))
}

fn describe_stacks(request: &http::Request<Bytes>) -> http::Response<Bytes> {
    let body = String::from_utf8_lossy(request.body()).into_owned();
    if !body.contains("StackName=shop") {
        let error = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
            <Message>Stack with id other does not exist</Message></Error></ErrorResponse>";
        return http::Response::builder().status(400).body(Bytes::from_static(error.as_bytes())).unwrap();
    }
    let queue = format!("http://{}/000000000000/stack-orders", request.headers()["host"].to_str().unwrap());
    let output = |key: &str, value: &str| {
        format!("<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>")
    };
    let outputs = output("OrdersQueueUrl", &queue)
        + &output("OrdersTableName", "orders")
        + &output("EventSourceMappingId", "the-mapping");
    http::Response::new(Bytes::from(format!(
        "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>shop</StackName>\
         <CreationTime>2026-11-24T01:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>\
         <Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
    )))
}

#[tokio::test]
async fn a_stack_names_table_and_queue_whatever_the_environment_says() {
    let world = with_a_stack().await;
    let endpoint = format!("http://{}", world.address);
    let variables =
        [("ORDERS_TABLE", "nowhere"), ("ORDERS_QUEUE_URL", "http://127.0.0.1:1/000000000000/nowhere")];
    let target = ["--endpoint", endpoint.as_str(), "--stack", "shop", "--json"];
    let run = run_in(&variables, &[&target[..], &["send", "--order-id", "ord-1"]].concat(), "").await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.document()["queue_url"].as_str().unwrap().ends_with("/stack-orders"));
    let run = run_in(&variables, &[&target[..], &["list"]].concat(), "").await;
    assert_eq!(run.document(), json!({ "orders": [], "more": false }));
}

#[tokio::test]
async fn a_stack_that_is_not_there_is_exit_code_3() {
    let world = with_a_stack().await;
    let run = world.run(&["list", "--stack", "other", "--json"]).await;
    assert_eq!((run.code, &run.document()["error"]["kind"]), (3, &json!("not_found")));
    assert!(run.err.contains("other") && run.err.contains("make deploy"), "{}", run.err);
}
