//! A message of the dead-letter queue, read.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use clap::ValueEnum;
use order_processor::clock::UnixMillis;
use order_processor::order::{Order, OrderId};
use serde_json::{Value, json};

/// Why a message is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reason {
    /// No valid order
    Invalid,
    /// Another order was there first under the same ID
    Conflict,
    /// Placed too long ago
    Stale,
    /// Placed in the future
    Future,
    /// Received too often: moved by SQS itself
    Exhausted,
}

impl Reason {
    /// As the attribute has it.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Invalid => "invalid",
            Reason::Conflict => "conflict",
            Reason::Stale => "stale",
            Reason::Future => "future",
            Reason::Exhausted => "exhausted",
        }
    }

    /// Whether another run could not end otherwise.
    pub fn is_hopeless(self) -> bool {
        matches!(self, Reason::Invalid | Reason::Conflict | Reason::Stale)
    }
}

/// What the function adds to a message that it dead-letters. A redrive leaves it out.
const OURS: [&str; 6] =
    ["reason", "detail", "source_message_id", "order_id", "fingerprint", "stored_fingerprint"];

/// A message, held for the moment.
#[derive(Debug, Clone)]
pub struct Letter {
    pub message_id: String,
    pub receipt: String,
    /// The order that is meant, as far as a valid ID could be read.
    pub order_id: Option<OrderId>,
    pub order: Option<Order>,
    pub reason: Reason,
    pub sent_at: UnixMillis,
    /// The string attributes.
    pub attributes: BTreeMap<String, String>,
    pub body: String,
}

impl Letter {
    /// What SQS delivered.
    pub fn read(message: Message) -> Letter {
        let attributes = message.message_attributes.unwrap_or_default().into_iter();
        let attributes: BTreeMap<String, String> =
            attributes.filter_map(|(name, value)| Some((name, value.string_value?))).collect();
        let body = message.body.unwrap_or_default();
        let (order, order_id) = match Order::parse(&body) {
            Ok(order) => (Some(order.clone()), Some(order.id)),
            Err(invalid) => (None, invalid.order_id),
        };
        let named = attributes.get("reason").map(String::as_str);
        let reason = Reason::value_variants().iter().find(|reason| Some(reason.name()) == named);
        let sent = message.attributes.unwrap_or_default().remove(&MessageSystemAttributeName::SentTimestamp);
        Letter {
            message_id: message.message_id.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
            order_id,
            order,
            reason: reason.copied().unwrap_or(Reason::Exhausted),
            sent_at: UnixMillis(sent.and_then(|millis| millis.parse().ok()).unwrap_or(0)),
            attributes,
            body,
        }
    }

    /// The attributes that its producer gave it.
    pub fn own_attributes(&self) -> BTreeMap<String, String> {
        let own = self.attributes.iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
        own.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Without body and attributes: nothing of the customer.
    pub fn summary(&self) -> Value {
        json!({
            "message_id": self.message_id,
            "order_id": self.order_id,
            "reason": self.reason.name(),
            "detail": self.attributes.get("detail"),
            "sent_at": self.sent_at.to_rfc3339(),
        })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn letter(reason: Reason, id: &str) -> Letter {
        Letter {
            message_id: "m-1".into(),
            receipt: "r-1".into(),
            order_id: Some(id.parse().unwrap()),
            order: None,
            reason,
            sent_at: UnixMillis(0),
            attributes: BTreeMap::from([
                ("reason".into(), reason.name().into()),
                ("trace".into(), "t-1".into()),
            ]),
            body: String::new(),
        }
    }

    #[test]
    fn what_the_function_added_is_left_out() {
        let own = letter(Reason::Conflict, "ord-1").own_attributes();
        assert_eq!(own, BTreeMap::from([("trace".to_owned(), "t-1".to_owned())]));
    }

    #[test]
    fn a_message_without_a_reason_was_moved_by_the_queue() {
        let plain = Letter::read(Message::builder().body("no order").build());
        assert_eq!((plain.reason, plain.order_id), (Reason::Exhausted, None));
    }
}
