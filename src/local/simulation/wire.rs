//! The other end of a worker's connections: DynamoDB, the payment provider, and queues that keep what they get.
//!
//! The queues are kept here and not by the embedded SQS, whose message IDs and times are the machine's. Every applied
//! write is shown to the history before anything else happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use axum::body::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::chance::between;
use super::codes;
use super::world::World;
use crate::local::connector;
use crate::local::dynamodb;
use crate::local::ledger::Change;
use crate::local::receiver::{Deliveries, KEY_ATTRIBUTE};
use crate::local::server::Answer;
use crate::local::sqs;
use crate::local::stack::TABLE;
use crate::record::{Record, Status};

pub(super) const SOURCE_ARN: &str = "arn:aws:sqs:us-east-1:000000000000:orders";
/// The queues' URLs are this and a name.
pub(super) const QUEUES: &str = "http://queues.invalid/";
/// Where the payment provider is.
pub(super) const PAYMENTS: &str = "http://payments.invalid";

/// From a request to its effect, and from there to the answer, at most.
const WAY: Duration = Duration::from_millis(12);

/// The connector of the environment `name`. Requests take a little time, so that workers meet.
pub(super) fn connector(world: &Arc<World>, name: &str) -> SharedHttpConnector {
    let (world, name) = (Arc::clone(world), name.to_owned());
    let sequence = std::sync::atomic::AtomicU64::new(0);
    connector::connector(move |request| {
        let number = sequence.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut random = world.chance.of("way", &format!("{name}/{number}"));
        let world = Arc::clone(&world);
        async move {
            tokio::time::sleep(between(&mut random, Duration::from_millis(1), WAY)).await;
            let answer = answer(&world, request).await;
            tokio::time::sleep(between(&mut random, Duration::from_millis(1), WAY)).await;
            answer
        }
    })
}

/// The connector of people: at once.
pub(super) fn direct(world: &Arc<World>) -> SharedHttpConnector {
    let world = Arc::clone(world);
    connector::connector(move |request| {
        let world = Arc::clone(&world);
        async move { answer(&world, request).await }
    })
}

async fn answer(world: &Arc<World>, mut request: http::Request<Bytes>) -> Answer {
    if let Some(tamper) = &world.plan.tamper {
        (tamper.0)(&mut request);
    }
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    let target = target.unwrap_or_default().to_owned();
    if let Some(operation) = target.strip_prefix(dynamodb::TARGET_PREFIX) {
        return Ok(world.table(operation, request.body()));
    }
    if let Some(operation) = target.strip_prefix(sqs::TARGET_PREFIX) {
        let body = serde_json::from_slice(request.body()).unwrap_or_default();
        return Ok(world.queues(operation, &body));
    }
    world.pay(request).await
}

impl World {
    fn table(&self, operation: &str, body: &[u8]) -> Response<Bytes> {
        let answer = self.aws.dynamodb().answer(operation, body);
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        match answer.status() {
            StatusCode::OK => self.watch(operation, &asked),
            _ => self.watch_refusal(operation, &asked, answer.body()),
        }
        answer
    }

    /// Shows the items that a write touched to the history.
    fn watch(&self, operation: &str, asked: &Value) {
        let updates = asked["TransactItems"].as_array().into_iter().flatten();
        let keys: Vec<&Value> = match operation {
            "PutItem" => vec![&asked["Item"]["pk"]["S"]],
            "UpdateItem" => vec![&asked["Key"]["pk"]["S"]],
            "TransactWriteItems" => updates.map(|item| &item["Update"]["Key"]["pk"]["S"]).collect(),
            _ => return,
        };
        let (mut record, mut stock) = (None, BTreeMap::new());
        for key in keys.into_iter().filter_map(Value::as_str) {
            let item = self.item(key).unwrap_or_default();
            match key.strip_prefix("STOCK#") {
                Some(sku) => stock.extend([(sku.to_owned(), item["available"].as_u64().unwrap_or_default())]),
                None => record = Some(serde_json::from_value(item).expect("only order records are written")),
            }
        }
        if operation == "UpdateItem" && record.is_none() {
            return self.watch_statements(stock);
        }
        let seen = record.clone();
        let change = self.history().observe(record, stock);
        if let (Some(change), Some(record)) = (change, seen) {
            self.changed(change, &record);
        }
    }

    /// Only people write about stock alone. What nobody stated is lost or invented.
    fn watch_statements(&self, stock: BTreeMap<String, u64>) {
        for (sku, available) in stock {
            let by = self.stating().remove(&sku).unwrap_or_default();
            self.history().observe_statement(&sku, by, available);
        }
    }

    fn changed(&self, change: Change, record: &Record) {
        let what = match change {
            Change::Claimed => "claims",
            Change::TakenOver => "takeovers",
            Change::Compensating => "compensations",
            Change::Parked => "parks",
            Change::Resumed => "resumes",
            Change::Finished => "finishes",
            Change::Moved => "checkpoints",
        };
        self.journal().count(what);
        let about =
            format!("{} {} at {} fence {}", record.order_id(), record.status, record.step, record.fence.0);
        self.note("write", &about);
        self.count_migration(change, record);
        match change {
            Change::Claimed => self.claimed(record.order_id()),
            Change::Parked => self.parked(record.order_id()),
            _ => {}
        }
    }

    /// A takeover by a newer version of the code, or a cancellation that it kept.
    fn count_migration(&self, change: Change, record: &Record) {
        let mut versions = self.versions();
        let before = versions.insert(record.pk.clone(), record.workflow_version);
        if change == Change::Claimed || before.is_none_or(|before| before == record.workflow_version) {
            return;
        }
        self.journal().count("migrations");
        if record.cancel_requested.is_some() && record.status == Status::Compensating {
            self.journal().count("migrations of cancelled orders");
        }
    }

    /// An owner's write that was refused: because it was written before, or because the order has another owner.
    fn watch_refusal(&self, operation: &str, asked: &Value, refusal: &[u8]) {
        let refusal: Value = serde_json::from_slice(refusal).unwrap_or_default();
        let (write, found) = match operation {
            "TransactWriteItems" => {
                (&asked["TransactItems"][0]["Update"], &refusal["CancellationReasons"][0]["Item"])
            }
            _ => (asked, &refusal["Item"]),
        };
        let Some(owner) = found["owner"]["S"].as_str() else { return };
        let condition = write["ConditionExpression"].as_str().unwrap_or_default();
        let values = write["ExpressionAttributeValues"].as_object();
        let mut values =
            values.into_iter().flatten().map(|(_, value)| &value["S"]).chain([&asked["Item"]["owner"]["S"]]);
        let mine = values.any(|value| value == owner);
        let what = match (mine, condition.contains("#owner")) {
            (true, _) if found["cancel_requested"].is_null() => "own lost writes",
            (false, true) => "leases lost",
            _ => return,
        };
        self.journal().count(what);
        self.note(what, found["pk"]["S"].as_str().unwrap_or_default());
    }

    /// An item as plain JSON, if it is there.
    pub(super) fn item(&self, key: &str) -> Option<Value> {
        let get = json!({ "TableName": TABLE, "Key": { "pk": { "S": key } }, "ConsistentRead": true });
        let answer = self.aws.dynamodb().answer("GetItem", get.to_string().as_bytes());
        let answer: Value = serde_json::from_slice(answer.body()).ok()?;
        let item = answer["Item"].as_object()?;
        Some(Value::Object(item.iter().map(|(name, value)| (name.clone(), plain(value))).collect()))
    }

    fn queues(&self, operation: &str, asked: &Value) -> Response<Bytes> {
        let text = |path: &str| asked.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        match operation {
            "GetQueueUrl" => ok(&json!({ "QueueUrl": format!("{QUEUES}{}", text("/QueueName")) })),
            "ChangeMessageVisibility" => {
                let hidden = Duration::from_secs(asked["VisibilityTimeout"].as_u64().unwrap_or_default());
                let known = self.queue().hide_received(&text("/ReceiptHandle"), self.now() + hidden);
                if known { ok(&json!({})) } else { refused() }
            }
            "SendMessage" => {
                self.receive(&text("/QueueUrl"), text("/MessageBody"), &asked["MessageAttributes"]);
                ok(&json!({ "MessageId": "kept", "MD5OfMessageBody": "" }))
            }
            _ => refused(),
        }
    }

    fn receive(&self, url: &str, body: String, attributes: &Value) {
        let attribute = |name: &str| attributes[name]["StringValue"].as_str().unwrap_or_default().to_owned();
        let queue = url.strip_prefix(QUEUES).unwrap_or(url);
        let key = attribute(KEY_ATTRIBUTE);
        let mut books = self.books();
        match queue {
            "warehouse" => keep(&mut books.shipments, key, body),
            "notifications" => keep(&mut books.notifications, key, body),
            codes::OTHERS => keep(&mut books.others, key, body),
            _ => {
                drop(books);
                let names = attributes.as_object().into_iter().flat_map(Map::keys);
                self.lettered(&names.map(|name| (name.clone(), attribute(name))).collect(), body);
            }
        }
    }
}

fn keep(deliveries: &mut Deliveries, key: String, body: String) {
    let delivered = deliveries.entry(key).or_default();
    delivered.times += 1;
    if !delivered.bodies.contains(&body) {
        delivered.bodies.push(body);
    }
}

/// DynamoDB's JSON without its types.
fn plain(value: &Value) -> Value {
    match value.as_object().and_then(|value| value.iter().next()) {
        Some((kind, value)) if kind == "N" => {
            value.as_str().and_then(|number| serde_json::from_str(number).ok()).unwrap_or_default()
        }
        Some((kind, Value::Object(map))) if kind == "M" => {
            Value::Object(map.iter().map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>())
        }
        Some((kind, Value::Array(list))) if kind == "L" => Value::Array(list.iter().map(plain).collect()),
        Some((_, value)) => value.clone(),
        None => Value::Null,
    }
}

fn ok(body: &Value) -> Response<Bytes> {
    Response::new(Bytes::from(body.to_string()))
}

fn refused() -> Response<Bytes> {
    let mut response = ok(&json!({ "__type": "com.amazonaws.sqs#InvalidParameterValueException" }));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}
