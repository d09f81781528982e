//! `reserve_inventory`: stock is in the table, so that it moves in one transaction with the checkpoint.

use crate::workflow::{Effect, Place, StepDef};

/// The step.
pub const STEP: StepDef = StepDef {
    name: "reserve_inventory",
    undo: Some("release_inventory"),
    effect: Effect::Stock,
    place: Place::Revocable,
};
