//! Messages on their way to the queue of orders.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use order_processor::order::Order;

use crate::failure;

/// SQS's own maximum for one request.
const BATCH: usize = 10;

/// A message to be sent.
#[derive(Debug, Clone)]
pub struct Message {
    /// What it is, for people.
    pub what: &'static str,
    /// Which order is meant, as far as that can be read.
    pub order_id: Option<String>,
    /// What is sent, byte for byte.
    pub body: String,
    /// Attributes beside it.
    pub attributes: BTreeMap<String, MessageAttributeValue>,
    /// The group it was in before, in a FIFO queue; else the order ID is its group.
    pub group: Option<String>,
}

impl Message {
    /// A message with this body.
    pub fn new(what: &'static str, body: impl Into<String>) -> Self {
        let body = body.into();
        let order_id = match Order::parse(&body) {
            Ok(order) => Some(order.id),
            Err(invalid) => invalid.order_id,
        };
        let (order_id, attributes) = (order_id.map(|id| id.to_string()), BTreeMap::new());
        Message { what, order_id, body, attributes, group: None }
    }

    /// The same with these attributes, in this group.
    pub fn with(self, attributes: BTreeMap<String, MessageAttributeValue>, group: Option<String>) -> Self {
        Message { attributes, group, ..self }
    }
}

/// Sends all of them in their order and returns their message IDs.
///
/// To a FIFO queue each goes in its group, and with a deduplication ID of its own: SQS would
/// swallow a copy otherwise, and it is this project's processor that has to recognise it.
pub async fn send(client: &Client, queue_url: &str, messages: &[Message]) -> Result<Vec<String>> {
    let mut ids = Vec::with_capacity(messages.len());
    for portion in messages.chunks(BATCH) {
        let entries = portion.iter().enumerate().map(|(index, message)| entry(index, message, queue_url));
        let entries: Result<Vec<_>, _> = entries.collect();
        let request = client.send_message_batch().queue_url(queue_url).set_entries(Some(entries?));
        let sent = request.send().await;
        let doing = || format!("sending to {queue_url} ({} of {} sent)", ids.len(), messages.len());
        let sent = sent.map_err(|error| failure::aws(doing(), error))?;
        if let Some(refused) = sent.failed.first() {
            let why = refused.message().unwrap_or(refused.code());
            bail!("{}: {} of a portion were refused: {why}", doing(), sent.failed.len());
        }
        let mut sent = sent.successful;
        sent.sort_by_key(|entry| entry.id.parse::<usize>().unwrap_or(usize::MAX));
        ids.extend(sent.into_iter().map(|entry| entry.message_id));
    }
    Ok(ids)
}

fn entry(
    index: usize,
    message: &Message,
    queue_url: &str,
) -> Result<SendMessageBatchRequestEntry, aws_sdk_sqs::error::BuildError> {
    let mut entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(&message.body);
    if queue_url.ends_with(".fifo") {
        let group = message.group.as_ref().or(message.order_id.as_ref()).map_or("invalid", String::as_str);
        let unique = format!("{:032x}", fastrand::u128(..));
        entry = entry.message_group_id(group).message_deduplication_id(unique);
    }
    for (name, value) in &message.attributes {
        entry = entry.message_attributes(name, value.clone());
    }
    entry.build()
}
