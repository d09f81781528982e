//! The claim protocol: every write with its condition, and what a refused write means. Pure.
//!
//! [`crate::store`] sends these writes to DynamoDB and adds nothing to them, so that whatever checks this module
//! checks what runs. No condition contains a clock: time only decides whether a takeover is tried.

mod operator;
mod progress;
mod standing;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::UnixMillis;
use crate::order::{Fingerprint, Order};
use crate::record::{Fence, Outcome, Outcomes, Owner, REFUSAL, RELEASED, Record, Refusal, Status, order_key};
use crate::workflow::{Event, Move, Position, StepId, Workflow};

pub use operator::{
    LOGGED_CHARACTERS, NotAllowed, Statement, cancel, compensate_parked, erase, mark, place, resume,
    resume_with, signed,
};
pub use progress::{Settled, conclude};
pub use standing::{Stranded, standing};
pub use write::{Guard, Shortage, StockMove, Write, Written};

/// Who wants an order: a fresh owner for each attempt, with the lease that it would have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// Random, made before the call.
    pub owner: Owner,
    /// The end of this worker's life and a grace.
    pub lease_until: UnixMillis,
}

/// The write that makes a message an order.
pub fn claim(workflow: &Workflow, order: &Order, claimant: &Claimant, now: UnixMillis) -> Write {
    let claimed = Record {
        pk: order_key(&order.id),
        status: Status::InProgress,
        fence: Fence(1),
        owner: claimant.owner.clone(),
        lease_until_ms: Some(claimant.lease_until),
        step: workflow.step(workflow.first()).name.to_owned(),
        outcomes: Outcomes::default(),
        fingerprint: order.fingerprint(),
        workflow_version: workflow.version(),
        claimed_at_ms: now,
        updated_at_ms: now,
        attempts: 1,
        reserved_at_ms: None,
        cancel_requested: None,
        parked_from: None,
        parked_reason: None,
        order: None,
        callee: None,
        settled_step: None,
        key_epoch_ms: None,
        key_generation: BTreeMap::new(),
        result: None,
        expires_at: None,
        operator_log: Vec::new(),
    };
    let after = due(workflow, claimed, Position::Forward(workflow.first()));
    Write { guard: Guard { absent: true, ..Guard::default() }, before: None, after, stock: Vec::new() }
}

/// The order at `position`, where nobody has been asked yet.
fn due(workflow: &Workflow, record: Record, position: Position) -> Record {
    let callee = workflow.callee(position).map(str::to_owned);
    Record { step: workflow.due(position).to_owned(), callee, ..record }
}

/// What a message means, given the record that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Existing {
    /// My own claim or takeover, whose response was lost: go on.
    Mine(Record),
    /// Another order under the same ID.
    Conflict {
        /// The fingerprint of the order that was there first.
        stored: Fingerprint,
    },
    /// Finished: this is the answer.
    Finished {
        /// The stored result.
        result: String,
    },
    /// An operator owns it.
    Parked,
    /// Another worker owns it.
    Busy {
        /// Until when, at most.
        until: UnixMillis,
    },
    /// Claimed under a workflow that this code does not know.
    UnknownVersion(u32),
    /// The lease is over: take over.
    Lapsed(Record),
}

/// What the record that a refused claim or takeover brought back, or a read found, means for the message.
pub fn on_existing(
    workflow: &Workflow,
    found: Record,
    me: &Owner,
    fingerprint: &Fingerprint,
    now: UnixMillis,
) -> Existing {
    if found.fingerprint != *fingerprint {
        return Existing::Conflict { stored: found.fingerprint };
    }
    if found.owner == *me && Status::UNFINISHED.contains(&found.status) {
        return Existing::Mine(found);
    }
    match (found.status, found.result, found.lease_until_ms) {
        (Status::Completed | Status::Rejected, result, _) => {
            Existing::Finished { result: result.unwrap_or_default() }
        }
        (Status::Parked, ..) => Existing::Parked,
        (Status::InProgress | Status::Compensating, ..)
            if workflow.at_present(found.workflow_version, &found.step).is_none() =>
        {
            Existing::UnknownVersion(found.workflow_version)
        }
        (Status::InProgress | Status::Compensating, _, Some(until)) if until > now => {
            Existing::Busy { until }
        }
        (Status::InProgress | Status::Compensating, result, _) => {
            Existing::Lapsed(Record { result, ..found })
        }
    }
}

/// The write that makes me the owner of an order whose lease is over. From there on it is an order of the present
/// workflow.
///
/// An order of an earlier workflow is taken over only at the status and step that were seen: a write of the owner before
/// may have landed since, and what it leads to may be no step of the present one. Where a migration moves the order, the
/// write minds cancellations, too: an order that is to be cancelled does not go on.
pub fn take_over(workflow: &Workflow, seen: &Record, claimant: &Claimant, now: UnixMillis) -> Write {
    let known = workflow.at_present(seen.workflow_version, &seen.step);
    let owned = Record {
        workflow_version: known.map_or(seen.workflow_version, |_| workflow.version()),
        fence: seen.fence.next(),
        owner: claimant.owner.clone(),
        lease_until_ms: Some(claimant.lease_until),
        attempts: seen.attempts + 1,
        updated_at_ms: now,
        order: None,
        callee: seen.callee.clone().or_else(|| callee(workflow, seen)),
        ..seen.clone()
    };
    let guard = Guard { fence: Some(seen.fence), status: Status::UNFINISHED.to_vec(), ..Guard::default() };
    if owned.workflow_version == seen.workflow_version {
        return update(guard, seen, owned);
    }
    let guard = Guard { status: vec![seen.status], step: vec![seen.step.clone()], ..guard };
    match known.filter(|to| *to != seen.step) {
        None => update(guard, seen, owned),
        Some(to) => {
            let guard = Guard { not_cancelled: seen.cancel_requested.is_none(), ..guard };
            update(guard, seen, moved(workflow, owned, to, now))
        }
    }
}

/// Who will be asked for the step that is due, if its record does not say who was.
fn callee(workflow: &Workflow, seen: &Record) -> Option<String> {
    let position = workflow.position(seen.status, &seen.step).ok()?;
    workflow.callee(position).map(str::to_owned)
}

/// The order at the step to which a migration leads. Nobody has called that step yet. On the way back, what is undone next
/// follows from what was done.
fn moved(workflow: &Workflow, owned: Record, to: &str, now: UnixMillis) -> Record {
    let moved = Record { key_epoch_ms: Some(now), ..owned };
    let Ok(position) = workflow.position(moved.status, to) else {
        return Record { step: to.to_owned(), ..moved };
    };
    let cancelled = moved.cancel_requested.as_ref();
    match (position, cancelled.map(|_| workflow.next(position, Event::Cancelled, &moved.outcomes))) {
        (Position::Backward(_), _) => {
            let next = Position::Backward(workflow.next_undo(&moved.outcomes));
            due(workflow, moved, next)
        }
        (Position::Forward(_), Some(Ok(Move::Compensate(first_undo)))) => {
            turned_back(workflow, &moved, &Refusal::cancelled().to_outcome(), first_undo, now)
        }
        (Position::Forward(_), _) => due(workflow, moved, position),
    }
}

/// What a refused write of an owner means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It was written, and only the response was lost: go on.
    Written,
    /// Somebody asked to cancel: settle the step, then begin compensation.
    Cancelled,
    /// Somebody else finished the order: this is the answer.
    Finished {
        /// The stored result.
        result: String,
    },
    /// The lease is lost: call nothing more, write nothing more.
    Lost {
        /// The new owner's lease, if there is one.
        until: Option<UnixMillis>,
    },
}

/// What the item that a refused `write` brought back means to its writer.
pub fn on_refused(write: &Write, found: Option<&Record>) -> Refused {
    let Some(found) = found else { return Refused::Lost { until: None } };
    if write.shows_in(found) {
        return Refused::Written;
    }
    let only_cancelled = Guard { not_cancelled: false, ..write.guard.clone() }.holds(Some(found));
    match (&found.cancel_requested, &found.result) {
        (Some(_), _) if write.guard.not_cancelled && only_cancelled => Refused::Cancelled,
        (_, Some(result)) if found.status.is_finished() => Refused::Finished { result: result.clone() },
        _ => Refused::Lost { until: found.lease_until_ms },
    }
}

fn update(guard: Guard, before: &Record, after: Record) -> Write {
    Write { guard, before: Some(before.clone()), after, stock: Vec::new() }
}

/// `fence = :f AND owner = :me AND status = :now AND step = :this`.
fn mine(held: &Record) -> Guard {
    Guard {
        fence: Some(held.fence),
        owner: Some(held.owner.clone()),
        status: vec![held.status],
        step: vec![held.step.clone()],
        ..Guard::default()
    }
}

/// The condition of a checkpoint: while the order can still be cancelled, also that nobody asked to.
fn checkpoint_guard(workflow: &Workflow, held: &Record) -> Guard {
    let cancellable = workflow.cancellable().contains(&held.step.as_str());
    Guard { not_cancelled: held.status == Status::InProgress && cancellable, ..mine(held) }
}

/// The step that was due is done, and `to` is due next.
pub fn checkpoint(
    workflow: &Workflow,
    held: &Record,
    outcome: Outcome,
    to: Position,
    now: UnixMillis,
) -> Write {
    let outcomes = held.outcomes.with(&held.step, outcome.at(now));
    let after = due(workflow, Record { outcomes, updated_at_ms: now, ..held.clone() }, to);
    update(checkpoint_guard(workflow, held), held, after)
}

/// The stock of the order is reserved, and `to` is due next: one transaction.
pub fn reserve(workflow: &Workflow, held: &Record, order: &Order, to: StepId, now: UnixMillis) -> Write {
    let lines = order.items.iter().map(|item| (item.sku.clone(), item.quantity));
    let reserved = Record {
        outcomes: held.outcomes.with(&held.step, Outcome::reserved(lines)),
        reserved_at_ms: Some(now),
        updated_at_ms: now,
        ..held.clone()
    };
    let after = due(workflow, reserved, Position::Forward(to));
    let stock = order.items.iter();
    let stock = stock.map(|item| StockMove::Reserve(item.sku.clone(), item.quantity.into())).collect();
    Write { stock, ..update(checkpoint_guard(workflow, held), held, after) }
}

/// How an order ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// COMPLETED or REJECTED.
    pub status: Status,
    /// The answer to every duplicate.
    pub result: String,
    /// How long the record is kept after `now`, or after the order was placed if that is later.
    pub retention: Duration,
    /// When the customer placed the order.
    pub placed_at: UnixMillis,
}

/// The last step of either direction is done: the answer is stored, and the stock of a rejected order goes back
/// in the same transaction.
pub fn finish(
    workflow: &Workflow,
    held: &Record,
    outcome: Outcome,
    ending: &Ending,
    now: UnixMillis,
) -> Write {
    let after = Record {
        status: ending.status,
        outcomes: held.outcomes.with(&held.step, outcome.at(now)),
        result: Some(ending.result.clone()),
        expires_at: Some((now.max(ending.placed_at) + ending.retention).to_seconds()),
        lease_until_ms: None,
        order: None,
        callee: None,
        updated_at_ms: now,
        ..held.clone()
    };
    let stock = if ending.status == Status::Rejected { release(workflow, held) } else { Vec::new() };
    Write { stock, ..update(checkpoint_guard(workflow, held), held, after) }
}

fn release(workflow: &Workflow, held: &Record) -> Vec<StockMove> {
    use crate::workflow::Effect;
    let reserving = workflow.steps().filter(|(_, step)| step.effect == Effect::Stock);
    let reserved = reserving.filter_map(|(_, step)| held.outcomes.get(step.name));
    reserved.flat_map(Outcome::quantities).map(|(sku, quantity)| StockMove::Release(sku, quantity)).collect()
}

/// The refusal is written down before anything of it is visible outside. `settled` is what the present step came
/// to, if it took effect.
pub fn begin_compensation(
    workflow: &Workflow,
    held: &Record,
    settled: Option<Outcome>,
    refusal: &Refusal,
    first_undo: StepId,
    now: UnixMillis,
) -> Write {
    let outcomes = match settled {
        Some(outcome) => held.outcomes.with(&held.step, outcome.at(now)),
        None => held.outcomes.clone(),
    };
    let settled = Record { outcomes, updated_at_ms: now, ..held.clone() };
    update(mine(held), held, turned_back(workflow, &settled, &refusal.to_outcome(), first_undo, now))
}

/// The order on its way back, with the refusal written down.
fn turned_back(
    workflow: &Workflow,
    record: &Record,
    refusal: &Outcome,
    first_undo: StepId,
    now: UnixMillis,
) -> Record {
    let outcomes = record.outcomes.with(REFUSAL, refusal.clone().at(now));
    let turned = Record { status: Status::Compensating, outcomes, ..record.clone() };
    due(workflow, turned, Position::Backward(first_undo))
}

/// An operator has to decide: the message is kept on the record, because nothing else keeps it.
///
/// Holds only in the status that `held` has: an earlier write may have landed without its writer knowing, and
/// `parked_from` must never say IN_PROGRESS of an order whose refusal is written down.
pub fn park(held: &Record, reason: &str, message: &str, now: UnixMillis) -> Write {
    let after = Record {
        status: Status::Parked,
        parked_from: Some(held.status),
        parked_reason: Some(reason.to_owned()),
        order: Some(message.to_owned()),
        lease_until_ms: None,
        updated_at_ms: now,
        ..held.clone()
    };
    update(Guard { step: Vec::new(), ..mine(held) }, held, after)
}

/// The order is free for the next delivery of its message.
pub fn give_up(held: &Record, now: UnixMillis) -> Write {
    let after = Record { lease_until_ms: Some(RELEASED), updated_at_ms: now, ..held.clone() };
    let guard = Guard { status: Status::UNFINISHED.to_vec(), step: Vec::new(), ..mine(held) };
    update(guard, held, after)
}

#[cfg(test)]
mod tests;
