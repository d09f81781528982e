//! Embedded DynamoDB: the JSON protocol over an in-memory database.
//!
//! Conditions, `ALL_OLD`, transactions with cancellation reasons and client tokens answer as DynamoDB does.
//! Two things it does not do by itself: it never reports a transaction conflict (see [`crate::local::faults`]),
//! and a client token is forgotten by the machine's clock, not by the clock given here.

use std::sync::Arc;

use axum::body::Bytes;
use dynoxide::storage_backend::Clock as DatabaseClock;
use dynoxide::{Database, DynoxideError};
use http::{StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Clock;

/// What DynamoDB puts before the operation in `X-Amz-Target`.
pub const TARGET_PREFIX: &str = "DynamoDB_20120810.";

/// An empty in-memory DynamoDB. Clones share their tables.
#[derive(Clone)]
pub struct EmbeddedDynamoDb {
    database: Database,
}

impl EmbeddedDynamoDb {
    /// A database without tables; TTL expiry goes by `clock`.
    ///
    /// # Panics
    /// If the machine cannot open an in-memory database, which is out of memory or a broken build.
    pub fn new(clock: Clock) -> Self {
        let database =
            Database::memory_with_clock(Arc::new(Expiry(clock))).expect("open an in-memory database");
        EmbeddedDynamoDb { database }
    }

    /// Answers one operation, named without [`TARGET_PREFIX`]. Operations run one at a time.
    pub fn answer(&self, operation: &str, body: &[u8]) -> http::Response<Bytes> {
        match run(&self.database, operation, body) {
            Ok(json) => response(StatusCode::OK, json),
            Err(error) => {
                let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::BAD_REQUEST);
                response(status, error.to_json())
            }
        }
    }

    /// Deletes what the TTL attribute says is over, as DynamoDB does some time after; returns how many items.
    pub fn delete_expired(&self) -> usize {
        self.database.sweep_ttl().unwrap_or(0)
    }
}

fn run(database: &Database, operation: &str, body: &[u8]) -> dynoxide::Result<String> {
    match operation {
        "PutItem" => call(body, |input| database.put_item(input)),
        "GetItem" => call(body, |input| database.get_item(input)),
        "UpdateItem" => call(body, |input| database.update_item(input)),
        "DeleteItem" => call(body, |input| database.delete_item(input)),
        "Query" => call(body, |input| database.query(input)),
        "Scan" => call(body, |input| database.scan(input)),
        "TransactWriteItems" => call(body, |input| database.transact_write_items(input)),
        "TransactGetItems" => call(body, |input| database.transact_get_items(input)),
        "BatchGetItem" => call(body, |input| database.batch_get_item(input)),
        "BatchWriteItem" => call(body, |input| database.batch_write_item(input)),
        "CreateTable" => call(body, |input| database.create_table(input)),
        "DeleteTable" => call(body, |input| database.delete_table(input)),
        "DescribeTable" => call(body, |input| database.describe_table(input)),
        "ListTables" => call(body, |input| database.list_tables(input)),
        "UpdateTable" => call(body, |input| database.update_table(input)),
        "UpdateTimeToLive" => call(body, |input| database.update_time_to_live(input)),
        "DescribeTimeToLive" => call(body, |input| database.describe_time_to_live(input)),
        "ExecuteStatement" => call(body, |input| database.execute_statement(input)),
        "TagResource" => call(body, |input| database.tag_resource(input)),
        "UntagResource" => call(body, |input| database.untag_resource(input)),
        "ListTagsOfResource" => call(body, |input| database.list_tags_of_resource(input)),
        _ => Err(DynoxideError::UnsupportedCapability(operation.to_owned())),
    }
}

fn call<I, O>(body: &[u8], operation: impl FnOnce(I) -> dynoxide::Result<O>) -> dynoxide::Result<String>
where
    I: DeserializeOwned,
    O: Serialize,
{
    let input = serde_json::from_slice(body).map_err(|error| refuse(&error))?;
    let output = operation(input)?;
    serde_json::to_string(&output).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// DynamoDB calls a wrong JSON type a serialization error and everything else a validation error.
fn refuse(error: &serde_json::Error) -> DynoxideError {
    let message = error.to_string();
    if message.contains("invalid type") && !message.contains("invalid type: null") {
        DynoxideError::SerializationException(message)
    } else {
        DynoxideError::ValidationException(message)
    }
}

fn response(status: StatusCode, json: String) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::from(json));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

/// Our clock in the database's own terms.
struct Expiry(Clock);

impl DatabaseClock for Expiry {
    fn now_unix_secs(&self) -> u64 {
        self.0.now().0 / 1000
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds fit a double until the year 287,000")]
    fn now_unix_secs_f64(&self) -> f64 {
        self.0.now().0 as f64 / 1000.0
    }
}
