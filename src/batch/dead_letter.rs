//! A message that will never be an order, with the reason, for people.

use sha2::{Digest, Sha256};

use super::message::Message;
use crate::letter::{Reason, attribute};
use crate::order::{Fingerprint, Invalid, Order, hex, mask_card_numbers, mask_message};
use crate::queue::Outgoing;

/// The most bytes of the attributes that are texts of others.
const MAX_TEXT_BYTES: usize = 256;

/// What goes to the dead-letter queue.
pub(super) struct DeadLetter {
    pub(super) reason: Reason,
    /// Which field, for the log.
    pub(super) place: String,
    pub(super) message: Outgoing,
}

impl DeadLetter {
    pub(super) fn invalid(message: &Message<'_>, invalid: &Invalid) -> Self {
        let body = sendable(&mask_message(message.body));
        DeadLetter::new(
            Reason::Invalid,
            message,
            body,
            &invalid.to_string(),
            Vec::new(),
            invalid.known_place(),
        )
    }

    pub(super) fn conflict(message: &Message<'_>, order: &Order, stored: &Fingerprint) -> Self {
        let prints = vec![
            (attribute::FINGERPRINT, order.fingerprint().to_string()),
            (attribute::STORED_FINGERPRINT, stored.to_string()),
        ];
        let detail = "another order was there first under the same order_id";
        DeadLetter::new(Reason::Conflict, message, message.body.to_owned(), detail, prints, "order_id")
    }

    pub(super) fn stale(message: &Message<'_>, order: &Order) -> Self {
        let detail = format!(
            "placed_at {} is too long ago, and there is no record of the order",
            order.placed_at.to_rfc3339()
        );
        DeadLetter::new(Reason::Stale, message, message.body.to_owned(), &detail, Vec::new(), "placed_at")
    }

    pub(super) fn future(message: &Message<'_>, order: &Order) -> Self {
        let detail = format!(
            "placed_at {} is more than an hour in the future, and there is no record of the order",
            order.placed_at.to_rfc3339()
        );
        DeadLetter::new(Reason::Future, message, message.body.to_owned(), &detail, Vec::new(), "placed_at")
    }

    fn new(
        reason: Reason,
        message: &Message<'_>,
        body: String,
        detail: &str,
        more: Vec<(&'static str, String)>,
        place: &str,
    ) -> Self {
        let order_id = message.order_id().map(ToString::to_string);
        let mut attributes = vec![
            (attribute::REASON, reason.name().to_owned()),
            (attribute::DETAIL, printable(&mask_card_numbers(detail))),
            (attribute::SOURCE_MESSAGE_ID, message.message_id.to_owned()),
        ];
        attributes.extend(order_id.clone().map(|id| (attribute::ORDER_ID, id)));
        attributes.extend(message.sender.map(|sender| (attribute::SENDER_ID, printable(sender))));
        attributes.extend(more);
        let group = order_id.unwrap_or_else(|| "invalid".to_owned());
        // An event that comes from elsewhere may name no message; then the content tells one from another.
        let source = if message.message_id.is_empty() { message.body } else { message.message_id };
        let deduplication = hex(&Sha256::digest(format!("{source}|{}", reason.name())));
        DeadLetter {
            reason,
            place: place.to_owned(),
            message: Outgoing { body, attributes, group, deduplication },
        }
    }
}

/// SQS takes no empty body, and only the characters of XML 1.0. A queue's own messages are always so, but an
/// event may come from elsewhere.
fn sendable(body: &str) -> String {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    let body: String = body.chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect();
    if body.is_empty() { " ".to_owned() } else { body }
}

fn printable(text: &str) -> String {
    let printable = text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' });
    printable.take(MAX_TEXT_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_printable_and_at_most_256_bytes() {
        assert_eq!(printable("é\n\u{7f}ok"), "???ok");
        assert_eq!(printable(&"x".repeat(256)).len(), 256);
        assert_eq!(printable(&"é".repeat(257)).len(), 256);
    }

    #[test]
    fn a_body_is_never_empty_and_has_only_what_sqs_takes() {
        assert_eq!(sendable(""), " ");
        assert_eq!(sendable("a\u{0}\u{ffff}\u{1f600}\n"), "a\u{fffd}\u{fffd}\u{1f600}\n");
    }
}
