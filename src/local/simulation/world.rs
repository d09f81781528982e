//! The world of one run: what every worker reaches, what people act on, and what is seen of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::chance::Chance;
use super::journal::Journal;
use super::letters::Letters;
use super::mischief::Mischief;
use super::people::Agenda;
use super::queue::Queue;
use super::settings::{self, LEAST_ORDER_AGE_DAYS, Schedule};
use super::{DAY, Plan, START, traffic};
use crate::clock::{Clock, UnixMillis};
use crate::local::aws::EmbeddedAws;
use crate::local::ledger::{DeadLetter, Facts, History, Invariant, Sent, Violation};
use crate::local::payment_provider::PaymentProvider;
use crate::local::receiver::Deliveries;
use crate::order::Order;

/// Settled by the third delivery that looks, and so within what a calm queue needs.
const REFUND_TAKES: Duration = Duration::from_secs(10);
/// Orders older than this may be too old for a worker whose clock is ahead, whatever its settings are.
const OLD: Duration = Duration::from_secs(LEAST_ORDER_AGE_DAYS as u64 * 24 * 3600 - 60);
/// Likewise of the hour that a producer's clock may be ahead.
const EARLY: Duration = Duration::from_secs(3600 - 60);
/// Deliveries within which a message ends that nothing disturbs: it may meet the lease of a worker that died, as seen
/// by clocks that are a minute apart, and a card that is slow.
const CALM_DELIVERIES: u32 = 4;

/// When the faults stop, begin again, and stop for good.
pub(super) const FAULTY_EDGES: [Duration; 3] =
    [DAY.saturating_mul(2), DAY.saturating_mul(20), DAY.saturating_mul(46)];

/// Whether faults happen so long after the start: in the rush, and again while late messages arrive.
pub(super) fn is_faulty(since: Duration) -> bool {
    let [stop, again, end] = FAULTY_EDGES;
    since < stop || (again..end).contains(&since)
}

/// Everything there is. One thread uses it; the locks are for the types of tokio and the SDK.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) chance: Chance,
    pub(super) clock: Clock,
    pub(super) aws: EmbeddedAws,
    pub(super) payments: PaymentProvider,
    journal: Mutex<Journal>,
    queue: Mutex<Queue>,
    history: Mutex<History>,
    mischief: Mutex<Mischief>,
    agenda: Mutex<Agenda>,
    books: Mutex<Books>,
    /// Of the workflow, by the key of the order's record.
    versions: Mutex<BTreeMap<String, u32>>,
    /// Which API key of the provider is in the secret.
    key: Mutex<u32>,
    letters: Mutex<Letters>,
    /// Of the function's settings.
    schedule: OnceLock<Schedule>,
    /// Whether the event source mapping is off.
    paused: Mutex<bool>,
    /// What somebody states about stock just now, by SKU: how many came.
    stating: Mutex<BTreeMap<String, i64>>,
}

/// What the receivers and the dead-letter queue have, and what was sent.
#[derive(Default)]
pub(super) struct Books {
    pub(super) sent: BTreeMap<String, String>,
    pub(super) out_of_window: BTreeSet<String>,
    pub(super) shipments: Deliveries,
    pub(super) notifications: Deliveries,
    /// What those were asked for who check, pack and invoice.
    pub(super) others: Deliveries,
    pub(super) dead_letters: Vec<DeadLetter>,
    /// Deliveries since the faults stopped, by message.
    pub(super) calm: BTreeMap<String, u32>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let started = Instant::now();
        let clock = Clock::from_fn(move || START + started.elapsed());
        let chance = Chance(plan.seed);
        let journal = Journal { lines: plan.log.then(Vec::new), ..Journal::default() };
        World {
            chance,
            aws: EmbeddedAws::in_process(clock.clone()),
            payments: PaymentProvider::new(clock.clone()).with_refunds_taking(REFUND_TAKES),
            clock,
            journal: Mutex::new(journal),
            queue: Mutex::default(),
            history: Mutex::new(History::new(traffic::stock(plan.orders))),
            mischief: Mutex::new(Mischief::new(chance, plan.faults, plan.only_faults.clone())),
            agenda: Mutex::default(),
            books: Mutex::default(),
            versions: Mutex::default(),
            key: Mutex::default(),
            letters: Mutex::default(),
            schedule: OnceLock::new(),
            paused: Mutex::default(),
            stating: Mutex::default(),
            plan,
        }
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        locked(&self.journal)
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        locked(&self.queue)
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        locked(&self.history)
    }

    pub(super) fn mischief(&self) -> MutexGuard<'_, Mischief> {
        locked(&self.mischief)
    }

    pub(super) fn agenda(&self) -> MutexGuard<'_, Agenda> {
        locked(&self.agenda)
    }

    /// When the settings change: decided when it is asked for first.
    pub(super) fn schedule(&self) -> &Schedule {
        self.schedule.get_or_init(|| settings::plan(self))
    }

    pub(super) fn versions(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        locked(&self.versions)
    }

    pub(super) fn key_number(&self) -> MutexGuard<'_, u32> {
        locked(&self.key)
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        locked(&self.books)
    }

    pub(super) fn letters(&self) -> MutexGuard<'_, Letters> {
        locked(&self.letters)
    }

    pub(super) fn is_paused(&self) -> bool {
        *locked(&self.paused)
    }

    pub(super) fn set_paused(&self, paused: bool) {
        *locked(&self.paused) = paused;
    }

    pub(super) fn stating(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        locked(&self.stating)
    }

    /// Sends a message to the queue of orders.
    pub(super) fn send(&self, id: &str, body: &str, at: UnixMillis) {
        self.journal().count("messages");
        self.books().sent.insert(id.to_owned(), body.to_owned());
        self.queue().send(id, body, at);
    }

    /// Whether faults happen now.
    pub(super) fn is_faulty(&self) -> bool {
        is_faulty(self.now().since(START))
    }

    /// When the faults that happen now will have stopped.
    pub(super) fn calm_from(&self) -> UnixMillis {
        let since = self.now().since(START);
        START + if since < FAULTY_EDGES[0] { FAULTY_EDGES[0] } else { FAULTY_EDGES[2] }
    }

    /// Notes that a message is delivered, and whether it may find its order too old or too new to be claimed.
    pub(super) fn delivered(&self, id: &str, body: &str) {
        self.journal().count("deliveries");
        let now = self.now();
        if !self.is_faulty() {
            *self.books().calm.entry(id.to_owned()).or_default() += 1;
        }
        let Ok(order) = Order::parse(body) else { return };
        let out = now.since(order.placed_at) > OLD || order.placed_at.since(now) > EARLY;
        if out && self.history().record(order.id.as_str()).is_none() {
            self.books().out_of_window.insert(id.to_owned());
        }
    }

    /// Every message that was delivered more often than a calm queue needs.
    pub(super) fn restless(&self) -> Vec<Violation> {
        let books = self.books();
        let restless = books.calm.iter().filter(|(_, deliveries)| **deliveries > CALM_DELIVERIES);
        let violation = |(id, deliveries): (&String, &u32)| Violation {
            invariant: Invariant::EveryMessageEnds,
            subject: id.clone(),
            detail: format!("{deliveries} deliveries without a fault"),
        };
        restless.map(violation).collect()
    }

    /// Everything that happened, for the ledger.
    pub(super) fn facts(&self) -> Facts {
        let (books, history) = (self.books(), self.history());
        let sent = books.sent.iter();
        Facts {
            sent: sent.map(|(id, body)| Sent { message_id: id.clone(), body: body.clone() }).collect(),
            out_of_window: books.out_of_window.clone(),
            records: history.records().cloned().collect(),
            payments: self.payments.ledger(),
            shipments: books.shipments.clone(),
            notifications: books.notifications.clone(),
            stock_before: traffic::stock(self.plan.orders),
            stock_stated: history.stated().clone(),
            stock_after: history.available().clone(),
            answers: self.journal().answers.clone(),
            dead_letters: books.dead_letters.clone(),
        }
    }
}
