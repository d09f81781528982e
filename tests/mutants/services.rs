//! The shipped table of steps without what the steps call, for the crate of the pure core.

use super::workflow::{Effect, Place, StepDef, Workflow};

/// The law of these steps.
pub fn workflow() -> Workflow {
    let step = |name, undo, effect, place| StepDef { name, undo, effect, place };
    Workflow::new(vec![
        step("reserve_inventory", Some("release_inventory"), Effect::Stock, Place::Revocable),
        step("charge_payment", Some("refund_payment"), Effect::Call, Place::Revocable),
        step("dispatch_shipment", None, Effect::Call, Place::PointOfNoReturn),
        step("notify_customer", None, Effect::Call, Place::Tell),
    ])
}
