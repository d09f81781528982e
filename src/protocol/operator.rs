//! What people may write: cancel, and what to do with a parked order. Each is a conditional write like any other.

use std::collections::BTreeMap;

use crate::clock::UnixMillis;
use crate::record::{Intervention, Outcome, REFUSAL, RELEASED, Record, Refusal, Status};
use crate::workflow::{Effect, Event, Move, Position, StepId, Workflow};

use super::{Guard, Stranded, Write, standing, update};

/// Why an operator's action is not possible now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// The action is for parked orders.
    #[error("the order is {0}, not PARKED")]
    NotParked(Status),
    /// The lease of the order is live.
    #[error("a worker owns the order until {}", .0.to_rfc3339())]
    Owned(UnixMillis),
    /// The order is finished, or too far.
    #[error("the order is {status} at {step}: it can be cancelled only before its shipment")]
    TooLate {
        /// How far it is.
        status: Status,
        /// At which step.
        step: String,
    },
    /// Another step is due than the one that was named.
    #[error("{due} is due, not {named}")]
    NotDue {
        /// What is due.
        due: String,
        /// What was named.
        named: String,
    },
    /// Stock moves with its checkpoint, so its outcome is never in doubt.
    #[error("{0} is never in doubt: it is written in one transaction with its checkpoint")]
    NeverInDoubt(String),
    /// Something that can be undone must be named, or nobody could undo it.
    #[error("what came of {0} must be stated: its undo needs it")]
    NothingStated(String),
    /// Nobody knows whether the step took effect.
    #[error("whether {0} took effect is not known: mark it first")]
    Unsettled(String),
    /// The order is past the point of no return.
    #[error("{0} is past the point of no return: the order can only go forward")]
    PastReturn(String),
    /// The message was erased before.
    #[error("there is no order message on the record")]
    NoMessage,
    /// The record is of another workflow.
    #[error("the record names a step this version does not know: {0}")]
    UnknownStep(String),
    /// The record is of another code's workflow.
    #[error(
        "the record is of workflow version {0}, which this program does not know: use the one that is deployed"
    )]
    UnknownVersion(u32),
    /// The workflow knows a way on from where the record stands.
    #[error("the record stands at {0}, from where a way leads on: resume, mark or compensate the order")]
    NotStranded(String),
    /// What the record says of the time before it was parked is no unfinished order.
    #[error("it says that it was parked when it was {0}: place it first")]
    ParkedFinished(Status),
    /// From there no way would lead on.
    #[error("the order could not go on from there: {0}")]
    NoWayOn(Stranded),
    /// Its refusal is written down, and the customer may have been told.
    #[error("the order was refused ({0}): it can only turn back")]
    Refused(String),
    /// The step that is due is no more; there is nothing to state about it, and nothing to turn back from.
    #[error("the step {step} is no more: resume the order, and it goes on at {to}")]
    Moved {
        /// The step on the record.
        step: String,
        /// Where the order goes on.
        to: String,
    },
}

/// Asks for a cancellation: the worker sees it at its next checkpoint before the shipment.
///
/// # Errors
/// [`NotAllowed::TooLate`] if the record, as it was seen, is past that. The write's condition says the same.
pub fn cancel(workflow: &Workflow, seen: &Record, who: &str, now: UnixMillis) -> Result<Write, NotAllowed> {
    let steps = workflow.cancellable();
    let present = at_present(workflow, seen)?;
    let past_return = workflow.is_past_return(&seen.outcomes);
    if seen.status != Status::InProgress || past_return || !steps.contains(&present) {
        return Err(NotAllowed::TooLate { status: seen.status, step: seen.step.clone() });
    }
    let after = Record { cancel_requested: Some(who.to_owned()), updated_at_ms: now, ..seen.clone() };
    // A step that a migration removed has its old name on the record still.
    let old_name = Some(seen.step.as_str()).filter(|step| !steps.contains(step));
    let guard = Guard {
        status: vec![Status::InProgress],
        step: steps.into_iter().chain(old_name).map(str::to_owned).collect(),
        ..Guard::default()
    };
    Ok(update(guard, seen, after))
}

/// Gives a parked order back to the workers; its message is sent to the queue afterwards. `None` if that was
/// written before and only the sending is left: the order is unfinished and its lease is over.
///
/// # Errors
/// [`NotAllowed`] if the order is finished, or a worker owns it.
pub fn resume(seen: &Record, now: UnixMillis) -> Result<Option<Write>, NotAllowed> {
    match (seen.status, seen.lease_until_ms) {
        (Status::Parked, _) => {}
        (Status::InProgress | Status::Compensating, Some(until)) if until > now => {
            return Err(NotAllowed::Owned(until));
        }
        (Status::InProgress | Status::Compensating, _) => return Ok(None),
        (status, _) => return Err(NotAllowed::NotParked(status)),
    }
    let status = seen.parked_from.unwrap_or(Status::InProgress);
    if !Status::UNFINISHED.contains(&status) {
        return Err(NotAllowed::ParkedFinished(status));
    }
    // The message stays on the record until a worker holds it again: the sending may crash.
    let after = Record {
        status,
        fence: seen.fence.next(),
        lease_until_ms: Some(RELEASED),
        parked_from: None,
        parked_reason: None,
        settled_step: None,
        updated_at_ms: now,
        ..seen.clone()
    };
    Ok(Some(update(parked(seen), seen, after)))
}

/// The same with the order's own message, which the record has no more: nothing else keeps it until it is sent.
///
/// # Errors
/// As [`resume`].
pub fn resume_with(seen: &Record, message: &str, now: UnixMillis) -> Result<Option<Write>, NotAllowed> {
    let resumed = |write: Write| {
        let after = Record { order: Some(message.to_owned()), ..write.after };
        Write { after, ..write }
    };
    Ok(resume(seen, now)?.map(resumed))
}

/// What an operator states about a step, having looked at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// It took effect, and this came of it.
    Done(Outcome),
    /// It did not take effect: it may be called again, under the next generation of its key. The callee may answer the
    /// key before with a stored error for as long as it remembers it.
    NotDone,
}

/// Writes down an operator's statement about the step that is due.
///
/// # Errors
/// [`NotAllowed`] if the order is not parked, another step is due, or the step is never in doubt.
pub fn mark(
    workflow: &Workflow,
    seen: &Record,
    step: &str,
    statement: Statement,
    now: UnixMillis,
) -> Result<Write, NotAllowed> {
    let position = position_of(workflow, seen)?;
    if seen.step != step {
        return Err(NotAllowed::NotDue { due: seen.step.clone(), named: step.to_owned() });
    }
    let (Position::Forward(id) | Position::Backward(id)) = position;
    if workflow.step(id).effect == Effect::Stock {
        return Err(NotAllowed::NeverInDoubt(step.to_owned()));
    }
    let undoable = matches!(position, Position::Forward(_)) && workflow.step(id).undo.is_some();
    if undoable && statement == Statement::Done(Outcome::nothing()) {
        return Err(NotAllowed::NothingStated(step.to_owned()));
    }
    let base = Record {
        callee: None,
        fence: seen.fence.next(),
        workflow_version: workflow.version(),
        updated_at_ms: now,
        ..seen.clone()
    };
    let after = match statement {
        Statement::Done(outcome) => {
            let outcomes = seen.outcomes.with(step, outcome.at(now));
            // A worker that finds the outcome of the due step there does not call again: it finishes after the
            // last step, and it turns back where a cancellation waits.
            let due = match workflow.next(position, Event::Done, &outcomes) {
                _ if seen.cancel_requested.is_some() => step,
                Ok(Move::Advance(to)) => workflow.due(Position::Forward(to)),
                Ok(Move::Retreat(to)) => workflow.due(Position::Backward(to)),
                _ => step,
            };
            Record { step: due.to_owned(), outcomes, settled_step: Some(due.to_owned()), ..base }
        }
        // An earlier statement that it is done may be the mistake that this one corrects.
        Statement::NotDone => Record {
            key_epoch_ms: Some(now),
            key_generation: next_generation(seen, step),
            settled_step: Some(step.to_owned()),
            outcomes: seen.outcomes.without(step),
            ..base
        },
    };
    let guard = Guard { step: vec![step.to_owned()], ..parked(seen) };
    Ok(update(guard, seen, after))
}

/// Turns a parked order back: once resumed, what was done is undone and the order is rejected as cancelled.
///
/// # Errors
/// [`NotAllowed`] if the order is not parked, or past the point of no return, or if it is not known whether the
/// step that is due took effect.
pub fn compensate_parked(
    workflow: &Workflow,
    seen: &Record,
    who: &str,
    now: UnixMillis,
) -> Result<Write, NotAllowed> {
    let Position::Forward(id) = position_of(workflow, seen)? else {
        return Err(NotAllowed::PastReturn(seen.step.clone()));
    };
    let stock = workflow.step(id).effect == Effect::Stock;
    if !stock && seen.settled_step.as_deref() != Some(seen.step.as_str()) {
        return Err(NotAllowed::Unsettled(seen.step.clone()));
    }
    let refused = workflow.next(Position::Forward(id), Event::Refused, &seen.outcomes);
    let Ok(Move::Compensate(first_undo)) = refused else {
        return Err(NotAllowed::PastReturn(seen.step.clone()));
    };
    Ok(update(parked_at(seen), seen, compensating(workflow, seen, first_undo, who, now)))
}

/// States where a parked order stands whose record names no place that a way leads on from. `to` is a step of the way
/// forward, or an undo, with everything before it settled as the outcomes on the record say.
///
/// # Errors
/// [`NotAllowed`] if the order is not parked, if a way leads on from where it stands, or if none would from `to`: an order
/// that was shipped does not turn back, and one that was refused does not go forward.
pub fn place(
    workflow: &Workflow,
    seen: &Record,
    to: Position,
    who: &str,
    now: UnixMillis,
) -> Result<Write, NotAllowed> {
    if seen.status != Status::Parked {
        return Err(NotAllowed::NotParked(seen.status));
    }
    if seen.workflow_version > workflow.version() {
        return Err(NotAllowed::UnknownVersion(seen.workflow_version));
    }
    if let Some(step) = workflow.at_present(seen.workflow_version, &seen.step) {
        let resumed = Record { step: step.to_owned(), ..seen.clone() };
        if standing(workflow, &resumed).is_ok() {
            return Err(NotAllowed::NotStranded(resumed.step));
        }
    }
    let past_return = workflow.is_past_return(&seen.outcomes);
    let after = match (to, seen.outcomes.refusal()) {
        (Position::Backward(_), _) if past_return => return Err(NotAllowed::PastReturn(seen.step.clone())),
        (Position::Forward(_), Some(refusal)) if !past_return => {
            return Err(NotAllowed::Refused(refusal.detail));
        }
        (Position::Backward(id), None) => compensating(workflow, seen, id, who, now),
        (Position::Backward(_), Some(_)) => placed(workflow, seen, Status::Compensating, to, now),
        (Position::Forward(_), _) => {
            let placed = placed(workflow, seen, Status::InProgress, to, now);
            Record { outcomes: seen.outcomes.without(REFUSAL), ..placed }
        }
    };
    standing(workflow, &after).map_err(NotAllowed::NoWayOn)?;
    Ok(update(parked_at(seen), seen, after))
}

fn placed(workflow: &Workflow, seen: &Record, from: Status, to: Position, now: UnixMillis) -> Record {
    Record {
        parked_from: Some(from),
        step: workflow.due(to).to_owned(),
        fence: seen.fence.next(),
        workflow_version: workflow.version(),
        callee: None,
        settled_step: None,
        updated_at_ms: now,
        ..seen.clone()
    }
}

/// Takes the order message, and with it the customer's data, off a parked order. Workers cannot go on with it then
/// until the same message comes once more from its producer.
///
/// # Errors
/// [`NotAllowed`] if the order is not parked, or has no message.
pub fn erase(seen: &Record, now: UnixMillis) -> Result<Write, NotAllowed> {
    match (seen.status, &seen.order) {
        (Status::Parked, Some(_)) => {}
        (Status::Parked, None) => return Err(NotAllowed::NoMessage),
        (status, _) => return Err(NotAllowed::NotParked(status)),
    }
    let after = Record { order: None, fence: seen.fence.next(), updated_at_ms: now, ..seen.clone() };
    Ok(update(parked(seen), seen, after))
}

/// The most changes by people that a record remembers: an item stays small, and more tell no more.
const LOGGED: usize = 10;
/// The most characters of a name and of a reason.
pub const LOGGED_CHARACTERS: usize = 200;

/// An operator's write with who, when and why on the record.
///
/// It holds only on the record that was seen: the log is written as a whole, and no entry of another operator may be
/// lost. A cancellation is the one write that leaves the fence as it is, so a second one must find none.
pub fn signed(write: Write, by: &Intervention) -> Write {
    let Some(before) = &write.before else { return write };
    let guard = Guard {
        fence: Some(before.fence),
        not_cancelled: before.cancel_requested != write.after.cancel_requested,
        ..write.guard
    };
    let capped = |text: &str| text.chars().take(LOGGED_CHARACTERS).collect();
    let by = Intervention { who: capped(&by.who), why: capped(&by.why), ..by.clone() };
    let log = before.operator_log.iter().cloned().chain([by]);
    let old = (before.operator_log.len() + 1).saturating_sub(LOGGED);
    let after = Record { operator_log: log.skip(old).collect(), ..write.after };
    Write { guard, after, before: write.before, stock: write.stock }
}

fn compensating(workflow: &Workflow, seen: &Record, to: StepId, who: &str, now: UnixMillis) -> Record {
    let refusal = Refusal::cancelled().to_outcome().and("by", who).at(now);
    let outcomes = seen.outcomes.with(REFUSAL, refusal);
    Record { outcomes, ..placed(workflow, seen, Status::Compensating, Position::Backward(to), now) }
}

/// The key that the callee sees next: the first is generation 1.
fn next_generation(seen: &Record, step: &str) -> BTreeMap<String, u32> {
    let mut generations = seen.key_generation.clone();
    let generation = generations.entry(step.to_owned()).or_insert(1);
    *generation = generation.saturating_add(1);
    generations
}

/// The name of the step under the present workflow.
fn at_present<'s>(workflow: &Workflow, seen: &'s Record) -> Result<&'s str, NotAllowed> {
    let present = workflow.at_present(seen.workflow_version, &seen.step);
    present.ok_or(NotAllowed::UnknownVersion(seen.workflow_version))
}

fn position_of(workflow: &Workflow, seen: &Record) -> Result<Position, NotAllowed> {
    if seen.status != Status::Parked {
        return Err(NotAllowed::NotParked(seen.status));
    }
    let present = at_present(workflow, seen)?;
    if present != seen.step {
        return Err(NotAllowed::Moved { step: seen.step.clone(), to: present.to_owned() });
    }
    let status = seen.parked_from.unwrap_or(Status::InProgress);
    workflow.position(status, present).map_err(|unknown| NotAllowed::UnknownStep(unknown.step))
}

/// `status = PARKED AND fence = :seen`.
fn parked(seen: &Record) -> Guard {
    Guard { fence: Some(seen.fence), status: vec![Status::Parked], ..Guard::default() }
}

fn parked_at(seen: &Record) -> Guard {
    Guard { step: vec![seen.step.clone()], ..parked(seen) }
}
