//! An owned order, step by step.

use std::time::Duration;

use super::{Delivery, Disposition, Processor};
use crate::budget::Budget;
use crate::protocol::{self, Refused, Settled, Shortage, Write};
use crate::record::{Record, Status};
use crate::services::{self, Call, inventory};
use crate::store::{self, StoreError};
use crate::workflow::{Effect, Event, Illegal, Move, NoSuchStep, Position, StepId};

/// Why the order is not worked on any more by this delivery.
enum Stop {
    /// Another delivery may go on at the last checkpoint.
    Retry(String),
    /// No time left for the next step.
    Deferred,
    /// A person has to decide.
    Park(String),
    /// The order is somebody else's now.
    Lost(Disposition),
}

/// How an owner's write went on.
enum Written {
    /// The order is as written, or as it was written before.
    On(Box<Record>),
    /// There is not enough in stock; nothing was written.
    Short(Shortage),
    /// Somebody asked to cancel; nothing was written.
    Cancelled,
}

/// Also if nobody knows whether the write landed: it carries this owner's fence, and may land until the next one's.
impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Retry(error.to_string())
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

/// One delivery at work on the order that it owns.
struct Run<'r> {
    processor: &'r Processor,
    delivery: Delivery<'r>,
    budget: &'r Budget,
    /// The step that was due when the order became ours: an owner before may have called it. Nobody has called
    /// any step after it.
    found_at: String,
}

impl Processor {
    /// Takes the order from checkpoint to checkpoint until it is finished or cannot go on.
    pub(super) async fn advance(
        &self,
        delivery: Delivery<'_>,
        owned: Record,
        budget: &Budget,
    ) -> Disposition {
        let run = Run { processor: self, delivery, budget, found_at: owned.step.clone() };
        let mut held = owned;
        loop {
            match run.one_step(&held).await {
                Ok(next) => held = next,
                Err(stop) => return run.stop(&held, stop).await,
            }
            if let (true, Some(result)) = (held.status.is_finished(), &held.result) {
                return Disposition::Finished { now: Some(held.status), result: result.clone() };
            }
        }
    }
}

impl Run<'_> {
    async fn one_step(&self, held: &Record) -> Result<Record, Stop> {
        let position = self.processor.workflow.position(held.status, &held.step)?;
        if !self.budget.is_enough() {
            return Err(Stop::Deferred);
        }
        match position {
            Position::Forward(id) if self.processor.workflow.step(id).effect == Effect::Stock => {
                self.reserve(held, id).await
            }
            Position::Forward(_) | Position::Backward(_) => {
                let settled = self.settle(held, position).await?;
                self.conclude(held, position, settled).await
            }
        }
    }

    /// The transactional step: refused or cancelled, it has not taken effect.
    async fn reserve(&self, held: &Record, id: StepId) -> Result<Record, Stop> {
        let position = Position::Forward(id);
        if held.cancel_requested.is_some() {
            let cancelled = Settled::Cancelled { outcome: None };
            return self.conclude(held, position, cancelled).await;
        }
        let Move::Advance(to) = self.processor.workflow.next(position, Event::Done, &held.outcomes)? else {
            return Err(Stop::Park(format!("{} cannot be the last step", held.step)));
        };
        let write = protocol::reserve(
            &self.processor.workflow,
            held,
            self.delivery.order,
            to,
            self.processor.clock.now(),
        );
        let settled = match self.write(&write).await? {
            Written::On(record) => return Ok(*record),
            Written::Short(shortage) => Settled::Refused(inventory::refusal(&shortage)),
            Written::Cancelled => Settled::Cancelled { outcome: None },
        };
        self.conclude(held, position, settled).await
    }

    /// Makes the call that is due, unless its outcome is known already.
    async fn settle(&self, held: &Record, position: Position) -> Result<Settled, Stop> {
        let ending = match held.outcomes.get(&held.step) {
            Some(stated) => services::Ending::Done(stated.clone()),
            None => self.call(held, position, self.budget.call().ok_or(Stop::Deferred)?).await,
        };
        let cancellable = self.processor.workflow.cancellable().contains(&held.step.as_str());
        match (ending, held.cancel_requested.is_some()) {
            (services::Ending::Done(outcome), true) if cancellable && held.status == Status::InProgress => {
                Ok(Settled::Cancelled { outcome: Some(outcome) })
            }
            (services::Ending::Done(outcome), _) => Ok(Settled::Done(outcome)),
            (services::Ending::Refused(refusal), _) => Ok(Settled::Refused(refusal)),
            (services::Ending::Unavailable(why), _) => Err(Stop::Retry(why)),
            (services::Ending::Unknown(why), _) => Err(Stop::Park(why)),
        }
    }

    async fn call(&self, held: &Record, position: Position, timeout: Duration) -> services::Ending {
        let (Position::Forward(id) | Position::Backward(id)) = position;
        let Some(service) = &self.processor.services[id.index()] else {
            return services::Ending::Unknown(format!("{} has nothing to call", held.step));
        };
        let refusal = held.outcomes.refusal();
        if matches!(position, Position::Backward(_)) && refusal.is_none() {
            return services::Ending::Unknown(
                "the order turned back for a reason that cannot be read".to_owned(),
            );
        }
        let call = Call {
            order: self.delivery.order,
            refusal: refusal.as_ref(),
            outcomes: &held.outcomes,
            key: format!("{}:{}", self.delivery.order.id, held.step),
            key_age: self.key_age(held),
            timeout,
        };
        // The telling step is called in both directions; any other is undone on the way back.
        let started = tokio::time::Instant::now();
        let ending = match (position, self.processor.workflow.step(id).undo) {
            (Position::Backward(_), Some(_)) => service.undo(&call).await,
            _ => service.call(&call).await,
        };
        let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(order_id = %self.delivery.order.id, step = held.step, latency_ms, "called");
        ending
    }

    /// How long ago the callee may have been called first.
    fn key_age(&self, held: &Record) -> Duration {
        match held.step == self.found_at {
            true => self.processor.clock.now().since(held.keys_since()),
            false => Duration::ZERO,
        }
    }

    /// Writes down what the step came to.
    async fn conclude(&self, held: &Record, position: Position, settled: Settled) -> Result<Record, Stop> {
        match (self.write(&self.conclusion(held, position, &settled)?).await?, settled) {
            (Written::On(record), _) => Ok(*record),
            // Only the checkpoint of a step that took effect minds a cancellation.
            (Written::Cancelled, Settled::Done(outcome)) => {
                let settled = Settled::Cancelled { outcome: Some(outcome) };
                self.must_write(&self.conclusion(held, position, &settled)?).await
            }
            _ => Err(unexpected()),
        }
    }

    fn conclusion(&self, held: &Record, position: Position, settled: &Settled) -> Result<Write, Illegal> {
        let (workflow, retention) = (&self.processor.workflow, self.processor.rules.retention);
        let now = self.processor.clock.now();
        protocol::conclude(workflow, held, position, settled, self.delivery.order, retention, now)
    }

    async fn must_write(&self, write: &Write) -> Result<Record, Stop> {
        match self.write(write).await? {
            Written::On(record) => Ok(*record),
            Written::Short(_) | Written::Cancelled => Err(unexpected()),
        }
    }

    async fn write(&self, write: &Write) -> Result<Written, Stop> {
        let found = match self.processor.store.write(write, self.budget.write()).await? {
            store::Written::Applied(record) => return Ok(Written::On(record)),
            store::Written::Short(shortage) => return Ok(Written::Short(shortage)),
            store::Written::Refused(found) => found,
        };
        match (protocol::on_refused(write, found.as_deref()), found) {
            (Refused::Written, Some(record)) => Ok(Written::On(record)),
            (Refused::Cancelled { .. }, _) => Ok(Written::Cancelled),
            (Refused::Finished { result }, _) => Err(Stop::Lost(Disposition::Finished { now: None, result })),
            (Refused::Lost { until: Some(until) }, _) if until > self.processor.clock.now() => {
                Err(Stop::Lost(Disposition::Busy { until }))
            }
            _ => Err(Stop::Lost(Disposition::Retry { why: "the lease is lost".to_owned() })),
        }
    }

    /// Leaves the order so that whoever comes next can go on.
    async fn stop(&self, held: &Record, stop: Stop) -> Disposition {
        let last = self.processor.is_last(self.delivery.receive_count);
        match stop {
            Stop::Lost(disposition) => disposition,
            Stop::Retry(_) | Stop::Deferred if last => self.park(held, "retries_exhausted").await,
            Stop::Retry(why) => {
                self.give_up(held).await;
                Disposition::Retry { why }
            }
            Stop::Deferred => {
                self.give_up(held).await;
                Disposition::Deferred
            }
            Stop::Park(reason) => self.park(held, &reason).await,
        }
    }

    async fn park(&self, held: &Record, reason: &str) -> Disposition {
        let write = protocol::park(held, reason, self.delivery.message, self.processor.clock.now());
        let written = self.must_write(&write).await;
        match written {
            Ok(_) => Disposition::Parked { reason: Some(reason.to_owned()) },
            Err(Stop::Lost(disposition)) => disposition,
            Err(_) => Disposition::Retry { why: format!("parking failed ({reason})") },
        }
    }

    /// Best effort: if it fails, the lease ends by itself.
    async fn give_up(&self, held: &Record) {
        let write = protocol::give_up(held, self.processor.clock.now());
        if let Err(error) = self.processor.store.write(&write, self.budget.write()).await {
            tracing::warn!(order_id = held.order_id(), %error, "the lease could not be released");
        }
    }
}

/// A write was refused for a reason that is none of its conditions.
fn unexpected() -> Stop {
    Stop::Retry("the table refused a write for no reason that it can have".to_owned())
}
