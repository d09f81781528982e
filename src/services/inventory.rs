//! `reserve_inventory`: stock is in the table, so that it moves in one transaction with the checkpoint.

use crate::protocol::Shortage;
use crate::record::{Reason, Refusal};
use crate::workflow::{Effect, Place, StepDef};

/// The step.
pub const STEP: StepDef = StepDef {
    name: "reserve_inventory",
    undo: Some("release_inventory"),
    effect: Effect::Stock,
    place: Place::Revocable,
};

/// Why an order is rejected that wants what is not there.
pub fn refusal(shortage: &Shortage) -> Refusal {
    let Shortage { sku, wanted, left } = shortage;
    match left {
        Some(left) => {
            Refusal { reason: Reason::OutOfStock, detail: format!("sku {sku}: {wanted} wanted, {left} left") }
        }
        None => Refusal { reason: Reason::UnknownSku, detail: format!("sku {sku} is not in stock") },
    }
}
