//! The conditional writes of the claim protocol, on DynamoDB.
//!
//! Every write asks for the item that refused it (`ReturnValuesOnConditionCheckFailure=ALL_OLD`), so that a
//! refusal needs no read. What a refusal means is decided in [`crate::protocol`].

mod expression;
mod parked;
mod stock;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConsumedCapacity, ReturnConsumedCapacity, ReturnValue,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use sha2::{Digest, Sha256};

use crate::budget::Patience;
use crate::order::OrderId;
use crate::protocol::{Shortage, StockMove, Write, Written};
use crate::random::Random;
use crate::record::{AVAILABLE_ATTRIBUTE, KEY_ATTRIBUTE, Record, order_key, stock_key};
use expression::Expression;
pub use parked::{PARKED_FROM_ATTRIBUTE, PARKED_INDEX};
pub use stock::{STATEMENT_ATTRIBUTE, StockStatement};

type Item = HashMap<String, AttributeValue>;

/// The table of orders and stock.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    table: String,
    random: Random,
    write_units: Arc<Mutex<f64>>,
}

/// Why the table gave no answer. All of these are worth another delivery.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It said no: throttled, or not allowed. An earlier attempt of the SDK may have been applied all the same, if
    /// its answer was lost.
    #[error("the table refused the request: {0}")]
    NotApplied(String),
    /// Nobody knows whether it was written.
    #[error("the table's answer is unknown: {0}")]
    Unknown(String),
    /// The item is there, but is no order record.
    #[error("the item of the order cannot be read")]
    Unreadable,
}

/// Between two tries of a write that met a transaction: full jitter up to this, doubled each time.
const CONFLICT_BACKOFF: Duration = Duration::from_millis(20);
/// The doubling ends here.
const CONFLICT_BACKOFF_MAX: Duration = Duration::from_millis(400);

enum Tried {
    Written(Written),
    Again(String),
    Failed(StoreError),
}

impl Store {
    /// The table `table`, as `client` reaches it.
    pub fn new(client: Client, table: impl Into<String>, random: Random) -> Self {
        Store { client, table: table.into(), random, write_units: Arc::default() }
    }

    /// The write units that were used since this was last asked. DynamoDB does not say what a refused write used.
    pub fn take_write_units(&self) -> f64 {
        std::mem::take(&mut self.used())
    }

    fn used(&self) -> MutexGuard<'_, f64> {
        self.write_units.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meter(&self, consumed: &[ConsumedCapacity]) {
        *self.used() += consumed.iter().map(write_units).sum::<f64>();
    }

    /// One consistent read of an order's item.
    ///
    /// # Errors
    /// [`StoreError`] if the table gave no answer.
    pub async fn find(&self, id: &OrderId, patience: Patience) -> Result<Option<Record>, StoreError> {
        self.read(order_key(id), patience).await
    }

    async fn read(&self, pk: String, patience: Patience) -> Result<Option<Record>, StoreError> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let request = request.key(KEY_ATTRIBUTE, AttributeValue::S(pk)).customize();
        let answer = request.config_override(timeouts(patience)).send().await;
        let item = answer.map_err(|error| failed(&error))?.item;
        item.map(parse).transpose()
    }

    /// Writes, and finds out what came of it even if the answer is lost.
    ///
    /// A crash of the caller right after leaves the item either as before or as written, never in between.
    ///
    /// # Errors
    /// [`StoreError`] if nothing was written, or if it cannot be found out.
    pub async fn write(&self, write: &Write, patience: Patience) -> Result<Written, StoreError> {
        let started = tokio::time::Instant::now();
        let mut backoff = CONFLICT_BACKOFF;
        // Built once: every try sends the same bytes, as a repeat under the same token must.
        let expression = Expression::of(write);
        loop {
            let left = patience.total.saturating_sub(started.elapsed());
            let patience = Patience { total: left.max(patience.attempt), ..patience };
            let why = match self.try_once(write, expression.clone(), patience).await {
                Tried::Written(written) => return Ok(written),
                Tried::Failed(StoreError::Unknown(why)) => return self.look(write, patience, why).await,
                Tried::Failed(error) => return Err(error),
                Tried::Again(why) => why,
            };
            let pause = backoff.mul_f64(self.random.fraction());
            if started.elapsed() + pause >= patience.total {
                return Err(StoreError::NotApplied(why));
            }
            tokio::time::sleep(pause).await;
            backoff = (backoff * 2).min(CONFLICT_BACKOFF_MAX);
        }
    }

    /// The outcome is unknown: one consistent read. If the item still fits the condition, the write may yet land.
    async fn look(&self, write: &Write, patience: Patience, why: String) -> Result<Written, StoreError> {
        let once = Patience { total: patience.attempt, ..patience };
        let found = self.read(write.after.pk.clone(), once).await?;
        if write.guard.holds(found.as_ref()) {
            return Err(StoreError::Unknown(why));
        }
        Ok(Written::Refused(found.map(Box::new)))
    }

    async fn try_once(&self, write: &Write, expression: Expression, patience: Patience) -> Tried {
        match (&write.before, write.stock.is_empty()) {
            (None, _) => self.put(write, expression, patience).await,
            (Some(_), true) => self.update(write, expression, patience).await,
            (Some(_), false) => self.transact(write, expression, patience).await,
        }
    }

    async fn put(&self, write: &Write, expression: Expression, patience: Patience) -> Tried {
        let put = self.client.put_item().table_name(&self.table).condition_expression(expression.condition);
        let put = put.set_expression_attribute_names(expression.names);
        let put = put.set_expression_attribute_values(expression.values);
        let put = put.set_item(expression.item);
        let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = put.return_consumed_capacity(ReturnConsumedCapacity::Total);
        match put.customize().config_override(timeouts(patience)).send().await {
            Ok(answer) => {
                self.meter(answer.consumed_capacity.as_slice());
                applied(None, write)
            }
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => refusal(refused.item.clone()),
                _ => again_or_failed(&error),
            },
        }
    }

    async fn update(&self, write: &Write, expression: Expression, patience: Patience) -> Tried {
        let update = self.client.update_item().table_name(&self.table);
        let update = update.key(KEY_ATTRIBUTE, AttributeValue::S(write.after.pk.clone()));
        let update = update.condition_expression(expression.condition).update_expression(expression.update);
        let update = update.set_expression_attribute_names(expression.names);
        let update = update.set_expression_attribute_values(expression.values);
        let update = update.return_values(ReturnValue::AllNew);
        let update =
            update.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = update.return_consumed_capacity(ReturnConsumedCapacity::Total);
        match update.customize().config_override(timeouts(patience)).send().await {
            Ok(answer) => {
                self.meter(answer.consumed_capacity.as_slice());
                applied(answer.attributes, write)
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    refusal(refused.item.clone())
                }
                _ => again_or_failed(&error),
            },
        }
    }

    /// The order's item comes first, so that its reason is the first of the reasons.
    async fn transact(&self, write: &Write, expression: Expression, patience: Patience) -> Tried {
        let order = Update::builder()
            .table_name(&self.table)
            .key(KEY_ATTRIBUTE, AttributeValue::S(write.after.pk.clone()))
            .condition_expression(expression.condition)
            .update_expression(expression.update)
            .set_expression_attribute_names(expression.names)
            .set_expression_attribute_values(expression.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        let order = order.map(|update| TransactWriteItem::builder().update(update).build());
        let stock = write.stock.iter().map(|stock| self.stock_update(stock));
        let items: Result<Vec<_>, _> = std::iter::once(order).chain(stock).collect();
        let items = match items {
            Ok(items) => items,
            Err(error) => return Tried::Failed(StoreError::NotApplied(error.to_string())),
        };
        let request = self.client.transact_write_items().set_transact_items(Some(items));
        let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let request = request.client_request_token(token(&self.table, write)).customize();
        match request.config_override(timeouts(patience)).send().await {
            Ok(answer) => {
                self.meter(answer.consumed_capacity());
                applied(None, write)
            }
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    on_cancelled(write, cancelled.cancellation_reasons())
                }
                Some(TransactWriteItemsError::IdempotentParameterMismatchException(mismatch)) => {
                    Tried::Failed(StoreError::Unknown(mismatch.to_string()))
                }
                Some(TransactWriteItemsError::TransactionInProgressException(busy)) => {
                    Tried::Again(busy.to_string())
                }
                _ => again_or_failed(&error),
            },
        }
    }

    fn stock_update(
        &self,
        stock: &StockMove,
    ) -> Result<TransactWriteItem, aws_sdk_dynamodb::error::BuildError> {
        let update = Update::builder()
            .table_name(&self.table)
            .key(KEY_ATTRIBUTE, AttributeValue::S(stock_key(stock.sku())))
            .expression_attribute_names("#available", AVAILABLE_ATTRIBUTE);
        let update = match stock {
            StockMove::Reserve(_, quantity) => update
                .update_expression("SET #available = #available - :n")
                .condition_expression("#available >= :n")
                .expression_attribute_values(":n", AttributeValue::N(quantity.to_string()))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld),
            StockMove::Release(_, quantity) => update
                .update_expression("ADD #available :n")
                .expression_attribute_values(":n", AttributeValue::N(quantity.to_string())),
        };
        Ok(TransactWriteItem::builder().update(update.build()?).build())
    }
}

/// A transaction that is repeated under its token writes nothing, and says so in units of reading.
fn write_units(consumed: &ConsumedCapacity) -> f64 {
    let only = consumed.capacity_units().filter(|_| consumed.read_capacity_units().is_none());
    consumed.write_capacity_units().or(only).unwrap_or(0.0)
}

/// The order's own reason counts first; a stock reason counts only if the order's condition held.
fn on_cancelled(write: &Write, reasons: &[CancellationReason]) -> Tried {
    let code = |reason: &CancellationReason| reason.code().unwrap_or_default().to_owned();
    const REFUSED: &str = "ConditionalCheckFailed";
    let Some((order, stock)) = reasons.split_first() else {
        return Tried::Failed(StoreError::Unknown("a transaction was cancelled for no reason".to_owned()));
    };
    if code(order) == REFUSED {
        return refusal(order.item.clone());
    }
    let short = write.stock.iter().zip(stock).find(|(_, reason)| code(reason) == REFUSED);
    match short {
        Some((StockMove::Reserve(sku, wanted), reason)) if code(order) == "None" => {
            let available = reason.item().and_then(|item| item.get(AVAILABLE_ATTRIBUTE)?.as_n().ok());
            let left = available.map(|available| available.parse().unwrap_or(0));
            Tried::Written(Written::Short(Shortage { sku: sku.clone(), wanted: *wanted, left }))
        }
        _ => {
            let codes: Vec<String> = reasons.iter().map(code).collect();
            let transient = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
            let why = format!("transaction cancelled: {}", codes.join(", "));
            match codes.iter().any(|code| transient.contains(&code.as_str())) {
                true => Tried::Again(why),
                false => Tried::Failed(StoreError::NotApplied(why)),
            }
        }
    }
}

/// A put and a transaction return no item: it is what they wrote.
fn applied(item: Option<Item>, write: &Write) -> Tried {
    match item.map_or_else(|| Ok(write.after.clone()), parse) {
        Ok(record) => Tried::Written(Written::Applied(Box::new(record))),
        Err(error) => Tried::Failed(error),
    }
}

fn refusal(item: Option<Item>) -> Tried {
    match item.map(parse).transpose() {
        Ok(record) => Tried::Written(Written::Refused(record.map(Box::new))),
        Err(error) => Tried::Failed(error),
    }
}

fn parse(item: Item) -> Result<Record, StoreError> {
    // What the library says can quote the item.
    serde_dynamo::from_item(item).map_err(|_| StoreError::Unreadable)
}

/// The same write has the same token, whoever sends it again: a hash of table, order, step and fence, of the 36
/// characters that DynamoDB allows. The table, because DynamoDB remembers tokens for all of an account's tables.
fn token(table: &str, write: &Write) -> String {
    let step = write.before.as_ref().map_or("", |before| before.step.as_str());
    let key = format!("{table}|{}|{step}|{}", write.after.pk, write.after.fence.0);
    crate::order::hex(&Sha256::digest(key)[..18])
}

fn timeouts(patience: Patience) -> aws_sdk_dynamodb::config::Builder {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(patience.attempt)
        .operation_timeout(patience.total.max(patience.attempt));
    Config::builder().timeout_config(timeouts.build())
}

fn again_or_failed<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Tried {
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some(code @ "TransactionConflictException") => Tried::Again(code.to_owned()),
        _ => Tried::Failed(failed(error)),
    }
}

/// A service error below 500 says that nothing was written; whatever else happened, nobody knows.
fn failed<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> StoreError {
    const INTERNAL: [&str; 3] = ["InternalServerError", "InternalFailure", "ServiceUnavailable"];
    match error {
        SdkError::ServiceError(service) => match service.err().code() {
            Some(code) if !INTERNAL.contains(&code) => StoreError::NotApplied(code.to_owned()),
            code => StoreError::Unknown(code.unwrap_or("an error without a code").to_owned()),
        },
        SdkError::ConstructionFailure(_) => {
            StoreError::NotApplied("the request could not be built".to_owned())
        }
        SdkError::TimeoutError(_) => StoreError::Unknown("no answer in time".to_owned()),
        SdkError::DispatchFailure(failure) => StoreError::Unknown(
            failure.as_connector_error().map_or("not sent".to_owned(), ToString::to_string),
        ),
        _ => StoreError::Unknown("the answer could not be read".to_owned()),
    }
}
