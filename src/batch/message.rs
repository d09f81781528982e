//! A record of the event, read: the order in it, or why there is none.

use std::panic::catch_unwind;

use aws_lambda_events::event::sqs::SqsMessage;
use tokio::time::Instant;

use crate::clock::UnixMillis;
use crate::order::{Fingerprint, Invalid, Order, OrderId};
use crate::trace::TraceHeader;

/// A record of the event.
pub(super) struct Message<'e> {
    /// Empty if the event has none; then the record cannot fail alone.
    pub(super) message_id: &'e str,
    pub(super) body: &'e str,
    pub(super) receipt_handle: Option<&'e str>,
    pub(super) source_arn: Option<&'e str>,
    /// `ApproximateReceiveCount`, from 1.
    pub(super) receive_count: u32,
    pub(super) sent_at: Option<UnixMillis>,
    /// `SenderId`: an account, or the ID of a user or role.
    pub(super) sender: Option<&'e str>,
    /// The message group, of a FIFO queue only: standard queues may carry one too, and it decides nothing.
    pub(super) group: Option<&'e str>,
    pub(super) order: Result<Order, Unread>,
    pub(super) trace: Option<TraceHeader>,
    pub(super) started: Instant,
}

/// Why a record has no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unread {
    Invalid(Invalid),
    /// The parser panicked: nothing is known of the order, least of all that it is invalid.
    Panicked,
}

/// Reads a body.
pub(super) type Parser = fn(&str) -> Result<Order, Invalid>;

impl<'e> Message<'e> {
    pub(super) fn read(record: &'e SqsMessage) -> Self {
        Message::read_by(Order::parse, record)
    }

    pub(super) fn read_by(parse: Parser, record: &'e SqsMessage) -> Self {
        let attribute = |name: &str| record.attributes.get(name).map(String::as_str);
        let source_arn = record.event_source_arn.as_deref();
        let fifo = source_arn.is_some_and(|arn| arn.ends_with(".fifo"));
        let body = record.body.as_deref().unwrap_or_default();
        // A mistake in a parser must not cost the other records of the batch their response.
        let read = catch_unwind(|| (parse(body), attribute("AWSTraceHeader").and_then(TraceHeader::parse)));
        let (order, trace) = match read {
            Ok((order, trace)) => (order.map_err(Unread::Invalid), trace),
            Err(_) => (Err(Unread::Panicked), None),
        };
        Message {
            message_id: record.message_id.as_deref().unwrap_or_default(),
            body,
            receipt_handle: record.receipt_handle.as_deref(),
            source_arn,
            receive_count: attribute("ApproximateReceiveCount").and_then(|n| n.parse().ok()).unwrap_or(1),
            sent_at: attribute("SentTimestamp").and_then(|millis| millis.parse().ok()).map(UnixMillis),
            sender: attribute("SenderId").filter(|sender| !sender.is_empty()),
            group: if fifo { attribute("MessageGroupId") } else { None },
            order,
            trace,
            started: Instant::now(),
        }
    }

    /// The order that is meant, as far as a valid ID could be read.
    pub(super) fn order_id(&self) -> Option<&OrderId> {
        match &self.order {
            Ok(order) => Some(&order.id),
            Err(Unread::Invalid(invalid)) => invalid.order_id.as_ref(),
            Err(Unread::Panicked) => None,
        }
    }

    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.order.as_ref().ok().map(Order::fingerprint)
    }
}
