//! A stack around the built function, with its table on the embedded DynamoDB or on a server of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb as dynamodb;
use aws_sdk_dynamodb::types::AttributeValue;
use order_processor::clock::{Clock, UnixMillis};
use order_processor::local::function_host::{FunctionOptions, OutputLine};
use order_processor::local::ledger::{self, Facts, Sent};
use order_processor::local::stack::{Stack, StackOptions};
use order_processor::record::Record;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::evidence::Section;
use crate::local_world::{n, s};

/// Far more than anything here takes; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at a queue.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What there is of each SKU, unless a test says otherwise.
pub const STOCK: u64 = 1000;

pub struct Running {
    pub stack: Stack,
    pub table: dynamodb::Client,
    pub table_name: String,
    /// The base URL of DynamoDB.
    pub table_endpoint: String,
    stock: BTreeMap<String, u64>,
    lines: watch::Sender<Vec<OutputLine>>,
}

pub fn function() -> PathBuf {
    env!("CARGO_BIN_EXE_order-processor").into()
}

/// The DynamoDB that these tests are to run on instead of the embedded one.
#[expect(clippy::disallowed_methods, reason = "the server to test on is named by the environment")]
pub fn server() -> Option<String> {
    std::env::var("BINARY_TEST_ENDPOINT").ok()
}

/// Where the table is, in words.
pub fn server_name() -> String {
    server().map_or_else(|| "the embedded DynamoDB".to_owned(), |url| format!("the DynamoDB at {url}"))
}

/// A section of the report, of a name for each server.
pub fn section(name: &str, title: &str) -> Section {
    let on = if server().is_some() { "-on-a-server" } else { "" };
    Section::new(format!("6-binary-{name}{on}").leak(), &format!("The built function, {title}"))
}

pub fn order(id: &str) -> Value {
    json!({
        "order_id": id, "customer_id": "cus-42", "placed_at": Clock::system().now().to_rfc3339(), "currency": "USD",
        "items": [{ "sku": "mug", "quantity": 2, "unit_price": 1299 }], "payment_method": "pm_card_visa",
    })
}

impl Running {
    pub async fn start(change: impl FnOnce(&mut StackOptions)) -> Self {
        let lines = watch::Sender::new(Vec::new());
        let mut options = StackOptions::new(function());
        options.output = append_to(&lines);
        options.visibility = Duration::from_secs(5);
        if server().is_some() {
            options.table_endpoint = server();
            options.table = format!("binary-{:016x}", fastrand::u64(..));
        }
        change(&mut options);
        let stack = Stack::start(options).await.unwrap();
        let table_endpoint = server().unwrap_or_else(|| format!("http://{}", stack.endpoint()));
        let (table, table_name) = (stack.dynamodb().clone(), stack.table().to_owned());
        let mut running = Running { stack, table, table_name, table_endpoint, stock: BTreeMap::new(), lines };
        running.stock("mug", STOCK).await;
        running
    }

    /// What there is of a SKU before the first order.
    pub async fn stock(&mut self, sku: &str, available: u64) {
        let item = self.table.put_item().table_name(&self.table_name).item("pk", s(&format!("STOCK#{sku}")));
        item.item("available", n(available)).send().await.unwrap();
        self.stock.insert(sku.to_owned(), available);
    }

    pub async fn item(&self, pk: &str) -> Option<HashMap<String, AttributeValue>> {
        let request = self.table.get_item().table_name(&self.table_name).key("pk", s(pk));
        request.consistent_read(true).send().await.unwrap().item
    }

    pub async fn record(&self, id: &str) -> Option<Record> {
        self.item(&format!("ORDER#{id}")).await.map(|item| serde_dynamo::from_item(item).unwrap())
    }

    /// The message ID.
    pub async fn send(&self, body: &str) -> String {
        let sqs = aws_sdk_sqs::Client::new(&self.stack.sdk_config());
        let request = sqs.send_message().queue_url(&self.stack.queues().orders).message_body(body);
        request.send().await.unwrap().message_id.unwrap()
    }

    /// Another function beside the stack's own, which no queue invokes. Its variables may be changed.
    pub fn function_options(&self, environments: usize, changes: &[(&str, &str)]) -> FunctionOptions {
        let mut variables = self.stack.variables().to_vec();
        variables.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), self.table_endpoint.clone()));
        variables.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        FunctionOptions {
            program: function(),
            arguments: Vec::new(),
            variables,
            environments,
            timeout: StackOptions::new(function()).timeout,
            clock: Clock::system(),
            output: append_to(&self.lines),
        }
    }

    /// The log lines of the records so far.
    pub fn records(&self) -> Vec<Value> {
        records(&self.lines.borrow())
    }

    /// The log lines so far that are meant.
    pub fn lines(&self, is_meant: impl Fn(&Value) -> bool) -> Vec<Value> {
        json_lines(&self.lines.borrow()).filter(|line| is_meant(line)).collect()
    }

    /// Waits until `count` records had a line in the log that says they are deleted.
    pub async fn deleted(&self, count: usize) -> Vec<Value> {
        let mut lines = self.lines.subscribe();
        let done = |lines: &Vec<OutputLine>| {
            records(lines).iter().filter(|line| line["deleted"] == true).count() >= count
        };
        let waited = tokio::time::timeout(PATIENCE, lines.wait_for(done)).await;
        let lines = waited.unwrap_or_else(|_| panic!("took too long: {:?}", self.lines.borrow())).unwrap();
        records(&lines)
    }

    /// Waits until a record had a line in the log that is meant.
    pub async fn said(&self, is_meant: impl Fn(&Value) -> bool) {
        let mut lines = self.lines.subscribe();
        let said = |lines: &Vec<OutputLine>| records(lines).iter().any(&is_meant);
        let waited = tokio::time::timeout(PATIENCE, lines.wait_for(said)).await;
        waited.unwrap_or_else(|_| panic!("never said: {:?}", self.lines.borrow())).unwrap();
    }

    /// Waits until the metrics of all processes have counted so many of `name`.
    pub async fn counted(&self, name: &str, count: u64) {
        let mut lines = self.lines.subscribe();
        let sum = |lines: &Vec<OutputLine>| {
            let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(&line.line).ok());
            lines
                .filter(|line| line.get("_aws").is_some())
                .filter_map(|line| line[name].as_u64())
                .sum::<u64>()
        };
        let waited = tokio::time::timeout(PATIENCE, lines.wait_for(|lines| sum(lines) == count)).await;
        waited.unwrap_or_else(|_| panic!("{name} is {}", sum(&self.lines.borrow()))).unwrap();
    }

    /// Waits until nobody owns the order any more.
    pub async fn lease_over(&self, id: &str) {
        while let Some(left) = self.lease_left(id).await {
            tokio::time::sleep(left).await;
        }
    }

    async fn lease_left(&self, id: &str) -> Option<Duration> {
        let until: UnixMillis = self.record(id).await?.lease_until_ms?;
        Some(until.since(Clock::system().now())).filter(|left| !left.is_zero())
    }

    /// Everything that `sent` came to, checked by the ledger, once the receivers have all there is.
    pub async fn books(&self, sent: Vec<Sent>) -> Facts {
        let facts = self.facts(sent).await;
        let violations: Vec<String> = ledger::check(&facts).iter().map(ToString::to_string).collect();
        assert!(violations.is_empty(), "{violations:#?}");
        facts
    }

    /// Everything that `sent` came to, once the receivers have all there is.
    pub async fn facts(&self, sent: Vec<Sent>) -> Facts {
        self.everything_received().await;
        let mut answers = BTreeMap::<String, std::collections::BTreeSet<String>>::new();
        for line in self.records() {
            if let (Some(id), Some(result)) = (line["order_id"].as_str(), line["result"].as_str()) {
                answers.entry(id.to_owned()).or_default().insert(result.to_owned());
            }
        }
        let (mut records, mut stock_after) = (Vec::new(), BTreeMap::new());
        for item in self.scan().await {
            match item["pk"].as_s().unwrap().strip_prefix("STOCK#") {
                Some(sku) => {
                    stock_after.insert(sku.to_owned(), item["available"].as_n().unwrap().parse().unwrap());
                }
                None => records.push(serde_dynamo::from_item(item).unwrap()),
            }
        }
        Facts {
            sent,
            out_of_window: BTreeSet::new(),
            records,
            payments: self.stack.payments().ledger(),
            shipments: self.stack.warehouse().deliveries(),
            notifications: self.stack.notifications().deliveries(),
            stock_before: self.stock.clone(),
            stock_stated: BTreeMap::new(),
            stock_after,
            answers,
            dead_letters: Vec::new(),
        }
    }

    /// Every item.
    pub async fn scan(&self) -> Vec<HashMap<String, AttributeValue>> {
        let scan = self.table.scan().table_name(&self.table_name).consistent_read(true);
        let items: Result<Vec<_>, _> = scan.into_paginator().items().send().collect().await;
        items.unwrap()
    }

    /// Waits until every order that was sent is deleted from the queue.
    pub async fn queue_empty(&self) {
        self.empty(&self.stack.queues().orders).await;
    }

    async fn everything_received(&self) {
        self.empty(&self.stack.queues().warehouse).await;
        self.empty(&self.stack.queues().notifications).await;
    }

    async fn empty(&self, queue: &str) {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let depth = self.stack.depth(queue).await.unwrap();
                if depth.visible + depth.in_flight + depth.delayed == 0 {
                    return;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{queue} is not empty after {PATIENCE:?}"));
    }

    pub async fn end(self) {
        self.stack.shutdown().await;
        if server().is_some() {
            self.table.delete_table().table_name(self.table_name).send().await.unwrap();
        }
    }
}

fn append_to(lines: &watch::Sender<Vec<OutputLine>>) -> Arc<dyn Fn(OutputLine) + Send + Sync> {
    let lines = lines.clone();
    Arc::new(move |line| lines.send_modify(|lines| lines.push(line)))
}

fn records(lines: &[OutputLine]) -> Vec<Value> {
    json_lines(lines).filter(|line| line["message"] == "record").collect()
}

fn json_lines(lines: &[OutputLine]) -> impl Iterator<Item = Value> {
    lines.iter().filter_map(|line| serde_json::from_str(&line.line).ok())
}
