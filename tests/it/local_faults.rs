//! Faults as the SDK meets them: what it retries by itself, and what it leaves unknown.

use std::time::Duration;

use aws_sdk_dynamodb as dynamodb;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use order_processor::function;
use order_processor::local::aws::EmbeddedAws;
use order_processor::local::faults::{Fault, Faults, Landing};
use order_processor::local::payment_provider::PaymentProvider;

use crate::local_world::{TABLE, a_clock, n, queue, s, table};

/// A table with one stock item, reached through `faults`, and a second client that nothing happens to.
struct World {
    faulty: dynamodb::Client,
    observer: dynamodb::Client,
}

impl World {
    async fn with(faults: &Faults) -> World {
        let aws = EmbeddedAws::in_process(a_clock());
        let observer = table(&aws.sdk_config(aws.connector())).await;
        let stock = observer.put_item().table_name(TABLE).item("pk", s("STOCK#mug")).item("available", n(10));
        stock.send().await.unwrap();
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(1)).build();
        let config =
            aws.sdk_config(faults.wrap(aws.connector())).into_builder().timeout_config(timeouts).build();
        World { faulty: function::dynamodb_client(&config), observer }
    }

    async fn claim(&self) -> Result<(), dynamodb::Error> {
        let put = self.faulty.put_item().table_name(TABLE).item("pk", s("ORDER#1")).item("owner", s("me"));
        put.condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await?;
        Ok(())
    }

    async fn reserve(&self) -> Result<(), dynamodb::Error> {
        let stock = Update::builder()
            .table_name(TABLE)
            .key("pk", s("STOCK#mug"))
            .update_expression("SET available = available - :n")
            .expression_attribute_values(":n", n(2));
        let order = Put::builder().table_name(TABLE).item("pk", s("ORDER#1")).item("owner", s("me"));
        self.faulty
            .transact_write_items()
            .client_request_token("token")
            .transact_items(TransactWriteItem::builder().update(stock.build()?).build())
            .transact_items(TransactWriteItem::builder().put(order.build()?).build())
            .send()
            .await?;
        Ok(())
    }

    async fn claimed(&self) -> bool {
        let get = self.observer.get_item().table_name(TABLE).key("pk", s("ORDER#1"));
        get.send().await.unwrap().item.is_some()
    }

    async fn available(&self) -> String {
        let get = self.observer.get_item().table_name(TABLE).key("pk", s("STOCK#mug"));
        get.send().await.unwrap().item.unwrap()["available"].as_n().unwrap().clone()
    }
}

fn operations(faults: &Faults) -> Vec<String> {
    faults.log().into_iter().map(|passage| passage.operation).collect()
}

#[tokio::test(start_paused = true)]
async fn a_put_whose_response_is_lost_is_repeated_by_the_sdk_and_refused_with_our_own_item() {
    let faults = Faults::at(1, Fault::LoseResponse);
    let world = World::with(&faults).await;
    let dynamodb::Error::ConditionalCheckFailedException(refused) = world.claim().await.unwrap_err() else {
        panic!("not refused");
    };
    assert_eq!(refused.item.unwrap()["owner"], s("me"));
    assert_eq!(operations(&faults), ["DynamoDB PutItem", "DynamoDB PutItem"]);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_whose_response_is_lost_is_repeated_by_the_sdk_and_applied_once() {
    let faults = Faults::at(1, Fault::LoseResponse);
    let world = World::with(&faults).await;
    world.reserve().await.unwrap();
    assert_eq!(world.available().await, "8");
    assert_eq!(operations(&faults), ["DynamoDB TransactWriteItems", "DynamoDB TransactWriteItems"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_and_a_throttled_one_are_repeated_by_the_sdk() {
    for fault in [Fault::LoseRequest, Fault::Throttle, Fault::Hang] {
        let faults = Faults::at(1, fault);
        let world = World::with(&faults).await;
        world.claim().await.unwrap();
        assert_eq!(faults.log()[0].fault, Some(fault));
        assert_eq!(faults.log().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_without_end_is_reported_as_throttling() {
    let world = World::with(&Faults::planned_by(|_| Some(Fault::Throttle))).await;
    assert_eq!(world.claim().await.unwrap_err().code(), Some("ThrottlingException"));
    assert!(!world.claimed().await);
}

#[tokio::test(start_paused = true)]
async fn a_crash_before_a_request_leaves_nothing_behind_and_a_crash_after_it_does() {
    for (fault, applied) in [(Fault::CrashBefore, false), (Fault::CrashAfter, true)] {
        let faults = Faults::at(1, fault);
        let world = World::with(&faults).await;
        tokio::select! {
            result = world.claim() => panic!("a dead worker has a result: {result:?}"),
            () = faults.crashed() => {}
        }
        assert_eq!(world.claimed().await, applied);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_nothing_passes_until_the_next_worker() {
    let faults = Faults::at(1, Fault::CrashBefore);
    let world = World::with(&faults).await;
    tokio::select! {
        _ = world.claim() => panic!("a dead worker has a result"),
        () = faults.crashed() => {}
    }
    assert!(world.claim().await.is_err(), "timed out");
    assert!(!world.claimed().await);
    faults.revive();
    world.claim().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_late_write_lands_after_the_caller_gave_up() {
    for landing in [Landing::AfterGivingUp(Duration::from_secs(5)), Landing::OnRelease] {
        let faults = Faults::planned_by(move |_| Some(Fault::LandLate(landing)));
        let world = World::with(&faults).await;
        world.claim().await.unwrap_err();
        assert!(!world.claimed().await);
        faults.settle().await;
        assert!(world.claimed().await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_write_lands_right_before_the_request_of_its_number() {
    for landing in 2..=4 {
        let faults = Faults::at(1, Fault::LandLate(Landing::Before(landing)));
        let world = World::with(&faults).await;
        tokio::time::timeout(Duration::from_millis(10), world.claim()).await.unwrap_err();
        for number in 2..=4 {
            let get = world.faulty.get_item().table_name(TABLE).key("pk", s("ORDER#1"));
            let there = get.send().await.unwrap().item.is_some();
            assert_eq!(there, number >= landing, "request {number}, landing before {landing}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_and_a_freeze_are_those_of_one_process() {
    for fault in [Fault::CrashBefore, Fault::Freeze] {
        let aws = EmbeddedAws::in_process(a_clock());
        table(&aws.sdk_config(aws.connector())).await;
        let first = Faults::at(1, fault);
        let second = first.another_process();
        let [dead, alive] = [&first, &second]
            .map(|process| function::dynamodb_client(&aws.sdk_config(process.wrap(aws.connector()))));
        let read =
            |client: &dynamodb::Client| client.get_item().table_name(TABLE).key("pk", s("ORDER#1")).send();
        tokio::select! {
            _ = read(&dead) => panic!("{fault:?}: it has an answer"),
            () = first.crashed() => {}
            () = first.frozen() => {}
        }
        read(&alive).await.unwrap();
        assert_eq!(second.log().len(), 2, "one plan and one log");
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_cancels_a_transaction_and_refuses_a_write_but_no_read() {
    let faults = Faults::planned_by(|_| Some(Fault::TransactionConflict));
    let world = World::with(&faults).await;
    let dynamodb::Error::TransactionCanceledException(cancelled) = world.reserve().await.unwrap_err() else {
        panic!("not cancelled");
    };
    let codes: Vec<_> = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code()).collect();
    assert_eq!(codes, ["TransactionConflict", "TransactionConflict"]);
    assert_eq!(world.claim().await.unwrap_err().code(), Some("TransactionConflictException"));
    world.faulty.get_item().table_name(TABLE).key("pk", s("STOCK#mug")).send().await.unwrap();
    assert_eq!(faults.log().last().unwrap().fault, None);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_worker_goes_on_where_it_stopped() {
    let faults = Faults::at(1, Fault::Freeze);
    let world = World::with(&faults).await;
    let mut worker = Box::pin(world.claim());
    tokio::select! {
        _ = &mut worker => panic!("a frozen worker has a result"),
        () = faults.frozen() => {}
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(!world.claimed().await);
    faults.thaw();
    worker.await.unwrap();
    assert!(world.claimed().await);
}

#[tokio::test(start_paused = true)]
async fn sqs_calls_are_numbered_and_throttled_too() {
    let aws = EmbeddedAws::in_process(a_clock());
    let faults = Faults::on_first("SQS SendMessage", Fault::Throttle);
    let client = function::sqs_client(&aws.sdk_config(faults.wrap(aws.connector())));
    let url = queue(&client, "orders", &[]).await;
    client.send_message().queue_url(&url).message_body("order").send().await.unwrap();
    let passed: Vec<_> =
        faults.log().into_iter().map(|passage| (passage.number, passage.operation)).collect();
    let expected = [(1, "SQS CreateQueue"), (2, "SQS SendMessage"), (3, "SQS SendMessage")];
    assert_eq!(passed, expected.map(|(number, operation)| (number, operation.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn requests_to_aws_and_to_the_payment_provider_are_numbered_together() {
    let (aws, provider) = (EmbeddedAws::in_process(a_clock()), PaymentProvider::new(a_clock()));
    let faults = Faults::at(2, Fault::Throttle);
    let queues = function::sqs_client(&aws.sdk_config(faults.wrap(aws.connector())));
    let payments = faults.wrap(provider.connector());
    let charge = || {
        let mut request =
            HttpRequest::new(SdkBody::from("amount=1&currency=usd&payment_method=pm_card_visa"));
        request.set_method("POST").unwrap();
        request.set_uri("http://provider/v1/payment_intents").unwrap();
        request.headers_mut().insert("authorization", "Bearer sk_test_local");
        payments.call(request)
    };
    queue(&queues, "orders", &[]).await;
    assert_eq!(charge().await.unwrap().status().as_u16(), 429);
    assert!(provider.ledger().payments.is_empty(), "throttled, so not applied");
    assert_eq!(charge().await.unwrap().status().as_u16(), 200);
    let expected = ["SQS CreateQueue", "POST /v1/payment_intents", "POST /v1/payment_intents"];
    assert_eq!(operations(&faults), expected);
}
