//! Why a transaction was cancelled, in the words of DynamoDB, which the embedded one cannot all say.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use order_processor::local::connector;
use serde_json::{Value, json};

use super::*;

/// A table whose next transaction is cancelled for these reasons: the order's, the cups', the mugs'.
async fn cancelled_for(reasons: Value) -> Table {
    let aws = EmbeddedAws::in_process(a_clock());
    let observer = crate::local_world::table(&aws.sdk_config(aws.connector())).await;
    let answer = Arc::new(Mutex::new(Some(reasons)));
    let (embedded, transaction) = (aws.clone(), "DynamoDB_20120810.TransactWriteItems");
    let connector = connector::connector(move |request| {
        let is_transaction = request.headers()["x-amz-target"] == transaction;
        let scripted = is_transaction.then(|| answer.lock().unwrap().take()).flatten();
        let embedded = embedded.clone();
        async move {
            match scripted {
                Some(reasons) => Ok(cancelled(&reasons)),
                None => Ok(embedded.answer(request).await),
            }
        }
    });
    let faults = Faults::none();
    let config =
        aws.sdk_config(faults.wrap(connector)).into_builder().retry_config(function::retries()).build();
    let store = Store::new(function::dynamodb_client(&config), TABLE, Random::from_seed(1));
    let table = Table { name: TABLE.to_owned(), store, faults, observer };
    table.stock("mug", 10).await;
    table.stock("cup", 10).await;
    table.put(&held(Status::InProgress, RESERVE)).await;
    table
}

fn cancelled(reasons: &Value) -> http::Response<Bytes> {
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": reasons,
    });
    http::Response::builder().status(400).body(Bytes::from(body.to_string())).unwrap()
}

fn stock(available: &str) -> Value {
    let item = json!({ "pk": { "S": "STOCK#cup" }, "available": { "N": available } });
    json!({ "Code": "ConditionalCheckFailed", "Item": item })
}

#[tokio::test(start_paused = true)]
async fn a_shortage_counts_only_if_the_condition_of_the_order_was_looked_at() {
    let table =
        cancelled_for(json!([{ "Code": "TransactionConflict" }, stock("1"), { "Code": "None" }])).await;
    let written = table.write(&reserve()).await.unwrap();
    assert_eq!(written, Written::Applied(Box::new(reserve().after)), "it was tried again");
    let log = table.faults.log();
    assert_eq!((log.len(), &log[0].body), (2, &log[1].body));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_the_order_counts_whatever_the_stock_says() {
    for stock in [stock("1"), json!({ "Code": "TransactionConflict" }), json!({ "Code": "ThrottlingError" })]
    {
        let table =
            cancelled_for(json!([{ "Code": "ConditionalCheckFailed" }, stock, { "Code": "None" }])).await;
        assert_eq!(table.write(&reserve()).await.unwrap(), Written::Refused(None));
        assert_eq!(table.requests(), ["TransactWriteItems"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shortage_beside_a_conflict_of_other_stock_is_a_shortage() {
    let conflict = json!({ "Code": "TransactionConflict" });
    let table = cancelled_for(json!([{ "Code": "None" }, stock("1"), conflict])).await;
    let Written::Short(shortage) = table.write(&reserve()).await.unwrap() else { panic!("not short") };
    assert_eq!((shortage.sku.as_str(), shortage.left), ("cup", Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_will_pass_is_tried_again() {
    for code in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
        let table = cancelled_for(json!([{ "Code": "None" }, { "Code": code }, { "Code": "None" }])).await;
        let written = table.write(&reserve()).await.unwrap();
        assert_eq!(written, Written::Applied(Box::new(reserve().after)), "{code}");
        assert_eq!(table.both().await, (8, 7));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_will_not_pass_is_not_tried_again() {
    let wrong =
        json!({ "Code": "ValidationError", "Message": "An operand in the update expression is wrong" });
    let table = cancelled_for(json!([{ "Code": "None" }, wrong, { "Code": "None" }])).await;
    let error = table.write(&reserve()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotApplied(_)), "{error}");
    assert!(error.to_string().contains("ValidationError"), "{error}");
    assert_eq!((table.requests().len(), table.both().await), (1, (10, 10)));
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_without_a_reason_is_looked_up() {
    let table = cancelled_for(json!([])).await;
    let error = table.write(&reserve()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown(_)), "{error}");
    assert_eq!(table.requests(), ["TransactWriteItems", "GetItem"]);
}
