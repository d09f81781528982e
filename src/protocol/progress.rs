//! What an owner writes when it knows what the due step came to.

use std::time::Duration;

use crate::answer;
use crate::clock::UnixMillis;
use crate::order::Order;
use crate::record::{Outcome, Outcomes, Record, Refusal, Status};
use crate::workflow::{Event, Illegal, Move, Position, Workflow};

use super::{Ending, Write, begin_compensation, checkpoint, finish};

/// What a step or undo came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Settled {
    /// It took effect.
    Done(Outcome),
    /// It was refused for good.
    Refused(Refusal),
    /// The order is to be cancelled. The outcome is there if the step took effect all the same.
    Cancelled {
        /// What has to be undone, too.
        outcome: Option<Outcome>,
    },
}

/// The write that follows from what the due step came to, as the workflow's law has it.
///
/// # Errors
/// [`Illegal`] if that cannot happen there: an undo was refused, say. No code can put that right.
pub fn conclude(
    workflow: &Workflow,
    held: &Record,
    position: Position,
    settled: &Settled,
    order: &Order,
    retention: Duration,
    now: UnixMillis,
) -> Result<Write, Illegal> {
    let (event, outcome, refusal) = match settled {
        Settled::Done(outcome) => (Event::Done, Some(outcome), None),
        Settled::Refused(refusal) => (Event::Refused, None, Some(refusal.clone())),
        Settled::Cancelled { outcome } => (Event::Cancelled, outcome.as_ref(), Some(Refusal::cancelled())),
    };
    let outcomes = known(held, outcome);
    let done = outcome.cloned().unwrap_or_default();
    let end = |status, result| {
        let ending = Ending { status, result, retention, placed_at: order.placed_at };
        finish(workflow, held, done.clone(), &ending, now)
    };
    Ok(match workflow.next(position, event, &outcomes)? {
        Move::Advance(to) => checkpoint(workflow, held, done, Position::Forward(to), now),
        Move::Retreat(to) => checkpoint(workflow, held, done, Position::Backward(to), now),
        Move::Compensate(to) => {
            let refusal = refusal.ok_or_else(|| Illegal { position: held.step.clone(), event })?;
            begin_compensation(workflow, held, outcome.cloned(), &refusal, to, now)
        }
        Move::Complete => end(Status::Completed, answer::completed(order, &outcomes, now)),
        Move::Reject => {
            let refusal = outcomes.refusal().ok_or_else(|| Illegal { position: held.step.clone(), event })?;
            end(Status::Rejected, answer::rejected(order, &refusal, now))
        }
    })
}

fn known(held: &Record, outcome: Option<&Outcome>) -> Outcomes {
    match outcome {
        Some(outcome) => held.outcomes.with(&held.step, outcome.clone()),
        None => held.outcomes.clone(),
    }
}
