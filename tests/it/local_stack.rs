//! The stack with a stand-in for the function: this test binary in the role of [`the_function`].

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs as sqs;
use aws_sdk_sqs::types::MessageAttributeValue;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use order_processor::local::receiver::KEY_ATTRIBUTE;
use order_processor::local::stack::{Stack, StackError, StackOptions, TABLE};
use serde_json::{Value, json};

use crate::local_world::{over_http, s};

/// Far more than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_function() {
    let variables: BTreeMap<String, String> = std::env::vars().collect();
    if variables.contains_key("AWS_LAMBDA_RUNTIME_API") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let variables = &variables;
        let handler =
            service_fn(
                move |event: LambdaEvent<Value>| async move { handle(variables, &event.payload).await },
            );
        runtime.block_on(lambda_runtime::run(handler)).unwrap();
    }
}

/// Notes each message in the table and tells the warehouse of it twice; what says "fail" is reported as failed,
/// and what says "sleep" is never done on the first delivery.
async fn handle(variables: &BTreeMap<String, String>, event: &Value) -> Result<Value, Error> {
    let config = order_processor::function::sdk_config(&order_processor::function::connector()).await;
    let (dynamodb, sqs) = (aws_sdk_dynamodb::Client::new(&config), sqs::Client::new(&config));
    let mut failures = Vec::new();
    for record in event["Records"].as_array().unwrap() {
        let body = record["body"].as_str().unwrap();
        if body == "sleep" && record["attributes"]["ApproximateReceiveCount"] == "1" {
            tokio::time::sleep(PATIENCE).await;
        }
        if body == "fail" {
            failures.push(json!({ "itemIdentifier": record["messageId"] }));
            continue;
        }
        let pk = s(&format!("ORDER#{body}"));
        dynamodb.put_item().table_name(&variables["ORDERS_TABLE"]).item("pk", pk).send().await?;
        let key =
            MessageAttributeValue::builder().data_type("String").string_value(format!("{body}:dispatch"));
        let key = key.build()?;
        for queue in ["WAREHOUSE_QUEUE_URL", "WAREHOUSE_QUEUE_URL", "NOTIFICATIONS_QUEUE_URL"] {
            let send = sqs.send_message().queue_url(&variables[queue]).message_body(format!("ship {body}"));
            send.message_attributes(KEY_ATTRIBUTE, key.clone()).send().await?;
        }
    }
    println!("{}", json!({ "outcome": "completed", "payment": variables["STRIPE_API_BASE"] }));
    Ok(json!({ "batchItemFailures": failures }))
}

fn options() -> StackOptions {
    let mut options = StackOptions::new(std::env::current_exe().unwrap());
    options.arguments = ["--exact", "local_stack::the_function", "--nocapture"].map(str::to_owned).into();
    options
}

async fn send(stack: &Stack, body: &str) {
    let client = sqs::Client::new(&stack.sdk_config());
    client.send_message().queue_url(&stack.queues().orders).message_body(body).send().await.unwrap();
}

async fn within_patience<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("took too long")
}

fn is_running(pid: u32) -> bool {
    std::fs::exists(format!("/proc/{pid}")).unwrap()
}

#[tokio::test]
async fn an_order_goes_from_the_queue_through_the_function_to_the_receivers() {
    let stack = Stack::start(options()).await.unwrap();
    send(&stack, "1").await;
    let shipped = within_patience(
        stack
            .warehouse()
            .until(|shipped| shipped.get("1:dispatch").is_some_and(|delivered| delivered.times == 2)),
    )
    .await;
    assert_eq!(shipped["1:dispatch"].bodies, ["ship 1"], "a repeat is told from a contradiction");
    within_patience(stack.notifications().until(|told| told.contains_key("1:dispatch"))).await;

    let dynamodb = aws_sdk_dynamodb::Client::new(&stack.sdk_config());
    let order = dynamodb.get_item().table_name(TABLE).key("pk", s("ORDER#1")).send().await.unwrap();
    assert!(order.item.is_some());
    let ttl = dynamodb.describe_time_to_live().table_name(TABLE).send().await.unwrap();
    let attribute = ttl.time_to_live_description.unwrap().attribute_name.unwrap();
    assert_eq!(attribute, "expires_at");

    let pids: Vec<u32> = stack.function().environments().iter().filter_map(|status| status.pid).collect();
    within_patience(stack.shutdown()).await;
    assert!(!pids.is_empty() && pids.into_iter().all(|pid| !is_running(pid)));
}

#[tokio::test]
async fn the_table_may_be_on_a_dynamodb_outside() {
    let (elsewhere, address) = over_http().await;
    let table = format!("orders-{}", fastrand::u16(..));
    let options =
        StackOptions { table_endpoint: Some(format!("http://{address}")), table: table.clone(), ..options() };
    let stack = Stack::start(options).await.unwrap();
    send(&stack, "1").await;
    within_patience(stack.notifications().until(|told| told.contains_key("1:dispatch"))).await;
    for (dynamodb, there) in [
        (aws_sdk_dynamodb::Client::new(&elsewhere), true),
        (aws_sdk_dynamodb::Client::new(&stack.sdk_config()), false),
    ] {
        let order = dynamodb.get_item().table_name(&table).key("pk", s("ORDER#1")).send().await;
        assert_eq!(order.is_ok_and(|order| order.item.is_some()), there);
    }
    assert_eq!(stack.table(), table);
    assert!(stack.dynamodb().describe_table().table_name(&table).send().await.is_ok());
    stack.shutdown().await;
}

#[tokio::test]
async fn an_order_that_keeps_failing_is_in_the_dead_letter_queue() {
    let mut options = options();
    (options.visibility, options.max_receive_count) = (Duration::from_secs(1), 2);
    let stack = Stack::start(options).await.unwrap();
    send(&stack, "fail").await;
    within_patience(async {
        while stack.depth(&stack.queues().orders_dlq).await.unwrap().visible == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(stack.progress().failed, 2);
    stack.shutdown().await;
}

#[tokio::test]
async fn an_order_whose_function_is_killed_is_delivered_again() {
    let mut options = options();
    options.visibility = Duration::from_secs(2);
    let stack = Stack::start(options).await.unwrap();
    send(&stack, "sleep").await;
    within_patience(stack.function().until(|status| status.busy)).await;
    let killed = stack.kill_one().unwrap();
    within_patience(stack.warehouse().until(|shipped| shipped.contains_key("sleep:dispatch"))).await;
    assert_eq!(stack.progress().failed_batches, 1);
    assert!(!is_running(killed));
    stack.shutdown().await;
}

#[tokio::test]
async fn the_function_writes_lines_and_knows_the_payment_provider() {
    let lines = tokio::sync::watch::Sender::new(Vec::new());
    let mut received = lines.subscribe();
    let mut options = options();
    options.output = std::sync::Arc::new(move |line| lines.send_modify(|lines| lines.push(line.line)));
    let stack = Stack::start(options).await.unwrap();
    send(&stack, "1").await;
    let payment = format!("http://{}", stack.payment_endpoint());
    let expected = json!({ "outcome": "completed", "payment": payment }).to_string();
    within_patience(received.wait_for(|lines| lines.contains(&expected))).await.unwrap();
    stack.shutdown().await;
}

#[tokio::test]
async fn a_taken_port_and_a_missing_function_are_told_apart() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = Stack::start(StackOptions { port, ..options() }).await;
    assert!(matches!(refused.err(), Some(StackError::Port { port: asked, .. }) if asked == port));
    let missing = Stack::start(StackOptions::new("/no/such/function".into())).await;
    assert!(matches!(missing.err(), Some(StackError::Function(_))));
}
