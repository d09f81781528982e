//! What people do meanwhile: customers cancel and ask to be forgotten, operators see to parked orders
//! ([`super::operators`]), to dead letters ([`super::letters`]) and to stock ([`super::shelves`]) and pause the function, and
//! DynamoDB deletes what has expired. Everything goes through the requests of the command line.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::chance::between;
use super::command_line::CommandLine;
use super::queue::Delivered;
use super::world::World;
use super::{DAY, START, letters, operators, shelves, traffic, wire};
use crate::budget::Patience;
use crate::clock::UnixMillis;
use crate::local::stack::TABLE;
use crate::protocol;
use crate::record::{Record, Status};
use crate::store::Store;
use crate::workflow::Workflow;

/// Nothing delays people.
pub(super) const PATIENCE: Patience =
    Patience { attempt: Duration::from_secs(1), total: Duration::from_secs(1) };
/// While there are faults, people try so often; then they wait until the faults are over.
const ROUNDS: u32 = 2;
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
    /// A parked order.
    SeeTo(String),
    Erase(String),
    /// One letter.
    Redrive {
        letter: String,
        even_hopeless: bool,
    },
    /// Of every letter those that are settled, for the so-manieth time.
    Delete(u32),
    /// Of stock, for the so-manieth time.
    Count(u32),
    /// Likewise a look at what waits.
    Pause(u32),
    Unpause,
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
    /// An order was claimed. Who wants to cancel it may be just in time, or just too late, and two may want it at once.
    pub(super) fn claimed(&self, id: &str) {
        if let Some(soon) = traffic::cancelled_after(self.chance, id) {
            for at in [soon / 8, soon / 6] {
                self.agenda().plan(self.now() + at, Act::Cancel(id.to_owned()));
            }
        }
    }

    /// An order was parked: an operator will see to it.
    pub(super) fn parked(&self, id: &str) {
        let at = self.attended("park", id);
        let before = self.now() + at.since(self.now()) * 9 / 10;
        let mut agenda = self.agenda();
        agenda.plan(before, Act::Erase(id.to_owned()));
        agenda.plan(at, Act::SeeTo(id.to_owned()));
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

/// Plans what is known from the start: cancellations, looks at stock and at what waits, and a sweep a day.
pub(super) fn plan(world: &World, cancelled: impl Iterator<Item = (String, UnixMillis)>) {
    let mut agenda = world.agenda();
    cancelled.for_each(|(id, at)| agenda.plan(at, Act::Cancel(id)));
    (1..=48).for_each(|day| agenda.plan(START + DAY * day, Act::Sweep));
    let rush = traffic::SPACING * world.plan.orders;
    let pauses = (2..=8).map(|tenth| rush * tenth / 10).chain([3, 21, 30, 40].map(|day| DAY * day + DAY / 7));
    pauses.zip(1..).for_each(|(since, round)| agenda.plan(START + since, Act::Pause(round)));
    shelves::plan(&mut agenda, world.plan.orders);
    letters::plan(&mut agenda, START);
}

/// Does one thing.
pub(super) async fn act(world: &Arc<World>, act: Act) {
    match act {
        Act::Cancel(id) => cancel(world, &id).await,
        Act::SeeTo(id) => operators::see_to(world, &id).await,
        Act::Erase(id) => erase(world, &id).await,
        Act::Redrive { letter, even_hopeless } => letters::redrive(world, &letter, even_hopeless).await,
        Act::Delete(round) => letters::delete(world, round).await,
        Act::Count(round) => shelves::count(world, round).await,
        Act::Pause(round) => pause(world, round),
        Act::Unpause => unpause(world),
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

/// Some decide by a look that is a moment old.
async fn cancel(world: &Arc<World>, id: &str) {
    let mut command_line = CommandLine::new(world, "cancel", id);
    let mut random = command_line.chance("old look");
    if random.bool() {
        command_line.seen = command_line.look().await.map(|record| record.fence);
        tokio::time::sleep(between(&mut random, Duration::ZERO, Duration::from_millis(50))).await;
    }
    // Whoever finds that somebody has asked already leaves it at that.
    let Ok(Record { cancel_requested: None, .. }) = command_line.read().await else { return };
    let cancel = |workflow: &Workflow, seen: &Record, now| protocol::cancel(workflow, seen, "customer", now);
    if command_line.run("cancel", cancel).await.is_ok() {
        world.journal().count("cancellations");
    }
}

/// A customer asks to be forgotten. Where there is a letter, that is what the order will go on with.
async fn erase(world: &Arc<World>, id: &str) {
    let mut command_line = CommandLine::new(world, "erase", id);
    let Some(seen) = command_line.look().await else { return };
    let there_is_a_letter = world.letter_of(&seen).is_some();
    if !there_is_a_letter && command_line.chance("erase").u32(0..100) >= ERASED {
        return;
    }
    if command_line.run("erase", |_, seen, now| protocol::erase(seen, now)).await.is_ok() {
        world.journal().count("erasures");
        world.rely_on_its_letter(&seen, world.letter_of(&seen).is_some());
    }
}

/// Looks at what waits, and may spare the function some trouble for a while: nothing is delivered meanwhile.
fn pause(world: &World, round: u32) {
    let parked = world.history().records().filter(|record| record.status == Status::Parked).count();
    let mut random = world.chance.of("pause", &round.to_string());
    if parked + world.letters_held() == 0 || random.bool() || world.is_paused() {
        return;
    }
    let in_the_rush = traffic::SPACING * world.plan.orders / 20;
    let most = if world.now().since(START) < DAY { in_the_rush } else { DAY / 2 };
    let until = world.now() + between(&mut random, most / 2, most);
    world.agenda().plan(until, Act::Unpause);
    world.set_paused(true);
    world.journal().count("pauses");
    world.note("pause", &format!("{parked} parked"));
}

fn unpause(world: &World) {
    world.set_paused(false);
    world.note("unpause", "");
}
