//! From a claimed order to its answer: claim -> due step -> checkpoint -> ... -> finish. The only loop.

mod steps;

use std::time::Duration;

use crate::budget::Budget;
use crate::clock::{Clock, UnixMillis};
use crate::order::{Fingerprint, Order};
use crate::protocol::{self, Claimant, Existing};
use crate::random::Random;
use crate::record::{Owner, Record, Status};
use crate::services::{Connected, Service};
use crate::store::{Store, StoreError, Written};
use crate::workflow::Workflow;

/// What the processor decides by.
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

/// An order placed further in the future than this is not claimed: a producer's clock is that far off.
pub const MAX_FUTURE: Duration = Duration::from_secs(3600);

/// Runs orders.
pub struct Processor {
    store: Store,
    workflow: Workflow,
    services: Vec<Option<Box<dyn Service>>>,
    rules: Rules,
    clock: Clock,
    random: Random,
}

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

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// What became of it.
    pub disposition: Disposition,
    /// Claims and takeovers of the order so far, if it was owned.
    pub attempt: Option<u64>,
    /// Whether another worker's lease was taken over.
    pub took_over: bool,
}

impl From<Disposition> for Handled {
    fn from(disposition: Disposition) -> Self {
        Handled { disposition, attempt: None, took_over: false }
    }
}

/// How often a takeover is tried again because another worker was faster. Each try means that somebody else made
/// progress, so a few are plenty.
const MAX_RACES: usize = 3;

enum Owned {
    Mine(Box<Record>),
    Not(Disposition),
}

impl Processor {
    /// A processor of the table's orders, with the steps they take.
    pub fn new(store: Store, steps: Vec<Connected>, rules: Rules, clock: Clock, random: Random) -> Self {
        let (definitions, services) = steps.into_iter().unzip();
        Processor { store, workflow: Workflow::new(definitions), services, rules, clock, random }
    }

    /// Brings the order as far as it goes within the budget.
    pub async fn handle(&self, delivery: Delivery<'_>, budget: &Budget) -> Handled {
        if !budget.is_enough() {
            return Disposition::Deferred.into();
        }
        let claimant = self.claimant(budget);
        let owned = match self.own(delivery, &claimant, budget).await {
            Ok(Owned::Mine(record)) => *record,
            Ok(Owned::Not(disposition)) => return disposition.into(),
            Err(error) => return Disposition::Retry { why: error.to_string() }.into(),
        };
        let (attempt, took_over) = (Some(owned.attempts), owned.attempts > 1);
        let disposition = self.advance(delivery, owned, budget).await;
        Handled { disposition, attempt, took_over }
    }

    /// Whether SQS delivers a message no more that it has delivered so often.
    pub fn is_last(&self, receive_count: u32) -> bool {
        receive_count >= self.rules.max_receive_count
    }

    fn claimant(&self, budget: &Budget) -> Claimant {
        Claimant { owner: Owner(self.random.name()), lease_until: budget.deadline() + self.rules.lease_grace }
    }

    /// Claims the order, or takes it over, or says why not.
    async fn own(
        &self,
        delivery: Delivery<'_>,
        claimant: &Claimant,
        budget: &Budget,
    ) -> Result<Owned, StoreError> {
        let order = delivery.order;
        let out_of_window = self.out_of_window(order);
        let mut found = if out_of_window.is_none() && delivery.may_claim {
            let claim = protocol::claim(&self.workflow, order, claimant, self.clock.now());
            match self.store.write(&claim, budget.write()).await? {
                Written::Applied(record) => return Ok(Owned::Mine(record)),
                Written::Refused(found) => found.map(|record| *record),
                Written::Short(_) => None,
            }
        } else {
            self.store.find(&order.id, budget.write()).await?
        };
        let unknown = found.is_none();
        let fingerprint = order.fingerprint();
        for _ in 0..MAX_RACES {
            let Some(record) = found.take() else { break };
            let now = self.clock.now();
            let seen = match protocol::on_existing(record, &claimant.owner, &fingerprint, now) {
                Existing::Lapsed(seen) => seen,
                Existing::Mine(record) => return Ok(Owned::Mine(Box::new(record))),
                other => return Ok(Owned::Not(not_mine(other))),
            };
            let take_over = protocol::take_over(&seen, claimant, now);
            match self.store.write(&take_over, budget.write()).await? {
                Written::Applied(record) => return Ok(Owned::Mine(record)),
                Written::Refused(record) => found = record.map(|record| *record),
                Written::Short(_) => {}
            }
        }
        Ok(Owned::Not(
            out_of_window
                .filter(|_| unknown)
                .unwrap_or(Disposition::Retry { why: "the order has no record".to_owned() }),
        ))
    }

    fn out_of_window(&self, order: &Order) -> Option<Disposition> {
        let now = self.clock.now();
        if now.since(order.placed_at) > self.rules.max_order_age {
            return Some(Disposition::Stale);
        }
        (order.placed_at > now + MAX_FUTURE).then_some(Disposition::Future)
    }
}

fn not_mine(existing: Existing) -> Disposition {
    match existing {
        Existing::Conflict { stored } => Disposition::Conflict { stored },
        Existing::Finished { result } => Disposition::Finished { now: None, result },
        Existing::Parked => Disposition::Parked { reason: None },
        Existing::Busy { until } => Disposition::Busy { until },
        Existing::UnknownVersion(version) => {
            Disposition::Retry { why: format!("workflow version {version} is not known to this code") }
        }
        Existing::Mine(_) | Existing::Lapsed(_) => {
            Disposition::Retry { why: "the order was not owned".to_owned() }
        }
    }
}
