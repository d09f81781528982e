//! Plays a case: the messages are delivered until SQS would be told to delete them all, whatever happens meanwhile.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use order_processor::budget::Budget;
use order_processor::clock::UnixMillis;
use order_processor::local::faults::{Fault, Faults, Passage};
use order_processor::local::payment_provider::{PaymentStatus, Scripted, Shown};
use order_processor::order::Order;
use order_processor::protocol::{self, Claimant, Statement, Write, Written};
use order_processor::random::Random;
use order_processor::record::{Outcome, Owner, Record};
use order_processor::services::{self, payment};
use order_processor::store::Store;
use serde_json::{Map, Value, json};

use super::case::Case;
use super::paths::{LAST_RECEIVE, Left, Provider};
use super::watch::Watch;
use crate::local_world::TABLE;
use crate::world::warehouse::RefusingWarehouse;
use crate::world::{API_KEY, Message, Outcome as Delivered, TIMEOUT, World, order_json, raw};

/// Past every lease: the function's timeout and the grace, and a little.
const PAST_THE_LEASE: Duration = Duration::from_secs(20);
/// Deliveries within which everything must be overcome.
pub const DELIVERIES: u32 = 6;

/// A world in which a case happens, and what was seen there.
pub struct Play {
    pub world: Rc<World>,
    pub watch: Watch,
    /// The log lines of every record of every delivery.
    pub lines: Vec<Map<String, Value>>,
    pub deliveries: u32,
    /// How many mugs there are before the first is reserved.
    pub mugs: u64,
    /// What went against a rule on the way.
    pub violations: Vec<String>,
    sleeping: VecDeque<Worker>,
}

/// A worker with a batch, as a process of its own.
struct Worker {
    messages: Vec<Message>,
    process: Faults,
    run: Pin<Box<dyn Future<Output = Delivered>>>,
}

/// How a worker's life can end.
enum End {
    Answered(Delivered),
    Died,
    Froze(Worker),
}

impl Play {
    /// A world in which `case` is going to happen.
    pub async fn of(case: &Case) -> Play {
        let mut world = World::new().await;
        // The SDK draws the jitter of its retries from the thread's own sequence. Seeded once the world is there,
        // because what is made only once in a process draws, too.
        fastrand::seed(1);
        world.chance = Random::from_seed(1);
        world.warehouse = case.path.shipment_refused.then(RefusingWarehouse::default);
        prepare_provider(&mut world, case);
        if let Some(left) = case.path.left_by_old_code {
            world.migrations = left.migrations;
            leave(&world, left).await;
        }
        let watch = Watch::default();
        let faults = Faults::planned_by(plan(case.clone(), &world, watch.clone()));
        Play {
            world: Rc::new(world.under(faults)),
            watch,
            lines: Vec::new(),
            deliveries: 0,
            mugs: 10,
            violations: Vec::new(),
            sleeping: VecDeque::new(),
        }
    }

    /// Delivers the path's messages until none is left, wakes who sleeps, and lets everything land, however late.
    pub async fn play_out(&mut self, case: &Case) {
        self.go_on_with(case, messages(case)).await;
    }

    /// The same from `messages` on.
    pub async fn go_on_with(&mut self, case: &Case, mut messages: Vec<Message>) {
        while !messages.is_empty() && self.deliveries < DELIVERIES {
            messages = self.deliver(messages).await;
            for end in case.path.ends {
                messages.extend(self.resume_if_parked(end.order).await);
            }
        }
        if !messages.is_empty() {
            self.violations.push(format!("not finished after {DELIVERIES} deliveries"));
        }
        self.wake_all().await;
        self.world.faults.settle().await;
        tokio::time::advance(LATE).await;
    }

    /// Looks at every record once more.
    pub fn look(&self, case: &Case) {
        for end in case.path.ends {
            self.watch.look(self.world.aws(), end.order);
        }
    }

    /// One delivery; what SQS delivers again, once every lease is over.
    pub async fn deliver(&mut self, messages: Vec<Message>) -> Vec<Message> {
        self.deliveries += 1;
        let mut worker = Worker::start(&self.world, messages.clone());
        let failed = loop {
            match worker.live().await {
                End::Answered(outcome) => break self.answered(&messages, outcome),
                End::Died => break messages,
                // Held while the one before wakes, which thereby wakes at every moment of its successor's run.
                End::Froze(held) if !self.sleeping.is_empty() => {
                    self.wake_all().await;
                    worker = held.thawed();
                }
                End::Froze(held) => {
                    self.sleeping.push_back(held);
                    break messages;
                }
            }
        };
        tokio::time::advance(PAST_THE_LEASE).await;
        failed.into_iter().map(received_again).collect()
    }

    async fn wake_all(&mut self) {
        while let Some(sleeper) = self.sleeping.pop_front() {
            let messages = sleeper.messages.clone();
            match sleeper.thawed().live().await {
                End::Answered(outcome) => drop(self.answered(&messages, outcome)),
                End::Froze(again) => self.sleeping.push_back(again),
                End::Died => {}
            }
        }
    }

    /// What is delivered again. A message is deleted only if its order is settled, and in a group only after those
    /// before it.
    fn answered(&mut self, messages: &[Message], outcome: Delivered) -> Vec<Message> {
        let (failed, deleted): (Vec<_>, Vec<_>) =
            messages.iter().cloned().partition(|message| outcome.failed.contains(&message.id));
        for message in &deleted {
            let order = order_of(message);
            let status = self.watch.look(self.world.aws(), &order);
            if !["COMPLETED", "REJECTED", "PARKED"].contains(&status.as_str()) {
                self.violations.push(format!("{order} is {status:?} and {} was deleted", message.id));
            }
        }
        let place = |of: &Message| messages.iter().position(|message| message.id == of.id);
        for (first, later) in failed.iter().flat_map(|first| deleted.iter().map(move |later| (first, later)))
        {
            if first.group.is_some() && first.group == later.group && place(first) < place(later) {
                self.violations.push(format!("{} was deleted before {}", later.id, first.id));
            }
        }
        self.lines.extend(outcome.lines.into_values());
        failed
    }

    async fn resume_if_parked(&self, order: &str) -> Option<Message> {
        match self.watch.look(self.world.aws(), order) == "PARKED" {
            true => Some(raw("resumed", &self.write_resume(order).await)),
            false => None,
        }
    }

    /// What an operator writes when the fault is over that parked an order; the message that is to be sent then.
    pub async fn write_resume(&self, order: &str) -> String {
        let mut parked = self.world.record(order).await.unwrap();
        let now = self.world.clock.now();
        if let Some(refunded) = self.refund_by_hand(&parked) {
            let undo = payment::STEP.undo.unwrap();
            let mark =
                protocol::mark(&services::workflow(), &parked, undo, Statement::Done(refunded), now).unwrap();
            self.write(&mark).await;
            parked = self.world.record(order).await.unwrap();
        }
        let resume = protocol::resume(&parked, now).unwrap().expect("a parked order is written first");
        self.write(&resume).await;
        parked.order.unwrap()
    }

    /// What is done about a refund that failed: the customer is paid back at the provider's desk.
    fn refund_by_hand(&self, parked: &Record) -> Option<Outcome> {
        let ledger = self.world.payments.ledger();
        let failed = ledger.refunds_of(parked.order_id()).iter().any(|refund| !refund.status.holds());
        let settled = ledger.settled_refunds_of(parked.order_id());
        let due = Some(parked.step.as_str()) == payment::STEP.undo && failed && settled.is_empty();
        let payment_id = parked.outcomes.text(payment::PAYMENT_ID).filter(|_| due)?;
        Some(Outcome::of("refund_id", self.world.payments.refund_by_hand(payment_id)?))
    }

    async fn write(&self, write: &Write) {
        let clock = &self.world.clock;
        let store = Store::new(self.world.table.clone(), TABLE, Random::from_seed(0));
        let patience = Budget::until(clock.now() + TIMEOUT, clock.clone()).write();
        let written = store.write(write, patience).await.unwrap();
        assert!(matches!(written, Written::Applied(_)), "{written:?}");
    }
}

impl Worker {
    fn start(world: &Rc<World>, messages: Vec<Message>) -> Worker {
        let (world, process) = (Rc::clone(world), world.faults.another_process());
        let batches = world.worker_under(&process);
        let delivered = messages.clone();
        let run = Box::pin(async move { world.deliver_to(&batches, &delivered).await });
        Worker { messages, process, run }
    }

    /// Until it answers, dies or freezes. A dead worker is dropped.
    async fn live(mut self) -> End {
        tokio::select! {
            biased;
            () = self.process.crashed() => End::Died,
            () = self.process.frozen() => End::Froze(self),
            outcome = &mut self.run => End::Answered(outcome),
        }
    }

    fn thawed(self) -> Worker {
        self.process.thaw();
        self
    }
}

/// Puts `ord-1` where a worker of the old code left it an hour ago, with two mugs reserved.
async fn leave(world: &World, left: Left) {
    let workflow = services::workflow();
    let order = Order::parse(&order_json("ord-1").to_string()).unwrap();
    let then = UnixMillis(world.clock.now().0 - 3_600_000);
    let claimant = Claimant { owner: Owner("old".to_owned()), lease_until: then };
    let claimed = protocol::claim(&workflow, &order, &claimant, then).after;
    let reserved = protocol::reserve(&workflow, &claimed, &order, workflow.first(), then).after;
    let cancel_requested = left.cancelled.then(|| "customer".to_owned());
    world
        .put(&Record { step: left.step.to_owned(), workflow_version: 1, cancel_requested, ..reserved })
        .await;
    world.stock("mug", 8).await;
}

/// What comes later than everybody's work does: it must find nothing open.
const LATE: Duration = Duration::from_secs(3600);
/// Less than the time between two deliveries.
const REFUND_TAKES: Duration = Duration::from_secs(10);

fn prepare_provider(world: &mut World, case: &Case) {
    if let Some(order) = case.path.provider_down_for {
        world.payments.answer_next(order, Scripted::status(503));
    }
    let charge = |script| world.payments.answer_next("ord-1:charge_payment", script);
    match case.path.provider {
        Provider::Usual => {}
        Provider::StoredError => {
            charge(Scripted::status(500).stored().applied());
            world.payments.search_shows(|_, _| Shown::As(PaymentStatus::RequiresPaymentMethod));
        }
        Provider::Unconfirmed => {
            let open = Scripted::comes_to(PaymentStatus::RequiresAction);
            charge(open.and_later(LATE / 2, PaymentStatus::Succeeded));
        }
        Provider::RevokedKey => {
            world.payments.revoke(API_KEY);
            world.secret = Some("sk_test_2");
        }
        Provider::LateRefund => {
            world.payments = world.payments.clone().with_refunds_taking(REFUND_TAKES);
        }
    }
}

/// The faults of `case`. In front of each request about a record that is looked at, and somebody may cancel.
fn plan(case: Case, world: &World, watch: Watch) -> impl FnMut(&Passage) -> Option<Fault> + Send + 'static {
    let (aws, mut cancel_at) = (world.aws().clone(), case.path.cancelled_during);
    move |passage| {
        let named = case.path.ends.iter().filter(|end| names(passage, end.order));
        named.for_each(|end| drop(watch.look(&aws, end.order)));
        if cancel_at.is_some_and(|operation| operation == passage.operation) {
            cancel_at = None;
            let cancel = json!({
                "TableName": TABLE, "Key": { "pk": { "S": "ORDER#ord-1" } },
                "UpdateExpression": "SET cancel_requested = :who",
                "ConditionExpression": "#status = :running",
                "ExpressionAttributeNames": { "#status": "status" },
                "ExpressionAttributeValues": { ":who": { "S": "customer" }, ":running": { "S": "IN_PROGRESS" } },
            });
            let answer = aws.dynamodb().answer("UpdateItem", cancel.to_string().as_bytes());
            assert!(answer.status().is_success(), "nobody could cancel: {answer:?}");
        }
        case.fault_at(passage)
    }
}

/// Whether the request is about the order's record. What does not name it cannot change it.
fn names(passage: &Passage, order: &str) -> bool {
    let key = format!("\"ORDER#{order}\"");
    passage.body.windows(key.len()).any(|part| part == key.as_bytes())
}

/// After the last receive it is in the dead-letter queue, from where it is redriven.
fn received_again(message: Message) -> Message {
    let count = if message.receive_count == LAST_RECEIVE { 1 } else { message.receive_count + 1 };
    message.received(count)
}

/// The path's messages, as they are received first.
pub fn messages(case: &Case) -> Vec<Message> {
    let messages = (case.path.messages)().into_iter();
    messages.map(|message| message.received(case.path.receive_count)).collect()
}

/// The ID of the order in a message.
pub fn order_of(message: &Message) -> String {
    serde_json::from_str::<Value>(&message.body).unwrap()["order_id"].as_str().unwrap().to_owned()
}
