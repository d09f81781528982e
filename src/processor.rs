//! From a delivery to its end: does what [`Course`] says, and tells it what came of it. The only loop.

use crate::budget::Budget;
use crate::clock::{Clock, whole_millis};
use crate::delivery::{Command, Course, Delivery, Due, Ending, Event, Handled, Job, Moment, Rules};
use crate::order::Order;
use crate::protocol::Claimant;
use crate::random::Random;
use crate::record::Owner;
use crate::services::{Call, Connected, Service};
use crate::store::Store;
use crate::workflow::{Position, Workflow};

/// Runs orders.
pub struct Processor {
    store: Store,
    workflow: Workflow,
    services: Vec<Option<Box<dyn Service>>>,
    rules: Rules,
    clock: Clock,
    random: Random,
}

impl Processor {
    /// A processor of the table's orders, with the steps they take.
    pub fn new(store: Store, steps: Vec<Connected>, rules: Rules, clock: Clock, random: Random) -> Self {
        let (definitions, services) = steps.into_iter().unzip();
        Processor { store, workflow: Workflow::new(definitions), services, rules, clock, random }
    }

    /// Brings the order as far as it goes within the budget.
    pub async fn handle(&self, delivery: Delivery<'_>, budget: &Budget) -> Handled {
        let (workflow, rules, claimant) = (&self.workflow, &self.rules, &self.claimant(budget));
        let job = Job { workflow, rules, delivery, claimant };
        let (mut course, mut command) = Course::begin(&job, self.moment(budget));
        loop {
            let event = match command {
                Command::Find => match self.store.find(&delivery.order.id, budget.write()).await {
                    Ok(found) => Event::Found(found.map(Box::new)),
                    Err(error) => Event::NoAnswer(error.to_string()),
                },
                Command::Write(write) => match self.store.write(&write, budget.write()).await {
                    Ok(written) => Event::Written(written),
                    Err(error) => Event::NoAnswer(error.to_string()),
                },
                Command::Call(due) => Event::Called(self.call(delivery.order, &due).await),
                Command::End(handled) => return handled,
            };
            (course, command) = course.next(&job, event, self.moment(budget));
        }
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

    async fn call(&self, order: &Order, due: &Due) -> Ending {
        let (Position::Forward(id) | Position::Backward(id)) = due.position;
        let Some(service) = &self.services[id.index()] else {
            return Ending::Unknown(format!("{} has nothing to call", due.held.step));
        };
        let call = Call {
            order,
            outcomes: &due.held.outcomes,
            refusal: due.refusal.as_ref(),
            key: &due.key,
            key_age: due.key_age,
            timeout: due.timeout,
        };
        // The telling step is called in both directions; any other is undone on the way back.
        let started = tokio::time::Instant::now();
        let ending = match (due.position, self.workflow.step(id).undo) {
            (Position::Backward(_), Some(_)) => service.undo(&call).await,
            _ => service.call(&call).await,
        };
        let latency_ms = whole_millis(started.elapsed());
        tracing::debug!(order_id = %order.id, step = due.held.step, latency_ms, "called");
        ending
    }
}
