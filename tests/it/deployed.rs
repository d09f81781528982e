//! The template as it is deployed on a server: messages in, then table, queues and dead letters are read.
//!
//! Run by `make test-stack`, `make test-dynamodb-local` and `make test-localstack`, which deploy the stack and set
//! the variables that are read here. Any other run leaves these tests out, and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_config::SdkConfig;
use order_processor::budget::Patience;
use order_processor::clock::Clock;
use order_processor::function;
use order_processor::random::Random;
use order_processor::record::{Record, Status};
use order_processor::store::{PARKED_FROM_ATTRIBUTE, Store};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::local_world::{n, s};
use crate::world::attribute;

/// A server's poller and a cold start, several times over.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(200);

struct Deployed {
    sdk: SdkConfig,
    table: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
    /// In every ID, so that tests share a stack without meeting.
    run: String,
}

#[expect(clippy::disallowed_methods, reason = "the stack to test is named by the environment")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this by `make test-stack`"))
}

impl Deployed {
    async fn connect() -> Self {
        variable("AWS_ENDPOINT_URL");
        let sdk = function::sdk_config(&function::connector()).await;
        let (table, sqs) = (aws_sdk_dynamodb::Client::new(&sdk), aws_sdk_sqs::Client::new(&sdk));
        Deployed { sdk, table, sqs, run: format!("{:x}", fastrand::u64(..)) }
    }

    fn id(&self, name: &str) -> String {
        format!("{name}-{}", self.run)
    }

    fn order(&self, name: &str, quantity: u32) -> Value {
        json!({
            "order_id": self.id(name), "customer_id": "cus-42", "placed_at": Clock::system().now().to_rfc3339(),
            "currency": "USD", "payment_method": "pm_card_visa",
            "items": [{ "sku": self.id("mug"), "quantity": quantity, "unit_price": 1299 }],
        })
    }

    async fn send(&self, body: &str) {
        let send = self.sqs.send_message().queue_url(variable("ORDERS_QUEUE_URL"));
        send.message_body(body).send().await.unwrap();
    }

    async fn stock(&self, available: u64) {
        let item =
            self.table.put_item().table_name(variable("ORDERS_TABLE")).item("pk", s(&self.stock_key()));
        item.item("available", n(available)).send().await.unwrap();
    }

    fn stock_key(&self) -> String {
        format!("STOCK#{}", self.id("mug"))
    }

    async fn item(
        &self,
        pk: &str,
    ) -> Option<std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>> {
        let get = self.table.get_item().table_name(variable("ORDERS_TABLE")).key("pk", s(pk));
        get.consistent_read(true).send().await.unwrap().item
    }

    async fn record(&self, name: &str) -> Option<Record> {
        let item = self.item(&format!("ORDER#{}", self.id(name))).await?;
        Some(serde_dynamo::from_item(item).unwrap())
    }

    async fn finished(&self, name: &str) -> Record {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match self.record(name).await {
                Some(record) if record.status.is_finished() => return record,
                other if Instant::now() > give_up => panic!("{name} is not finished: {other:?}"),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    async fn waiting(&self) -> u64 {
        use aws_sdk_sqs::types::QueueAttributeName as Name;
        let get = self.sqs.get_queue_attributes().queue_url(variable("ORDERS_QUEUE_URL"));
        let attributes = get.attribute_names(Name::All).send().await.unwrap().attributes.unwrap();
        let count = |name: Name| attributes.get(&name).map_or(0, |count| count.parse::<u64>().unwrap());
        count(Name::ApproximateNumberOfMessages) + count(Name::ApproximateNumberOfMessagesNotVisible)
    }

    async fn queue_is_empty(&self) {
        let give_up = Instant::now() + PATIENCE;
        while self.waiting().await > 0 {
            assert!(Instant::now() < give_up, "the queue does not become empty");
            tokio::time::sleep(POLL).await;
        }
    }

    /// The messages of this run in a queue, once there are `count`.
    async fn messages(&self, queue: &str, count: usize) -> Vec<aws_sdk_sqs::types::Message> {
        let give_up = Instant::now() + PATIENCE;
        let mut found: BTreeMap<String, aws_sdk_sqs::types::Message> = BTreeMap::new();
        while found.len() < count {
            assert!(Instant::now() < give_up, "{count} messages expected in {queue}: {found:?}");
            let receive = self.sqs.receive_message().queue_url(variable(queue)).max_number_of_messages(10);
            let receive = receive.message_attribute_names("All").visibility_timeout(1).wait_time_seconds(1);
            let received = receive.send().await.unwrap().messages.unwrap_or_default();
            let mine = received.into_iter().filter(|message| message.body().unwrap().contains(&self.run));
            found.extend(mine.map(|message| (message.message_id().unwrap().to_owned(), message)));
        }
        found.into_values().collect()
    }
}

#[tokio::test]
#[ignore = "needs a deployed stack: make test-stack"]
async fn orders_and_their_duplicates_take_effect_once_on_the_deployed_stack() {
    let stack = Deployed::connect().await;
    stack.stock(1000).await;
    for _ in 0..3 {
        for number in 0..5 {
            stack.send(&stack.order(&format!("ord-{number}"), 2).to_string()).await;
        }
    }
    let mut shipments = BTreeSet::new();
    for number in 0..5 {
        let record = stack.finished(&format!("ord-{number}")).await;
        assert_eq!((record.status, record.attempts), (Status::Completed, 1));
        let result: Value = serde_json::from_str(record.result.as_deref().unwrap()).unwrap();
        assert_eq!(result["total"], 2598);
        shipments.insert(result["shipment_id"].as_str().unwrap().to_owned());
        assert!(record.expires_at.is_some() && record.lease_until_ms.is_none());
    }
    stack.queue_is_empty().await;
    assert_eq!(shipments.len(), 5);
    assert_eq!(stack.item(&stack.stock_key()).await.unwrap()["available"], n(990));
    for (queue, step) in
        [("WAREHOUSE_QUEUE_URL", "dispatch_shipment"), ("NOTIFICATIONS_QUEUE_URL", "notify_customer")]
    {
        let messages = stack.messages(queue, 5).await;
        let keys: BTreeSet<_> =
            messages.iter().map(|message| attribute(message, "idempotency_key").unwrap()).collect();
        assert_eq!(keys.len(), 5, "{queue}");
        assert!(keys.iter().all(|key| key.ends_with(step)), "{keys:?}");
    }
}

#[tokio::test]
#[ignore = "needs a deployed stack: make test-stack"]
async fn conflicts_and_poison_are_dead_lettered_on_the_deployed_stack() {
    let stack = Deployed::connect().await;
    stack.stock(1000).await;
    stack.send(&stack.order("ord", 1).to_string()).await;
    let record = stack.finished("ord").await;
    stack.send(&stack.order("ord", 2).to_string()).await;
    stack.send(&format!("no order {}", stack.run)).await;
    let letters = stack.messages("DEAD_LETTER_QUEUE_URL", 2).await;
    let reasons: BTreeSet<_> = letters.iter().map(|letter| attribute(letter, "reason").unwrap()).collect();
    assert_eq!(reasons, BTreeSet::from(["conflict", "invalid"]));
    stack.queue_is_empty().await;
    assert_eq!(stack.record("ord").await, Some(record), "nothing is overwritten");
    assert_eq!(stack.item(&stack.stock_key()).await.unwrap()["available"], n(999));
}

#[tokio::test]
#[ignore = "needs a deployed stack: make test-stack"]
async fn an_order_without_stock_is_rejected_on_the_deployed_stack() {
    let stack = Deployed::connect().await;
    stack.stock(1).await;
    stack.send(&stack.order("ord", 2).to_string()).await;
    let record = stack.finished("ord").await;
    assert_eq!(record.status, Status::Rejected);
    assert!(record.result.unwrap().contains(r#""reason":"out_of_stock""#));
    assert_eq!(stack.item(&stack.stock_key()).await.unwrap()["available"], n(1));
    let told = stack.messages("NOTIFICATIONS_QUEUE_URL", 1).await;
    assert!(told[0].body().unwrap().contains("out_of_stock"));
}

#[tokio::test]
#[ignore = "needs a deployed stack: make test-stack"]
async fn the_table_of_the_deployed_stack_expires_records() {
    let stack = Deployed::connect().await;
    let described = aws_sdk_dynamodb::Client::new(&stack.sdk).describe_time_to_live();
    let described = described.table_name(variable("ORDERS_TABLE")).send().await.unwrap();
    let ttl = described.time_to_live_description.unwrap();
    // A server that does not set up the template's TTL has none at all; a wrong attribute is ours.
    println!("{ttl:?}");
    assert!(ttl.attribute_name.is_none_or(|name| name == order_processor::record::TTL_ATTRIBUTE));
}

#[tokio::test]
#[ignore = "needs a deployed stack: make test-stack"]
async fn parked_orders_are_counted_by_the_index_of_the_deployed_table() {
    let stack = Deployed::connect().await;
    let store =
        Store::new(function::dynamodb_client(&stack.sdk), variable("ORDERS_TABLE"), Random::from_system());
    let patience = Patience { attempt: Duration::from_secs(5), total: Duration::from_secs(15) };
    assert_eq!(store.count_parked(patience).await.unwrap(), 0);
    let key = s(&format!("ORDER#{}", stack.id("parked")));
    let put = stack.table.put_item().table_name(variable("ORDERS_TABLE")).item("pk", key.clone());
    put.item(PARKED_FROM_ATTRIBUTE, s("COMPENSATING")).send().await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while store.count_parked(patience).await.unwrap() != 1 {
        assert!(Instant::now() < deadline, "the index does not follow the table");
        tokio::time::sleep(POLL).await;
    }
    let delete = stack.table.delete_item().table_name(variable("ORDERS_TABLE")).key("pk", key);
    delete.send().await.unwrap();
}
