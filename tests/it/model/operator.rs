//! Operators: they read the record, and write later what the shipped protocol makes of it.

use order_processor::protocol::{self, Statement, Write, Written};
use order_processor::record::{Outcome, Record, Status};
use order_processor::services::{payment, warehouse};
use order_processor::workflow::{Effect, Position, Workflow};

use super::Model;
use super::checker::Action;
use super::codes::Duty;
use super::course::now;
use super::guards::Removed;
use super::reached::Branch;
use super::world::{Answer, Kept, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Somebody asks to cancel.
    Cancel,
    /// A parked order is given back.
    Resume,
    /// The truth about the step that is due is stated.
    Mark,
    /// A parked order is turned back.
    TurnBack,
}

impl Model {
    pub fn operator_actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend((0..world.operators.len()).map(Action::Operate));
        if world.operators.len() < self.scene.operators && world.left.operator > 0 && world.record.is_some() {
            let acts = self.scene.acts.iter();
            let reads =
                acts.flat_map(|&act| self.scene.codes.all().map(move |code| Action::Read { act, code }));
            actions.extend(reads);
        }
    }

    /// `None` if the protocol does not allow it.
    pub fn read(&self, world: &mut World, act: Act, code: u8) -> Option<()> {
        let seen = (**world.record.as_ref()?).clone();
        let write = self.write_of(world, act, self.scene.codes.workflow(code), &seen)?;
        world.left.operator -= 1;
        world.operators.push(Kept::new(write));
        Some(())
    }

    fn write_of(&self, world: &World, act: Act, law: &Workflow, seen: &Record) -> Option<Write> {
        let now = now(world.day, 0);
        match act {
            Act::Cancel => protocol::cancel(law, seen, "customer", now).ok(),
            Act::Resume => protocol::resume(seen, now).ok()?,
            Act::Mark => {
                let statement = self.truth(world, law, seen)?;
                protocol::mark(law, seen, &seen.step, statement, now).ok()
            }
            Act::TurnBack => {
                let settled = Record { settled_step: Some(seen.step.clone()), ..seen.clone() };
                let seen =
                    if self.removed == Some(Removed::SettledBeforeTurningBack) { &settled } else { seen };
                protocol::compensate_parked(law, seen, "support", now).ok()
            }
        }
    }

    /// What the callee's own books say about the step that is due, once no request about it is under way.
    fn truth(&self, world: &World, law: &Workflow, seen: &Record) -> Option<Statement> {
        if self.is_under_way(world, &seen.step) || seen.status != Status::Parked {
            return None;
        }
        let position = law.position(seen.parked_from?, &seen.step).ok()?;
        let (Position::Forward(id) | Position::Backward(id)) = position;
        if law.step(id).effect == Effect::Stock {
            return None;
        }
        let books = &world.callees;
        let key = seen.idempotency_key(&seen.step);
        let found = match self.scene.codes.duty(&seen.step) {
            Duty::Charge => {
                (books.charges > 0).then(|| Outcome::of(payment::PAYMENT_ID, format!("pi_{}", books.charges)))
            }
            Duty::Refund => (books.refunds > 0).then(|| Outcome::of("refund_id", "re_1")),
            Duty::Ship => (!books.shipments.is_empty())
                .then(|| Outcome::of("shipment_id", warehouse::shipment_id(&key))),
            Duty::Tell => (!books.told.is_empty()).then(Outcome::nothing),
            Duty::Other => (books.other(&seen.step) > 0).then(|| Outcome::of("id", &seen.step)),
        };
        match (found, books.remembered(&key)) {
            (Some(outcome), _) => Some(Statement::Done(outcome)),
            // A refusal under the key is found again by calling.
            (None, None | Some(Answer::Refused(_))) => Some(Statement::NotDone),
            (None, Some(Answer::Done(_))) => None,
        }
    }

    pub fn operate(&self, world: &mut World, index: usize) {
        let write = world.operators.remove(index);
        match self.write(world, &write) {
            Written::Applied(_) => {
                world.acts += 1;
                self.reached.mark(match (&write.before, &write.after) {
                    (_, after) if after.status != Status::Parked && after.cancel_requested.is_some() => {
                        Branch::Cancelled
                    }
                    (Some(before), after) if before.status != after.status => Branch::Resumed,
                    (Some(before), after) if before.parked_from != after.parked_from => Branch::TurnedBack,
                    _ => Branch::Marked,
                });
            }
            Written::Refused(_) | Written::Short(_) => self.reached.mark(Branch::OperatorTooLate),
        }
    }
}
