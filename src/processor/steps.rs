//! An owned order, step by step.

use super::{Delivery, Disposition, Processor};
use crate::answer;
use crate::budget::Budget;
use crate::clock::UnixMillis;
use crate::protocol::{self, Ending, Refused, Write};
use crate::record::{Outcome, Reason, Record, Refusal, Status};
use crate::services::{self, Call, inventory};
use crate::store::{StoreError, Written};
use crate::workflow::{Effect, Event, Illegal, Move, NoSuchStep, Position, StepId};

/// Why the order is not worked on any more by this delivery.
enum Stop {
    /// Another delivery may go on at the last checkpoint.
    Retry(String),
    /// Nobody knows whether the last write landed: write nothing more, the lease ends by itself.
    Unclear(String),
    /// No time left for the next step.
    Deferred,
    /// A person has to decide.
    Park(String),
    /// The order is somebody else's now.
    Lost(Disposition),
}

/// What a step or undo came to.
enum Settled {
    Done(Outcome),
    Refused(Refusal),
    /// It is done, but the order is to be cancelled.
    Cancelled {
        outcome: Option<Outcome>,
        by: String,
    },
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotApplied(_) | StoreError::Unreadable(_) => Stop::Retry(error.to_string()),
            StoreError::Unknown(_) => Stop::Unclear(error.to_string()),
        }
    }
}

/// What the law forbids has happened all the same: an undo was refused, say. No code can put that right.
impl From<Illegal> for Stop {
    fn from(illegal: Illegal) -> Self {
        Stop::Park(illegal.to_string())
    }
}

impl From<NoSuchStep> for Stop {
    fn from(unknown: NoSuchStep) -> Self {
        Stop::Park(unknown.to_string())
    }
}

impl Processor {
    /// Takes the order from checkpoint to checkpoint until it is finished or cannot go on.
    pub(super) async fn advance(
        &self,
        delivery: Delivery<'_>,
        owned: Record,
        budget: &Budget,
    ) -> Disposition {
        let mut held = owned;
        loop {
            match self.one_step(delivery, &held, budget).await {
                Ok(next) => held = next,
                Err(stop) => return self.stop(delivery, &held, stop, budget).await,
            }
            if let (true, Some(result)) = (held.status.is_finished(), &held.result) {
                return Disposition::Finished { now: Some(held.status), result: result.clone() };
            }
        }
    }

    async fn one_step(&self, delivery: Delivery<'_>, held: &Record, budget: &Budget) -> Result<Record, Stop> {
        let position = self.workflow.position(held.status, &held.step)?;
        match position {
            Position::Forward(id) if self.workflow.step(id).effect == Effect::Stock => {
                self.reserve(delivery, held, id, budget).await
            }
            Position::Forward(_) | Position::Backward(_) => {
                let settled = self.settle(delivery, held, position, budget).await?;
                self.conclude(delivery, held, position, settled, budget).await
            }
        }
    }

    /// The transactional step: refused or cancelled, it has not taken effect.
    async fn reserve(
        &self,
        delivery: Delivery<'_>,
        held: &Record,
        id: StepId,
        budget: &Budget,
    ) -> Result<Record, Stop> {
        let position = Position::Forward(id);
        if let Some(by) = held.cancel_requested.clone() {
            let cancelled = Settled::Cancelled { outcome: None, by };
            return self.conclude(delivery, held, position, cancelled, budget).await;
        }
        let Move::Advance(to) = self.workflow.next(position, Event::Done, &held.outcomes)? else {
            return Err(Stop::Park(format!("{} cannot be the last step", held.step)));
        };
        let write = protocol::reserve(&self.workflow, held, delivery.order, to, self.clock.now());
        let settled = match self.store.write(&write, budget.write()).await? {
            Written::Short(shortage) => Settled::Refused(inventory::refusal(&shortage)),
            Written::Applied(record) => return Ok(*record),
            Written::Refused(found) => match self.refused(&write, found)? {
                Ok(record) => return Ok(record),
                Err(by) => Settled::Cancelled { outcome: None, by },
            },
        };
        self.conclude(delivery, held, position, settled, budget).await
    }

    /// Makes the call that is due, unless its outcome is known already.
    async fn settle(
        &self,
        delivery: Delivery<'_>,
        held: &Record,
        position: Position,
        budget: &Budget,
    ) -> Result<Settled, Stop> {
        let ending = match held.outcomes.get(&held.step) {
            Some(stated) => services::Ending::Done(stated.clone()),
            None => self.call(delivery, held, position, budget.call().ok_or(Stop::Deferred)?).await,
        };
        let cancellable = self.workflow.cancellable().contains(&held.step.as_str());
        match (ending, &held.cancel_requested) {
            (services::Ending::Done(outcome), Some(by))
                if cancellable && held.status == Status::InProgress =>
            {
                Ok(Settled::Cancelled { outcome: Some(outcome), by: by.clone() })
            }
            (services::Ending::Done(outcome), _) => Ok(Settled::Done(outcome)),
            (services::Ending::Refused(refusal), _) => Ok(Settled::Refused(refusal)),
            (services::Ending::Unavailable(why), _) => Err(Stop::Retry(why)),
            (services::Ending::Unknown(why), _) => Err(Stop::Park(why)),
        }
    }

    async fn call(
        &self,
        delivery: Delivery<'_>,
        held: &Record,
        position: Position,
        timeout: std::time::Duration,
    ) -> services::Ending {
        let (Position::Forward(id) | Position::Backward(id)) = position;
        let service = self.workflow.steps().zip(&self.services).find(|((step, _), _)| *step == id);
        let Some(service) = service.and_then(|(_, service)| service.as_deref()) else {
            return services::Ending::Unknown(format!("{} has nothing to call", held.step));
        };
        let call = Call {
            order: delivery.order,
            outcomes: &held.outcomes,
            key: format!("{}:{}", delivery.order.id, held.step),
            key_age: self.clock.now().since(held.keys_since()),
            timeout,
        };
        // The telling step is called in both directions; any other is undone on the way back.
        let started = tokio::time::Instant::now();
        let ending = match (position, self.workflow.step(id).undo) {
            (Position::Backward(_), Some(_)) => service.undo(&call).await,
            _ => service.call(&call).await,
        };
        let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(order_id = %delivery.order.id, step = held.step, latency_ms, "called");
        ending
    }

    /// Writes down what the step came to.
    async fn conclude(
        &self,
        delivery: Delivery<'_>,
        held: &Record,
        position: Position,
        settled: Settled,
        budget: &Budget,
    ) -> Result<Record, Stop> {
        let now = self.clock.now();
        let (write, outcome) = match settled {
            Settled::Done(outcome) => (self.done(delivery, held, position, &outcome, now)?, Some(outcome)),
            Settled::Refused(refusal) => {
                (self.compensate(held, position, Event::Refused, None, &refusal, now)?, None)
            }
            Settled::Cancelled { outcome, by } => {
                let refusal = cancelled(&by);
                (self.compensate(held, position, Event::Cancelled, outcome, &refusal, now)?, None)
            }
        };
        match self.store.write(&write, budget.write()).await? {
            Written::Applied(record) => Ok(*record),
            Written::Short(_) => Err(Stop::Park("stock could not be released".to_owned())),
            Written::Refused(found) => match self.refused(&write, found)? {
                Ok(record) => Ok(record),
                // Only a checkpoint minds a cancellation, so this is the one that it comes back to.
                Err(by) => {
                    let write =
                        self.compensate(held, position, Event::Cancelled, outcome, &cancelled(&by), now)?;
                    self.must_write(&write, budget).await
                }
            },
        }
    }

    async fn must_write(&self, write: &Write, budget: &Budget) -> Result<Record, Stop> {
        match self.store.write(write, budget.write()).await? {
            Written::Applied(record) => Ok(*record),
            Written::Short(_) => Err(Stop::Park("stock could not be moved".to_owned())),
            Written::Refused(found) => match self.refused(write, found)? {
                Ok(record) => Ok(record),
                Err(_) => Err(Stop::Retry("the order was cancelled in between".to_owned())),
            },
        }
    }

    /// The write after a step that took effect.
    fn done(
        &self,
        delivery: Delivery<'_>,
        held: &Record,
        position: Position,
        outcome: &Outcome,
        now: UnixMillis,
    ) -> Result<Write, Illegal> {
        let outcomes = held.outcomes.with(&held.step, outcome.clone());
        let to = |to| protocol::checkpoint(&self.workflow, held, outcome.clone(), to, now);
        let end = |status, result| {
            let ending = Ending {
                status,
                result,
                retention: self.rules.retention,
                placed_at: delivery.order.placed_at,
            };
            protocol::finish(&self.workflow, held, outcome.clone(), &ending, now)
        };
        Ok(match self.workflow.next(position, Event::Done, &outcomes)? {
            Move::Advance(id) => to(Position::Forward(id)),
            Move::Retreat(id) | Move::Compensate(id) => to(Position::Backward(id)),
            Move::Complete => end(Status::Completed, answer::completed(delivery.order, &outcomes, now)),
            Move::Reject => {
                let refusal = outcomes.refusal().unwrap_or_else(|| cancelled("an operator"));
                end(Status::Rejected, answer::rejected(delivery.order, &refusal, now))
            }
        })
    }

    fn compensate(
        &self,
        held: &Record,
        position: Position,
        event: Event,
        settled: Option<Outcome>,
        refusal: &Refusal,
        now: UnixMillis,
    ) -> Result<Write, Illegal> {
        let outcomes = match &settled {
            Some(outcome) => held.outcomes.with(&held.step, outcome.clone()),
            None => held.outcomes.clone(),
        };
        match self.workflow.next(position, event, &outcomes)? {
            Move::Compensate(to) => {
                Ok(protocol::begin_compensation(&self.workflow, held, settled, refusal, to, now))
            }
            _ => Err(Illegal { position: held.step.clone(), event }),
        }
    }

    /// What a refused write means: the record to go on with, or who asked to cancel.
    fn refused(&self, write: &Write, found: Option<Box<Record>>) -> Result<Result<Record, String>, Stop> {
        match (protocol::on_refused(write, found.as_deref()), found) {
            (Refused::Written, Some(record)) => Ok(Ok(*record)),
            (Refused::Cancelled { by }, _) => Ok(Err(by)),
            (Refused::Finished { result }, _) => Err(Stop::Lost(Disposition::Finished { now: None, result })),
            (Refused::Lost { until: Some(until) }, _) if until > self.clock.now() => {
                Err(Stop::Lost(Disposition::Busy { until }))
            }
            _ => Err(Stop::Lost(Disposition::Retry { why: "the lease is lost".to_owned() })),
        }
    }

    /// Leaves the order so that whoever comes next can go on.
    async fn stop(&self, delivery: Delivery<'_>, held: &Record, stop: Stop, budget: &Budget) -> Disposition {
        let last = delivery.receive_count >= self.rules.max_receive_count;
        match stop {
            Stop::Lost(disposition) => disposition,
            Stop::Deferred => {
                self.give_up(held, budget).await;
                Disposition::Deferred
            }
            Stop::Retry(_) | Stop::Unclear(_) if last => {
                self.park(delivery, held, "retries_exhausted", budget).await
            }
            Stop::Retry(why) => {
                self.give_up(held, budget).await;
                Disposition::Retry { why }
            }
            Stop::Unclear(why) => Disposition::Retry { why },
            Stop::Park(reason) => self.park(delivery, held, &reason, budget).await,
        }
    }

    async fn park(
        &self,
        delivery: Delivery<'_>,
        held: &Record,
        reason: &str,
        budget: &Budget,
    ) -> Disposition {
        let write = protocol::park(held, reason, delivery.message, self.clock.now());
        let written = self.must_write(&write, budget).await;
        match written {
            Ok(_) => Disposition::Parked { reason: Some(reason.to_owned()) },
            Err(Stop::Lost(disposition)) => disposition,
            Err(_) => Disposition::Retry { why: format!("parking failed ({reason})") },
        }
    }

    /// Best effort: if it fails, the lease ends by itself.
    async fn give_up(&self, held: &Record, budget: &Budget) {
        let write = protocol::give_up(held, self.clock.now());
        if let Err(error) = self.store.write(&write, budget.write()).await {
            tracing::warn!(order_id = held.order_id(), %error, "the lease could not be released");
        }
    }
}

fn cancelled(by: &str) -> Refusal {
    Refusal { reason: Reason::Cancelled, detail: format!("cancelled by {by}") }
}
