//! What the shipped function asks for and says on each path.

use order_processor::local::faults::Passage;
use serde_json::{Value, json};

use crate::world::{Message, World, message, order_json, raw};

/// A path that messages take, all of a batch the same.
pub struct Path {
    pub name: &'static str,
    /// What became of the order before, if it is known.
    before: Option<fn(&str) -> Value>,
    then: fn(&str) -> Value,
    /// What the log must say of each.
    outcome: &'static str,
    /// Whether it is frequent enough to be priced.
    pub is_priced: bool,
    /// Whether the payment provider is asked: its answer is what takes long.
    asks_provider: bool,
    /// Whether there is one record more.
    pub leaves_record: bool,
}

/// `ORDER_CONCURRENCY` by default.
const ORDERS_AT_A_TIME: usize = 64;

impl Path {
    /// How often a batch waits for the payment provider.
    pub fn rounds(&self, batch: usize) -> usize {
        if self.asks_provider { batch.div_ceil(ORDERS_AT_A_TIME) } else { 0 }
    }
}

const COMPLETED: Path = Path {
    name: "completed",
    before: None,
    then: order_json_of,
    outcome: "completed",
    is_priced: true,
    asks_provider: true,
    leaves_record: true,
};
const DUPLICATE: Path = Path {
    name: "duplicate",
    before: Some(order_json_of),
    outcome: "duplicate",
    asks_provider: false,
    leaves_record: false,
    ..COMPLETED
};
const REJECTED: Path = Path { name: "", outcome: "rejected", is_priced: false, ..COMPLETED };

pub const PATHS: [Path; 6] = [
    COMPLETED,
    DUPLICATE,
    Path { name: "rejected: payment declined", then: declined, ..REJECTED },
    Path { name: "rejected: out of stock", then: too_many, asks_provider: false, ..REJECTED },
    Path { name: "conflict", then: other, outcome: "conflict", is_priced: false, ..DUPLICATE },
    Path { name: "invalid", before: None, then: invalid, outcome: "invalid", is_priced: false, ..DUPLICATE },
];

fn order_json_of(id: &str) -> Value {
    order_json(id)
}

fn declined(id: &str) -> Value {
    let mut order = order_json(id);
    order["payment_method"] = json!("pm_card_declined");
    order
}

fn too_many(id: &str) -> Value {
    let mut order = order_json(id);
    order["items"][0]["quantity"] = json!(10_000);
    order
}

fn other(id: &str) -> Value {
    let mut order = order_json(id);
    order["currency"] = json!("EUR");
    order
}

fn invalid(id: &str) -> Value {
    let mut order = order_json(id);
    order["currency"] = json!("euro");
    order
}

/// What messages took.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    pub write_units: f64,
    pub read_units: f64,
    /// Requests that the function itself sends to SQS.
    pub sqs_requests: f64,
    /// Bytes of the lines that tell of records.
    pub record_bytes: f64,
    /// Bytes of the lines of metrics.
    pub metric_bytes: f64,
    pub lines: f64,
}

impl Usage {
    /// One message's part.
    pub fn each(self, messages: usize) -> Usage {
        let part = 1.0 / count(messages);
        Usage {
            write_units: self.write_units * part,
            read_units: self.read_units * part,
            sqs_requests: self.sqs_requests * part,
            record_bytes: self.record_bytes * part,
            metric_bytes: self.metric_bytes * part,
            lines: self.lines * part,
        }
    }
}

/// Stock for every batch here.
const PLENTY: u64 = 5000;

/// What one batch takes in an environment that has worked before.
pub async fn of(path: &Path, batch: usize) -> Usage {
    let mut world = World::new().await;
    world.version = Some("17".to_owned());
    world.stock("mug", PLENTY).await;
    let worker = world.worker();
    world.deliver_to(&worker, &[message(&message_id(0), &order_json("first"))]).await;
    if let Some(before) = path.before {
        world.deliver_to(&worker, &messages(batch, 1, before)).await;
    }
    let (requests, said, told) = (world.faults.log().len(), world.log_text().len(), world.metrics().len());
    let outcome = world.deliver_to(&worker, &messages(batch, 1 + batch, path.then)).await;
    assert!(outcome.outcomes().iter().all(|outcome| *outcome == path.outcome), "{}: {outcome:?}", path.name);
    let lines = world.log_text()[said..].to_owned();
    let lines: Vec<&str> = lines.lines().filter(|line| !line.contains(r#""level":"DEBUG""#)).collect();
    let metrics = &world.metrics()[told..];
    let log = world.faults.log();
    let operations = log[requests..].iter().map(|passage| passage.operation.as_str());
    Usage {
        write_units: count(log[requests..].iter().map(write_units).sum()),
        read_units: count(operations.clone().filter(|operation| *operation == "DynamoDB GetItem").count()),
        sqs_requests: count(operations.filter(|operation| operation.starts_with("SQS ")).count()),
        record_bytes: count(lines.iter().map(|line| bytes(line)).sum()),
        metric_bytes: count(metrics.iter().map(String::len).sum()),
        lines: count(lines.len() + metrics.len()),
    }
}

/// Of a line with its end; its moment to the nanosecond, whose last zeros are left out.
fn bytes(line: &str) -> usize {
    const MOMENT: usize = "2026-11-24T01:00:01.123456789Z".len();
    let said: Value = serde_json::from_str(line).unwrap();
    line.len() - said["timestamp"].as_str().unwrap().len() + MOMENT + 1
}

#[expect(clippy::cast_precision_loss, reason = "bytes and requests of a batch")]
pub fn count(number: usize) -> f64 {
    number as f64
}

/// What DynamoDB charges for a request that writes items of up to 1 KB, refused or not
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>).
fn write_units(passage: &Passage) -> usize {
    match passage.operation.as_str() {
        "DynamoDB PutItem" | "DynamoDB UpdateItem" => 1,
        "DynamoDB TransactWriteItems" => {
            let request: Value = serde_json::from_slice(&passage.body).unwrap();
            2 * request["TransactItems"].as_array().unwrap().len()
        }
        other => {
            assert!(
                !other.starts_with("DynamoDB ") || other == "DynamoDB GetItem",
                "what does {other} cost?"
            );
            0
        }
    }
}

fn messages(batch: usize, first: usize, body: fn(&str) -> Value) -> Vec<Message> {
    let one =
        |number: usize| raw(&message_id(first + number), &body(&format!("ord-{number:012}")).to_string());
    (0..batch).map(one).collect()
}

/// As long as SQS's.
fn message_id(number: usize) -> String {
    format!("5fea7756-0ea4-451a-a703-{number:012}")
}
