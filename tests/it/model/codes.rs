//! Versions of the code that are at work side by side while a deployment is under way, or is rolled back.

use order_processor::services::{self, notifications, payment, warehouse};
use order_processor::workflow::{Effect, Migration, Place, StepDef, Workflow};

/// What a callee does when a step or undo is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    Charge,
    Refund,
    Ship,
    Tell,
    /// Whatever else a table has: an effect that is made once, or taken back.
    Other,
}

/// Versions of the code, by their tables of steps.
#[derive(Clone, Debug)]
pub struct Codes {
    /// The oldest first. A place in this list names the code of a worker or of an operator.
    tables: Vec<Workflow>,
    /// Where orders in flight went on that stood elsewhere.
    moves: &'static [(&'static str, &'static str)],
}

const CHECK: StepDef = other("check_fraud", Some("clear_check"), Place::Revocable);
const PACK: StepDef = other("pack_order", Some("unpack_order"), Place::Revocable);
const INVOICE: StepDef = other("send_invoice", None, Place::Forward);

const fn other(name: &'static str, undo: Option<&'static str>, place: Place) -> StepDef {
    StepDef { name, undo, effect: Effect::Call, place }
}

impl Codes {
    /// The code as it ships.
    pub fn shipped() -> Self {
        Codes { tables: vec![services::workflow()], moves: &[] }
    }

    fn migrated(
        old: Vec<StepDef>,
        new: Vec<StepDef>,
        moves: &'static [(&'static str, &'static str)],
    ) -> Self {
        let new = Workflow::new(new).migrated_by(&[Migration { moves }]);
        Codes { tables: vec![Workflow::new(old), new], moves }
    }

    /// A step before the charge is no more.
    pub fn without_a_check() -> Self {
        let moves = &[("check_fraud", "charge_payment"), ("clear_check", "notify_customer")];
        Codes::migrated(around_the_charge(Some(CHECK), None), around_the_charge(None, None), moves)
    }

    /// The last step at which an order could be cancelled is no more.
    pub fn without_packing() -> Self {
        let moves = &[("pack_order", "dispatch_shipment"), ("unpack_order", "refund_payment")];
        Codes::migrated(around_the_charge(None, Some(PACK)), around_the_charge(None, None), moves)
    }

    /// A step after the point of no return is no more.
    pub fn without_an_invoice() -> Self {
        let mut old = around_the_charge(None, None);
        old.insert(old.len() - 1, INVOICE);
        Codes::migrated(old, around_the_charge(None, None), &[("send_invoice", "notify_customer")])
    }

    /// There is a step more on either side of the point of no return.
    pub fn with_a_check_and_an_invoice() -> Self {
        let mut new = around_the_charge(Some(CHECK), None);
        new.insert(new.len() - 1, INVOICE);
        Codes::migrated(around_the_charge(None, None), new, &[])
    }

    /// A step stands after the charge instead of before it.
    pub fn with_the_check_after_the_charge() -> Self {
        let moves = &[("check_fraud", "charge_payment")];
        Codes::migrated(around_the_charge(Some(CHECK), None), around_the_charge(None, Some(CHECK)), moves)
    }

    pub fn all(&self) -> impl Iterator<Item = u8> {
        (0..).take(self.tables.len())
    }

    pub fn workflow(&self, code: u8) -> &Workflow {
        &self.tables[usize::from(code)]
    }

    pub fn newest(&self) -> &Workflow {
        self.tables.last().expect("at least one table")
    }

    /// Whether a migration led orders away from the step: nobody finds out whether it was called for those.
    pub fn is_left(&self, step: &str) -> bool {
        self.moves.iter().any(|(from, _)| *from == step)
    }

    /// # Panics
    /// If no table has a step or undo of this name: the laws would say nothing about it.
    pub fn duty(&self, due: &str) -> Duty {
        let mut names = self.tables.iter().flat_map(|table| table.positions().map(|at| table.due(at)));
        assert!(names.any(|name| name == due), "no table has {due}");
        match due {
            step if step == payment::STEP.name => Duty::Charge,
            step if Some(step) == payment::STEP.undo => Duty::Refund,
            step if step == warehouse::STEP.name => Duty::Ship,
            step if step == notifications::STEP.name => Duty::Tell,
            _ => Duty::Other,
        }
    }
}

/// The shipped steps, with one before or after the charge.
fn around_the_charge(before: Option<StepDef>, after: Option<StepDef>) -> Vec<StepDef> {
    let shipped = services::workflow();
    let steps = shipped.steps().flat_map(|(_, step)| match step.name == payment::STEP.name {
        true => [before, Some(*step), after],
        false => [None, Some(*step), None],
    });
    steps.flatten().collect()
}
