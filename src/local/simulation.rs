//! The simulation: the shipped function in several environments, with faults at random, on a thread of its own and in
//! virtual time. The same seed gives the same run, to the byte of its log.
//!
//! | module | what it is |
//! |---|---|
//! | `chance` | all chance, from the seed, one generator for each purpose and subject |
//! | `traffic` | what producers send |
//! | `queue` | the queue of orders, an adversary |
//! | `codes` | versions of the code, side by side |
//! | `environment` | a worker: the shipped code with faults and a clock of its own |
//! | `mischief` | which request meets which fault |
//! | `wire` | what the workers talk to, and who watches it |
//! | `provider` | what goes wrong at the payment provider |
//! | `settings` | the function's settings, and when they change |
//! | `people` | what is done when: customers who cancel or ask to be forgotten, who pauses the function, the sweeper |
//! | `command_line` | the command line at one order, of any version of the code |
//! | `operators` | who sees to parked orders: states, places, turns back, resumes |
//! | `shelves` | who counts stock, and brings and takes some |
//! | `letters` | the dead-letter queue, and who redrives and deletes |
//! | `course` | the run itself |
//! | `shrink` | a failure made small |
//!
//! Faults happen in the first two days, while the orders come in, and again from day 20 to day 46, when late repeats
//! arrive and records expire. In between, and at the end, nothing disturbs anybody: then every message must end
//! within a few deliveries.
//!
//! What the SDK and the servers make up themselves (request IDs, the order of the fields of a request) is not in the
//! log, and decides nothing. A client token of a transaction is remembered by the machine's clock, for longer than a
//! run takes; DynamoDB would forget it, and the condition would then refuse what the token refuses here.

mod chance;
mod codes;
mod command_line;
mod course;
mod environment;
mod journal;
mod letters;
mod mischief;
mod operators;
mod people;
mod provider;
mod queue;
mod settings;
mod shelves;
mod shrink;
mod traffic;
mod wire;
mod world;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;

use crate::clock::UnixMillis;
use crate::local::ledger::Violation;

pub use journal::Counts;
pub use shrink::{Shrunk, shrink};

/// 2026-11-24T01:00:00Z.
const START: UnixMillis = UnixMillis(1_795_482_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// How many orders, 1-100,000.
    pub orders: u32,
    /// How many environments of the function, 1-64.
    pub workers: u32,
    /// The probability, 0-1, that a request meets a fault, and likewise that the queue does something unkind.
    pub faults: f64,
    /// Of the orders, only these happen, by number from 1.
    pub only_orders: Option<BTreeSet<u32>>,
    /// Of the faults, only these happen, by name.
    pub only_faults: Option<BTreeSet<String>>,
    /// Whether [`Outcome::log`] is wanted.
    pub log: bool,
    /// Breaks the function's requests, to see whether that is found.
    pub tamper: Option<Tamper>,
}

type Change = dyn Fn(&mut http::Request<Bytes>) + Send + Sync;

/// A change to every request before it is answered.
#[derive(Clone)]
pub struct Tamper(Arc<Change>);

impl Tamper {
    /// Does `change` to every request.
    pub fn new(change: impl Fn(&mut http::Request<Bytes>) + Send + Sync + 'static) -> Self {
        Tamper(Arc::new(change))
    }
}

impl fmt::Debug for Tamper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tamper")
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How often each thing happened.
    pub counts: Counts,
    /// What did not hold, sorted.
    pub violations: Vec<Violation>,
    /// The faults that happened, by name, in order.
    pub faults: Vec<String>,
    /// One line for each event, if wanted.
    pub log: Vec<String>,
    /// Virtual time from the first order to the end.
    pub took: Duration,
}

/// What a run that is large enough must have met, or it shows little.
pub const BRANCHES: [&str; 46] = [
    "takeovers",
    "leases lost",
    "own lost writes",
    "compensations",
    "parks",
    "cancellations",
    "marks",
    "placements",
    "turned back",
    "resumes",
    "resumes broken off",
    "resumes repeated",
    "commands of other versions",
    "commands too late",
    "versions refused",
    "old looks refused",
    "stock set",
    "stock sets refused",
    "stock added",
    "pauses",
    "redrives",
    "letters deleted",
    "letters left",
    "erasures",
    "sweeps",
    "migrations",
    "setting retention",
    "setting order age",
    "setting receives",
    "setting timeout",
    "setting grace",
    "setting provider",
    "fault crash before",
    "fault crash after",
    "fault request lost",
    "fault response lost",
    "fault hang",
    "fault landed late",
    "fault throttle",
    "fault transaction conflict",
    "fault freeze",
    "provider troubles",
    "searches of the past",
    "payments given up",
    "refunds waited for",
    "keys refused",
];

impl Plan {
    /// All orders, all faults, no log.
    pub fn new(seed: u64, orders: u32, workers: u32, faults: f64) -> Self {
        Plan { seed, orders, workers, faults, only_orders: None, only_faults: None, log: false, tamper: None }
    }

    /// Whether a run must meet every one of [`BRANCHES`].
    pub fn is_large(&self) -> bool {
        let whole = self.only_orders.is_none() && self.only_faults.is_none();
        whole && self.orders >= 1000 && self.workers >= 4 && (0.05..=0.2).contains(&self.faults)
    }

    /// The command that repeats this run.
    pub fn command(&self) -> String {
        let Plan { seed, orders, workers, faults, .. } = self;
        let mut command = format!(
            "orderctl simulate --seed {seed} --orders {orders} --workers {workers} --faults {faults}"
        );
        if let Some(only) = &self.only_orders {
            let only: Vec<String> = only.iter().map(u32::to_string).collect();
            command += &format!(" --only-orders {}", only.join(","));
        }
        if let Some(only) = &self.only_faults {
            let only: Vec<&str> = only.iter().map(String::as_str).collect();
            let only = if only.is_empty() { "none".to_owned() } else { only.join(",") };
            command += &format!(" --only-faults {only}");
        }
        command
    }

    fn numbers(&self) -> impl Iterator<Item = u32> {
        (1..=self.orders).filter(|number| self.only_orders.as_ref().is_none_or(|only| only.contains(number)))
    }
}

impl Outcome {
    /// Which of [`BRANCHES`] were never reached.
    pub fn unreached(&self) -> Vec<&'static str> {
        BRANCHES.into_iter().filter(|branch| !self.counts.contains_key(*branch)).collect()
    }

    /// The last lines of the log about the order of the first violation, or about everything if it is of none.
    pub fn last_events(&self, most: usize) -> Vec<&str> {
        let subject = self.violations.first().map_or("", |violation| violation.subject.as_str());
        let number = subject.split(['-', '~']).nth(1).filter(|number| number.parse::<u32>().is_ok());
        let names =
            number.map(|number| [format!("ord-{number}"), format!("r-ord-{number}"), format!("m-{number}-")]);
        let is_about = |line: &&String| {
            let Some([order, resumed, message]) = &names else { return true };
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '-');
            words.any(|word| word == order || word == resumed || word.starts_with(message.as_str()))
        };
        let lines: Vec<&str> = self.log.iter().filter(is_about).map(String::as_str).collect();
        lines[lines.len().saturating_sub(most)..].to_vec()
    }
}

/// Runs the plan to its end.
///
/// # Panics
/// If the machine gives no thread, or the simulation itself has a fault.
pub fn run(plan: &Plan) -> Outcome {
    let plan = plan.clone();
    // A thread of its own: the SDK's jitter and the log's reader are a thread's.
    let thread = std::thread::Builder::new().name("simulation".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime without I/O").block_on(course::run(plan))
    });
    match thread.expect("a thread").join() {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
