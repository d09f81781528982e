//! A whole world in one process: the shipped code and the real SDK, an embedded DynamoDB and SQS, a payment
//! provider, faults in between, and a clock that the test owns.

mod logs;
pub mod warehouse;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_lambda_events::event::sqs::SqsEvent;
use aws_sdk_dynamodb as dynamodb;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs as sqs;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use futures_util::FutureExt;
use order_processor::batch::Batches;
use order_processor::budget::Budget;
use order_processor::clock::{Clock, UnixMillis};
use order_processor::config::{Config, PaymentConfig};
use order_processor::function;
use order_processor::local::aws::EmbeddedAws;
use order_processor::local::connector;
use order_processor::local::faults::{Fault, Faults};
use order_processor::local::payment_provider::PaymentProvider;
use order_processor::metrics::Metrics;
use order_processor::order::Order;
use order_processor::random::Random;
use order_processor::record::Record;
use order_processor::services;
use order_processor::services::payment::{Payment, Sandbox, Stripe, StripeKey};
use order_processor::workflow::Migration;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tracing::subscriber::DefaultGuard;

use crate::local_world::{TABLE, s, table};
use logs::Logs;
use warehouse::{AskForShipment, RefusingWarehouse};

/// 2026-11-24T01:00:01.123Z.
const START: UnixMillis = UnixMillis(1_795_482_001_123);
/// The function's timeout.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// The payment provider's API key that workers start with.
pub const API_KEY: &str = "sk_test_1";
/// Who sends all messages.
pub const SENDER: &str = "AIDAQEXAMPLEEXAMPLE01:shop";
pub const SOURCE_ARN: &str = "arn:aws:sqs:us-east-1:000000000000:orders";

pub struct World {
    pub faults: Faults,
    pub payments: PaymentProvider,
    pub clock: Clock,
    pub table: dynamodb::Client,
    pub sqs: sqs::Client,
    pub variables: BTreeMap<&'static str, String>,
    /// Where shipments are asked for, if not by a message to the warehouse's queue.
    pub warehouse: Option<RefusingWarehouse>,
    /// The payment provider's API key that a worker finds in the secret when it reads it again.
    pub secret: Option<&'static str>,
    /// The version of the function that its workers are.
    pub version: Option<String>,
    /// How the workflow of its workers came about.
    pub migrations: &'static [Migration],
    /// The chance that its workers draw from.
    pub chance: Random,
    aws: EmbeddedAws,
    logs: Logs,
    metrics: Arc<Mutex<Vec<String>>>,
    _logging: DefaultGuard,
}

/// One record of an event.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub body: String,
    pub receive_count: u32,
    pub group: Option<String>,
    pub arn: String,
    /// The X-Ray trace header, as SQS hands it on.
    pub trace: Option<String>,
}

/// What a batch came to.
#[derive(Debug)]
pub struct Outcome {
    /// The message IDs that are to be delivered again.
    pub failed: Vec<String>,
    /// The log line of each record, by message ID.
    pub lines: BTreeMap<String, Map<String, Value>>,
}

impl Outcome {
    /// The log field `outcome` of each record, in the order of their IDs.
    pub fn outcomes(&self) -> Vec<&str> {
        self.lines.values().map(|line| line["outcome"].as_str().unwrap()).collect()
    }

    pub fn result(&self, id: &str) -> &str {
        self.lines[id]["result"].as_str().unwrap_or_else(|| panic!("no result: {:?}", self.lines[id]))
    }
}

pub fn order_json(id: &str) -> Value {
    json!({
        "order_id": id,
        "customer_id": "cus-42",
        "placed_at": "2026-11-24T01:00:00Z",
        "currency": "USD",
        "items": [{ "sku": "mug", "quantity": 2, "unit_price": 1299 }],
        "payment_method": "pm_card_visa",
    })
}

pub fn message(id: &str, order: &Value) -> Message {
    raw(id, &order.to_string())
}

pub fn raw(id: &str, body: &str) -> Message {
    Message {
        id: id.into(),
        body: body.into(),
        receive_count: 1,
        group: None,
        arn: SOURCE_ARN.into(),
        trace: None,
    }
}

impl Message {
    pub fn received(mut self, receive_count: u32) -> Self {
        self.receive_count = receive_count;
        self
    }

    /// In a message group of a FIFO queue.
    pub fn in_fifo_group(mut self, group: &str) -> Self {
        self.group = Some(group.into());
        self.arn = format!("{SOURCE_ARN}.fifo");
        self
    }

    fn record(&self, receipt: &str) -> Value {
        let mut attributes = json!({
            "ApproximateReceiveCount": self.receive_count.to_string(),
            "SentTimestamp": START.0.to_string(),
            "SenderId": SENDER,
        });
        if let Some(group) = &self.group {
            attributes["MessageGroupId"] = json!(group);
        }
        if let Some(trace) = &self.trace {
            attributes["AWSTraceHeader"] = json!(trace);
        }
        json!({
            "messageId": self.id, "receiptHandle": receipt, "body": self.body, "attributes": attributes,
            "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs",
            "eventSourceARN": self.arn, "awsRegion": "us-east-1",
        })
    }
}

impl World {
    /// A world with ten mugs.
    pub async fn new() -> Self {
        let started = Instant::now();
        let clock = Clock::from_fn(move || START + started.elapsed());
        let aws = EmbeddedAws::in_process(clock.clone());
        let payments = PaymentProvider::new(clock.clone());
        let sdk = aws.sdk_config(aws.connector());
        let (table, sqs) = (table(&sdk).await, sqs::Client::new(&sdk));
        queue(&aws, "orders").await;
        let mut variables = BTreeMap::from([
            ("ORDERS_TABLE", TABLE.to_owned()),
            ("PAYMENT_PROVIDER", "stripe".to_owned()),
            ("STRIPE_API_KEY", API_KEY.to_owned()),
        ]);
        for (variable, name) in [
            ("DEAD_LETTER_QUEUE_URL", "orders-dlq"),
            ("WAREHOUSE_QUEUE_URL", "warehouse"),
            ("NOTIFICATIONS_QUEUE_URL", "notifications"),
        ] {
            variables.insert(variable, queue(&aws, name).await);
        }
        let (logs, logging) = Logs::capture();
        let world = World {
            faults: Faults::none(),
            payments,
            clock,
            table,
            sqs,
            variables,
            warehouse: None,
            secret: None,
            version: None,
            migrations: &[],
            chance: Random::from_system(),
            aws,
            logs,
            metrics: Arc::default(),
            _logging: logging,
        };
        world.stock("mug", 10).await;
        world
    }

    pub fn aws(&self) -> &EmbeddedAws {
        &self.aws
    }

    /// The same world with these faults between its workers and its services.
    pub fn under(self, faults: Faults) -> Self {
        World { faults, ..self }
    }

    /// A worker of its own: another environment of the function.
    pub fn worker(&self) -> Batches {
        self.worker_under(&self.faults)
    }

    /// A worker that these faults meet, and no others.
    pub fn worker_under(&self, faults: &Faults) -> Batches {
        let metrics = Arc::clone(&self.metrics);
        let output = move |line: &str| metrics.lock().unwrap().push(line.to_owned());
        let metrics = Metrics::new("order-processor", "test", output).of_version(self.version.clone());
        self.assembled(faults).measured_by(Some(metrics))
    }

    fn assembled(&self, faults: &Faults) -> Batches {
        let connector = faults.wrap(self.outside());
        let sdk = self.aws.sdk_config(connector.clone()).into_builder();
        let sdk = sdk.retry_config(function::retries()).build();
        let config = Config::read(&|name| self.variables.get(name).cloned()).unwrap();
        match config.payment {
            PaymentConfig::Sandbox => self.assembled_with(Sandbox, config, &sdk, connector),
            PaymentConfig::Stripe { .. } => {
                self.assembled_with(self.stripe(connector.clone()), config, &sdk, connector)
            }
        }
    }

    fn assembled_with<P: Payment>(
        &self,
        payment: P,
        config: Config,
        sdk: &SdkConfig,
        connector: SharedHttpConnector,
    ) -> Batches {
        let (clock, random) = (self.clock.clone(), self.chance.clone());
        if self.warehouse.is_none() && self.migrations.is_empty() {
            return function::assemble(config, sdk, payment, clock, random);
        }
        let connect = |reached: &services::World<P>| {
            let steps = services::connected(reached);
            let steps = match self.warehouse {
                Some(_) => steps.with(services::warehouse::STEP.name, AskForShipment(connector)),
                None => steps,
            };
            steps.migrated_by(self.migrations)
        };
        function::assemble_with(config, sdk, payment, connect, clock, random)
    }

    fn stripe(&self, connector: SharedHttpConnector) -> Stripe {
        let (base, key) = ("http://payments.invalid", StripeKey(API_KEY.to_owned()));
        match self.secret {
            Some(secret) => {
                let read = move || std::future::ready(Ok(StripeKey(secret.to_owned()))).boxed();
                Stripe::reading_again(connector, base, key, read)
            }
            None => Stripe::new(connector, base, key),
        }
    }

    /// Everything that a worker can reach.
    fn outside(&self) -> SharedHttpConnector {
        let (aws, payments, warehouse) = (self.aws.clone(), self.payments.clone(), self.warehouse.clone());
        connector::connector(move |request| {
            let (aws, payments, warehouse) = (aws.clone(), payments.clone(), warehouse.clone());
            async move {
                match (request.uri().path(), warehouse) {
                    (warehouse::PATH, Some(warehouse)) => Ok(warehouse.answer(request)),
                    (path, _) if path.starts_with("/v1/") => payments.answer(request).await,
                    _ => Ok(aws.answer(request).await),
                }
            }
        })
    }

    /// Delivers to a worker that these faults kill.
    pub async fn dies_under(&self, crashing: &Faults, messages: &[Message]) {
        let worker = self.worker_under(crashing);
        tokio::select! {
            _ = self.deliver_to(&worker, messages) => panic!("it should have crashed"),
            () = crashing.crashed() => {}
        }
    }

    pub async fn deliver(&self, messages: &[Message]) -> Outcome {
        self.deliver_to(&self.worker(), messages).await
    }

    pub async fn deliver_to(&self, worker: &Batches, messages: &[Message]) -> Outcome {
        self.deliver_within(worker, messages, TIMEOUT).await
    }

    pub async fn deliver_within(&self, worker: &Batches, messages: &[Message], timeout: Duration) -> Outcome {
        let before = self.logs.len();
        let event = self.event(messages);
        let budget = Budget::until(self.clock.now() + timeout, self.clock.clone());
        let started = Instant::now();
        let response = worker.handle(&event, &budget).await.unwrap();
        let frozen = self.faults.log().iter().any(|passage| passage.fault == Some(Fault::Freeze));
        assert!(frozen || started.elapsed() < timeout, "Lambda would have ended it: {:?}", started.elapsed());
        let failed =
            response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
        let lines = self.logs.since(before).into_iter().filter(|line| line["message"] == "record");
        let lines = lines.map(|line| (line["message_id"].as_str().unwrap().to_owned(), line)).collect();
        Outcome { failed, lines }
    }

    pub fn event(&self, messages: &[Message]) -> SqsEvent {
        let records: Vec<Value> = messages.iter().map(|message| message.record("receipt")).collect();
        serde_json::from_value(json!({ "Records": records })).unwrap()
    }

    pub async fn stock(&self, sku: &str, available: u64) {
        let item =
            json!({ "pk": { "S": format!("STOCK#{sku}") }, "available": { "N": available.to_string() } });
        self.ask("DynamoDB_20120810.PutItem", &json!({ "TableName": TABLE, "Item": item })).await;
    }

    pub async fn available(&self, sku: &str) -> u64 {
        let item = self.item(&format!("STOCK#{sku}")).await.expect("a stock item");
        item["available"].as_n().unwrap().parse().unwrap()
    }

    pub async fn item(&self, pk: &str) -> Option<std::collections::HashMap<String, AttributeValue>> {
        let request = self.table.get_item().table_name(TABLE).consistent_read(true).key("pk", s(pk));
        request.send().await.unwrap().item
    }

    pub async fn record(&self, id: &str) -> Option<Record> {
        self.item(&format!("ORDER#{id}")).await.map(|item| serde_dynamo::from_item(item).unwrap())
    }

    /// Puts a record as a test wants it.
    pub async fn put(&self, record: &Record) {
        let item = serde_dynamo::to_item(record).unwrap();
        self.table.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }

    /// One request to DynamoDB or SQS, without the SDK and without faults: a fraction of the time.
    pub async fn ask(&self, target: &str, body: &Value) -> Value {
        ask(&self.aws, target, body).await
    }

    /// What the queue behind `variable` has now, taken out.
    pub async fn drain(&self, variable: &str) -> Vec<sqs::types::Message> {
        let mut messages = Vec::new();
        loop {
            let request =
                self.sqs.receive_message().queue_url(&self.variables[variable]).max_number_of_messages(10);
            let request = request.message_attribute_names("All").visibility_timeout(3600);
            let some = request.send().await.unwrap().messages.unwrap_or_default();
            if some.is_empty() {
                return messages;
            }
            messages.extend(some);
        }
    }

    /// The lines of metrics of all workers.
    pub fn metrics(&self) -> Vec<String> {
        self.metrics.lock().unwrap().clone()
    }

    pub fn log_text(&self) -> String {
        self.logs.text()
    }

    /// The DynamoDB requests since request `number`.
    pub fn dynamodb_requests(&self, since: usize) -> Vec<String> {
        let log = self.faults.log().into_iter().skip(since).map(|passage| passage.operation);
        log.filter_map(|operation| operation.strip_prefix("DynamoDB ").map(str::to_owned)).collect()
    }
}

async fn ask(aws: &EmbeddedAws, target: &str, body: &Value) -> Value {
    let request = http::Request::post("/").header("x-amz-target", target);
    let answer = aws.answer(request.body(body.to_string().into()).unwrap()).await;
    assert!(answer.status().is_success(), "{target} {body}: {answer:?}");
    serde_json::from_slice(answer.body()).unwrap_or_default()
}

/// A new queue's URL.
async fn queue(aws: &EmbeddedAws, name: &str) -> String {
    let created = ask(aws, "AmazonSQS.CreateQueue", &json!({ "QueueName": name })).await;
    created["QueueUrl"].as_str().unwrap().to_owned()
}

/// An attribute of a message.
pub fn attribute<'m>(message: &'m sqs::types::Message, name: &str) -> Option<&'m str> {
    message.message_attributes()?.get(name)?.string_value()
}

pub fn fingerprint(order: &Value) -> String {
    Order::parse(&order.to_string()).unwrap().fingerprint().to_string()
}
