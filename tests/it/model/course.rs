//! A run of the model: the shipped course, and what the table and the callees come back with.

use std::time::Duration;

use order_processor::clock::UnixMillis;
use order_processor::delivery::{
    Command, Course, Delivery, Disposition, Due, Ending, Event, Job, Moment, Rules,
};
use order_processor::order::Order;
use order_processor::protocol::{self, Claimant, Existing, Refused, Write, Written};
use order_processor::record::{Outcome, Outcomes, Owner, Reason, Refusal, Status};
use order_processor::services::{notifications, payment, warehouse};

use super::codes::Duty;
use super::guards::Removed;
use super::reached::Branch;
use super::table;
use super::world::{Answer, Day, Delivered, Kept, Message, Phase, Run, World};
use super::{Model, RETENTION};

/// When the model's order was placed: 1970-01-02.
const PLACED: UnixMillis = UnixMillis(86_400_000);
const HOUR: Duration = Duration::from_secs(3600);
/// Stripe's: 24 hours.
const KEY_MEMORY: Duration = Duration::from_secs(24 * 3600);
const MAX_AGE: Duration = Duration::from_secs(21 * 24 * 3600);
/// From a worker's present to the end of its lease.
const LEASE: Duration = Duration::from_millis(500);
/// What a delivery is that comes after every lease.
const PAST_THE_LEASE: Duration = Duration::from_secs(1);

/// Where a delivery stands, and what it does next.
#[derive(Clone)]
pub struct Decision {
    course: Kept<Course>,
    command: Kept<Command>,
    branch: Option<Branch>,
}

impl Decision {
    fn of((course, command): (Course, Command), branch: Option<Branch>) -> Self {
        Decision { course: Kept::new(course), command: Kept::new(command), branch }
    }
}

/// The orders behind the messages.
#[derive(Clone, Debug)]
pub struct Orders {
    original: Order,
    rebuilt: Order,
    conflicting: Order,
}

impl Orders {
    pub fn of(skus: usize) -> Self {
        let order = |placed: UnixMillis, customer: &str| {
            let items = table::SKUS[..skus].iter();
            let items: Vec<_> = items
                .map(|sku| serde_json::json!({ "sku": sku, "quantity": 1, "unit_price": 100 }))
                .collect();
            let message = serde_json::json!({
                "order_id": "o", "customer_id": customer, "placed_at": placed.to_rfc3339(),
                "currency": "USD", "items": items, "payment_method": "pm",
            });
            Order::parse(&message.to_string()).unwrap()
        };
        Orders {
            original: order(PLACED, "c"),
            rebuilt: order(PLACED + Duration::from_secs(60), "c"),
            conflicting: order(PLACED, "other"),
        }
    }

    pub fn get(&self, message: Message) -> &Order {
        match message {
            Message::Original => &self.original,
            Message::Rebuilt => &self.rebuilt,
            Message::Conflicting => &self.conflicting,
        }
    }
}

/// The time of worker `number` on that day.
pub fn now(day: Day, number: u8) -> UnixMillis {
    let day = match day {
        Day::First => Duration::ZERO,
        Day::Next => 25 * HOUR,
        Day::Month => 24 * HOUR * 40,
    };
    PLACED + HOUR / 2 + day + Duration::from_millis(number.into())
}

pub fn rules(removed: Option<Removed>) -> Rules {
    let retention = if removed == Some(Removed::Retention) { HOUR } else { RETENTION };
    let max_order_age = if removed == Some(Removed::AgeWindow) { 100 * MAX_AGE } else { MAX_AGE };
    Rules { retention, max_order_age, max_receive_count: 2, lease_grace: Duration::ZERO }
}

impl Model {
    fn with_job<T>(&self, day: Day, run: (u8, Delivered), act: impl FnOnce(&Job<'_>) -> T) -> T {
        let (number, Delivered { message, last, code }) = run;
        let claimant = Claimant { owner: Owner(format!("w{number}")), lease_until: now(day, number) + LEASE };
        let delivery = Delivery {
            order: self.orders.get(message),
            message: "{}",
            receive_count: if last { 2 } else { 1 },
            may_claim: true,
        };
        act(&Job {
            workflow: self.scene.codes.workflow(code),
            rules: &self.rules,
            delivery,
            claimant: &claimant,
        })
    }

    /// A message arrives.
    pub fn begin(&self, world: &mut World, delivered: Delivered) {
        world.begun += 1;
        let number = world.begun;
        let moment = Moment { now: now(world.day, number), call: Some(LEASE) };
        let job = (number, delivered);
        let Decision { course, command, .. } = self.decisions.recall(&(moment.now, job), || {
            Decision::of(self.with_job(world.day, job, |job| Course::begin(job, moment)), None)
        });
        let run = Run { number, delivered, course, command, phase: Phase::Ready };
        world.runs.push(run);
        self.settle_end(world, world.runs.len() - 1);
    }

    /// The run's command came to `event`; `late` is a worker that looks at leases after they are over.
    pub fn feed(&self, world: &mut World, index: usize, event: Event, late: bool) {
        let run = world.runs[index].clone();
        let event = self.bend_event(world, &run, event);
        let now = now(world.day, run.number);
        let moment = Moment { now: if late { now + PAST_THE_LEASE } else { now }, call: Some(LEASE) };
        let had_it = run.course.held().is_some();
        let Decision { course, command, branch } = self.decided(world.day, &run, &event, moment);
        branch.into_iter().for_each(|branch| self.reached.mark(branch));
        if !had_it && course.held().is_some() {
            self.reached.mark(if course.held().is_some_and(|held| held.attempts > 1) {
                Branch::TakenOver
            } else {
                Branch::Claimed
            });
            self.check_owner(world, run.delivered.message);
        }
        let run = &mut world.runs[index];
        (run.course, run.command, run.phase) = (course, command, Phase::Ready);
        self.settle_end(world, index);
    }

    /// What the shipped course decides. It is pure, so what it once decided is remembered.
    fn decided(&self, day: Day, run: &Run, event: &Event, moment: Moment) -> Decision {
        let job = (run.number, run.delivered);
        self.decisions.recall(&(&run.course, event, moment.now, job), || {
            let branch = self.branch(run, event);
            let course = (*run.course).clone();
            Decision::of(self.with_job(day, job, |job| course.next(job, event.clone(), moment)), branch)
        })
    }

    /// The first that owned the order is the order; another payload must never own it.
    fn check_owner(&self, world: &mut World, message: Message) {
        let first = *world.order.get_or_insert(message);
        if (first == Message::Conflicting) != (message == Message::Conflicting) {
            world.break_with("a conflicting message was worked on");
        }
    }

    /// The branch that a refused write takes.
    fn branch(&self, run: &Run, event: &Event) -> Option<Branch> {
        let (Event::Written(Written::Refused(Some(found))), Command::Write(write)) = (event, &*run.command)
        else {
            return None;
        };
        if run.course.held().is_some() {
            return Some(match protocol::on_refused(write, Some(found)) {
                Refused::Written => Branch::OwnWriteRecognised,
                Refused::Cancelled => Branch::CancellationSeen,
                Refused::Finished { .. } | Refused::Lost { .. } => Branch::LeaseLost,
            });
        }
        let order = self.orders.get(run.delivered.message);
        let me = Owner(format!("w{}", run.number));
        let existing = protocol::on_existing(
            self.scene.codes.workflow(run.delivered.code),
            (**found).clone(),
            &me,
            &order.fingerprint(),
            UnixMillis(0),
        );
        matches!(existing, Existing::Mine(_)).then_some(Branch::OwnClaimRecognised)
    }

    /// What the run is told without the guard.
    fn bend_event(&self, world: &mut World, run: &Run, event: Event) -> Event {
        let Command::Write(write) = &*run.command else {
            if let (Some(Removed::RefusalFirst), Event::Called(Ending::Refused(refusal))) =
                (self.removed, &event)
            {
                self.tell(world, run.delivered.message, Some(refusal), &Default::default());
            }
            return event;
        };
        match (self.removed, event) {
            (Some(Removed::RefusalFirst), Event::Written(Written::Short(shortage))) => {
                self.tell(world, run.delivered.message, Some(&shortage.refusal()), &Default::default());
                Event::Written(Written::Short(shortage))
            }
            (Some(Removed::StopWhenLost), Event::Written(Written::Refused(_)))
                if run.course.held().is_some() =>
            {
                Event::Written(Written::Applied(Box::new(write.after.clone())))
            }
            (Some(removed), Event::Written(Written::Refused(Some(found))))
                if run.course.held().is_some() && removed.takes_for_own(write, &found) =>
            {
                Event::Written(Written::Applied(found))
            }
            (Some(Removed::Fingerprint), Event::Written(Written::Refused(Some(mut found)))) => {
                found.fingerprint = self.orders.get(run.delivered.message).fingerprint();
                Event::Written(Written::Refused(Some(found)))
            }
            (_, event) => event,
        }
    }

    /// A run that is over is forgotten, after a look at what it says.
    fn settle_end(&self, world: &mut World, index: usize) {
        let Command::End(handled) = &*world.runs[index].command else { return };
        let status = world.record.as_ref().map(|record| record.status);
        let unfinished = status.is_some_and(|status| Status::UNFINISHED.contains(&status));
        match &handled.disposition {
            Disposition::Finished { now, result } => {
                self.reached.mark(match now {
                    Some(Status::Completed) => Branch::Completed,
                    Some(_) => Branch::Rejected,
                    None => Branch::Duplicate,
                });
                let answer = Kept::new(result.clone());
                if !world.is_finished() {
                    world.break_with("an unfinished order was answered");
                }
                if !world.answers.contains(&answer) {
                    world.answers.push(answer);
                }
            }
            Disposition::Parked { reason } => {
                self.reached.mark(if reason.is_some() { Branch::Parked } else { Branch::ParkedAnswer });
                let workflow = self.scene.codes.workflow(world.runs[index].delivered.code);
                let standing = world.record.as_ref().map(|record| protocol::standing(workflow, record));
                if reason.is_some() && standing.is_some_and(|standing| standing.is_err()) {
                    world.break_with("an order was parked from where no way leads on");
                }
                if unfinished && world.acts == 0 {
                    world.break_with("the message of an unfinished order was deleted");
                }
            }
            Disposition::Stale => {
                self.reached.mark(Branch::Stale);
                if unfinished {
                    world.break_with("the message of an unfinished order was dead-lettered");
                }
            }
            Disposition::Conflict { .. } => self.reached.mark(Branch::Conflict),
            Disposition::Busy { .. } => self.reached.mark(Branch::Busy),
            Disposition::Retry { .. } | Disposition::Deferred => self.reached.mark(Branch::Retry),
            Disposition::Future => {}
        }
        world.runs.remove(index);
    }

    /// What the callee does with the call: a repeat under a known key has the known answer.
    pub fn process(&self, world: &mut World, message: Message, due: &Due, accepts: bool) -> Ending {
        let key = self.key(due);
        if may_be_forgotten(due) && self.removed != Some(Removed::KeyMemory) {
            return self.look_up(world, accepts);
        }
        if self.scene.codes.duty(&due.held.step) == Duty::Tell {
            self.tell(world, message, due.refusal.as_ref(), &due.held.outcomes);
            return Ending::Done(Outcome::nothing());
        }
        let known = world.callees.remembered(&key).cloned();
        let answer = known.unwrap_or_else(|| {
            let answer = self.effect(world, message, due, &key, accepts);
            world.with_callees(|callees| callees.keys.push((key.clone(), answer.clone())));
            answer
        });
        match answer {
            Answer::Done(outcome) => Ending::Done(outcome),
            Answer::Refused(refusal) => Ending::Refused(refusal),
        }
    }

    pub fn key(&self, due: &Due) -> String {
        match self.removed {
            Some(Removed::KeyWithoutFence) => format!("{}:{}", due.key, due.held.fence.0),
            _ => due.key.clone(),
        }
    }

    fn effect(&self, world: &mut World, message: Message, due: &Due, key: &str, accepts: bool) -> Answer {
        let step = due.held.step.as_str();
        let duty = self.scene.codes.duty(step);
        if duty == Duty::Charge {
            if !accepts {
                self.reached.mark(Branch::Declined);
                let reason = Reason::PaymentDeclined;
                return Answer::Refused(Refusal { reason, detail: "card_declined".to_owned() });
            }
            let number = world.with_callees(|callees| {
                callees.charges += 1;
                callees.charges
            });
            return Answer::Done(Outcome::of(payment::PAYMENT_ID, format!("pi_{number}")));
        }
        if duty == Duty::Refund {
            self.reached.mark(Branch::Refunded);
            world.with_callees(|callees| callees.refunds += 1);
            return Answer::Done(Outcome::of("refund_id", "re_1"));
        }
        if duty == Duty::Other {
            world.with_callees(|callees| *callees.others.entry(step.to_owned()).or_default() += 1);
            return Answer::Done(Outcome::of("id", step));
        }
        if !accepts {
            self.reached.mark(Branch::ShipmentRefused);
            let reason = Reason::ShipmentRefused;
            return Answer::Refused(Refusal { reason, detail: "not to that address".to_owned() });
        }
        let body = warehouse::shipment(self.orders.get(message), key).body;
        world.with_callees(|callees| callees.shipments.push((key.to_owned(), body)));
        Answer::Done(Outcome::of("shipment_id", warehouse::shipment_id(key)))
    }

    /// The provider's search, which has every charge but may lag (`accepts` is false).
    fn look_up(&self, world: &World, accepts: bool) -> Ending {
        self.reached.mark(Branch::LookedUp);
        let found = Some(world.callees.charges).filter(|charges| accepts && *charges > 0);
        match found {
            None if self.removed == Some(Removed::EmptyLookUp) => {
                Ending::Refused(Refusal { reason: Reason::PaymentDeclined, detail: "no payment".to_owned() })
            }
            None => Ending::Unknown("the payment is not found".to_owned()),
            Some(number) => Ending::Done(Outcome::of(payment::PAYMENT_ID, format!("pi_{number}"))),
        }
    }

    fn tell(&self, world: &mut World, message: Message, refusal: Option<&Refusal>, outcomes: &Outcomes) {
        let key = format!("o:{}", notifications::STEP.name);
        let body = notifications::notification(self.orders.get(message), &key, outcomes, refusal).body;
        let told = (key, body);
        if !world.callees.told.contains(&told) {
            world.with_callees(|callees| callees.told.push(told));
        }
    }

    /// Whether the store, having read `found`, says that the write may yet land.
    pub fn may_land(&self, write: &Write, world: &World) -> bool {
        Removed::bent(self.removed, write).guard.holds(world.record.as_deref())
    }
}

/// Whether it is a charge whose key the provider may have forgotten, so that the payment is looked up.
pub fn may_be_forgotten(due: &Due) -> bool {
    due.held.step == payment::STEP.name && payment::is_forgotten(Some(KEY_MEMORY), due.key_age)
}
