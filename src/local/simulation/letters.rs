//! The dead-letter queue, and what people do with it: redrive and delete by every filter, judged as the command line
//! judges. Whatever they do, no order may be lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::DAY;
use super::codes::Code;
use super::people::{self, Act, PATIENCE, root};
use super::world::World;
use crate::clock::UnixMillis;
use crate::delivery::MAX_FUTURE;
use crate::letter::{self, Judge, Judgement, Letter, Prospect, Reason};
use crate::local::ledger::{DeadLetter, Invariant, Violation};
use crate::order::Order;
use crate::record::Record;

/// The function's own `MAX_ORDER_AGE_DAYS`, which the environments leave as it is.
const MAX_AGE: Duration = letter::DEFAULT_MAX_AGE;
/// Out of a hundred letters that would only come back: sent all the same.
const SENT_AGAIN: u32 = 15;
/// Out of a hundred messages that SQS moves: their producer gave them the attributes of a conflict.
const FORGED: u32 = 30;

/// A message of the dead-letter queue.
#[derive(Clone)]
pub(super) struct Held {
    /// Under which the ledger knows the message: its own ID, or the one that the function received.
    source: String,
    body: String,
    letter: Letter,
}

/// What is in the dead-letter queue, and what people took out of it for good.
#[derive(Default)]
pub(super) struct Letters {
    held: BTreeMap<String, Held>,
    deleted: Vec<(UnixMillis, Held)>,
    /// The orders whose message was erased because there was a letter to go on with.
    relied_on: BTreeSet<String>,
}

impl World {
    /// SQS moved a message to the dead-letter queue.
    pub(super) fn moved(&self, id: &str, body: String) {
        let forged = self.chance.of("forged", id).u32(0..100) < FORGED;
        let names = ["reason", "detail", "source_message_id", "fingerprint", "stored_fingerprint"];
        let forged =
            names.map(|name| (name.to_owned(), "conflict".to_owned())).into_iter().filter(|_| forged);
        let held = Held { letter: Letter::read(&body, &forged.collect(), true), source: id.to_owned(), body };
        let letter = self.keep(held);
        let at = self.attended("redrive", root(id));
        self.agenda().plan(at, Act::Redrive { letter, even_hopeless: false });
    }

    /// The function sent a dead letter.
    pub(super) fn lettered(&self, attributes: &BTreeMap<String, String>, body: String) {
        let attribute = |name: &str| attributes.get(name).cloned().unwrap_or_default();
        let (source, reason) =
            (attribute(letter::attribute::SOURCE_MESSAGE_ID), attribute(letter::attribute::REASON));
        self.note("letter", &format!("{source} {reason}"));
        let letter = Letter::read(&body, attributes, false);
        let held = Held { letter: letter.clone(), source: source.clone(), body: body.clone() };
        let id = self.keep(held);
        let again = !source.contains('~') && self.chance.of("letter", &source).u32(0..100) < SENT_AGAIN;
        if again || letter.reason == Reason::Future {
            let at =
                self.attended("letter", &source).max(due(&letter).filter(|_| !again).unwrap_or_default());
            self.agenda().plan(at, Act::Redrive { letter: id, even_hopeless: again });
        }
        self.books().dead_letters.push(DeadLetter { source_message_id: source, reason, body });
    }

    fn keep(&self, held: Held) -> String {
        let round = self.agenda().round(&format!("letter {}", held.source));
        let id = format!("{}+{round}", held.source);
        self.letters().held.insert(id.clone(), held);
        id
    }

    /// How many letters there are.
    pub(super) fn letters_held(&self) -> usize {
        self.letters().held.len()
    }

    /// From now on a letter is the only message of a parked order, and has to stay; or there is none.
    pub(super) fn rely_on_its_letter(&self, seen: &Record, there_is_one: bool) {
        let relied_on = &mut self.letters().relied_on;
        if there_is_one {
            self.journal().count("letters relied on");
            relied_on.insert(seen.order_id().to_owned());
        } else {
            relied_on.remove(seen.order_id());
        }
    }

    /// The message of an order that was erased: from its letter if there was one, else from its producer.
    pub(super) fn message_of(&self, seen: &Record) -> Option<String> {
        if self.letters().relied_on.contains(seen.order_id()) {
            return self.letter_of(seen);
        }
        let books = self.books();
        books.sent.values().find(|body| Order::parse(body).is_ok_and(|order| is_of(&order, seen))).cloned()
    }

    pub(super) fn letter_of(&self, seen: &Record) -> Option<String> {
        let letters = self.letters();
        let is_of_it = |held: &&Held| held.letter.order.as_ref().is_some_and(|order| is_of(order, seen));
        letters.held.values().find(is_of_it).map(|held| held.body.clone())
    }

    /// A letter was taken out, and its message never came to anything by itself. What the function said of it stands.
    fn came_to_nothing(&self, held: &Held) {
        let mut books = self.books();
        if books.dead_letters.iter().all(|letter| letter.source_message_id != held.source) {
            books.sent.remove(&held.source);
        }
    }

    /// The orders that were lost with a letter that was deleted: they never ran, and were not too old by then.
    pub(super) fn lost(&self) -> Vec<Violation> {
        let history = self.history();
        let known: BTreeSet<&str> = history.records().map(|record| record.order_id()).collect();
        let letters = self.letters();
        let lost = letters.deleted.iter().filter_map(|(at, held)| {
            let order = Order::parse(&held.body).ok()?;
            let too_old = at.since(order.placed_at) > MAX_AGE;
            (!too_old && !known.contains(order.id.as_str())).then(|| Violation {
                invariant: Invariant::EveryOrderFinished,
                subject: order.id.to_string(),
                detail: format!("its letter {} was deleted, and it never ran", held.source),
            })
        });
        lost.collect()
    }
}

fn is_of(order: &Order, record: &Record) -> bool {
    order.id.as_str() == record.order_id() && order.fingerprint() == record.fingerprint
}

/// When an order from the future can be claimed, by whatever clock.
fn due(letter: &Letter) -> Option<UnixMillis> {
    let placed_at = letter.order.as_ref()?.placed_at;
    Some(UnixMillis(placed_at.0.saturating_sub(crate::clock::whole_millis(MAX_FUTURE / 2))))
}

/// By one consistent read of each order that may be meant. People know how old an order may be, or do not.
async fn judge(world: &Arc<World>, letter: &Letter, command_line: Code) -> Judgement {
    let told = world.chance.of("told", &world.now().0.to_string()).bool();
    let judge = Judge { workflow: command_line.workflow(), max_age: told.then_some(MAX_AGE) };
    let (store, mut records) = (people::store(world), Vec::new());
    for id in &letter.ids {
        match store.find(id, PATIENCE).await {
            Ok(found) => records.extend(found),
            Err(error) => return Judgement::unknown(error.to_string()),
        }
    }
    judge.judge(letter, &records, world.now())
}

/// As `orderctl dlq redrive` does with one letter.
pub(super) async fn redrive(world: &Arc<World>, id: &str, even_hopeless: bool) {
    let Some(held) = world.letters().held.get(id).cloned() else { return };
    let judgement = judge(world, &held.letter, Code::Third).await;
    if judgement.may_be_sent() && (even_hopeless || !judgement.comes_back) {
        // Somebody else may have been quicker.
        if world.letters().held.remove(id).is_none() {
            return;
        }
        world.journal().count("redrives");
        world.came_to_nothing(&held);
        world.send_as(root(&held.source), &held.body);
        return;
    }
    world.journal().count("letters left");
    world.note("left", &format!("{id} {}", judgement.prospect.name()));
    let later = match judgement.prospect {
        Prospect::ParkedWithoutMessage | Prospect::Unknown(_) => {
            Some(world.attended("redrive", root(&held.source)))
        }
        Prospect::Future => due(&held.letter),
        _ => None,
    };
    if let Some(at) = later {
        world.agenda().plan(at, Act::Redrive { letter: id.to_owned(), even_hopeless: false });
    }
}

/// As `orderctl dlq delete` does, with a filter by reason or none.
pub(super) async fn delete(world: &Arc<World>, round: u32) {
    let mut random = world.chance.of("delete", &round.to_string());
    // Whoever deletes may have a command line of another version than the function.
    let command_line = random.choice(Code::ALL).unwrap_or(Code::Third);
    let only = if random.bool() { random.choice(Reason::ALL) } else { None };
    let letters: Vec<(String, Letter)> =
        world.letters().held.iter().map(|(id, held)| (id.clone(), held.letter.clone())).collect();
    for (id, letter) in
        letters.into_iter().filter(|(_, letter)| only.is_none_or(|only| letter.reason == only))
    {
        let judgement = judge(world, &letter, command_line).await;
        if !judgement.settled {
            world.journal().count("letters left");
            continue;
        }
        world.journal().count("letters deleted");
        world.note("delete", &format!("{id} {}", judgement.prospect.name()));
        let mut letters = world.letters();
        let Some(held) = letters.held.remove(&id) else { continue };
        // Of an order that is answered it is a message like any other.
        if judgement.prospect != Prospect::AnsweredAlready {
            world.came_to_nothing(&held);
        }
        letters.deleted.push((world.now(), held));
    }
}

/// When people clear the queue: often while the orders come in, then once a day.
pub(super) fn plan(agenda: &mut people::Agenda, start: UnixMillis) {
    let often = (1..24_u32).map(|hour| start + DAY / 12 * hour);
    let daily = (3..=48_u32).map(|day| start + DAY * day + DAY / 24);
    often.chain(daily).zip(1..).for_each(|(at, round)| agenda.plan(at, Act::Delete(round)));
}
