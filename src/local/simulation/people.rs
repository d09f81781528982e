//! What people do meanwhile: customers cancel, operators resume parked orders and see to dead letters ([`super::letters`]),
//! customers ask to be forgotten, and DynamoDB deletes what has expired. Everything goes through the protocol's own writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::chance::between;
use super::codes::Code;
use super::queue::Delivered;
use super::world::World;
use super::{DAY, START, letters, wire};
use crate::budget::Patience;
use crate::clock::UnixMillis;
use crate::local::stack::TABLE;
use crate::order::OrderId;
use crate::protocol::{self, Write, Written};
use crate::record::{Record, Status};
use crate::services::payment;
use crate::store::Store;

/// Nothing delays people.
pub(super) const PATIENCE: Patience =
    Patience { attempt: Duration::from_secs(1), total: Duration::from_secs(1) };
/// While there are faults, people try so often; then they wait until the faults are over.
const ROUNDS: u32 = 2;
/// Out of a hundred parked orders: turned back rather than resumed.
const TURNED_BACK: u32 = 15;
/// Out of a hundred parked orders without a letter: their message is erased before they are resumed. With one, always.
const ERASED: u32 = 15;

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
    Erase(String),
    /// One letter.
    Redrive {
        letter: String,
        even_hopeless: bool,
    },
    /// Of every letter those that are settled, for the so-manieth time.
    Delete(u32),
    Sweep,
    RevokeKey,
    RenewKey,
    EndTrouble,
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

    pub(super) fn round(&mut self, subject: &str) -> u32 {
        let round = self.rounds.entry(subject.to_owned()).or_default();
        *round += 1;
        *round
    }
}

impl World {
    /// An order was parked: an operator will see to it.
    pub(super) fn parked(&self, id: &str) {
        let at = self.attended("park", id);
        let before = self.now() + at.since(self.now()) * 9 / 10;
        let mut agenda = self.agenda();
        agenda.plan(before, Act::Erase(id.to_owned()));
        agenda.plan(at, Act::Resume(id.to_owned()));
    }

    /// SQS moved a message to the dead-letter queue.
    pub(super) fn exhausted(&self, message: Delivered) {
        self.journal().count("exhausted");
        self.note("exhausted", &message.id);
        self.moved(&message.id, message.body);
    }

    /// When somebody sees to it: in minutes, or after a night or two; after two vain attempts, in calm.
    pub(super) fn attended(&self, what: &str, subject: &str) -> UnixMillis {
        let subject = format!("{what} {subject}");
        let round = self.agenda().round(&subject);
        let mut random = self.chance.of("attended", &format!("{subject} {round}"));
        let (minute, day) = (Duration::from_secs(60), DAY * 3 / 2);
        let (least, most) = if random.f64() < 0.8 { (minute * 3, minute * 30) } else { (minute * 30, day) };
        let from = if round > ROUNDS && self.is_faulty() { self.calm_from() } else { self.now() };
        from + between(&mut random, least, most)
    }

    /// Sends a message under a new ID, as a redrive does.
    pub(super) fn send_as(&self, root: &str, body: &str) {
        let round = self.agenda().round(&format!("send {root}"));
        let id = format!("{root}~{round}");
        self.note("send", &id);
        self.send(&id, body, self.now());
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
pub(super) fn root(id: &str) -> &str {
    id.split('~').next().unwrap_or(id)
}

/// Plans what is known from the start: cancellations, and a sweep a day.
pub(super) fn plan(world: &World, cancelled: impl Iterator<Item = (String, UnixMillis)>) {
    let mut agenda = world.agenda();
    cancelled.for_each(|(id, at)| agenda.plan(at, Act::Cancel(id)));
    (1..=48).for_each(|day| agenda.plan(START + DAY * day, Act::Sweep));
    letters::plan(&mut agenda, START);
}

/// Does one thing.
pub(super) async fn act(world: &Arc<World>, act: Act) {
    match act {
        Act::Cancel(id) => cancel(world, &id).await,
        Act::Resume(id) => resume(world, &id).await,
        Act::Erase(id) => erase(world, &id).await,
        Act::Redrive { letter, even_hopeless } => letters::redrive(world, &letter, even_hopeless).await,
        Act::Delete(round) => letters::delete(world, round).await,
        Act::Sweep => world.sweep(),
        Act::RevokeKey => world.revoke_key(),
        Act::RenewKey => world.renew_key(),
        Act::EndTrouble => world.payments.forget_scripts(),
    }
}

pub(super) fn store(world: &Arc<World>) -> Store {
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
    let Some(message) = seen.order.clone().or_else(|| world.message_of(&seen)) else { return };
    if let Ok(Some(resume)) = protocol::resume(&seen, now)
        && write(&store, &resume).await.is_some()
    {
        world.note("resume", id);
        world.send_as(&format!("r-{id}"), &message);
    }
}

/// A customer asks to be forgotten. Where there is a letter, that is what the order will go on with.
async fn erase(world: &Arc<World>, id: &str) {
    let store = store(world);
    let Some(seen) = find(&store, id).await else { return };
    let relied_on = world.letter_of(&seen).is_some();
    if !relied_on && world.chance.of("erase", id).u32(0..100) >= ERASED {
        return;
    }
    if let Ok(erase) = protocol::erase(&seen, world.now())
        && write(&store, &erase).await.is_some()
    {
        world.journal().count("erasures");
        world.note("erase", id);
        world.rely_on_its_letter(&seen, relied_on);
    }
}
