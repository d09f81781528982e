//! A message of the dead-letter queue, received.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use order_processor::clock::UnixMillis;
use order_processor::letter::{self, Reason, attribute};
use order_processor::order::OrderId;
use serde_json::{Value, json};

/// Reads a reason from the command line.
pub fn reasons() -> impl TypedValueParser<Value = Reason> {
    PossibleValuesParser::new(Reason::ALL.map(Reason::name))
        .try_map(|name| Reason::named(&name).ok_or("no reason"))
}

/// A message, held for the moment.
#[derive(Debug, Clone)]
pub struct Letter {
    pub message_id: String,
    pub receipt: String,
    /// What it says, and on whose word it is there.
    pub content: letter::Letter,
    pub sent_at: UnixMillis,
    /// Who sent it here, as SQS says it: for the function's own letters the function.
    pub sender: Option<String>,
    /// The group, in a FIFO queue.
    pub group: Option<String>,
    /// Grows from one message of a FIFO queue to the next; 0 in a standard queue.
    pub sequence: u128,
    pub attributes: BTreeMap<String, MessageAttributeValue>,
    pub body: String,
}

impl Letter {
    /// What SQS delivered.
    pub fn read(message: Message) -> Letter {
        let attributes: BTreeMap<_, _> = message.message_attributes.unwrap_or_default().into_iter().collect();
        let body = message.body.unwrap_or_default();
        let mut by_sqs = message.attributes.unwrap_or_default();
        let moved = by_sqs.contains_key(&MessageSystemAttributeName::DeadLetterQueueSourceArn);
        let sequence = by_sqs.remove(&MessageSystemAttributeName::SequenceNumber);
        let sent = by_sqs.remove(&MessageSystemAttributeName::SentTimestamp);
        Letter {
            message_id: message.message_id.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
            content: letter::Letter::read(&body, &texts(&attributes), moved),
            sender: by_sqs.remove(&MessageSystemAttributeName::SenderId),
            sent_at: UnixMillis(sent.and_then(|millis| millis.parse().ok()).unwrap_or(0)),
            group: by_sqs.remove(&MessageSystemAttributeName::MessageGroupId),
            sequence: sequence.and_then(|number| number.parse().ok()).unwrap_or(0),
            attributes,
            body,
        }
    }

    /// What letters are put in order by: as they stand in a FIFO queue, else as they were sent.
    pub fn place(&self) -> (u128, UnixMillis, String) {
        (self.sequence, self.sent_at, self.message_id.clone())
    }

    /// The string attributes.
    pub fn texts(&self) -> BTreeMap<String, String> {
        texts(&self.attributes)
    }

    /// The attributes that its producer gave it.
    pub fn producers_attributes(&self) -> BTreeMap<String, MessageAttributeValue> {
        let all = self.attributes.iter();
        let own = all.filter(|(name, _)| !self.content.reason.is_given(name));
        own.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The order that is meant, as far as a valid ID can be read.
    pub fn order_id(&self) -> Option<&OrderId> {
        self.content.order_id()
    }

    /// Who sent the order: what the function noted, or what SQS says of a message that it has moved.
    pub fn sender_id(&self) -> Option<&str> {
        let noted = self.attributes.get(attribute::SENDER_ID).and_then(MessageAttributeValue::string_value);
        match self.content.reason {
            Reason::Exhausted => self.sender.as_deref(),
            reason => noted.filter(|_| reason.is_given(attribute::SENDER_ID)),
        }
    }

    /// Without body and attributes: nothing of the customer.
    pub fn summary(&self) -> Value {
        let detail = self.attributes.get(attribute::DETAIL).and_then(MessageAttributeValue::string_value);
        json!({
            "message_id": self.message_id,
            "order_id": self.order_id(),
            "reason": self.content.reason.name(),
            // What a producer calls so says nothing of the letter.
            "detail": detail.filter(|_| self.content.reason.is_given(attribute::DETAIL)),
            "sender_id": self.sender_id(),
            "sent_at": self.sent_at.to_rfc3339(),
        })
    }
}

fn texts(attributes: &BTreeMap<String, MessageAttributeValue>) -> BTreeMap<String, String> {
    let texts = attributes.iter().filter_map(|(name, value)| Some((name, value.string_value()?)));
    texts.map(|(name, text)| (name.clone(), text.to_owned())).collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn message(names: &[(&str, &str)]) -> aws_sdk_sqs::types::builders::MessageBuilder {
        names.iter().fold(Message::builder().body("no order"), |message, (name, text)| {
            let value = MessageAttributeValue::builder().data_type("String").string_value(*text);
            message.message_attributes(*name, value.build().unwrap())
        })
    }

    const CONFLICT: [(&str, &str); 8] = [
        ("reason", "conflict"),
        ("detail", "why"),
        ("source_message_id", "m-0"),
        ("fingerprint", "v1:1"),
        ("stored_fingerprint", "v1:2"),
        ("order_id", "ord-1"),
        ("trace", "t-1"),
        ("attempt", "1"),
    ];

    /// A conflict of the order `ord-1`, in the function's words.
    pub fn conflict() -> Letter {
        Letter::read(message(&CONFLICT).build())
    }

    #[test]
    fn what_the_function_gave_is_left_out_and_what_its_producer_gave_is_kept() {
        let number = MessageAttributeValue::builder().data_type("Number").string_value("1").build().unwrap();
        let letter =
            Letter::read(message(&CONFLICT[..7]).message_attributes("attempt", number.clone()).build());
        let kept = letter.producers_attributes();
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["attempt", "trace"]);
        assert_eq!(kept["attempt"], number);
    }

    #[test]
    fn a_letter_says_who_sent_the_order() {
        use MessageSystemAttributeName::SenderId;
        let sender = |names: &[(&str, &str)]| {
            let letter = Letter::read(message(names).attributes(SenderId, "AROA1:order-processor").build());
            letter.summary()["sender_id"].clone()
        };
        assert_eq!(sender(&[&CONFLICT[..6], &[("sender_id", "AIDA1")]].concat()), "AIDA1");
        assert_eq!(sender(&CONFLICT[..6]), Value::Null, "the function itself is no answer");
        assert_eq!(sender(&[("sender_id", "a producer's own")]), "AROA1:order-processor");
    }

    #[test]
    fn letters_stand_in_the_order_of_their_queue() {
        use MessageSystemAttributeName::{SentTimestamp, SequenceNumber};
        let letter = |id: &str, number: &str, sent: &str| {
            let message = Message::builder().message_id(id).attributes(SentTimestamp, sent);
            Letter::read(message.attributes(SequenceNumber, number).build())
        };
        let all = [letter("b", "9", "3"), letter("c", "10", "1"), letter("a", "", "2"), letter("d", "", "1")];
        let mut ordered: Vec<&Letter> = all.iter().collect();
        ordered.sort_by_key(|letter| letter.place());
        assert_eq!(ordered.iter().map(|letter| letter.message_id.as_str()).collect::<String>(), "dabc");
    }

    #[test]
    fn what_sqs_moved_is_its_producers_altogether() {
        let from = MessageSystemAttributeName::DeadLetterQueueSourceArn;
        let moved = Letter::read(message(&CONFLICT).attributes(from, "arn:aws:sqs:orders").build());
        assert_eq!((moved.content.reason, moved.order_id()), (Reason::Exhausted, None));
        assert_eq!(moved.producers_attributes().len(), CONFLICT.len());
        assert_eq!(moved.summary()["detail"], Value::Null);
        assert_eq!(conflict().summary()["detail"], "why");
    }
}
