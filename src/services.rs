//! What the steps call, and the table of steps: [`steps`].
//!
//! A new step is a file here, which says its [`StepDef`] and its [`Service`], and a line in the table.

pub mod inventory;
pub mod notifications;
pub mod payment;
pub mod warehouse;

use std::time::Duration;

use futures_util::future::BoxFuture;

pub use crate::delivery::Ending;

use crate::order::Order;
use crate::queue::Queue;
use crate::record::{Outcomes, Refusal};
use crate::trace::TraceHeader;
use crate::workflow::{Migration, StepDef, StepId, Workflow};
use payment::Payment;

/// What the steps reach of the outside world. `P` is the payment provider.
#[derive(Debug, Clone)]
pub struct World<P> {
    /// The payment provider.
    pub payment: P,
    /// Where shipments are ordered.
    pub warehouse: Queue,
    /// Where customers are told how their orders ended.
    pub notifications: Queue,
}

/// A step's call and its undo. Stock has none: its effect is its checkpoint.
type Connect<P> = fn(&World<P>) -> Option<Box<dyn Service>>;

/// The workflow: one line for each step, in order.
///
/// Orders are in flight while a new version is deployed. A step that is added is skipped by those that are past its
/// place, and taken by the others; where a step goes, [`MIGRATIONS`] says how they go on. Whatever changes in this table
/// needs a line there, and be it an empty one: by the version that it makes, older code leaves alone what it does not
/// know. A name on the record must not change its meaning, so a step is never renamed.
pub fn steps<P: Payment>() -> Vec<(StepDef, Connect<P>)> {
    vec![
        (inventory::STEP, |_| None),
        (payment::STEP, |world| Some(Box::new(payment::ChargePayment(world.payment.clone())))),
        (warehouse::STEP, |world| Some(Box::new(warehouse::DispatchShipment(world.warehouse.clone())))),
        (notifications::STEP, |world| {
            Some(Box::new(notifications::NotifyCustomer(world.notifications.clone())))
        }),
    ]
}

/// One line for each version of the workflow before the present one. The code of an older version leaves orders of a
/// newer one alone, so both can run side by side while a deployment is under way.
pub const MIGRATIONS: &[Migration] = &[];

/// The law of the steps.
pub fn workflow() -> Workflow {
    let definitions = steps::<payment::Sandbox>().into_iter().map(|(definition, _)| definition);
    Workflow::new(definitions.collect()).migrated_by(MIGRATIONS)
}

/// The table, with what each step reaches of `world`.
pub fn connected<P: Payment>(world: &World<P>) -> Connected {
    let steps = steps().into_iter().map(|(definition, connect)| (definition, connect(world)));
    Connected::new(steps.collect()).migrated_by(MIGRATIONS)
}

/// A workflow, and what each of its steps calls.
pub struct Connected {
    workflow: Workflow,
    services: Vec<Option<Box<dyn Service>>>,
}

impl Connected {
    /// These steps in this order.
    ///
    /// # Panics
    /// If they are no workflow: see [`Workflow::new`].
    pub fn new(steps: Vec<(StepDef, Option<Box<dyn Service>>)>) -> Self {
        let (definitions, services) = steps.into_iter().unzip();
        Connected { workflow: Workflow::new(definitions), services }.introduced()
    }

    /// With the names of the services in the workflow.
    fn introduced(self) -> Self {
        let callees = self.services.iter().map(|service| service.as_ref()?.callee()).collect();
        Connected { workflow: self.workflow.asking(callees), ..self }
    }

    /// The same, as it became by these migrations.
    ///
    /// # Panics
    /// If they do not lead here: see [`Workflow::migrated_by`].
    pub fn migrated_by(self, migrations: &[Migration]) -> Self {
        Connected { workflow: self.workflow.migrated_by(migrations), ..self }
    }

    /// The same, but `step` calls `service`.
    ///
    /// # Panics
    /// If there is no such step.
    pub fn with(mut self, step: &str, service: impl Service + 'static) -> Self {
        let known = self.workflow.steps().find(|(_, known)| known.name == step).map(|(id, _)| id);
        let id = known.unwrap_or_else(|| panic!("there is no step {step}"));
        self.services[id.index()] = Some(Box::new(service));
        self.introduced()
    }

    /// The law of the steps.
    pub fn workflow(&self) -> &Workflow {
        &self.workflow
    }

    /// What a step calls, if it calls anything.
    pub fn service(&self, id: StepId) -> Option<&dyn Service> {
        self.services[id.index()].as_deref()
    }
}

/// A call of a step or an undo. Every repeat of it has the same key and the same content.
#[derive(Debug)]
pub struct Call<'a> {
    /// The order.
    pub order: &'a Order,
    /// What came of the steps before.
    pub outcomes: &'a Outcomes,
    /// Why the order is rejected, on the way back.
    pub refusal: Option<&'a Refusal>,
    /// `<order_id>:<step>`: by this the callee recognises a repeat.
    pub key: &'a str,
    /// How long ago the callee may have seen the key for the first time.
    pub key_age: Duration,
    /// When the call must have ended.
    pub timeout: Duration,
    /// The trace of the message, for the callee.
    pub trace: Option<&'a TraceHeader>,
}

/// What a step calls.
pub trait Service: Send + Sync {
    /// Who is asked, if another might be one day who does not know what this one did: then it is written down before the
    /// first call, and an order that may have been with one is not taken to another. Never changed.
    fn callee(&self) -> Option<&'static str> {
        None
    }

    /// Makes the step's effect. Called again after a crash, with the same key and content.
    fn call<'a>(&'a self, call: &'a Call<'a>) -> BoxFuture<'a, Ending>;

    /// Takes the step's effect back. Called only for a step with an undo that left something to undo.
    fn undo<'a>(&'a self, call: &'a Call<'a>) -> BoxFuture<'a, Ending> {
        Box::pin(async move { Ending::Unknown(format!("{} has no undo", call.key)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps of the present version, with their undos. Whoever changes them adds a line to [`MIGRATIONS`].
    const PRESENT: (u32, &str) = (
        1,
        "reserve_inventory/release_inventory charge_payment/refund_payment dispatch_shipment notify_customer",
    );

    #[test]
    fn whatever_changes_in_the_table_makes_a_new_version() {
        let workflow = workflow();
        let steps = workflow
            .steps()
            .map(|(_, step)| step.undo.map_or(step.name.to_owned(), |undo| format!("{}/{undo}", step.name)));
        let steps: Vec<String> = steps.collect();
        assert_eq!((workflow.version(), steps.join(" ").as_str()), PRESENT);
    }
}
