//! Versions of the code, and which of them an event is given to: while the orders come in, the second is deployed to a few,
//! to all, rolled back and deployed again, and then the third, whose steps are those that ship. Then
//! a mistake is deployed, and rolled back to a few.

use std::sync::Arc;

use aws_config::SdkConfig;
use futures_util::future::{BoxFuture, FutureExt};
use serde_json::json;

use super::queue::Delivered;
use super::traffic;
use super::wire::QUEUES;
use super::world::World;
use crate::batch::Batches;
use crate::clock::Clock;
use crate::config::Config;
use crate::function;
use crate::local::ledger::{Invariant, Violation};
use crate::queue::{Queue, keyed};
use crate::random::Random;
use crate::record::{Outcome, Record, Status};
use crate::services::payment::{self, Payment, Sandbox};
use crate::services::{self, Call, Connected, Ending, Service};
use crate::workflow::{Effect, Migration, Place, StepDef, Workflow};

/// A version of the code, by the version of its workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// An order is checked before it is charged, and packed after it.
    First,
    /// It is checked after it is charged, packed no more, and invoiced after the shipment.
    Second,
    /// Nothing of that: the steps that ship.
    Third,
    /// A mistake that is rolled back: it calls itself the third, and has two steps more. Nobody answers them, and
    /// the third does not know the orders that stand there.
    Mistaken,
}

/// The queue of whoever checks, packs and invoices.
pub(super) const OTHERS: &str = "others";

const CHECK: StepDef = other("check_fraud", Some("clear_check"), Place::Revocable);
const PACK: StepDef = other("pack_order", Some("unpack_order"), Place::Revocable);
const INVOICE: StepDef = other("send_invoice", None, Place::Forward);
const SCORE: StepDef = other("score_order", None, Place::Revocable);
const SURVEY: StepDef = other("send_survey", None, Place::Forward);

/// From the first version to the second, and from there to the third.
const MIGRATIONS: [Migration; 2] = [
    Migration {
        moves: &[
            ("check_fraud", "charge_payment"),
            ("pack_order", "dispatch_shipment"),
            ("unpack_order", "refund_payment"),
        ],
    },
    Migration {
        moves: &[
            ("check_fraud", "dispatch_shipment"),
            ("clear_check", "refund_payment"),
            ("send_invoice", "notify_customer"),
        ],
    },
];

const fn other(name: &'static str, undo: Option<&'static str>, place: Place) -> StepDef {
    StepDef { name, undo, effect: Effect::Call, place }
}

type Step = (StepDef, Option<Box<dyn Service>>);

impl Code {
    /// Those whose orders go on.
    pub(super) const ALL: [Code; 3] = [Code::First, Code::Second, Code::Third];

    /// Which version the alias gives an event to. By its first message, so that it stays the same when other orders are
    /// left out.
    pub(super) fn invoked(world: &World, first: &Delivered) -> Code {
        let rush = traffic::SPACING * world.plan.orders;
        let through = world.now().since(super::START).as_secs_f64() / rush.as_secs_f64();
        let mut random = world.chance.of("canary", &format!("{} {}", first.id, first.receives));
        let (canary, few) = (random.bool(), random.u8(0..4) == 0);
        match through {
            ..0.15 => Code::First,
            0.15..0.3 if canary => Code::Second,
            0.15..0.3 => Code::First,
            0.3..0.45 => Code::Second,
            // Rolled back.
            0.45..0.6 => Code::First,
            0.6..0.75 => Code::Second,
            0.75..0.9 if canary => Code::Third,
            0.75..0.9 => Code::Second,
            0.93..1.0 => Code::Mistaken,
            1.0..2.0 if few => Code::Mistaken,
            _ => Code::Third,
        }
    }

    /// The function with the steps of this version.
    pub(super) fn assemble<P: Payment>(
        self,
        config: Config,
        sdk: &SdkConfig,
        payment: P,
        clock: Clock,
        random: Random,
    ) -> Batches {
        let others = Queue::new(function::sqs_client(sdk), format!("{QUEUES}{OTHERS}"));
        let connect = |reached: &services::World<P>| self.connected(reached, &others);
        function::assemble_with(config, sdk, payment, connect, clock, random)
    }

    fn connected<P: Payment>(self, reached: &services::World<P>, others: &Queue) -> Connected {
        let shipped = services::steps::<P>().into_iter();
        let shipped = shipped.map(|(definition, connect)| (definition, connect(reached))).collect();
        let steps = self.steps(shipped, |step| (step, Some(self.service(step, others))));
        Connected::new(steps).migrated_by(self.migrations())
    }

    /// What a step calls that is none of those that ship.
    fn service(self, step: StepDef, others: &Queue) -> Box<dyn Service> {
        match self {
            Code::Mistaken => Box::new(NobodyThere(step.name)),
            Code::First | Code::Second | Code::Third => Box::new(Asked(others.clone())),
        }
    }

    /// The law of its steps.
    pub(super) fn workflow(self) -> Workflow {
        let shipped = services::steps::<Sandbox>().into_iter().map(|(definition, _)| (definition, None));
        let steps = self.steps(shipped.collect(), |step| (step, None)).into_iter();
        Workflow::new(steps.map(|(definition, _)| definition).collect()).migrated_by(self.migrations())
    }

    fn migrations(self) -> &'static [Migration] {
        match self {
            Code::First => &[],
            Code::Second => &MIGRATIONS[..1],
            Code::Third | Code::Mistaken => &MIGRATIONS,
        }
    }

    /// The steps that ship, and those of this version besides.
    fn steps(self, shipped: Vec<Step>, other: impl Fn(StepDef) -> Step) -> Vec<Step> {
        let [before, after, last] = match self {
            Code::First => [Some(CHECK), Some(PACK), None],
            Code::Second => [None, Some(CHECK), Some(INVOICE)],
            Code::Third => [None; 3],
            Code::Mistaken => [Some(SCORE), None, Some(SURVEY)],
        };
        let around = |(step, service): Step| {
            let (charges, tells) = (step.name == payment::STEP.name, step.place == Place::Tell);
            let before = if charges { before } else { last.filter(|_| tells) };
            let after = after.filter(|_| charges);
            [before.map(&other), Some((step, service)), after.map(&other)].into_iter().flatten()
        };
        shipped.into_iter().flat_map(around).collect()
    }
}

/// Whoever is asked by a message under the step's key.
struct Asked(Queue);

impl Asked {
    async fn ask(&self, call: &Call<'_>) -> Ending {
        let message = keyed(&call.order.id, call.key, &json!({ "order_id": call.order.id }));
        match self.0.send(&message, call.trace, call.timeout).await {
            Ok(()) => Ending::Done(Outcome::of("asked", call.key)),
            Err(error) => Ending::Unavailable(error.to_string()),
        }
    }
}

impl Service for Asked {
    fn call<'a>(&'a self, call: &'a Call<'a>) -> BoxFuture<'a, Ending> {
        self.ask(call).boxed()
    }

    fn undo<'a>(&'a self, call: &'a Call<'a>) -> BoxFuture<'a, Ending> {
        self.ask(call).boxed()
    }
}

/// Nobody answers, unless it is asked for a score of an order with an odd number: that one gets further.
struct NobodyThere(&'static str);

impl Service for NobodyThere {
    fn call<'a>(&'a self, call: &'a Call<'a>) -> BoxFuture<'a, Ending> {
        let odd = call.order.id.as_str().ends_with(['1', '3', '5', '7', '9']);
        let ending = match self.0 == SCORE.name && odd {
            true => Ending::Done(Outcome::nothing()),
            false => Ending::Unavailable(format!("nobody answers {}", self.0)),
        };
        std::future::ready(ending).boxed()
    }
}

/// Every finished order of which something that is no step of the shipped ones was left, or undone for nothing.
pub(super) fn left_over(world: &Arc<World>) -> Vec<Violation> {
    let history = world.history();
    let finished = history.records().filter(|record| record.status.is_finished());
    finished.filter_map(|record| wrong(world, record)).collect()
}

/// An order is finished by the code of its version, which undoes what it knows.
fn wrong(world: &World, record: &Record) -> Option<Violation> {
    let code = Code::ALL.into_iter().find(|code| code.workflow().version() == record.workflow_version);
    let violation = |detail: String| Violation {
        invariant: Invariant::UndoneIfRejected,
        subject: record.order_id().to_owned(),
        detail,
    };
    let Some(code) = code else { return Some(violation("no code is of its version".to_owned())) };
    let books = world.books();
    let asked = |name: &str| books.others.contains_key(&record.idempotency_key(name));
    let wrong = code.workflow().steps().find_map(|(_, step)| {
        let undo = step.undo.filter(|_| [CHECK.name, PACK.name].contains(&step.name))?;
        let expected = record.status == Status::Rejected && record.outcomes.left_something(step.name);
        (asked(undo) != expected).then(|| format!("{}: {undo} was {}called", record.status, not(asked(undo))))
    });
    wrong.map(violation)
}

fn not(was: bool) -> &'static str {
    if was { "" } else { "not " }
}
