//! What only people do with the table: the function never scans, and never reads stock.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use order_processor::budget::Patience;
use order_processor::order::{OrderId, Sku};
use order_processor::protocol::{self, Refused, Write};
use order_processor::random::Random;
use order_processor::record::{AVAILABLE_ATTRIBUTE, KEY_ATTRIBUTE, Record, Status, order_key, stock_key};
use order_processor::store::Store;

use crate::failure;
use crate::target::Target;

type Item = HashMap<String, AttributeValue>;

/// The table of orders and stock.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: String,
}

/// What came of a conditional write.
pub enum Written {
    /// The record as it is now.
    Done(Box<Record>),
    /// It is not the one any more that was decided by; nothing was written. What is there now.
    Moved(Option<Box<Record>>),
}

/// A person waits: three attempts of two seconds.
const PATIENCE: Patience = Patience { attempt: Duration::from_secs(2), total: Duration::from_secs(6) };

impl Table {
    /// The table of `target`.
    pub fn of(target: &Target) -> Self {
        Table::new(target.dynamodb(), &target.table)
    }

    /// The table `name`, as `client` reaches it.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Table { client, name: name.into() }
    }

    /// Its client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An order's record, by a consistent read.
    pub async fn order(&self, id: &OrderId) -> Result<Option<Record>> {
        let item = self.item(order_key(id)).await?;
        item.map(|item| record(item).with_context(|| format!("the record of {id} cannot be read")))
            .transpose()
    }

    /// Writes on condition, as the function does, and recognises a write of its own whose answer was lost.
    pub async fn write(&self, write: &Write) -> Result<Written> {
        let store = Store::new(self.client.clone(), &self.name, Random::from_system());
        let written = store.write(write, PATIENCE).await;
        match written.map_err(|error| anyhow!("writing to the table {}: {error}", self.name))? {
            protocol::Written::Applied(record) => Ok(Written::Done(record)),
            protocol::Written::Refused(found) => match (protocol::on_refused(write, found.as_deref()), found)
            {
                (Refused::Written, Some(found)) => Ok(Written::Done(found)),
                (_, found) => Ok(Written::Moved(found)),
            },
            protocol::Written::Short(_) => Ok(Written::Moved(None)),
        }
    }

    /// How many of a SKU are available; `None` if it is not a stock item.
    pub async fn available(&self, sku: &Sku) -> Result<Option<u64>> {
        Ok(self.item(stock_key(sku)).await?.map(|item| quantity(&item)))
    }

    /// At most `limit` orders, those of `statuses` if any is given, and whether there are more. In no order: it
    /// reads page after page until there are enough.
    pub async fn orders(&self, statuses: &[Status], limit: usize) -> Result<(Vec<Record>, bool)> {
        let mut scan = self.scan("ORDER#");
        if !statuses.is_empty() {
            let names: Vec<String> = (0..statuses.len()).map(|index| format!(":status{index}")).collect();
            scan = scan
                .filter_expression(format!("begins_with(#pk, :prefix) AND #status IN ({})", names.join(", ")))
                .expression_attribute_names("#status", "status");
            for (name, status) in names.into_iter().zip(statuses) {
                scan = scan.expression_attribute_values(name, AttributeValue::S(status.as_str().to_owned()));
            }
        }
        let mut pages = scan.into_paginator().items().send();
        let mut records = Vec::new();
        while let Some(item) = pages.next().await {
            if records.len() == limit {
                return Ok((records, true));
            }
            records.push(record(item.map_err(|error| self.failed(error))?)?);
        }
        Ok((records, false))
    }

    /// Every order, and the keys of the items that are no order record of this version, with why.
    pub async fn every_order(&self) -> Result<(Vec<Record>, Vec<(String, String)>)> {
        let mut pages = self.scan("ORDER#").into_paginator().items().send();
        let (mut records, mut unreadable) = (Vec::new(), Vec::new());
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| self.failed(error))?;
            let key = item.get(KEY_ATTRIBUTE).and_then(|key| key.as_s().ok()).cloned().unwrap_or_default();
            match serde_dynamo::from_item(item) {
                Ok(record) => records.push(record),
                // What the library says can quote the item.
                Err(_) => unreadable.push((key, "is no order record of this version".to_owned())),
            }
        }
        Ok((records, unreadable))
    }

    /// Every SKU with how many of it are available.
    pub async fn stock(&self) -> Result<BTreeMap<String, u64>> {
        let mut pages = self.scan("STOCK#").into_paginator().items().send();
        let mut stock = BTreeMap::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| self.failed(error))?;
            let key = item.get(KEY_ATTRIBUTE).and_then(|key| key.as_s().ok()).cloned().unwrap_or_default();
            stock.insert(key.trim_start_matches("STOCK#").to_owned(), quantity(&item));
        }
        Ok(stock)
    }

    fn scan(&self, prefix: &str) -> aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder {
        let scan = self.client.scan().table_name(&self.name).consistent_read(true);
        scan.filter_expression("begins_with(#pk, :prefix)")
            .expression_attribute_names("#pk", KEY_ATTRIBUTE)
            .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()))
    }

    async fn item(&self, pk: String) -> Result<Option<Item>> {
        let request = self.client.get_item().table_name(&self.name).consistent_read(true);
        let answer = request.key(KEY_ATTRIBUTE, AttributeValue::S(pk)).send().await;
        Ok(answer.map_err(|error| self.failed(error))?.item)
    }

    fn failed<E, R>(&self, error: aws_sdk_dynamodb::error::SdkError<E, R>) -> anyhow::Error
    where
        E: aws_sdk_dynamodb::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        failure::aws(format!("reading the table {}", self.name), error)
    }
}

fn record(item: Item) -> Result<Record> {
    // What the library says can quote the item.
    serde_dynamo::from_item(item).map_err(|_| anyhow!("an item is no order record of this version"))
}

/// What a stock item says; one without a number has nothing.
pub fn quantity(item: &Item) -> u64 {
    let number = item.get(AVAILABLE_ATTRIBUTE).and_then(|value| value.as_n().ok());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
