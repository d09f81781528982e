//! From a delivery to its end: does what [`Course`] says, and tells it what came of it. The only loop.

use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use crate::budget::Budget;
use crate::clock::{Clock, whole_millis};
use crate::delivery::{Command, Course, Delivery, Due, Ending, Event, Handled, Job, Moment, Rules};
use crate::order::Order;
use crate::protocol::Claimant;
use crate::random::Random;
use crate::record::Owner;
use crate::services::{Call, Connected};
use crate::store::{Store, StoreError};
use crate::trace::TraceHeader;
use crate::workflow::Position;

/// Runs orders.
pub struct Processor {
    store: Store,
    steps: Connected,
    rules: Rules,
    clock: Clock,
    random: Random,
}

/// A delivery's end, and how long its steps took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its end.
    pub handled: Handled,
    /// Each step and undo that was done or tried, in order, with the time it took.
    pub steps: Vec<(String, Duration)>,
}

impl Processor {
    /// A processor of the table's orders, with the steps they take.
    pub fn new(store: Store, steps: Connected, rules: Rules, clock: Clock, random: Random) -> Self {
        Processor { store, steps, rules, clock, random }
    }

    /// Brings the order as far as it goes within the budget. What it sends belongs to `trace`.
    pub async fn handle(&self, delivery: Delivery<'_>, trace: Option<&TraceHeader>, budget: &Budget) -> Run {
        let (workflow, rules, claimant) = (self.steps.workflow(), &self.rules, &self.claimant(budget));
        let job = Job { workflow, rules, delivery, claimant };
        let (mut course, mut command) = Course::begin(&job, self.moment(budget));
        let mut steps = Vec::new();
        loop {
            let (step, started) = (step_of(&command), Instant::now());
            let event = match command {
                Command::Find => match self.store.find(&delivery.order.id, budget.write()).await {
                    Ok(found) => Event::Found(found.map(Box::new)),
                    Err(error) => Event::NoAnswer(error.to_string()),
                },
                Command::Write(write) => match self.store.write(&write, budget.write()).await {
                    Ok(written) => Event::Written(written),
                    Err(error) => Event::NoAnswer(error.to_string()),
                },
                Command::Call(due) => {
                    let span = tracing::info_span!("step", step);
                    Event::Called(self.call(delivery.order, &due, trace).instrument(span).await)
                }
                Command::End(handled) => return Run { handled, steps },
            };
            if let Some(step) = step {
                let took = started.elapsed();
                tracing::debug!(step, latency_ms = whole_millis(took), "step");
                steps.push((step, took));
            }
            (course, command) = course.next(&job, event, self.moment(budget));
        }
    }

    /// The write units that deliveries used since this was last asked.
    pub fn take_write_units(&self) -> f64 {
        self.store.take_write_units()
    }

    /// How many orders wait for a person.
    ///
    /// # Errors
    /// [`StoreError`] if the table gave no answer.
    pub async fn count_parked(&self, budget: &Budget) -> Result<u64, StoreError> {
        self.store.count_parked(budget.write()).await
    }

    /// By what deliveries are decided.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    fn claimant(&self, budget: &Budget) -> Claimant {
        let owner = Owner(self.random.name());
        Claimant { owner, lease_until: budget.deadline() + self.rules.lease_grace }
    }

    fn moment(&self, budget: &Budget) -> Moment {
        Moment { now: self.clock.now(), call: budget.call() }
    }

    async fn call(&self, order: &Order, due: &Due, trace: Option<&TraceHeader>) -> Ending {
        let (Position::Forward(id) | Position::Backward(id)) = due.position;
        let Some(service) = self.steps.service(id) else {
            return Ending::Unknown(format!("{} has nothing to call", due.held.step));
        };
        let call = Call {
            order,
            outcomes: &due.held.outcomes,
            refusal: due.refusal.as_ref(),
            key: &due.key,
            key_age: due.key_age,
            timeout: due.timeout,
            trace,
        };
        // The telling step is called in both directions; any other is undone on the way back.
        match (due.position, self.steps.workflow().step(id).undo) {
            (Position::Backward(_), Some(_)) => service.undo(&call).await,
            _ => service.call(&call).await,
        }
    }
}

/// The step or undo that is done by this: a call, or a transaction that moves stock.
fn step_of(command: &Command) -> Option<String> {
    match command {
        Command::Call(due) => Some(due.held.step.clone()),
        Command::Write(write) if write.reserves() => write.before.as_ref().map(|before| before.step.clone()),
        _ => None,
    }
}
