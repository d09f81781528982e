//! A dead letter as people find it: on whose word it is there, what it would come to now, and whether it can ever do
//! anything. Pure.
//!
//! Two questions that are not the same. A redrive asks whether the message would only come back *now*. Who deletes it asks
//! whether it can *never* run: an order that is placed in the future, or that only a newer function can read, is neither
//! answered nor hopeless.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::UnixMillis;
use crate::delivery::{Disposition, out_of_window};
use crate::order::{Order, OrderId, named_orders};
use crate::protocol::{Existing, on_existing};
use crate::record::{Owner, Record, Status};
use crate::workflow::Workflow;

/// The message attributes that the function gives a dead letter.
pub mod attribute {
    /// Why it is there: see [`super::Reason`].
    pub const REASON: &str = "reason";
    /// What exactly, for people.
    pub const DETAIL: &str = "detail";
    /// The ID of the message that was received.
    pub const SOURCE_MESSAGE_ID: &str = "source_message_id";
    /// Which order is meant, where a valid ID could be read.
    pub const ORDER_ID: &str = "order_id";
    /// Who sent the message that was received, as SQS says it: `SenderId`.
    pub const SENDER_ID: &str = "sender_id";
    /// Of a conflict: the fingerprint of the message.
    pub const FINGERPRINT: &str = "fingerprint";
    /// Of a conflict: that of the order that was there first.
    pub const STORED_FINGERPRINT: &str = "stored_fingerprint";
}

/// Why a message is in the dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No valid order: the function's word.
    Invalid,
    /// Another order was there first under the same ID: the function's word.
    Conflict,
    /// Placed too long ago, and not known: the function's word.
    Stale,
    /// Placed in the future, and not known: the function's word.
    Future,
    /// The function said nothing: SQS moved it after its last receive, or somebody put it there.
    Exhausted,
}

impl Reason {
    /// All of them, the function's own first.
    pub const ALL: [Reason; 5] =
        [Reason::Invalid, Reason::Conflict, Reason::Stale, Reason::Future, Reason::Exhausted];

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

    /// The one that the attribute has so.
    pub fn named(name: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// The attributes without which a letter is not the function's.
    fn given(self) -> &'static [&'static str] {
        use attribute::{DETAIL, FINGERPRINT, REASON, SOURCE_MESSAGE_ID, STORED_FINGERPRINT};
        match self {
            Reason::Invalid | Reason::Stale | Reason::Future => &[REASON, DETAIL, SOURCE_MESSAGE_ID],
            Reason::Conflict => &[REASON, DETAIL, SOURCE_MESSAGE_ID, FINGERPRINT, STORED_FINGERPRINT],
            Reason::Exhausted => &[],
        }
    }

    /// Whether the function gave a letter of this reason the attribute `name`; any other is its producer's.
    pub fn is_given(self, name: &str) -> bool {
        let by_the_function = self != Reason::Exhausted;
        by_the_function
            && ([attribute::ORDER_ID, attribute::SENDER_ID].contains(&name) || self.given().contains(&name))
    }

    /// On whose word a message with these string attributes is there.
    ///
    /// A producer may use the same names. SQS says of what it moved itself where it came from, and moves all of the
    /// producer's attributes along; so those speak for the function only in a message that SQS did not move, and only
    /// all of them together.
    fn of(attributes: &BTreeMap<String, String>, moved_by_queue: bool) -> Reason {
        let is_there = |name: &&str| attributes.get(*name).is_some_and(|value| !value.is_empty());
        let named = attributes.get(attribute::REASON).filter(|_| !moved_by_queue);
        let said = named.and_then(|named| Reason::named(named));
        said.filter(|reason| reason.given().iter().all(is_there)).unwrap_or(Reason::Exhausted)
    }
}

/// A dead letter, read.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Why it is there.
    pub reason: Reason,
    /// The order, if this code can read it.
    pub order: Option<Order>,
    /// Which orders are meant, as far as valid IDs can be read: that of the order; else the one that the function told,
    /// and all that stand in the body.
    pub ids: Vec<OrderId>,
}

impl Letter {
    /// From its body and its string attributes. `moved_by_queue` is whether SQS says that it was moved from another
    /// queue (`DeadLetterQueueSourceArn`).
    pub fn read(body: &str, attributes: &BTreeMap<String, String>, moved_by_queue: bool) -> Letter {
        let reason = Reason::of(attributes, moved_by_queue);
        let (order, mut ids) = match Order::parse(body) {
            Ok(order) => (Some(order.clone()), vec![order.id]),
            Err(invalid) => {
                let told = attributes.get(attribute::ORDER_ID).filter(|_| reason != Reason::Exhausted);
                let told = told.and_then(|id| id.parse().ok());
                (None, invalid.order_id.into_iter().chain(told).chain(named_orders(body)).collect())
            }
        };
        let mut seen = Vec::new();
        ids.retain(|id: &OrderId| {
            !seen.contains(id) && {
                seen.push(id.clone());
                true
            }
        });
        Letter { reason, order, ids }
    }

    /// The order that is meant first of all.
    pub fn order_id(&self) -> Option<&OrderId> {
        self.ids.first()
    }
}

/// What a message would come to if it were delivered now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prospect {
    /// It is no valid order.
    Invalid,
    /// This code cannot read it, or not what is on record under its ID; the deployed function may be newer.
    Unreadable,
    /// The order is finished: its answer is all there is to get.
    AnsweredAlready,
    /// The order is parked, and its record keeps its message.
    Parked,
    /// The order is parked without its message: the function would acknowledge this one, and nobody had it any more.
    ParkedWithoutMessage,
    /// A worker owns the order until then, at most.
    InProgress(UnixMillis),
    /// The order is of a workflow that this code does not know.
    UnknownVersion(u32),
    /// The order goes on.
    Resume {
        /// At which step.
        step: String,
    },
    /// Another order has this ID.
    Conflict,
    /// It was placed too long ago to be claimed.
    Stale {
        /// Whether that is sure: the function said it, or said how old an order may be.
        sure: bool,
    },
    /// It is placed in the future.
    Future,
    /// It runs as a new order.
    Run,
    /// The record that decides cannot be read.
    Unknown(String),
}

impl Prospect {
    /// For programs.
    pub fn name(&self) -> &'static str {
        match self {
            Prospect::Invalid => "invalid",
            Prospect::Unreadable => "unreadable",
            Prospect::AnsweredAlready => "answered_already",
            Prospect::Parked | Prospect::ParkedWithoutMessage => "parked",
            Prospect::InProgress(_) => "in_progress",
            Prospect::UnknownVersion(_) => "unknown_version",
            Prospect::Resume { .. } => "resume",
            Prospect::Conflict => "conflict",
            Prospect::Stale { .. } => "stale",
            Prospect::Future => "future",
            Prospect::Run => "run",
            Prospect::Unknown(_) => "unknown",
        }
    }
}

/// A letter's prospect, and what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What it would come to now.
    pub prospect: Prospect,
    /// A redrive would only bring it back now.
    pub comes_back: bool,
    /// No order is lost with it, now or later: its order is answered, or it can never run.
    pub settled: bool,
}

impl Judgement {
    /// The record that decides cannot be read, for this reason.
    pub fn unknown(why: impl Into<String>) -> Self {
        Judgement { prospect: Prospect::Unknown(why.into()), comes_back: false, settled: false }
    }

    /// Whether it may be sent to the queue of orders without losing the order.
    pub fn may_be_sent(&self) -> bool {
        !matches!(self.prospect, Prospect::ParkedWithoutMessage | Prospect::Unknown(_))
    }
}

/// By what letters are judged.
#[derive(Debug, Clone)]
pub struct Judge {
    /// The law of the steps.
    pub workflow: Workflow,
    /// The age beyond which the function claims no order as new, if it has told.
    pub max_age: Option<Duration>,
}

/// The function's own default of `MAX_ORDER_AGE_DAYS`, where it has not told.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(21 * 24 * 3600);
/// By so much at least an answer is kept for longer than an order may be old: both are whole days, and the function does
/// not start otherwise.
const KEPT_LONGER: Duration = Duration::from_secs(24 * 3600);

impl Judge {
    /// What becomes of `letter`, given the records that there are of [`Letter::ids`], as the function decides it.
    pub fn judge(&self, letter: &Letter, records: &[Record], now: UnixMillis) -> Judgement {
        let prospect = match &letter.order {
            Some(order) => self.prospect(letter.reason, order, records.first(), now),
            None if letter.reason == Reason::Invalid => Prospect::Invalid,
            None => Prospect::Unreadable,
        };
        // The function may read more than this code, and then it is a message of that order to it.
        let prospect = match prospect {
            Prospect::Invalid | Prospect::Unreadable if records.iter().any(is_parked_without_message) => {
                Prospect::ParkedWithoutMessage
            }
            prospect => prospect,
        };
        let said = matches!(letter.reason, Reason::Invalid | Reason::Conflict | Reason::Stale);
        use Prospect::{Conflict, Future, Invalid, Stale};
        Judgement {
            comes_back: said || matches!(prospect, Invalid | Conflict | Stale { .. } | Future),
            settled: self.is_settled(&prospect, letter, records, now),
            prospect,
        }
    }

    fn prospect(&self, reason: Reason, order: &Order, found: Option<&Record>, now: UnixMillis) -> Prospect {
        let Some(found) = found else { return self.unclaimed(reason, order, now) };
        let kept = found.order.is_some();
        let (nobody, print) = (Owner(String::new()), order.fingerprint());
        match on_existing(&self.workflow, found.clone(), &nobody, &print, now) {
            Existing::Conflict { stored } if reason != Reason::Conflict && !print.is_comparable(&stored) => {
                Prospect::Unreadable
            }
            Existing::Conflict { .. } => Prospect::Conflict,
            Existing::Finished { .. } => Prospect::AnsweredAlready,
            Existing::Parked if kept => Prospect::Parked,
            Existing::Parked => Prospect::ParkedWithoutMessage,
            Existing::Busy { until } => Prospect::InProgress(until),
            Existing::UnknownVersion(version) => Prospect::UnknownVersion(version),
            Existing::Mine(record) | Existing::Lapsed(record) => Prospect::Resume { step: record.step },
        }
    }

    /// What an order comes to that has no record.
    fn unclaimed(&self, reason: Reason, order: &Order, now: UnixMillis) -> Prospect {
        match out_of_window(order, self.max_age.unwrap_or(DEFAULT_MAX_AGE), now) {
            Some(Disposition::Stale) => {
                Prospect::Stale { sure: reason == Reason::Stale || self.max_age.is_some() }
            }
            Some(_) => Prospect::Future,
            None => Prospect::Run,
        }
    }

    fn is_settled(&self, prospect: &Prospect, letter: &Letter, records: &[Record], now: UnixMillis) -> bool {
        match prospect {
            Prospect::AnsweredAlready => true,
            // The function said so. But a newer one may have begun with the order by another message.
            Prospect::Invalid => records.iter().all(|record| record.status.is_finished()),
            Prospect::Stale { sure } => *sure,
            Prospect::Conflict => {
                let placed_at = letter.order.as_ref().map_or(UnixMillis(u64::MAX), |order| order.placed_at);
                records.iter().all(|record| self.is_outlived(placed_at, record, now))
            }
            _ => false,
        }
    }

    /// Whether an order that was placed at that moment is too old to be claimed before `record` can be gone.
    fn is_outlived(&self, placed_at: UnixMillis, record: &Record, now: UnixMillis) -> bool {
        match (record.status.is_finished(), record.expires_at, self.max_age) {
            (true, None, _) => true,
            (true, Some(expires_at), Some(max_age)) => (placed_at + max_age).to_seconds() < expires_at,
            (true, Some(_), None) => placed_at < record.updated_at_ms + KEPT_LONGER,
            (false, ..) => placed_at < now + KEPT_LONGER,
        }
    }
}

fn is_parked_without_message(record: &Record) -> bool {
    record.status == Status::Parked && record.order.is_none()
}

#[cfg(test)]
mod tests;
