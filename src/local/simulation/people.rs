//! What people do meanwhile: customers cancel, operators redrive dead letters and resume parked orders, and DynamoDB
//! deletes what has expired. Everything goes through the protocol's own writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::chance::between;
use super::codes::Code;
use super::queue::Delivered;
use super::world::World;
use super::{DAY, START, wire};
use crate::budget::Patience;
use crate::clock::UnixMillis;
use crate::local::ledger::DeadLetter;
use crate::local::stack::TABLE;
use crate::order::OrderId;
use crate::protocol::{self, Write, Written};
use crate::record::{Record, Status};
use crate::services::payment;
use crate::store::Store;

/// Nothing delays people.
const PATIENCE: Patience = Patience { attempt: Duration::from_secs(1), total: Duration::from_secs(1) };
/// While there are faults, people try so often; then they wait until the faults are over.
const ROUNDS: u32 = 2;
/// Out of a hundred parked orders: turned back rather than resumed.
const TURNED_BACK: u32 = 15;
/// Out of a hundred dead letters of the function's own: sent once more.
const SENT_AGAIN: u32 = 15;

/// What is to be done, and when.
#[derive(Default)]
pub(super) struct Agenda {
    due: BTreeMap<(UnixMillis, u64), Act>,
    planned: u64,
    rounds: BTreeMap<String, u32>,
}

pub(super) enum Act {
    Cancel(String),
    Resume(String),
    Redrive(Delivered),
    SendAgain(DeadLetter),
    Sweep,
    RevokeKey,
    RenewKey,
}

impl Agenda {
    pub(super) fn plan(&mut self, at: UnixMillis, act: Act) {
        self.planned += 1;
        self.due.insert((at, self.planned), act);
    }

    pub(super) fn next(&self) -> Option<UnixMillis> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn take(&mut self, now: UnixMillis) -> Option<Act> {
        let due = self.next()? <= now;
        if due { self.due.pop_first().map(|(_, act)| act) } else { None }
    }

    fn round(&mut self, subject: &str) -> u32 {
        let round = self.rounds.entry(subject.to_owned()).or_default();
        *round += 1;
        *round
    }
}

impl World {
    /// An order was parked: an operator will see to it.
    pub(super) fn parked(&self, id: &str) {
        let at = self.attended("park", id);
        self.agenda().plan(at, Act::Resume(id.to_owned()));
    }

    /// SQS moved a message to the dead-letter queue.
    pub(super) fn exhausted(&self, message: Delivered) {
        self.journal().count("exhausted");
        self.note("exhausted", &message.id);
        let at = self.attended("redrive", root(&message.id));
        self.agenda().plan(at, Act::Redrive(message));
    }

    /// The function sent a dead letter.
    pub(super) fn lettered(&self, letter: DeadLetter) {
        self.note("letter", &format!("{} {}", letter.source_message_id, letter.reason));
        let mut random = self.chance.of("letter", &letter.source_message_id);
        if random.u32(0..100) < SENT_AGAIN && !letter.source_message_id.contains('~') {
            let at = self.attended("letter", &letter.source_message_id);
            self.agenda().plan(at, Act::SendAgain(letter.clone()));
        }
        self.books().dead_letters.push(letter);
    }

    /// When somebody sees to it: in minutes, or after a night or two; after two vain attempts, in calm.
    fn attended(&self, what: &str, subject: &str) -> UnixMillis {
        let subject = format!("{what} {subject}");
        let round = self.agenda().round(&subject);
        let mut random = self.chance.of("attended", &format!("{subject} {round}"));
        let (minute, day) = (Duration::from_secs(60), DAY * 3 / 2);
        let (least, most) = if random.f64() < 0.8 { (minute * 3, minute * 30) } else { (minute * 30, day) };
        let from = if round > ROUNDS && self.is_faulty() { self.calm_from() } else { self.now() };
        from + between(&mut random, least, most)
    }

    /// Sends a message under a new ID, as a redrive does.
    fn send_as(&self, root: &str, body: &str) {
        let round = self.agenda().round(&format!("send {root}"));
        let id = format!("{root}~{round}");
        self.note("send", &id);
        self.send(&id, body, self.now());
    }

    fn redrive(&self, message: &Delivered) {
        self.journal().count("redrives");
        let mut books = self.books();
        if books.dead_letters.iter().all(|letter| letter.source_message_id != message.id) {
            books.sent.remove(&message.id);
        }
        drop(books);
        self.send_as(root(&message.id), &message.body);
    }

    fn sweep(&self) {
        let now = self.now().0 / 1000;
        let expired = |record: &&Record| record.expires_at.is_some_and(|at| at.0 <= now);
        let ids: Vec<String> =
            self.history().records().filter(expired).map(|record| record.order_id().to_owned()).collect();
        let deleted = self.aws.dynamodb().delete_expired();
        if deleted > 0 {
            self.journal().count("sweeps");
            self.note("sweep", &format!("{deleted} deleted"));
        }
        for id in ids.iter().filter(|id| self.item(&format!("ORDER#{id}")).is_none()) {
            self.history().observe_deleted(id);
        }
    }
}

/// The message before it was redriven: `m-1-1` of `m-1-1~2`.
fn root(id: &str) -> &str {
    id.split('~').next().unwrap_or(id)
}

/// Plans what is known from the start: cancellations, and a sweep a day.
pub(super) fn plan(world: &World, cancelled: impl Iterator<Item = (String, UnixMillis)>) {
    let mut agenda = world.agenda();
    cancelled.for_each(|(id, at)| agenda.plan(at, Act::Cancel(id)));
    (1..=48).for_each(|day| agenda.plan(START + DAY * day, Act::Sweep));
}

/// Does one thing.
pub(super) async fn act(world: &Arc<World>, act: Act) {
    match act {
        Act::Cancel(id) => cancel(world, &id).await,
        Act::Resume(id) => resume(world, &id).await,
        Act::Redrive(message) => world.redrive(&message),
        Act::SendAgain(letter) => world.send_as(&letter.source_message_id, &letter.body),
        Act::Sweep => world.sweep(),
        Act::RevokeKey => world.revoke_key(),
        Act::RenewKey => world.renew_key(),
    }
}

fn store(world: &Arc<World>) -> Store {
    let sdk = world.aws.sdk_config(wire::direct(world));
    Store::new(crate::function::dynamodb_client(&sdk), TABLE, world.chance.random("store", "people"))
}

async fn find(store: &Store, id: &str) -> Option<Record> {
    let id: OrderId = id.parse().ok()?;
    store.find(&id, PATIENCE).await.ok()?
}

async fn write(store: &Store, write: &Write) -> Option<Record> {
    match store.write(write, PATIENCE).await {
        Ok(Written::Applied(record)) => Some(*record),
        _ => None,
    }
}

async fn cancel(world: &Arc<World>, id: &str) {
    let store = store(world);
    let Some(seen) = find(&store, id).await else { return };
    if let Ok(cancel) = protocol::cancel(&Code::Third.workflow(), &seen, "customer", world.now())
        && write(&store, &cancel).await.is_some()
    {
        world.journal().count("cancellations");
        world.note("cancel", id);
    }
}

/// Settles what is unknown by the provider's books, turns some orders back, and resumes.
async fn resume(world: &Arc<World>, id: &str) {
    let store = store(world);
    let parked = find(&store, id).await.filter(|record| record.status == Status::Parked);
    let Some(mut seen) = parked else { return };
    let (workflow, now) = (Code::Third.workflow(), world.now());
    let stated = match seen.step.as_str() {
        step if step == payment::STEP.name => world.charged(id),
        step if Some(step) == payment::STEP.undo => world.refunded(id),
        _ => None,
    };
    if let Some(statement) = stated
        && let Ok(mark) = protocol::mark(&workflow, &seen, &seen.step, statement, now)
    {
        world.journal().count("marks");
        seen = write(&store, &mark).await.unwrap_or(seen);
    }
    if world.chance.of("turn back", id).u32(0..100) < TURNED_BACK
        && let Ok(back) = protocol::compensate_parked(&workflow, &seen, "operator", now)
    {
        world.journal().count("turned back");
        seen = write(&store, &back).await.unwrap_or(seen);
    }
    let message = seen.order.clone().unwrap_or_default();
    if let Ok(Some(resume)) = protocol::resume(&seen, now)
        && write(&store, &resume).await.is_some()
    {
        world.note("resume", id);
        world.send_as(&format!("r-{id}"), &message);
    }
}
