//! What the model checker explores: one order, its table, its callees, and the deliveries under way.
//!
//! Everything that is decided is decided by the shipped [`Course`] and the shipped writes; this plays DynamoDB, which
//! applies a write if its condition holds, and callees, which recognise a key.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use order_processor::delivery::{Command, Course};
use order_processor::protocol::Write;
use order_processor::record::{Fence, Outcome, Record, Refusal};

/// A value that many states share: copied by reference, compared and hashed by its hash.
#[derive(Clone)]
pub struct Kept<T>(Arc<(u64, T)>);

/// What a pure function gave for what it was asked, so that it is asked once.
pub struct Memory<T>(Mutex<HashMap<u64, T>>);

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Memory(Mutex::default())
    }
}

impl<T: Clone> Memory<T> {
    pub fn recall(&self, asked: &impl Hash, function: impl FnOnce() -> T) -> T {
        let asked = hash(asked);
        let known = self.0.lock().unwrap().get(&asked).cloned();
        known.unwrap_or_else(|| {
            let given = function();
            self.0.lock().unwrap().insert(asked, given.clone());
            given
        })
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl<T: Hash> Kept<T> {
    pub fn new(value: T) -> Self {
        Kept(Arc::new((hash(&value), value)))
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.1
    }
}

impl<T> Hash for Kept<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.0);
    }
}

impl<T> PartialEq for Kept<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.0 == other.0.0
    }
}

impl<T> Eq for Kept<T> {}

impl<T: fmt::Debug> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.1.fmt(f)
    }
}

/// A message of the order's ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// As the producer sent it first.
    Original,
    /// Built anew by the producer: another `placed_at`, the same fingerprint.
    Rebuilt,
    /// Another order under the same ID.
    Conflicting,
}

/// How much time has passed. Within each, every worker's clock says something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Day {
    /// The day of the order.
    First,
    /// The provider has forgotten every key of the first.
    Next,
    /// Every answer of the first two has expired, and no message is young enough to be claimed.
    Month,
}

/// A message, how it is delivered, and to which code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Delivered {
    pub message: Message,
    /// The last delivery that the queue makes.
    pub last: bool,
    /// The version of the worker's code.
    pub code: u8,
}

/// A delivery under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// From 1: names the owner, too.
    pub number: u8,
    pub delivered: Delivered,
    pub course: Kept<Course>,
    /// What it does next.
    pub command: Kept<Command>,
    pub phase: Phase,
}

impl Run {
    /// Whether it has sent nothing yet.
    pub fn is_fresh(&self) -> bool {
        let first = match &*self.command {
            Command::Write(write) => write.before.is_none(),
            Command::Find => true,
            Command::Call(_) | Command::End(_) => false,
        };
        first && self.phase == Phase::Ready
    }
}

/// How far the next command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Not begun.
    Ready,
    /// The response of the first attempt was lost, and the SDK sends it again.
    Retrying,
    /// Nobody knows whether it was applied: the store reads the record.
    Looking,
    /// Only without the transaction: the stock is moved, and the order's write follows.
    StockMoved,
}

/// What a callee answered under a key, and answers again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    Done(Outcome),
    Refused(Refusal),
}

/// What the callees know and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Callees {
    /// What the payment provider and the warehouse remember, by key.
    pub keys: Vec<(String, Answer)>,
    /// Successful charges.
    pub charges: u8,
    pub refunds: u8,
    /// Accepted shipments: key and content.
    pub shipments: Vec<(String, String)>,
    /// What the customer was told: key and content.
    pub told: Vec<(String, String)>,
    /// How often the effect of any other step or undo was made.
    pub others: BTreeMap<String, u8>,
}

impl Callees {
    pub fn other(&self, due: &str) -> u8 {
        self.others.get(due).copied().unwrap_or_default()
    }

    pub fn remembered(&self, key: &str) -> Option<&Answer> {
        self.keys.iter().find(|(known, _)| known == key).map(|(_, answer)| answer)
    }
}

/// How much of each may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    pub deliveries: u8,
    pub faults: u8,
    pub operator: u8,
    pub supplies: u8,
}

/// A state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub day: Day,
    pub record: Option<Kept<Record>>,
    /// Available, by SKU.
    pub stock: Vec<u64>,
    /// All that ever came in, by SKU.
    pub supplied: Vec<u64>,
    /// Transactions that DynamoDB remembers by their client tokens: order's step and fence.
    pub tokens: Vec<(String, Fence)>,
    pub runs: Vec<Run>,
    pub begun: u8,
    /// Writes that were sent, and may yet be applied.
    pub late_writes: Vec<Kept<Write>>,
    /// Calls that were sent, and may yet be processed.
    pub late_calls: Vec<Kept<Command>>,
    /// What operators, having read the record, are about to write.
    pub operators: Vec<Kept<Write>>,
    pub callees: Kept<Callees>,
    /// What duplicates and owners were answered.
    pub answers: Vec<Kept<String>>,
    /// The record as it was finished.
    pub finished: Option<Kept<Record>>,
    /// The message that was the first to be the order.
    pub order: Option<Message>,
    /// How often operators have written.
    pub acts: u8,
    /// What must never happen, and has.
    pub broken: Option<&'static str>,
    pub left: Left,
}

impl World {
    /// Changes what the callees know.
    pub fn with_callees<T>(&mut self, change: impl FnOnce(&mut Callees) -> T) -> T {
        let mut callees = (*self.callees).clone();
        let result = change(&mut callees);
        self.callees = Kept::new(callees);
        result
    }

    /// The record, as a request brings it back.
    pub fn found(&self) -> Option<Box<Record>> {
        self.record.as_deref().cloned().map(Box::new)
    }

    pub fn break_with(&mut self, what: &'static str) {
        self.broken.get_or_insert(what);
    }

    pub fn is_finished(&self) -> bool {
        self.finished.is_some()
    }
}
