//! The embedded AWS as an AWS SDK sees it, in the process and over HTTP.

use aws_config::SdkConfig;
use aws_sdk_dynamodb as dynamodb;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};
use aws_sdk_sqs as sqs;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};

use crate::local_world::{TABLE, in_process, n, over_http, queue, s, table};

#[tokio::test]
async fn a_refused_put_returns_the_item_that_is_there() {
    for config in [in_process(), over_http().await.0] {
        let client = table(&config).await;
        claim(&client, "first").await.unwrap();
        let error = claim(&client, "second").await.unwrap_err().into_service_error();
        let dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(refused) = error
        else {
            panic!("not refused: {error:?}");
        };
        assert_eq!(refused.item.unwrap()["owner"], s("first"));
    }
}

#[tokio::test]
async fn a_cancelled_transaction_gives_a_reason_for_each_item_and_writes_nothing() {
    for config in [in_process(), over_http().await.0] {
        let client = table(&config).await;
        stock(&client, 1).await;
        let error = reserve(&client, "token-1", 2).await.unwrap_err().into_service_error();
        let dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
            cancelled,
        ) = error
        else {
            panic!("not cancelled: {error:?}");
        };
        let reasons = cancelled.cancellation_reasons.unwrap();
        assert_eq!(reasons[0].code.as_deref(), Some("ConditionalCheckFailed"));
        assert_eq!(reasons[0].item.as_ref().unwrap()["available"], n(1));
        assert_eq!(reasons[1].code.as_deref(), Some("None"));
        assert_eq!(available(&client).await, 1);
        assert!(order(&client).await.is_none());
    }
}

#[tokio::test]
async fn a_transaction_repeated_under_its_token_applies_once() {
    for config in [in_process(), over_http().await.0] {
        let client = table(&config).await;
        stock(&client, 5).await;
        reserve(&client, "token-1", 2).await.unwrap();
        reserve(&client, "token-1", 2).await.unwrap();
        assert_eq!(available(&client).await, 3);
        let error = reserve(&client, "token-1", 1).await.unwrap_err().into_service_error();
        assert_eq!(error.code(), Some("IdempotentParameterMismatchException"));
    }
}

#[tokio::test]
async fn an_unknown_table_is_an_error_with_a_code() {
    let client = dynamodb::Client::new(&in_process());
    let error = claim(&client, "me").await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ResourceNotFoundException"));
}

#[tokio::test]
async fn a_message_is_received_hidden_shown_again_and_deleted() {
    for config in [in_process(), over_http().await.0] {
        let client = sqs::Client::new(&config);
        let url = queue(&client, "orders", &[(QueueAttributeName::VisibilityTimeout, "600")]).await;
        client.send_message().queue_url(&url).message_body("order").send().await.unwrap();

        let first = receive(&client, &url).await.unwrap();
        assert_eq!(first.body.as_deref(), Some("order"));
        assert!(receive(&client, &url).await.is_none(), "hidden while in flight");

        let handle = first.receipt_handle.unwrap();
        client
            .change_message_visibility()
            .queue_url(&url)
            .receipt_handle(handle)
            .visibility_timeout(0)
            .send()
            .await
            .unwrap();
        let second = receive(&client, &url).await.unwrap();
        let count = &second.attributes.unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount];
        assert_eq!(count, "2");

        client
            .delete_message()
            .queue_url(&url)
            .receipt_handle(second.receipt_handle.unwrap())
            .send()
            .await
            .unwrap();
        assert!(receive(&client, &url).await.is_none());
    }
}

#[tokio::test]
async fn a_message_received_too_often_moves_to_the_dead_letter_queue() {
    for config in [in_process(), over_http().await.0] {
        let client = sqs::Client::new(&config);
        let dead = queue(&client, "orders-dlq", &[]).await;
        let policy =
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:orders-dlq","maxReceiveCount":2}"#;
        let attributes =
            [(QueueAttributeName::VisibilityTimeout, "0"), (QueueAttributeName::RedrivePolicy, policy)];
        let url = queue(&client, "orders", &attributes).await;
        client.send_message().queue_url(&url).message_body("poison").send().await.unwrap();

        assert!(receive(&client, &url).await.is_some());
        assert!(receive(&client, &url).await.is_some());
        assert!(receive(&client, &url).await.is_none());
        let moved = client.receive_message().queue_url(&dead).wait_time_seconds(5).send().await.unwrap();
        assert_eq!(moved.messages()[0].body.as_deref(), Some("poison"));
    }
}

#[tokio::test(start_paused = true)]
async fn visibility_ends_on_a_paused_clock() {
    let client = sqs::Client::new(&in_process());
    let url = queue(&client, "orders", &[(QueueAttributeName::VisibilityTimeout, "5")]).await;
    client.send_message().queue_url(&url).message_body("order").send().await.unwrap();
    let start = tokio::time::Instant::now();
    receive(&client, &url).await.unwrap();
    let again = client.receive_message().queue_url(&url).wait_time_seconds(20).send().await.unwrap();
    assert_eq!(again.messages().len(), 1);
    assert!(start.elapsed().as_secs() >= 5);
}

#[tokio::test]
async fn a_fifo_queue_keeps_the_order_of_a_group() {
    let client = sqs::Client::new(&in_process());
    let url = queue(&client, "orders.fifo", &[(QueueAttributeName::FifoQueue, "true")]).await;
    for body in ["1", "2"] {
        let send = client.send_message().queue_url(&url).message_body(body);
        send.message_group_id("g").message_deduplication_id(body).send().await.unwrap();
    }
    let first = receive(&client, &url).await.unwrap();
    assert_eq!(first.body.as_deref(), Some("1"));
    assert!(receive(&client, &url).await.is_none(), "the group waits for its first message");
    client
        .delete_message()
        .queue_url(&url)
        .receipt_handle(first.receipt_handle.unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(receive(&client, &url).await.unwrap().body.as_deref(), Some("2"));
}

#[tokio::test]
async fn queue_urls_name_the_endpoint_that_serves_them() {
    let (config, address) = over_http().await;
    let client = sqs::Client::new(&config);
    queue(&client, "orders", &[]).await;
    let found = client.get_queue_url().queue_name("orders").send().await.unwrap();
    assert_eq!(found.queue_url.unwrap(), format!("http://{address}/000000000000/orders"));
    let missing = client.get_queue_url().queue_name("none").send().await.unwrap_err().into_service_error();
    assert!(missing.is_queue_does_not_exist(), "{missing:?}");
}

#[tokio::test]
async fn a_request_for_another_service_is_refused() {
    let (config, _) = over_http().await;
    let client = aws_sdk_secretsmanager::Client::new(&config);
    let error = client.get_secret_value().secret_id("any").send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("UnknownOperationException"));
}

async fn claim(
    client: &dynamodb::Client,
    owner: &str,
) -> Result<(), dynamodb::error::SdkError<dynamodb::operation::put_item::PutItemError>> {
    client
        .put_item()
        .table_name(TABLE)
        .item("pk", s("ORDER#1"))
        .item("owner", s(owner))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await
        .map(drop)
}

async fn stock(client: &dynamodb::Client, available: u64) {
    let put = client.put_item().table_name(TABLE).item("pk", s("STOCK#mug")).item("available", n(available));
    put.send().await.unwrap();
}

async fn reserve(
    client: &dynamodb::Client,
    token: &str,
    quantity: u64,
) -> Result<(), dynamodb::error::SdkError<dynamodb::operation::transact_write_items::TransactWriteItemsError>>
{
    let stock = Update::builder()
        .table_name(TABLE)
        .key("pk", s("STOCK#mug"))
        .update_expression("SET available = available - :n")
        .condition_expression("available >= :n")
        .expression_attribute_values(":n", n(quantity))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let order = Put::builder().table_name(TABLE).item("pk", s("ORDER#1")).item("owner", s("me"));
    client
        .transact_write_items()
        .client_request_token(token)
        .transact_items(TransactWriteItem::builder().update(stock.build().unwrap()).build())
        .transact_items(TransactWriteItem::builder().put(order.build().unwrap()).build())
        .send()
        .await
        .map(drop)
}

async fn available(client: &dynamodb::Client) -> u64 {
    let item =
        client.get_item().table_name(TABLE).key("pk", s("STOCK#mug")).send().await.unwrap().item.unwrap();
    item["available"].as_n().unwrap().parse().unwrap()
}

async fn order(client: &dynamodb::Client) -> Option<dynamodb::types::AttributeValue> {
    let item = client.get_item().table_name(TABLE).key("pk", s("ORDER#1")).send().await.unwrap().item;
    item.map(|item| item["owner"].clone())
}

async fn receive(client: &sqs::Client, url: &str) -> Option<sqs::types::Message> {
    let request = client.receive_message().queue_url(url).max_number_of_messages(10);
    let received =
        request.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
    received.messages.unwrap_or_default().pop()
}

#[tokio::test]
async fn items_past_their_ttl_go_when_the_clock_says_so() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use order_processor::clock::{Clock, UnixMillis};
    use order_processor::local::aws::EmbeddedAws;

    let now = Arc::new(AtomicU64::new(1_795_482_000_000));
    let reading = Arc::clone(&now);
    let aws = EmbeddedAws::in_process(Clock::from_fn(move || UnixMillis(reading.load(Ordering::Relaxed))));
    let config: SdkConfig = aws.sdk_config(aws.connector());
    let client = table(&config).await;
    let put = client.put_item().table_name(TABLE).item("pk", s("ORDER#1")).item("owner", s("me"));
    put.item("expires_at", n(1_795_482_060)).send().await.unwrap();

    assert_eq!(aws.dynamodb().delete_expired(), 0);
    now.fetch_add(61_000, Ordering::Relaxed);
    assert_eq!(aws.dynamodb().delete_expired(), 1);
    assert!(order(&client).await.is_none());
}
