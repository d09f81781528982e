//! What people state about stock. The function itself only reserves and releases it, together with its checkpoints.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};

use crate::order::Sku;
use crate::record::{AVAILABLE_ATTRIBUTE, KEY_ATTRIBUTE, stock_key};

/// Which statement set the number last, so that a repeat of it knows its own write.
pub const STATEMENT_ATTRIBUTE: &str = "statement";

/// A change of one stock item by a person. Neither kind loses a reservation that happens meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StockStatement {
    /// So many came, or went: refused if fewer are available. A repeat of the request would count them twice.
    Moved(i64),
    /// So many are available, where `seen` were: refused if it is another number by now, because whatever changed it was a
    /// reservation, or somebody else's statement. The request may be repeated.
    Counted {
        /// How many there are.
        available: u64,
        /// How many there were; `None`: there was no such item.
        seen: Option<u64>,
        /// Random, made before the first attempt.
        name: String,
    },
}

impl StockStatement {
    /// The conditional request, which brings back the item as it is now, or the one that refused it.
    pub fn update(&self, client: &Client, table: &str, sku: &Sku) -> UpdateItemFluentBuilder {
        let update = client.update_item().table_name(table);
        let update = update
            .key(KEY_ATTRIBUTE, AttributeValue::S(stock_key(sku)))
            .expression_attribute_names("#available", AVAILABLE_ATTRIBUTE)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match self {
            StockStatement::Moved(by) => moved(update, *by),
            StockStatement::Counted { available, seen, name } => counted(update, *available, *seen, name),
        }
    }

    /// Whether the item that refused it was set by this very statement: an attempt before was applied, and its answer was
    /// lost. How many there are may have changed since.
    pub fn stands_in(&self, item: &HashMap<String, AttributeValue>) -> bool {
        let last = item.get(STATEMENT_ATTRIBUTE).and_then(|last| last.as_s().ok());
        matches!((self, last), (StockStatement::Counted { name, .. }, Some(last)) if name == last)
    }
}

fn moved(update: UpdateItemFluentBuilder, by: i64) -> UpdateItemFluentBuilder {
    let update = update.update_expression("ADD #available :n").expression_attribute_values(":n", number(by));
    match by < 0 {
        true => update
            .condition_expression("#available >= :taken")
            .expression_attribute_values(":taken", number(by.unsigned_abs())),
        false => update,
    }
}

fn counted(
    update: UpdateItemFluentBuilder,
    available: u64,
    seen: Option<u64>,
    name: &str,
) -> UpdateItemFluentBuilder {
    let update = update
        .update_expression("SET #available = :n, #statement = :name")
        .expression_attribute_names("#statement", STATEMENT_ATTRIBUTE)
        .expression_attribute_values(":n", number(available))
        .expression_attribute_values(":name", AttributeValue::S(name.to_owned()));
    match seen {
        Some(seen) => update
            .condition_expression("#available = :seen")
            .expression_attribute_values(":seen", number(seen)),
        None => update
            .condition_expression("attribute_not_exists(#pk)")
            .expression_attribute_names("#pk", KEY_ATTRIBUTE),
    }
}

fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
