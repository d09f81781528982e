//! Where an unfinished order stands, and whether any way leads on from there.

use crate::record::{Record, Status};
use crate::workflow::{NoSuchStep, Place, Position, Workflow};

/// Why no way leads on from where a record stands. Its worker parks it, and a person says where it stands
/// ([`super::place`]).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stranded {
    /// The record names no step of this workflow.
    #[error(transparent)]
    NoSuchStep(#[from] NoSuchStep),
    /// The order is on its way back, but nothing on the record says why: nobody can tell the customer.
    #[error("the order turned back for a reason that cannot be read")]
    NoReason,
    /// The step could be cancelled when somebody asked to, and cannot be under this workflow. Whether it was called is not
    /// known.
    #[error("somebody asked to cancel at {0}, where it is too late under this workflow")]
    CancelledTooLate(String),
}

/// Where a record stands; a parked one, where it stood before.
///
/// # Errors
/// [`Stranded`] if no way leads on from there.
pub fn standing(workflow: &Workflow, record: &Record) -> Result<Position, Stranded> {
    let status = match record.status {
        Status::Parked => record.parked_from.unwrap_or(Status::InProgress),
        status => status,
    };
    let position = workflow.position(status, &record.step)?;
    match position {
        Position::Backward(_) if record.outcomes.refusal().is_none() => Err(Stranded::NoReason),
        Position::Forward(id)
            if record.cancel_requested.is_some()
                && workflow.step(id).place != Place::Revocable
                && !workflow.is_past_return(&record.outcomes) =>
        {
            Err(Stranded::CancelledTooLate(record.step.clone()))
        }
        _ => Ok(position),
    }
}
