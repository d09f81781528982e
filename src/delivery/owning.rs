//! Whose the order is: claimed, taken over, or somebody else's.

use std::time::Duration;

use super::owned::Owned;
use super::{Command, Disposition, Event, Job, MAX_FUTURE, Moment, Next, Stage, end, mismatch};
use crate::clock::UnixMillis;
use crate::order::Order;
use crate::protocol::{self, Existing, Written};
use crate::record::{RELEASED, Record};

/// How often a takeover is tried again because another worker was faster. Each try means that somebody else made
/// progress, so a few are plenty.
const MAX_RACES: u8 = 3;

/// On the way to owning the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Owning {
    /// It may not be claimed as new, so its record is looked for.
    Looking,
    /// The claim is written.
    Claiming,
    /// A takeover is written, for the so-manieth time, from an owner that has released the order or not.
    TakingOver { races: u8, released: bool },
}

/// A message that may be a new order is claimed at once: the refusal brings back what is there.
pub(super) fn begin(job: &Job<'_>, moment: Moment) -> Next {
    if moment.call.is_none() {
        return end(Disposition::Deferred);
    }
    if !job.delivery.may_claim || job.out_of_window(moment).is_some() {
        return (Stage::Owning(Owning::Looking), Command::Find);
    }
    let claim = protocol::claim(job.workflow, job.delivery.order, job.claimant, moment.now);
    (Stage::Owning(Owning::Claiming), Command::Write(Box::new(claim)))
}

impl Owning {
    pub(super) fn next(self, job: &Job<'_>, event: Event, moment: Moment) -> Next {
        match (self, event) {
            (_, Event::NoAnswer(why)) => end(Disposition::Retry { why }),
            (Owning::Looking, Event::Found(None)) => end(job
                .out_of_window(moment)
                .unwrap_or(Disposition::Retry { why: "the order has no record".to_owned() })),
            (Owning::Looking, Event::Found(Some(record))) => self.on_record(job, *record, moment),
            (Owning::Claiming | Owning::TakingOver { .. }, Event::Written(Written::Applied(record))) => {
                Owned::begin(job, *record, self.takes_over(), moment)
            }
            (
                Owning::Claiming | Owning::TakingOver { .. },
                Event::Written(Written::Refused(Some(record))),
            ) => self.on_record(job, *record, moment),
            (Owning::Claiming | Owning::TakingOver { .. }, Event::Written(Written::Refused(None))) => {
                end(Disposition::Retry { why: "the order has no record".to_owned() })
            }
            (owning, event) => end(mismatch(&event, owning.what())),
        }
    }

    fn what(self) -> &'static str {
        match self {
            Owning::Looking => "the order was looked for",
            Owning::Claiming => "the order was claimed",
            Owning::TakingOver { .. } => "the order was taken over",
        }
    }

    fn takes_over(self) -> bool {
        matches!(self, Owning::TakingOver { released: false, .. })
    }

    /// There is a record.
    fn on_record(self, job: &Job<'_>, record: Record, moment: Moment) -> Next {
        let races = match self {
            Owning::TakingOver { races, .. } => races,
            Owning::Looking | Owning::Claiming => 0,
        };
        let fingerprint = job.delivery.order.fingerprint();
        match protocol::on_existing(job.workflow, record, &job.claimant.owner, &fingerprint, moment.now) {
            Existing::Mine(record) => Owned::begin(job, record, self.takes_over(), moment),
            Existing::Lapsed(_) if races == MAX_RACES => {
                end(Disposition::Retry { why: "other workers were faster".to_owned() })
            }
            Existing::Lapsed(seen) => {
                let take_over = protocol::take_over(job.workflow, &seen, job.claimant, moment.now);
                let released = seen.lease_until_ms == Some(RELEASED);
                let taking_over = Owning::TakingOver { races: races + 1, released };
                (Stage::Owning(taking_over), Command::Write(Box::new(take_over)))
            }
            Existing::Conflict { stored } => end(Disposition::Conflict { stored }),
            Existing::Finished { result } => end(Disposition::Finished { now: None, result }),
            Existing::Parked => end(Disposition::Parked { reason: None }),
            Existing::Busy { until } => end(Disposition::Busy { until }),
            Existing::UnknownVersion(version) => end(Disposition::Retry {
                why: format!("workflow version {version} is not known to this code"),
            }),
        }
    }
}

/// Why an order must not be claimed as new, if so: it was placed longer ago than `max_age`, or in the future.
pub fn out_of_window(order: &Order, max_age: Duration, now: UnixMillis) -> Option<Disposition> {
    if now.since(order.placed_at) > max_age {
        return Some(Disposition::Stale);
    }
    (order.placed_at > now + MAX_FUTURE).then_some(Disposition::Future)
}
