//! One delivery of an order's message, from the claim to its end: what is done next, given what came of the last. Pure.
//!
//! [`Course::next`] decides and does nothing; [`crate::processor`] does as it is told and decides nothing. So a model
//! checker that plays the table and the callees runs the decisions that ship.

mod owned;
mod owning;

use std::time::Duration;

use crate::clock::UnixMillis;
use crate::order::{Fingerprint, Order};
use crate::protocol::{Claimant, Write, Written};
use crate::record::{Outcome, Record, Refusal, Status};
use crate::workflow::{Position, Workflow};
use owned::Owned;
use owning::Owning;
pub use owning::out_of_window;

/// What is decided by.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long an answer is kept.
    pub retention: Duration,
    /// An order placed longer ago than this is not claimed as new.
    pub max_order_age: Duration,
    /// On this receive of a message, a transient failure parks the order.
    pub max_receive_count: u32,
    /// From Lambda's deadline to the end of the lease.
    pub lease_grace: Duration,
}

impl Rules {
    /// Whether SQS delivers a message no more that it has delivered so often.
    pub fn is_last(&self, receive_count: u32) -> bool {
        receive_count >= self.max_receive_count
    }
}

/// An order placed further in the future than this is not claimed: a producer's clock is that far off.
pub const MAX_FUTURE: Duration = Duration::from_secs(3600);

/// One delivery of an order's message.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The order.
    pub order: &'a Order,
    /// The body it was read from.
    pub message: &'a str,
    /// How often SQS has delivered this message.
    pub receive_count: u32,
    /// Whether the order may be claimed as new. Not if the batch had another message of the same ID before.
    pub may_claim: bool,
}

/// A delivery, who handles it, and by what.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The law of the steps.
    pub workflow: &'a Workflow,
    /// The rules.
    pub rules: &'a Rules,
    /// The delivery.
    pub delivery: Delivery<'a>,
    /// Who would own the order.
    pub claimant: &'a Claimant,
}

impl Job<'_> {
    fn out_of_window(&self, moment: Moment) -> Option<Disposition> {
        out_of_window(self.delivery.order, self.rules.max_order_age, moment.now)
    }
}

/// What a decision may know of the time.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The present.
    pub now: UnixMillis,
    /// How long a call may take, if there is time for one and for its checkpoint.
    pub call: Option<Duration>,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// One consistent read of the order's record.
    Find,
    /// This write.
    Write(Box<Write>),
    /// This call.
    Call(Box<Due>),
    /// Nothing more.
    End(Handled),
}

/// The call of a step or an undo that is due.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Due {
    /// Of which step, and in which direction.
    pub position: Position,
    /// The order as its owner knows it.
    pub held: Record,
    /// `<order_id>:<step>`: by this the callee recognises a repeat.
    pub key: String,
    /// How long ago the callee may have seen the key for the first time.
    pub key_age: Duration,
    /// Why the order is rejected, on the way back.
    pub refusal: Option<Refusal>,
    /// When the call must have ended.
    pub timeout: Duration,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// The record that was found, or that there is none.
    Found(Option<Box<Record>>),
    /// What came of the write.
    Written(Written),
    /// How the call ended.
    Called(Ending),
    /// The table gave no answer, or none that tells. The write may have been applied, and may yet be.
    NoAnswer(String),
}

/// How a call can end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It took effect.
    Done(Outcome),
    /// It was refused for good, and took no effect.
    Refused(Refusal),
    /// It may have taken effect or not; repeat it later under the same key.
    Unavailable(String),
    /// It may have taken effect or not, and it must not be repeated.
    Unknown(String),
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// The order is finished, by this delivery or by an earlier one.
    Finished {
        /// COMPLETED or REJECTED, if this delivery finished it; `None` for a duplicate.
        now: Option<Status>,
        /// The answer.
        result: String,
    },
    /// Parked, by this delivery (with the reason) or by an earlier one.
    Parked {
        /// Why, if it was parked now.
        reason: Option<String>,
    },
    /// Another worker owns the order.
    Busy {
        /// Until when, at most.
        until: UnixMillis,
    },
    /// Another order under the same ID was there first.
    Conflict {
        /// That order's fingerprint.
        stored: Fingerprint,
    },
    /// Too old to be claimed, and there is no record.
    Stale,
    /// Placed in the future, and there is no record.
    Future,
    /// To be delivered again later.
    Retry {
        /// Why.
        why: String,
    },
    /// No time left; to be delivered again soon.
    Deferred,
}

/// A delivery's end, with what the log says about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Handled {
    /// What became of it.
    pub disposition: Disposition,
    /// Claims and takeovers of the order so far, if it was owned.
    pub attempt: Option<u64>,
    /// Whether the order was taken over from a worker that had not released it: it died, or ran out of time.
    pub took_over: bool,
    /// Whether the order became somebody else's while it was ours.
    pub lost_lease: bool,
}

/// How far a delivery is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Course(Stage);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Stage {
    /// The order is not, or not yet, ours.
    Owning(Owning),
    /// It is.
    Owned(Box<Owned>),
    /// The last command was to end.
    Over,
}

/// What follows: how far the delivery is then, and what is to be done.
type Next = (Stage, Command);

impl Course {
    /// A delivery arrives.
    pub fn begin(job: &Job<'_>, moment: Moment) -> (Course, Command) {
        let (stage, command) = owning::begin(job, moment);
        (Course(stage), command)
    }

    /// The command came to `event`.
    pub fn next(self, job: &Job<'_>, event: Event, moment: Moment) -> (Course, Command) {
        let (stage, command) = match self.0 {
            Stage::Owning(owning) => owning.next(job, event, moment),
            Stage::Owned(owned) => owned.next(job, event, moment),
            Stage::Over => end(mismatch(&event, "everything was done")),
        };
        (Course(stage), command)
    }

    /// The order as its owner knows it, if it is ours.
    pub fn held(&self) -> Option<&Record> {
        match &self.0 {
            Stage::Owned(owned) => Some(owned.held()),
            Stage::Owning(_) | Stage::Over => None,
        }
    }
}

/// The end of a delivery that never owned the order.
fn end(disposition: Disposition) -> Next {
    (Stage::Over, Command::End(Handled { disposition, attempt: None, took_over: false, lost_lease: false }))
}

/// An answer to another command than was given: whoever drives the course is wrong, and the message must not be lost.
fn mismatch(event: &Event, while_what: &str) -> Disposition {
    let event = match event {
        Event::Found(_) => "the answer of a look-up",
        Event::Written(_) => "the answer of a write",
        Event::Called(_) => "the end of a call",
        Event::NoAnswer(_) => "no answer",
    };
    Disposition::Retry { why: format!("{event} came while {while_what}") }
}

#[cfg(test)]
mod tests;
