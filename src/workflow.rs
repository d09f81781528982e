//! The law of the workflow: from where, by what event, to where. Pure.
//!
//! The steps themselves are a table ([`crate::services::steps`]); this module knows only what a [`StepDef`]
//! says of them. Live processing, takeover after a crash, and the tests all go through [`Workflow::next`].

use std::fmt;

use crate::record::{Outcomes, REFUSAL, Status};

/// What the workflow has to know of a step. The table of steps is the workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepDef {
    /// The step's name on the record, in idempotency keys and in logs. Never changed, once orders exist.
    pub name: &'static str,
    /// The name of its undo, where it has one.
    pub undo: Option<&'static str>,
    /// How its effect becomes exactly one.
    pub effect: Effect,
    /// What it means for the steps around it.
    pub place: Place,
}

impl StepDef {
    fn is_undone_by_a_call(&self) -> bool {
        self.effect == Effect::Call && self.undo.is_some()
    }
}

/// The two kinds of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Effect and checkpoint are one DynamoDB transaction.
    Stock,
    /// The callee recognises `<order_id>:<step>`: a repeat of the call is no second effect.
    Call,
}

/// Where a step stands, seen from the point of no return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before the point of no return: can be refused, cancelled and undone.
    Revocable,
    /// The point of no return: can be refused; once accepted, the order only goes forward.
    PointOfNoReturn,
    /// After it: must succeed in the end.
    Forward,
    /// Tells the customer how the order ended: the last step of both directions.
    Tell,
}

/// A step, by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(usize);

impl StepId {
    /// The place, from 0.
    pub fn index(self) -> usize {
        self.0
    }
}

/// Where an unfinished order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Position {
    /// The step is due.
    Forward(StepId),
    /// The undo of the step is due; for the telling step, the telling.
    Backward(StepId),
}

/// What happened to the step or undo that was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// It took effect.
    Done,
    /// It was refused for good.
    Refused,
    /// Somebody cancelled the order, and the outcome of the step is known.
    Cancelled,
}

/// What is written next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    /// A checkpoint: this step is due next.
    Advance(StepId),
    /// The order is COMPLETED.
    Complete,
    /// The order is COMPENSATING, and this undo is due first.
    Compensate(StepId),
    /// A checkpoint on the way back: this undo is due next.
    Retreat(StepId),
    /// The order is REJECTED, and its stock is released.
    Reject,
}

/// An event that cannot happen there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot happen at {position}")]
pub struct Illegal {
    /// The position, by name.
    pub position: String,
    /// The event.
    pub event: Event,
}

/// A status and step on a record that are not of this workflow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no step {step:?} while {status}")]
pub struct NoSuchStep {
    /// The record's status.
    pub status: Status,
    /// The record's step.
    pub step: String,
}

/// What becomes of the orders that are in flight when a new version of the workflow is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Who stands at the first step or undo goes on at the second. Every other name means what it meant.
    ///
    /// The step that is left may have been called, and nobody will find out: its effect must be one that can be done
    /// without. The outcomes that are on the record stay there, and what has one is not called again.
    pub moves: &'static [(&'static str, &'static str)],
}

/// The table of steps, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    steps: Vec<StepDef>,
    migrations: Vec<Migration>,
    /// Whom each step asks, where it is somebody by name.
    callees: Vec<Option<&'static str>>,
}

impl Workflow {
    /// A workflow of these steps, in this order.
    ///
    /// # Panics
    /// If there is not exactly one point of no return with only revocable steps before it, if the last step
    /// (and no other) does not tell, if a name stands twice or is that of the refusal among the outcomes, or if a
    /// step after the point of no return has an undo: such a table is a programming error, and no order may run on it.
    pub fn new(steps: Vec<StepDef>) -> Self {
        let turn = steps.iter().position(|step| step.place == Place::PointOfNoReturn);
        let turn = turn.expect("a workflow has a point of no return");
        for (index, step) in steps.iter().enumerate() {
            let fits = match step.place {
                Place::Revocable => index < turn,
                Place::PointOfNoReturn => index == turn && step.undo.is_none(),
                Place::Forward => index > turn && index + 1 < steps.len() && step.undo.is_none(),
                Place::Tell => index > turn && index + 1 == steps.len() && step.undo.is_none(),
            };
            assert!(fits, "{} cannot stand at place {index}", step.name);
            assert!(
                step.effect == Effect::Call || step.place == Place::Revocable,
                "{} moves stock",
                step.name
            );
        }
        assert_eq!(
            steps.last().map(|step| step.place),
            Some(Place::Tell),
            "the last step tells the customer"
        );
        let mut names: Vec<&str> =
            steps.iter().flat_map(|step| [Some(step.name), step.undo]).flatten().chain([REFUSAL]).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "every name stands once: {names:?}");
        Workflow { callees: vec![None; steps.len()], steps, migrations: Vec::new() }
    }

    /// The same, as it became by these migrations: the first from version 1 to 2, and so on.
    ///
    /// # Panics
    /// If one of them leads to no step or undo of this workflow: a programming error, and no order may run on it.
    pub fn migrated_by(self, migrations: &[Migration]) -> Self {
        let workflow = Workflow { migrations: migrations.to_vec(), ..self };
        for (version, migration) in (1..).zip(migrations) {
            for (from, _) in migration.moves {
                let to = workflow.at_present(version, from);
                let known = to.is_some_and(|to| workflow.positions().any(|at| workflow.due(at) == to));
                assert!(known, "version {version} moves {from} to no step of the workflow");
            }
        }
        workflow
    }

    /// The same, with the name of whom each step and its undo ask, in the order of the steps.
    ///
    /// # Panics
    /// If there are not as many as steps.
    pub fn asking(self, callees: Vec<Option<&'static str>>) -> Self {
        assert_eq!(callees.len(), self.steps.len(), "a callee or none for each step");
        Workflow { callees, ..self }
    }

    /// Whom the step or undo at `position` asks, where it is somebody by name.
    pub fn callee(&self, position: Position) -> Option<&'static str> {
        let (Position::Forward(id) | Position::Backward(id)) = position;
        self.callees[id.0]
    }

    /// The version that is written on every record claimed under this workflow, from 1. It grows with each migration.
    pub fn version(&self) -> u32 {
        u32::try_from(self.migrations.len()).map_or(u32::MAX, |migrations| migrations.saturating_add(1))
    }

    /// The step at which an order of `version` that stands at `step` goes on; `None` if no such version was before
    /// this one.
    pub fn at_present<'s>(&self, version: u32, step: &'s str) -> Option<&'s str> {
        let gone_by = usize::try_from(version.checked_sub(1)?).ok()?;
        let moved = |step, migration: &Migration| {
            let to = migration.moves.iter().find(|(from, _)| *from == step);
            to.map_or(step, |(_, to)| *to)
        };
        self.migrations.get(gone_by..).map(|migrations| migrations.iter().fold(step, moved))
    }

    /// Every place at which an order can be, or could if its step had an undo.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.steps().flat_map(|(id, _)| [Position::Forward(id), Position::Backward(id)])
    }

    /// Every step, in order.
    pub fn steps(&self) -> impl Iterator<Item = (StepId, &StepDef)> {
        self.steps.iter().enumerate().map(|(index, step)| (StepId(index), step))
    }

    /// What the table says of a step.
    pub fn step(&self, id: StepId) -> &StepDef {
        &self.steps[id.0]
    }

    /// Where a new order starts.
    pub fn first(&self) -> StepId {
        StepId(0)
    }

    /// The name of what is due at `position`: a step's, or an undo's.
    pub fn due(&self, position: Position) -> &'static str {
        match position {
            Position::Forward(id) => self.step(id).name,
            Position::Backward(id) => self.step(id).undo.unwrap_or(self.step(id).name),
        }
    }

    /// The position that a record's status and step name. A parked record is at that of its `parked_from`.
    ///
    /// # Errors
    /// [`NoSuchStep`] if the names are not of this workflow, or the order is finished or parked.
    pub fn position(&self, status: Status, step: &str) -> Result<Position, NoSuchStep> {
        let found = self.steps().find_map(|(id, known)| match status {
            Status::InProgress => Some(Position::Forward(id)).filter(|at| self.due(*at) == step),
            // Stock is never due on the way back: it is released by the write that ends the order.
            Status::Compensating if known.is_undone_by_a_call() || known.place == Place::Tell => {
                Some(Position::Backward(id)).filter(|at| self.due(*at) == step)
            }
            _ => None,
        });
        found.ok_or_else(|| NoSuchStep { status, step: step.to_owned() })
    }

    /// The names of the steps at which an order can still be cancelled.
    pub fn cancellable(&self) -> Vec<&'static str> {
        self.steps.iter().filter(|step| step.place == Place::Revocable).map(|step| step.name).collect()
    }

    /// Whether the step at the point of no return was done.
    pub fn is_past_return(&self, outcomes: &Outcomes) -> bool {
        let turn = self.steps.iter().find(|step| step.place == Place::PointOfNoReturn);
        turn.is_some_and(|step| outcomes.get(step.name).is_some())
    }

    /// The law: what is written after `event` at `position`. `outcomes` are those known by then, that of the present
    /// step or undo included if it is done.
    ///
    /// # Errors
    /// [`Illegal`] names both halves of a pair that cannot happen.
    pub fn next(&self, position: Position, event: Event, outcomes: &Outcomes) -> Result<Move, Illegal> {
        use Place::{Forward, PointOfNoReturn, Revocable, Tell};
        let place = match position {
            Position::Forward(id) | Position::Backward(id) => self.step(id).place,
        };
        match (position, place, event) {
            (Position::Forward(_), Tell, Event::Done) => Ok(Move::Complete),
            (Position::Forward(id), _, Event::Done) => Ok(Move::Advance(StepId(id.0 + 1))),
            (Position::Forward(_), Revocable, Event::Refused | Event::Cancelled)
            | (Position::Forward(_), PointOfNoReturn, Event::Refused) => {
                Ok(Move::Compensate(self.next_undo(outcomes)))
            }
            (Position::Backward(_), Tell, Event::Done) => Ok(Move::Reject),
            (Position::Backward(_), Revocable, Event::Done) => Ok(Move::Retreat(self.next_undo(outcomes))),
            // The step at which it was cancelled is no more: a migration led the order further, and nothing was shipped.
            (Position::Forward(_), PointOfNoReturn | Forward | Tell, Event::Cancelled)
                if !self.is_past_return(outcomes) =>
            {
                Ok(Move::Compensate(self.next_undo(outcomes)))
            }
            (Position::Forward(_), PointOfNoReturn | Forward | Tell, Event::Cancelled)
            | (Position::Forward(_), Forward | Tell, Event::Refused)
            | (Position::Backward(_), PointOfNoReturn | Forward, Event::Done)
            | (Position::Backward(_), _, Event::Refused | Event::Cancelled) => {
                Err(Illegal { position: self.due(position).to_owned(), event })
            }
        }
    }

    /// The last step that left something which was not undone yet, or else the telling step. It follows from the outcomes
    /// alone: a migration may have led the order past a step, or back. Stock is not among them: it is released by the
    /// write that ends the order.
    pub fn next_undo(&self, outcomes: &Outcomes) -> StepId {
        let left = |step: &StepDef| {
            let undone = step.undo.is_some_and(|undo| outcomes.get(undo).is_some());
            step.is_undone_by_a_call() && outcomes.left_something(step.name) && !undone
        };
        StepId(self.steps.iter().rposition(left).unwrap_or(self.steps.len() - 1))
    }
}

impl fmt::Display for Workflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.steps.iter().map(|step| step.name).collect();
        f.write_str(&names.join(" -> "))
    }
}

#[cfg(test)]
mod tests;
