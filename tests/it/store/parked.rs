//! The number of orders that wait for a person.

use axum::body::Bytes;
use order_processor::local::connector::connector;
use serde_json::{Value, json};

use super::*;

#[tokio::test(start_paused = true)]
async fn an_order_is_counted_while_it_is_parked_after_every_write_of_the_protocol() {
    let table = Table::new().await;
    for (name, write) in every_write() {
        table.put(&write.after).await;
        let waits = u64::from(write.after.status == Status::Parked);
        assert_eq!(table.store.count_parked(PATIENCE).await.unwrap(), waits, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn orders_are_counted_whichever_way_they_went() {
    let table = Table::new().await;
    for (n, (status, step)) in
        [(Status::InProgress, CHARGE), (Status::InProgress, SHIP), (Status::Compensating, REFUND)]
            .into_iter()
            .enumerate()
    {
        let parked = protocol::park(&held(status, step), "unknown", "{the message}", NOW).after;
        table.put(&Record { pk: format!("ORDER#ord-{n}"), ..parked }).await;
        assert_eq!(table.store.count_parked(PATIENCE).await.unwrap(), n as u64 + 1);
    }
}

fn store_that_is_told(answer: impl Fn(&Value) -> (u16, Value) + Send + Sync + 'static) -> Store {
    let connector = connector(move |request: http::Request<Bytes>| {
        let (status, answer) = answer(&serde_json::from_slice(request.body()).unwrap());
        let response =
            http::Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
        let response = response.body(Bytes::from(answer.to_string())).unwrap();
        async move { Ok(response) }
    });
    let aws = EmbeddedAws::in_process(a_clock());
    Store::new(function::dynamodb_client(&aws.sdk_config(connector)), TABLE, Random::from_seed(1))
}

#[tokio::test(start_paused = true)]
async fn every_page_counts() {
    let store = store_that_is_told(|query| {
        let first = query["ExclusiveStartKey"].is_null();
        let more = json!({ "pk": { "S": "ORDER#ord-1" }, "parked_from": { "S": "IN_PROGRESS" } });
        let forward = query["ExpressionAttributeValues"][":from"]["S"] == "IN_PROGRESS";
        (
            200,
            match (forward, first) {
                (true, true) => json!({ "Count": 7, "ScannedCount": 7, "LastEvaluatedKey": more }),
                (true, false) => json!({ "Count": 2, "ScannedCount": 2 }),
                (false, _) => json!({ "Count": 1, "ScannedCount": 1 }),
            },
        )
    });
    assert_eq!(store.count_parked(PATIENCE).await.unwrap(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_does_not_answer_has_not_none() {
    let refusal = json!({ "__type": "com.amazonaws.dynamodb.v20120810#ValidationException", "message": "no such index" });
    let store = store_that_is_told(move |_| (400, refusal.clone()));
    let failed = store.count_parked(PATIENCE).await.unwrap_err();
    assert!(matches!(failed, StoreError::NotApplied(_)), "{failed:?}");
}
